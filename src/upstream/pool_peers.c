/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/pool_peers.h"

#include <stdlib.h>
#include <string.h>

#include "base/close_reason.h"
#include "base/metrics.h"
#include "net/loop.h"
#include "upstream/pool.h"
#include "upstream/server.h"

struct pool_parcel {
	struct pool_shared *shared;
	struct upstream *to;
	struct upstream *from;
	struct server *server;	  /* a connection that changes hands; or NULL */
	struct pool_shared *room; /* the pool that needs room; or NULL */
};

/* Without memory the tick of the receiver comes instead, within a second. */
static bool pool_post(void (*fn)(void *arg), struct pool_parcel content)
{
	struct pool_parcel *parcel = malloc(sizeof(*parcel));
	if (parcel == NULL) {
		return false;
	}
	*parcel = content;
	if (loop_post(content.to->loop, fn, parcel) < 0) {
		free(parcel);
		return false;
	}
	return true;
}

/* The receiver's pool, and the parcel's content; frees the parcel. */
static struct pool *pool_open_parcel(void *arg, struct pool_parcel *content)
{
	*content = *(struct pool_parcel *)arg;
	free(arg);
	return pool_of_shared(content->to, content->shared);
}

struct pool *pool_of_shared(struct upstream *up, const struct pool_shared *shared)
{
	dlist_each (l, tmp, &up->all) {
		struct pool *pool = container_of(l, struct pool, link);
		if (pool->shared == shared) {
			return pool;
		}
	}
	return NULL;
}

struct upstream *pool_longest_waiting(const struct pool *pool)
{
	struct upstream *up = pool->upstream;
	struct upstream *best = NULL;
	uint64_t best_ns = 0;
	for (unsigned i = 0; i < up->n_workers; i++) {
		struct pool_counts *counts = &pool->shared->counts[i];
		uint64_t oldest = atomic_load(&counts->oldest_ns);
		if (oldest != 0 && (best == NULL || oldest < best_ns)) {
			best = up->peers[i];
			best_ns = oldest;
		}
	}
	return best != up ? best : NULL;
}

/* Hand-over */

static void pool_parcel_arrives(void *arg)
{
	struct pool_parcel parcel;
	struct pool *pool = pool_open_parcel(arg, &parcel);
	if (pool == NULL) { /* the worker has stopped meanwhile */
		const struct close_reason *row =
		    server_close_row(SERVER_CLOSE_SHUTDOWN);
		metric_add(
		    &metrics_database(parcel.to->metrics, parcel.shared->db_index)
			 ->pool_disconnects[row->label],
		    1);
		server_bury(parcel.server);
		atomic_fetch_sub(&parcel.shared->n_servers, 1);
	} else if (server_adopt(parcel.server, pool) < 0) {
		server_discard(parcel.server);
	} else {
		pool_give(pool, parcel.server);
	}
}

bool pool_send_away(struct pool *pool, struct server *server)
{
	struct upstream *up = pool->upstream;
	struct upstream *best = pool_longest_waiting(pool);
	if (best == NULL || !stream_is_empty(&server->stream)) {
		return false;
	}
	if (server->state != SERVER_IDLE) {
		server_move(server, SERVER_IDLE);
	}
	server_leave(server);
	struct pool_parcel parcel = {
		.shared = pool->shared, .to = best, .from = up, .server = server
	};
	if (!pool_post(pool_parcel_arrives, parcel)) {
		server_discard(server);
	}
	return true;
}

static void pool_asked_for_idle(void *arg)
{
	struct pool_parcel parcel;
	struct pool *pool = pool_open_parcel(arg, &parcel);
	if (pool != NULL) {
		pool_asked(pool);
	}
}

void pool_ask_others(struct pool *pool)
{
	struct upstream *up = pool->upstream;
	for (unsigned i = 0; i < up->n_workers; i++) {
		struct pool_counts *counts = &pool->shared->counts[i];
		if (i != up->index && atomic_load(&counts->n_idle) > 0) {
			(void)pool_post(pool_asked_for_idle,
					(struct pool_parcel){ .shared = pool->shared,
							      .to = up->peers[i],
							      .from = up });
		}
	}
}

/* Places in the account */

static void pool_nudged(void *arg)
{
	struct pool_parcel parcel;
	struct pool *pool = pool_open_parcel(arg, &parcel);
	if (pool != NULL) {
		pool_look(pool);
	}
}

void pool_nudge(struct pool *pool)
{
	struct upstream *up = pool->upstream;
	struct upstream *to = up->n_workers > 1 ? pool_longest_waiting(pool) : NULL;
	if (to != NULL) {
		(void)pool_post(pool_nudged,
				(struct pool_parcel){
				    .shared = pool->shared, .to = to, .from = up });
	}
}

void pool_nudge_all(struct pool *pool)
{
	struct upstream *up = pool->upstream;
	for (unsigned i = 0; i < up->n_workers; i++) {
		struct pool_counts *counts = &pool->shared->counts[i];
		if (i != up->index && atomic_load(&counts->oldest_ns) != 0) {
			(void)pool_post(pool_nudged,
					(struct pool_parcel){ .shared = pool->shared,
							      .to = up->peers[i],
							      .from = up });
		}
	}
}

/* Room under a limit over several pools */

bool pool_shares_limit(const struct pool_shared *a, const struct pool_shared *b)
{
	return a != b &&
	       (strcmp(a->database, b->database) == 0 || strcmp(a->user, b->user) == 0);
}

static void pool_asked_for_room(void *arg)
{
	struct pool_parcel parcel;
	struct pool *pool = pool_open_parcel(arg, &parcel);
	if (pool == NULL || dlist_is_empty(&pool->idle)) {
		return; /* used again meanwhile */
	}
	server_close(container_of(pool->idle.prev, struct server, link),
		     SERVER_CLOSE_EXCESS);
	(void)pool_post(pool_nudged, (struct pool_parcel){ .shared = parcel.room,
							   .to = parcel.from,
							   .from = parcel.to });
}

/* The first worker, other than UP, that has an idle connection; NULL: none. */
static struct upstream *pool_idle_at(const struct upstream *up,
				     struct pool_shared *shared)
{
	for (unsigned i = 0; i < up->n_workers; i++) {
		if (i != up->index && atomic_load(&shared->counts[i].n_idle) > 0) {
			return up->peers[i];
		}
	}
	return NULL;
}

void pool_ask_room(struct pool *pool)
{
	struct upstream *up = pool->upstream;
	struct pool_parcel parcel = { .room = pool->shared, .from = up };
	pthread_mutex_lock(&up->pools->lock);
	dlist_each (l, tmp, &up->pools->all) {
		struct pool_shared *other = container_of(l, struct pool_shared, link);
		if (parcel.to == NULL && pool_shares_limit(other, pool->shared)) {
			parcel.shared = other;
			parcel.to = pool_idle_at(up, other);
		}
	}
	pthread_mutex_unlock(&up->pools->lock);
	if (parcel.to != NULL) {
		(void)pool_post(pool_asked_for_room, parcel);
	}
}
