/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/close_reason.h"
#include "base/config.h"
#include "base/metrics.h"
#include "net/loop.h"
#include "net/timer.h"
#include "pool_priv.h"
#include "upstream/connect.h"
#include "upstream/context.h"
#include "upstream/pool_peers.h"
#include "upstream/pools.h"
#include "upstream/server.h"
#include "upstream/welcome.h"

#define POOL_TICK_MS 1000
/* An idle connection is watched by the loop; only one that lay longer than this may
 * have died without the loop having been able to say so yet. */
#define POOL_PEEK_AFTER_NS UINT64_C(5000000)

struct metrics_db *pool_metrics(struct pool *pool)
{
	return metrics_database(pool->upstream->metrics, pool->shared->db_index);
}

static struct pool_counts *pool_own_counts(struct pool *pool)
{
	return &pool->shared->counts[pool->upstream->index];
}

static void pool_publish_waiting(struct pool *pool)
{
	struct pool_counts *counts = pool_own_counts(pool);
	struct dlist *head = dlist_head(&pool->waiting);
	uint64_t oldest = 0;
	if (head != NULL) {
		oldest = container_of(head, struct pool_waiter, link)->since_ns;
	}
	atomic_store(&counts->oldest_ns, oldest);
	/* the pools of all users of a database share the gauge */
	unsigned was = atomic_exchange(&counts->n_waiting, pool->n_waiting);
	metric_add(&pool_metrics(pool)->pool_waiting, pool->n_waiting);
	metric_sub(&pool_metrics(pool)->pool_waiting, was);
}

void pool_grant(struct pool *pool, struct server *server)
{
	struct dlist *l = dlist_pop_head(&pool->waiting);
	require(l != NULL);
	struct pool_waiter *waiter = container_of(l, struct pool_waiter, link);
	pool->n_waiting--;
	pool_publish_waiting(pool);
	histogram_observe(&pool_metrics(pool)->pool_wait,
			  clock_now_ns() - waiter->since_ns);
	waiter->granted(waiter, server, NULL);
}

void pool_refuse_all(struct pool *pool, const struct pool_error *error)
{
	struct dlist *l;
	while ((l = dlist_pop_head(&pool->waiting)) != NULL) {
		struct pool_waiter *waiter = container_of(l, struct pool_waiter, link);
		pool->n_waiting--;
		waiter->granted(waiter, NULL, error);
	}
	pool_publish_waiting(pool);
}

/* The door */

/* One that lay idle for long is asked whether it still works, and for its settings,
 * before anybody gets it; it comes back through pool_give(). */
static bool pool_check_first(struct pool *pool, struct server *server, uint64_t now)
{
	uint64_t delay = pool->upstream->config->server_check_delay_ms * 1000000U;
	if (delay == 0 || now - server->idle_since_ns <= delay) {
		return false;
	}
	server_move(server, SERVER_BUSY);
	pool->upstream->ops->opened(server);
	return true;
}

/* An idle connection that works, still idle; NULL: none, or it is asked first. */
static struct server *pool_pick(struct pool *pool)
{
	struct dlist *l;
	uint64_t now = 0;
	while ((l = dlist_head(&pool->idle)) != NULL) {
		struct server *server = container_of(l, struct server, link);
		now = now ? now : loop_event_ns(pool->upstream->loop);
		if (now - server->idle_since_ns > POOL_PEEK_AFTER_NS &&
		    stream_is_stirred(&server->stream)) {
			server_close(server, SERVER_CLOSE_CHECK_FAILED);
		} else if (!pool_check_first(pool, server, now)) {
			return server;
		}
	}
	return NULL;
}

#define POOL_PREFER_AMONG 8U /* idle connections that are looked at */

/* One of the connections used last that needs no SET comes first: it saves the server
 * the work. */
static void pool_prefer(struct pool *pool, const struct context *context)
{
	unsigned left = POOL_PREFER_AMONG;
	dlist_each (l, tmp, &pool->idle) {
		struct server *server = container_of(l, struct server, link);
		if (server->context == context) {
			dlist_remove(l);
			dlist_push_head(&pool->idle, l);
			return;
		}
		if (--left == 0) {
			return;
		}
	}
}

struct server *pool_take(struct pool *pool, const struct context *context)
{
	bool may = pool->n_waiting == 0 && !pool_is_paused(pool);
	if (may && context != NULL) {
		pool_prefer(pool, context);
	}
	struct server *server = may ? pool_pick(pool) : NULL;
	if (server != NULL) {
		server_move(server, SERVER_BUSY);
		metric_add(&pool_metrics(pool)->pool_checkouts, 1);
		histogram_observe(&pool_metrics(pool)->pool_wait, 0);
	}
	return server;
}

