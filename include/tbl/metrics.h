/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Every family of /metrics, in the order of the page:
 *
 *   METRIC(TYPE, SCOPE, field, LABELS, LABELS2, UNIT, "name", "help.")
 *
 * TYPE    COUNTER; GAUGE (shards are added up); MAXIMUM (a gauge: the greatest shard counts);
 *         HISTOGRAM
 * SCOPE   PROCESS: member of struct metrics; DATABASE and POOL: of struct metrics_db, with
 *         labels {database} or {database, server}; REDIS: of struct metrics, label {node},
 *         shown when a Redis is configured; RULE: of struct metrics_rule, label {rule}
 * LABELS  a set of tbl/metric_labels.h, BYPASS (tbl/bypass_reasons.h), LEVEL
 *         (tbl/log_levels.h), or NONE.  The member is an array with a dimension for each
 * UNIT    NONE; BYTES; SECONDS: held in nanoseconds; AGE: seconds too, with the buckets of
 *         an entry's age; WHEN: a point in time, held in nanoseconds since 1970 */

/* clang-format off */
METRIC(GAUGE, PROCESS, start_time, NONE, NONE, WHEN, "pgrecall_start_time_seconds",
       "Unix time at which the daemon started serving.")
METRIC(GAUGE, PROCESS, ready, NONE, NONE, NONE, "pgrecall_ready",
       "1 when the daemon accepts clients and at least one server pool is usable.")
METRIC(COUNTER, PROCESS, cpu_time, NONE, NONE, SECONDS, "process_cpu_seconds_total",
       "Total user and system CPU time spent in seconds.")
METRIC(GAUGE, PROCESS, resident_memory, NONE, NONE, BYTES, "process_resident_memory_bytes",
       "Resident memory size in bytes.")
METRIC(GAUGE, PROCESS, virtual_memory, NONE, NONE, BYTES, "process_virtual_memory_bytes",
       "Virtual memory size in bytes.")
METRIC(GAUGE, PROCESS, open_fds, NONE, NONE, NONE, "process_open_fds",
       "Number of open file descriptors.")
METRIC(GAUGE, PROCESS, max_fds, NONE, NONE, NONE, "process_max_fds",
       "Maximum number of open file descriptors.")
METRIC(GAUGE, PROCESS, process_start_time, NONE, NONE, WHEN, "process_start_time_seconds",
       "Start time of the process since unix epoch in seconds.")
METRIC(HISTOGRAM, PROCESS, eventloop_lag, NONE, NONE, SECONDS, "pgrecall_eventloop_lag_seconds",
       "Delay between a timer's due time and its callback, over all event loops.")
METRIC(COUNTER, PROCESS, eventloop_iterations, NONE, NONE, NONE, "pgrecall_eventloop_iterations_total",
       "Event loop iterations.")
METRIC(GAUGE, PROCESS, config_reload_ok, NONE, NONE, NONE, "pgrecall_config_last_reload_successful",
       "Whether the last configuration reload succeeded.")
METRIC(GAUGE, PROCESS, config_reload_time, NONE, NONE, WHEN, "pgrecall_config_last_reload_success_timestamp_seconds",
       "Unix time of the last successful configuration reload.")
METRIC(COUNTER, PROCESS, config_reloads, RELOAD, NONE, NONE, "pgrecall_config_reloads_total",
       "Configuration reloads by result.")
METRIC(GAUGE, PROCESS, config_pending_restart, NONE, NONE, NONE, "pgrecall_config_pending_restart",
       "Number of changed settings that wait for a restart.")
METRIC(COUNTER, PROCESS, log_messages, LEVEL, NONE, NONE, "pgrecall_log_messages_total",
       "Log messages written, by level.")

METRIC(GAUGE, DATABASE, client_connections, CLIENT_STATE, NONE, NONE, "pgrecall_client_connections",
       "Client connections by state (SHOW POOLS cl_active, cl_waiting).")
METRIC(GAUGE, PROCESS, client_connections_max, NONE, NONE, NONE, "pgrecall_client_connections_max",
       "Configured max_client_conn.")
METRIC(GAUGE, PROCESS, replication_connections, RELAY, NONE, NONE, "pgrecall_replication_connections",
       "Replication clients, each with a server connection of its own outside the pools.")
