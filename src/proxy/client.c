/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/metrics.h"
#include "proxy/cancel.h"
#include "proxy/client_find.h"
#include "proxy/client_pins.h"
#include "proxy/client_steps.h"
#include "proxy/database.h"
#include "proxy/login.h"
#include "proxy/proxy.h"
#include "proxy/relay.h"
#include "proxy/server_steps.h"
#include "proxy/worker.h"
#include "sql/plan.h"
#include "upstream/server.h"

/* clang-format off */
#define TO(s) MACHINE_BIT(CLIENT_##s)
static const struct machine_state client_states[CLIENT_N_STATES] = {
	[CLIENT_STARTUP] = { "startup", TO(AUTH) | TO(WELCOME) | TO(CLOSING) },
	[CLIENT_AUTH]    = { "auth",    TO(WELCOME) | TO(CLOSING) },
	[CLIENT_WELCOME] = { "welcome", TO(IDLE) | TO(CONSOLE) | TO(RELAY) | TO(CLOSING) },
	[CLIENT_IDLE]    = { "idle",    TO(LOOKUP) | TO(WAIT) | TO(BOUND) | TO(CLOSING) },
	[CLIENT_LOOKUP]  = { "lookup",  TO(IDLE) | TO(BOUND) | TO(CLOSING) },
	[CLIENT_WAIT]    = { "wait",    TO(IDLE) | TO(BOUND) | TO(CLOSING) },
	[CLIENT_BOUND]   = { "bound",   TO(LOOKUP) | TO(IDLE) | TO(CLOSING) },
	[CLIENT_CONSOLE] = { "console", TO(CLOSING) },
	[CLIENT_RELAY]   = { "relay",   TO(CLOSING) },
	[CLIENT_CLOSING] = { "closing", 0 },
};
#undef TO
/* What /metrics calls the state; a bound client is active or idle in its transaction. */
static const unsigned client_gauges[CLIENT_N_STATES] = {
	[CLIENT_STARTUP] = METRIC_CLIENT_LOGIN,   [CLIENT_AUTH]    = METRIC_CLIENT_LOGIN,
	[CLIENT_WELCOME] = METRIC_CLIENT_LOGIN,   [CLIENT_IDLE]    = METRIC_CLIENT_IDLE,
	[CLIENT_LOOKUP]  = METRIC_CLIENT_ACTIVE,  [CLIENT_WAIT]    = METRIC_CLIENT_WAITING,
	[CLIENT_BOUND]   = METRIC_CLIENT_ACTIVE,  [CLIENT_CONSOLE] = METRIC_CLIENT_IDLE,
	[CLIENT_RELAY]   = METRIC_CLIENT_ACTIVE,
};
/* clang-format on */

static struct metrics_db *client_metrics(const struct client *client)
{
	uint32_t index = UINT32_MAX;
	if (client->pool != NULL) {
		index = client->pool->shared->db_index;
	} else if (client->relay != NULL) {
		index = relay_db_index(client->relay);
	}
	return metrics_database(client->worker->metrics, index);
}

static void client_count(struct client *client, enum client_state state, uint64_t delta)
{
	if (state != CLIENT_CLOSING) {
		metric_add(
		    &client_metrics(client)->client_connections[client_gauges[state]],
		    delta);
	}
}

const char *client_prefix(const struct client *client, char *buf, size_t size)
{
	const char *db = "-";
	const char *user = "-";
	if (client->pool != NULL) {
		db = client->pool->shared->database;
		user = client->pool->shared->user;
	} else if (client->relay != NULL) {
		db = relay_database(client->relay);
		user = relay_user(client->relay);
	}
	snprintf(buf, size, "C-%llu %s/%s@%s", (unsigned long long)client->id, db, user,
		 client->peer);
	return buf;
}

/* The user's own limit, the database's, or everybody's. */
static uint64_t client_wait_limit_ns(const struct client *client)
{
	const struct config *config = client->worker->config;
	const struct pool_shared *shared = client->pool->shared;
	const struct config_user *user =
	    config_find_user(config, span_str(shared->user));
	if (user != NULL && user->has_query_wait_timeout) {
		return user->query_wait_timeout_ms * 1000000U;
	}
	const struct config_database *db =
	    config_find_database(config, span_str(shared->database));
	return (db ? db->query_wait_timeout_ms : config->query_wait_timeout_ms) *
	       1000000U;
}

void client_begin_wait(struct client *client)
{
	require(client->pool != NULL);
	client->since_ns = clock_now_ns();
	client->wait_limit_ns = client_wait_limit_ns(client);
	client->wait_told = false;
	dlist_remove(&client->timed);
	dlist_push_tail(&client->worker->waiting, &client->timed);
}

