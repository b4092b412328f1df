#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The HTTP endpoint for scrapers, load balancers and people: HTTP/1.1 on one loop, the
 * routes of tbl/http_routes.h, no bodies, no state.  A stranger can cost it at most
 * max_connections sockets, one page and some kilobytes each, one page per connection
 * and turn of the loop, for at most timeout_ms per request. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"

struct http;
struct loop;

#define HTTP_PAGE_MAX ((size_t)16 << 20) /* bytes; a longer page is answered by 500 */

/* What the pages show; called on the loop's thread, while answering. */
struct http_source {
	void *arg;
	/* Appends the metrics page: Prometheus text 0.0.4, or OpenMetrics 1.0. */
	void (*metrics)(void *arg, struct buf *page, bool openmetrics);
	/* True when clients can be served; otherwise appends the reasons, a line each.
	 */
	bool (*ready)(void *arg, struct buf *why);
	/* Appends a JSON object; see admin/health.h. */
	void (*health)(void *arg, struct buf *page);
};

struct http_options {
	/* "host:port", "[v6]:port", "*:port", ":port" (the same) or "/path"; NULL when
	 * inherited_fd is given */
	const char *listen;
	int inherited_fd;	  /* a listening socket from systemd, or -1 */
	unsigned max_connections; /* 1 or more; over it the answer is 503 */
	uint64_t timeout_ms; /* for a request and its answer, and between requests */
};

/* Begins to listen.  SOURCE is copied.  0; -EINVAL when the address cannot be read, or
 * listener_open()'s errors. */
int http_open(struct loop *loop, const struct http_options *options,
	      const struct http_source *source, struct http **out) MUST_CHECK;
/* New limits, from a reload; connections over a lowered one stay until they end. */
void http_configure(struct http *http, unsigned max_connections, uint64_t timeout_ms);
/* The bound port (for port 0); 0 for a Unix socket. */
uint16_t http_port(const struct http *http);
/* Connections open now. */
unsigned http_connections(const struct http *http);
/* Closes every connection and frees.  Not from inside a source's function.  NULL is
 * fine. */
void http_close(struct http *http);

/* Splits a listen address; HOST holds SIZE bytes.  0, or -EINVAL. */
int http_split_address(const char *listen, char *host, size_t size,
		       uint16_t *port) MUST_CHECK;
