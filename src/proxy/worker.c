/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/metrics.h"
#include "cache/rules.h"
#include "cache/store.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/timer.h"
#include "net/tls.h"
#include "proxy/auth_query.h"
#include "proxy/client.h"
#include "proxy/client_acquire.h"
#include "proxy/client_steps.h"
#include "proxy/proxy.h"
#include "proxy/relay.h"
#include "proxy/server_reset.h"
#include "proxy/server_steps.h"
#include "proxy/users.h"
#include "sql/planner.h"
#include "upstream/gates.h"
#include "upstream/server.h"
#include "upstream/statement.h"

#define WORKER_TICK_MS	 100
#define WORKER_LIMITS_NS UINT64_C(250000000)
/* libpg_query and the walk over its tree recurse with the nesting of a statement, which
 * the planner bounds; only what is touched of the stack exists. */
#define WORKER_STACK ((size_t)64 << 20)

/* Time limits */

static bool worker_is_over(uint64_t now, uint64_t since, uint64_t limit)
{
	return limit != 0 && now > since && now - since > limit;
}

static uint64_t worker_oldest(const struct dlist *list)
{
	return container_of(list->next, struct client, timed)->since_ns;
}

/* query_wait_notify.  Nothing else is on its way to a client that waits here, so the
 * notice may go out at once. */
static void worker_tell_waiting(struct client *client, uint64_t now, uint64_t limit)
{
	if (client->wait_told || client->state != CLIENT_WAIT ||
	    !worker_is_over(now, client->since_ns, limit)) {
		return;
	}
	struct buf notice;
	buf_init(&notice, 1024);
	replies_notice(&notice, "no server connection is free, the query waits");
	stream_put(&client->stream, buf_span(&notice));
	buf_fini(&notice);
	client->wait_told = true;
}

/* The list of logins is in the order of time, so only its head is looked at; those who
 * wait may each have another limit. */
static void worker_check_times(struct worker *worker, uint64_t now)
{
	const struct config *config = worker->config;
	uint64_t login_ns = config->client_login_timeout_ms * 1000000U;
	while (login_ns != 0 && !dlist_is_empty(&worker->logins) &&
	       now - worker_oldest(&worker->logins) > login_ns) {
		client_close(container_of(worker->logins.next, struct client, timed),
			     CLIENT_CLOSE_LOGIN_TIMEOUT);
	}
	dlist_each (l, tmp, &worker->waiting) {
		struct client *client = container_of(l, struct client, timed);
		worker_tell_waiting(client, now,
				    config->query_wait_notify_ms * 1000000U);
		if (worker_is_over(now, client->since_ns, client->wait_limit_ns)) {
			client_wait_expired(client);
		}
	}
}

/* The limits of one client: the user's own, or everybody's. */
struct worker_limits {
	uint64_t idle_ns;
	uint64_t idle_tx_ns;
	uint64_t query_ns;
	uint64_t tx_ns;
};

static struct worker_limits worker_limits_of(const struct worker *worker,
					     const struct client *client)
{
	const struct config *config = worker->config;
	const struct config_user *user =
	    config_find_user(config, span_str(client->pool->shared->user));
	struct worker_limits limits = {
		.idle_ns = user ? user->client_idle_timeout_ms
				: config->client_idle_timeout_ms,
		.idle_tx_ns = user ? user->idle_transaction_timeout_ms
				   : config->idle_transaction_timeout_ms,
		.query_ns = user ? user->query_timeout_ms : config->query_timeout_ms,
		.tx_ns = user ? user->transaction_timeout_ms
			      : config->transaction_timeout_ms,
	};
	limits.idle_ns *= 1000000U;
	limits.idle_tx_ns *= 1000000U;
	limits.query_ns *= 1000000U;
	limits.tx_ns *= 1000000U;
	return limits;
}

