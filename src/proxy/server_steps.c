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

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/timer.h"
#include "proxy/client.h"
#include "proxy/client_steps.h"
#include "proxy/database.h"
#include "proxy/query.h"
#include "proxy/server_commit.h"
#include "proxy/server_copy.h"
#include "proxy/server_reset.h"
#include "proxy/server_skip.h"
#include "proxy/worker.h"
#include "proxy/writes.h"
#include "upstream/server.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

#define SERVER_MAX_LEN 0x7FFFFFFFU /* PostgreSQL's own messages are smaller */
#define SERVER_WHOLE_MAX \
	(1U << 20) /* control messages up to this size are kept whole */

/* What becomes of the frame at hand. */
enum verdict {
	PASS, /* to the client, when there is one and it asked */
	SWALLOW,
	HOLD,	/* not yet: come again with more, or when Redis has answered */
	CLOSED, /* the server connection is gone */
};

/* The walk over one read: a run of bytes for the client that has not been passed on. */
struct walk {
	struct server *server;
	struct span in;
	size_t at;  /* the frame at hand */
	size_t run; /* first byte of the run */
};

static struct worker *server_worker(const struct server *server)
{
	return server->pool->upstream->owner;
}

static void walk_flush(struct walk *walk)
{
	struct client *client = walk->server->client;
	if (walk->at > walk->run && client != NULL) {
		stream_put_borrow(&client->stream, span_make(walk->in.p + walk->run,
							     walk->at - walk->run));
	}
	walk->run = walk->at;
}

/* Answered items */

/* True when no statement was sent behind the one just answered: what it did to the
 * session still holds. */
static bool server_nothing_follows(struct server *server)
{
	return server->owed.n == 0 ||
	       (server->owed.n == 1 && owed_head(&server->owed)->kind == 'S');
}

static void server_item_done(struct walk *walk)
{
	struct server *server = walk->server;
	struct owed item = owed_pop(&server->owed);
	require(item.commit == NULL); /* decided before */
	if (item.query != NULL) {
		if (server->client != NULL && item.query->plan != NULL &&
		    item.query->sqlstate[0] == 0 && server_nothing_follows(server)) {
			session_done(&server->client->session, item.query->plan);
		}
		query_finish(server_worker(server), item.query);
	}
	server->query_sent_ns = clock_now_ns();
}

/* Replies of ours whose turn has come: behind the run, and behind the frame at hand. */
static void server_send_replies(struct walk *walk, size_t frame_size)
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

/* Errors */

static void server_record_error(struct server *server, struct owed *head,
				const struct frame *frame, bool *fatal)
{
	struct message_error error;
	*fatal = false;
	if (!frame->complete || message_read_error(frame->body, &error) != 0) {
		return;
	}
	*fatal = span_eq_str(error.severity, "FATAL") ||
		 span_eq_str(error.severity, "PANIC");
	if (head != NULL && head->query != NULL) {
		snprintf(head->query->sqlstate, sizeof(head->query->sqlstate), "%.*s",
			 (int)(error.sqlstate.n < 5 ? error.sqlstate.n : 5),
			 (const char *)error.sqlstate.p);
		if (head->query->sqlstate[0] == 0) {
			snprintf(head->query->sqlstate, sizeof(head->query->sqlstate),
				 "XX000");
		}
	}
}

/* Refused, or interrupted: the server's end or a cancel request came just then.  The
 * client is told what the server said. */
static enum verdict server_settings_failed(struct server *server,
					   const struct frame *frame, bool fatal)
{
	struct client *client = server->client;
	struct message_error error = { 0 };
	char sqlstate[6] = "";
	char text[320];
	server->dirty = true;
	if (frame->complete && message_read_error(frame->body, &error) == 0) {
		snprintf(sqlstate, sizeof(sqlstate), "%.*s", (int)error.sqlstate.n,
			 (const char *)error.sqlstate.p);
	}
	snprintf(text, sizeof(text), "cannot set the session's parameters: %.*s",
		 (int)(error.message.n < 256 ? error.message.n : 256),
		 (const char *)error.message.p);
	if (client != NULL) {
		client_close_text(client,
				  fatal ? CLIENT_CLOSE_SERVER_FAILED
					: CLIENT_CLOSE_BAD_PARAMETER,
				  sqlstate[0] ? sqlstate : NULL, text);
	}
	return server->state == SERVER_CLOSING ? CLOSED : SWALLOW;
}

/* An error may name the statement as the server knows it; the client is told its own
 * name. */
static enum verdict server_pass_error(struct walk *walk, const struct frame *frame)
{
	struct client *client = walk->server->client;
	struct buf renamed;
	if (client == NULL || client->session_mode || !frame->complete) {
		return PASS;
	}
	buf_init(&renamed, frame->size + NAMES_MAX_LEN);
	bool is_renamed =
	    server_rename_error(&client->session.names, frame->body, &renamed);
	if (is_renamed) {
		walk_flush(walk);
		stream_put(&client->stream, buf_span(&renamed));
	}
	buf_fini(&renamed);
	return is_renamed ? SWALLOW : PASS;
}

