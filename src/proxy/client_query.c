/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_query.h"

#include <string.h>

#include "base/metrics.h"
#include "base/sqlstate.h"
#include "cache/entry.h"
#include "net/loop.h"
#include "proxy/client.h"
#include "proxy/client_acquire.h"
#include "proxy/client_extended.h"
#include "proxy/client_find.h"
#include "proxy/client_forward.h"
#include "proxy/client_listen.h"
#include "proxy/client_prepare.h"
#include "proxy/client_restore.h"
#include "proxy/client_send.h"
#include "proxy/client_sequences.h"
#include "proxy/client_settings.h"
#include "proxy/client_shows.h"
#include "proxy/client_steps.h"
#include "proxy/query.h"
#include "proxy/worker.h"
#include "upstream/server.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

SELDOM static void client_refuse_query(struct client *client, const char *sqlstate,
				       const char *text)
{
	struct buf message;
	buf_init(&message, 8192);
	replies_error(&message, "ERROR", sqlstate, text);
	client_reply(client, buf_span(&message));
	buf_fini(&message);
	client_reply_ready(client);
}

SELDOM void client_query_failed(struct client *client, const struct frame *frame)
{
	client_batch_failed(client);
	(void)client_sync(client, span_make(NULL, 0), frame); /* and ReadyForQuery */
}

/* DEALLOCATE of a statement that was prepared by a protocol message: on the servers it
 * has another name, or none yet, so it is answered here (T-64).  False: it is not. */
static bool client_deallocate(struct client *client, const struct plan *plan)
{
	if (plan->kind != PLAN_SESSION || plan->set_name == NULL || plan->executes ||
	    client->session_mode || client->session.tx_status == 'E' ||
	    strlen(plan->set_name) >= NAMES_MAX_LEN || /* a notice that it was cut */
	    session_statement(&client->session, span_str(plan->set_name)) == NULL) {
		return false;
	}
	names_remove(&client->session.names, span_str(plan->set_name), 0);
	names_remove(&client->session.names, SPAN_LIT(""), 0);
	client_reply(client, SPAN_LIT("C\0\0\0\17DEALLOCATE\0"));
	client_reply_ready(client);
	return true;
}

/* What must be known, or be on the server, before the text can be sent.  False: it must
 * come again. */
static bool client_prepare_query(struct client *client, const struct plan *plan)
{
	struct server *server = client->server;
	struct names *names = &client->session.names;
	if (client->session_mode) {
		return true;
	}
	if (server->owed.n > 0 && names_may_be_used(names, plan)) {
		client_wait_answers(client);
		return false;
	}
	if (!names_are_used(names, plan)) {
		return true;
	}
	if (client->session.tx_status == 'E' || server->unsynced) {
		return true;
	}
	if (!client_inject_names(client, plan, OWED_SWALLOW | OWED_OURS) ||
	    !client_owe(client, 'S', OWED_SWALLOW, NULL, NULL)) {
		return false;
	}
	client_forget_names(client, plan);
	server->unsynced = false;
	stream_put_static(&server->stream, WIRE_SYNC);
	return true;
}

void client_note_query(struct client *client)
{
	client->portal_is_hit = false;
	/* even when it fails, unlike what it does itself at the next position */
	names_remove(&client->session.names, SPAN_LIT(""), client_position(client) - 1);
}

/* Sends what has been noted; takes QUERY. */
static void client_send_query(struct client *client, struct span message,
			      struct plan *plan, struct query *query,
			      struct restoring *restoring)
{
	struct server *server = client->server;
	struct commit *commit;
	if (!client_begin_commit(client, plan, false, &commit)) {
		query_free(query);
		return;
	}
	if (!client_owe(client, 'Q', 0, query, commit)) {
		return;
	}
	client_note_query(client);
	if (LIKELY(restoring->added == NULL)) {
		stream_put_borrow(&server->stream, message);
	} else {
		owed_at(&server->owed, server->owed.n - 1)->added =
		    steal(&restoring->added);
		stream_put(&server->stream, buf_span(&restoring->message));
	}
	client_note_sent(client, plan);
	client_restore_behind_query(client, plan);
}

