/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/*
 * Client steps
 *
 *   STARTUP ──> AUTH ──> WELCOME ──> IDLE <──────────────────────┐
 *                                     │ message                  │ nothing owed, no
 *                                     v                          │ transaction, no pin
 *                              cache look-up ──hit──> reply ─────┤
 *                                     │ └─ask─> LOOKUP ─┘        │
 *                                     │ miss                     │
 *                                     └──> (WAIT) ──> BOUND ─────┘
 *
 * Every state may also go to CLOSING.  A message that has to wait (for Redis, for a
 * server connection, for the rest of its unit) is not consumed: it comes again, from
 * its beginning, when the wait is over, and everything about it is decided anew.
 * Answers leave in the order of the requests: proxy/replies.h.
 */

#include "proxy/client_steps.h"

#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/metrics.h"
#include "net/loop.h"
#include "proxy/client.h"
#include "proxy/client_acquire.h"
#include "proxy/client_extended.h"
#include "proxy/client_forward.h"
#include "proxy/client_large.h"
#include "proxy/client_listen.h"
#include "proxy/client_query.h"
#include "proxy/client_restore.h"
#include "proxy/client_send.h"
#include "proxy/client_sequences.h"
#include "proxy/client_settings.h"
#include "proxy/query.h"
#include "proxy/server_again.h"
#include "proxy/server_cancel.h"
#include "proxy/server_copy.h"
#include "proxy/server_steps.h"
#include "proxy/worker.h"
#include "upstream/server.h"
#include "wire/frame.h"
#include "wire/writer.h"

typedef size_t client_step_fn(struct client *client, struct span in,
			      const struct frame *frame);

struct client_message {
	client_step_fn *step;
	bool in_skip;  /* taken even between an error and Sync */
	bool streamed; /* passes on in pieces: the body need not be complete */
};

static client_step_fn client_copy;
static client_step_fn client_function_call;
static client_step_fn client_terminate;

/* clang-format off */
static const struct client_message client_messages[256] = {
	['Q'] = { client_query,         false, false },
	['P'] = { client_parse,         false, false },
	['B'] = { client_bind_portal,   false, false },
	['D'] = { client_describe,      false, false },
	['E'] = { client_execute,       false, false },
	['C'] = { client_close_target,  false, false },
	['H'] = { client_flush,         false, false },
	['S'] = { client_sync,          true,  false },
	['F'] = { client_function_call, false, true },
	['d'] = { client_copy,          false, true },
	['c'] = { client_copy,          false, false },
	['f'] = { client_copy,          false, false },
	['X'] = { client_terminate,     true,  false },
};
/* clang-format on */

void client_reply(struct client *client, struct span bytes)
{
	struct server *server = client->server;
	if (server == NULL || server->owed.n == 0) {
		stream_put(&client->stream, bytes);
	} else if (!replies_add(&client->replies, server->owed.n_pushed, bytes, NULL,
				NULL)) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
	}
}

void client_reply_ready(struct client *client)
{
	char status = client->session.tx_status;
	client_reply(client, status == 'I'   ? WIRE_READY_IDLE
			     : status == 'T' ? WIRE_READY_IN_TRANSACTION
					     : WIRE_READY_FAILED);
}

/* COPY, FunctionCall, Terminate */

/* Bytes of a message whose end is still to come pass as they arrive. */
static size_t client_pass(struct client *client, struct span in)
{
	size_t n = client->pass_left < in.n ? client->pass_left : in.n;
	if (!client->pass_drop && client->server != NULL) {
		server_again_never(client->server);
		stream_put_borrow(&client->server->stream, span_make(in.p, n));
	}
	client->pass_left -= n;
	return n;
}

static size_t client_pass_message(struct client *client, struct span in,
				  const struct frame *frame, bool drop)
{
	client->pass_left = frame->size;
	client->pass_drop = drop;
	return client_pass(client, in);
}

static size_t client_copy(struct client *client, struct span in,
			  const struct frame *frame)
{
	/* A client need not wait until it is asked for the data (asyncpg does not).
	 * What comes without a COPY, or late, is ignored by the server as well (T-69,
	 * T-70). */
	if (client->server != NULL && frame->type != 'd') {
		server_copy_ends(client->server);
	}
	return client_pass_message(client, in, frame, client->server == NULL);
}

