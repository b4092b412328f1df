/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Commits with an unknown outcome: the connection broke after they had been sent.  As
 * long as the server process lives, the commit may still become visible, so its tags
 * stay in flight.  pg_stat_activity shows the process ids of all sessions to everybody.
 * When the process is gone, what it has committed is visible, and the tags end, moved.
 *
 * A process id may be given again; when the server tells us when the process began, and
 * that has changed, then the old one is gone as well. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cache/store.h"
#include "cache/versions.h"
#include "database_priv.h"
#include "upstream/asker.h"

#define LIMBO_INTERVAL_NS UINT64_C(200000000)
#define LIMBO_MAX_ASKED	  1000 /* processes in one question */
#define LIMBO_MAX_BEGUN	  40

struct limbo {
	struct dlist link;
	uint32_t pid;
	bool ddl;
	bool is_asked;		     /* the question under way is about it, too */
	bool is_seen;		     /* and the process lives */
	char begun[LIMBO_MAX_BEGUN]; /* backend_start as seen first, or "" */
	size_t n;
	uint64_t tags[];
};

static const char limbo_question[] =
    "SELECT pid, backend_start FROM pg_catalog.pg_stat_activity"
    " WHERE pid = ANY ($1::pg_catalog.int4[])"
    " AND pid <> pg_catalog.pg_backend_pid()";

void database_limbo_init(struct database *database)
{
	dlist_init(&database->limbo);
	dlist_init(&database->new_limbo);
}

void database_limbo_fini(struct database *database)
{
	struct dlist *const lists[] = { &database->limbo, &database->new_limbo };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		dlist_each (it, tmp, lists[i]) {
			dlist_remove(it);
			free(container_of(it, struct limbo, link));
		}
	}
}

/* When it cannot be kept, the tags stay in flight for good: right, if slow. */
void database_limbo(struct database *database, uint32_t pid, const uint64_t *tags,
		    size_t n, bool ddl)
{
	require(database != NULL && (tags != NULL || n == 0));
	if (n == 0) {
		return;
	}
	struct limbo *limbo = NULL;
	if (pid != 0 && n <= DATABASE_MAX_TAGS &&
	    atomic_load(&database->n_limbo) < DATABASE_MAX_LIMBO) {
		limbo = calloc(1, FLEX_SIZE(struct limbo, tags, n * sizeof(*tags)));
	}
	if (limbo == NULL) {
		log_error(NULL,
			  "database %s: a lost commit cannot be followed: part of "
			  "the cache is off until the next start",
			  database->name);
		return;
	}
	limbo->pid = pid;
	limbo->ddl = ddl;
	limbo->n = n;
	memcpy(limbo->tags, tags, n * sizeof(*tags));
	dlist_init(&limbo->link);
	atomic_fetch_add(&database->n_limbo, 1);
	pthread_mutex_lock(&database->lock);
	dlist_push_tail(&database->new_limbo, &limbo->link);
	pthread_mutex_unlock(&database->lock);
	databases_wake(database->databases);
}

/* Answers */

static void limbo_on_row(void *arg, const char *const *values, size_t n)
{
	struct database *database = arg;
	if (n != 2 || values[0] == NULL) {
		return;
	}
	uint32_t pid = (uint32_t)strtoul(values[0], NULL, 10);
	const char *begun = values[1] != NULL ? values[1] : "";
	dlist_each (it, tmp, &database->limbo) {
		struct limbo *limbo = container_of(it, struct limbo, link);
		if (!limbo->is_asked || limbo->pid != pid) {
			continue;
		}
		if (limbo->begun[0] == '\0' && strlen(begun) < sizeof(limbo->begun)) {
			memcpy(limbo->begun, begun, strlen(begun) + 1);
		}
		limbo->is_seen = begun[0] == '\0' || limbo->begun[0] == '\0' ||
				 strcmp(begun, limbo->begun) == 0;
	}
}