static void worker_check_client(struct worker *worker, struct client *client,
				uint64_t now)
{
	struct worker_limits limits = worker_limits_of(worker, client);
	struct server *server = client->server;
	if (server == NULL) {
		if (client->state == CLIENT_IDLE &&
		    worker_is_over(now, client->since_ns, limits.idle_ns)) {
			client_close(client, CLIENT_CLOSE_IDLE_TIMEOUT);
		}
		return;
	}
	/* a batch without Sync keeps a transaction open, too (T-89) */
	bool is_busy = server->owed.n > 0;
	bool in_tx = client->session.tx_status != 'I' || server->unsynced;
	uint64_t quiet_since = client->since_ns > server->query_sent_ns
				   ? client->since_ns
				   : server->query_sent_ns;
	if (is_busy && worker_is_over(now, server->query_sent_ns, limits.query_ns)) {
		client_close(client, CLIENT_CLOSE_QUERY_TIMEOUT);
	} else if (!is_busy && in_tx &&
		   worker_is_over(now, quiet_since, limits.idle_tx_ns)) {
		client_close(client, CLIENT_CLOSE_IDLE_TX_TIMEOUT);
	} else if (!is_busy && !in_tx &&
		   worker_is_over(now, quiet_since, limits.idle_ns)) {
		client_close(client, CLIENT_CLOSE_IDLE_TIMEOUT);
	} else if ((is_busy || in_tx) &&
		   worker_is_over(now, client->tx_since_ns, limits.tx_ns)) {
		client_close(client, CLIENT_CLOSE_TX_TIMEOUT);
	}
}

/* Every client, four times a second. */
static void worker_check_clients(struct worker *worker, uint64_t now)
{
	if (now < worker->next_limits_ns) {
		return;
	}
	worker->next_limits_ns = now + WORKER_LIMITS_NS;
	dlist_each (l, tmp, &worker->clients) {
		struct client *client = container_of(l, struct client, link);
		/* neither the console nor replication has time limits */
		if (client->pool != NULL && client->state >= CLIENT_IDLE &&
		    client_is_open(client)) {
			worker_check_client(worker, client, now);
		}
	}
}

static void worker_tell(struct worker *worker)
{
	struct planner_counts counts;
	planner_counts(worker->planner, &counts);
	struct metrics *m = worker->metrics;
	metric_set(&m->fingerprints, counts.shapes);
	metric_set(&m->fingerprints_evicted, counts.evictions);
	metric_set(&m->statement_parses, counts.parses);
	metric_set(&m->statement_parse_time, counts.parse_ns);
	metric_set(&m->eventloop_iterations, loop_iterations(worker->loop));
	histogram_observe(&m->eventloop_lag,
			  loop_take_slowest_ms(worker->loop) * UINT64_C(1000000));
	dlist_each (l, tmp, &worker->clients) {
		client_tell(container_of(l, struct client, link));
	}
}

/* Stopping */

static void worker_store_closed(void *arg)
{
	struct worker *worker = arg;
	loop_stop(worker->loop);
}

static void worker_close_listeners(struct worker *worker)
{
	for (unsigned i = 0; i < worker->n_listeners; i++) {
		listener_close(steal(&worker->listeners[i]));
	}
	worker->n_listeners = 0;
}

/* Whether the client may go on a little, in this phase of the end. */
static bool worker_spares(const struct client *client, int phase)
{
	const struct server *server = client->server;
	if (phase == PROXY_STOPPING) {
		return false;
	}
	if (client->state == CLIENT_WAIT || client->state == CLIENT_LOOKUP) {
		return true;
	}
	return server != NULL && (server->owed.n > 0 || (phase == PROXY_DRAINING &&
							 server->tx_status != 'I'));
}

static void worker_close_clients(struct worker *worker, int phase)
{
	dlist_each (l, tmp, &worker->clients) {
		struct client *client = container_of(l, struct client, link);
		if (client->relay != NULL && phase != PROXY_STOPPING) {
			relay_end(client->relay, CLIENT_CLOSE_SHUTDOWN);
		} else if (!worker_spares(client, phase)) {
			client_close(client, CLIENT_CLOSE_SHUTDOWN);
		}
	}
}

