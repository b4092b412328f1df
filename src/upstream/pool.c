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

/* Hand-over to another worker */

struct pool_parcel {
	struct pool_shared *shared;
	struct upstream *to;
	struct upstream *from;
	struct server *server; /* NULL: a request for an idle one */
};

static struct pool *pool_of_shared(struct upstream *up,
				   const struct pool_shared *shared)
{
	dlist_each (l, tmp, &up->all) {
		struct pool *pool = container_of(l, struct pool, link);
		if (pool->shared == shared) {
			return pool;
		}
	}
	return NULL;
}

static void pool_parcel_arrives(void *arg)
{
	struct pool_parcel *parcel = arg;
	struct server *server = parcel->server;
	struct pool *pool = pool_of_shared(parcel->to, parcel->shared);
	free(parcel);
	/* a pool lives as long as its worker, and the sender has seen this one's counts
	 */
	require(pool != NULL);
	if (pool->upstream->is_closing || server_adopt(server, pool) < 0) {
		server->pool = pool;
		server_discard(server);
		return;
	}
	pool_give(pool, server);
}

/* The worker whose client has waited longest; NULL when it is this one, or none. */
static struct upstream *pool_longest_waiting(const struct pool *pool)
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

/* Sends a connection that nobody has to the worker whose client has waited longest;
 * false when nobody else waits.  Not from a callback of its stream: the other worker
 * may have it before that returns. */
static bool pool_send_away(struct pool *pool, struct server *server)
{
	struct upstream *up = pool->upstream;
	struct upstream *best = pool_longest_waiting(pool);
	if (best == NULL || !stream_is_empty(&server->stream)) {
		return false;
	}
	struct pool_parcel *parcel = malloc(sizeof(*parcel));
	if (parcel == NULL) {
		return false;
	}
	*parcel = (struct pool_parcel){ pool->shared, best, up, server };
	if (server->state != SERVER_IDLE) {
		server_move(server, SERVER_IDLE);
	}
	server_leave(server);
	if (loop_post(best->loop, pool_parcel_arrives, parcel) < 0) {
		free(parcel);
		server_discard(server);
	}
	return true;
}

static void pool_asked_for_idle(void *arg)
{
	struct pool_parcel *parcel = arg;
	struct pool *pool = pool_of_shared(parcel->from, parcel->shared);
	free(parcel);
	if (pool == NULL || pool->n_waiting > 0) {
		return;
	}
	struct dlist *l = dlist_head(&pool->idle);
	if (l != NULL) {
		(void)pool_send_away(pool, container_of(l, struct server, link));
	}
}

/* The pool is full and a client waits here: ask every worker that has an idle one.  A
 * worker that gets one later sees our count of waiting clients in pool_give(). */
static void pool_ask_others(struct pool *pool)
{
	struct upstream *up = pool->upstream;
	for (unsigned i = 0; i < up->n_workers; i++) {
		if (i == up->index ||
		    atomic_load(&pool->shared->counts[i].n_idle) == 0) {
			continue;
		}
		struct pool_parcel *parcel = malloc(sizeof(*parcel));
		if (parcel == NULL) {
			return;
		}
		*parcel = (struct pool_parcel){ pool->shared, up, up->peers[i], NULL };
		if (loop_post(up->peers[i]->loop, pool_asked_for_idle, parcel) < 0) {
			free(parcel);
		}
	}
}

/* Growing */

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
	/* The server has refused the login or the database: waiting will not help.
	 * Whoever is merely unreachable or starting up may come back within the wait
	 * limit. */
	bool is_final = strncmp(told.sqlstate, "28", 2) == 0 ||
			strcmp(told.sqlstate, "3D000") == 0 ||
			strcmp(told.sqlstate, "42501") == 0;
	if (is_final && atomic_load(&shared->n_servers) == 0) {
		pool_refuse_all(pool, &told);
	}
}

