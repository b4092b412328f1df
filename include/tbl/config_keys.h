/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * What a line of [databases] or [users] may say, columns as in tbl/config.h:
 *
 *   DATABASE_KEY(TYPE, name, field, min, max, unit)
 *   USER_KEY(TYPE, name, field, min, max, unit)
 *
 * TYPE CSTRING is a const char * that is NULL when not given. */

/* clang-format off */
#ifdef DATABASE_KEY
/* the first ten are what DATABASE_URL says: base/config_env.c */
DATABASE_KEY(CSTRING, "host", host, 0, 1024, NONE)
DATABASE_KEY(CSTRING, "port", ports, 1, 256, NONE)
DATABASE_KEY(CSTRING, "dbname", dbname, 1, 63, NONE)
DATABASE_KEY(CSTRING, "user", user, 1, 63, NONE)
DATABASE_KEY(CSTRING, "password", password, 0, 1024, NONE)
DATABASE_KEY(ENUM, "sslmode", sslmode, 0, 0, sslmode)
DATABASE_KEY(CSTRING, "sslrootcert", sslrootcert, 0, 4096, NONE)
DATABASE_KEY(CSTRING, "sslcert", sslcert, 0, 4096, NONE)
DATABASE_KEY(CSTRING, "sslkey", sslkey, 0, 4096, NONE)
DATABASE_KEY(ENUM, "channel_binding", channel_binding, 0, 0, channel_binding)
DATABASE_KEY(CSTRING, "auth_user", auth_user, 0, 63, NONE)
DATABASE_KEY(CSTRING, "auth_query", auth_query, 0, 4096, NONE)
DATABASE_KEY(CSTRING, "auth_dbname", auth_dbname, 0, 63, NONE)
DATABASE_KEY(ENUM, "load_balance_hosts", load_balance_hosts, 0, 0, load_balance)
DATABASE_KEY(BOOL, "cache", cache, 0, 0, NONE)
DATABASE_KEY(CSTRING, "connect_query", connect_query, 0, 4096, NONE)
DATABASE_KEY(CSTRING, "client_encoding", client_encoding, 0, 64, NONE)
DATABASE_KEY(CSTRING, "datestyle", datestyle, 0, 64, NONE)
DATABASE_KEY(CSTRING, "timezone", timezone, 0, 256, NONE)
DATABASE_KEY(INT, "pool_size", pool_size, 1, 100000, NONE)
DATABASE_KEY(INT, "min_pool_size", min_pool_size, 0, 100000, NONE)
DATABASE_KEY(INT, "reserve_pool_size", reserve_pool_size, 0, 100000, NONE)
DATABASE_KEY(INT, "reserve_pool", reserve_pool_size, 0, 100000, NONE)
DATABASE_KEY(ENUM, "pool_mode", pool_mode, 0, 0, pool_mode)
DATABASE_KEY(INT, "max_db_connections", max_db_connections, 0, 100000, NONE)
DATABASE_KEY(INT, "max_db_client_connections", max_db_client_connections, 0, 1000000, NONE)
DATABASE_KEY(DURATION, "query_wait_timeout", query_wait_timeout_ms, 0, CONFIG_YEAR, S)
DATABASE_KEY(DURATION, "server_lifetime", server_lifetime_ms, 0, CONFIG_YEAR, S)
#endif
#ifdef USER_KEY
USER_KEY(ENUM, "pool_mode", pool_mode, 0, 0, pool_mode)
USER_KEY(INT, "pool_size", pool_size, 1, 100000, NONE)
USER_KEY(INT, "reserve_pool_size", reserve_pool_size, 0, 100000, NONE)
USER_KEY(INT, "max_user_client_connections", max_user_client_connections, 0, 1000000, NONE)
USER_KEY(INT, "max_user_connections", max_user_connections, 0, 100000, NONE)
USER_KEY(DURATION, "query_timeout", query_timeout_ms, 0, CONFIG_YEAR, S)
USER_KEY(DURATION, "query_wait_timeout", query_wait_timeout_ms, 0, CONFIG_YEAR, S)
USER_KEY(DURATION, "idle_transaction_timeout", idle_transaction_timeout_ms, 0, CONFIG_YEAR, S)
USER_KEY(DURATION, "transaction_timeout", transaction_timeout_ms, 0, CONFIG_YEAR, S)
USER_KEY(DURATION, "client_idle_timeout", client_idle_timeout_ms, 0, CONFIG_YEAR, S)
#endif
/* clang-format on */
