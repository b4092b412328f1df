/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Label sets that are known in advance: METRIC_LABELS(SET, label name, values), where the
 * values are METRIC_<SET>_VALUES(V) with V(ID, "value").  The enum constant is
 * METRIC_<ID>; METRIC_N_<SET> says how many there are. */

/* clang-format off */
#define METRIC_ROUTE_VALUES(V)                                                           \
	V(ROUTE_L1_HIT, "l1_hit") V(ROUTE_REDIS_HIT, "redis_hit")                        \
	V(ROUTE_MISS, "miss") V(ROUTE_BYPASS, "bypass") V(ROUTE_WRITE, "write")
#define METRIC_CLIENT_STATE_VALUES(V)                                                    \
	V(CLIENT_ACTIVE, "active") V(CLIENT_IDLE, "idle")                                \
	V(CLIENT_IDLE_IN_TRANSACTION, "idle_in_transaction")                             \
	V(CLIENT_WAITING, "waiting") V(CLIENT_LOGIN, "login")
#define METRIC_CLOSED_VALUES(V)                                                          \
	V(CLOSED_CLIENT, "client") V(CLOSED_IDLE_TIMEOUT, "idle_timeout")                \
	V(CLOSED_ADMIN, "admin") V(CLOSED_ERROR, "error") V(CLOSED_SHUTDOWN, "shutdown")
#define METRIC_REJECTED_VALUES(V)                                                        \
	V(REJECTED_MAX_CLIENT_CONN, "max_client_conn") V(REJECTED_AUTH, "auth")          \
	V(REJECTED_TLS_REQUIRED, "tls_required")                                         \
	V(REJECTED_UNKNOWN_DATABASE, "unknown_database")                                 \
	V(REJECTED_PROTOCOL, "protocol") V(REJECTED_SHUTDOWN, "shutdown")                \
	V(REJECTED_TIMEOUT, "timeout") V(REJECTED_SERVER, "server")
#define METRIC_POOL_STATE_VALUES(V)                                                      \
	V(POOL_ACTIVE, "active") V(POOL_IDLE, "idle") V(POOL_LOGIN, "login")             \
	V(POOL_TESTING, "testing") V(POOL_DRAINING, "draining")
#define METRIC_CONNECT_FAILURE_VALUES(V)                                                 \
	V(CONNECT_REFUSED, "refused") V(CONNECT_TIMEOUT, "timeout")                      \
	V(CONNECT_AUTH, "auth") V(CONNECT_TLS, "tls") V(CONNECT_DNS, "dns")              \
	V(CONNECT_FATAL, "fatal")
#define METRIC_DISCONNECT_VALUES(V)                                                      \
	V(DISCONNECT_IDLE_TIMEOUT, "idle_timeout") V(DISCONNECT_LIFETIME, "lifetime")    \
	V(DISCONNECT_SERVER_CLOSED, "server_closed")                                     \
	V(DISCONNECT_RESET_FAILED, "reset_failed") V(DISCONNECT_RELOAD, "reload")        \
	V(DISCONNECT_ADMIN, "admin") V(DISCONNECT_CANCEL, "cancel")                      \
	V(DISCONNECT_PROTOCOL, "protocol") V(DISCONNECT_CLIENT_GONE, "client_gone")      \
	V(DISCONNECT_RESOURCES, "resources") V(DISCONNECT_SHUTDOWN, "shutdown")
#define METRIC_SQLSTATE_VALUES(V)                                                        \
	V(SQLSTATE_08, "08") V(SQLSTATE_22, "22") V(SQLSTATE_23, "23")                   \
	V(SQLSTATE_25, "25") V(SQLSTATE_40, "40") V(SQLSTATE_42, "42")                   \
	V(SQLSTATE_53, "53") V(SQLSTATE_57, "57") V(SQLSTATE_OTHER, "other")
#define METRIC_OUTCOME_VALUES(V)                                                         \
	V(OUTCOME_COMMIT, "commit") V(OUTCOME_ROLLBACK, "rollback")                      \
	V(OUTCOME_ABANDONED, "abandoned")
/* in the order of the bits of enum plan_pin */
#define METRIC_PIN_VALUES(V)                                                             \
	V(PIN_TEMP, "temporary") V(PIN_LISTEN, "listen") V(PIN_PREPARE, "prepare")       \
	V(PIN_HOLD, "hold") V(PIN_ADVISORY, "advisory") V(PIN_SETTING, "setting")        \
	V(PIN_LOAD, "load") V(PIN_LARGE, "large_statement")
