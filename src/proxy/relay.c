/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/*
 * relay_start ──> connect ──> (logical: ask for the process id) ──> greeting ──> bytes
 *                    │                        │                                    │
 *                    └────────────────────────┴──> the client is told <── either side
 *                                                  and closed             ends
 */

#include "proxy/relay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "login_priv.h"
#include "proxy/client.h"
#include "proxy/database.h"
#include "proxy/proxy.h"
#include "proxy/server_cancel.h"
#include "proxy/worker.h"
#include "relay_priv.h"
#include "upstream/connect.h"
#include "upstream/server_socket.h"
#include "wire/frame.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define RELAY_PROBE_MAX 65536 /* bytes of one message that answers our question */

static const char relay_question[] = "SELECT pg_catalog.pg_backend_pid()";

static void relay_free(struct loop_task *task)
{
	struct relay *relay = container_of(task, struct relay, free_task);
	require(relay->client == NULL && relay->commit == NULL);
	database_unkeep(relay->database);
	free(relay->name);
	free(relay->user);
	free(relay);
}

/* Cancelling */

static void relay_cancel_landed(void *arg)
{
	struct relay *relay = arg;
	struct cancel_flight *flight = steal(&relay->cancel);
	struct dlist *next = cancel_flight_next(flight);
	if (next != NULL) {
		relay_cancel(relay, next);
	}
}

void relay_cancel(struct relay *relay, struct dlist *orders)
{
	if (relay->cancel != NULL) {
		cancel_flight_add(relay->cancel, orders, true);
		return;
	}
	if (relay->socket == NULL) {
		return;
	}
	relay->cancel = cancel_flight_new(relay->worker->loop, relay->socket,
					  relay_cancel_landed, relay);
	if (relay->cancel != NULL) {
		cancel_flight_add(relay->cancel, orders, false);
	}
}

/* The end */

static _Atomic uint64_t *relay_gauge(const struct relay *relay)
{
	return &relay->worker->metrics
		    ->replication_connections[relay->database != NULL
						  ? METRIC_RELAY_LOGICAL
						  : METRIC_RELAY_PHYSICAL];
}

void relay_close(struct relay *relay)
{
	if (relay == NULL || relay->client == NULL) {
		return;
	}
	relay->client->relay = NULL;
	relay->client = NULL;
	atomic_fetch_sub(&relay->worker->proxy->n_relays, 1);
	metric_sub(relay_gauge(relay), 1);
	connect_cancel(steal(&relay->connect));
	cancel_flight_forget(steal(&relay->cancel));
	relay_writes_lost(relay);
	if (stream_is_open(&relay->stream)) {
		(void)stream_detach(&relay->stream); /* libpq closes the descriptor */
	}
	server_socket_close(steal(&relay->socket));
	loop_task_add(relay->worker->loop, &relay->free_task);
}

/* Before the greeting: the client is told why. */
static void relay_fail(struct relay *relay, const char *sqlstate, const char *text)
{
	client_close_text(relay->client, CLIENT_CLOSE_SERVER_LOGIN, sqlstate, text);
}

static void relay_ended(struct stream *stream, int err)
{
	struct relay *relay = container_of(stream, struct relay, stream);
	if (relay->client->state != CLIENT_RELAY) {
		relay_fail(relay, NULL, NULL);
		return;
	}
	/* whatever the server had to say has passed */
	client_close(relay->client, CLIENT_CLOSE_SERVER_GONE);
}

/* Our question: behind another pooler the process id of the login is not the true one,
 * and a lost commit could not be followed. */

static bool relay_read_pid(struct relay *relay, const struct frame *frame)
{
	char told[16];
	struct reader r = reader_make(frame->body);
	switch (frame->type) {
	case 'D':
		(void)reader_u16(&r);
		snprintf(told, sizeof(told), "%u", relay->pid);
		relay->pid_is_true =
		    span_eq_str(reader_bytes(&r, (size_t)reader_i32(&r)), told);
		return true;
	case 'Z':
		relay->asks_pid = false;
		return true;
	case 'E':
		return false;
	default:
		return true;
	}
}

static size_t relay_take_pid(struct relay *relay, struct span in)
{
	size_t used = 0;
	while (used < in.n && relay->asks_pid) {
		struct frame frame;
		enum frame_result r =
		    frame_next(span_skip(in, used), RELAY_PROBE_MAX, &frame);
		if (r == FRAME_NEED || (r == FRAME_OK && !frame.complete)) {
			return used;
		}
		if (r == FRAME_BAD || !relay_read_pid(relay, &frame)) {
			relay_fail(relay, NULL, NULL);
			return in.n;
		}
		used += frame.size;
	}
	if (!relay->asks_pid) {
		login_relay_greet(relay->client);
	}
	return used;
}

static void relay_ask_pid(struct relay *relay)
{
	struct buf message;
	buf_init(&message, 256);
	writer_query(&message, SPAN_LIT(relay_question));
	stream_put(&relay->stream, buf_span(&message));
	buf_fini(&message);
	relay->asks_pid = true;
}

/* Bytes */

bool relay_may_end(const struct relay *relay)
{
	return relay->ends && relay->server_left == 0 &&
	       (relay->n_asked == 0 || relay->streams);
}

/* True when it has ended. */
static bool relay_check_end(struct relay *relay)
{
	bool ends = relay_may_end(relay);
	if (ends) {
		client_close(relay->client, relay->end_reason);
	}
	return ends;
}