static void limbo_end(struct database *database, struct limbo *limbo)
{
	struct versions *versions = database->databases->versions;
	uint64_t own = versions_tag_db(database->tag);
	for (size_t i = 0; i < limbo->n; i++) {
		if (limbo->ddl && limbo->tags[i] == own) {
			database_changed(database);
		} else {
			versions_end(versions, limbo->tags[i], true);
		}
	}
	dlist_remove(&limbo->link);
	atomic_fetch_sub(&database->n_limbo, 1);
	free(limbo);
}

/* The process of LIMBO is gone. */
static void limbo_is_gone(struct database *database, struct limbo *limbo, bool is_first)
{
	if (is_first) {
		/* no tokens were written for it: Redis must not be believed */
		store_shared_lose(database->databases->store);
	}
	log_info(NULL, "database %s: lost session %u has ended", database->name,
		 (unsigned)limbo->pid);
	limbo_end(database, limbo);
}

static void limbo_on_done(void *arg, const char *error)
{
	struct database *database = arg;
	bool is_first = true;
	database->is_asking_limbo = false;
	database_answered(database, "ask for lost sessions", error);
	dlist_each (it, tmp, &database->limbo) {
		struct limbo *limbo = container_of(it, struct limbo, link);
		if (!limbo->is_asked) {
			continue;
		}
		limbo->is_asked = false;
		if (error == NULL && !limbo->is_seen) {
			limbo_is_gone(database, limbo, is_first);
			is_first = false;
			continue;
		}
		/* the others are asked for first, the next time */
		limbo->is_seen = false;
		dlist_remove(it);
		dlist_push_head(&database->limbo, it);
	}
}

/* Questions */

/* The processes as an array; marks those that are in it. */
static void limbo_list(struct database *database, struct buf *out)
{
	size_t n = 0;
	buf_append_u8(out, '{');
	for (struct dlist *it = database->limbo.prev;
	     it != &database->limbo && n < LIMBO_MAX_ASKED; it = it->prev) {
		struct limbo *limbo = container_of(it, struct limbo, link);
		limbo->is_asked = true;
		/* what is no process id of a server is not asked for, and not seen */
		if (limbo->pid <= INT32_MAX) {
			buf_printf(out, n > 0 ? ",%" PRIu32 : "%" PRIu32, limbo->pid);
			n++;
		}
	}
	buf_append_cstr(out, "}");
}

static void limbo_unmark(struct database *database)
{
	dlist_each (it, tmp, &database->limbo) {
		container_of(it, struct limbo, link)->is_asked = false;
	}
}

void database_limbo_ask(struct database *database, uint64_t now_ns)
{
	pthread_mutex_lock(&database->lock);
	struct dlist *fresh;
	while ((fresh = dlist_pop_head(&database->new_limbo)) != NULL) {
		dlist_push_tail(&database->limbo, fresh);
	}
	pthread_mutex_unlock(&database->lock);
	/* not inside a reading: its transaction sees one picture of the sessions */
	if (dlist_is_empty(&database->limbo) || database->is_asking_limbo ||
	    database->reading != NULL || database->owes_rollback ||
	    database->asker == NULL || now_ns < database->limbo_ns) {
		return;
	}
	struct buf pids;
	buf_init(&pids, (size_t)LIMBO_MAX_ASKED * 12 + 8);
	limbo_list(database, &pids);
	database->limbo_ns = now_ns + LIMBO_INTERVAL_NS;
	database->is_asking_limbo = true;
	if (buf_ok(&pids)) {
		const char *params[] = { (const char *)pids.data };
		const struct asker_question question = {
			.sql = limbo_question,
			.params = params,
			.n_params = 1,
			.row = limbo_on_row,
			.done = limbo_on_done,
			.arg = database,
		};
		database_asks(database);
		if (asker_ask(database->asker, &question) == 0) {
			buf_fini(&pids);
			return;
		}
	}
	database->is_asking_limbo = false;
	limbo_unmark(database);
	buf_fini(&pids);
}
