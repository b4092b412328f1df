/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The conditions that we report or look for, by the codes of PostgreSQL's appendix "Error
 * Codes", whose name for it is the last column:
 *
 *   SQLSTATE(IDENT, "code", "condition_name") */

/* clang-format off */
SQLSTATE(SUCCESS,                         "00000", "successful_completion")
SQLSTATE(CANNOT_CONNECT,                  "08001", "sqlclient_unable_to_establish_sqlconnection")
SQLSTATE(CONNECTION_FAILURE,              "08006", "connection_failure")
SQLSTATE(PROTOCOL_VIOLATION,              "08P01", "protocol_violation")
SQLSTATE(FEATURE_NOT_SUPPORTED,           "0A000", "feature_not_supported")
SQLSTATE(NOT_IN_REPERTOIRE,               "22021", "character_not_in_repertoire")
SQLSTATE(INVALID_PARAMETER_VALUE,         "22023", "invalid_parameter_value")
SQLSTATE(UNTRANSLATABLE_CHARACTER,        "22P05", "untranslatable_character")
SQLSTATE(ACTIVE_TRANSACTION,              "25001", "active_sql_transaction")
SQLSTATE(IDLE_IN_TRANSACTION_TIMEOUT,     "25P03", "idle_in_transaction_session_timeout")
SQLSTATE(TRANSACTION_TIMEOUT,             "25P04", "transaction_timeout")
SQLSTATE(UNKNOWN_STATEMENT,               "26000", "invalid_sql_statement_name")
SQLSTATE(INVALID_AUTHORIZATION,           "28000", "invalid_authorization_specification")
SQLSTATE(INVALID_PASSWORD,                "28P01", "invalid_password")
SQLSTATE(UNKNOWN_PORTAL,                  "34000", "invalid_cursor_name")
SQLSTATE(UNKNOWN_DATABASE,                "3D000", "invalid_catalog_name")
SQLSTATE(SYNTAX_ERROR,                    "42601", "syntax_error")
SQLSTATE(INSUFFICIENT_PRIVILEGE,          "42501", "insufficient_privilege")
SQLSTATE(UNDEFINED_OBJECT,                "42704", "undefined_object")
SQLSTATE(DUPLICATE_STATEMENT,             "42P05", "duplicate_prepared_statement")
SQLSTATE(OUT_OF_MEMORY,                   "53200", "out_of_memory")
SQLSTATE(TOO_MANY_CONNECTIONS,            "53300", "too_many_connections")
SQLSTATE(CONFIGURATION_LIMIT_EXCEEDED,    "53400", "configuration_limit_exceeded")
SQLSTATE(PROGRAM_LIMIT_EXCEEDED,          "54000", "program_limit_exceeded")
SQLSTATE(NOT_IN_PREREQUISITE_STATE,       "55000", "object_not_in_prerequisite_state")
SQLSTATE(QUERY_CANCELED,                  "57014", "query_canceled")
SQLSTATE(ADMIN_SHUTDOWN,                  "57P01", "admin_shutdown")
SQLSTATE(CANNOT_CONNECT_NOW,              "57P03", "cannot_connect_now")
SQLSTATE(IDLE_SESSION_TIMEOUT,            "57P05", "idle_session_timeout")
SQLSTATE(SYSTEM_ERROR,                    "58000", "system_error")
SQLSTATE(CONFIG_FILE_ERROR,               "F0000", "config_file_error")
SQLSTATE(INTERNAL_ERROR,                  "XX000", "internal_error")
/* clang-format on */
