/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * What SHOW answers with, in PgBouncer's names, order and types:
 *
 *   CONSOLE_TABLE(ID, CONSOLE_COLUMN(TYPE, "name") ...)
 *
 * TYPE  TEXT; INT4; INT8; NUMERIC.  New columns come last. */

/* clang-format off */
#define CONSOLE_COUNTERS(prefix) \
	CONSOLE_COLUMN(NUMERIC, prefix "server_assignment_count") CONSOLE_COLUMN(NUMERIC, prefix "xact_count") \
	CONSOLE_COLUMN(NUMERIC, prefix "query_count")
#define CONSOLE_TIMES(prefix) \
	CONSOLE_COLUMN(NUMERIC, prefix "xact_time") CONSOLE_COLUMN(NUMERIC, prefix "query_time") \
	CONSOLE_COLUMN(NUMERIC, prefix "wait_time") CONSOLE_COLUMN(NUMERIC, prefix "client_parse_count") \
	CONSOLE_COLUMN(NUMERIC, prefix "server_parse_count") CONSOLE_COLUMN(NUMERIC, prefix "bind_count") \
	CONSOLE_COLUMN(NUMERIC, prefix "client_login_count")
#define CONSOLE_TOTALS_OF(prefix, received, sent) \
	CONSOLE_COUNTERS(prefix) \
	CONSOLE_COLUMN(NUMERIC, prefix received) CONSOLE_COLUMN(NUMERIC, prefix sent) \
	CONSOLE_TIMES(prefix)
#define CONSOLE_SOCKET \
	CONSOLE_COLUMN(TEXT, "type") CONSOLE_COLUMN(TEXT, "user") CONSOLE_COLUMN(TEXT, "database") \
	CONSOLE_COLUMN(TEXT, "replication") CONSOLE_COLUMN(TEXT, "state") CONSOLE_COLUMN(TEXT, "addr") \
	CONSOLE_COLUMN(INT4, "port") CONSOLE_COLUMN(TEXT, "local_addr") CONSOLE_COLUMN(INT4, "local_port") \
	CONSOLE_COLUMN(TEXT, "connect_time") CONSOLE_COLUMN(TEXT, "request_time") CONSOLE_COLUMN(INT4, "wait") \
	CONSOLE_COLUMN(INT4, "wait_us") CONSOLE_COLUMN(INT4, "close_needed") CONSOLE_COLUMN(TEXT, "ptr") \
	CONSOLE_COLUMN(TEXT, "link") CONSOLE_COLUMN(INT4, "remote_pid") CONSOLE_COLUMN(TEXT, "tls") \
	CONSOLE_COLUMN(TEXT, "application_name") CONSOLE_COLUMN(INT4, "prepared_statements") \
	CONSOLE_COLUMN(INT8, "id")

CONSOLE_TABLE(DATABASES,
	CONSOLE_COLUMN(TEXT, "name") CONSOLE_COLUMN(TEXT, "host") CONSOLE_COLUMN(INT4, "port")
	CONSOLE_COLUMN(TEXT, "database") CONSOLE_COLUMN(TEXT, "force_user") CONSOLE_COLUMN(INT4, "pool_size")
	CONSOLE_COLUMN(INT4, "min_pool_size") CONSOLE_COLUMN(INT4, "reserve_pool_size")
	CONSOLE_COLUMN(TEXT, "server_lifetime") CONSOLE_COLUMN(TEXT, "pool_mode")
	CONSOLE_COLUMN(TEXT, "load_balance_hosts") CONSOLE_COLUMN(INT4, "max_connections")
	CONSOLE_COLUMN(INT4, "current_connections") CONSOLE_COLUMN(INT4, "max_client_connections")
	CONSOLE_COLUMN(INT4, "current_client_connections") CONSOLE_COLUMN(INT4, "paused")
	CONSOLE_COLUMN(INT4, "disabled"))
CONSOLE_TABLE(POOLS,
	CONSOLE_COLUMN(TEXT, "database") CONSOLE_COLUMN(TEXT, "user") CONSOLE_COLUMN(INT4, "cl_active")
	CONSOLE_COLUMN(INT4, "cl_waiting") CONSOLE_COLUMN(INT4, "cl_active_cancel_req")
	CONSOLE_COLUMN(INT4, "cl_waiting_cancel_req") CONSOLE_COLUMN(INT4, "sv_active")
	CONSOLE_COLUMN(INT4, "sv_active_cancel") CONSOLE_COLUMN(INT4, "sv_being_canceled")
	CONSOLE_COLUMN(INT4, "sv_idle") CONSOLE_COLUMN(INT4, "sv_used") CONSOLE_COLUMN(INT4, "sv_tested")
	CONSOLE_COLUMN(INT4, "sv_login") CONSOLE_COLUMN(INT4, "maxwait") CONSOLE_COLUMN(INT4, "maxwait_us")
	CONSOLE_COLUMN(TEXT, "pool_mode") CONSOLE_COLUMN(TEXT, "load_balance_hosts"))