void pool_asked(struct pool *pool)
{
	if (pool->n_waiting > 0 || pool_is_paused(pool) ||
	    pool_longest_waiting(pool) == NULL) {
		return;
	}
	struct server *server = pool_pick(pool);
	if (server != NULL) {
		(void)pool_send_away(pool, server);
	}
}

void pool_wait(struct pool *pool, struct pool_waiter *waiter)
{
	waiter->since_ns = clock_now_ns();
	dlist_init(&waiter->link);
	dlist_push_tail(&pool->waiting, &waiter->link);
	pool->n_waiting++;
	pool_publish_waiting(pool);
	pool_grow(pool);
	pool_ask_others(pool);
}

void pool_leave(struct pool *pool, struct pool_waiter *waiter)
{
	dlist_remove(&waiter->link);
	pool->n_waiting--;
	pool_publish_waiting(pool);
}

/* To a client of this worker, or idle. */
static void pool_keep(struct pool *pool, struct server *server)
{
	if (pool->n_waiting > 0) {
		metric_add(&pool_metrics(pool)->pool_checkouts, 1);
		pool_grant(pool, server);
		return;
	}
	server_move(server, SERVER_IDLE);
	if (pool->upstream->n_workers > 1 && stream_is_empty(&server->stream) &&
	    pool_longest_waiting(pool) != NULL) {
		/* somebody began to wait just before the connection was counted as
		 * idle */
		server_move(server, SERVER_BUSY);
		loop_task_add(pool->upstream->loop, &server->away_task);
	}
}

void pool_hand_over(struct loop_task *task)
{
	struct server *server = container_of(task, struct server, away_task);
	if (!pool_send_away(server->pool, server)) {
		pool_keep(server->pool, server);
	}
}

void pool_give(struct pool *pool, struct server *server)
{
	require(server_is_clean(server) && server->client == NULL);
	uint64_t now = loop_event_ns(pool->upstream->loop);
	server->idle_since_ns = now;
	unsigned max =
	    atomic_load(&pool->shared->max) + atomic_load(&pool->shared->reserve);
	if (server->target != pool->target) {
		server_close(server, SERVER_CLOSE_RELOAD);
		return;
	}
	if (pool->upstream->is_closing || atomic_load(&pool->shared->n_servers) > max) {
		server_close(server, SERVER_CLOSE_EXCESS);
		return;
	}
	if (pool_is_paused(pool)) {
		server_close(server, SERVER_CLOSE_ADMIN);
		return;
	}
	if (!server->proven) {
		server->proven = true;
		pool_succeeded(pool);
	} else if (now >= server->expires_ns) {
		server_close(server, SERVER_CLOSE_LIFETIME);
		return;
	}
	if (pool->upstream->n_workers > 1 && pool_longest_waiting(pool) != NULL) {
		/* it stays busy, and nobody's, until the end of this turn */
		loop_task_add(pool->upstream->loop, &server->away_task);
		return;
	}
	pool_keep(pool, server);
}

void pool_lost(struct pool *pool)
{
	atomic_fetch_sub(&pool->shared->n_servers, 1);
	if (!pool->upstream->is_closing) {
		pool_grow(pool);
		pool_nudge(pool);
	}
}

bool pool_last_error(struct pool *pool, struct pool_error *out)
{
	pthread_mutex_lock(&pool->shared->lock);
	*out = pool->shared->error;
	pthread_mutex_unlock(&pool->shared->lock);
	return out->sqlstate[0] != 0;
}

struct welcome *pool_welcome(struct pool *pool)
{
	pthread_mutex_lock(&pool->shared->lock);
	struct welcome *welcome = NULL;
	if (pool->shared->welcome != NULL &&
	    pool->shared->welcome_target == pool->target) {
		welcome = welcome_ref(pool->shared->welcome);
	}
	pthread_mutex_unlock(&pool->shared->lock);
	return welcome;
}

struct context *pool_base(struct pool *pool)
{
	pthread_mutex_lock(&pool->shared->lock);
	struct context *base = NULL;
	if (pool->shared->base != NULL && pool->shared->base_target == pool->target) {
		base = context_ref(pool->shared->base);
	}
	pthread_mutex_unlock(&pool->shared->lock);
	return base;
}