METRIC(COUNTER, DATABASE, client_accepted, NONE, NONE, NONE, "pgrecall_client_connections_accepted_total",
       "Client connections accepted.")
METRIC(COUNTER, DATABASE, client_closed, CLOSED, NONE, NONE, "pgrecall_client_connections_closed_total",
       "Client connections closed, by reason.")
METRIC(COUNTER, PROCESS, client_rejected, REJECTED, NONE, NONE, "pgrecall_client_connections_rejected_total",
       "Client connections rejected before they were usable, by reason.")
METRIC(COUNTER, DATABASE, client_received, NONE, NONE, BYTES, "pgrecall_client_received_bytes_total",
       "Bytes received from clients.")
METRIC(COUNTER, DATABASE, client_sent, NONE, NONE, BYTES, "pgrecall_client_sent_bytes_total",
       "Bytes sent to clients.")
METRIC(HISTOGRAM, DATABASE, client_login, NONE, NONE, SECONDS, "pgrecall_client_login_duration_seconds",
       "Time from accept to ReadyForQuery.")

METRIC(COUNTER, PROCESS, auth_queries, AUTH, NONE, NONE, "pgrecall_auth_queries_total",
       "Users looked up with auth_query, by result; cached: no server was asked.")

METRIC(GAUGE, POOL, pool_connections, POOL_STATE, NONE, NONE, "pgrecall_pool_connections",
       "Server connections by state (SHOW POOLS sv_active, sv_idle, sv_login, sv_tested).")
METRIC(MAXIMUM, POOL, pool_connections_max, NONE, NONE, NONE, "pgrecall_pool_connections_max",
       "Configured pool_size (DB_POOL_MAX) of this pool.")
METRIC(MAXIMUM, POOL, pool_connections_min, NONE, NONE, NONE, "pgrecall_pool_connections_min",
       "Configured min_pool_size (DB_POOL_MIN) of this pool.")
METRIC(GAUGE, POOL, pool_waiting, NONE, NONE, NONE, "pgrecall_pool_waiting_clients",
       "Clients waiting for a server connection (SHOW POOLS cl_waiting).")
METRIC(MAXIMUM, POOL, pool_oldest_wait, NONE, NONE, SECONDS, "pgrecall_pool_oldest_wait_seconds",
       "Age of the oldest unserved client request (SHOW POOLS maxwait).")
METRIC(HISTOGRAM, POOL, pool_wait, NONE, NONE, SECONDS, "pgrecall_pool_wait_duration_seconds",
       "Time a client waited for a server connection, zero waits included.")
METRIC(COUNTER, POOL, pool_checkouts, NONE, NONE, NONE, "pgrecall_pool_checkouts_total",
       "Server connections handed to a client (SHOW STATS total_server_assignment_count).")
METRIC(COUNTER, DATABASE, pool_pins, PIN, NONE, NONE, "pgrecall_pool_pins_total",
       "Times that a client began to keep its server connection to itself, by reason.")
METRIC(GAUGE, DATABASE, pool_pinned, PIN, NONE, NONE, "pgrecall_pool_pinned_clients",
       "Clients that keep a server connection to themselves, by reason; one with two reasons counts for each.")
METRIC(COUNTER, POOL, pool_connects, NONE, NONE, NONE, "pgrecall_pool_connects_total",
       "Attempts to open a server connection.")
METRIC(COUNTER, POOL, pool_connect_failures, CONNECT_FAILURE, NONE, NONE, "pgrecall_pool_connect_failures_total",
       "Failed attempts to open a server connection, by reason.")
METRIC(HISTOGRAM, POOL, pool_connect, NONE, NONE, SECONDS, "pgrecall_pool_connect_duration_seconds",
       "Time from connect() to the server's first ReadyForQuery.")
METRIC(COUNTER, POOL, pool_disconnects, DISCONNECT, NONE, NONE, "pgrecall_pool_disconnects_total",
       "Server connections closed, by reason.")
METRIC(MAXIMUM, POOL, pool_backoff, NONE, NONE, SECONDS, "pgrecall_pool_backoff_seconds",
       "Seconds until the next connect attempt is allowed, 0 when not backing off.")
METRIC(MAXIMUM, POOL, server_up, NONE, NONE, NONE, "pgrecall_server_up",
       "1 when the last health check of this server succeeded.")

