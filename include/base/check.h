#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What every file leans on: assertions that stay on, must-check results, ownership
 * that moves where the eye sees it. */

#include <stddef.h>

#define MUST_CHECK	       __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
/* A function for what seldom happens (errors, ends): it is laid out away from the code
 * of each query, and so is what calls it. */
#define SELDOM			   __attribute__((cold))
#define CLEANUP(fn)		   __attribute__((cleanup(fn)))
#define LIKELY(x)		   __builtin_expect(!!(x), 1)
#define UNLIKELY(x)		   __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a)		   (sizeof(a) / sizeof((a)[0]))
#define FLEX_SIZE(type, member, n) (offsetof(type, member) + (n))

/* The object that embeds MEMBER at PTR. */
#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Gives the pointer away: `*out = steal(&local);` leaves NULL behind. */
#define steal(pp)                                 \
	__extension__({                           \
		__typeof__(*(pp)) taken_ = *(pp); \
		*(pp) = NULL;                     \
		taken_;                           \
	})

/* Ends the process with the condition and its place; see require(). */
SELDOM _Noreturn void check_failed(const char *what, const char *file, int line);

/* Always on, in release builds too.  Cheap conditions only: a pointer, a state, an
 * index.  Costly checks use assert(). */
#define require(cond)                                            \
	do {                                                     \
		if (UNLIKELY(!(cond)))                           \
			check_failed(#cond, __FILE__, __LINE__); \
	} while (0)
