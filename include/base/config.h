#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The configuration: an immutable snapshot with a reference count.  It is built whole
 * from the file and the environment and checked whole; a reload builds another one and
 * swaps the pointer.  Single settings come from one table, tbl/config.h: member,
 * parser, range check, dump and comparison are loops over it.  The lines of lists are
 * in base/config_lists.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/config_lists.h"
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