static void client_forward_query(struct client *client, struct span message,
				 const struct request *request,
				 const struct store_fill *fill, uint8_t route)
{
	struct query *query = query_begin(client, request, fill, route);
	if (query == NULL) {
		return;
	}
	struct restoring restoring;
	restoring_begin(&restoring, &client->session, request->plan, request->text);
	client_note_statement(client, request, true);
	if (restoring_end(&restoring, client, request->plan, request->text)) {
		client_send_query(client, message, request->plan, query, &restoring);
	} else {
		query_free(query);
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
	}
	restoring_fini(&restoring);
}

/* What is not sent at all.  True: it has been answered; *TAKEN is the step's result. */
static bool client_refuses(struct client *client, struct span in,
			   const struct frame *frame, const struct plan *plan,
			   size_t *taken)
{
	*taken = frame->size;
	if (client_forbids(client, plan)) {
		client_refuse_query(client, SQLSTATE_FEATURE_NOT_SUPPORTED,
				    CLIENT_NO_BLOCKS);
		return true;
	}
	if (client_restores_too_much(&client->session, plan)) {
		client_fail_batch(client, SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
				  "too many RESET in one text");
		*taken = client_sync(client, in, frame); /* and ReadyForQuery */
		return true;
	}
	return false;
}

/* No entry answers it: what it needs is made ready, and it is sent. */
static size_t client_ask(struct client *client, const struct frame *frame,
			 const struct request *request, const struct store_fill *fill,
			 uint8_t route)
{
	struct pool_error refusal;
	enum listen_ready ready =
	    client_listen_prepare(client, request->plan, &refusal);
	if (ready == LISTEN_WAITS) {
		return 0;
	}
	if (ready == LISTEN_REFUSED) {
		client_fail_batch(client, refusal.sqlstate, refusal.message);
		return client_sync(client, span_make(NULL, 0),
				   frame); /* and ReadyForQuery */
	}
	enum acquired acquired = client_acquire(client);
	if (acquired == ACQUIRE_WAITS) {
		return 0;
	}
	if (acquired == ACQUIRE_FAILED) {
		client_query_failed(client, frame);
		return frame->size;
	}
	char refused[SHOWS_MAX_TEXT];
	enum shows shows = client_may_show(client, request->plan, refused);
	if (shows == SHOWS_WAITS) {
		return 0;
	}
	if (shows == SHOWS_REFUSED) {
		client_fail_batch(client, SQLSTATE_UNDEFINED_OBJECT, refused);
		return client_sync(client, span_make(NULL, 0),
				   frame); /* and ReadyForQuery */
	}
	if (!client_prepare_query(client, request->plan) ||
	    !client_forget_sequences(client, request->plan)) {
		return 0;
	}
	client_forward_query(client, frame_bytes(frame), request, fill, route);
	return frame->size;
}

size_t client_query(struct client *client, struct span in, const struct frame *frame)
{
	struct request request = { 0 };
	struct store_fill fill;
	struct entry *entry;
	uint8_t route;
	if (message_read_query(frame->body, &request.text) != 0) {
		client_close_text(client, CLIENT_CLOSE_PROTOCOL, NULL,
				  "invalid message format");
		return 0;
	}
	uint64_t start = loop_event_ns(client->worker->loop);
	enum found found = FOUND_MISS;
	if (client->server == NULL || client->server->owed.n == 0) {
		found = client_find(client, &request, &entry, &fill, &route);
	} else {
		/* a ReadyForQuery of ours needs to know the status behind what is under
		 * way */
		fill.may_store = false;
		route = METRIC_ROUTE_BYPASS;
	}
	if (found == FOUND_WAITS) {
		return 0;
	}
	if (found == FOUND_HIT) {
		query_served(client->worker, client, entry, start, route);
		names_remove(&client->session.names, SPAN_LIT(""), 0);
		client->portal_is_hit = false;
		client_reply_entry(client, entry);
		client_reply_ready(client);
		return frame->size;
	}
	if (request.plan == NULL) {
		query_plan(client, &request);
	}
	size_t taken;
	if (client_refuses(client, in, frame, request.plan, &taken)) {
		return taken;
	}
	if ((client->server == NULL || client->server->owed.n == 0) &&
	    client_deallocate(client, request.plan)) {
		return frame->size;
	}
	return client_ask(client, frame, &request, &fill, route);
}
