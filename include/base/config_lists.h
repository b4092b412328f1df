#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The lines of [databases], of [users] and the sections [rule NAME], as the
 * configuration has them.  Strings and arrays live as long as that. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_MAX_DATABASES 10000
#define CONFIG_MAX_USERS     10000
#define CONFIG_MAX_HOSTS     16 /* of one database */
#define CONFIG_MAX_RULES     1000

#define CONFIG_ENUM(id, text) id,
enum pool_mode {
#define CONFIG_ENUM_POOL_MODE
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_POOL_MODE
};
enum auth_type {
#define CONFIG_ENUM_AUTH_TYPE
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_AUTH_TYPE
};
enum sslmode { /* each asks for more than the one before */
#define CONFIG_ENUM_SSLMODE
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_SSLMODE
};
enum channel_binding {
#define CONFIG_ENUM_CHANNEL_BINDING
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_CHANNEL_BINDING
};
enum load_balance {
#define CONFIG_ENUM_LOAD_BALANCE
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_LOAD_BALANCE
};
enum log_format {
#define CONFIG_ENUM_LOG_FORMAT
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_LOG_FORMAT
};
enum rule_class {
#define CONFIG_ENUM_RULE_CLASS
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_RULE_CLASS
	RULE_CLASS_COUNT,
};
#undef CONFIG_ENUM

/* One line of [databases], or DATABASE_URL. */
struct config_database {
	const char *name;  /* "*": any name without a line of its own */
	const char *host;  /* name, address, socket directory, or several, separated by
			      commas; NULL: libpq's default */
	const char *ports; /* one, or one for each host; NULL: 5432 */
	uint16_t port;	   /* the first of them */
	enum load_balance load_balance_hosts;
	const char
	    *dbname; /* on the server; NULL for "*": the name that was asked for */
	const char
	    *user; /* logs in to the server whoever the client is; NULL: client's */
	const char *password;  /* towards the server; NULL: the user's */
	const char *auth_user; /* this and the next two: NULL: the global value */
	const char *auth_query;
	const char *auth_dbname;
	enum sslmode sslmode;	 /* this and the files: server_tls_* when not given */
	const char *sslrootcert; /* NULL: libpq's default, as with the next two */
	const char *sslcert;
	const char *sslkey;
	enum channel_binding channel_binding;
	const char *connect_query;   /* begins every session; NULL: none */
	const char *client_encoding; /* this and the next two: of sessions; NULL: the
					server's */
	const char *datestyle;
	const char *timezone;
	const char *options; /* the three as libpq's option of that name; NULL: none */
	bool cache;	    /* whether its reads may be cached; off for several hosts */
	uint32_t pool_size; /* this and the next: the global value when not given */
	uint32_t min_pool_size;
	uint32_t reserve_pool_size;
	enum pool_mode pool_mode;
	uint32_t max_db_connections;	    /* 0: no limit */
	uint32_t max_db_client_connections; /* 0: no limit */
	uint64_t query_wait_timeout_ms;
	uint64_t server_lifetime_ms;
	uint32_t index; /* a number of its own, kept over reloads (config_inherit()) */
	uint32_t given; /* bits of the rows of tbl/config_keys.h that its line has */
	bool has_pool_mode; /* given on its line: stronger than the user's */
	bool has_pool_size;
	bool has_reserve_pool_size;
};

/* One line of [users], or the user of DATABASE_URL. */
struct config_user {
	const char *name;
	const char *password; /* plain, for clients and servers; NULL: see auth_file */
	bool has_pool_mode;
	enum pool_mode pool_mode;
	uint32_t pool_size; /* 0: the database's */
	uint32_t reserve_pool_size;
	bool has_reserve_pool_size;
	uint32_t max_user_connections;	      /* 0: no limit */
	uint32_t max_user_client_connections; /* 0: no limit */
	uint64_t
	    query_timeout_ms; /* this and the next: the global value when not given */
	uint64_t query_wait_timeout_ms;
	bool has_query_wait_timeout;
	uint64_t idle_transaction_timeout_ms;
	uint64_t transaction_timeout_ms;
	uint64_t client_idle_timeout_ms;
	uint32_t given; /* as in struct config_database */
};

/* One [rule NAME] section.  All criteria that are given must match; rules are tried in
 * the order of the file. */
struct config_rule {
	const char *name;
	const uint64_t *fingerprints; /* any of them; none: any statement */
	size_t n_fingerprints;
	const char *const *tables; /* [schema.]name; any of them is read */
	size_t n_tables;
	const char *query; /* normalised text; NULL: any */
	void *regex;	   /* compiled, when query began with ~ */
	uint32_t classes;  /* bits 1 << enum rule_class; 0: any */
	bool enabled;	   /* false: never cached */
	int64_t ttl_ms;	   /* -1: the class's */
	uint64_t max_size; /* bytes; 0: max_result_size */
	uint32_t index;	   /* as in struct config_database */
};

/* The words that the file has for them. */
const char *config_pool_mode_word(enum pool_mode mode);
const char *config_load_balance_word(enum load_balance balance);

/* Whether NORMALIZED is the rule's query (or matches its expression); true without one.
 */
bool config_rule_matches_query(const struct config_rule *rule, const char *normalized);
/* Whether the rule names TABLE ("schema.name"); true when it names none. */
bool config_rule_matches_table(const struct config_rule *rule, const char *table);
/* Whether the line names several servers. */
bool config_has_hosts(const struct config_database *db);
