/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/*
 * Server steps
 *
 *   bytes ──> frames ──> the head of the queue of what is owed (upstream/owed.h)
 *                │              │
 *                │              ├─ answered: pop; replies of ours behind it are sent
 *                │              ├─ error in a batch: drop what is owed up to its Sync
 *                │              └─ commit decided: end its tags, then let the bytes go
 *                └── runs of the client's bytes are passed on as they lie
 *
 * Invariant: the bytes in front of the current frame are either passed on already or in
 * the current run; the run ends before anything else is sent to the client.
 */

#include "proxy/server_steps.h"

#include <string.h>

#include "base/config.h"
#include "net/loop.h"
#include "proxy/added.h"
#include "proxy/client.h"
#include "proxy/client_listen.h"
#include "proxy/client_pins.h"
#include "proxy/client_shows.h"
#include "proxy/client_steps.h"
#include "proxy/database.h"
#include "proxy/proxy.h"
#include "proxy/query.h"
#include "proxy/server_begin.h"
#include "proxy/server_cancel.h"
#include "proxy/server_commit.h"
#include "proxy/server_copy.h"
#include "proxy/server_reset.h"
#include "proxy/session_reports.h"
#include "proxy/session_restore.h"
#include "proxy/worker.h"
#include "proxy/writes.h"
#include "server_steps_priv.h"
#include "sql/plan.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

struct worker *server_worker(const struct server *server)
{
	return server->pool->upstream->owner;
}

void walk_flush(struct walk *walk)
{
	struct client *client = walk->server->client;
	if (walk->at > walk->run && client != NULL) {
		stream_put_borrow(&client->stream, span_make(walk->in.p + walk->run,
							     walk->at - walk->run));
	}
	walk->run = walk->at;
}

/* Answered items */

/* True when the client has sent no statement behind the one just answered: what it did
 * to the session still holds. */
static bool server_nothing_follows(struct server *server)
{
	struct owed_queue *owed = &server->owed;
	uint32_t i = 0;
	while (i < owed->n && owed_at(owed, i)->kind != 'Q' &&
	       (owed_at(owed, i)->flags & OWED_SWALLOW)) {
		i++; /* of ours: settings that are put back */
	}
	return i == owed->n || (i + 1 == owed->n && owed_at(owed, i)->kind == 'S');
}

void server_item_done(struct walk *walk)
{
	struct server *server = walk->server;
	struct owed item = owed_pop(&server->owed);
	require(item.commit == NULL); /* decided before */
	owed_item_fini(&item);
	if (item.query != NULL) {
		const struct plan *plan = item.query->plan;
		if (server->client != NULL && plan != NULL && !plan->is_plain &&
		    item.query->sqlstate[0] == 0 && server_nothing_follows(server)) {
			session_done(&server->client->session, plan);
		}
		query_finish(server_worker(server), item.query);
	}
	server->query_sent_ns = loop_event_ns(server->pool->upstream->loop);
}

void server_send_replies(struct walk *walk, size_t frame_size)
{
	struct client *client = walk->server->client;
	if (client == NULL || replies_are_empty(&client->replies)) {
		return;
	}
	walk->at += frame_size;
	walk_flush(walk);
	walk->at -= frame_size;
	replies_send(&client->replies, walk->server->owed.n_popped, &client->stream);
}

/* The rest */

static enum verdict server_on_simple(struct walk *walk, const struct frame *frame,
				     uint8_t kind)
{
	struct server *server = walk->server;
	struct owed *head = owed_head(&server->owed);
	if (head != NULL && (head->flags & OWED_SETTINGS)) {
		return SWALLOW; /* one of the messages of its group */
	}
	if (head == NULL || head->kind != kind) {
		server_close(server, SERVER_CLOSE_PROTOCOL);
		return CLOSED;
	}
	bool swallow = head->flags & OWED_SWALLOW;
	server_item_done(walk);
	server_send_replies(walk, swallow ? 0 : frame->size);
	return swallow ? SWALLOW : PASS;
}

/* The Execute that the Describe at the head of the queue was sent with. */
static struct capture *server_next_capture(struct server *server)
{
	for (uint32_t i = 1; i < server->owed.n && i < 3; i++) {
		struct owed *item = owed_at(&server->owed, i);
		if (item->kind == 'E') {
			return item->query ? item->query->capture : NULL;
		}
	}
	return NULL;
}

/* They stay what the client is told now: see statement_told(). */
SELDOM static enum verdict server_on_parameter_types(struct walk *walk,
						     const struct frame *frame)
{
	struct owed *head = owed_head(&walk->server->owed);
	if (head != NULL && head->kind == 'D' && head->statement != NULL &&
	    frame->complete) {
		statement_told(head->statement, frame->body);
		bool is_second = head->is_told; /* see proxy/server_again.h */
		head->is_told = true;
		return is_second ? SWALLOW : PASS;
	}
	return PASS;
}

