/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Tags of prepared transactions: in flight from PREPARE TRANSACTION on, by gid, until
 * COMMIT PREPARED or ROLLBACK PREPARED comes, perhaps from another client. */

#include <stdlib.h>
#include <string.h>

#include "database_priv.h"

struct prepared {
	uint64_t *tags; /* owned */
	size_t n;
	char gid[];
};

static void prepared_free(struct prepared *prepared)
{
	if (prepared != NULL) {
		free(prepared->tags);
		free(prepared);
	}
}

static struct prepared *prepared_new(struct span gid)
{
	struct prepared *prepared =
	    calloc(1, FLEX_SIZE(struct prepared, gid, gid.n ? gid.n : 1));
	if (prepared != NULL) {
		memcpy(prepared->gid, gid.p, gid.n);
	}
	return prepared;
}

static bool prepared_add(struct prepared *prepared, const uint64_t *tags, size_t n)
{
	if (n > DATABASE_MAX_TAGS - prepared->n) {
		return false;
	}
	uint64_t *grown = realloc(prepared->tags, (prepared->n + n) * sizeof(*tags));
	if (grown == NULL) {
		return false;
	}
	memcpy(grown + prepared->n, tags, n * sizeof(*tags));
	prepared->tags = grown;
	prepared->n += n;
	return true;
}

void database_prepared_init(struct database *database)
{
	map_init(&database->prepared, DATABASE_MAX_PREPARED);
}

void database_prepared_fini(struct database *database)
{
	struct prepared *prepared;
	map_each (prepared, at, &database->prepared) {
		prepared_free(prepared);
	}
	map_fini(&database->prepared);
}

/* The gid is there already when its transaction was finished by somebody else: then the
 * tags of both end together. */
static bool database_keep_prepared(struct database *database, struct span gid,
				   const uint64_t *tags, size_t n)
{
	struct prepared *old = map_get(&database->prepared, gid);
	if (old != NULL) {
		return prepared_add(old, tags, n);
	}
	struct prepared *fresh = prepared_new(gid);
	if (fresh == NULL || !prepared_add(fresh, tags, n) ||
	    map_put(&database->prepared, span_make(fresh->gid, gid.n), fresh) != 0) {
		prepared_free(fresh);
		return false;
	}
	return true;
}

bool database_prepared(struct database *database, struct span gid, const uint64_t *tags,
		       size_t n)
{
	require(database != NULL && (tags != NULL || n == 0));
	if (n == 0) {
		return true;
	}
	if (gid.n == 0 || gid.n > DATABASE_MAX_GID) {
		return false;
	}
	pthread_mutex_lock(&database->lock);
	bool kept = database_keep_prepared(database, gid, tags, n);
	pthread_mutex_unlock(&database->lock);
	return kept;
}

uint64_t *database_unprepare(struct database *database, struct span gid, size_t *n_out)
{
	require(database != NULL && n_out != NULL);
	*n_out = 0;
	if (gid.n == 0 || gid.n > DATABASE_MAX_GID) {
		return NULL;
	}
	pthread_mutex_lock(&database->lock);
	struct prepared *prepared = map_remove(&database->prepared, gid);
	pthread_mutex_unlock(&database->lock);
	if (prepared == NULL) {
		return NULL;
	}
	uint64_t *tags = steal(&prepared->tags);
	*n_out = prepared->n;
	prepared_free(prepared);
	return tags;
}
