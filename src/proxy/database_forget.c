/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Databases of the line "*" that nobody has used for autodb_idle_timeout are forgotten.
 *
 * Who may hold one: a client, and a commit that its server connection owes, by the pool
 * of that name; a replication connection by database_keep(); everybody else until the
 * end of a turn of its loop.  So one that has no pool is taken off the list, under the
 * lock under which it is found, and freed when every worker has begun another turn.
 *
 * Why the cache stays right: what is written under another name of the same database
 * does not reach a forgotten one.  So none is forgotten while another is known to be
 * the same, and one that may have stored anything moves its tag: nothing from before is
 * served again, whoever has written since then.  (Not when another name has the same
 * tag: writes still reach that.)  When it comes back it is a new object, which reads
 * its catalogue, asks which database it is, and stores nothing before.  Tags that are
 * in flight stay so: those of lost commits and of prepared transactions keep the
 * database, and what is owed to its own tag (DDL, a doubt) is settled when it is freed.
 */

#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "cache/versions.h"
#include "database_priv.h"
#include "net/loop.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"
#include "upstream/pools.h"

/* Looked at in one tick: each goes through the pools. */
#define FORGET_MAX_LOOKS 16
/* Between two looks at one, and a part of the time-out. */
#define FORGET_LOOK_NS	 UINT64_C(1000000000)
#define FORGET_LOOK_PART 16

/* Keeping */

bool database_keep(struct database *database)
{
	struct databases *databases = database->databases;
	pthread_mutex_lock(&databases->lock);
	bool is_there = !database->is_forgotten;
	database->n_kept += is_there ? 1 : 0;
	pthread_mutex_unlock(&databases->lock);
	return is_there;
}

void database_unkeep(struct database *database)
{
	if (database != NULL) {
		struct databases *databases = database->databases;
		pthread_mutex_lock(&databases->lock);
		require(database->n_kept > 0);
		database->n_kept--;
		atomic_store(&database->used_ns, clock_now_ns());
		pthread_mutex_unlock(&databases->lock);
	}
}

/* Forgetting */

/* Another object with the tag of DATABASE, or NULL. */
static struct database *database_heir(struct database *database)
{
	struct databases *databases = database->databases;
	struct database *other = databases_next(databases, NULL);
	while (other != NULL && (other == database || other->tag != database->tag)) {
		other = databases_next(databases, other);
	}
	return other;
}

/* What other names write reaches the tag of DATABASE without it: the heir knows which
 * database it is, and notices when that changes. */
static bool database_is_watched(struct database *database)
{
	const struct database *heir = database_heir(database);
	return heir != NULL && heir->conf.is_known && atomic_load(&heir->is_up) &&
	       database_is_placed(heir) && !heir->is_elsewhere;
}

static bool database_is_needed(struct database *database)
{
	pthread_mutex_lock(&database->lock);
	bool is_needed = !dlist_is_empty(&database->new_limbo) ||
			 !dlist_is_empty(&database->new_wants) ||
			 database->prepared.n > 0;
	pthread_mutex_unlock(&database->lock);
	return is_needed || !dlist_is_empty(&database->limbo) ||
	       database->is_asking_limbo || database->reading != NULL ||
	       database->ear != NULL || database->wanted.n > 0 ||
	       database->is_crowded || atomic_load(&database->n_aliases) > 0;
}

/* Since SINCE_NS; the caller holds the lock of databases. */
static bool database_is_unused(struct database *database, uint64_t since_ns)
{
	return database->n_kept == 0 && atomic_load(&database->used_ns) <= since_ns &&
	       !pools_has(&database->databases->proxy->pools, span_str(database->name));
}

/* Takes it off the list, if it is still unused.  It keeps its own links: a worker that
 * is just going through the list comes to the end of it. */
static void database_unlink(struct database *database, uint64_t since_ns)
{
	struct databases *databases = database->databases;
	struct span name = span_str(database->name);
	pthread_mutex_lock(&databases->lock);
	bool goes = database_is_unused(database, since_ns);
	if (goes) {
		if (map_get(&databases->by_name, name) == database) {
			(void)map_remove(&databases->by_name, name);
		}
		database->link.prev->next = database->link.next;
		database->link.next->prev = database->link.prev;
		databases->n--;
		database->is_forgotten = true;
		dlist_push_tail(&databases->forgotten, &database->dead);
	}
	pthread_mutex_unlock(&databases->lock);
	if (goes) {
		log_debug(NULL, "database %s: unused for long, it is forgotten",
			  database->name);
	}
}