static enum verdict server_on_description(struct walk *walk, const struct frame *frame)
{
	struct server *server = walk->server;
	struct owed *head = owed_head(&server->owed);
	if (head != NULL && head->kind == 'D') {
		struct capture *capture =
		    head->collects ? server_next_capture(server) : NULL;
		if (capture != NULL) {
			capture_add(capture, frame_bytes(frame));
		}
		return server_on_simple(walk, frame, 'D');
	}
	if (head == NULL || head->kind != 'Q' || frame->type != 'T') {
		server_close(server, SERVER_CLOSE_PROTOCOL);
		return CLOSED;
	}
	if (head->query != NULL && head->query->capture != NULL) {
		capture_add(head->query->capture, frame_bytes(frame));
	}
	return added_swallows(head) ? SWALLOW : PASS;
}

SELDOM static enum verdict server_on_copy(struct walk *walk, const struct frame *frame)
{
	struct server *server = walk->server;
	struct owed *head = owed_head(&server->owed);
	if (head == NULL) {
		server_close(server, SERVER_CLOSE_PROTOCOL);
		return CLOSED;
	}
	if (frame->type != 'G') {
		return PASS;
	}
	server_copy_begins(server);
	return PASS;
}

/* Why the server reports a parameter while HEAD (or NULL) is answered. */
static enum report server_report_of(const struct session *session,
				    const struct owed *head)
{
	if (head != NULL && added_swallows(head)) {
		return REPORT_OURS;
	}
	const struct plan *plan =
	    head != NULL && head->query != NULL ? head->query->plan : NULL;
	bool resets =
	    plan != NULL && !head->failed && session_loses(session, plan_last(plan));
	return resets ? REPORT_RESET : REPORT_SET;
}

/* A client hears of a parameter what PostgreSQL alone would have told it: not what
 * another client has left, nor what RESET goes back to on the server (T-26, T-27). */
static enum verdict server_on_parameter(struct walk *walk, const struct frame *frame)
{
	struct server *server = walk->server;
	struct session *session = &server->client->session;
	struct owed *head = owed_head(&server->owed);
	struct message_parameter p;
	if (message_read_parameter_status(frame->body, &p) != 0) {
		return PASS;
	}
	enum report report = server_report_of(session, head);
	if (report != REPORT_OURS && !session_expects(session, p.name, p.value)) {
		/* the answer that it comes with is behind other settings than its key
		 * says, and the ReadyForQuery is not here yet */
		session->suspect = true;
		databases_reloading(server_worker(server)->proxy->databases);
	}
	struct span told = session_tells(session, p.name, p.value, report);
	if (report == REPORT_OURS) {
		session_restored(session, p.name, p.value, &server->context);
	} else {
		session_reported(session, p.name, p.value, report);
	}
	if (told.p == NULL || span_eq(told, p.value)) {
		return told.p == NULL ? SWALLOW : PASS;
	}
	struct buf message;
	buf_init(&message, frame->size + told.n);
	writer_parameter_status(&message, p.name, told);
	walk_flush(walk);
	stream_put(&server->client->stream, buf_span(&message));
	buf_fini(&message);
	return SWALLOW;
}

/* What the client hears of its channels comes from the connection that listens for all
 * of them; what else comes is of a LISTEN of its own. */
SELDOM static enum verdict server_on_notification(struct walk *walk,
						  const struct frame *frame)
{
	const struct client *client = walk->server->client;
	struct message_notification m;
	return client != NULL && message_read_notification(frame->body, &m) == 0 &&
		       client_listen_knows(client, m.channel)
		   ? SWALLOW
		   : PASS;
}

/* Whoever logs in later hears of it, too (T-36). */
static void server_learn(struct server *server, const struct frame *frame)
{
	struct message_parameter p;
	if (message_read_parameter_status(frame->body, &p) == 0) {
		server_begin_reported(server, p.name, p.value);
		pool_reported(server->pool, p.name, p.value);
	}
}

