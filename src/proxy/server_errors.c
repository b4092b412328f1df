/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <stdio.h>
#include <string.h>

#include "base/sqlstate.h"
#include "base/text.h"
#include "proxy/added.h"
#include "proxy/client.h"
#include "proxy/query.h"
#include "proxy/server_again.h"
#include "proxy/server_begin.h"
#include "proxy/server_commit.h"
#include "proxy/server_skip.h"
#include "proxy/writes.h"
#include "server_steps_priv.h"
#include "upstream/server.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

static void server_read_sqlstate(const struct message_error *error,
				 char sqlstate[SQLSTATE_SIZE])
{
	snprintf(sqlstate, 6, "%.*s",
		 (int)(error->sqlstate.n < 5 ? error->sqlstate.n : 5),
		 (const char *)error->sqlstate.p);
}

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
		server_read_sqlstate(&error, head->query->sqlstate);
		if (head->query->sqlstate[0] == 0) {
			snprintf(head->query->sqlstate, sizeof(head->query->sqlstate),
				 "%s", SQLSTATE_INTERNAL_ERROR);
		}
	}
}

void server_read_error(const struct frame *frame, const char *doing,
		       char sqlstate[SQLSTATE_SIZE], char *text, size_t size)
{
	struct message_error error = { 0 };
	if (!frame->complete || message_read_error(frame->body, &error) != 0) {
		error = (struct message_error){ 0 };
	}
	server_read_sqlstate(&error, sqlstate);
	snprintf(text, size, "%s: %.*s", doing,
		 (int)(error.message.n < size ? error.message.n : size),
		 (const char *)error.message.p);
}

/* Refused, or interrupted: the server's end or a cancel request came just then.  The
 * client is told what the server said.  The server skips what was sent behind, and
 * would do so up to a Sync: nobody can use the connection any more. */
static enum verdict server_settings_failed(struct server *server,
					   const struct frame *frame, bool fatal)
{
	struct client *client = server->client;
	char sqlstate[SQLSTATE_SIZE];
	char text[320];
	server_read_error(frame, "cannot set the session's parameters", sqlstate, text,
			  sizeof(text));
	if (client != NULL) {
		client_close_text(client,
				  fatal ? CLIENT_CLOSE_SERVER_FAILED
					: CLIENT_CLOSE_BAD_PARAMETER,
				  sqlstate[0] ? sqlstate : NULL, text);
	}
	server_close(server, SERVER_CLOSE_DIRTY_SESSION);
	return CLOSED;
}

/* An error about a prepared statement names it as the server knows it; the client is
 * told its own name. */
static enum verdict server_pass_error(struct walk *walk, const struct frame *frame,
				      const struct text *own)
{
	struct client *client = walk->server->client;
	struct buf renamed;
	struct message_error error;
	if (client == NULL || client->session_mode || own == NULL || !frame->complete ||
	    message_read_error(frame->body, &error) != 0 ||
	    !(span_eq_str(error.sqlstate, SQLSTATE_UNKNOWN_STATEMENT) ||
	      span_eq_str(error.sqlstate, SQLSTATE_PROTOCOL_VIOLATION) ||
	      span_eq_str(error.sqlstate, SQLSTATE_DUPLICATE_STATEMENT))) {
		return PASS;
	}
	/* each of our names has ten bytes or more */
	buf_init(&renamed, frame->size * (1 + own->n / 10));
	bool is_renamed = server_rename_error(own->s, frame->body, &renamed);
	if (is_renamed) {
		walk_flush(walk);
		stream_put(&client->stream, buf_span(&renamed));
	}
	buf_fini(&renamed);
	return is_renamed ? SWALLOW : PASS;
}

enum verdict server_pass_placed(struct walk *walk, const struct frame *frame)
{
	struct client *client = walk->server->client;
	struct owed *head = owed_head(&walk->server->owed);
	if (LIKELY(head == NULL || head->added == NULL) || client == NULL ||
	    !frame->complete) {
		return PASS;
	}
	struct buf placed;
	buf_init(&placed, frame->size + 16);
	bool is_placed = added_correct(head->added, frame->type, frame->body, &placed);
	if (is_placed && buf_ok(&placed)) {
		walk_flush(walk);
		stream_put(&client->stream, buf_span(&placed));
	}
	is_placed = is_placed && buf_ok(&placed);
	buf_fini(&placed);
	return is_placed ? SWALLOW : PASS;
}

/* The unnamed statement behind the message of FAILED: a Parse of it ends the old one
 * even when it fails (T-61); what is skipped does nothing. */
static uint64_t server_unnamed_behind(struct server *server, const struct owed *failed)
{
	if (failed->kind == 'P' && failed->statement_id == 0) {
		return 0;
	}
	const struct owed *next = owed_head(&server->owed);
	return next != NULL ? next->unnamed_before : server->unnamed_id;
}

enum verdict server_on_error(struct walk *walk, const struct frame *frame)
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
	if (head->flags & OWED_CONNECT) {
		server_connect_query_failed(server, frame);
		return CLOSED;
	}
	if (head->flags & OWED_SETTINGS) {
		if (head->is_set && !fatal) {
			return SWALLOW; /* of the empty Query behind them */
		}
		head->failed = true;
		return server_settings_failed(server, frame, fatal);
	}
	if (owed_ends_group(head)) {
		head->failed = true;
		if (head->flags & OWED_SEQUENCES) {
			server->sequences_of = SERVER_SEQUENCES_MANY;
		}
		server_keeps_statements(server, head);
		return head->flags & OWED_SWALLOW ? SWALLOW
						  : server_pass_placed(walk, frame);
	}
	if (fatal) {
		/* a commit of its may have happened: told by server_closing() */
		head->failed = true;
		return PASS;
	}
	if (server_again(server, frame)) {
		return server->state == SERVER_CLOSING ? CLOSED : SWALLOW;
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
	uint64_t unnamed_id = server_unnamed_behind(server, &failed);
	server_drop_batch(server, at);
	server_restore_unnamed(server, unnamed_id);
	if (failed.kind == 'P' && failed.statement_id == 0 && server->client != NULL &&
	    !(failed.flags & OWED_SWALLOW)) {
		/* the old one is gone, whatever became of the new one */
		names_lose_unnamed(&server->client->session.names, at);
	}
	enum verdict verdict =
	    ours ? SWALLOW : server_pass_error(walk, frame, failed.name);
	owed_item_fini(&failed);
	return verdict;
}
