/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/*
 * HTTP steps
 *
 *   READING ──request or refusal──> ANSWERED ──sent, keep-alive──> READING
 *                                      │
 *                                      └──sent, last──> LINGER ──> CLOSED
 *
 * Every state may go to CLOSED.  A request is taken only when the answer before it has
 * left, and at the earliest on the next turn of the loop: pipelined requests are
 * answered in order, one a turn, and cannot pile up pages.
 *
 * LINGER: closing a socket that has unread bytes resets the connection, and the peer
 * may lose the answer.  So we say that we are done, and read for a moment into nothing.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "admin/accept.h"
#include "admin/http_conn.h"
#include "base/clock.h"
#include "base/machine.h"
#include "net/timer.h"

#define LINGER_MS	1000
#define LINGER_MAX	(256U * 1024) /* bytes */
#define RETRY_MS	10
#define HEAD_ROOM	1024 /* bytes of an answer's head */
#define TYPE_TEXT	"text/plain; charset=utf-8"
#define TYPE_PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_OPEN	"application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TYPE_JSON	"application/json"

struct answer {
	int status;
	const char *content_type;
	struct buf page;
	bool allow;	/* tell which methods are allowed */
	bool head_only; /* the page is counted and not sent */
};

typedef void http_page_fn(const struct http_conn *conn, struct answer *answer);

struct http_route {
	const char *path;
	http_page_fn *page;
	const char *sentence;
};

#define HTTP_ROUTE(id, path, page, sentence) static http_page_fn page;
#include "tbl/http_routes.h"
#undef HTTP_ROUTE

/* clang-format off */
static const struct http_route http_routes[] = {
#define HTTP_ROUTE(id, path, page, sentence) { path, page, sentence },
#include "tbl/http_routes.h"
#undef HTTP_ROUTE
};

#define TO(s) MACHINE_BIT(HTTP_##s)
static const struct machine_state http_states[] = {
	[HTTP_READING]  = { "reading",  TO(ANSWERED) | TO(CLOSED) },
	[HTTP_ANSWERED] = { "answered", TO(READING)  | TO(LINGER) | TO(CLOSED) },
	[HTTP_LINGER]   = { "linger",   TO(CLOSED) },
	[HTTP_CLOSED]   = { "closed",   0 },
};
#undef TO
/* clang-format on */

void http_conn_move(struct http_conn *conn, enum http_state to)
{
	conn->state =
	    machine_move(http_states, ARRAY_LEN(http_states), conn->state, to);
}

struct status_name {
	int code;
	const char *text;
};

static const struct status_name status_names[] = {
#define HTTP_STATUS(code, text) { code, text },
#include "tbl/http_statuses.h"
#undef HTTP_STATUS
};

static const char *status_text(int status)
{
	size_t i = 0;
	while (i < ARRAY_LEN(status_names) && status_names[i].code != status) {
		i++;
	}
	require(i < ARRAY_LEN(status_names));
	return status_names[i].text;
}

static void http_page_index(const struct http_conn *conn, struct answer *answer)
{
	buf_append_str(&answer->page, "pgrecall " PGRECALL_VERSION "\n\n");
	for (size_t i = 0; i < ARRAY_LEN(http_routes); i++) {
		buf_printf(&answer->page, "%-10s %s\n", http_routes[i].path,
			   http_routes[i].sentence);
	}
}

static void http_page_metrics(const struct http_conn *conn, struct answer *answer)
{
	const struct http_source *source = &conn->http->source;
	const struct http_request *request = http_parse_request(conn->parse);
	bool open = accept_openmetrics(span_make(request->accept, request->accept_len));
	answer->content_type = open ? TYPE_OPEN : TYPE_PROMETHEUS;
	source->metrics(source->arg, &answer->page, open);
}

static void http_page_livez(const struct http_conn *conn, struct answer *answer)
{
	buf_append_str(&answer->page, "ok\n");
}

static void http_page_readyz(const struct http_conn *conn, struct answer *answer)
{
	const struct http_source *source = &conn->http->source;
	if (source->ready(source->arg, &answer->page)) {
		buf_reset(&answer->page);
		buf_append_str(&answer->page, "ok\n");
		return;
	}
	answer->status = 503;
}

static void http_page_healthz(const struct http_conn *conn, struct answer *answer)
{
	const struct http_source *source = &conn->http->source;
	answer->content_type = TYPE_JSON;
	source->health(source->arg, &answer->page);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", whatever the locale. */
static void date_append(struct buf *out)
{
	static const char days[][4] = {
		"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"
	};
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = (time_t)(clock_wall_us() / 1000000);
	struct tm tm;
	if (gmtime_r(&now, &tm) == NULL) {
		return;
	}
	buf_printf(out, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday],
		   tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
		   tm.tm_min, tm.tm_sec);
}

