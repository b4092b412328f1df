/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A stream of messages, the first byte of which says in what pieces it comes: whatever
 * the pieces, the same messages must be found. */

#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "wire/frame.h"

#define MAX_LEN 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct walk {
	size_t n;    /* complete messages */
	size_t end;  /* where the last of them ended */
	size_t hash; /* of their types and sizes */
	bool bad;
};

static void walk_messages(struct span in, size_t step, struct walk *walk)
{
	*walk = (struct walk){ 0 };
	size_t arrived = 0;
	while (arrived < in.n && !walk->bad) {
		arrived = in.n - arrived < step ? in.n : arrived + step;
		for (;;) {
			struct frame frame;
			struct span there =
			    span_make(in.p + walk->end, arrived - walk->end);
			enum frame_result result = frame_next(there, MAX_LEN, &frame);
			walk->bad = result == FRAME_BAD;
			if (result != FRAME_OK) {
				break;
			}
			require(frame.size >= FRAME_HEADER &&
				frame.size <= MAX_LEN + 1);
			require(frame_bytes(&frame).p == there.p);
			require(frame_bytes(&frame).n <= there.n);
			require(frame.complete ==
				(frame_bytes(&frame).n == frame.size));
			if (!frame.complete) {
				break;
			}
			walk->n++;
			walk->end += frame.size;
			walk->hash = walk->hash * 31 + frame.type + frame.size;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2) {
		return 0;
	}
	struct walk whole, cut;
	struct span in = span_make(data + 1, size - 1);
	walk_messages(in, in.n, &whole);
	walk_messages(in, 1 + data[0] % 16, &cut);
	require(whole.n == cut.n && whole.end == cut.end);
	require(whole.hash == cut.hash && whole.bad == cut.bad);
	return 0;
}
