#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A span is a run of bytes that somebody else owns.  It may hold anything, zero bytes
 * included; it has no terminator.  A span with n == 0 may have p == NULL. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct span {
	const uint8_t *p;
	size_t n; /* bytes */
};

#define SPAN_LIT(s) ((struct span){ (const uint8_t *)(s), sizeof(s) - 1 })

static inline struct span span_make(const void *p, size_t n)
{
	return (struct span){ (const uint8_t *)p, n };
}

/* The bytes of a C string, without its zero. */
static inline struct span span_str(const char *s)
{
	return span_make(s, strlen(s));
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII letters compare equal in either case. */
static inline bool span_ieq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp((const char *)a.p,
						      (const char *)b.p, a.n) == 0);
}

static inline bool span_eq_str(struct span a, const char *s)
{
	return span_eq(a, span_str(s));
}

/* The span after its first N bytes; N may not be more than it has. */
static inline struct span span_skip(struct span s, size_t n)
{
	return n == 0 ? s : span_make(s.p + n, s.n - n);
}
