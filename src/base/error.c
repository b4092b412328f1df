/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define ERROR_INTERVAL_MS 10000

const char *error_name(int r)
{
	const char *name = strerrorname_np(abs(r));
	return name != NULL ? name : "EUNKNOWN";
}

int error_trace_at(int r, struct error_place *place)
{
	require(r < 0 && place != NULL);
	uint64_t now = clock_now_ms();
	uint64_t next = atomic_load_explicit(&place->next_ms, memory_order_relaxed);
	/* of two threads that fail here at once, one writes */
	if (now >= next && atomic_compare_exchange_strong_explicit(
			       &place->next_ms, &next, now + ERROR_INTERVAL_MS,
			       memory_order_relaxed, memory_order_relaxed)) {
		const char *slash = strrchr(place->file, '/');
		log_error(NULL, "unexpected error %s in %s (%s:%d)", error_name(r),
			  place->function, slash ? slash + 1 : place->file,
			  place->line);
	}
	return r;
}
