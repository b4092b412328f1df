/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Every command of the console, a row and one object in src/admin/console_*.c:
 *
 *   CONSOLE_COMMAND(ID, "words", ARGUMENT, ACCESS, object, "for the help")
 *
 * words     in capitals; the row with the most words that a text begins with is the one
 * ARGUMENT  NONE; MAYBE, MUST: a name; REST: the rest of the text, not looked at
 * ACCESS    STATS: admin_users and stats_users; ADMIN: admin_users
 * object    a struct console_command */

/* clang-format off */
CONSOLE_COMMAND(SHOW_HELP, "SHOW HELP", NONE, STATS, console_show_help, "")
CONSOLE_COMMAND(SHOW, "SHOW", NONE, STATS, console_show_help, "")
CONSOLE_COMMAND(SHOW_DATABASES, "SHOW DATABASES", NONE, STATS, console_show_databases, "databases and their limits")
CONSOLE_COMMAND(SHOW_POOLS, "SHOW POOLS", NONE, STATS, console_show_pools, "pools and what is in them")
CONSOLE_COMMAND(SHOW_STATS, "SHOW STATS", NONE, STATS, console_show_stats, "totals and averages of each database")
CONSOLE_COMMAND(SHOW_STATS_TOTALS, "SHOW STATS_TOTALS", NONE, STATS, console_show_stats_totals, "totals of each database")
CONSOLE_COMMAND(SHOW_STATS_AVERAGES, "SHOW STATS_AVERAGES", NONE, STATS, console_show_stats_averages, "averages of each database")
CONSOLE_COMMAND(SHOW_TOTALS, "SHOW TOTALS", NONE, STATS, console_show_totals, "totals of all databases")
CONSOLE_COMMAND(SHOW_CACHE, "SHOW CACHE", NONE, STATS, console_show_cache, "the cache in numbers")
CONSOLE_COMMAND(SHOW_CLIENTS, "SHOW CLIENTS", NONE, STATS, console_show_clients, "client connections")
CONSOLE_COMMAND(SHOW_SERVERS, "SHOW SERVERS", NONE, STATS, console_show_servers, "server connections")
CONSOLE_COMMAND(SHOW_SOCKETS, "SHOW SOCKETS", NONE, STATS, console_show_sockets, "both, with what is buffered")
CONSOLE_COMMAND(SHOW_ACTIVE_SOCKETS, "SHOW ACTIVE_SOCKETS", NONE, STATS, console_show_active_sockets, "those at work now")
CONSOLE_COMMAND(SHOW_USERS, "SHOW USERS", NONE, STATS, console_show_users, "users and their limits")
CONSOLE_COMMAND(SHOW_LISTS, "SHOW LISTS", NONE, STATS, console_show_lists, "how many there are of everything")
CONSOLE_COMMAND(SHOW_CONFIG, "SHOW CONFIG", NONE, STATS, console_show_config, "settings in force")
CONSOLE_COMMAND(SHOW_STATE, "SHOW STATE", NONE, STATS, console_show_state, "active or paused")
CONSOLE_COMMAND(SHOW_MEM, "SHOW MEM", NONE, STATS, console_show_mem, "memory by kind of object")
CONSOLE_COMMAND(SHOW_FDS, "SHOW FDS", NONE, ADMIN, console_show_fds, "file descriptors in use")
CONSOLE_COMMAND(SHOW_DNS_HOSTS, "SHOW DNS_HOSTS", NONE, STATS, console_show_dns_hosts, "empty: names are not kept")
CONSOLE_COMMAND(SHOW_DNS_ZONES, "SHOW DNS_ZONES", NONE, STATS, console_show_dns_zones, "empty: zones are not looked up")
CONSOLE_COMMAND(SHOW_PEERS, "SHOW PEERS", NONE, STATS, console_show_peers, "empty: one process has all threads")
CONSOLE_COMMAND(SHOW_PEER_POOLS, "SHOW PEER_POOLS", NONE, STATS, console_show_peer_pools, "empty")
CONSOLE_COMMAND(SHOW_VERSION, "SHOW VERSION", NONE, STATS, console_show_version, "the program's version")
CONSOLE_COMMAND(PAUSE, "PAUSE", MAYBE, ADMIN, console_pause, "ends server connections when they are released, and waits for that")
CONSOLE_COMMAND(RESUME, "RESUME", MAYBE, ADMIN, console_resume, "takes PAUSE and KILL back")
CONSOLE_COMMAND(DISABLE, "DISABLE", MUST, ADMIN, console_disable, "takes no new clients")
CONSOLE_COMMAND(ENABLE, "ENABLE", MUST, ADMIN, console_enable, "takes DISABLE back")
CONSOLE_COMMAND(RECONNECT, "RECONNECT", MAYBE, ADMIN, console_reconnect, "replaces server connections when they are released")
CONSOLE_COMMAND(WAIT_CLOSE, "WAIT_CLOSE", MAYBE, ADMIN, console_wait_close, "waits until RECONNECT and RELOAD have replaced them")
CONSOLE_COMMAND(KILL, "KILL", MAYBE, ADMIN, console_kill, "ends clients and server connections at once, and pauses")
CONSOLE_COMMAND(KILL_CLIENT, "KILL_CLIENT", MUST, ADMIN, console_kill_client, "ends the client with this id or ptr")
CONSOLE_COMMAND(RELOAD, "RELOAD", NONE, ADMIN, console_reload, "reads the configuration again")
CONSOLE_COMMAND(SHUTDOWN, "SHUTDOWN", NONE, ADMIN, console_shutdown, "ends the process at once")
CONSOLE_COMMAND(SHUTDOWN_SERVERS, "SHUTDOWN WAIT_FOR_SERVERS", NONE, ADMIN, console_shutdown_servers, "ends it when queries have ended")
CONSOLE_COMMAND(SHUTDOWN_CLIENTS, "SHUTDOWN WAIT_FOR_CLIENTS", NONE, ADMIN, console_shutdown_clients, "ends it when transactions have ended")
CONSOLE_COMMAND(SUSPEND, "SUSPEND", NONE, ADMIN, console_suspend, "refused: there is no take-over of sockets")
CONSOLE_COMMAND(SET, "SET", REST, STATS, console_set, "of a driver's settings: accepted; of pgrecall's: refused, see RELOAD")
CONSOLE_COMMAND(RESET, "RESET", REST, STATS, console_reset, "accepted")
CONSOLE_COMMAND(DISCARD, "DISCARD", REST, STATS, console_discard, "accepted")
CONSOLE_COMMAND(BEGIN, "BEGIN", REST, STATS, console_begin, "accepted; there are no transactions")
CONSOLE_COMMAND(START, "START TRANSACTION", REST, STATS, console_begin, "accepted")
CONSOLE_COMMAND(COMMIT, "COMMIT", REST, STATS, console_commit, "accepted")
CONSOLE_COMMAND(ROLLBACK, "ROLLBACK", REST, STATS, console_rollback, "accepted")
/* clang-format on */
