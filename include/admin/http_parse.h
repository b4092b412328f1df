#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One HTTP/1 request head, fed in pieces of any size.  The only file that knows llhttp.
 * Bodies are not read: a request is complete at the empty line, and its owner answers
 * and, when a body was announced, closes.  Memory is fixed: what is kept of a request
 * has a place in struct http_request, the rest is counted and dropped. */

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/span.h"

#define HTTP_HEAD_MAX	8192 /* bytes of request line and headers */
#define HTTP_TARGET_MAX 1024 /* bytes of the request's target */
#define HTTP_ACCEPT_MAX 1024 /* bytes of all Accept headers; longer counts as none */
#define HTTP_EXPECT_MAX 32

enum http_verdict {
	HTTP_PARSE_MORE,     /* all was taken, the request is not complete */
	HTTP_PARSE_COMPLETE, /* http_parse_request() gives it */
	HTTP_PARSE_BAD,	     /* http_parse_status() says which refusal it earns */
};

enum http_verb {
	HTTP_VERB_OTHER,
	HTTP_VERB_GET,
	HTTP_VERB_HEAD,
};

enum http_body {
	HTTP_BODY_NONE,
	HTTP_BODY_SIZED, /* a Content-Length above zero */
	HTTP_BODY_CODED, /* a Transfer-Encoding */
};

struct http_request {
	enum http_verb verb;
	enum http_body body;
	bool keep_alive;     /* the client wants another request on the connection */
	bool expect_unknown; /* an Expect that is not 100-continue */
	unsigned n_hosts;    /* Host headers seen */
	size_t target_len;   /* bytes, at most HTTP_TARGET_MAX */
	size_t accept_len;   /* bytes, at most HTTP_ACCEPT_MAX */
	char target[HTTP_TARGET_MAX];
	char accept[HTTP_ACCEPT_MAX]; /* all Accept headers, joined by commas */
};

struct http_parse;

/* -ENOMEM without memory. */
int http_parse_new(struct http_parse **out) MUST_CHECK;
/* NULL is fine. */
void http_parse_free(struct http_parse *parse);
/* Forgets the request; the next byte begins another one. */
void http_parse_reset(struct http_parse *parse);

/* Takes bytes of IN; *USED says how many.  After COMPLETE or BAD call
 * http_parse_reset() before the next bytes. */
enum http_verdict http_parse_feed(struct http_parse *parse, struct span in,
				  size_t *used);
/* True when a part of a request has been taken. */
bool http_parse_begun(const struct http_parse *parse);
/* The request, after COMPLETE; the parser owns it until the reset. */
const struct http_request *http_parse_request(const struct http_parse *parse);
/* The status to refuse with, after BAD: 400, 414, 431 or 505. */
int http_parse_status(const struct http_parse *parse);

/* The path of a request's target: without scheme and authority, query and fragment.
 * Empty when there is none ("*", "host:port"). */
struct span http_target_path(struct span target);