CONSOLE_TABLE(STATS,
	CONSOLE_COLUMN(TEXT, "database") CONSOLE_TOTALS_OF("total_", "received", "sent")
	CONSOLE_COUNTERS("avg_") CONSOLE_COLUMN(NUMERIC, "avg_recv") CONSOLE_COLUMN(NUMERIC, "avg_sent")
	CONSOLE_TIMES("avg_"))
CONSOLE_TABLE(STATS_TOTALS, CONSOLE_COLUMN(TEXT, "database") CONSOLE_TOTALS_OF("", "bytes_received", "bytes_sent"))
CONSOLE_TABLE(STATS_AVERAGES, CONSOLE_COLUMN(TEXT, "database") CONSOLE_TOTALS_OF("", "bytes_received", "bytes_sent"))
CONSOLE_TABLE(TOTALS, CONSOLE_COLUMN(TEXT, "name") CONSOLE_COLUMN(NUMERIC, "value"))
CONSOLE_TABLE(CLIENTS, CONSOLE_SOCKET)
CONSOLE_TABLE(SOCKETS,
	CONSOLE_SOCKET CONSOLE_COLUMN(INT4, "recv_pos") CONSOLE_COLUMN(INT4, "pkt_pos")
	CONSOLE_COLUMN(INT4, "pkt_remain") CONSOLE_COLUMN(INT4, "send_pos") CONSOLE_COLUMN(INT4, "send_remain")
	CONSOLE_COLUMN(INT4, "pkt_avail") CONSOLE_COLUMN(INT4, "send_avail"))
CONSOLE_TABLE(USERS,
	CONSOLE_COLUMN(TEXT, "name") CONSOLE_COLUMN(INT4, "pool_size") CONSOLE_COLUMN(INT4, "reserve_pool_size")
	CONSOLE_COLUMN(TEXT, "pool_mode") CONSOLE_COLUMN(INT4, "max_user_connections")
	CONSOLE_COLUMN(INT4, "current_connections") CONSOLE_COLUMN(INT4, "max_user_client_connections")
	CONSOLE_COLUMN(INT4, "current_client_connections"))
CONSOLE_TABLE(LISTS, CONSOLE_COLUMN(TEXT, "list") CONSOLE_COLUMN(INT4, "items"))
CONSOLE_TABLE(CONFIG,
	CONSOLE_COLUMN(TEXT, "key") CONSOLE_COLUMN(TEXT, "value") CONSOLE_COLUMN(TEXT, "default")
	CONSOLE_COLUMN(TEXT, "changeable"))
CONSOLE_TABLE(STATE, CONSOLE_COLUMN(TEXT, "key") CONSOLE_COLUMN(TEXT, "value"))
CONSOLE_TABLE(MEM,
	CONSOLE_COLUMN(TEXT, "name") CONSOLE_COLUMN(INT4, "size") CONSOLE_COLUMN(INT4, "used")
	CONSOLE_COLUMN(INT4, "free") CONSOLE_COLUMN(INT8, "memtotal"))
CONSOLE_TABLE(DNS_HOSTS, CONSOLE_COLUMN(TEXT, "hostname") CONSOLE_COLUMN(INT8, "ttl") CONSOLE_COLUMN(TEXT, "addrs"))
CONSOLE_TABLE(DNS_ZONES, CONSOLE_COLUMN(TEXT, "zonename") CONSOLE_COLUMN(INT8, "serial") CONSOLE_COLUMN(INT4, "count"))
CONSOLE_TABLE(PEERS,
	CONSOLE_COLUMN(INT4, "peer_id") CONSOLE_COLUMN(TEXT, "host") CONSOLE_COLUMN(INT4, "port")
	CONSOLE_COLUMN(INT4, "pool_size"))
CONSOLE_TABLE(PEER_POOLS,
	CONSOLE_COLUMN(INT4, "peer_id") CONSOLE_COLUMN(INT4, "cl_active_cancel_req")
	CONSOLE_COLUMN(INT4, "cl_waiting_cancel_req") CONSOLE_COLUMN(INT4, "sv_active_cancel")
	CONSOLE_COLUMN(INT4, "sv_login"))
CONSOLE_TABLE(FDS,
	CONSOLE_COLUMN(INT4, "fd") CONSOLE_COLUMN(TEXT, "task") CONSOLE_COLUMN(TEXT, "user")
	CONSOLE_COLUMN(TEXT, "database") CONSOLE_COLUMN(TEXT, "addr") CONSOLE_COLUMN(INT4, "port")
	CONSOLE_COLUMN(INT8, "cancel") CONSOLE_COLUMN(INT4, "link"))
CONSOLE_TABLE(VERSION, CONSOLE_COLUMN(TEXT, "version"))
CONSOLE_TABLE(CACHE, CONSOLE_COLUMN(TEXT, "name") CONSOLE_COLUMN(INT8, "value"))
/* clang-format on */
#undef CONSOLE_COUNTERS
#undef CONSOLE_TIMES
#undef CONSOLE_TOTALS_OF
#undef CONSOLE_SOCKET
