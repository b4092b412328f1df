/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Every setting of the sections that are not lists:
 *
 *   CONFIG(TYPE, section, name, field, default, min, max, unit, flags, "sentence.")
 *
 * TYPE      member of struct config            text
 * BOOL      bool                               on/off, true/false, yes/no, 1/0
 * INT       uint32_t                           decimal
 * DURATION  uint64_t, milliseconds             us ms s min h d; bare: in UNIT (S or MS)
 * SIZE      uint64_t, bytes                    B kB MB GB (and KiB..), powers of 1024
 * STRING    const char *, never NULL           as it is
 * ENUM      enum UNIT                          one of the words in tbl/config_enums.h
 * MODE      uint32_t                           octal
 *
 * min and max are in the member's unit (for STRING: bytes).  CF_RELOAD: SIGHUP changes it;
 * the others wait for a restart.  CF_SECRET: shown with its password left out.  Those of TLS
 * and of the cache are in files of their own. */

/* clang-format off */
CONFIG(STRING, "pgrecall", "listen_addr", listen_addr, "127.0.0.1", 0, 4096, NONE, 0,
       "Addresses to listen on for clients, separated by commas; * means all, empty none.")
CONFIG(INT, "pgrecall", "listen_port", listen_port, "6432", 1, 65535, NONE, 0,
       "TCP port to listen on for clients.")
CONFIG(STRING, "pgrecall", "unix_socket_dir", unix_socket_dir, "", 0, 90, NONE, 0,
       "Directory of the Unix socket for clients, @name for one without a file (which all users reach); empty means none.")
CONFIG(MODE, "pgrecall", "unix_socket_mode", unix_socket_mode, "0700", 0, 0777, NONE, 0,
       "File mode of the Unix socket.")
CONFIG(STRING, "pgrecall", "unix_socket_group", unix_socket_group, "", 0, 64, NONE, 0,
       "Group of the Unix socket's file, by name or number; empty means the process's own.")
CONFIG(INT, "pgrecall", "listen_backlog", listen_backlog, "1024", 1, 65535, NONE, 0,
       "Connections that the kernel may queue before they are accepted.")
CONFIG(INT, "pgrecall", "workers", workers, "0", 0, 64, NONE, 0,
       "Threads that serve clients; 0 means one for each core, at most 4.")
CONFIG(ENUM, "pgrecall", "pool_mode", pool_mode, "transaction", 0, 0, pool_mode, CF_RELOAD,
       "When a server connection goes back to its pool: session, transaction, or statement, which forbids BEGIN.")
CONFIG(ENUM, "pgrecall", "auth_type", auth_type, "scram-sha-256", 0, 0, auth_type, CF_RELOAD,
       "How clients log in: trust, any, plain (also called password), md5, scram-sha-256, cert, peer, or hba: as auth_hba_file says.")
CONFIG(STRING, "pgrecall", "auth_file", auth_file, "", 0, 4096, NONE, CF_RELOAD,
       "File with one \"user\" \"password, MD5 or SCRAM secret\" per line, as PgBouncer's.")
CONFIG(STRING, "pgrecall", "auth_user", auth_user, "", 0, 63, NONE, CF_RELOAD,
       "Who asks the server, with auth_query, for users that auth_file does not have; empty means nobody.")
CONFIG(STRING, "pgrecall", "auth_query", auth_query, "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin", 0, 4096, NONE, CF_RELOAD,
       "Asks for the user $1; gives the name and the password or secret. The search_path is empty: names of your own need their schema.")
CONFIG(STRING, "pgrecall", "auth_dbname", auth_dbname, "", 0, 63, NONE, CF_RELOAD,
       "Name in [databases] that auth_query is asked in; empty means the client's own database.")
CONFIG(DURATION, "pgrecall", "auth_query_cache_ttl", auth_query_cache_ttl_ms, "10s", 0, CONFIG_DAY, S, CF_RELOAD,
       "How long an answer of auth_query may be used again; 0 means it is asked for each login.")
CONFIG(STRING, "pgrecall", "admin_users", admin_users, "", 0, 4096, NONE, CF_RELOAD,
       "Users, separated by commas, who may do everything on the console (database pgrecall or pgbouncer).")
CONFIG(STRING, "pgrecall", "stats_users", stats_users, "", 0, 4096, NONE, CF_RELOAD,
       "Users, separated by commas, who may look on the console and change nothing.")