static void database_forget(struct database *database, uint64_t since_ns)
{
	struct databases *databases = database->databases;
	pthread_mutex_lock(&databases->lock);
	bool goes = database_is_unused(database, since_ns);
	pthread_mutex_unlock(&databases->lock);
	if (!goes || database_is_needed(database)) {
		return;
	}
	/* its last answer may make it another name of one that stays */
	database_close_asker(database);
	if (database_is_needed(database)) {
		return;
	}
	if (database_is_placed(database) && !database_is_watched(database)) {
		database_move(database); /* before anybody can come back to it */
	}
	database_unlink(database, since_ns);
}

/* Freeing */

static void forget_on_turn(void *arg)
{
	struct databases *databases = arg;
	atomic_fetch_sub(&databases->n_turns, 1);
	databases_unref(databases);
}

/* What is told to a worker comes behind all that it was told before, and between two of
 * its callbacks. */
static void forget_begin_round(struct databases *databases)
{
	struct proxy *proxy = databases->proxy;
	databases->is_round_whole = true;
	for (unsigned i = 0; i < proxy->n_workers; i++) {
		atomic_fetch_add(&databases->n_refs, 1);
		atomic_fetch_add(&databases->n_turns, 1);
		if (loop_post(proxy->workers[i]->loop, forget_on_turn, databases) < 0) {
			databases->is_round_whole = false;
			forget_on_turn(databases);
		}
	}
}

/* Ends of the database's tag that are owed: who has the same tag now reads its
 * catalogue for them, and whoever gets it later reads it anyway. */
static void database_settle(struct database *database)
{
	struct versions *versions = database->databases->versions;
	uint64_t tag = versions_tag_db(database->tag);
	if (database->n_doubts > 0) {
		versions_end(versions, tag, true);
	}
	struct database *heir = database->n_ends > 0 ? database_heir(database) : NULL;
	for (uint64_t i = 0; i < database->n_ends; i++) {
		if (heir != NULL) {
			database_changed(heir);
		} else {
			versions_end(versions, tag, true);
		}
	}
}

static void forget_free(struct dlist *list)
{
	struct dlist *l;
	while ((l = dlist_pop_head(list)) != NULL) {
		database_free(container_of(l, struct database, dead));
	}
}

static void forget_end_round(struct databases *databases)
{
	dlist_each (it, tmp, &databases->leaving) {
		database_settle(container_of(it, struct database, dead));
	}
	forget_free(&databases->leaving);
}

/* One round at a time. */
static void forget_tend_round(struct databases *databases)
{
	if (atomic_load(&databases->n_turns) > 0) {
		return;
	}
	if (databases->is_round_whole) {
		forget_end_round(databases);
	}
	struct dlist *l;
	while ((l = dlist_pop_head(&databases->forgotten)) != NULL) {
		dlist_push_tail(&databases->leaving, l);
	}
	if (!dlist_is_empty(&databases->leaving)) {
		forget_begin_round(databases);
	}
}

void databases_forget(struct databases *databases, const struct config *config)
{
	uint64_t limit_ns = config->autodb_idle_timeout_ms * UINT64_C(1000000);
	uint64_t now_ns = clock_now_ns();
	forget_tend_round(databases);
	unsigned n_looks = 0;
	struct database *next = databases_next(databases, NULL);
	while (next != NULL && n_looks < FORGET_MAX_LOOKS && limit_ns > 0) {
		struct database *database = next;
		next = databases_next(databases, database);
		uint64_t used_ns = atomic_load(&database->used_ns);
		if (database->is_guessed && !database->is_elsewhere &&
		    now_ns >= database->look_ns && used_ns + limit_ns <= now_ns) {
			database->look_ns =
			    now_ns + FORGET_LOOK_NS + limit_ns / FORGET_LOOK_PART;
			database_forget(database, now_ns - limit_ns);
			n_looks++;
		}
	}
}

void databases_forget_fini(struct databases *databases)
{
	forget_free(&databases->forgotten);
	forget_free(&databases->leaving);
}