void pool_learn(struct pool *pool, uint64_t target, struct context *context,
		struct welcome **welcome)
{
	struct pool_shared *shared = pool->shared;
	struct welcome *old = NULL;
	pthread_mutex_lock(&shared->lock);
	struct context *before = shared->base;
	shared->base = context_ref(context);
	shared->base_target = target;
	if (*welcome != NULL) {
		old = shared->welcome;
		shared->welcome = steal(welcome);
		shared->welcome_target = target;
	}
	pthread_mutex_unlock(&shared->lock);
	context_unref(before);
	welcome_unref(old);
}

void pool_reported(struct pool *pool, struct span name, struct span value)
{
	/* the only one that changes in a session without that session's doing */
	if (!span_eq_str(name, "in_hot_standby")) {
		return;
	}
	struct pool_shared *shared = pool->shared;
	pthread_mutex_lock(&shared->lock);
	struct welcome *fresh =
	    shared->welcome ? welcome_with(shared->welcome, name, value) : NULL;
	if (fresh != NULL) {
		welcome_unref(shared->welcome);
		shared->welcome = fresh;
	}
	pthread_mutex_unlock(&shared->lock);
}

/* Keeping house, once a second */

/* Why an idle connection has to go; SERVER_CLOSE_COUNT: it may stay. */
static enum server_close_reason
pool_staleness(const struct pool *pool, const struct server *server, uint64_t now)
{
	struct pool_shared *shared = pool->shared;
	uint64_t idle_ns = pool->upstream->config->server_idle_timeout_ms * 1000000U;
	unsigned n = atomic_load(&shared->n_servers);
	if (pool_is_paused(pool)) {
		return SERVER_CLOSE_ADMIN;
	}
	if (now >= server->expires_ns) {
		return SERVER_CLOSE_LIFETIME;
	}
	if (n > atomic_load(&shared->max) + atomic_load(&shared->reserve)) {
		return SERVER_CLOSE_EXCESS;
	}
	bool is_idle = idle_ns != 0 && now - server->idle_since_ns >= idle_ns &&
		       n > atomic_load(&shared->min);
	return is_idle ? SERVER_CLOSE_IDLE : SERVER_CLOSE_COUNT;
}

/* Closing one may close others (room for a pool that waits), so each round begins
 * anew. */
static bool pool_close_one_stale(struct pool *pool, uint64_t now)
{
	/* oldest first: the list has the most recently used in front */
	for (struct dlist *l = pool->idle.prev; l != &pool->idle; l = l->prev) {
		struct server *server = container_of(l, struct server, link);
		enum server_close_reason why = pool_staleness(pool, server, now);
		if (why != SERVER_CLOSE_COUNT) {
			server_close(server, why);
			return true;
		}
	}
	return false;
}

static void pool_tell_servers(const struct dlist *list)
{
	for (struct dlist *l = list->next; l != list; l = l->next) {
		server_tell(container_of(l, struct server, link));
	}
}

/* Gauges that are set now and then.  Pools of one database share one: the oldest of all
 * their waiters counts. */
static void pool_tell(struct upstream *up, uint64_t now)
{
	dlist_each (l, tmp, &up->all) {
		struct pool *pool = container_of(l, struct pool, link);
		pool_tell_servers(&pool->idle);
		pool_tell_servers(&pool->busy);
		metric_set(&pool_metrics(pool)->pool_oldest_wait, 0);
	}
	dlist_each (l, tmp, &up->all) {
		struct pool *pool = container_of(l, struct pool, link);
		_Atomic uint64_t *gauge = &pool_metrics(pool)->pool_oldest_wait;
		uint64_t since = atomic_load(&pool_own_counts(pool)->oldest_ns);
		if (since != 0 && now - since > metric_get(gauge)) {
			metric_set(gauge, now - since);
		}
	}
}

/* Of a name that only the line "*" stands for: anybody can make up any number of them.
 * While there is a server connection of the pool, anywhere, one may be on its way to
 * this worker, so its part stays. */
static bool pool_may_go(const struct pool *pool)
{
	const struct config_database *line = config_find_database(
	    pool->upstream->config, span_str(pool->shared->database));
	return pool->n_clients == 0 && pool->n_waiting == 0 &&
	       dlist_is_empty(&pool->idle) && dlist_is_empty(&pool->busy) &&
	       dlist_is_empty(&pool->connecting) &&
	       atomic_load(&pool->shared->n_servers) == 0 && line != NULL &&
	       strcmp(line->name, "*") == 0;
}

