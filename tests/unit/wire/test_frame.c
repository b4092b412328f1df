/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "wire/frame.h"

struct frame_case {
	struct span in;
	uint32_t max_len;
	enum frame_result result;
	uint8_t type;
	size_t size;
	size_t body; /* bytes of it that are there */
	bool complete;
};

/* clang-format off */
static const struct frame_case cases[] = {
	{ SPAN_LIT(""),                    100, FRAME_NEED, 0, 0, 0, false },
	{ SPAN_LIT("Q"),                   100, FRAME_NEED, 0, 0, 0, false },
	{ SPAN_LIT("Q\0\0\0"),             100, FRAME_NEED, 0, 0, 0, false },
	{ SPAN_LIT("S\0\0\0\4"),           100, FRAME_OK, 'S', 5, 0, true },
	{ SPAN_LIT("S\0\0\0\4S\0\0\0\4"),  100, FRAME_OK, 'S', 5, 0, true },
	{ SPAN_LIT("Q\0\0\0\6a"),          100, FRAME_OK, 'Q', 7, 1, false },
	{ SPAN_LIT("Q\0\0\0\6a\0"),        100, FRAME_OK, 'Q', 7, 2, true },
	{ SPAN_LIT("Q\0\0\0\6a\0Z"),       100, FRAME_OK, 'Q', 7, 2, true },
	{ SPAN_LIT("Q\0\0\0\0"),           100, FRAME_BAD, 0, 0, 0, false },
	{ SPAN_LIT("Q\0\0\0\3"),           100, FRAME_BAD, 0, 0, 0, false },
	{ SPAN_LIT("Q\0\0\0\x64"),         100, FRAME_OK, 'Q', 101, 0, false },
	{ SPAN_LIT("Q\0\0\0\x65"),         100, FRAME_BAD, 0, 0, 0, false },
	{ SPAN_LIT("Q\xff\xff\xff\xff"),   100, FRAME_BAD, 0, 0, 0, false },
	{ SPAN_LIT("d\x7f\xff\xff\xff" "x"), INT32_MAX, FRAME_OK, 'd', 0x80000000U, 1, false },
};
/* clang-format on */

Test(wire_frame, cases)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct frame_case *c = &cases[i];
		struct frame frame = { .type = 'x' };
		cr_assert_eq(frame_next(c->in, c->max_len, &frame), c->result, "%zu",
			     i);
		if (c->result != FRAME_OK) {
			cr_assert_eq(frame.type, 'x', "%zu: written", i);
			continue;
		}
		cr_assert_eq(frame.type, c->type, "%zu", i);
		cr_assert_eq(frame.size, c->size, "%zu: %zu", i, frame.size);
		cr_assert_eq(frame.body.n, c->body, "%zu", i);
		cr_assert_eq(frame.complete, c->complete, "%zu", i);
		cr_assert_eq(frame_bytes(&frame).p, c->in.p, "%zu", i);
		cr_assert_eq(frame_bytes(&frame).n, c->body + 5, "%zu", i);
	}
}

/* T-51: a batch cut anywhere is the same batch */
Test(wire_frame, every_split_point)
{
	const struct span batch = SPAN_LIT("P\0\0\0\x0cs\0sel\0\0\0"
					   "B\0\0\0\x0c\0s\0\0\0\0\0\0"
					   "E\0\0\0\x9\0\0\0\0\0"
					   "S\0\0\0\4");
	for (size_t cut = 0; cut <= batch.n; cut++) {
		char types[8] = { 0 };
		size_t n = 0;
		size_t at = 0;
		const size_t arrived[] = { cut, batch.n };
		for (size_t i = 0; i < ARRAY_LEN(arrived); i++) {
			struct frame frame;
			struct span there = span_make(batch.p + at, arrived[i] - at);
			while (frame_next(there, 100, &frame) == FRAME_OK &&
			       frame.complete) {
				types[n++] = (char)frame.type;
				at += frame.size;
				there = span_skip(there, frame.size);
			}
		}
		cr_assert_str_eq(types, "PBES", "cut at %zu", cut);
		cr_assert_eq(at, batch.n, "cut at %zu", cut);
	}
}

struct startup_frame_case {
	struct span in;
	enum frame_result result;
	size_t packet;
};

/* clang-format off */
static const struct startup_frame_case startup_cases[] = {
	{ SPAN_LIT(""),                           FRAME_NEED, 0 },
	{ SPAN_LIT("\0\0\0"),                     FRAME_NEED, 0 },
	{ SPAN_LIT("\0\0\0\0"),                   FRAME_BAD, 0 },
	{ SPAN_LIT("\0\0\0\7"),                   FRAME_BAD, 0 },
	{ SPAN_LIT("\0\0\0\x8"),                  FRAME_NEED, 0 },
	{ SPAN_LIT("\0\0\0\x8\x4\xd2\x16"),       FRAME_NEED, 0 },
	{ SPAN_LIT("\0\0\0\x8\x4\xd2\x16\x2f"),   FRAME_OK, 4 },
	{ SPAN_LIT("\0\0\0\x8\x4\xd2\x16\x2fQQ"), FRAME_OK, 4 },
	{ SPAN_LIT("\0\0\x27\x10"),               FRAME_NEED, 0 },
	{ SPAN_LIT("\0\0\x27\x11"),               FRAME_BAD, 0 },
	{ SPAN_LIT("\x80\0\0\x8"),                FRAME_BAD, 0 },
	{ SPAN_LIT("GET / HTTP/1.1\r\n"),         FRAME_BAD, 0 },
};
/* clang-format on */

/* T-04: refused before anything is allocated for it */
Test(wire_frame, startup)
{
	for (size_t i = 0; i < ARRAY_LEN(startup_cases); i++) {
		const struct startup_frame_case *c = &startup_cases[i];
		struct span packet = { 0 };
		cr_assert_eq(frame_startup(c->in, &packet), c->result, "%zu", i);
		cr_assert_eq(packet.n, c->packet, "%zu", i);
	}
}

Test(wire_frame, tls)
{
	cr_assert(frame_is_tls(SPAN_LIT("\x16\x03\x01")));
	cr_assert_not(frame_is_tls(SPAN_LIT("\0\0\0\x8")));
	cr_assert_not(frame_is_tls(SPAN_LIT("")));
}
