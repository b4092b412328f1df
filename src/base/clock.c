/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

static _Atomic uint64_t clock_test_ns; /* 0: the real clock */

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

static _Thread_local struct {
	bool is_in;
	uint64_t ns; /* 0: not read yet */
} clock_event;

uint64_t clock_event_ns(void)
{
	if (!clock_event.is_in) {
		return clock_now_ns();
	}
	if (clock_event.ns == 0) {
		clock_event.ns = clock_now_ns();
	}
	return clock_event.ns;
}

void clock_event_begin(void)
{
	clock_event.is_in = true;
	clock_event.ns = 0;
}

void clock_event_end(void)
{
	clock_event.is_in = false;
}

uint64_t clock_wall_us(void)
{
	return clock_read(CLOCK_REALTIME) / 1000U;
}

void clock_set_for_test(uint64_t ns)
{
	atomic_store(&clock_test_ns, ns);
}
