/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/close_reason.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/timer.h"
#include "upstream/connect.h"
#include "upstream/context.h"
#include "upstream/pool_peers.h"
#include "upstream/pools.h"
#include "upstream/server.h"
#include "upstream/welcome.h"

#define POOL_TICK_MS	    1000
#define POOL_MAX_CONNECTING 8 /* at once, over all workers */
/* An idle connection is watched by the loop; only one that lay longer than this may
 * have died without the loop having been able to say so yet. */
#define POOL_PEEK_AFTER_NS UINT64_C(5000000)

struct pool_attempt { /* one connect under way */
	struct dlist link;
	struct pool *pool;
	struct connect *connect;
	uint64_t begun_ns;
	uint64_t target;
};

static struct metrics_db *pool_metrics(struct pool *pool)
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
	atomic_store(&counts->n_waiting, pool->n_waiting);
	metric_set(&pool_metrics(pool)->pool_waiting, pool->n_waiting);
}

static void pool_grant(struct pool *pool, struct server *server)
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

static void pool_refuse_all(struct pool *pool, const struct pool_error *error)
{
	struct dlist *l;
	while ((l = dlist_pop_head(&pool->waiting)) != NULL) {
		struct pool_waiter *waiter = container_of(l, struct pool_waiter, link);
		pool->n_waiting--;
		waiter->granted(waiter, NULL, error);
	}
	pool_publish_waiting(pool);
}

/* Growing */

/* The server has refused the login or the database: waiting will not help.  Whoever is
 * merely unreachable or starting up may come back within the wait limit. */
static bool pool_is_refused(const struct pool *pool, const struct pool_error *error)
{
	bool is_final = strncmp(error->sqlstate, "28", 2) == 0 ||
			strcmp(error->sqlstate, "3D000") == 0 ||
			strcmp(error->sqlstate, "42501") == 0;
	return is_final && atomic_load(&pool->shared->n_servers) == 0;
}

static void pool_connect_failed(struct pool *pool, const struct connect_error *error)
{
	struct pool_shared *shared = pool->shared;
	const struct config *config = pool->upstream->config;
	unsigned failures = atomic_fetch_add(&shared->failures, 1);
	uint64_t delay = config->server_login_retry_ms;
	for (unsigned i = 0; i < failures && delay < config->server_login_retry_max_ms;
	     i++) {
		delay *= 2;
	}
	if (delay > config->server_login_retry_max_ms) {
		delay = config->server_login_retry_max_ms;
	}
	delay = delay / 2 + (uint64_t)random() % (delay / 2 + 1); /* jitter */
	atomic_store(&shared->retry_ns, clock_now_ns() + delay * 1000000U);
	struct pool_error told;
	snprintf(told.sqlstate, sizeof(told.sqlstate), "%s", error->sqlstate);
	snprintf(told.message, sizeof(told.message), "%s", error->message);
	pthread_mutex_lock(&shared->lock);
	shared->error = told;
	pthread_mutex_unlock(&shared->lock);
	metric_add(&pool_metrics(pool)
			->pool_connect_failures[metrics_connect_failure(error->reason)],
		   1);
	metric_set(&pool_metrics(pool)->pool_backoff, delay * 1000000U);
	metric_set(&pool_metrics(pool)->server_up, 0);
	log_warning(NULL,
		    "cannot connect to the server of %s/%s: %s; next try in %u ms",
		    shared->database, shared->user, told.message, (unsigned)delay);
	if (pool_is_refused(pool, &told)) {
		pool_refuse_all(pool, &told);
		pool_nudge_all(pool);
	}
}

static void pool_connected(struct pool *pool, struct server_socket *socket,
			   uint64_t target)
{
	struct pool_shared *shared = pool->shared;
	struct upstream *up = pool->upstream;
	struct welcome *welcome = welcome_new(socket);
	atomic_store(&shared->failures, 0);
	atomic_store(&shared->retry_ns, 0);
	metric_set(&pool_metrics(pool)->pool_backoff, 0);
	metric_set(&pool_metrics(pool)->server_up, 1);
	pthread_mutex_lock(&shared->lock);
	shared->error.sqlstate[0] = 0;
	if (welcome != NULL) {
		welcome_unref(shared->welcome);
		shared->welcome = welcome;
	}
	pthread_mutex_unlock(&shared->lock);
	struct server *server = server_new(pool, socket);
	if (server == NULL) {
		pool_lost(pool);
		return;
	}
	server->target = target;
	up->ops->opened(server);
}

static void pool_grow(struct pool *pool);

static void pool_on_connect(void *arg, struct server_socket *socket,
			    const struct connect_error *error)
{
	struct pool_attempt *attempt = arg;
	struct pool *pool = attempt->pool;
	uint64_t target = attempt->target;
	histogram_observe(&pool_metrics(pool)->pool_connect,
			  clock_now_ns() - attempt->begun_ns);
	metric_sub(&pool_metrics(pool)->pool_connections[METRIC_POOL_LOGIN], 1);
	dlist_remove(&attempt->link);
	free(attempt);
	atomic_fetch_sub(&pool->shared->n_connecting, 1);
	if (socket != NULL) {
		pool_connected(pool, socket, target);
	} else {
		atomic_fetch_sub(&pool->shared->n_servers, 1);
		pool_connect_failed(pool, error);
	}
	pool_grow(pool);
	pool_nudge(pool); /* they may have waited for a place among the connecting */
}

