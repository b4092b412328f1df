#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The settings of a session, interned: two sessions with the same database, users and
 * settings have the same context, so that comparing pointers tells whether a server
 * connection needs any SET before a client may use it, and the id of its cache part
 * stands for all of it in a cache key.  Immutable, reference-counted, shared by all
 * workers.
 *
 * A context is a base (database, user and what the server's settings are when nobody
 * has touched them) and the settings that the client changed, sorted by name.  Some
 * settings do not change answers (application_name, time limits): the cache part leaves
 * them out. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/dlist.h"
#include "base/span.h"

#define CONTEXT_MAX_SETTINGS 64
/* Contexts that nobody has are kept for whoever comes with the same settings: its id is
 * in the keys of what is cached. */
#define CONTEXT_MAX_UNUSED 1024
#define CONTEXT_MAX_TEXT   16384 /* bytes of all names and values */

struct context_setting {
	const char *name;  /* lower case */
	const char *value; /* as set_config() takes it */
};

struct context {
	atomic_uint refs;
	uint64_t id; /* never used again in this process */
	uint64_t hash;
	uint64_t path_id;      /* stands for database, user, role and search_path */
	uint64_t parse_id;     /* stands for path_id and the settings that constants are
				  read     through: what a statement is prepared under */
	struct dlist link;     /* in its bucket */
	struct dlist unused;   /* in the list of those without a reference */
	struct context *cache; /* its cache part: itself, or another one it holds */
	const char *database;
	const char *user;
	const char *base;	  /* "name=value" lines of the server's own settings */
	struct span current_user; /* the role or session_authorization, else user */
	struct span search_path;  /* p is NULL: not known */
	unsigned n;
	struct context_setting at[CONTEXT_MAX_SETTINGS];
	size_t text_len;
	char text[]; /* everything above, each with its zero: the identity, and the key
			in Redis */
};

/* The context without any setting.  NULL without memory or over the limits. */
struct context *context_base(struct span database, struct span user, struct span base);
/* The same for the database, user and base of CONTEXT. */
struct context *context_own_base(const struct context *context);
/* Puts CONTEXT in place of *AT: takes its reference and ends that of what was there. */
void context_assign(struct context **at, struct context *context);
/* CONTEXT with NAME set to VALUE, or without it when VALUE is NULL; a new reference.
 * NULL without memory or over the limits. */
struct context *context_with(struct context *context, const char *name,
			     const char *value);
/* The settings of CONTEXT over the base of OTHER. */
struct context *context_rebase(struct context *context, struct context *other);
struct context *context_ref(struct context *context);
/* NULL is fine. */
void context_unref(struct context *context);
/* The value the client gave, or NULL. */
const char *context_get(const struct context *context, const char *name);
/* The value in force: the client's or the base's; false when neither is known. */
bool context_effective(const struct context *context, const char *name,
		       struct span *value_out);
/* Whether the setting decides what a statement means: how its constants are read, which
 * PostgreSQL does once, when it is prepared, or which relations its names are of. */
bool context_is_of_parse(const char *name);
/* The parse_id of a session in which NAME has been set to VALUE for a while. */
uint64_t context_parse_id_with(uint64_t parse_id, const char *name, const char *value);
/* Whether that needs a RESET: FROM has settings that TO leaves to the server. */
SELDOM bool context_must_reset(const struct context *from, const struct context *to);
/* Appends the statements that turn a session in FROM into one in TO, each with its
 * zero. */
void context_diff(const struct context *from, const struct context *to,
		  struct buf *out);
/* Appends the statement, with its zero, that sets NAME as CONTEXT has it, which it must
 * have, where it is at its default; LOCAL: until the transaction ends. */
void context_set_again(const struct context *context, const char *name, bool local,
		       struct buf *out);
