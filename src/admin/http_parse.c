/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "admin/http_parse.h"

#include <errno.h>
#include <llhttp.h>
#include <stdlib.h>

#define FIELD_NAME_MAX 32 /* no header that matters has a longer name */

enum field {
	FIELD_OTHER,
	FIELD_ACCEPT,
	FIELD_EXPECT,
	FIELD_HOST,
};

struct http_parse {
	llhttp_t llhttp;
	llhttp_settings_t settings;
	size_t taken;	      /* bytes of this request so far, at most HTTP_HEAD_MAX */
	int status;	      /* to refuse with; 0: nothing found yet */
	bool complete;	      /* the empty line was seen */
	bool accept_too_long; /* its Accept counts as absent */
	enum field field;     /* whose value comes */
	size_t name_len;      /* over FIELD_NAME_MAX: the name was longer than that */
	size_t expect_len;
	char name[FIELD_NAME_MAX];
	char expect[HTTP_EXPECT_MAX];
	struct http_request request;
};

static int on_url(llhttp_t *llhttp, const char *at, size_t n)
{
	struct http_parse *parse = llhttp->data;
	struct http_request *request = &parse->request;
	if (n > sizeof(request->target) - request->target_len) {
		parse->status = 414;
		return HPE_USER;
	}
	memcpy(request->target + request->target_len, at, n);
	request->target_len += n;
	return 0;
}

static int on_field_name(llhttp_t *llhttp, const char *at, size_t n)
{
	struct http_parse *parse = llhttp->data;
	if (parse->name_len > sizeof(parse->name) ||
	    n > sizeof(parse->name) - parse->name_len) {
		parse->name_len = sizeof(parse->name) + 1;
		return 0;
	}
	memcpy(parse->name + parse->name_len, at, n);
	parse->name_len += n;
	return 0;
}

/* Appends to the joined Accept headers; one byte too many and none counts. */
static void accept_append(struct http_parse *parse, const char *at, size_t n)
{
	struct http_request *request = &parse->request;
	if (n > sizeof(request->accept) - request->accept_len) {
		parse->accept_too_long = true;
		return;
	}
	memcpy(request->accept + request->accept_len, at, n);
	request->accept_len += n;
}

static int on_field_name_end(llhttp_t *llhttp)
{
	struct http_parse *parse = llhttp->data;
	parse->field = FIELD_OTHER;
	if (parse->name_len <= sizeof(parse->name)) {
		struct span name = span_make(parse->name, parse->name_len);
		if (span_ieq(name, SPAN_LIT("accept"))) {
			parse->field = FIELD_ACCEPT;
		} else if (span_ieq(name, SPAN_LIT("expect"))) {
			parse->field = FIELD_EXPECT;
		} else if (span_ieq(name, SPAN_LIT("host"))) {
			parse->field = FIELD_HOST;
		}
	}
	parse->name_len = 0;
	if (parse->field == FIELD_ACCEPT && parse->request.accept_len > 0) {
		accept_append(parse, ",", 1);
	} else if (parse->field == FIELD_HOST) {
		parse->request.n_hosts++;
	}
	return 0;
}

static int on_field_value(llhttp_t *llhttp, const char *at, size_t n)
{
	struct http_parse *parse = llhttp->data;
	if (parse->field == FIELD_ACCEPT) {
		accept_append(parse, at, n);
	} else if (parse->field == FIELD_EXPECT) {
		if (n > sizeof(parse->expect) - parse->expect_len) {
			parse->request.expect_unknown = true;
			return 0;
		}
		memcpy(parse->expect + parse->expect_len, at, n);
		parse->expect_len += n;
	}
	return 0;
}

static int on_field_value_end(llhttp_t *llhttp)
{
	struct http_parse *parse = llhttp->data;
	if (parse->field == FIELD_EXPECT) {
		struct span expect = span_make(parse->expect, parse->expect_len);
		if (!span_ieq(expect, SPAN_LIT("100-continue"))) {
			parse->request.expect_unknown = true;
		}
		parse->expect_len = 0;
	}
	return 0;
}

static enum http_verb verb_of(uint8_t method)
{
	if (method == HTTP_GET) {
		return HTTP_VERB_GET;
	}
	return method == HTTP_HEAD ? HTTP_VERB_HEAD : HTTP_VERB_OTHER;
}

/* 1: llhttp is not to look for a body, whatever the headers say. */
static int on_head_end(llhttp_t *llhttp)
{
	struct http_parse *parse = llhttp->data;
	struct http_request *request = &parse->request;
	if (llhttp->http_major != 1) {
		parse->status = 505;
		return -1;
	}
	request->verb = verb_of(llhttp->method);
	/* read now: llhttp forgets its flags at the end of the message */
	request->keep_alive = llhttp_should_keep_alive(llhttp) != 0;
	if (llhttp->flags & (F_CHUNKED | F_TRANSFER_ENCODING)) {
		request->body = HTTP_BODY_CODED;
	} else if (llhttp->content_length > 0) {
		request->body = HTTP_BODY_SIZED;
	}
	/* RFC 9112, 3.2: exactly one in HTTP/1.1, at most one in HTTP/1.0 */
	if (request->n_hosts > 1 || (request->n_hosts == 0 && llhttp->http_minor > 0)) {
		parse->status = 400;
		return -1;
	}
	return 1;
}