/* True: nobody has used it for autodb_idle_timeout, and it is freed.  Other workers
 * only compare the address of a shared part that they were told of (pool_of_shared()),
 * unless a server connection comes with it. */
static bool pool_forget(struct pool *pool, uint64_t now)
{
	struct upstream *up = pool->upstream;
	uint64_t limit_ns = up->config->autodb_idle_timeout_ms * 1000000U;
	if (!pool_may_go(pool)) {
		pool->unused_ns = 0;
		return false;
	}
	if (pool->unused_ns == 0) {
		pool->unused_ns = now;
	}
	if (limit_ns == 0 || now - pool->unused_ns < limit_ns) {
		return false;
	}
	dlist_remove(&pool->link);
	pools_leave(up->pools, pool->shared);
	free(pool);
	return true;
}

static void pool_on_tick(void *arg)
{
	struct upstream *up = arg;
	uint64_t now = clock_now_ns();
	pool_tell(up, now);
	dlist_each (l, tmp, &up->all) {
		struct pool *pool = container_of(l, struct pool, link);
		if (pool_forget(pool, now)) {
			continue;
		}
		while (pool_close_one_stale(pool, now)) {
		}
		pool_grow(pool);
		pool_asked(pool); /* a hand-over that was not possible then */
		while (atomic_load(&pool->shared->n_servers) <
			   atomic_load(&pool->shared->min) &&
		       pool_try_connect(pool)) {
		}
	}
}

int upstream_start(struct upstream *up)
{
	require(up->n_workers <= UPSTREAM_MAX_WORKERS);
	dlist_init(&up->all);
	int r = timer_new(up->loop, pool_on_tick, up, &up->tick);
	if (r == 0) {
		timer_start(up->tick, POOL_TICK_MS, POOL_TICK_MS);
	}
	return r;
}

static void pool_close_all(struct pool *pool)
{
	struct dlist *l;
	while ((l = dlist_pop_head(&pool->connecting)) != NULL) {
		struct pool_attempt *attempt =
		    container_of(l, struct pool_attempt, link);
		connect_cancel(attempt->connect);
		free(attempt);
		atomic_fetch_sub(&pool->shared->n_connecting, 1);
		atomic_fetch_sub(&pool->shared->n_servers, 1);
	}
	while ((l = dlist_head(&pool->idle)) != NULL || (l = dlist_head(&pool->busy))) {
		server_close(container_of(l, struct server, link),
			     SERVER_CLOSE_SHUTDOWN);
	}
}

void upstream_stop(struct upstream *up)
{
	up->is_closing = true;
	timer_close(steal(&up->tick));
	struct dlist *l;
	while ((l = dlist_head(&up->all)) != NULL) {
		struct pool *pool = container_of(l, struct pool, link);
		require(pool->n_waiting == 0 && pool->n_clients == 0);
		pool_close_all(pool);
		dlist_remove(&pool->link);
		free(pool);
	}
}

void pool_retarget(struct pool *pool, const struct config *config)
{
	uint64_t target = pools_target(config, pool->shared);
	if (target == pool->target) {
		return;
	}
	pool->target = target;
	pool_forget_failures(pool);
	dlist_each (l, tmp, &pool->idle) {
		server_close(container_of(l, struct server, link), SERVER_CLOSE_RELOAD);
	}
}

void upstream_reload(struct upstream *up, const struct config *config)
{
	up->config = config;
	dlist_each (l, tmp, &up->all) {
		struct pool *pool = container_of(l, struct pool, link);
		pools_limits(pool->shared, config);
		pool_retarget(pool, config);
		pool_grow(pool);
	}
}

struct pool *pool_find(struct upstream *up, struct span database, struct span user,
		       const char *password)
{
	struct pool_shared *shared =
	    pools_get(up->pools, up->config, database, user, password);
	if (shared == NULL) {
		return NULL;
	}
	struct pool *pool = pool_of_shared(up, shared);
	if (pool != NULL) {
		pool->unused_ns = 0;
		pools_leave(up->pools, shared); /* it has its part already */
		return pool;
	}
	pool = calloc(1, sizeof(*pool));
	if (pool == NULL) {
		pools_leave(up->pools, shared);
		return NULL;
	}
	pool->shared = shared;
	pool->upstream = up;
	pool->target = pools_target(up->config, shared);
	dlist_init(&pool->idle);
	dlist_init(&pool->busy);
	dlist_init(&pool->waiting);
	dlist_init(&pool->connecting);
	dlist_init(&pool->link);
	dlist_push_tail(&up->all, &pool->link);
	return pool;
}