void relay_end(struct relay *relay, enum client_close_reason reason)
{
	if (relay->client->state != CLIENT_RELAY) {
		client_close(relay->client, reason);
		return;
	}
	relay->ends = true;
	relay->end_reason = reason;
	(void)relay_check_end(relay);
}

bool relay_is_in_message(const struct relay *relay)
{
	return relay->server_left > 0;
}

static size_t relay_bytes(struct stream *stream, struct span in)
{
	struct relay *relay = container_of(stream, struct relay, stream);
	if (relay->asks_pid) {
		return relay_take_pid(relay, in);
	}
	struct client *client = relay->client;
	size_t n = relay_watch_server(relay, in);
	if (relay->client == NULL) {
		return in.n;
	}
	stream_put_borrow(&client->stream, span_make(in.p, n));
	if (relay_check_end(relay)) {
		return in.n;
	}
	if (stream_is_full(&client->stream)) {
		relay->server_stopped = true;
		stream_pause(stream);
	}
	return n;
}

size_t relay_take(struct relay *relay, struct span in)
{
	struct client *client = relay->client;
	size_t n = relay_watch_client(relay, in);
	if (relay->client == NULL) {
		return in.n;
	}
	stream_put_borrow(&relay->stream, span_make(in.p, n));
	if (stream_is_full(&relay->stream)) {
		relay->client_stopped = true;
		stream_pause(&client->stream);
	}
	return n;
}

static void relay_drained(struct stream *stream)
{
	struct relay *relay = container_of(stream, struct relay, stream);
	if (relay->client_stopped) {
		relay->client_stopped = false;
		stream_resume(&relay->client->stream);
	}
}

void relay_go_on(struct relay *relay)
{
	if (!relay->server_stopped && relay->tokens == NULL) {
		stream_resume(&relay->stream);
	}
}

void relay_resume_reading(struct relay *relay)
{
	if (relay->server_stopped) {
		relay->server_stopped = false;
		relay_go_on(relay);
	}
}

static const struct stream_events relay_events = {
	.bytes = relay_bytes,
	.drained = relay_drained,
	.ended = relay_ended,
};

/* The beginning */

static void relay_on_connect(void *arg, struct server_socket *socket,
			     const struct connect_error *error)
{
	struct relay *relay = arg;
	const struct config *config = relay->worker->config;
	relay->connect = NULL;
	if (socket == NULL) {
		relay_fail(relay, error->sqlstate, error->message);
		return;
	}
	relay->socket = socket;
	relay->opened_us = clock_wall_us();
	relay->pid = server_socket_pid(socket);
	if (server_socket_open(socket, &relay->stream, &relay->worker->group,
			       &relay_events) < 0) {
		relay_fail(relay, NULL, NULL);
		return;
	}
	stream_tune(&relay->stream, config);
	if (relay->database != NULL) {
		relay_ask_pid(relay);
	} else {
		login_relay_greet(relay->client);
	}
}

static int relay_connect(struct relay *relay, const struct relay_options *o)
{
	struct connect_options options;
	connect_options_of(&options, relay->worker->config, o->line);
	options.dbname = options.dbname ? options.dbname : o->name;
	options.user = options.user ? options.user : o->user;
	options.password = options.password ? options.password : o->password;
	struct buf all; /* what the client asks for is stronger, and so comes last */
	buf_init(&all, 8 * STARTUP_MAX_LEN);
	buf_append_str(&all, options.options != NULL ? options.options : "");
	buf_append_str(&all, " ");
	buf_append_cstr(&all, o->options);
	options.options = (const char *)all.data;
	options.replication = o->database != NULL ? "database" : "true";
	int r = buf_ok(&all) ? connect_start(relay->worker->loop, &options,
					     relay_on_connect, relay, &relay->connect)
			     : -ENOMEM;
	buf_fini(&all);
	return r;
}

int relay_start(struct client *client, const struct relay_options *options,
		struct relay **out)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	if (relay == NULL) {
		return -ENOMEM;
	}
	relay->client = client;
	relay->worker = client->worker;
	relay->database = options->database;
	relay->db_index = options->line->index;
	relay->stream.fd = -1;
	relay->name = strdup(options->name);
	relay->user = strdup(options->user);
	loop_task_init(&relay->free_task, relay_free);
	int r = relay->name == NULL || relay->user == NULL ? -ENOMEM : 0;
	r = r < 0 ? r : relay_connect(relay, options);
	if (r < 0) {
		free(relay->name);
		free(relay->user);
		free(relay);
		return r;
	}
	metric_add(relay_gauge(relay), 1);
	*out = relay;
	return 0;
}

/* Questions about it */

const struct server_socket *relay_socket(const struct relay *relay)
{
	return relay->socket;
}

uint32_t relay_pid(const struct relay *relay)
{
	return relay->pid_is_true ? relay->pid : 0;
}

const char *relay_database(const struct relay *relay)
{
	return relay->name;
}

const char *relay_user(const struct relay *relay)
{
	return relay->user;
}

const struct stream *relay_stream(const struct relay *relay)
{
	return relay->socket != NULL ? &relay->stream : NULL;
}

uint64_t relay_opened_us(const struct relay *relay)
{
	return relay->opened_us;
}

const char *relay_kind(const struct relay *relay)
{
	return relay->database != NULL ? "logical" : "physical";
}

uint32_t relay_db_index(const struct relay *relay)
{
	return relay->db_index;
}