static int on_message_end(llhttp_t *llhttp)
{
	struct http_parse *parse = llhttp->data;
	parse->complete = true;
	if (parse->accept_too_long) {
		parse->request.accept_len = 0;
	}
	return HPE_PAUSED;
}

int http_parse_new(struct http_parse **out)
{
	struct http_parse *parse = calloc(1, sizeof(*parse));
	if (parse == NULL) {
		return -ENOMEM;
	}
	llhttp_settings_init(&parse->settings);
	parse->settings.on_url = on_url;
	parse->settings.on_header_field = on_field_name;
	parse->settings.on_header_field_complete = on_field_name_end;
	parse->settings.on_header_value = on_field_value;
	parse->settings.on_header_value_complete = on_field_value_end;
	parse->settings.on_headers_complete = on_head_end;
	parse->settings.on_message_complete = on_message_end;
	http_parse_reset(parse);
	*out = parse;
	return 0;
}

void http_parse_free(struct http_parse *parse)
{
	free(parse);
}

void http_parse_reset(struct http_parse *parse)
{
	require(parse != NULL);
	/* begun anew for each request: nothing of the last one can reach the next */
	llhttp_init(&parse->llhttp, HTTP_REQUEST, &parse->settings);
	parse->llhttp.data = parse;
	parse->taken = 0;
	parse->status = 0;
	parse->complete = false;
	parse->accept_too_long = false;
	parse->field = FIELD_OTHER;
	parse->name_len = 0;
	parse->expect_len = 0;
	parse->request = (struct http_request){ .target_len = 0 };
}

/* Which refusal llhttp's verdict ERR earns. */
static int refusal(const struct http_parse *parse, llhttp_errno_t err)
{
	if (parse->status != 0) {
		return parse->status;
	}
	return err == HPE_INVALID_VERSION || err == HPE_PAUSED_H2_UPGRADE ? 505 : 400;
}

enum http_verdict http_parse_feed(struct http_parse *parse, struct span in,
				  size_t *used)
{
	require(parse != NULL && used != NULL);
	require(!parse->complete && parse->status == 0);
	*used = 0;
	if (in.n == 0) {
		return HTTP_PARSE_MORE;
	}
	size_t room = HTTP_HEAD_MAX - parse->taken;
	size_t n = in.n < room ? in.n : room;
	llhttp_errno_t err = llhttp_execute(&parse->llhttp, (const char *)in.p, n);
	if (parse->complete && err == HPE_PAUSED) {
		/* points at the first byte that was not taken */
		const char *end = llhttp_get_error_pos(&parse->llhttp);
		*used = (size_t)(end - (const char *)in.p);
		require(*used <= n);
		parse->taken += *used;
		return HTTP_PARSE_COMPLETE;
	}
	*used = n;
	parse->taken += n;
	if (err != HPE_OK) {
		parse->status = refusal(parse, err);
		return HTTP_PARSE_BAD;
	}
	if (parse->taken == HTTP_HEAD_MAX) {
		parse->status = 431;
		return HTTP_PARSE_BAD;
	}
	return HTTP_PARSE_MORE;
}

bool http_parse_begun(const struct http_parse *parse)
{
	return parse->taken > 0;
}

const struct http_request *http_parse_request(const struct http_parse *parse)
{
	require(parse->complete);
	return &parse->request;
}

int http_parse_status(const struct http_parse *parse)
{
	require(parse->status != 0);
	return parse->status;
}

struct span http_target_path(struct span target)
{
	const uint8_t *mark = memmem(target.p, target.n, "://", 3);
	if (target.n > 0 && target.p[0] != '/' && mark != NULL) {
		size_t skip = (size_t)(mark + 3 - target.p);
		struct span rest = span_skip(target, skip);
		size_t i = 0;
		while (i < rest.n && rest.p[i] != '/' && rest.p[i] != '?') {
			i++;
		}
		target = span_skip(rest, i);
		/* "http://host" and "http://host?q" mean the root */
		if (target.n == 0 || target.p[0] == '?') {
			return SPAN_LIT("/");
		}
	}
	if (target.n == 0 || target.p[0] != '/') {
		return span_make(NULL, 0);
	}
	size_t n = 0;
	while (n < target.n && target.p[n] != '?' && target.p[n] != '#') {
		n++;
	}
	return span_make(target.p, n);
}
