/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "admin/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/http_conn.h"
#include "net/listener.h"
#include "net/timer.h"

/* Connections over the limit that are still told so; beyond, they are just closed. */
#define HTTP_REFUSED_MAX 16
#define HTTP_BACKLOG	 64
#define HTTP_ACCEPT_TURN 16
#define HTTP_HOST_MAX	 256
#define HTTP_UNIX_MODE	 0660
/* One receive; a request's head fits, and the parser takes bytes as they come. */
#define HTTP_HOLD_MAX HTTP_HEAD_MAX
/* Any byte that the socket does not take stops the reading: one answer at a time. */
#define HTTP_OUT_HIGH 1

static void http_bury(struct loop_task *task)
{
	struct http *http = container_of(task, struct http, burial);
	struct dlist *link;
	while ((link = dlist_pop_head(&http->graves)) != NULL) {
		free(container_of(link, struct http_conn, link));
	}
}

/* Frees what the connection owns; the struct itself stays for the callback we may be
 * in. */
static void http_conn_fini(struct http_conn *conn)
{
	stream_close(&conn->stream);
	timer_close(steal(&conn->deadline));
	timer_close(steal(&conn->turn));
	http_parse_free(steal(&conn->parse));
}

void http_conn_close(struct http_conn *conn)
{
	struct http *http = conn->http;
	if (conn->state == HTTP_CLOSED) {
		return;
	}
	http_conn_move(conn, HTTP_CLOSED);
	http_conn_fini(conn);
	dlist_remove(&conn->link);
	http->n_connections--;
	dlist_push_tail(&http->graves, &conn->link);
	loop_task_add(http->loop, &http->burial);
}

static int http_conn_init(struct http_conn *conn, struct http *http, int fd)
{
	*conn = (struct http_conn){ .http = http, .state = HTTP_READING };
	dlist_init(&conn->link);
	int r = http_parse_new(&conn->parse);
	if (r < 0) {
		return r;
	}
	r = timer_new(http->loop, http_conn_late, conn, &conn->deadline);
	if (r < 0) {
		goto fail;
	}
	r = timer_new(http->loop, http_conn_turn, conn, &conn->turn);
	if (r < 0) {
		goto fail;
	}
	r = stream_open(&conn->stream, &http->group, fd, &http_conn_events);
	if (r < 0) {
		goto fail;
	}
	return 0;
fail:
	timer_close(conn->deadline);
	timer_close(conn->turn);
	http_parse_free(conn->parse);
	return r;
}

static void http_on_accept(void *arg, int fd, const struct sockaddr *peer,
			   socklen_t peer_len)
{
	struct http *http = arg;
	bool over = http->n_connections >= http->options.max_connections;
	bool far_over =
	    http->n_connections >= http->options.max_connections + HTTP_REFUSED_MAX;
	struct http_conn *conn = far_over ? NULL : malloc(sizeof(*conn));
	if (conn == NULL) {
		close(fd);
		return;
	}
	if (http_conn_init(conn, http, fd) < 0) {
		free(conn);
		close(fd);
		return;
	}
	dlist_push_tail(&http->connections, &conn->link);
	http->n_connections++;
	timer_start(conn->deadline, http->options.timeout_ms, 0);
	if (over) {
		http_conn_refuse(conn, 503);
	}
}

/* Reads a port of 0 to 65535 that takes all of S. */
static int port_read(const char *s, uint16_t *out)
{
	unsigned port = 0;
	size_t n = 0;
	for (; s[n] >= '0' && s[n] <= '9' && n < 5; n++) {
		port = port * 10 + (unsigned)(s[n] - '0');
	}
	if (n == 0 || s[n] != '\0' || port > UINT16_MAX) {
		return -EINVAL;
	}
	*out = (uint16_t)port;
	return 0;
}

int http_split_address(const char *listen, char *host, size_t size, uint16_t *port)
{
	require(listen != NULL && host != NULL && size > 1 && port != NULL);
	size_t n = strlen(listen);
	*port = 0;
	if (listen[0] != '/') {
		const char *colon = strrchr(listen, ':');
		if (colon == NULL || port_read(colon + 1, port) < 0) {
			return -EINVAL;
		}
		n = (size_t)(colon - listen);
	}
	if (n >= 2 && listen[0] == '[' && listen[n - 1] == ']') {
		listen++;
		n -= 2;
	} else if (listen[0] != '/' && memchr(listen, ':', n) != NULL) {
		return -EINVAL; /* an IPv6 address without brackets is ambiguous */
	}
	if (n >= size) {
		return -EINVAL;
	}
	memcpy(host, n == 0 ? "*" : listen, n == 0 ? 1 : n);
	host[n == 0 ? 1 : n] = '\0';
	return 0;
}

static int http_listen(struct http *http, const struct http_options *options)
{
	char host[HTTP_HOST_MAX] = "*";
	struct listener_options how = {
		.host = host,
		.backlog = HTTP_BACKLOG,
		.inherited_fd = options->inherited_fd,
		.unix_mode = HTTP_UNIX_MODE,
		.accepts_per_turn = HTTP_ACCEPT_TURN,
	};
	if (options->inherited_fd < 0) {
		if (options->listen == NULL) {
			return -EINVAL;
		}
		int r =
		    http_split_address(options->listen, host, sizeof(host), &how.port);
		if (r < 0) {
			return r;
		}
	}
	return listener_open(http->loop, &how, http_on_accept, http, &http->listener);
}

int http_open(struct loop *loop, const struct http_options *options,
	      const struct http_source *source, struct http **out)
{
	require(loop != NULL && options != NULL && source != NULL && out != NULL);
	require(source->metrics != NULL && source->ready != NULL &&
		source->health != NULL);
	require(options->max_connections > 0 && options->timeout_ms > 0);
	struct http *http = calloc(1, sizeof(*http));
	if (http == NULL) {
		return -ENOMEM;
	}
	http->loop = loop;
	http->source = *source;
	http->options = *options;
	http->options.listen = NULL;
	stream_group_init(&http->group, loop, HTTP_HOLD_MAX, HTTP_OUT_HIGH);
	loop_task_init(&http->burial, http_bury);
	dlist_init(&http->connections);
	dlist_init(&http->graves);
	int r = http_listen(http, options);
	if (r < 0) {
		free(http);
		return r;
	}
	*out = http;
	return 0;
}

void http_configure(struct http *http, unsigned max_connections, uint64_t timeout_ms)
{
	require(http != NULL && max_connections > 0 && timeout_ms > 0);
	http->options.max_connections = max_connections;
	http->options.timeout_ms = timeout_ms;
}

uint16_t http_port(const struct http *http)
{
	return listener_port(http->listener);
}

unsigned http_connections(const struct http *http)
{
	return http->n_connections;
}

void http_close(struct http *http)
{
	if (http == NULL) {
		return;
	}
	listener_close(steal(&http->listener));
	dlist_each (link, tmp, &http->connections) {
		http_conn_close(container_of(link, struct http_conn, link));
	}
	require(http->n_connections == 0);
	loop_task_remove(&http->burial);
	loop_task_remove(&http->group.task);
	http_bury(&http->burial);
	stream_group_fini(&http->group);
	free(http);
}
