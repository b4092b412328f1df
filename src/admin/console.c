/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/*
 * Console sessions
 *
 *   Query ───────────> command ──> job ──> rows, CommandComplete, ReadyForQuery
 *   Parse ──> statement              │
 *   Bind  ──> portal ──> Execute ────┘     its rows stay with the portal
 *
 * While a job runs the client's stream is paused, so answers leave in the order of the
 * requests.
 */

#include "admin/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/sqlstate.h"
#include "console_named_priv.h"
#include "console_priv.h"
#include "net/stream.h"
#include "net/timer.h"
#include "proxy/client.h"
#include "proxy/replies.h"
#include "proxy/worker.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

#define CONSOLE_MESSAGE_MAX 16384 /* bytes of one message */

static const struct console_command *const console_commands[] = {
#define CONSOLE_COMMAND(id, words, argument, access, object, help) &object,
#include "tbl/console_commands.h"
#undef CONSOLE_COMMAND
};

const struct console_command *console_command(const struct console_text *text)
{
	return console_commands[text->id];
}

enum console_access {
	ACCESS_STATS,
	ACCESS_ADMIN,
};

static const enum console_access console_access[] = {
#define CONSOLE_COMMAND(id, words, argument, access, object, help) ACCESS_##access,
#include "tbl/console_commands.h"
#undef CONSOLE_COMMAND
};

/* Answers */

void console_put(struct console_session *session, struct buf *out)
{
	if (buf_ok(out)) {
		stream_put(&session->client->stream, buf_span(out));
	} else {
		client_close(session->client, CLIENT_CLOSE_OUT_OF_MEMORY);
	}
	buf_fini(out);
}

void console_error(struct console_session *session, const char *sqlstate,
		   const char *text, bool is_simple)
{
	struct buf out;
	buf_init(&out, 8192);
	replies_error(&out, "ERROR", sqlstate, text);
	if (is_simple) {
		writer_ready(&out, 'I');
	} else {
		session->skips = true;
	}
	console_put(session, &out);
}

static void console_notice(struct buf *out, const char *detail)
{
	struct writer_notice notice = {
		.severity = "NOTICE",
		.sqlstate = SQLSTATE_SUCCESS,
		.message = "Console usage",
		.detail = detail,
	};
	writer_notice(out, &notice);
}

static void console_answer_simple(struct console_session *session,
				  struct console_job *job)
{
	struct buf out;
	buf_init(&out, CONSOLE_OUT_MAX);
	if (job->rows.columns != NULL) {
		console_rows_describe(&job->rows, &out);
		buf_append_span(&out, buf_span(&job->rows.bytes));
	}
	writer_command_complete(&out, job->command->tag);
	writer_ready(&out, 'I');
	console_put(session, &out);
}

void console_session_done(struct console_session *session, struct console_job *job)
{
	struct client *client = session->client;
	struct console_named *portal = steal(&session->portal);
	if (job->sqlstate == NULL && !buf_ok(&job->rows.bytes)) {
		console_fail(job, SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
			     "the answer is too long");
	}
	if (job->notice != NULL && job->sqlstate == NULL) {
		struct buf out;
		buf_init(&out, 65536);
		console_notice(&out, job->notice);
		console_put(session, &out);
	}
	if (!client_is_open(client)) {
		return;
	}
	if (job->sqlstate != NULL) {
		console_error(session, job->sqlstate, job->error, portal == NULL);
	} else if (portal == NULL) {
		console_answer_simple(session, job);
	} else {
		console_portal_fill(session, portal, job);
	}
	if (client_is_open(client)) {
		stream_resume(&client->stream);
	}
}

/* Commands */

bool console_understand(struct console_session *session, struct span text,
			struct console_text *out, bool *empty_out, bool is_simple)
{
	int r = console_read(text, out);
	*empty_out = r == CONSOLE_E_EMPTY;
	if (r == 0 || r == CONSOLE_E_EMPTY) {
		return true;
	}
	console_error(session, SQLSTATE_SYNTAX_ERROR,
		      r == CONSOLE_E_UNKNOWN
			  ? "unknown command, use SHOW HELP"
			  : "wrong argument of a console command, use SHOW HELP",
		      is_simple);
	return false;
}

void console_run(struct console_session *session, const struct console_text *text,
		 struct console_rows *rows)
{
	bool is_simple = session->portal == NULL;
	if (console_access[text->id] == ACCESS_ADMIN && !session->is_admin) {
		console_rows_fini(rows);
		session->portal = NULL;
		console_error(session, SQLSTATE_INSUFFICIENT_PRIVILEGE,
			      "admin access needed", is_simple);
		return;
	}
	stream_pause(&session->client->stream);
	if (!console_job_start(session, text, console_command(text), rows)) {
		console_rows_fini(rows);
		client_close(session->client, CLIENT_CLOSE_OUT_OF_MEMORY);
	}
}

