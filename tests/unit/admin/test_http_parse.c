/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http_parse.h"

#define HOST "Host: h\r\n"

struct parse_case {
	const char *in;
	enum http_verdict verdict;
	int status; /* when BAD */
	enum http_verb verb;
	enum http_body body;
	bool keep_alive;
	bool expect_unknown;
	const char *path;
	const char *accept;
};

#define MORE HTTP_PARSE_MORE, 0, HTTP_VERB_OTHER, HTTP_BODY_NONE, false, false, "", ""
#define BAD(status) \
	HTTP_PARSE_BAD, status, HTTP_VERB_OTHER, HTTP_BODY_NONE, false, false, "", ""
#define GOOD  HTTP_PARSE_COMPLETE, 0
#define GET   HTTP_VERB_GET
#define HEAD  HTTP_VERB_HEAD
#define OTHER HTTP_VERB_OTHER
#define NONE  HTTP_BODY_NONE
#define SIZED HTTP_BODY_SIZED
#define CODED HTTP_BODY_CODED

/* clang-format off */
static const struct parse_case cases[] = {
	{ "", MORE },
	{ "GET", MORE },
	{ "GET / HTTP/1.1\r\n", MORE },
	{ "GET / HTTP/1.1\r\n" HOST "\r\n", GOOD, GET, NONE, true, false, "/", "" },
	{ "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", GOOD, GET, NONE, true, false, "/", "" },
	{ "HEAD /livez HTTP/1.1\r\n" HOST "\r\n", GOOD, HEAD, NONE, true, false, "/livez", "" },
	{ "POST / HTTP/1.1\r\n" HOST "\r\n", GOOD, OTHER, NONE, true, false, "/", "" },
	{ "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", GOOD, OTHER, NONE, true, false, "", "" },
	{ "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", GOOD, OTHER, NONE, true, false, "", "" },
	{ "GET / HTTP/1.0\r\n\r\n", GOOD, GET, NONE, false, false, "/", "" },
	{ "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", GOOD, GET, NONE, true, false, "/", "" },
	{ "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", GOOD, GET, NONE, false, false, "/", "" },
	{ "GET /metrics?a=/b#c HTTP/1.1\r\n" HOST "\r\n", GOOD, GET, NONE, true, false, "/metrics", "" },
	{ "GET http://h:1/metrics?x HTTP/1.1\r\n" HOST "\r\n", GOOD, GET, NONE, true, false, "/metrics", "" },
	{ "GET http://h HTTP/1.1\r\n" HOST "\r\n", GOOD, GET, NONE, true, false, "/", "" },
	{ "GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", GOOD, GET, NONE, true, false, "/", "" },
	{ "GET / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", GOOD, GET, SIZED, true, false, "/", "" },
	{ "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", GOOD, GET, CODED, true, false, "/", "" },
	{ "GET / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\n\r\n", GOOD, GET, NONE, true, false, "/", "" },
	{ "GET / HTTP/1.1\r\n" HOST "Expect: 200-maybe\r\n\r\n", GOOD, GET, NONE, true, true, "/", "" },
	{ "GET / HTTP/1.1\r\n" HOST "Expect: a-very-long-expectation-that-has-no-end\r\n\r\n", GOOD, GET, NONE, true, true, "/", "" },
	{ "GET / HTTP/1.1\r\n" HOST "aCCept: a/b\r\nAccept:  c/d;q=1\r\n\r\n", GOOD, GET, NONE, true, false, "/", "a/b,c/d;q=1" },
	{ "GET / HTTP/1.1\r\n" HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", GOOD, GET, NONE, true, false, "/", "" },
	{ "GET / HTTP/1.1\r\n" HOST "X-A-Name-Longer-Than-Any-That-Matters-Here: host\r\n\r\n", GOOD, GET, NONE, true, false, "/", "" },
	{ "GET / HTTP/1.1\r\n\r\n", BAD(400) },
	{ "GET / HTTP/1.1\r\n" HOST HOST "\r\n", BAD(400) },
	{ "GET / HTTP/2.0\r\n" HOST "\r\n", BAD(505) },
	{ "GET / HTTP/3.7\r\n", BAD(505) },
	{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD(505) },
	{ "\x16\x03\x01\x02\x01\x01", BAD(400) },
	{ "SELECT 1;\r\n\r\n", BAD(400) },
	{ "GET / HTTP/1.1\r\nHost h\r\n\r\n", BAD(400) },
	{ "GET / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", BAD(400) },
	{ "GET / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", BAD(400) },
	{ "GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", BAD(400) },
	{ "GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", BAD(400) },
};
/* clang-format on */

static void check_request(const struct http_request *request,
			  const struct parse_case *c)
{
	struct span path =
	    http_target_path(span_make(request->target, request->target_len));
	cr_expect_eq(request->verb, c->verb, "%s", c->in);
	cr_expect_eq(request->body, c->body, "%s", c->in);
	cr_expect_eq(request->keep_alive, c->keep_alive, "%s", c->in);
	cr_expect_eq(request->expect_unknown, c->expect_unknown, "%s", c->in);
	cr_expect(span_eq_str(path, c->path), "%s", c->in);
	cr_expect(
	    span_eq_str(span_make(request->accept, request->accept_len), c->accept),
	    "%s: %.*s", c->in, (int)request->accept_len, request->accept);
}

/* Feeds IN in pieces of STEP bytes, each in memory of its own so that the sanitizer
 * sees reads past its end; *USED counts what was taken. */
static enum http_verdict feed(struct http_parse *parse, const char *in, size_t n,
			      size_t step, size_t *used)
{
	*used = 0;
	while (*used < n) {
		size_t len = n - *used < step ? n - *used : step;
		char *piece = malloc(len);
		size_t taken;
		memcpy(piece, in + *used, len);
		enum http_verdict verdict =
		    http_parse_feed(parse, span_make(piece, len), &taken);
		free(piece);
		*used += taken;
		if (verdict != HTTP_PARSE_MORE) {
			return verdict;
		}
		cr_assert_eq(taken, len);
	}
	return HTTP_PARSE_MORE;
}

static void run_case(const struct parse_case *c, size_t step)
{
	struct http_parse *parse;
	size_t used;
	cr_assert_eq(http_parse_new(&parse), 0);
	enum http_verdict verdict = feed(parse, c->in, strlen(c->in), step, &used);
	cr_expect_eq(verdict, c->verdict, "%s: %d", c->in, (int)verdict);
	if (verdict == HTTP_PARSE_BAD) {
		cr_expect_eq(http_parse_status(parse), c->status, "%s: %d", c->in,
			     http_parse_status(parse));
	} else if (verdict == HTTP_PARSE_COMPLETE) {
		check_request(http_parse_request(parse), c);
	}
	http_parse_free(parse);
}

Test(http_parse, cases)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		run_case(&cases[i], strlen(cases[i].in) + 1);
	}
}