enum pool_place {
	PLACE_TAKEN,
	PLACE_NONE, /* the pool is full, or enough of its connects are under way */
	PLACE_OVER, /* a limit over several pools is reached */
};

/* max_db_connections and max_user_connections count over several pools; with the lock
 * of the pools. */
static bool pool_is_within(const struct pool *pool, unsigned max_db, unsigned max_user)
{
	const struct pool_shared *own = pool->shared;
	unsigned n_db = 0;
	unsigned n_user = 0;
	dlist_each (l, tmp, &pool->upstream->pools->all) {
		struct pool_shared *other = container_of(l, struct pool_shared, link);
		unsigned n = atomic_load(&other->n_servers);
		n_db += strcmp(other->database, own->database) == 0 ? n : 0;
		n_user += strcmp(other->user, own->user) == 0 ? n : 0;
	}
	return (max_db == 0 || n_db < max_db) && (max_user == 0 || n_user < max_user);
}

static bool pool_count_one(struct pool_shared *shared)
{
	unsigned n = atomic_load(&shared->n_servers);
	unsigned max = atomic_load(&shared->max);
	while (n < max) {
		if (atomic_compare_exchange_weak(&shared->n_servers, &n, n + 1)) {
			return true;
		}
	}
	return false;
}

static enum pool_place pool_count_within(struct pool *pool)
{
	struct upstream *up = pool->upstream;
	const struct config *config = up->config;
	const struct config_database *db =
	    config_find_database(config, span_str(pool->shared->database));
	const struct config_user *user =
	    config_find_user(config, span_str(pool->shared->user));
	unsigned max_db = db ? db->max_db_connections : config->max_db_connections;
	unsigned max_user =
	    user ? user->max_user_connections : config->max_user_connections;
	if (max_db == 0 && max_user == 0) {
		return pool_count_one(pool->shared) ? PLACE_TAKEN : PLACE_NONE;
	}
	enum pool_place place = PLACE_OVER;
	pthread_mutex_lock(&up->pools->lock);
	if (pool_is_within(pool, max_db, max_user)) {
		place = pool_count_one(pool->shared) ? PLACE_TAKEN : PLACE_NONE;
	}
	pthread_mutex_unlock(&up->pools->lock);
	return place;
}

/* Takes one place in the account of all workers. */
static enum pool_place pool_reserve(struct pool *pool)
{
	struct pool_shared *shared = pool->shared;
	enum pool_place place = PLACE_NONE;
	if (atomic_fetch_add(&shared->n_connecting, 1) < POOL_MAX_CONNECTING) {
		place = pool_count_within(pool);
	}
	if (place != PLACE_TAKEN) {
		atomic_fetch_sub(&shared->n_connecting, 1);
	}
	return place;
}

/* A limit over several pools is reached: an idle connection of another pool gives way.
 * It is closed; the place it leaves is taken by whoever asks next. */
static bool pool_make_room(struct pool *pool)
{
	dlist_each (l, tmp, &pool->upstream->all) {
		struct pool *other = container_of(l, struct pool, link);
		if (!pool_shares_limit(other->shared, pool->shared) ||
		    dlist_is_empty(&other->idle)) {
			continue;
		}
		server_close(container_of(other->idle.prev, struct server, link),
			     SERVER_CLOSE_EXCESS);
		return true;
	}
	pool_ask_room(pool);
	return false;
}

static int pool_connect(struct pool *pool)
{
	struct upstream *up = pool->upstream;
	struct pool_shared *shared = pool->shared;
	const struct config_database *db =
	    config_find_database(up->config, span_str(shared->database));
	if (db == NULL) {
		return -ENOENT;
	}
	struct pool_attempt *attempt = calloc(1, sizeof(*attempt));
	if (attempt == NULL) {
		return -ENOMEM;
	}
	attempt->pool = pool;
	attempt->begun_ns = clock_now_ns();
	attempt->target = pool->target;
	pthread_mutex_lock(
	    &shared->lock); /* of the password, which connect_start() copies */
	struct connect_options options = {
		.host = db->host,
		.port = db->port,
		.dbname = db->dbname ? db->dbname : shared->database,
		.user = db->user ? db->user : shared->user,
		.password = db->password ? db->password : shared->password,
		.sslmode = "disable",
		.timeout_ms = (uint32_t)up->config->server_connect_timeout_ms,
	};
	int r = connect_start(up->loop, &options, pool_on_connect, attempt,
			      &attempt->connect);
	pthread_mutex_unlock(&shared->lock);
	if (r < 0) {
		free(attempt);
		return r;
	}
	metric_add(&pool_metrics(pool)->pool_connects, 1);
	metric_add(&pool_metrics(pool)->pool_connections[METRIC_POOL_LOGIN], 1);
	dlist_init(&attempt->link);
	dlist_push_tail(&pool->connecting, &attempt->link);
	return 0;
}