static void pool_connected(struct pool *pool, struct server_socket *socket)
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
	up->ops->opened(server);
}

static void pool_grow(struct pool *pool);

static void pool_on_connect(void *arg, struct server_socket *socket,
			    const struct connect_error *error)
{
	struct pool_attempt *attempt = arg;
	struct pool *pool = attempt->pool;
	histogram_observe(&pool_metrics(pool)->pool_connect,
			  clock_now_ns() - attempt->begun_ns);
	metric_sub(&pool_metrics(pool)->pool_connections[METRIC_POOL_LOGIN], 1);
	dlist_remove(&attempt->link);
	free(attempt);
	atomic_fetch_sub(&pool->shared->n_connecting, 1);
	if (socket != NULL) {
		pool_connected(pool, socket);
	} else {
		atomic_fetch_sub(&pool->shared->n_servers, 1);
		pool_connect_failed(pool, error);
	}
	pool_grow(pool);
}

/* max_db_connections and max_user_connections count over several pools. */
static bool pool_is_within(struct pool *pool)
{
	struct upstream *up = pool->upstream;
	struct pool_shared *own = pool->shared;
	const struct config *config = up->config;
	const struct config_database *db =
	    config_find_database(config, span_str(own->database));
	const struct config_user *user = config_find_user(config, span_str(own->user));
	unsigned max_db = db ? db->max_db_connections : config->max_db_connections;
	unsigned max_user =
	    user ? user->max_user_connections : config->max_user_connections;
	if (max_db == 0 && max_user == 0) {
		return true;
	}
	unsigned n_db = 0;
	unsigned n_user = 0;
	pthread_mutex_lock(&up->pools->lock);
	dlist_each (l, tmp, &up->pools->all) {
		struct pool_shared *other = container_of(l, struct pool_shared, link);
		unsigned n = atomic_load(&other->n_servers);
		n_db += strcmp(other->database, own->database) == 0 ? n : 0;
		n_user += strcmp(other->user, own->user) == 0 ? n : 0;
	}
	pthread_mutex_unlock(&up->pools->lock);
	return (max_db == 0 || n_db < max_db) && (max_user == 0 || n_user < max_user);
}

/* A limit over several pools is reached: an idle connection of another pool gives way.
 * It is closed; the place it leaves is taken by whoever asks next. */
static bool pool_make_room(struct pool *pool)
{
	dlist_each (l, tmp, &pool->upstream->all) {
		struct pool *other = container_of(l, struct pool, link);
		bool shares =
		    strcmp(other->shared->database, pool->shared->database) == 0 ||
		    strcmp(other->shared->user, pool->shared->user) == 0;
		if (other == pool || !shares || dlist_is_empty(&other->idle)) {
			continue;
		}
		server_close(container_of(other->idle.prev, struct server, link),
			     SERVER_CLOSE_EXCESS);
		return true;
	}
	return false;
}

