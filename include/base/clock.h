#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The clock, which a test can replace.  Monotonic time is for durations and deadlines,
 * wall time for what people read. */

#include <stdint.h>

/* Nanoseconds since some point before the process began; never goes back. */
uint64_t clock_now_ns(void);
/* The time at which the event began that this thread is dealing with (the bytes that
 * came on a socket, say), read once for all who ask; outside an event, now.  A reading
 * is a tenth of what a passing query costs us, and it asks for the time six times.  Not
 * to be compared with a clock_now_ns() of the same event, which is later. */
uint64_t clock_event_ns(void);
/* For who deals with events: one begins, or ends, on this thread.  They do not nest. */
void clock_event_begin(void);
void clock_event_end(void);
/* Microseconds since 1970-01-01 UTC. */
uint64_t clock_wall_us(void);
/* For tests: from now on clock_now_ns() gives NS, until 0 puts the real clock back. */
void clock_set_for_test(uint64_t ns);

static inline uint64_t clock_now_ms(void)
{
	return clock_now_ns() / 1000000U;
}