CONFIG(DURATION, "pgrecall", "stats_period", stats_period_ms, "60s", 1000, CONFIG_DAY, S, CF_RELOAD,
       "Over how long the averages of SHOW STATS are taken.")
CONFIG(STRING, "pgrecall", "auth_hba_file", auth_hba_file, "", 0, 4096, NONE, CF_RELOAD,
       "File that says who may log in from where and how, as PostgreSQL's pg_hba.conf; for auth_type = hba.")
CONFIG(STRING, "pgrecall", "auth_ident_file", auth_ident_file, "", 0, 4096, NONE, CF_RELOAD,
       "File with the maps that auth_hba_file names, as PostgreSQL's pg_ident.conf.")
CONFIG(INT, "pgrecall", "max_client_conn", max_client_conn, "5000", 1, 1000000, NONE, CF_RELOAD,
       "Client connections that are accepted at most.")
CONFIG(INT, "pgrecall", "max_replication_connections", max_replication_connections, "10", 0, 100000, NONE, CF_RELOAD,
       "Replication clients at most, each with a server connection of its own outside the pools; as max_wal_senders.")
CONFIG(INT, "pgrecall", "default_pool_size", default_pool_size, "50", 1, 100000, NONE, CF_RELOAD,
       "Server connections of one pool (database and user) at most.")
CONFIG(INT, "pgrecall", "min_pool_size", min_pool_size, "10", 0, 100000, NONE, CF_RELOAD,
       "Server connections that a pool in use keeps open.")
CONFIG(INT, "pgrecall", "reserve_pool_size", reserve_pool_size, "0", 0, 100000, NONE, CF_RELOAD,
       "Server connections beyond its size that a pool may open for clients that have waited for long.")
CONFIG(DURATION, "pgrecall", "reserve_pool_timeout", reserve_pool_timeout_ms, "5s", 0, CONFIG_YEAR, S, CF_RELOAD,
       "How long a client must have waited before the reserve is used; 0 means that there is none.")
CONFIG(INT, "pgrecall", "max_db_client_connections", max_db_client_connections, "0", 0, 1000000, NONE, CF_RELOAD,
       "Clients of one database at most, over all users; 0 means no limit.")
CONFIG(INT, "pgrecall", "max_user_client_connections", max_user_client_connections, "0", 0, 1000000, NONE, CF_RELOAD,
       "Clients of one user at most, over all databases; 0 means no limit.")
CONFIG(INT, "pgrecall", "max_db_connections", max_db_connections, "0", 0, 100000, NONE, CF_RELOAD,
       "Server connections of one database at most, over all users; 0 means no limit.")
CONFIG(INT, "pgrecall", "max_user_connections", max_user_connections, "0", 0, 100000, NONE, CF_RELOAD,
       "Server connections of one user at most, over all databases; 0 means no limit.")
CONFIG(DURATION, "pgrecall", "query_wait_timeout", query_wait_timeout_ms, "15s", 0, CONFIG_YEAR, S, CF_RELOAD,
       "How long a client waits for a server connection before it gets an error; 0 means for ever.")
CONFIG(DURATION, "pgrecall", "query_wait_notify", query_wait_notify_ms, "5s", 0, CONFIG_YEAR, S, CF_RELOAD,
       "After how long a client that waits for a server connection is sent a notice; 0 means never.")
CONFIG(DURATION, "pgrecall", "client_login_timeout", client_login_timeout_ms, "60s", 0, CONFIG_YEAR, S, CF_RELOAD,
       "How long a client may take to log in; 0 means for ever.")
CONFIG(DURATION, "pgrecall", "client_idle_timeout", client_idle_timeout_ms, "0", 0, CONFIG_YEAR, S, CF_RELOAD,
       "Clients idle for longer are closed; 0 means never.")
CONFIG(DURATION, "pgrecall", "idle_transaction_timeout", idle_transaction_timeout_ms, "0", 0, CONFIG_YEAR, S, CF_RELOAD,
       "Clients idle inside a transaction for longer are closed; 0 means never.")
CONFIG(DURATION, "pgrecall", "query_timeout", query_timeout_ms, "0", 0, CONFIG_YEAR, S, CF_RELOAD,
       "Queries that run for longer are cancelled and their client closed; 0 means never.")
CONFIG(DURATION, "pgrecall", "transaction_timeout", transaction_timeout_ms, "0", 0, CONFIG_YEAR, S, CF_RELOAD,
       "Clients whose transaction lasts longer are closed; 0 means never.")
