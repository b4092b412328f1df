/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Every ending has a name:
 *
 *   CLIENT_CLOSE(ID, is_error, sqlstate, family, label, "text")
 *   SERVER_CLOSE(ID, is_error, label, "text")
 *
 * is_error: logged as a warning.  sqlstate: of the FATAL error that the client is sent with
 * the text, or NULL when it is sent nothing.  family and label: the counter that moves:
 * CLOSED and REJECTED are clients' (before they were usable), and label is a row of
 * tbl/metric_labels.h.  The includer defines one of the two macros. */
#ifndef CLIENT_CLOSE
#define CLIENT_CLOSE(id, is_error, sqlstate, family, label, text)
#endif
#ifndef SERVER_CLOSE
#define SERVER_CLOSE(id, is_error, label, text)
#endif

/* clang-format off */
CLIENT_CLOSE(TERMINATED, false, NULL, CLOSED, CLIENT, "client closed the connection")
CLIENT_CLOSE(EOF, false, NULL, CLOSED, CLIENT, "client unexpectedly closed the connection")
CLIENT_CLOSE(IO_ERROR, false, NULL, CLOSED, ERROR, "connection to the client failed")
CLIENT_CLOSE(CANCEL_DONE, false, NULL, CLOSED, CLIENT, "cancel request handled")
CLIENT_CLOSE(IDLE_TIMEOUT, false, SQLSTATE_IDLE_SESSION_TIMEOUT, CLOSED, IDLE_TIMEOUT, "terminating connection due to idle-session timeout")
CLIENT_CLOSE(IDLE_TX_TIMEOUT, false, SQLSTATE_IDLE_IN_TRANSACTION_TIMEOUT, CLOSED, IDLE_TIMEOUT, "terminating connection due to idle-in-transaction timeout")
CLIENT_CLOSE(TX_TIMEOUT, false, SQLSTATE_TRANSACTION_TIMEOUT, CLOSED, ERROR, "terminating connection due to transaction timeout")
CLIENT_CLOSE(QUERY_TIMEOUT, false, SQLSTATE_QUERY_CANCELED, CLOSED, ERROR, "query timeout")
CLIENT_CLOSE(OUT_OF_MEMORY, true, SQLSTATE_OUT_OF_MEMORY, CLOSED, ERROR, "out of memory")
CLIENT_CLOSE(SERVER_FAILED, true, SQLSTATE_CONNECTION_FAILURE, CLOSED, ERROR, "server connection was lost")
CLIENT_CLOSE(SERVER_GONE, false, NULL, CLOSED, ERROR, "server ended the session with an error")
CLIENT_CLOSE(SERVER_PROTOCOL, true, SQLSTATE_PROTOCOL_VIOLATION, CLOSED, ERROR, "server sent an unexpected message")
CLIENT_CLOSE(PROTOCOL, true, SQLSTATE_PROTOCOL_VIOLATION, CLOSED, ERROR, "protocol violation")
CLIENT_CLOSE(TOO_LARGE, true, SQLSTATE_PROGRAM_LIMIT_EXCEEDED, CLOSED, ERROR, "message is larger than max_packet_size")
CLIENT_CLOSE(ADMIN, false, SQLSTATE_ADMIN_SHUTDOWN, CLOSED, ADMIN, "terminating connection due to administrator command")
CLIENT_CLOSE(RELOAD, false, SQLSTATE_ADMIN_SHUTDOWN, CLOSED, ADMIN, "terminating connection because its database or user was removed")
CLIENT_CLOSE(SHUTDOWN, false, SQLSTATE_ADMIN_SHUTDOWN, CLOSED, SHUTDOWN, "terminating connection because pgrecall is shutting down")
CLIENT_CLOSE(LISTEN_LOST, true, SQLSTATE_ADMIN_SHUTDOWN, CLOSED, ERROR, "notifications may have been missed: the connection that listens was lost")
CLIENT_CLOSE(NOTIFICATIONS, true, SQLSTATE_CONFIGURATION_LIMIT_EXCEEDED, CLOSED, ERROR, "client does not read its notifications (max_client_notifications)")
CLIENT_CLOSE(NOTIFICATION_ENCODING, true, SQLSTATE_UNTRANSLATABLE_CHARACTER, CLOSED, ERROR, "a notification cannot be told in this client_encoding")
CLIENT_CLOSE(LOGIN_EOF, false, NULL, CLOSED, CLIENT, "client closed the connection before it had logged in")
CLIENT_CLOSE(LOGIN_TIMEOUT, false, SQLSTATE_PROTOCOL_VIOLATION, REJECTED, TIMEOUT, "client_login_timeout")
CLIENT_CLOSE(LOGIN_PROTOCOL, true, SQLSTATE_PROTOCOL_VIOLATION, REJECTED, PROTOCOL, "protocol violation during login")
CLIENT_CLOSE(AUTH_FAILED, true, SQLSTATE_INVALID_PASSWORD, REJECTED, AUTH, "password authentication failed")
CLIENT_CLOSE(TLS_REQUIRED, true, SQLSTATE_INVALID_AUTHORIZATION, REJECTED, TLS_REQUIRED, "TLS is required (client_tls_sslmode)")
CLIENT_CLOSE(TLS_FAILED, true, NULL, REJECTED, PROTOCOL, "TLS handshake failed")
CLIENT_CLOSE(AUTH_UNKNOWN, true, SQLSTATE_CANNOT_CONNECT_NOW, REJECTED, SERVER, "authentication is not possible now")
CLIENT_CLOSE(NO_CONSOLE, true, SQLSTATE_INSUFFICIENT_PRIVILEGE, REJECTED, AUTH, "the console is for admin_users and stats_users")
CLIENT_CLOSE(DISABLED, false, SQLSTATE_CANNOT_CONNECT_NOW, REJECTED, UNKNOWN_DATABASE, "the database is disabled")
CLIENT_CLOSE(PAUSED, false, SQLSTATE_CANNOT_CONNECT_NOW, REJECTED, SERVER, "the database is paused: no replication connection is opened")
CLIENT_CLOSE(UNKNOWN_DATABASE, true, SQLSTATE_UNKNOWN_DATABASE, REJECTED, UNKNOWN_DATABASE, "no such database")
CLIENT_CLOSE(BAD_PARAMETER, true, SQLSTATE_INVALID_PARAMETER_VALUE, REJECTED, PROTOCOL, "unsupported startup parameter")
CLIENT_CLOSE(TOO_MANY_CLIENTS, true, SQLSTATE_TOO_MANY_CONNECTIONS, REJECTED, MAX_CLIENT_CONN, "no more connections allowed (max_client_conn)")
CLIENT_CLOSE(TOO_MANY_OF_DATABASE, true, SQLSTATE_TOO_MANY_CONNECTIONS, REJECTED, MAX_CLIENT_CONN, "no more connections to this database allowed (max_db_client_connections)")
CLIENT_CLOSE(TOO_MANY_OF_USER, true, SQLSTATE_TOO_MANY_CONNECTIONS, REJECTED, MAX_CLIENT_CONN, "no more connections of this user allowed (max_user_client_connections)")
CLIENT_CLOSE(TOO_MANY_REPLICATION, true, SQLSTATE_TOO_MANY_CONNECTIONS, REJECTED, MAX_CLIENT_CONN, "no more replication connections allowed (max_replication_connections)")
CLIENT_CLOSE(SERVER_LOGIN, true, SQLSTATE_CONNECTION_FAILURE, REJECTED, SERVER, "server login has failed")
CLIENT_CLOSE(STARTING_DOWN, false, SQLSTATE_CANNOT_CONNECT_NOW, REJECTED, SHUTDOWN, "pgrecall is shutting down")