METRIC(COUNTER, DATABASE, queries, ROUTE, NONE, NONE, "pgrecall_queries_total",
       "Queries answered, by where the answer came from.")
METRIC(HISTOGRAM, DATABASE, query_duration, ROUTE, NONE, SECONDS, "pgrecall_query_duration_seconds",
       "Time from the last byte of a query to the last byte of its answer.")
METRIC(HISTOGRAM, POOL, query_server, NONE, NONE, SECONDS, "pgrecall_query_server_duration_seconds",
       "Time spent by PostgreSQL alone, for queries that were sent to it.")
METRIC(COUNTER, DATABASE, query_errors, SQLSTATE, NONE, NONE, "pgrecall_query_errors_total",
       "Error responses sent to clients, by SQLSTATE class.")
METRIC(COUNTER, DATABASE, transactions, OUTCOME, NONE, NONE, "pgrecall_transactions_total",
       "Transactions finished (SHOW STATS total_xact_count).")
METRIC(HISTOGRAM, DATABASE, transaction_duration, NONE, NONE, SECONDS, "pgrecall_transaction_duration_seconds",
       "Time a server connection was held by a transaction (SHOW STATS total_xact_time).")
METRIC(GAUGE, DATABASE, prepared_statements, SIDE, NONE, NONE, "pgrecall_prepared_statements",
       "Prepared statements known.")
METRIC(COUNTER, DATABASE, prepared_parses, SIDE, NONE, NONE, "pgrecall_prepared_statement_parses_total",
       "Parse messages seen from clients and sent to servers.")
METRIC(COUNTER, DATABASE, prepared_repairs, NONE, NONE, NONE, "pgrecall_prepared_statement_repairs_total",
       "Prepared statements that DDL had outdated and that were prepared again before the client noticed.")
METRIC(COUNTER, DATABASE, binds, NONE, NONE, NONE, "pgrecall_prepared_statement_binds_total",
       "Bind messages of clients.")
METRIC(COUNTER, DATABASE, query_cancels, NONE, NONE, NONE, "pgrecall_query_cancels_total",
       "Cancel requests forwarded.")
METRIC(COUNTER, DATABASE, slow_queries, NONE, NONE, NONE, "pgrecall_slow_queries_total",
       "Queries slower than slow_query_threshold (SLOW_QUERY_THRESHOLD).")
METRIC(GAUGE, PROCESS, listen_channels, NONE, NONE, NONE, "pgrecall_listen_channels",
       "Channels of all databases that pgrecall listens to for its clients.")
METRIC(COUNTER, PROCESS, listen_losses, NONE, NONE, NONE, "pgrecall_listen_connection_losses_total",
       "Connections that were lost while they listened; clients that listened were closed.")
METRIC(COUNTER, PROCESS, notifications_received, NONE, NONE, NONE, "pgrecall_notifications_received_total",
       "Notifications received by the connections that listen for clients.")
METRIC(COUNTER, PROCESS, notifications_sent, NONE, NONE, NONE, "pgrecall_notifications_sent_total",
       "Notifications sent to clients that listen in transaction mode.")
METRIC(GAUGE, PROCESS, fingerprints, NONE, NONE, NONE, "pgrecall_fingerprints",
       "Distinct statement shapes held now, over all workers.")
METRIC(COUNTER, PROCESS, fingerprints_evicted, NONE, NONE, NONE, "pgrecall_fingerprints_evicted_total",
       "Statement shapes dropped from the table because it was full; raise max_plans if it moves.")
METRIC(COUNTER, PROCESS, statement_parses, NONE, NONE, NONE, "pgrecall_statement_parses_total",
       "Statement shapes that were parsed.")
METRIC(COUNTER, PROCESS, statement_parse_time, NONE, NONE, SECONDS, "pgrecall_statement_parse_seconds_total",
       "Time spent parsing statement shapes.")

METRIC(COUNTER, PROCESS, cache_lookups, CACHE, NONE, NONE, "pgrecall_cache_lookups_total",
       "Lookups made in a cache tier.")
METRIC(COUNTER, PROCESS, cache_hits, CACHE, NONE, NONE, "pgrecall_cache_hits_total",
       "Lookups that were answered from a cache tier.")
METRIC(COUNTER, PROCESS, cache_bypasses, BYPASS, NONE, NONE, "pgrecall_cache_bypasses_total",
       "Queries that never looked into the cache, by reason.")