static void worker_stop(struct worker *worker)
{
	if (worker->is_stopping) {
		return;
	}
	worker->is_stopping = true;
	worker->is_draining = true;
	worker_close_listeners(worker);
	worker_close_clients(worker, PROXY_STOPPING);
	auth_queries_stop(worker->auth_queries);
	upstream_stop(&worker->upstream);
	timer_close(steal(&worker->tick));
	store_close(worker->store, worker_store_closed, worker);
}

static void worker_check_phase(struct worker *worker)
{
	int phase = atomic_load(&worker->proxy->phase);
	if (phase == PROXY_STOPPING) {
		worker_stop(worker);
		return;
	}
	if (phase == PROXY_SERVING) {
		return;
	}
	uint64_t now = clock_now_ns();
	if (!worker->is_draining) {
		uint64_t limit = worker->config->shutdown_timeout_ms * 1000000U;
		worker->is_draining = true;
		worker->drain_until_ns = limit ? now + limit : UINT64_MAX;
		worker_close_listeners(worker);
		worker_close_clients(worker, PROXY_DRAINING);
	}
	if (phase == PROXY_HURRYING && !worker->is_hurrying) {
		worker->is_hurrying = true;
		worker_close_clients(worker, PROXY_HURRYING);
	}
	if (worker->n_clients == 0 || now > worker->drain_until_ns) {
		worker_stop(worker);
	}
}

static void worker_on_tick(void *arg)
{
	struct worker *worker = arg;
	uint64_t now = clock_now_ns();
	atomic_store(&worker->alive_ns, now);
	worker->coarse_ns = now;
	worker_check_times(worker, now);
	worker_check_clients(worker, now);
	server_reset_tick(worker);
	auth_queries_tick(worker->auth_queries);
	channels_tick(worker);
	worker_tell(worker);
	worker_check_phase(worker);
}

/* Configuration */

static void worker_rules(void *arg, struct plan *plan, const char *const *tables,
			 size_t n_tables)
{
	struct worker *worker = arg;
	rules_apply(worker->config, plan, tables, n_tables);
}

static void worker_take_config(struct worker *worker)
{
	uint32_t epoch = atomic_load(&worker->proxy->config_epoch);
	if (epoch == worker->config_epoch) {
		return;
	}
	struct config *old = worker->config;
	worker->config_epoch = epoch;
	worker->config = proxy_config(worker->proxy);
	users_unref(worker->users);
	worker->users = proxy_users(worker->proxy);
	tls_unref(worker->tls);
	worker->tls = proxy_tls(worker->proxy);
	stream_group_limit(&worker->group, worker->config->client_hold_max,
			   worker->config->client_out_high);
	statement_table_limit(worker->statements,
			      worker->config->prepared_statements_memory);
	key_fini(&worker->key);
	buf_fini(&worker->head);
	key_init(&worker->key, worker->config->max_key_size);
	planner_flush(worker->planner);
	upstream_reload(&worker->upstream, worker->config);
	store_reload(worker->store, worker->config);
	dlist_each (l, tmp, &worker->clients) {
		client_refind(container_of(l, struct client, link));
	}
	config_unref(old);
}

/* PAUSE by signal: replication has no pool whose gate would be closed. */
static void worker_pause_relays(struct worker *worker)
{
	struct pools *pools = &worker->proxy->pools;
	dlist_each (l, tmp, &worker->clients) {
		struct client *client = container_of(l, struct client, link);
		if (client->relay != NULL &&
		    (gates_of(pools, span_str(relay_database(client->relay))) &
		     GATE_PAUSED) != 0) {
			relay_end(client->relay, CLIENT_CLOSE_ADMIN);
		}
	}
}

static void worker_poked(void *arg)
{
	struct worker *worker = arg;
	if (worker->is_stopping) {
		return;
	}
	worker_take_config(worker);
	dlist_each (l, tmp, &worker->upstream.all) {
		struct pool *pool = container_of(l, struct pool, link);
		pool_retarget(pool, worker->config);
		gates_apply(pool);
	}
	worker_pause_relays(worker);
	worker_check_phase(worker);
}

