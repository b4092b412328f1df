/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/sqlstate.h"
#include "console_named_priv.h"
#include "console_priv.h"
#include "net/stream.h"
#include "proxy/client.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

#define CONSOLE_MAX_NAMED 64 /* statements and portals of one session */

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

void console_forget_all(struct console_session *session)
{
	dlist_each (l, tmp, &session->named) {
		console_forget(session, container_of(l, struct console_named, link));
	}
}

/* A new one in the place of an old one of the same name. */
static struct console_named *console_name(struct console_session *session, uint8_t kind,
					  struct span name)
{
	console_forget(session, console_find(session, kind, name));
	if (session->n_named == CONSOLE_MAX_NAMED) {
		console_error(session, SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
			      "too many statements and portals", false);
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

bool console_parse(struct console_session *session, struct span body)
{
	struct message_parse parse;
	struct console_text text;
	bool is_empty;
	if (message_read_parse(body, &parse) != 0) {
		return false;
	}
	if (parse.name.n > 0 && console_find(session, 'S', parse.name) != NULL) {
		console_error(session, SQLSTATE_DUPLICATE_STATEMENT,
			      "prepared statement already exists", false);
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

bool console_bind(struct console_session *session, struct span body)
{
	struct message_bind bind;
	if (message_read_bind(body, &bind) != 0) {
		return false;
	}
	const struct console_named *statement =
	    console_find(session, 'S', bind.statement);
	if (statement == NULL) {
		console_error(session, SQLSTATE_UNKNOWN_STATEMENT,
			      "prepared statement does not exist", false);
		return true;
	}
	if (bind.n_values > 0) {
		console_error(session, SQLSTATE_PROTOCOL_VIOLATION,
			      "console commands have no parameters", false);
		return true;
	}
	struct console_named *portal = console_name(session, 'P', bind.portal);
	if (portal == NULL) {
		return true;
	}
	portal->text = statement->text;
	portal->is_empty = statement->is_empty;
	if (!portal->is_empty) {
		console_rows_init(&portal->rows, console_command(&portal->text)->table);
	}
	if (!console_rows_formats(&portal->rows, bind.result_formats,
				  bind.n_result_formats)) {
		console_forget(session, portal);
		console_error(session, SQLSTATE_PROTOCOL_VIOLATION,
			      "bind message has another number of result formats than "
			      "the command has columns",
			      false);
		return true;
	}
	stream_put_static(&session->client->stream, WIRE_BIND_COMPLETE);
	return true;
}

bool console_describe(struct console_session *session, struct span body)
{
	struct message_target target;
	if (message_read_target(body, &target) != 0) {
		return false;
	}
	const struct console_named *named =
	    console_find(session, target.kind, target.name);
	if (named == NULL) {
		console_error(session,
			      target.kind == 'S' ? SQLSTATE_UNKNOWN_STATEMENT
						 : SQLSTATE_UNKNOWN_PORTAL,
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
					     : console_command(&named->text)->table);
		console_rows_describe(&rows, &out);
		console_rows_fini(&rows);
	} else {
		console_rows_describe(&named->rows, &out);
	}
	console_put(session, &out);
	return true;
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

void console_portal_fill(struct console_session *session, struct console_named *portal,
			 struct console_job *job)
{
	console_rows_fini(&portal->rows);
	portal->rows = job->rows;
	console_rows_init(&job->rows, CONSOLE_NO_TABLE);
	portal->has_run = true;
	console_answer_portal(session, portal, job->command->tag);
}

bool console_execute(struct console_session *session, struct span body)
{
	struct message_execute execute;
	if (message_read_execute(body, &execute) != 0) {
		return false;
	}
	struct console_named *portal = console_find(session, 'P', execute.portal);
	if (portal == NULL) {
		console_error(session, SQLSTATE_UNKNOWN_PORTAL, "portal does not exist",
			      false);
		return true;
	}
	session->max_rows = execute.max_rows;
	if (portal->is_empty) {
		stream_put_static(&session->client->stream, WIRE_EMPTY_QUERY);
	} else if (portal->has_run) {
		console_answer_portal(session, portal,
				      console_command(&portal->text)->tag);
	} else {
		struct console_rows rows = portal->rows;
		console_rows_init(&portal->rows, CONSOLE_NO_TABLE);
		session->portal = portal;
		console_run(session, &portal->text, &rows);
	}
	return true;
}

bool console_close_named(struct console_session *session, struct span body)
{
	struct message_target target;
	if (message_read_target(body, &target) != 0) {
		return false;
	}
	console_forget(session, console_find(session, target.kind, target.name));
	stream_put_static(&session->client->stream, WIRE_CLOSE_COMPLETE);
	return true;
}

void console_sync(struct console_session *session)
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