/* Notices and parameters: anywhere, also between two queries (T-82). */
static enum verdict server_on_async(struct walk *walk, const struct frame *frame)
{
	struct server *server = walk->server;
	struct owed *head = owed_head(&server->owed);
	/* what comes while a query is answered, or its Parse and Bind, belongs to it;
	 * such an answer is never stored (T-128) */
	for (uint32_t i = 0; i < server->owed.n; i++) {
		struct owed *item = owed_at(&server->owed, i);
		if (item->query != NULL && item->query->capture != NULL) {
			item->query->capture->bad = true;
		}
		if (item->query != NULL || strchr("QSF", item->kind) != NULL) {
			break;
		}
	}
	if (frame->type == 'S') {
		server_learn(server, frame);
	}
	if (frame->type == 'S' && server->client != NULL) {
		return server_on_parameter(walk, frame);
	}
	if (head != NULL && added_swallows(head)) {
		return SWALLOW;
	}
	return frame->type == 'N' ? server_pass_placed(walk, frame) : PASS;
}

static enum verdict server_on_row(struct walk *walk, const struct frame *frame)
{
	struct owed *head = owed_head(&walk->server->owed);
	if (head == NULL) {
		server_close(walk->server, SERVER_CLOSE_PROTOCOL);
		return CLOSED;
	}
	if (head->flags & (OWED_PROBE | OWED_PINS | OWED_SHOWS)) {
		if (!frame->complete) {
			return HOLD;
		}
		if (head->flags & OWED_PROBE) {
			server_probe_row(walk->server, frame->body);
		}
	}
	if ((head->flags & OWED_PINS) && walk->server->client != NULL) {
		client_pins_row(walk->server->client, frame->body);
	}
	if ((head->flags & OWED_SHOWS) && walk->server->client != NULL) {
		client_shows_row(walk->server->client, frame->body);
	}
	if (head->query != NULL && head->query->capture != NULL) {
		capture_add(head->query->capture, frame_bytes(frame));
	}
	return added_swallows(head) ? SWALLOW : PASS;
}

static enum verdict server_on_function(struct walk *walk)
{
	struct owed *head = owed_head(&walk->server->owed);
	if (head == NULL || head->kind != 'F') {
		server_close(walk->server, SERVER_CLOSE_PROTOCOL);
		return CLOSED;
	}
	head->is_done = true;
	return PASS;
}

static enum verdict server_step(struct walk *walk, const struct frame *frame)
{
	switch (frame->type) {
	case 'D':
	case 'd':
		return server_on_row(walk, frame);
	case '1':
		return server_on_simple(walk, frame, 'P');
	case '2':
		return server_on_simple(walk, frame, 'B');
	case '3':
		return server_on_simple(walk, frame, 'C');
	case 'C':
	case 'I':
	case 's':
		return server_on_complete(walk, frame);
	case 'T':
	case 'n':
		return server_on_description(walk, frame);
	case 't':
		return server_on_parameter_types(walk, frame);
	case 'c':
		return PASS;
	case 'V':
		return server_on_function(walk);
	case 'E':
		return server_on_error(walk, frame);
	case 'Z':
		return server_on_ready(walk, frame);
	case 'G':
	case 'H':
	case 'W':
		return server_on_copy(walk, frame);
	case 'A':
		return server_on_notification(walk, frame);
	case 'N':
	case 'S':
		return server_on_async(walk, frame);
	default:
		server_close(walk->server, SERVER_CLOSE_PROTOCOL);
		return CLOSED;
	}
}

/* The driver */

static void walk_take(struct walk *walk, size_t n, bool swallow)
{
	if (swallow) {
		walk_flush(walk);
		walk->at += n;
		walk->run = walk->at;
	} else {
		walk->at += n;
	}
}

/* More of a message that is longer than what had arrived. */
static void server_pass(struct walk *walk)
{
	struct server *server = walk->server;
	size_t left = walk->in.n - walk->at;
	size_t n = server->pass_left < left ? server->pass_left : left;
	struct owed *head = owed_head(&server->owed);
	if (head != NULL && head->query != NULL && head->query->capture != NULL) {
		capture_add(head->query->capture, span_make(walk->in.p + walk->at, n));
	}
	server->pass_left -= n;
	walk_take(walk, n, server->pass_swallow);
}

/* Behind a row that was passed on: whole rows that follow need not be looked at one by
 * one, because what decides about them, the head of what is owed, changes with another
 * kind of message only.  Rows that somebody collects are left alone. */
static void server_pass_rows(struct walk *walk)
{
	const struct owed *head = owed_head(&walk->server->owed);
	if (head == NULL || (head->flags & (OWED_PROBE | OWED_PINS | OWED_SWALLOW)) ||
	    (head->query != NULL && head->query->capture != NULL)) {
		return;
	}
	const uint8_t *at = walk->in.p + walk->at;
	/* where a header may begin at the last: a whole row is behind walk->at */
	const uint8_t *last = walk->in.p + walk->in.n - FRAME_HEADER;
	while (at <= last && *at == 'D') {
		size_t len = (size_t)frame_load_u32(at + 1) - 4; /* under 4 it wraps */
		if (len > (size_t)(last - at)) {
			break; /* wrong, or not whole yet */
		}
		at += FRAME_HEADER + len;
	}
	walk->at = (size_t)(at - walk->in.p);
}