void client_move(struct client *client, enum client_state to)
{
	machine_move(client_states, CLIENT_N_STATES, client->state, to);
	client_count(client, client->state, (uint64_t)-1);
	client->state = to;
	client_count(client, to, 1);
	require((to == CLIENT_BOUND) <= (client->server != NULL));
	if (to == CLIENT_WAIT) {
		client_begin_wait(client);
	} else if (to != CLIENT_AUTH && to != CLIENT_WELCOME) {
		client->since_ns = client->worker->coarse_ns;
		dlist_remove(&client->timed);
	}
	if (to == CLIENT_BOUND) {
		client->tx_since_ns = client->worker->coarse_ns;
	}
}

void client_join_pool(struct client *client, struct pool *pool)
{
	client_count(client, client->state, (uint64_t)-1);
	client->pool = pool;
	client_count(client, client->state, 1);
	pool->n_clients++;
	metric_add(&client_metrics(client)->client_accepted, 1);
}

/* Between transactions: nothing is lost when the client is closed now. */
static bool client_is_quiet(const struct client *client)
{
	const struct server *server = client->server;
	return server == NULL || (server_is_clean(server) && client->pass_left == 0);
}

void client_join_relay(struct client *client, struct relay *relay)
{
	client_count(client, client->state, (uint64_t)-1);
	client->relay = relay;
	client_count(client, client->state, 1);
	metric_add(&client_metrics(client)->client_accepted, 1);
}

void client_refind(struct client *client)
{
	if (client->relay != NULL &&
	    config_find_database(client->worker->config,
				 span_str(relay_database(client->relay))) == NULL) {
		relay_end(client->relay, CLIENT_CLOSE_RELOAD);
		return;
	}
	client->refind = client->server != NULL;
	if (client->database == NULL) {
		return;
	}
	const struct config_database *line = config_find_database(
	    client->worker->config, span_str(client->pool->shared->database));
	client->cache_off = line != NULL && !line->cache;
	if (client_is_quiet(client) && line == NULL) {
		client_close(client, CLIENT_CLOSE_RELOAD);
		return;
	}
	if (client->refind) {
		return;
	}
	struct pool_shared *shared = client->pool->shared;
	pthread_mutex_lock(&shared->lock);
	char *password = shared->password ? strdup(shared->password) : NULL;
	pthread_mutex_unlock(&shared->lock);
	struct database *found =
	    database_find(client->worker->proxy->databases, span_str(shared->database),
			  span_str(shared->user), password);
	bool is_moved = found != NULL && found != client->database;
	if (found != NULL) {
		client->database = found;
	}
	if (password != NULL) {
		explicit_bzero(password, strlen(password));
	}
	free(password);
	if (is_moved && client->listens.n > 0) {
		/* what it listened to is on another server */
		client_close(client, CLIENT_CLOSE_LISTEN_LOST);
	}
}

static size_t client_bytes(struct stream *stream, struct span in)
{
	struct client *client = container_of(stream, struct client, stream);
	switch (client->state) {
	case CLIENT_STARTUP:
	case CLIENT_AUTH:
		return login_take(client, in);
	case CLIENT_WELCOME:
		return 0; /* requests may come early: they are held */
	case CLIENT_IDLE:
	case CLIENT_LOOKUP:
	case CLIENT_WAIT:
	case CLIENT_BOUND:
		return client_take(client, in);
	case CLIENT_CONSOLE:
		return client->worker->proxy->console->take(client, in);
	case CLIENT_RELAY:
		return relay_take(client->relay, in);
	case CLIENT_CLOSING:
	case CLIENT_N_STATES:
		break;
	}
	return in.n;
}

static void client_drained(struct stream *stream)
{
	struct client *client = container_of(stream, struct client, stream);
	if (client->relay != NULL) {
		relay_resume_reading(client->relay);
		return;
	}
	if (client->server != NULL) {
		server_resume_reading(client->server);
	}
	client_unblock(client);
}

static void client_ended(struct stream *stream, int err)
{
	struct client *client = container_of(stream, struct client, stream);
	if (client->state < CLIENT_IDLE && err == -EPROTO) {
		client_close_text(client, CLIENT_CLOSE_TLS_FAILED, NULL,
				  stream_tls_error(stream));
	} else if (client->state < CLIENT_IDLE) {
		client_close(client, CLIENT_CLOSE_LOGIN_EOF);
	} else if (err == -EMSGSIZE) {
		client_close(client, CLIENT_CLOSE_TOO_LARGE);
	} else {
		client_close(client, err ? CLIENT_CLOSE_IO_ERROR : CLIENT_CLOSE_EOF);
	}
}

static const struct stream_events client_events = {
	.bytes = client_bytes,
	.drained = client_drained,
	.ended = client_ended,
	.ends_paused = true, /* it gives up its place in a queue at once */
};

static void client_free(struct loop_task *task)
{
	struct client *client = container_of(task, struct client, free_task);
	require(client->state == CLIENT_CLOSING && client->server == NULL);
	dlist_remove(&client->link);
	login_free(client->login);
	replies_fini(&client->replies);
	session_fini(&client->session);
	plan_unref(client->portal_plan);
	plan_unref(client->restores);
	free(client);
}

