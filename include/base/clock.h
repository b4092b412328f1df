#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The clock, which a test can replace.  Monotonic time is for durations and deadlines,
 * wall time for what people read. */

#include <stdint.h>

/* Nanoseconds since some point before the process began; never goes back.  Where a
 * query passes, see loop_event_ns(). */
uint64_t clock_now_ns(void);
/* Microseconds since 1970-01-01 UTC. */
uint64_t clock_wall_us(void);
/* For tests: from now on clock_now_ns() gives NS, until 0 puts the real clock back. */
void clock_set_for_test(uint64_t ns);

static inline uint64_t clock_now_ms(void)
{
	return clock_now_ns() / 1000000U;
}
