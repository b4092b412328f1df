/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/server.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/close_reason.h"
#include "base/config.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/metrics.h"
#include "net/loop.h"
#include "upstream/connect.h"
#include "upstream/context.h"
#include "upstream/pool.h"
#include "upstream/welcome.h"

/* clang-format off */
#define TO(s) (1U << SERVER_##s)
static const struct machine_state server_states[SERVER_N_STATES] = {
	[SERVER_IDLE]    = { "idle",    TO(BUSY) | TO(CLOSING) },
	[SERVER_BUSY]    = { "busy",    TO(IDLE) | TO(RESET) | TO(CLOSING) },
	[SERVER_RESET]   = { "reset",   TO(BUSY) | TO(CLOSING) },
	[SERVER_CLOSING] = { "closing", 0 },
};
#undef TO
/* clang-format on */

static struct metrics_db *server_metrics(struct server *server)
{
	return metrics_database(server->pool->upstream->metrics,
				server->pool->shared->db_index);
}

/* What /metrics calls the state. */
static const unsigned server_gauges[SERVER_N_STATES] = {
	[SERVER_IDLE] = METRIC_POOL_IDLE,
	[SERVER_BUSY] = METRIC_POOL_ACTIVE,
	[SERVER_RESET] = METRIC_POOL_TESTING,
};

static void server_account(struct server *server, enum server_state state, int delta)
{
	if (state != SERVER_CLOSING) {
		metric_add(
		    &server_metrics(server)->pool_connections[server_gauges[state]],
		    (uint64_t)(int64_t)delta);
	}
	struct pool *pool = server->pool;
	struct pool_counts *counts = &pool->shared->counts[pool->upstream->index];
	if (state == SERVER_IDLE) {
		pool->n_idle += (unsigned)delta;
		/* in one order with oldest_ns: upstream/pool_peers.h */
		atomic_store(&counts->n_idle, pool->n_idle);
	}
}

bool server_is_outdated(const struct server *server)
{
	return atomic_load(&server->pool->shared->n_reconnects) != server->n_reconnects;
}

static void server_tell_prepared(struct server *server, uint32_t n)
{
	_Atomic uint64_t *gauge =
	    &server_metrics(server)->prepared_statements[METRIC_SIDE_SERVER];
	metric_add(gauge, n);
	metric_sub(gauge, server->prepared_told);
	server->prepared_told = n;
}

void server_tell(struct server *server)
{
	server_tell_prepared(server, server->prepared.n);
}

void server_move(struct server *server, enum server_state to)
{
	machine_move(server_states, SERVER_N_STATES, server->state, to);
	server_account(server, server->state, -1);
	server->state = to;
	server_account(server, to, 1);
	dlist_remove(&server->link);
	if (to == SERVER_IDLE) {
		require(server_is_clean(server) && server->client == NULL);
		dlist_push_head(&server->pool->idle, &server->link);
	} else if (to != SERVER_CLOSING) {
		dlist_push_tail(&server->pool->busy, &server->link);
	}
}

static void server_free(struct loop_task *task)
{
	struct server *server = container_of(task, struct server, free_task);
	require(server->state == SERVER_CLOSING && server->client == NULL);
	owed_fini(&server->owed);
	prepared_fini(&server->prepared);
	buf_fini(&server->again_bytes);
	welcome_unref(server->welcome);
	free(server);
}

/* The database's own, or everybody's. */
static uint64_t server_lifetime_ns(const struct pool *pool)
{
	const struct config *config = pool->upstream->config;
	const struct config_database *db =
	    config_find_database(config, span_str(pool->shared->database));
	return (db ? db->server_lifetime_ms : config->server_lifetime_ms) * 1000000U;
}

struct server *server_new(struct pool *pool, struct server_socket *socket)
{
	struct upstream *up = pool->upstream;
	struct server *server = calloc(1, sizeof(*server));
	if (server == NULL) {
		server_socket_close(socket);
		return NULL;
	}
	server->pool = pool;
	server->socket = socket;
	server->tx_status = 'I';
	server->pid = server_socket_pid(socket);
	server->idle_since_ns = loop_event_ns(up->loop);
	server->opened_us = clock_wall_us();
	/* up to a tenth earlier, so that connections opened together end apart (T-93);
	 * 0: every connection is used once */
	uint64_t life = server_lifetime_ns(pool);
	server->expires_ns =
	    server->idle_since_ns + life - (uint64_t)random() % (life / 10 + 1);
	dlist_init(&server->link);
	owed_init(&server->owed);
	prepared_init(&server->prepared, up->config->max_prepared_statements);
	buf_init(&server->again_bytes, SERVER_AGAIN_MAX);
	loop_task_init(&server->free_task, server_free);
	loop_task_init(&server->away_task, pool_hand_over);
	int r = server_socket_open(socket, &server->stream, up->group, up->ops->events);
	if (r < 0) {
		server_socket_close(socket);
		prepared_fini(&server->prepared);
		free(server);
		return NULL;
	}
	stream_tune(&server->stream, up->config);
	server->state = SERVER_BUSY;
	server_account(server, SERVER_BUSY, 1);
	dlist_push_tail(&pool->busy, &server->link);
	return server;
}

void server_close(struct server *server, enum server_close_reason reason)
{
	if (server->state == SERVER_CLOSING) {
		return;
	}
	struct pool *pool = server->pool;
	struct upstream *up = pool->upstream;
	const struct close_reason *row = server_close_row(reason);
	LOG_AT(row->is_error ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, NULL,
	       "server connection %u of %s/%s closes: %s", server->pid,
	       pool->shared->database, pool->shared->user, row->text);
	metric_add(&server_metrics(server)->pool_disconnects[row->label], 1);
	if (server->is_away) {
		server->state = SERVER_CLOSING; /* no list and no gauge knows it */
	} else {
		server_tell_prepared(server, 0);
		server_move(server, SERVER_CLOSING);
	}
	up->ops->closing(server, reason);
	if (stream_is_open(&server->stream)) {
		(void)stream_detach(&server->stream); /* libpq closes the descriptor */
	}
	server_socket_close(steal(&server->socket));
	loop_task_remove(&server->away_task);
	loop_task_add(up->loop, &server->free_task);
	if (!server->proven && row->is_error) {
		pool_unproven(pool);
	}
	pool_lost(pool);
}

void server_discard(struct server *server)
{
	server_close(server, SERVER_CLOSE_OUT_OF_MEMORY);
}

void server_bury(struct server *server)
{
	require(server->is_away && server->owed.n == 0 && server->client == NULL);
	context_unref(server->context);
	server_socket_close(server->socket);
	owed_fini(&server->owed);
	prepared_fini(&server->prepared);
	free(server);
}

void server_leave(struct server *server)
{
	require(server->state == SERVER_IDLE && server->client == NULL);
	(void)stream_detach(&server->stream);
	dlist_remove(&server->link);
	server_account(server, SERVER_IDLE, -1);
	server_tell_prepared(server, 0);
	server->is_away = true;
}

int server_adopt(struct server *server, struct pool *pool)
{
	require(server->state == SERVER_IDLE && server->client == NULL);
	server->pool = pool;
	int r = server_socket_open(server->socket, &server->stream,
				   pool->upstream->group, pool->upstream->ops->events);
	if (r < 0) {
		return r;
	}
	server->is_away = false;
	server->state = SERVER_BUSY;
	server_account(server, SERVER_BUSY, 1);
	dlist_push_tail(&pool->busy, &server->link);
	return 0;
}