static enum verdict server_on_error(struct walk *walk, const struct frame *frame)
{
	struct server *server = walk->server;
	struct owed *head = owed_head(&server->owed);
	bool fatal;
	server_record_error(server, head, frame, &fatal);
	if (fatal && server->client != NULL) {
		server->client->told_fatal = true;
	}
	if (head == NULL) {
		return PASS; /* idle, and told to go: 57P01 and the like */
	}
	server->copy_in = false;
	if (head->flags & OWED_SETTINGS) {
		head->failed = true;
		return server_settings_failed(server, frame, fatal);
	}
	if (head->kind == 'Q' || head->kind == 'F' || head->kind == 'S') {
		head->failed = true;
		server_keeps_statements(server, head);
		return head->flags & OWED_SWALLOW ? SWALLOW : PASS;
	}
	if (fatal) {
		/* a commit of its may have happened: told by server_closing() */
		head->failed = true;
		return PASS;
	}
	if (!server_commit_decide(server, head, false)) {
		return HOLD;
	}
	bool ours = head->flags & OWED_OURS;
	uint64_t at = server->owed.n_popped;
	struct owed failed = owed_pop(&server->owed);
	server_undo_item(server, &failed);
	if (failed.query != NULL) {
		query_finish(server_worker(server), failed.query);
	}
	server_drop_batch(server, at);
	if (failed.kind == 'P' && failed.statement_id == 0 && server->client != NULL &&
	    !(failed.flags & OWED_SWALLOW)) {
		/* the old one is gone, whatever became of the new one */
		names_remove(&server->client->session.names, SPAN_LIT(""), 0);
	}
	return ours ? SWALLOW : server_pass_error(walk, frame);
}

/* ReadyForQuery */

static enum verdict server_on_ready(struct walk *walk, const struct frame *frame)
{
	struct server *server = walk->server;
	struct owed *head = owed_head(&server->owed);
	uint8_t status;
	if (head == NULL ||
	    (head->kind != 'Q' && head->kind != 'S' && head->kind != 'F') ||
	    message_read_ready(frame->body, &status) != 0) {
		server_close(server, SERVER_CLOSE_PROTOCOL);
		return CLOSED;
	}
	bool rolled_back = head->failed || server->rolled_back;
	if (!server_commit_decide(server, head, !rolled_back)) {
		return HOLD;
	}
	uint8_t flags = head->flags;
	bool failed = head->failed;
	server->rolled_back = false;
	server->tx_status = (char)status;
	server->copy_in = false;
	server_item_done(walk);
	server_send_replies(walk, flags & OWED_SWALLOW ? 0 : frame->size);
	if (failed && server->reset_sent) {
		server_close(server, SERVER_CLOSE_RESET_FAILED);
		return CLOSED;
	}
	struct client *client = server->client;
	if (flags & OWED_PROBE) {
		server_probe_done(server, failed);
		return server->state == SERVER_CLOSING ? CLOSED : SWALLOW;
	}
	if (client == NULL || (flags & OWED_SWALLOW)) {
		return flags & OWED_SWALLOW ? SWALLOW : PASS;
	}
	if (status == 'I') { /* a transaction has ended */
		client->groups_failed = client->groups_failed || rolled_back;
		client->groups_ok = client->groups_ok || !rolled_back;
	}
	return PASS;
}

/* After ReadyForQuery has been put on the run: the session, and perhaps the release. */
static void server_after_ready(struct server *server)
{
	struct client *client = server->client;
	if (client == NULL) {
		if (server->state == SERVER_RESET) {
			server_reset(server);
		}
		return;
	}
	if (server->owed.n > 0) {
		return;
	}
	if (client->settings_wait) { /* now its message may come */
		client->settings_wait = false;
		stream_resume(&client->stream);
		return;
	}
	if (server->tx_status == 'I') {
		metric_add(
		    &metrics_database(server_worker(server)->metrics,
				      server->pool->shared->db_index)
			 ->transactions[client->groups_failed ? METRIC_OUTCOME_ROLLBACK
							      : METRIC_OUTCOME_COMMIT],
		    1);
	}
	struct context *fresh = session_ready(&client->session, server->tx_status,
					      client->groups_ok, client->groups_failed);
	if (server->tx_status == 'I') {
		client->groups_ok = client->groups_failed = false;
	}
	if (fresh != NULL) {
		context_unref(server->context);
		server->context = fresh;
	}
	client_after_transaction(client);
}

/* CommandComplete */

/* A simple statement that commits says CommandComplete and ReadyForQuery in one breath:
 * the former is kept until the latter is here, because it tells of the commit. */