SERVER_CLOSE(IDLE, false, IDLE_TIMEOUT, "server_idle_timeout")
SERVER_CLOSE(LIFETIME, false, LIFETIME, "server_lifetime")
SERVER_CLOSE(EOF, true, SERVER_CLOSED, "server closed the connection unexpectedly")
SERVER_CLOSE(IO_ERROR, true, SERVER_CLOSED, "connection to the server failed")
SERVER_CLOSE(CHECK_FAILED, true, SERVER_CLOSED, "idle connection was found dead")
SERVER_CLOSE(RESET_FAILED, true, RESET_FAILED, "server_reset_query failed")
SERVER_CLOSE(CONNECT_QUERY, false, RESET_FAILED, "connect_query failed")
SERVER_CLOSE(PROTOCOL, true, PROTOCOL, "server sent an unexpected message")
SERVER_CLOSE(DIRTY_SESSION, false, CLIENT_GONE, "client left in the middle of a query or transaction")
SERVER_CLOSE(PINNED, false, CLIENT_GONE, "client left behind what a reset does not take back")
SERVER_CLOSE(RELOAD, false, RELOAD, "database configuration changed")
SERVER_CLOSE(EXCESS, false, RELOAD, "pool is over its new size")
SERVER_CLOSE(OUT_OF_MEMORY, true, RESOURCES, "out of memory")
SERVER_CLOSE(ADMIN, false, ADMIN, "administrator command")
SERVER_CLOSE(SHUTDOWN, false, SHUTDOWN, "pgrecall is shutting down")
/* clang-format on */
#undef CLIENT_CLOSE
#undef SERVER_CLOSE