CONFIG(DURATION, "pgrecall", "server_idle_timeout", server_idle_timeout_ms, "30s", 0, CONFIG_YEAR, S, CF_RELOAD,
       "Server connections above min_pool_size that are idle for longer are closed; 0 means never.")
CONFIG(DURATION, "pgrecall", "autodb_idle_timeout", autodb_idle_timeout_ms, "1h", 0, CONFIG_YEAR, S, CF_RELOAD,
       "Databases of the line * and their pools are forgotten when unused for longer; 0 means never.")
CONFIG(DURATION, "pgrecall", "server_lifetime", server_lifetime_ms, "1h", 0, CONFIG_YEAR, S, CF_RELOAD,
       "Server connections older than this are closed when idle; 0 means at their first release.")
CONFIG(DURATION, "pgrecall", "server_connect_timeout", server_connect_timeout_ms, "15s", 1, CONFIG_YEAR, S, CF_RELOAD,
       "How long connecting and logging in to a server may take.")
CONFIG(DURATION, "pgrecall", "server_login_retry", server_login_retry_ms, "1s", 1, CONFIG_YEAR, S, CF_RELOAD,
       "Pause after a failed connection to a server; doubles with each failure.")
CONFIG(DURATION, "pgrecall", "server_login_retry_max", server_login_retry_max_ms, "15s", 1, CONFIG_YEAR, S, CF_RELOAD,
       "Longest pause after failed connections to a server.")
CONFIG(DURATION, "pgrecall", "server_check_delay", server_check_delay_ms, "30s", 0, CONFIG_YEAR, S, CF_RELOAD,
       "A server connection idle for longer is tested before a client gets it.")
CONFIG(STRING, "pgrecall", "server_reset_query", server_reset_query, "DISCARD ALL", 0, 4096, NONE, CF_RELOAD,
       "Sent when a client leaves a server connection whose session may have been changed; empty means DISCARD ALL.")
CONFIG(DURATION, "pgrecall", "cancel_wait_timeout", cancel_wait_timeout_ms, "10s", 0, CONFIG_YEAR, S, CF_RELOAD,
       "How long a server connection may take to become usable again when its client has left, and a cancel request to be answered; 0 means for ever.")
CONFIG(INT, "pgrecall", "max_prepared_statements", max_prepared_statements, "200", 1, 100000, NONE, CF_RELOAD,
       "Prepared statements kept on one server connection; the least recently used go first.")
CONFIG(INT, "pgrecall", "max_client_prepared_statements", max_client_prepared_statements, "5000", 1, 1000000, NONE, CF_RELOAD,
       "Prepared statements that one client may have.")
CONFIG(SIZE, "pgrecall", "prepared_statements_memory", prepared_statements_memory, "256MB", CONFIG_MB, 1024 * CONFIG_GB, NONE, CF_RELOAD,
       "Memory for the texts of all clients' prepared statements; a Parse over it is refused (53200).")
CONFIG(INT, "pgrecall", "max_client_channels", max_client_channels, "1000", 1, 1000000, NONE, CF_RELOAD,
       "Channels that one client may LISTEN to in transaction mode.")
CONFIG(INT, "pgrecall", "max_database_channels", max_database_channels, "10000", 1, 1000000, NONE, CF_RELOAD,
       "Channels of one database that pgrecall listens to for its clients.")
CONFIG(SIZE, "pgrecall", "max_client_notifications", max_client_notifications, "4MB", 256 * CONFIG_KB, CONFIG_GB, NONE, CF_RELOAD,
       "Bytes that may wait for a client when a notification comes; more, and it is closed.")
CONFIG(STRING, "pgrecall", "ignore_startup_parameters", ignore_startup_parameters, "", 0, 4096, NONE, CF_RELOAD,
       "Start-up parameters of clients that are dropped, separated by commas.")
CONFIG(SIZE, "pgrecall", "max_packet_size", max_packet_size, "1073741823", 1024, 2147483647, NONE, CF_RELOAD,
       "Largest protocol message that passes, bytes.")
CONFIG(SIZE, "pgrecall", "pkt_buf", pkt_buf, "64kB", 4096, 16 * CONFIG_MB, NONE, 0,
       "Receive buffer of a worker, shared by its connections.")
CONFIG(SIZE, "pgrecall", "client_out_high", client_out_high, "256kB", 16 * CONFIG_KB, CONFIG_GB, NONE, CF_RELOAD,
       "Bytes queued towards a slow peer before reading from the other side stops.")
