/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A connection's bytes, the first of which says how they are cut: whatever the cuts,
 * the same requests must come out. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/accept.h"
#include "admin/http_parse.h"
#include "base/check.h"

#define MAX_REQUESTS 64

struct outcome {
	size_t n;		   /* requests read */
	size_t ends[MAX_REQUESTS]; /* where each ended */
	int status;		   /* of the refusal; 0: none */
	bool openmetrics;	   /* of the last request */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Notes a request; true when the connection would go on. */
static bool note(struct outcome *out, struct http_parse *parse, size_t at)
{
	const struct http_request *request = http_parse_request(parse);
	struct span target = span_make(request->target, request->target_len);
	struct span path = http_target_path(target);
	require(path.n <= HTTP_TARGET_MAX && (path.n == 0 || path.p[0] == '/'));
	out->openmetrics =
	    accept_openmetrics(span_make(request->accept, request->accept_len));
	out->ends[out->n++] = at;
	bool go_on = request->keep_alive && request->body == HTTP_BODY_NONE &&
		     out->n < MAX_REQUESTS;
	http_parse_reset(parse);
	return go_on;
}

static void run(struct span in, size_t step, struct outcome *out)
{
	struct http_parse *parse;
	size_t at = 0;
	memset(out, 0, sizeof(*out));
	if (http_parse_new(&parse) < 0) {
		abort();
	}
	while (at < in.n) {
		size_t len = in.n - at < step ? in.n - at : step;
		uint8_t *piece = malloc(len);
		size_t used;
		memcpy(piece, in.p + at, len);
		enum http_verdict verdict =
		    http_parse_feed(parse, span_make(piece, len), &used);
		free(piece);
		require(used <= len);
		at += used;
		if (verdict == HTTP_PARSE_BAD) {
			out->status = http_parse_status(parse);
			break;
		}
		if (verdict == HTTP_PARSE_COMPLETE && !note(out, parse, at)) {
			break;
		}
		require(verdict == HTTP_PARSE_COMPLETE || used == len);
	}
	http_parse_free(parse);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole;
	struct outcome cut;
	if (size < 1) {
		return 0;
	}
	run(span_make(data + 1, size - 1), size, &whole);
	run(span_make(data + 1, size - 1), 1 + data[0] % 16, &cut);
	/* which of two faults is found first depends on the cuts, that there is one not
	 */
	require(whole.n == cut.n && (whole.status != 0) == (cut.status != 0));
	require(memcmp(whole.ends, cut.ends, sizeof(whole.ends)) == 0);
	require(whole.openmetrics == cut.openmetrics);
	return 0;
}