Test(http_parse, cases_a_byte_at_a_time)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		run_case(&cases[i], 1);
	}
}

Test(http_parse, takes_one_request_and_leaves_the_next)
{
	static const char one[] = "GET /a HTTP/1.1\r\n" HOST "\r\n";
	static const char two[] =
	    "GET /b HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
	char both[256];
	size_t n =
	    (size_t)snprintf(both, sizeof(both), "%s%s%s", one, two, "GET garbage");
	for (size_t step = 1; step <= n; step++) {
		struct http_parse *parse;
		size_t used;
		cr_assert_eq(http_parse_new(&parse), 0);
		cr_assert_eq(feed(parse, both, n, step, &used), HTTP_PARSE_COMPLETE);
		cr_assert_eq(used, sizeof(one) - 1, "%zu", used);
		cr_assert(http_parse_request(parse)->keep_alive);
		http_parse_reset(parse);
		cr_assert_not(http_parse_begun(parse));
		cr_assert_eq(feed(parse, both + used, n - used, step, &used),
			     HTTP_PARSE_COMPLETE);
		cr_assert_eq(used, sizeof(two) - 1);
		cr_assert_not(http_parse_request(parse)->keep_alive);
		http_parse_free(parse);
	}
}

/* "GET /aaa HTTP/1.1" with a target of N bytes. */
static char *with_target(size_t n)
{
	char *in = malloc(n + 64);
	memcpy(in, "GET /", 5);
	memset(in + 5, 'a', n - 1);
	memcpy(in + 4 + n, " HTTP/1.1\r\n" HOST "\r\n",
	       sizeof(" HTTP/1.1\r\n" HOST "\r\n"));
	return in;
}

Test(http_parse, target_limit)
{
	for (size_t step = 1; step <= 4096; step *= 4) {
		char *in = with_target(HTTP_TARGET_MAX);
		char *path = strndup(in + 4, HTTP_TARGET_MAX);
		struct parse_case fits = { in, GOOD, GET, NONE, true, false, path, "" };
		run_case(&fits, step);
		free(path);
		free(in);
		in = with_target(HTTP_TARGET_MAX + 1);
		struct parse_case over = { in, BAD(414) };
		run_case(&over, step);
		free(in);
	}
}

/* A request whose head is N bytes long. */
static char *with_head(size_t n, const char *name)
{
	static const char end[] = "\r\n\r\n";
	char *in = malloc(n + 1);
	size_t len =
	    (size_t)snprintf(in, n + 1, "GET / HTTP/1.1\r\n" HOST "%s: ", name);
	memset(in + len, 'x', n - len);
	memcpy(in + n - 4, end, sizeof(end));
	return in;
}

Test(http_parse, head_limit)
{
	for (size_t step = 1; step <= 16384; step *= 16) {
		char *in = with_head(HTTP_HEAD_MAX, "X");
		struct parse_case fits = { in, GOOD, GET, NONE, true, false, "/", "" };
		run_case(&fits, step);
		free(in);
		in = with_head(HTTP_HEAD_MAX + 1, "X");
		struct parse_case over = { in, BAD(431) };
		run_case(&over, step);
		free(in);
	}
}

Test(http_parse, accept_over_its_limit_counts_as_none)
{
	char *in = with_head(HTTP_ACCEPT_MAX + 200, "Accept");
	struct parse_case c = { in, GOOD, GET, NONE, true, false, "/", "" };
	run_case(&c, 100);
	free(in);
}

Test(http_parse, endless_empty_lines_end)
{
	struct http_parse *parse;
	enum http_verdict verdict = HTTP_PARSE_MORE;
	size_t total = 0;
	cr_assert_eq(http_parse_new(&parse), 0);
	while (verdict == HTTP_PARSE_MORE) {
		size_t used;
		verdict = http_parse_feed(parse, SPAN_LIT("\r\n"), &used);
		total += used;
		cr_assert_leq(total, HTTP_HEAD_MAX);
	}
	cr_assert_eq(http_parse_status(parse), 431);
	http_parse_free(parse);
}