CONFIG(SIZE, "pgrecall", "client_hold_max", client_hold_max, "1MB", 16 * CONFIG_KB, CONFIG_GB, NONE, CF_RELOAD,
       "Largest message that is kept whole in order to be understood; larger ones stream through.")
CONFIG(BOOL, "pgrecall", "tcp_keepalive", tcp_keepalive, "1", 0, 0, NONE, CF_RELOAD,
       "Whether TCP keepalive is switched on, towards clients and servers.")
CONFIG(DURATION, "pgrecall", "tcp_keepidle", tcp_keepidle_ms, "0", 0, 32767 * CONFIG_SEC, S, CF_RELOAD,
       "How long a connection is silent before TCP keepalive probes it; 0 means the system's default.")
CONFIG(DURATION, "pgrecall", "tcp_keepintvl", tcp_keepintvl_ms, "0", 0, 32767 * CONFIG_SEC, S, CF_RELOAD,
       "Pause between keepalive probes; 0 means the system's default.")
CONFIG(INT, "pgrecall", "tcp_keepcnt", tcp_keepcnt, "0", 0, 127, NONE, CF_RELOAD,
       "Keepalive probes without an answer before a connection counts as lost; 0 means the system's default.")
CONFIG(DURATION, "pgrecall", "tcp_user_timeout", tcp_user_timeout_ms, "0", 0, CONFIG_DAY, MS, CF_RELOAD,
       "How long sent bytes may stay unacknowledged before a connection is dropped; 0 means the system's default.")
CONFIG(DURATION, "pgrecall", "shutdown_timeout", shutdown_timeout_ms, "60s", 0, CONFIG_DAY, S, CF_RELOAD,
       "How long SIGTERM waits for transactions to finish; 0 means for ever.")
CONFIG(DURATION, "pgrecall", "slow_query_threshold", slow_query_threshold_ms, "1000ms", 0, CONFIG_YEAR, MS, CF_RELOAD,
       "Queries that take at least this long are logged; 0 means none.")
CONFIG(BOOL, "pgrecall", "log_connections", log_connections, "1", 0, 0, NONE, CF_RELOAD,
       "Whether each login of a client is logged.")
CONFIG(BOOL, "pgrecall", "log_disconnections", log_disconnections, "1", 0, 0, NONE, CF_RELOAD,
       "Whether each end of a client is logged, with its reason.")
CONFIG(INT, "pgrecall", "scram_iterations", scram_iterations, "4096", 4096, 1000000, NONE, CF_RELOAD,
       "Iterations of SCRAM-SHA-256 for secrets derived from plain passwords.")
#include "tbl/config_tls.h"
CONFIG(BOOL, "pgrecall", "application_name_add_host", application_name_add_host, "0", 0, 0, NONE, CF_RELOAD,
       "Whether the client's address is added to its application_name.")
CONFIG(DURATION, "pgrecall", "catalog_refresh", catalog_refresh_ms, "60s", 1000, CONFIG_DAY, S, CF_RELOAD,
       "How often each database's catalogue is read again.")

#include "tbl/config_cache.h"

CONFIG(STRING, "http", "listen", http_listen, "127.0.0.1:9187", 0, 300, NONE, 0,
       "Address and port of /metrics and the health pages; empty means none.")
CONFIG(INT, "http", "max_connections", http_max_connections, "64", 1, 10000, NONE, CF_RELOAD,
       "HTTP connections at most.")
CONFIG(DURATION, "http", "timeout", http_timeout_ms, "10s", 1, 3600 * CONFIG_SEC, S, CF_RELOAD,
       "How long one HTTP request may take in all.")

CONFIG(ENUM, "log", "level", log_level, "info", 0, 0, log_level, CF_RELOAD,
       "Least grave messages that are written: fatal error warning log info debug.")
CONFIG(ENUM, "log", "format", log_format, "text", 0, 0, log_format, CF_RELOAD,
       "Form of log lines: text or json.")
CONFIG(BOOL, "log", "parameters", log_parameters, "off", 0, 0, NONE, CF_RELOAD,
       "Whether the values of parameters are written with slow queries.")

CONFIG(DURATION, "monitor", "interval", monitor_interval_ms, "60s", 100, CONFIG_DAY, S, CF_RELOAD,
       "How often servers are checked.")
/* clang-format on */
