/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/close_reason.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/sqlstate.h"
#include "pool_priv.h"
#include "upstream/connect.h"
#include "upstream/pool.h"
#include "upstream/pool_peers.h"
#include "upstream/server.h"
#include "upstream/welcome.h"

#define POOL_MAX_CONNECTING 8 /* at once, over all workers */

/* The server has refused the login, the database, or how sessions are to begin: waiting
 * will not help.  Whoever is merely unreachable or starting up may come back within the
 * wait limit. */
static bool pool_is_refused(const struct pool *pool, const struct pool_error *error)
{
	bool is_final =
	    strncmp(error->sqlstate, "28", 2) == 0 ||
	    strcmp(error->sqlstate, SQLSTATE_UNKNOWN_DATABASE) == 0 ||
	    strcmp(error->sqlstate, SQLSTATE_INVALID_PARAMETER_VALUE) == 0 ||
	    strncmp(error->sqlstate, "42", 2) == 0;
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

void pool_forget_failures(struct pool *pool)
{
	struct pool_shared *shared = pool->shared;
	atomic_store(&shared->failures, 0);
	atomic_store(&shared->retry_ns, 0);
	metric_set(&pool_metrics(pool)->pool_backoff, 0);
	pthread_mutex_lock(&shared->lock);
	shared->error.sqlstate[0] = 0;
	pthread_mutex_unlock(&shared->lock);
}

void pool_succeeded(struct pool *pool)
{
	pool_forget_failures(pool);
	metric_set(&pool_metrics(pool)->server_up, 1);
}

/* Logged in, and then lost before it was of any use: to try again at once would be to
 * try for ever. */
void pool_unproven(struct pool *pool)
{
	static const struct connect_error error = {
		.reason = "fatal",
		.sqlstate = SQLSTATE_CONNECTION_FAILURE,
		.message = "the connection was lost right after the login",
	};
	pool_connect_failed(pool, &error);
}

/* Where the next connect begins: behind the one before, or with the same host until it
 * fails. */
static uint16_t pool_first_host(struct pool_shared *shared,
				const struct config_database *db)
{
	unsigned at = db->load_balance_hosts == LOAD_BALANCE_ROUND_ROBIN
			  ? atomic_fetch_add(&shared->next_host, 1)
			  : atomic_load(&shared->next_host);
	return (uint16_t)(config_has_hosts(db) ? at % config_list_count(db->host) : 0);
}

static void pool_keep_host(struct pool *pool, const struct server_socket *socket)
{
	struct pool_shared *shared = pool->shared;
	const struct config_database *db =
	    config_find_database(pool->upstream->config, span_str(shared->database));
	if (db != NULL && db->load_balance_hosts == LOAD_BALANCE_DISABLE) {
		atomic_store(&shared->next_host, (unsigned)server_socket_host(socket));
	}
}

void pool_unfit(struct pool *pool, const char *sqlstate, const char *text)
{
	struct connect_error error = {
		.reason = "fatal",
		.sqlstate = sqlstate,
		.message = text,
	};
	pool_connect_failed(pool, &error);
}

static void pool_connected(struct pool *pool, struct server_socket *socket,
			   const struct pool_attempt *attempt)
{
	struct welcome *welcome = welcome_new(socket);
	struct server *server = server_new(pool, socket);
	if (server == NULL) {
		welcome_unref(welcome);
		pool_lost(pool);
		return;
	}
	server->target = attempt->target;
	server->n_reconnects = attempt->n_reconnects;
	server->welcome = welcome;
	pool->upstream->ops->opened(server);
}

void pool_grow(struct pool *pool);

static void pool_on_connect(void *arg, struct server_socket *socket,
			    const struct connect_error *error)
{
	struct pool_attempt attempt = *(struct pool_attempt *)arg;
	struct pool *pool = attempt.pool;
	histogram_observe(&pool_metrics(pool)->pool_connect,
			  clock_now_ns() - attempt.begun_ns);
	metric_sub(&pool_metrics(pool)->pool_connections[METRIC_POOL_LOGIN], 1);
	dlist_remove(&((struct pool_attempt *)arg)->link);
	free(arg);
	atomic_fetch_sub(&pool->shared->n_connecting, 1);
	if (socket != NULL) {
		pool_keep_host(pool, socket);
		pool_connected(pool, socket, &attempt);
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

/* Its size, and the reserve once the first in the queue has waited for long. */
static unsigned pool_limit(const struct pool *pool)
{
	unsigned max = atomic_load(&pool->shared->max);
	unsigned reserve = atomic_load(&pool->shared->reserve);
	uint64_t limit = pool->upstream->config->reserve_pool_timeout_ms * 1000000U;
	struct dlist *head = dlist_head(&pool->waiting);
	if (reserve == 0 || limit == 0 || head == NULL) {
		return max;
	}
	uint64_t since = container_of(head, struct pool_waiter, link)->since_ns;
	return clock_now_ns() - since >= limit ? max + reserve : max;
}

static bool pool_count_one(const struct pool *pool)
{
	struct pool_shared *shared = pool->shared;
	unsigned n = atomic_load(&shared->n_servers);
	unsigned max = pool_limit(pool);
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
		return pool_count_one(pool) ? PLACE_TAKEN : PLACE_NONE;
	}
	enum pool_place place = PLACE_OVER;
	pthread_mutex_lock(&up->pools->lock);
	if (pool_is_within(pool, max_db, max_user)) {
		place = pool_count_one(pool) ? PLACE_TAKEN : PLACE_NONE;
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
	attempt->n_reconnects = atomic_load(&shared->n_reconnects);
	pthread_mutex_lock(
	    &shared->lock); /* of the password, which connect_start() copies */
	struct connect_options options;
	connect_options_of(&options, up->config, db);
	options.first = pool_first_host(shared, db);
	options.dbname = options.dbname ? options.dbname : shared->database;
	options.user = options.user ? options.user : shared->user;
	options.password = options.password ? options.password : shared->password;
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

bool pool_try_connect(struct pool *pool)
{
	struct pool_shared *shared = pool->shared;
	if (pool->upstream->is_closing || pool_is_paused(pool) ||
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
		n +=
		    head != NULL && (head->flags & (OWED_PROBE | OWED_CONNECT)) ? 1 : 0;
	}
	return n;
}

void pool_grow(struct pool *pool)
{
	struct pool_shared *shared = pool->shared;
	if (pool->n_waiting == 0 ||
	    atomic_load(&shared->n_servers) >= pool_limit(pool)) {
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
