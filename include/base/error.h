#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Results of functions: 0 is fine; below zero is -errno, unexpected, and is forwarded
 * unchanged; above zero is a condition named in the function's header.  The first
 * function of ours that sees an unexpected error passes it through error_trace(), which
 * says in the log where that was. */

#include <stdatomic.h>
#include <stdint.h>

#include "base/check.h"

/* "ENOMEM" for -ENOMEM or ENOMEM; "EUNKNOWN" for what is not an errno. */
const char *error_name(int r);

/* One place in the source that saw errors; the same place writes a line at most every
 * ten seconds, however often it fails. */
struct error_place {
	const char *file;
	const char *function;
	int line;
	_Atomic uint64_t next_ms; /* clock_now_ms() from which it may write again */
};

/* Logs R (< 0) and its place; returns R. */
int error_trace_at(int r, struct error_place *place);

/* `return error_trace(-errno);`  Zero and positive results pass silently. */
#define error_trace(r)                                                     \
	__extension__({                                                    \
		static struct error_place place_ = { .file = __FILE__,     \
						     .function = __func__, \
						     .line = __LINE__ };   \
		int r_ = (r);                                              \
		UNLIKELY(r_ < 0) ? error_trace_at(r_, &place_) : r_;       \
	})