static bool server_ready_is_near(const struct walk *walk, const struct frame *frame)
{
	struct span left = span_skip(walk->in, walk->at + frame->size);
	struct frame next;
	while (frame_next(left, SERVER_MAX_LEN, &next) == FRAME_OK && next.complete) {
		if (next.type != 'N' && next.type != 'S' && next.type != 'A') {
			return true; /* Z, or another statement of the same text */
		}
		left = span_skip(left, next.size);
	}
	return left.n > 4 && left.p[0] != 'Z' && left.p[0] != 'N' && left.p[0] != 'S' &&
	       left.p[0] != 'A';
}

static bool server_ready_follows(const struct walk *walk, const struct frame *frame)
{
	struct span left = span_skip(walk->in, walk->at + frame->size);
	struct frame next;
	while (frame_next(left, SERVER_MAX_LEN, &next) == FRAME_OK && next.complete) {
		if (next.type == 'Z') {
			return true;
		}
		if (next.type != 'N' && next.type != 'S' && next.type != 'A') {
			return false;
		}
		left = span_skip(left, next.size);
	}
	return false;
}

static enum verdict server_on_complete(struct walk *walk, const struct frame *frame)
{
	struct server *server = walk->server;
	struct owed *head = owed_head(&server->owed);
	if (head == NULL) {
		server_close(server, SERVER_CLOSE_PROTOCOL);
		return CLOSED;
	}
	bool swallow = head->flags & OWED_SWALLOW;
	if (frame->type == 'C') {
		server->rolled_back =
		    frame->body.n >= 8 && memcmp(frame->body.p, "ROLLBACK", 8) == 0;
	}
	if (head->kind == 'Q' && head->commit != NULL) {
		if (!server_ready_is_near(walk, frame)) {
			return HOLD;
		}
		if (server_ready_follows(walk, frame) &&
		    !server_commit_decide(server, head,
					  !(head->failed || server->rolled_back))) {
			return HOLD;
		}
	}
	if (head->query != NULL && head->query->capture != NULL) {
		if (frame->type == 'C') {
			capture_add(head->query->capture, frame_bytes(frame));
		} else {
			head->query->capture->bad = true;
		}
	}
	if (head->kind == 'E') {
		if (!server_commit_decide(server, head, !server->rolled_back)) {
			return HOLD;
		}
		server_item_done(walk);
		server_send_replies(walk, swallow ? 0 : frame->size);
	}
	return swallow ? SWALLOW : PASS;
}

/* The rest */

static enum verdict server_on_simple(struct walk *walk, const struct frame *frame,
				     uint8_t kind)
{
	struct server *server = walk->server;
	struct owed *head = owed_head(&server->owed);
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
	return head->flags & OWED_SWALLOW ? SWALLOW : PASS;
}

static enum verdict server_on_copy(struct walk *walk, const struct frame *frame)
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
	bool is_ours = head != NULL && (head->flags & OWED_SWALLOW);
	struct span told = session_tells(session, p.name, p.value, is_ours);
	if (is_ours) {
		session_restored(session, p.name, p.value, &server->context);
	} else {
		session_reported(session, p.name, p.value);
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

/* Notices, parameters, notifications: anywhere, also between two queries (T-82). */
static enum verdict server_on_async(struct walk *walk, const struct frame *frame)
{
	struct server *server = walk->server;
	struct owed *head = owed_head(&server->owed);
	/* what comes while a query is answered, or its Parse and Bind, belongs to it;
	 * such an answer is never stored (T-128) */
	for (uint32_t i = 0; i < server->owed.n && frame->type != 'A'; i++) {
		struct owed *item = owed_at(&server->owed, i);
		if (item->query != NULL && item->query->capture != NULL) {
			item->query->capture->bad = true;
		}
		if (item->query != NULL || strchr("QSF", item->kind) != NULL) {
			break;
		}
	}
	if (frame->type == 'S' && server->client != NULL) {
		return server_on_parameter(walk, frame);
	}
	return head != NULL && (head->flags & OWED_SWALLOW) ? SWALLOW : PASS;
}

static enum verdict server_on_row(struct walk *walk, const struct frame *frame)
{
	struct owed *head = owed_head(&walk->server->owed);
	if (head == NULL) {
		server_close(walk->server, SERVER_CLOSE_PROTOCOL);
		return CLOSED;
	}
	if (head->flags & OWED_PROBE) {
		if (!frame->complete) {
			return HOLD;
		}
		server_probe_row(walk->server, frame->body);
	}
	if (head->query != NULL && head->query->capture != NULL) {
		capture_add(head->query->capture, frame_bytes(frame));
	}
	return head->flags & OWED_SWALLOW ? SWALLOW : PASS;
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
	case 'c':
	case 'V':
		return PASS;
	case 'E':
		return server_on_error(walk, frame);
	case 'Z':
		return server_on_ready(walk, frame);
	case 'G':
	case 'H':
	case 'W':
		return server_on_copy(walk, frame);
	case 'N':
	case 'S':
	case 'A':
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
	server_commit_forget(server);
	while (server->owed.n > 0) {
		struct owed item = owed_pop(&server->owed);
		server_commit_lost(server, item.commit);
		query_free(item.query);
	}
	server_reset_forget(server);
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
	.opened = server_probe,
	.closing = server_closing,
};