#define METRIC_RELAY_VALUES(V) V(RELAY_PHYSICAL, "physical") V(RELAY_LOGICAL, "logical")
#define METRIC_SIDE_VALUES(V) V(SIDE_CLIENT, "client") V(SIDE_SERVER, "server")
#define METRIC_CACHE_VALUES(V) V(CACHE_L1, "l1") V(CACHE_REDIS, "redis")
#define METRIC_MEMORY_VALUES(V) V(MEMORY_L1, "l1")
#define METRIC_FILL_FAILURE_VALUES(V)                                                    \
	V(FILL_TOO_LARGE, "too_large") V(FILL_SERVER_ERROR, "server_error")              \
	V(FILL_INVALIDATED, "invalidated_during_fill")                                   \
	V(FILL_REDIS_ERROR, "redis_error") V(FILL_TIMEOUT, "timeout")                    \
	V(FILL_NOTICE, "notice") V(FILL_MEMORY, "out_of_memory")
#define METRIC_CAUSE_VALUES(V)                                                           \
	V(CAUSE_WRITE, "write") V(CAUSE_DDL, "ddl") V(CAUSE_ADMIN, "admin")              \
	V(CAUSE_VERSION, "version")
#define METRIC_COMMAND_VALUES(V)                                                         \
	V(COMMAND_GET, "get") V(COMMAND_SET, "set") V(COMMAND_PING, "ping")              \
	V(COMMAND_OTHER, "other")
#define METRIC_REDIS_FAILURE_VALUES(V)                                                   \
	V(REDIS_TIMEOUT, "timeout") V(REDIS_CONNECT, "connect") V(REDIS_OOM, "oom")      \
	V(REDIS_READONLY, "readonly") V(REDIS_LOADING, "loading")                        \
	V(REDIS_PROTOCOL, "protocol") V(REDIS_OTHER, "other")
#define METRIC_MATCH_VALUES(V) V(MATCH_EXACT, "exact")
#define METRIC_AUTH_VALUES(V)                                                            \
	V(AUTH_FOUND, "found") V(AUTH_NOBODY, "nobody") V(AUTH_FAILED, "failed")         \
	V(AUTH_CACHED, "cached")
#define METRIC_RELOAD_VALUES(V)                                                          \
	V(RELOAD_OK, "ok") V(RELOAD_REJECTED, "rejected") V(RELOAD_PARTIAL, "partial")

#ifdef METRIC_LABELS
METRIC_LABELS(ROUTE, "route", METRIC_ROUTE_VALUES)
METRIC_LABELS(CLIENT_STATE, "state", METRIC_CLIENT_STATE_VALUES)
METRIC_LABELS(CLOSED, "reason", METRIC_CLOSED_VALUES)
METRIC_LABELS(REJECTED, "reason", METRIC_REJECTED_VALUES)
METRIC_LABELS(POOL_STATE, "state", METRIC_POOL_STATE_VALUES)
METRIC_LABELS(CONNECT_FAILURE, "reason", METRIC_CONNECT_FAILURE_VALUES)
METRIC_LABELS(DISCONNECT, "reason", METRIC_DISCONNECT_VALUES)
METRIC_LABELS(SQLSTATE, "class", METRIC_SQLSTATE_VALUES)
METRIC_LABELS(OUTCOME, "outcome", METRIC_OUTCOME_VALUES)
METRIC_LABELS(PIN, "reason", METRIC_PIN_VALUES)
METRIC_LABELS(RELAY, "kind", METRIC_RELAY_VALUES)
METRIC_LABELS(SIDE, "side", METRIC_SIDE_VALUES)
METRIC_LABELS(CACHE, "cache", METRIC_CACHE_VALUES)
METRIC_LABELS(MEMORY, "cache", METRIC_MEMORY_VALUES)
METRIC_LABELS(FILL_FAILURE, "reason", METRIC_FILL_FAILURE_VALUES)
METRIC_LABELS(CAUSE, "cause", METRIC_CAUSE_VALUES)
METRIC_LABELS(COMMAND, "command", METRIC_COMMAND_VALUES)
METRIC_LABELS(REDIS_FAILURE, "reason", METRIC_REDIS_FAILURE_VALUES)
METRIC_LABELS(MATCH, "match", METRIC_MATCH_VALUES)
METRIC_LABELS(AUTH, "result", METRIC_AUTH_VALUES)
METRIC_LABELS(RELOAD, "result", METRIC_RELOAD_VALUES)
#endif
/* clang-format on */