/* One frame; false: no further. */
static bool server_take(struct walk *walk)
{
	struct server *server = walk->server;
	struct span left = span_skip(walk->in, walk->at);
	struct frame frame;
	enum frame_result r = frame_next(left, SERVER_MAX_LEN, &frame);
	if (r == FRAME_NEED) {
		return false;
	}
	if (r == FRAME_BAD) {
		server_close(server, SERVER_CLOSE_PROTOCOL);
		return false;
	}
	bool is_row = frame.type == 'D' || frame.type == 'd';
	if (!frame.complete && !is_row && frame.size <= SERVER_WHOLE_MAX) {
		return false;
	}
	enum verdict verdict = server_step(walk, &frame);
	if (verdict == HOLD || verdict == CLOSED) {
		return false;
	}
	size_t n = frame.body.n + FRAME_HEADER;
	server->pass_left = frame.size - n;
	server->pass_swallow = verdict == SWALLOW;
	if (walk->at > walk->run || verdict == PASS) {
		walk_take(walk, n, verdict == SWALLOW);
	} else {
		walk->at += n;
		walk->run = walk->at;
	}
	if (frame.type == 'D' && verdict == PASS && frame.complete) {
		server_pass_rows(walk);
	}
	if (frame.type == 'Z') {
		walk_flush(walk);
		server_after_ready(server);
	}
	return server->state != SERVER_CLOSING;
}

static size_t server_bytes(struct stream *stream, struct span in)
{
	struct server *server = container_of(stream, struct server, stream);
	struct walk walk = { .server = server, .in = in };
	while (walk.at < in.n && !server->stream.paused) {
		if (server->pass_left > 0) {
			server_pass(&walk);
		} else if (!server_take(&walk)) {
			break;
		}
		if (server->state == SERVER_CLOSING || !stream_is_open(stream)) {
			return walk.at;
		}
	}
	walk_flush(&walk);
	struct client *client = server->client;
	if (client != NULL && stream_is_full(&client->stream)) {
		server->reading_stopped = true; /* until the client has read */
		stream_pause(stream);
	}
	if (client != NULL && client->blocked && server->owed.n < CLIENT_MAX_OWED / 2) {
		client_unblock(client);
	}
	return walk.at;
}

static void server_drained(struct stream *stream)
{
	struct server *server = container_of(stream, struct server, stream);
	if (server->client != NULL) {
		client_unblock(server->client);
	}
}

void server_resume_reading(struct server *server)
{
	if (server->reading_stopped) {
		server->reading_stopped = false;
		if (server->token_wait == NULL) {
			stream_resume(&server->stream);
		}
	}
}

static void server_ended(struct stream *stream, int err)
{
	struct server *server = container_of(stream, struct server, stream);
	server_close(server, err ? SERVER_CLOSE_IO_ERROR : SERVER_CLOSE_EOF);
}

/* The end */

/* What the connection still owed: an outcome that nobody will tell.  A commit that was
 * sent stays in flight until its backend is gone (proxy/database.h). */
static void server_closing(struct server *server, enum server_close_reason reason)
{
	if (reason == SERVER_CLOSE_EOF || reason == SERVER_CLOSE_IO_ERROR ||
	    reason == SERVER_CLOSE_CHECK_FAILED) {
		atomic_store(&server->pool->shared->has_lost, true);
	}
	server_commit_forget(server);
	while (server->owed.n > 0) {
		struct owed item = owed_pop(&server->owed);
		server_commit_lost(server, item.commit);
		owed_item_fini(&item);
		if (item.query != NULL) {
			query_note_reload(server_worker(server), item.query);
		}
		query_free(item.query);
	}
	server_cancel_forget(server);
	context_unref(steal(&server->context));
	struct client *client = steal(&server->client);
	if (client == NULL) {
		return;
	}
	client->server = NULL;
	if (reason == SERVER_CLOSE_SHUTDOWN) {
		client_close(client, CLIENT_CLOSE_SHUTDOWN);
	} else if (client->told_fatal) {
		client_close(client, CLIENT_CLOSE_SERVER_GONE);
	} else {
		client_close_text(client, CLIENT_CLOSE_SERVER_FAILED, NULL,
				  "server closed the connection unexpectedly");
	}
}

static const struct stream_events server_events = {
	.bytes = server_bytes,
	.drained = server_drained,
	.ended = server_ended,
};

const struct upstream_ops server_ops = {
	.events = &server_events,
	.opened = server_begin,
	.closing = server_closing,
};