static bool pool_try_connect(struct pool *pool)
{
	struct pool_shared *shared = pool->shared;
	if (pool->upstream->is_closing ||
	    clock_now_ns() < atomic_load(&shared->retry_ns)) {
		return false;
	}
	enum pool_place place = pool_reserve(pool);
	if (place == PLACE_OVER && pool->n_waiting > 0 && pool_make_room(pool)) {
		place = pool_reserve(pool);
	}
	if (place != PLACE_TAKEN) {
		return false;
	}
	if (pool_connect(pool) < 0) {
		atomic_fetch_sub(&shared->n_connecting, 1);
		atomic_fetch_sub(&shared->n_servers, 1);
		return false;
	}
	return true;
}

/* Connections on their way to the waiting clients: connecting, or asked for the first
 * time what their settings are. */
static unsigned pool_n_coming(const struct pool *pool)
{
	unsigned n = 0;
	dlist_each (l, tmp, &pool->connecting) {
		n++;
	}
	dlist_each (l, tmp, &pool->busy) {
		struct server *server = container_of(l, struct server, link);
		const struct owed *head = owed_head(&server->owed);
		n += head != NULL && (head->flags & OWED_PROBE) ? 1 : 0;
	}
	return n;
}

/* One connect for each waiting client that has none coming, as far as the limits go. */
static void pool_grow(struct pool *pool)
{
	struct pool_shared *shared = pool->shared;
	if (pool->n_waiting == 0 ||
	    atomic_load(&shared->n_servers) >= atomic_load(&shared->max)) {
		return;
	}
	unsigned coming = pool_n_coming(pool);
	while (coming < pool->n_waiting && pool_try_connect(pool)) {
		coming++;
	}
}

void pool_look(struct pool *pool)
{
	struct pool_error error;
	if (pool->n_waiting > 0 && pool_last_error(pool, &error) &&
	    pool_is_refused(pool, &error)) {
		pool_refuse_all(pool, &error);
	}
	pool_grow(pool);
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
		now = now ? now : clock_now_ns();
		if (now - server->idle_since_ns > POOL_PEEK_AFTER_NS &&
		    stream_is_stirred(&server->stream)) {
			server_close(server, SERVER_CLOSE_CHECK_FAILED);
		} else if (!pool_check_first(pool, server, now)) {
			return server;
		}
	}
	return NULL;
}

struct server *pool_take(struct pool *pool)
{
	struct server *server = pool->n_waiting == 0 ? pool_pick(pool) : NULL;
	if (server != NULL) {
		server_move(server, SERVER_BUSY);
		metric_add(&pool_metrics(pool)->pool_checkouts, 1);
		histogram_observe(&pool_metrics(pool)->pool_wait, 0);
	}
	return server;
}

void pool_asked(struct pool *pool)
{
	if (pool->n_waiting > 0 || pool_longest_waiting(pool) == NULL) {
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
	uint64_t now = clock_now_ns();
	server->idle_since_ns = now;
	unsigned max = atomic_load(&pool->shared->max);
	if (server->dirty) {
		server_close(server, SERVER_CLOSE_DIRTY_SESSION);
		return;
	}
	if (server->target != pool->target) {
		server_close(server, SERVER_CLOSE_RELOAD);
		return;
	}
	if (pool->upstream->is_closing || atomic_load(&pool->shared->n_servers) > max) {
		server_close(server, SERVER_CLOSE_EXCESS);
		return;
	}
	if (now >= server->expires_ns) {
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
	struct welcome *welcome = pool->shared->welcome;
	if (welcome != NULL) {
		(void)welcome_ref(welcome);
	}
	pthread_mutex_unlock(&pool->shared->lock);
	return welcome;
}

/* Keeping house, once a second */

/* Why an idle connection has to go; SERVER_CLOSE_COUNT: it may stay. */
static enum server_close_reason
pool_staleness(const struct pool *pool, const struct server *server, uint64_t now)
{
	struct pool_shared *shared = pool->shared;
	uint64_t idle_ns = pool->upstream->config->server_idle_timeout_ms * 1000000U;
	unsigned n = atomic_load(&shared->n_servers);
	if (now >= server->expires_ns) {
		return SERVER_CLOSE_LIFETIME;
	}
	if (n > atomic_load(&shared->max)) {
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

static void pool_on_tick(void *arg)
{
	struct upstream *up = arg;
	uint64_t now = clock_now_ns();
	dlist_each (l, tmp, &up->all) {
		struct pool *pool = container_of(l, struct pool, link);
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

/* The server is somewhere else now: idle connections end at once, those in use when
 * they are given back. */
static void pool_retarget(struct pool *pool, const struct config *config)
{
	uint64_t target = pools_target(config, pool->shared);
	if (target == pool->target) {
		return;
	}
	pool->target = target;
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
		return pool;
	}
	pool = calloc(1, sizeof(*pool));
	if (pool == NULL) {
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