static size_t client_function_call(struct client *client, struct span in,
				   const struct frame *frame)
{
	enum acquired acquired = client_acquire(client);
	if (acquired == ACQUIRE_WAITS) {
		return 0;
	}
	if (acquired == ACQUIRE_FAILED) {
		client_query_failed(client, frame);
		return client_pass_message(client, in, frame, true);
	}
	/* a function that is called by its number may write anything */
	struct session *session = &client->session;
	session->writes.any = session->writes.all = true;
	session->suspect = session->tx_unread = session->uses_sequences = true;
	session->may_listen = true;
	struct commit *commit;
	if (!client_begin_commit(client, NULL, false, &commit) ||
	    !client_owe(client, 'F', 0, NULL, commit)) {
		return 0;
	}
	return client_pass_message(client, in, frame, false);
}

static size_t client_terminate(struct client *client, struct span in,
			       const struct frame *frame)
{
	client_close(client, CLIENT_CLOSE_TERMINATED);
	return 0;
}

/* A message that is too large to be kept whole: it streams through, and counts as a
 * write of everything. */
static size_t client_large(struct client *client, struct span in,
			   const struct frame *frame)
{
	if (frame->type != 'Q') {
		return client_large_extended(client, in, frame);
	}
	enum acquired acquired = client_acquire(client);
	if (acquired == ACQUIRE_WAITS) {
		return 0;
	}
	if (acquired == ACQUIRE_FAILED) {
		client_query_failed(client, frame);
		return client_pass_message(client, in, frame, true);
	}
	struct request request = { 0 };
	query_plan(client, &request);
	session_sent_unknown(&client->session);
	struct query *query = query_new(client, &request, METRIC_ROUTE_WRITE);
	struct commit *commit = NULL;
	if (query == NULL || !client_begin_commit(client, NULL, false, &commit)) {
		query_free(query);
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return 0;
	}
	if (!client_owe(client, 'Q', 0, query, commit)) {
		return 0;
	}
	client_note_query(client);
	return client_pass_message(client, in, frame, false);
}

/* The driver */

SELDOM static void client_protocol_error(struct client *client, uint8_t type)
{
	char text[64];
	snprintf(text, sizeof(text), "invalid frontend message type %u", type);
	client_close_text(client, CLIENT_CLOSE_PROTOCOL, NULL, text);
}

/* What PostgreSQL takes, or ignores, while it reads the data of a COPY. */
static bool client_is_of_copy(uint8_t type)
{
	return memchr("dcfHSX", type, 6) != NULL;
}

/* True when the server reads the data of a COPY, or may be about to, and TYPE is no
 * part of that. */
static bool client_breaks_copy(const struct client *client, uint8_t type)
{
	return client->server != NULL && server_may_copy(client->server) &&
	       !client_is_of_copy(type);
}

/* PostgreSQL refuses the message by its type, whatever it is, and closes the
 * connection. */
static size_t client_break_copy(struct client *client, struct span in,
				const struct frame *frame)
{
	if (!client->server->copy_in) {
		client_wait_answers(client);
		return 0;
	}
	return client_pass_message(client, in, frame, false);
}

static size_t client_step(struct client *client, struct span in)
{
	struct frame frame;
	const struct config *config = client->worker->config;
	enum frame_result r = frame_next(in, (uint32_t)config->max_packet_size, &frame);
	if (r == FRAME_NEED) {
		return 0;
	}
	const struct client_message *row = &client_messages[in.p[0]];
	if (r == FRAME_OK && UNLIKELY(client_breaks_copy(client, in.p[0]))) {
		return client_break_copy(client, in, &frame);
	}
	if (row->step == NULL) {
		client_protocol_error(client, in.p[0]);
		return 0;
	}
	if (r == FRAME_BAD) {
		client_close_text(client, CLIENT_CLOSE_PROTOCOL, NULL,
				  "invalid message length");
		return 0;
	}
	if (client->skip && !row->in_skip) {
		return client_pass_message(client, in, &frame, true);
	}
	if (UNLIKELY(client->restores != NULL) && !client_is_of_copy(in.p[0]) &&
	    !client_restore_late(client)) {
		return 0;
	}
	if (!frame.complete && !row->streamed) {
		return frame.size > config->client_hold_max
			   ? client_large(client, in, &frame)
			   : 0;
	}
	return row->step(client, in, &frame);
}

/* Stops taking requests while the answers, or the server, cannot keep up, and behind a
 * Sync that follows settings, or changed them (proxy/client_settings.h). */
