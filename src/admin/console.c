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
#define CONSOLE_MAX_NAMED   64	  /* statements and portals of one session */
#define CONSOLE_OUT_MAX	    (CONSOLE_MAX_ROWS + 65536)

/* A prepared statement, or a portal with the rows that are left of its answer. */
struct console_named {
	struct dlist link;
	uint8_t kind; /* 'S' or 'P' */
	bool is_empty;
	bool has_run;
	struct console_text text;
	struct console_rows rows;
	size_t at; /* first byte of rows that has not been sent */
	size_t name_len;
	uint8_t name[];
};

static const struct console_command *const console_commands[] = {
#define CONSOLE_COMMAND(id, words, argument, access, object, help) &object,
#include "tbl/console_commands.h"
#undef CONSOLE_COMMAND
};

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

static void console_put(struct console_session *session, struct buf *out)
{
	if (buf_ok(out)) {
		stream_put(&session->client->stream, buf_span(out));
	} else {
		client_close(session->client, CLIENT_CLOSE_OUT_OF_MEMORY);
	}
	buf_fini(out);
}

/* An error; a simple query is over with it, a batch skips to its Sync. */
static void console_error(struct console_session *session, const char *sqlstate,
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

/* The rows from AT on, at most MAX (0: all); returns where it stopped. */
static size_t console_put_rows(const struct console_rows *rows, size_t at, uint32_t max,
			       struct buf *out)
{
	struct span left = span_skip(buf_span(&rows->bytes), at);
	struct frame frame;
	uint32_t n = 0;
	size_t begin = at;
	while ((max == 0 || n < max) &&
	       frame_next(left, UINT32_MAX, &frame) == FRAME_OK) {
		left = span_skip(left, frame.size);
		at += frame.size;
		n++;
	}
	buf_append_span(out, span_make(rows->bytes.data + begin, at - begin));
	return at;
}

static void console_answer_portal(struct console_session *session,
				  struct console_named *portal, const char *tag)
{
	struct buf out;
	buf_init(&out, CONSOLE_OUT_MAX);
	if (portal->rows.bytes.len > 0) {
		portal->at = console_put_rows(&portal->rows, portal->at,
					      session->max_rows, &out);
	}
	if (portal->at < portal->rows.bytes.len) {
		buf_append_span(&out, WIRE_PORTAL_SUSPENDED);
	} else {
		writer_command_complete(&out, tag);
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
		console_fail(job, "54000", "the answer is too long");
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
		console_rows_fini(&portal->rows);
		portal->rows = job->rows;
		console_rows_init(&job->rows, CONSOLE_NO_TABLE);
		portal->has_run = true;
		console_answer_portal(session, portal, job->command->tag);
	}
	if (client_is_open(client)) {
		stream_resume(&client->stream);
	}
}

/* Commands */

/* Reads TEXT; false after an error was sent.  *EMPTY_OUT: there is no command in it. */
static bool console_understand(struct console_session *session, struct span text,
			       struct console_text *out, bool *empty_out,
			       bool is_simple)
{
	int r = console_read(text, out);
	*empty_out = r == CONSOLE_E_EMPTY;
	if (r == 0 || r == CONSOLE_E_EMPTY) {
		return true;
	}
	console_error(session, "42601",
		      r == CONSOLE_E_UNKNOWN
			  ? "unknown command, use SHOW HELP"
			  : "wrong argument of a console command, use SHOW HELP",
		      is_simple);
	return false;
}

static void console_run(struct console_session *session,
			const struct console_text *text, struct console_rows *rows)
{
	bool is_simple = session->portal == NULL;
	if (console_access[text->id] == ACCESS_ADMIN && !session->is_admin) {
		console_rows_fini(rows);
		session->portal = NULL;
		console_error(session, "42501", "admin access needed", is_simple);
		return;
	}
	stream_pause(&session->client->stream);
	if (!console_job_start(session, text, console_commands[text->id], rows)) {
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
	console_rows_init(&rows, console_commands[text.id]->table);
	console_run(session, &text, &rows);
}

/* Statements and portals */

static struct console_named *console_find(struct console_session *session, uint8_t kind,
					  struct span name)
{
	dlist_each (l, tmp, &session->named) {
		struct console_named *named =
		    container_of(l, struct console_named, link);
		if (named->kind == kind &&
		    span_eq(span_make(named->name, named->name_len), name)) {
			return named;
		}
	}
	return NULL;
}

static void console_forget(struct console_session *session, struct console_named *named)
{
	if (named != NULL) {
		dlist_remove(&named->link);
		session->n_named--;
		console_rows_fini(&named->rows);
		free(named);
	}
}

/* A new one in the place of an old one of the same name. */
static struct console_named *console_name(struct console_session *session, uint8_t kind,
					  struct span name)
{
	console_forget(session, console_find(session, kind, name));
	if (session->n_named == CONSOLE_MAX_NAMED) {
		console_error(session, "54000", "too many statements and portals",
			      false);
		return NULL;
	}
	struct console_named *named = calloc(1, sizeof(*named) + name.n);
	if (named == NULL) {
		client_close(session->client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return NULL;
	}
	named->kind = kind;
	named->name_len = name.n;
	if (name.n > 0) {
		memcpy(named->name, name.p, name.n);
	}
	console_rows_init(&named->rows, CONSOLE_NO_TABLE);
	dlist_init(&named->link);
	dlist_push_tail(&session->named, &named->link);
	session->n_named++;
	return named;
}

static bool console_parse(struct console_session *session, struct span body)
{
	struct message_parse parse;
	struct console_text text;
	bool is_empty;
	if (message_read_parse(body, &parse) != 0) {
		return false;
	}
	if (parse.name.n > 0 && console_find(session, 'S', parse.name) != NULL) {
		console_error(session, "42P05", "prepared statement already exists",
			      false);
		return true;
	}
	if (!console_understand(session, parse.text, &text, &is_empty, false)) {
		return true;
	}
	struct console_named *named = console_name(session, 'S', parse.name);
	if (named != NULL) {
		named->text = text;
		named->is_empty = is_empty;
		stream_put_static(&session->client->stream, WIRE_PARSE_COMPLETE);
	}
	return true;
}

static bool console_bind(struct console_session *session, struct span body)
{
	struct message_bind bind;
	if (message_read_bind(body, &bind) != 0) {
		return false;
	}
	const struct console_named *statement =
	    console_find(session, 'S', bind.statement);
	if (statement == NULL) {
		console_error(session, "26000", "prepared statement does not exist",
			      false);
		return true;
	}
	if (bind.n_values > 0) {
		console_error(session, "08P01", "console commands have no parameters",
			      false);
		return true;
	}
	struct console_named *portal = console_name(session, 'P', bind.portal);
	if (portal == NULL) {
		return true;
	}
	portal->text = statement->text;
	portal->is_empty = statement->is_empty;
	if (!portal->is_empty) {
		console_rows_init(&portal->rows,
				  console_commands[portal->text.id]->table);
	}
	if (!console_rows_formats(&portal->rows, bind.result_formats,
				  bind.n_result_formats)) {
		console_forget(session, portal);
		console_error(session, "08P01",
			      "bind message has another number of result formats than "
			      "the command has columns",
			      false);
		return true;
	}
	stream_put_static(&session->client->stream, WIRE_BIND_COMPLETE);
	return true;
}

static bool console_describe(struct console_session *session, struct span body)
{
	struct message_target target;
	if (message_read_target(body, &target) != 0) {
		return false;
	}
	const struct console_named *named =
	    console_find(session, target.kind, target.name);
	if (named == NULL) {
		console_error(session, target.kind == 'S' ? "26000" : "34000",
			      target.kind == 'S' ? "prepared statement does not exist"
						 : "portal does not exist",
			      false);
		return true;
	}
	struct buf out;
	struct console_rows rows;
	buf_init(&out, 8192);
	if (target.kind == 'S') {
		size_t start = writer_begin(&out, 't');
		buf_append_u16(&out, 0);
		writer_end(&out, start);
		console_rows_init(&rows, named->is_empty
					     ? CONSOLE_NO_TABLE
					     : console_commands[named->text.id]->table);
		console_rows_describe(&rows, &out);
		console_rows_fini(&rows);
	} else {
		console_rows_describe(&named->rows, &out);
	}
	console_put(session, &out);
	return true;
}

static bool console_execute(struct console_session *session, struct span body)
{
	struct message_execute execute;
	if (message_read_execute(body, &execute) != 0) {
		return false;
	}
	struct console_named *portal = console_find(session, 'P', execute.portal);
	if (portal == NULL) {
		console_error(session, "34000", "portal does not exist", false);
		return true;
	}
	session->max_rows = execute.max_rows;
	if (portal->is_empty) {
		stream_put_static(&session->client->stream, WIRE_EMPTY_QUERY);
	} else if (portal->has_run) {
		console_answer_portal(session, portal,
				      console_commands[portal->text.id]->tag);
	} else {
		struct console_rows rows = portal->rows;
		console_rows_init(&portal->rows, CONSOLE_NO_TABLE);
		session->portal = portal;
		console_run(session, &portal->text, &rows);
	}
	return true;
}

static bool console_close_named(struct console_session *session, struct span body)
{
	struct message_target target;
	if (message_read_target(body, &target) != 0) {
		return false;
	}
	console_forget(session, console_find(session, target.kind, target.name));
	stream_put_static(&session->client->stream, WIRE_CLOSE_COMPLETE);
	return true;
}

/* No portal outlives its transaction. */
static void console_sync(struct console_session *session)
{
	session->skips = false;
	dlist_each (l, tmp, &session->named) {
		struct console_named *named =
		    container_of(l, struct console_named, link);
		if (named->kind == 'P') {
			console_forget(session, named);
		}
	}
	stream_put_static(&session->client->stream, WIRE_READY_IDLE);
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
	dlist_each (l, tmp, &session->named) {
		console_forget(session, container_of(l, struct console_named, link));
	}
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
