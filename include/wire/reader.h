#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A cursor over one message.  After the first short read every read gives zero or an
 * empty span; ask reader_ok() (or reader_at_end()) once, at the end. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "base/span.h"

struct reader {
	const uint8_t *next;
	size_t left; /* bytes not yet read; the only bound that is ever compared */
	bool failed;
};

static inline struct reader reader_make(struct span body)
{
	return (struct reader){ .next = body.p, .left = body.n };
}

/* No read was short. */
static inline bool reader_ok(const struct reader *r)
{
	return !r->failed;
}

/* No read was short and nothing is left over. */
static inline bool reader_at_end(const struct reader *r)
{
	return !r->failed && r->left == 0;
}

static inline void reader_fail(struct reader *r)
{
	r->failed = true;
	r->left = 0;
}

/* The next N bytes, in place; an empty span when there are fewer. */
static inline struct span reader_bytes(struct reader *r, size_t n)
{
	if (UNLIKELY(n > r->left)) {
		reader_fail(r);
		return span_make(NULL, 0);
	}
	struct span s = span_make(r->next, n);
	if (n > 0) {
		r->next += n;
		r->left -= n;
	}
	return s;
}

static inline uint8_t reader_u8(struct reader *r)
{
	struct span s = reader_bytes(r, 1);
	return s.n == 0 ? 0 : s.p[0];
}

static inline uint16_t reader_u16(struct reader *r)
{
	uint16_t v = 0;
	struct span s = reader_bytes(r, sizeof(v));
	if (s.n != 0) {
		memcpy(&v, s.p, sizeof(v));
	}
	return __builtin_bswap16(v);
}

static inline uint32_t reader_u32(struct reader *r)
{
	uint32_t v = 0;
	struct span s = reader_bytes(r, sizeof(v));
	if (s.n != 0) {
		memcpy(&v, s.p, sizeof(v));
	}
	return __builtin_bswap32(v);
}

static inline int32_t reader_i32(struct reader *r)
{
	return (int32_t)reader_u32(r);
}

/* A string up to its zero; the zero is read but not in the span.  The span is empty but
 * not NULL for "", and the byte behind it is always the zero. */
static inline struct span reader_cstr(struct reader *r)
{
	const uint8_t *zero = r->left == 0 ? NULL : memchr(r->next, 0, r->left);
	if (UNLIKELY(zero == NULL)) {
		reader_fail(r);
		return span_make(NULL, 0);
	}
	struct span s = span_make(r->next, (size_t)(zero - r->next));
	r->next += s.n + 1;
	r->left -= s.n + 1;
	return s;
}

/* All that is left. */
static inline struct span reader_rest(struct reader *r)
{
	return reader_bytes(r, r->left);
}
