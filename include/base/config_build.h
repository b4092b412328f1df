#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A configuration while it is being built; for the config_*.c files only.  The file's
 * lines and then the environment go into it; what is wrong is noted and the work goes
 * on, so that all errors come out at once. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/config.h"
#include "base/map.h"
#include "base/span.h"

struct buf;
struct ini_entry;

#define CONFIG_MAX_STRINGS                                        \
	(64U << 20) /* bytes of text that one configuration holds \
		     */

#define CF_RELOAD 1U /* SIGHUP changes it */
#define CF_SECRET 2U /* has a password in it */

enum config_type {
	CONFIG_TYPE_BOOL,
	CONFIG_TYPE_INT,
	CONFIG_TYPE_DURATION,
	CONFIG_TYPE_SIZE,
	CONFIG_TYPE_STRING,
	CONFIG_TYPE_ENUM,
	CONFIG_TYPE_MODE,
	CONFIG_TYPE_CSTRING,
};

/* What a row's UNIT column stands for. */
struct config_unit {
	const char *const *words; /* of an ENUM */
	size_t n_words;
	uint64_t bare_ms; /* of a DURATION: milliseconds in 1 */
};

/* A row of tbl/config.h or of tbl/config_keys.h. */
struct config_option {
	const char *section;
	const char *name;
	enum config_type type;
	size_t offset; /* of the member */
	const char *def;
	uint64_t min;
	uint64_t max;
	const struct config_unit *unit;
	unsigned flags;
	const char *help;
};

/* What a struct config keeps to itself. */
struct config_private {
	atomic_uint refs;
	struct arena strings; /* every text of the configuration */
	struct config_database *databases;
	struct config_user *users;
	struct config_rule *rules;
	struct map database_map; /* name to position in the array (size_t) */
	struct map user_map;
	uint32_t next_database_index;
	uint32_t next_rule_index;
};

#define CONFIG_MAX_OPTIONS 128

struct config_build {
	struct config *config;
	struct config_private *private; /* config->private */
	struct config_errors *errors;
	const char *file; /* what is being read, for errors; NULL: at the end */
	unsigned line;
	bool no_memory;
	bool has_url; /* DATABASE_URL was given */
	bool url_has_password;
	bool section_is_unknown;	 /* lines of the current section are skipped */
	bool is_set[CONFIG_MAX_OPTIONS]; /* by the file or the environment */
};

/* Notes an error or a warning at the current line. */
void config_build_error(struct config_build *build, const char *fmt, ...)
    PRINTF_LIKE(2, 3);
void config_build_warning(struct config_build *build, const char *fmt, ...)
    PRINTF_LIKE(2, 3);
/* A copy of S that lives as long as the configuration; NULL (and no_memory) without
 * room. */
char *config_build_string(struct config_build *build, struct span s);

/* config_table.c: rows and their values. */
size_t config_n_options(void);
size_t config_option_index(const struct config_option *option);
const struct config_option *config_find_option(const char *section, const char *name);
const struct config_option *config_database_keys(size_t *n_out);
const struct config_option *config_user_keys(size_t *n_out);
/* Parses TEXT into the row's member of OBJECT; WHERE names it in the error.  False:
 * noted. */
bool config_option_parse(struct config_build *build, const struct config_option *option,
			 const char *where, struct span text, void *object);
/* Sets every option to its default. */
void config_option_defaults(struct config_build *build);
/* One setting of a plain section: an option, or one of PgBouncer's that is not ours. */
void config_build_setting(struct config_build *build, const char *section,
			  struct span name, struct span value);
/* Whether NAME is foreign in SECTION; says so and what became of it. */
bool config_build_foreign(struct config_build *build, const char *section,
			  const char *name, struct span value);
/* Appends the member's value; secrets masked when MASK. */
void config_option_format(const struct config_option *option, const void *object,
			  bool mask, struct buf *out);

/* config_lists.c: the lines of [databases] and [users]. */
typedef void (*config_pair_fn)(void *arg, struct span key, struct span value);
/* Walks `key=value key='with space'`; BACKSLASH: \' as libpq has it, instead of ''.
 * SCRATCH gets the unquoted values.  NULL, or what is wrong. */
const char *config_split_pairs(struct span text, bool backslash, struct buf *scratch,
			       config_pair_fn fn, void *arg);
void config_build_database(struct config_build *build, struct span name,
			   struct span value);
void config_build_user(struct config_build *build, struct span name, struct span value);
/* Room for one more in an array of N entries of SIZE bytes, which doubles at powers of
 * two; NULL (and no_memory) without it. */
void *config_build_grow(struct config_build *build, void *array, size_t n, size_t size);

/* config_servers.c: reads what the line DB says of servers: hosts, ports, sessions. */
void config_build_servers(struct config_build *build, struct config_database *db);
/* What only all lines together tell of them. */
void config_build_server_lists(struct config_build *build);

/* config_rules.c: the sections [rule NAME]. */
void config_build_rule(struct config_build *build, struct span name);
void config_build_rule_key(struct config_build *build, struct span rule,
			   struct span key, struct span value);
/* The entry of that name, made when it is not there; NULL past the limit (noted). */
struct config_database *config_build_database_slot(struct config_build *build,
						   struct span name);
struct config_user *config_build_user_slot(struct config_build *build,
					   struct span name);

/* config_env.c: the environment. */
void config_build_environment(struct config_build *build, char *const *environment);

/* config_check.c: what only the whole can tell; fills in what the lines left open. */
void config_build_finish(struct config_build *build);

/* config_dump.c: one entry as a line of the file. */
void config_database_text(const struct config_database *db, bool mask, struct buf *out);
void config_user_text(const struct config_user *user, struct buf *out);
void config_rule_text(const struct config_rule *rule, struct buf *out);
