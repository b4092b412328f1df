/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Why a query never looked into the cache: BYPASS_REASON(ID, metric label, sentence). */
BYPASS_REASON(NONE, "none", "the statement may be cached")
BYPASS_REASON(DISABLED, "disabled", "the cache is switched off in the configuration")
BYPASS_REASON(NO_RULE, "no_rule", "no rule allows this class of statement")
BYPASS_REASON(RULE_OFF, "rule_off", "a rule switches the cache off for this statement")
BYPASS_REASON(HINT, "hint", "a comment or pgrecall.cache switches the cache off")
BYPASS_REASON(NOT_SELECT, "not_select", "the statement is not a read")
BYPASS_REASON(WRITE, "write", "the statement changes rows")
BYPASS_REASON(IN_TRANSACTION, "in_transaction", "the transaction has written, or its isolation is above READ COMMITTED")
BYPASS_REASON(VOLATILE_FUNCTION, "volatile_function", "a function or operator is volatile or unknown")
BYPASS_REASON(FOR_UPDATE, "for_update", "the statement locks rows")
BYPASS_REASON(SESSION_STATE, "session_state", "the session has settings that cannot be followed")
BYPASS_REASON(TEMP_TABLE, "temp_table", "a temporary table may be read")
BYPASS_REASON(SYSTEM_RELATION, "system_relation", "a system catalogue or a foreign table is read")
BYPASS_REASON(ROW_SECURITY, "row_security", "a relation has row security")
BYPASS_REASON(UNKNOWN_RELATION, "unknown_relation", "a relation is not in the catalogue snapshot")
BYPASS_REASON(CURRENT_TIME, "current_time", "a constant or parameter may mean the current time")
BYPASS_REASON(UNPARSABLE, "unparsable", "the statement could not be parsed")
BYPASS_REASON(TOO_LARGE, "too_large", "the statement or its key is over a limit")
BYPASS_REASON(CATALOG, "catalog", "the catalogue is changing or not loaded yet")
BYPASS_REASON(ROW_LIMIT, "row_limit", "Execute asks for a limited number of rows")