/* Takes one place in the account of all workers. */
static bool pool_reserve(struct pool_shared *shared)
{
	if (atomic_fetch_add(&shared->n_connecting, 1) >= POOL_MAX_CONNECTING) {
		atomic_fetch_sub(&shared->n_connecting, 1);
		return false;
	}
	unsigned n = atomic_load(&shared->n_servers);
	unsigned max = atomic_load(&shared->max);
	while (n < max) {
		if (atomic_compare_exchange_weak(&shared->n_servers, &n, n + 1)) {
			return true;
		}
	}
	atomic_fetch_sub(&shared->n_connecting, 1);
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
	pthread_mutex_lock(
	    &shared->lock); /* of the password, which connect_start() copies */
	struct connect_options options = {
		.host = db->host,
		.port = db->port,
		.dbname = db->dbname ? db->dbname : shared->database,
		.user = db->user ? db->user : shared->user,
		.password = db->password ? db->password : shared->password,
		.sslmode = "disable",
		.application_name = "pgrecall",
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
	if (!pool_is_within(pool) &&
	    (pool->n_waiting == 0 || !pool_make_room(pool) || !pool_is_within(pool))) {
		return false;
	}
	if (!pool_reserve(shared)) {
		return false;
	}
	if (pool_connect(pool) < 0) {
		atomic_fetch_sub(&shared->n_connecting, 1);
		atomic_fetch_sub(&shared->n_servers, 1);
		return false;
	}
	return true;
}

static unsigned pool_n_connecting(const struct pool *pool)
{
	unsigned n = 0;
	dlist_each (l, tmp, &pool->connecting) {
		n++;
	}
	return n;
}

/* One connect for each waiting client that has none coming, as far as the limits go. */
static void pool_grow(struct pool *pool)
{
	unsigned coming = pool_n_connecting(pool);
	while (coming < pool->n_waiting && pool_try_connect(pool)) {
		coming++;
	}
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

struct server *pool_take(struct pool *pool)
{
	uint64_t now = 0;
	while (pool->n_waiting == 0) {
		struct dlist *l = dlist_head(&pool->idle);
		if (l == NULL) {
			return NULL;
		}
		struct server *server = container_of(l, struct server, link);
		now = now ? now : clock_now_ns();
		if (now - server->idle_since_ns > POOL_PEEK_AFTER_NS &&
		    stream_is_stirred(&server->stream)) {
			server_close(server, SERVER_CLOSE_CHECK_FAILED);
			continue;
		}
		if (pool_check_first(pool, server, now)) {
			continue;
		}
		server_move(server, SERVER_BUSY);
		server->epoch++;
		metric_add(&pool_metrics(pool)->pool_checkouts, 1);
		histogram_observe(&pool_metrics(pool)->pool_wait, 0);
		return server;
	}
	return NULL;
}

void pool_wait(struct pool *pool, struct pool_waiter *waiter)
{
	waiter->since_ns = clock_now_ns();
	dlist_init(&waiter->link);
	dlist_push_tail(&pool->waiting, &waiter->link);
	pool->n_waiting++;
	pool_publish_waiting(pool);
	pool_grow(pool);
	if (pool->n_waiting > pool_n_connecting(pool)) {
		pool_ask_others(pool);
	}
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
		server->epoch++;
		metric_add(&pool_metrics(pool)->pool_checkouts, 1);
		pool_grant(pool, server);
		return;
	}
	if (server->state != SERVER_IDLE) {
		server_move(server, SERVER_IDLE);
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

static void pool_close_stale(struct pool *pool, uint64_t now)
{
	const struct config *config = pool->upstream->config;
	struct pool_shared *shared = pool->shared;
	uint64_t idle_ns = config->server_idle_timeout_ms * 1000000U;
	/* oldest first: the list has the most recently used in front */
	for (struct dlist *l = pool->idle.prev; l != &pool->idle;) {
		struct server *server = container_of(l, struct server, link);
		l = l->prev;
		unsigned n = atomic_load(&shared->n_servers);
		bool is_old = now >= server->expires_ns;
		bool is_idle = idle_ns != 0 && now - server->idle_since_ns >= idle_ns &&
			       n > atomic_load(&shared->min);
		if (is_old || is_idle || n > atomic_load(&shared->max)) {
			server_close(server, is_old ? SERVER_CLOSE_LIFETIME
						    : SERVER_CLOSE_IDLE);
		}
	}
}

static void pool_on_tick(void *arg)
{
	struct upstream *up = arg;
	uint64_t now = clock_now_ns();
	dlist_each (l, tmp, &up->all) {
		struct pool *pool = container_of(l, struct pool, link);
		pool_close_stale(pool, now);
		pool_grow(pool);
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

static void pool_limits(struct pool_shared *shared, const struct config *config)
{
	const struct config_database *db =
	    config_find_database(config, span_str(shared->database));
	if (db == NULL) {
		atomic_store(&shared->min, 0);
		return;
	}
	const struct config_user *user =
	    config_find_user(config, span_str(shared->user));
	unsigned max = db->pool_size;
	if (user != NULL && user->pool_size != 0 && !db->has_pool_size) {
		max = user->pool_size;
	}
	unsigned min = db->min_pool_size < max ? db->min_pool_size : max;
	atomic_store(&shared->max, max);
	atomic_store(&shared->min, min);
}

void upstream_reload(struct upstream *up, const struct config *config)
{
	up->config = config;
	dlist_each (l, tmp, &up->all) {
		struct pool *pool = container_of(l, struct pool, link);
		pool_limits(pool->shared, config);
		pool_grow(pool);
	}
}

/* The registry */

void pools_init(struct pools *pools, unsigned max)
{
	*pools = (struct pools){ .max = max };
	pthread_mutex_init(&pools->lock, NULL);
	dlist_init(&pools->all);
}

static void pool_shared_free(struct pool_shared *shared)
{
	pthread_mutex_destroy(&shared->lock);
	welcome_unref(shared->welcome);
	context_unref(shared->base);
	free(shared->database);
	free(shared->user);
	free(shared->password);
	free(shared);
}

void pools_fini(struct pools *pools)
{
	struct dlist *l;
	while ((l = dlist_pop_head(&pools->all)) != NULL) {
		pool_shared_free(container_of(l, struct pool_shared, link));
	}
	pthread_mutex_destroy(&pools->lock);
}

static struct pool_shared *pool_shared_new(const struct config *config,
					   struct span database, struct span user)
{
	const struct config_database *db = config_find_database(config, database);
	if (db == NULL) {
		return NULL;
	}
	struct pool_shared *shared = aligned_alloc(64, sizeof(*shared));
	if (shared == NULL) {
		return NULL;
	}
	memset(shared, 0, sizeof(*shared));
	pthread_mutex_init(&shared->lock, NULL);
	shared->database = strndup((const char *)database.p, database.n);
	shared->user = strndup((const char *)user.p, user.n);
	shared->db_index = (uint16_t)db->index;
	dlist_init(&shared->link);
	if (shared->database == NULL || shared->user == NULL) {
		pool_shared_free(shared);
		return NULL;
	}
	pool_limits(shared, config);
	return shared;
}

static void pool_set_password(struct pool_shared *shared, const char *password)
{
	pthread_mutex_lock(&shared->lock);
	if (password != NULL &&
	    (shared->password == NULL || strcmp(shared->password, password) != 0)) {
		char *copy = strdup(password);
		if (copy != NULL) {
			free(shared->password);
			shared->password = copy;
		}
	}
	pthread_mutex_unlock(&shared->lock);
}

static struct pool_shared *pools_get(struct pools *pools, const struct config *config,
				     struct span database, struct span user)
{
	struct pool_shared *found = NULL;
	pthread_mutex_lock(&pools->lock);
	dlist_each (l, tmp, &pools->all) {
		struct pool_shared *shared = container_of(l, struct pool_shared, link);
		if (span_eq_str(database, shared->database) &&
		    span_eq_str(user, shared->user)) {
			found = shared;
			break;
		}
	}
	if (found == NULL && pools->n < pools->max) {
		found = pool_shared_new(config, database, user);
		if (found != NULL) {
			dlist_push_tail(&pools->all, &found->link);
			pools->n++;
		}
	}
	pthread_mutex_unlock(&pools->lock);
	return found;
}

struct pool *pool_find(struct upstream *up, struct span database, struct span user,
		       const char *password)
{
	struct pool_shared *shared = pools_get(up->pools, up->config, database, user);
	if (shared == NULL) {
		return NULL;
	}
	pool_set_password(shared, password);
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
	dlist_init(&pool->idle);
	dlist_init(&pool->busy);
	dlist_init(&pool->waiting);
	dlist_init(&pool->connecting);
	dlist_init(&pool->link);
	dlist_push_tail(&up->all, &pool->link);
	return pool;
}