METRIC(COUNTER, PROCESS, cache_fills, CACHE, NONE, NONE, "pgrecall_cache_fills_total",
       "Results stored.")
METRIC(COUNTER, PROCESS, cache_fill_failures, CACHE, FILL_FAILURE, NONE, "pgrecall_cache_fill_failures_total",
       "Results that could not be stored, by reason.")
METRIC(COUNTER, PROCESS, cache_invalidations, CAUSE, NONE, NONE, "pgrecall_cache_invalidations_total",
       "Invalidation events, by cause.")
METRIC(COUNTER, PROCESS, cache_entries_invalidated, CAUSE, NONE, NONE, "pgrecall_cache_entries_invalidated_total",
       "Entries dropped by invalidation, by cause.")
METRIC(COUNTER, PROCESS, cache_expirations, CACHE, NONE, NONE, "pgrecall_cache_expirations_total",
       "Entries dropped because their TTL had passed.")
METRIC(COUNTER, PROCESS, cache_evictions, MEMORY, NONE, NONE, "pgrecall_cache_evictions_total",
       "Entries evicted to make room.")
METRIC(GAUGE, PROCESS, cache_entries, MEMORY, NONE, NONE, "pgrecall_cache_entries",
       "Entries held in process memory.")
METRIC(GAUGE, PROCESS, cache_memory, MEMORY, NONE, BYTES, "pgrecall_cache_memory_bytes",
       "Process memory held by cached results.")
METRIC(GAUGE, PROCESS, cache_memory_max, MEMORY, NONE, BYTES, "pgrecall_cache_memory_max_bytes",
       "Configured memory limit.")
METRIC(HISTOGRAM, PROCESS, cache_entry_age, CACHE, NONE, AGE, "pgrecall_cache_entry_age_seconds",
       "Age of an entry at the time it answered a query.")
METRIC(COUNTER, PROCESS, cache_saved, NONE, NONE, SECONDS, "pgrecall_cache_saved_seconds_total",
       "PostgreSQL time not spent because of hits (what the stored answer had cost, per hit).")
METRIC(COUNTER, RULE, rule_hits, NONE, NONE, NONE, "pgrecall_cache_rule_hits_total",
       "Hits by the rule that allowed them; rule names come from the configuration only.")
METRIC(COUNTER, RULE, rule_lookups, NONE, NONE, NONE, "pgrecall_cache_rule_lookups_total",
       "Lookups by the rule that allowed them.")
METRIC(COUNTER, PROCESS, vector_lookups, NONE, NONE, NONE, "pgrecall_vector_cache_lookups_total",
       "Similarity queries looked up in the cache.")
METRIC(COUNTER, PROCESS, vector_hits, MATCH, NONE, NONE, "pgrecall_vector_cache_hits_total",
       "Similarity queries answered from the cache.")

METRIC(MAXIMUM, REDIS, redis_up, NONE, NONE, NONE, "pgrecall_redis_up",
       "1 when the last PING to this Redis succeeded.")
METRIC(COUNTER, REDIS, redis_commands, COMMAND, NONE, NONE, "pgrecall_redis_commands_total",
       "Commands sent.")
METRIC(COUNTER, REDIS, redis_failures, REDIS_FAILURE, NONE, NONE, "pgrecall_redis_command_failures_total",
       "Commands that failed, by reason.")
METRIC(HISTOGRAM, REDIS, redis_duration, NONE, NONE, SECONDS, "pgrecall_redis_command_duration_seconds",
       "Round trip of a command.")
METRIC(GAUGE, REDIS, redis_pending, NONE, NONE, NONE, "pgrecall_redis_pipeline_depth",
       "Commands in flight.")
METRIC(MAXIMUM, REDIS, redis_circuit_open, NONE, NONE, NONE, "pgrecall_redis_circuit_open",
       "1 while Redis is skipped because it failed.")
METRIC(COUNTER, REDIS, redis_reconnects, NONE, NONE, NONE, "pgrecall_redis_reconnects_total",
       "Reconnects.")

METRIC(GAUGE, PROCESS, scrape_duration, NONE, NONE, SECONDS, "pgrecall_scrape_duration_seconds",
       "Time it took to render the page before this one.")
/* clang-format on */
