#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The configuration: an immutable snapshot with a reference count.  It is built whole
 * from the file and the environment and checked whole; a reload builds another one and
 * swaps the pointer.  Single settings come from one table, tbl/config.h: member,
 * parser, range check, dump and comparison are loops over it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/log.h"
#include "base/span.h"

struct buf;
struct config_errors;
struct config_private;

#define CONFIG_SEC  UINT64_C(1000) /* milliseconds */
#define CONFIG_DAY  (86400 * CONFIG_SEC)
#define CONFIG_YEAR (365 * CONFIG_DAY)
#define CONFIG_KB   UINT64_C(1024) /* bytes */
#define CONFIG_MB   (1024 * CONFIG_KB)
#define CONFIG_GB   (1024 * CONFIG_MB)

/* Bytes of a cached result at most: encrypted for a client that does not read, it must
 * fit behind what its stream has queued already (net/stream.h). */
#define CONFIG_MAX_RESULT (32 * CONFIG_MB)

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

/* One line of [databases], or DATABASE_URL.  Strings live as long as the configuration.
 */
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

#define CONFIG_MEMBER_BOOL(field, unit)	    bool field;
#define CONFIG_MEMBER_INT(field, unit)	    uint32_t field;
#define CONFIG_MEMBER_DURATION(field, unit) uint64_t field; /* milliseconds */
#define CONFIG_MEMBER_SIZE(field, unit)	    uint64_t field; /* bytes */
#define CONFIG_MEMBER_STRING(field, unit)   const char *field;
#define CONFIG_MEMBER_ENUM(field, unit)	    enum unit field;
#define CONFIG_MEMBER_MODE(field, unit)	    uint32_t field;

struct config {
	struct config_private *private; /* reference count and memory */
	const char *path;		/* of the file; NULL: none */
	const struct config_database *databases;
	size_t n_databases;
	const struct config_user *users;
	size_t n_users;
	const struct config_rule *rules; /* in the order of the file */
	size_t n_rules;
#define CONFIG(type, section, name, field, def, min, max, unit, flags, help) \
	CONFIG_MEMBER_##type(field, unit)
#include "tbl/config.h"
#undef CONFIG
};

#define CONFIG_E_INVALID 1 /* see the errors */

/* Reads the file PATH (NULL: none), then the environment (NULL: none), which is
 * stronger. 0 with one reference in *OUT; CONFIG_E_INVALID; or -ENOMEM.  ERRORS has
 * been initialised by the caller; it gets every error and warning at once. */
int config_load(const char *path, char *const *environment, struct config **out,
		struct config_errors *errors) MUST_CHECK;
/* The same with the text of a file instead of its path. */
int config_load_text(struct span text, char *const *environment, struct config **out,
		     struct config_errors *errors) MUST_CHECK;
struct config *config_ref(struct config *config);
/* Frees with the last reference; NULL is fine.  Any thread. */
void config_unref(struct config *config);
/* Before FRESH is published: databases and rules that OLD has too (by name) keep their
 * index; new ones get numbers that were never used. */
void config_inherit(struct config *fresh, const struct config *old);

/* The line for NAME, else the one for "*", else NULL. */
const struct config_database *config_find_database(const struct config *config,
						   struct span name);
const struct config_user *config_find_user(const struct config *config,
					   struct span name);
/* Whether NORMALIZED is the rule's query (or matches its expression); true without one.
 */
bool config_rule_matches_query(const struct config_rule *rule, const char *normalized);
/* Whether the rule names TABLE ("schema.name"); true when it names none. */
bool config_rule_matches_table(const struct config_rule *rule, const char *table);
/* Whether the line names several servers. */
bool config_has_hosts(const struct config_database *db);
/* How many items a comma-separated setting has; item I, or the last one when there are
 * fewer (p NULL: none). */
size_t config_list_count(const char *list);
struct span config_list_item(const char *list, size_t i);
/* The next item of a comma-separated setting: false at the end.  *AT begins as the
 * setting. */
bool config_next_item(const char **at, struct span *item_out);
bool config_has_item(const char *list, struct span item);
/* Threads to start: `workers`, or what 0 stands for on this machine. */
unsigned config_n_workers(const struct config *config);

/* One row of the table, for SHOW CONFIG, the dump and the comparison. */
struct config_option;
const struct config_option *config_option(size_t i); /* NULL past the last row */
const char *config_option_section(const struct config_option *option);
const char *config_option_name(const struct config_option *option);
const char *config_option_default(const struct config_option *option);
const char *config_option_help(const struct config_option *option);
bool config_option_is_reloadable(const struct config_option *option);
/* Appends the value as the file would have it; secrets masked. */
void config_option_text(const struct config_option *option, const struct config *config,
			struct buf *out);
/* Appends the whole configuration as a file, secrets masked. */
void config_dump(const struct config *config, struct buf *out);

/* OLD_TEXT and NEW_TEXT are NULL where a database, user or rule did not exist. */
typedef void (*config_diff_fn)(void *arg, const char *name, const char *old_text,
			       const char *new_text, bool needs_restart);
/* Calls FN for each setting that differs; NAME is "section.name". */
void config_diff(const struct config *old, const struct config *fresh,
		 config_diff_fn fn, void *arg);
