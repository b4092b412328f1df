/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

/* 0: the real clock.  One for the process, as the clock itself is. */
static _Atomic uint64_t clock_test_ns;

static uint64_t clock_read(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

uint64_t clock_now_ns(void)
{
	uint64_t fixed = atomic_load_explicit(&clock_test_ns, memory_order_relaxed);
	return fixed ? fixed : clock_read(CLOCK_MONOTONIC);
}

uint64_t clock_wall_us(void)
{
	return clock_read(CLOCK_REALTIME) / 1000U;
}

void clock_set_for_test(uint64_t ns)
{
	atomic_store(&clock_test_ns, ns);
}
