/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Two names of one database (another host name, a socket) are two objects with two
 * tags: what is written under one name must move the tags of the others.  Which
 * database of which server each is says the answer of database_conf.c, and nothing is
 * stored under a name before that is known.
 *
 * A commit that was begun before two names knew of each other sees to it when it is
 * answered: commit_recheck(). */

#include <string.h>

#include "base/log.h"
#include "cache/versions.h"
#include "database_priv.h"

bool database_is_placed(const struct database *database)
{
	return atomic_load(&database->is_placed);
}

size_t database_aliases(struct database *database, struct database **out)
{
	if (database_is_placed(database)) {
		size_t n = atomic_load(&database->n_aliases);
		memcpy(out, database->aliases, n * sizeof(*out));
		return n;
	}
	size_t n = 0;
	for (struct database *other = databases_next(database->databases, NULL);
	     other != NULL && n < DATABASE_MAX_ALIASES;
	     other = databases_next(database->databases, other)) {
		if (other->tag != database->tag) {
			out[n++] = other;
		}
	}
	return n;
}

static bool database_has_alias(const struct database *database,
			       const struct database *other)
{
	size_t n = atomic_load(&database->n_aliases);
	for (size_t i = 0; i < n; i++) {
		if (database->aliases[i] == other) {
			return true;
		}
	}
	return false;
}

static void database_add_alias(struct database *database, struct database *other)
{
	size_t n = atomic_load(&database->n_aliases);
	if (n < DATABASE_MAX_ALIASES) {
		database->aliases[n] = other;
		atomic_store(&database->n_aliases, n + 1);
	} else if (!other->is_crowded) {
		other->is_crowded = true;
		log_error(NULL, "database %s has too many names: %s is not cached",
			  database->name, other->name);
		versions_begin(database->databases->versions,
			       versions_tag_db(other->tag));
	}
}

void database_find_aliases(struct database *database)
{
	const struct database_conf *conf = &database->conf;
	for (struct database *other = databases_next(database->databases, NULL);
	     other != NULL; other = databases_next(database->databases, other)) {
		if (other->tag == database->tag || !other->conf.is_known ||
		    other->conf.started_us != conf->started_us ||
		    other->conf.oid != conf->oid || other->is_crowded ||
		    database_has_alias(database, other)) {
			continue;
		}
		database_add_alias(database, other);
		database_add_alias(other, database);
		database_move(database);
		database_move(other);
		log_log(NULL, "databases %s and %s are the same: they share writes",
			database->name, other->name);
	}
}