int worker_poke(struct worker *worker)
{
	return loop_post(worker->loop, worker_poked, worker);
}

/* Life */

static int worker_init(struct worker *worker)
{
	struct proxy *proxy = worker->proxy;
	struct config *config = worker->config;
	int r = loop_new(config->pkt_buf, &worker->loop);
	if (r < 0) {
		return r;
	}
	loop_set_owner(worker->loop, worker);
	stream_group_init(&worker->group, worker->loop, config->client_hold_max,
			  config->client_out_high);
	key_init(&worker->key, config->max_key_size);
	buf_init(&worker->head, 0);
	r = planner_new(config->max_plans, config->max_statement_size, worker_rules,
			worker, &worker->planner);
	if (r == 0) {
		r = statement_table_new(&worker->statements);
	}
	if (r == 0) {
		statement_table_limit(worker->statements,
				      config->prepared_statements_memory);
	}
	if (r == 0) {
		r = store_new(proxy->store, worker->loop, config, worker->metrics,
			      &worker->store);
	}
	if (r == 0) {
		r = auth_queries_new(worker, &worker->auth_queries);
	}
	if (r == 0) {
		r = timer_new(worker->loop, worker_on_tick, worker, &worker->tick);
	}
	return r;
}

int worker_new(struct proxy *proxy, unsigned index, struct worker **out)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	if (worker == NULL) {
		return -ENOMEM;
	}
	worker->proxy = proxy;
	worker->index = index;
	worker->coarse_ns = clock_now_ns();
	worker->config = proxy_config(proxy);
	worker->users = proxy_users(proxy);
	worker->tls = proxy_tls(proxy);
	worker->config_epoch = atomic_load(&proxy->config_epoch);
	worker->metrics = proxy->metrics[index];
	worker->versions = store_shared_versions(proxy->store);
	worker->key_columns = store_shared_key_columns(proxy->store);
	dlist_init(&worker->clients);
	dlist_init(&worker->logins);
	dlist_init(&worker->waiting);
	channels_init(&worker->channels);
	int r = worker_init(worker);
	if (r < 0) {
		return r; /* start-up: the process ends */
	}
	worker->upstream = (struct upstream){
		.index = index,
		.n_workers = proxy->n_workers,
		.peers = proxy->upstreams,
		.pools = &proxy->pools,
		.loop = worker->loop,
		.group = &worker->group,
		.config = worker->config,
		.metrics = worker->metrics,
		.ops = &server_ops,
		.owner = worker,
	};
	proxy->upstreams[index] = &worker->upstream;
	*out = worker;
	return upstream_start(&worker->upstream);
}

static void *worker_run(void *arg)
{
	struct worker *worker = arg;
	loop_run(worker->loop);
	atomic_store(&worker->has_ended, true);
	return NULL;
}

int worker_start(struct worker *worker)
{
	pthread_attr_t attr;
	sigset_t all;
	sigset_t before;
	atomic_store(&worker->alive_ns, clock_now_ns());
	timer_start(worker->tick, WORKER_TICK_MS, WORKER_TICK_MS);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	sigfillset(&all); /* signals are the main thread's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&worker->thread, &attr, worker_run, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	worker->is_running = r == 0;
	return -r;
}

void worker_join(struct worker *worker)
{
	if (worker->is_running) {
		pthread_join(worker->thread, NULL);
		worker->is_running = false;
	}
}

void worker_free(struct worker *worker)
{
	if (worker == NULL) {
		return;
	}
	if (!worker->is_stopping) {
		worker_stop(worker); /* never ran */
	}
	loop_free(worker->loop);
	stream_group_fini(&worker->group);
	auth_queries_free(worker->auth_queries);
	channels_fini(&worker->channels);
	planner_free(worker->planner);
	statement_table_free(worker->statements);
	key_fini(&worker->key);
	buf_fini(&worker->head);
	users_unref(worker->users);
	tls_unref(worker->tls);
	config_unref(worker->config);
	free(worker);
}