void client_accept(struct worker *worker, int fd, const char *peer)
{
	struct client *client = calloc(1, sizeof(*client));
	if (client == NULL) {
		close(fd);
		return;
	}
	client->worker = worker;
	client->id =
	    ++worker->last_client_id * worker->proxy->n_workers + worker->index;
	client->since_ns = clock_now_ns();
	client->accepted_us = clock_wall_us();
	snprintf(client->peer, sizeof(client->peer), "%s", peer);
	dlist_init(&client->link);
	dlist_init(&client->timed);
	dlist_init(&client->late_cancels);
	replies_init(&client->replies);
	listens_init(&client->listens);
	loop_task_init(&client->free_task, client_free);
	client->login = login_new();
	if (client->login == NULL ||
	    stream_open(&client->stream, &worker->group, fd, &client_events) < 0) {
		login_free(client->login);
		free(client);
		close(fd);
		return;
	}
	stream_tune(&client->stream, worker->config);
	dlist_push_tail(&worker->clients, &client->link);
	dlist_push_tail(&worker->logins, &client->timed);
	worker->n_clients++;
	client_count(client, CLIENT_STARTUP, 1);
	unsigned n = atomic_fetch_add(&worker->proxy->n_clients, 1) + 1;
	client->is_surplus = n > worker->config->max_client_conn;
}

static void client_tell_names(struct client *client, uint32_t n)
{
	_Atomic uint64_t *gauge =
	    &client_metrics(client)->prepared_statements[METRIC_SIDE_CLIENT];
	metric_add(gauge, n);
	metric_sub(gauge, client->names_told);
	client->names_told = n;
}

void client_tell(struct client *client)
{
	client_tell_names(client, (uint32_t)client->session.names.map.n);
	struct metrics_db *m = client_metrics(client);
	metric_add(&m->client_received, client->stream.n_received - client->bytes_told);
	metric_add(&m->client_sent, client->stream.n_sent - client->sent_told);
	client->bytes_told = client->stream.n_received;
	client->sent_told = client->stream.n_sent;
}

static void client_log_close(struct client *client, const struct close_reason *row,
			     const char *text)
{
	char prefix[320];
	bool on = client->worker->config->log_disconnections &&
		  (client->pool != NULL || client->relay != NULL);
	enum log_level level = row->is_error ? LOG_LEVEL_WARNING
			       : on	     ? LOG_LEVEL_LOG
					     : LOG_LEVEL_DEBUG;
	LOG_AT(level, client_prefix(client, prefix, sizeof(prefix)),
	       "closing because: %s", text);
	struct metrics *m = client->worker->metrics;
	if (row->is_rejection) {
		metric_add(&m->client_rejected[row->label], 1);
	} else {
		metric_add(&client_metrics(client)->client_closed[row->label], 1);
	}
}

void client_close_text(struct client *client, enum client_close_reason reason,
		       const char *sqlstate, const char *text)
{
	if (client->state == CLIENT_CLOSING) {
		return;
	}
	const struct close_reason *row = client_close_row(reason);
	text = text ? text : row->text;
	sqlstate = sqlstate ? sqlstate : row->sqlstate;
	client_log_close(client, row, text);
	/* the error goes out unless the client is in the middle of somebody else's
	 * message */
	bool in_message =
	    (client->state == CLIENT_RELAY && relay_is_in_message(client->relay)) ||
	    (client->server != NULL && client->server->pass_left > 0 &&
	     !client->server->pass_swallow);
	if (sqlstate != NULL && !in_message && stream_is_open(&client->stream)) {
		struct buf message;
		buf_init(&message, 8192);
		replies_error(&message, "FATAL", sqlstate, text);
		stream_put(&client->stream, buf_span(&message));
		buf_fini(&message);
	}
	if (client->state == CLIENT_WAIT || client->login_waits) {
		pool_leave(client->pool, &client->waiter);
	}
	client_find_cancel(client);
	if (client->console != NULL) {
		client->worker->proxy->console->close(client);
	}
	cancel_forget(client);
	cancel_asker_gone(client);
	cancel_orders_done(&client->late_cancels);
	client_tell(client);
	client_tell_names(client, 0);
	stream_close(&client->stream);
	listens_fini(&client->listens);
	client_abandon(client);
	client->session.pins = 0;
	client_count_pins(client);
	client_move(client, CLIENT_CLOSING);
	relay_close(client->relay);
	if (client->pool != NULL) {
		client->pool->n_clients--;
		atomic_fetch_sub(&client->pool->shared->n_clients, 1);
	}
	client->worker->n_clients--;
	atomic_fetch_sub(&client->worker->proxy->n_clients, 1);
	loop_task_add(client->worker->loop, &client->free_task);
}

void client_close(struct client *client, enum client_close_reason reason)
{
	client_close_text(client, reason, NULL, NULL);
}