/* Queues the answer and takes its page.  Without memory the connection just ends. */
static void answer_send(struct http_conn *conn, struct answer *answer)
{
	struct buf head;
	buf_init(&head, HEAD_ROOM);
	buf_printf(&head, "HTTP/1.1 %d %s\r\n", answer->status,
		   status_text(answer->status));
	date_append(&head);
	buf_printf(&head, "Content-Type: %s\r\nContent-Length: %zu\r\n",
		   answer->content_type, answer->page.len);
	buf_append_str(&head, "Cache-Control: no-store\r\n"
			      "X-Content-Type-Options: nosniff\r\n");
	if (answer->allow) {
		buf_append_str(&head, "Allow: GET, HEAD\r\n");
	}
	/* HTTP/1.0 clients that asked to keep the connection want to be told */
	buf_append_str(&head, conn->last ? "Connection: close\r\n\r\n"
					 : "Connection: keep-alive\r\n\r\n");
	if (buf_ok(&head)) {
		stream_put(&conn->stream, buf_span(&head));
	} else {
		conn->last = true;
	}
	if (buf_ok(&head) && !answer->head_only && answer->page.len > 0) {
		uint8_t *page = steal(&answer->page.data);
		stream_put_owned(&conn->stream, span_make(page, answer->page.len), page,
				 free);
	}
	buf_fini(&head);
	buf_fini(&answer->page);
	http_conn_move(conn, HTTP_ANSWERED);
	stream_pause(&conn->stream);
	timer_start(conn->deadline, conn->http->options.timeout_ms, 0);
	timer_start(conn->turn, 0, 0);
}

static void answer_init(struct answer *answer, int status)
{
	*answer = (struct answer){ .status = status, .content_type = TYPE_TEXT };
	buf_init(&answer->page, HTTP_PAGE_MAX);
}

/* Turns the answer into a plain one that only says its status. */
static void answer_plain(struct answer *answer, int status)
{
	buf_reset(&answer->page);
	answer->status = status;
	answer->content_type = TYPE_TEXT;
	buf_printf(&answer->page, "%d %s\n", status, status_text(status));
}

void http_conn_refuse(struct http_conn *conn, int status)
{
	struct answer answer;
	answer_init(&answer, status);
	answer_plain(&answer, status);
	conn->last = true;
	answer_send(conn, &answer);
}

static const struct http_route *route_find(struct span path)
{
	for (size_t i = 0; i < ARRAY_LEN(http_routes); i++) {
		if (span_eq_str(path, http_routes[i].path)) {
			return &http_routes[i];
		}
	}
	return NULL;
}

/* The status of a request that gets no page, or 0. */
static int request_refusal(const struct http_request *request,
			   const struct http_route *route)
{
	if (route == NULL) {
		return 404;
	}
	if (request->verb == HTTP_VERB_OTHER) {
		return 405;
	}
	if (request->expect_unknown) {
		return 417;
	}
	if (request->body == HTTP_BODY_CODED) {
		return 411;
	}
	return request->body == HTTP_BODY_SIZED ? 413 : 0;
}

static void request_answer(struct http_conn *conn)
{
	const struct http_request *request = http_parse_request(conn->parse);
	const struct http_route *route = route_find(
	    http_target_path(span_make(request->target, request->target_len)));
	int refused = request_refusal(request, route);
	struct answer answer;
	answer_init(&answer, 200);
	if (refused == 0) {
		route->page(conn, &answer);
		if (!buf_ok(&answer.page)) {
			answer_plain(&answer, 500);
		}
	} else {
		answer_plain(&answer, refused);
		answer.allow = refused == 405;
	}
	answer.head_only = request->verb == HTTP_VERB_HEAD;
	/* a body is never read, so what follows its head is not a request */
	conn->last = !request->keep_alive || request->body != HTTP_BODY_NONE;
	http_parse_reset(conn->parse);
	answer_send(conn, &answer);
}

static size_t conn_bytes(struct stream *stream, struct span in)
{
	struct http_conn *conn = container_of(stream, struct http_conn, stream);
	if (conn->state == HTTP_LINGER) {
		conn->dropped += in.n;
		if (conn->dropped > LINGER_MAX) {
			http_conn_close(conn);
		}
		return in.n;
	}
	if (conn->state != HTTP_READING) {
		return 0;
	}
	size_t used = 0;
	enum http_verdict verdict = http_parse_feed(conn->parse, in, &used);
	if (verdict == HTTP_PARSE_COMPLETE) {
		request_answer(conn);
	} else if (verdict == HTTP_PARSE_BAD) {
		http_conn_refuse(conn, http_parse_status(conn->parse));
	}
	return used;
}

void http_conn_turn(void *arg)
{
	struct http_conn *conn = arg;
	require(conn->state == HTTP_ANSWERED);
	if (stream_queued(&conn->stream) > 0) {
		/* conn_drained() goes on, unless so little is left that it is not told
		 */
		if (!stream_is_full(&conn->stream)) {
			timer_start(conn->turn, RETRY_MS, 0);
		}
		return;
	}
	if (conn->last) {
		http_conn_move(conn, HTTP_LINGER);
		shutdown(conn->stream.fd, SHUT_WR);
		timer_start(conn->deadline, LINGER_MS, 0);
	} else {
		http_conn_move(conn, HTTP_READING);
	}
	stream_resume(&conn->stream);
}

static void conn_drained(struct stream *stream)
{
	struct http_conn *conn = container_of(stream, struct http_conn, stream);
	if (conn->state == HTTP_ANSWERED) {
		timer_start(conn->turn, 0, 0);
	}
}

static void conn_ended(struct stream *stream, int err)
{
	http_conn_close(container_of(stream, struct http_conn, stream));
}

void http_conn_late(void *arg)
{
	struct http_conn *conn = arg;
	if (conn->state == HTTP_READING && http_parse_begun(conn->parse)) {
		http_conn_refuse(conn, 408);
		return;
	}
	http_conn_close(conn);
}

const struct stream_events http_conn_events = {
	.bytes = conn_bytes,
	.drained = conn_drained,
	.ended = conn_ended,
};