static void console_query(struct console_session *session, struct span body)
{
	struct span sql;
	struct console_text text;
	bool is_empty;
	if (message_read_query(body, &sql) != 0) {
		client_close_text(session->client, CLIENT_CLOSE_PROTOCOL, NULL,
				  "invalid message format");
		return;
	}
	if (!console_understand(session, sql, &text, &is_empty, true)) {
		return;
	}
	if (is_empty) {
		struct buf out;
		buf_init(&out, 64);
		writer_empty_query(&out);
		writer_ready(&out, 'I');
		console_put(session, &out);
		return;
	}
	struct console_rows rows;
	console_rows_init(&rows, console_command(&text)->table);
	console_run(session, &text, &rows);
}

/* The driver */

static void console_message(struct console_session *session, const struct frame *frame)
{
	struct client *client = session->client;
	bool ok = true;
	if (session->skips && frame->type != 'S' && frame->type != 'X') {
		return;
	}
	switch (frame->type) {
	case 'Q':
		console_query(session, frame->body);
		return;
	case 'P':
		ok = console_parse(session, frame->body);
		break;
	case 'B':
		ok = console_bind(session, frame->body);
		break;
	case 'D':
		ok = console_describe(session, frame->body);
		break;
	case 'E':
		ok = console_execute(session, frame->body);
		break;
	case 'C':
		ok = console_close_named(session, frame->body);
		break;
	case 'S':
		console_sync(session);
		return;
	case 'H':
		return;
	case 'X':
		client_close(client, CLIENT_CLOSE_TERMINATED);
		return;
	default:
		client_close_text(client, CLIENT_CLOSE_PROTOCOL, NULL,
				  "the console does not know this message");
		return;
	}
	if (!ok) {
		client_close_text(client, CLIENT_CLOSE_PROTOCOL, NULL,
				  "invalid message format");
	}
}

static size_t console_take(struct client *client, struct span in)
{
	size_t used = 0;
	while (client_is_open(client) && !client->stream.paused) {
		struct frame frame;
		enum frame_result r =
		    frame_next(span_skip(in, used), CONSOLE_MESSAGE_MAX, &frame);
		if (r == FRAME_BAD) {
			client_close_text(client, CLIENT_CLOSE_PROTOCOL, NULL,
					  "invalid message length");
			break;
		}
		if (r == FRAME_NEED || !frame.complete) {
			break;
		}
		used += frame.size;
		console_message(client->console, &frame);
	}
	return used;
}

static bool console_open(void *arg, struct client *client, bool is_admin)
{
	struct console_session *session = calloc(1, sizeof(*session));
	if (session == NULL) {
		return false;
	}
	session->console = arg;
	session->client = client;
	session->is_admin = is_admin;
	dlist_init(&session->named);
	client->console = session;
	return true;
}

static void console_cancelled(struct client *client)
{
	if (client->console->job != NULL) {
		console_job_leave(client->console->job, true);
	}
}

static void console_close(struct client *client)
{
	struct console_session *session = steal(&client->console);
	if (session->job != NULL) {
		console_job_leave(session->job, false);
	}
	console_forget_all(session);
	free(session);
}

/* Life */

int console_new(struct proxy *proxy, const struct console_env *env,
		struct console **out)
{
	struct console *console = calloc(1, sizeof(*console));
	struct console_stats *stats = console_stats_new();
	if (console == NULL || stats == NULL) {
		free(console);
		console_stats_free(stats);
		return -ENOMEM;
	}
	console->proxy = proxy;
	console->env = *env;
	console->stats = stats;
	console->door = (struct proxy_console){
		.arg = console,
		.open = console_open,
		.take = console_take,
		.cancelled = console_cancelled,
		.close = console_close,
	};
	pthread_mutex_init(&console->lock, NULL);
	dlist_init(&console->jobs);
	*out = console;
	return 0;
}

void console_stop(struct console *console)
{
	console->is_over = true;
}

void console_free(struct console *console)
{
	if (console == NULL) {
		return;
	}
	dlist_each (l, tmp, &console->jobs) {
		console_job_free(container_of(l, struct console_job, link));
	}
	pthread_mutex_destroy(&console->lock);
	console_stats_free(console->stats);
	free(console);
}

const struct proxy_console *console_door(struct console *console)
{
	return &console->door;
}

void console_tick(struct console *console)
{
	console_stats_tick(console);
}