static bool client_is_blocked(struct client *client)
{
	struct server *server = client->server;
	bool blocked = client->settings_synced || client_awaits_settings(client) ||
		       stream_is_full(&client->stream) ||
		       client->replies.bytes > client->worker->group.out_high ||
		       (server != NULL && (stream_is_full(&server->stream) ||
					   server->owed.n > CLIENT_MAX_OWED));
	if (blocked) {
		stream_pause(&client->stream);
		client->blocked = true;
	}
	return blocked;
}

void client_unblock(struct client *client)
{
	if (client->blocked) {
		client->blocked = false;
		stream_resume(&client->stream);
	}
}

size_t client_take(struct client *client, struct span in)
{
	size_t used = 0;
	if (client->server != NULL) { /* a long pipeline never comes to a release */
		names_settle(&client->session.names, client->server->owed.n_popped);
	}
	while (used < in.n && client_is_open(client) && !client->stream.paused &&
	       !client_is_blocked(client)) {
		struct span left = span_skip(in, used);
		size_t n = client->pass_left > 0 ? client_pass(client, left)
						 : client_step(client, left);
		if (n == 0 && !client->is_stale) {
			break;
		}
		if (UNLIKELY(n > 0 && client->wait_error.sqlstate[0] != 0)) {
			/* it was for that message, which did not need the server */
			client->wait_error.sqlstate[0] = 0;
		}
		client->is_stale = false;
		used += n;
	}
	if (used > 0 && client->state != CLIENT_WAIT) { /* whose wait is measured */
		client->since_ns = client->worker->coarse_ns;
	}
	if (client->state == CLIENT_BOUND) {
		/* granted for a message that turned out not to need it */
		client_release(client);
	}
	return used;
}

/* Letting go */

void client_release(struct client *client)
{
	struct server *server = client->server;
	struct session *session = &client->session;
	if (server == NULL || client->session_mode || session->pins != 0 ||
	    client->pass_left > 0 || !server_is_clean(server)) {
		return;
	}
	require(replies_are_empty(&client->replies));
	names_settle(&session->names, UINT64_MAX);
	client_leave_sequences(client);
	if (server->unnamed_id == SERVER_UNNAMED_LARGE) {
		server->unnamed_id = 0; /* nobody else may have it */
	}
	server_again_forget(server);
	client->server = NULL;
	server->client = NULL;
	server->suspect = server->suspect || session->suspect;
	session->suspect = false;
	client_move(client, CLIENT_IDLE);
	client_listen_tell(client, true);
	if (server->suspect || server->listens || server->spent ||
	    server->cancel != NULL) {
		server_reset(server);
	} else {
		pool_give(server->pool, server);
	}
	client_unblock(client); /* the server, which would have, is somebody else's */
	if (client->refind) {
		client_refind(client); /* may close it */
	}
}

void client_after_transaction(struct client *client)
{
	struct server *server = client->server;
	client->since_ns = client->worker->coarse_ns;
	if (server->tx_status == 'I') {
		plan_unref(steal(&client->portal_plan));
		client->tx_since_ns = client->since_ns;
		client_listen_tell(client, true);
		listen_portals_clear(&client->listens.portals);
		if (!client->listen_wait) {
			listens_settle(&client->listens);
		}
	}
	client_release(client);
	if (client->refind && client_is_open(client)) {
		client_refind(client); /* it keeps its server connection */
	}
	if (client->worker->is_hurrying ||
	    (client->worker->is_draining && client->session.tx_status == 'I')) {
		client_close(client, CLIENT_CLOSE_SHUTDOWN);
	}
}

void client_abandon(struct client *client)
{
	struct server *server = client->server;
	if (server == NULL) {
		return;
	}
	client_leave_sequences(client);
	client->server = NULL;
	server->client = NULL;
	server_again_forget(server);
	server_resume_reading(server);
	if (client->pass_left > 0 && !client->pass_drop) {
		server_close(server, SERVER_CLOSE_DIRTY_SESSION);
		return;
	}
	server->spent = server->spent || (client->session.pins & PIN_TEMP);
	server->suspect = server->suspect || client->session.suspect ||
			  client->session.pins != 0 || client->session_mode ||
			  client->session.pending != NULL;
	if (server->owed.n > 0) {
		server_cancel(server, NULL);
	}
	server_reset(server);
}
