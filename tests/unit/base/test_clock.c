/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One reading for each event. */

#include <criterion/criterion.h>

#include "base/clock.h"

Test(clock, one_reading_for_an_event)
{
	clock_set_for_test(1000);
	cr_assert_eq(clock_event_ns(), 1000);
	clock_set_for_test(2000);
	cr_assert_eq(clock_event_ns(), 2000, "outside an event it is the clock");
	clock_event_begin();
	cr_assert_eq(clock_event_ns(), 2000);
	clock_set_for_test(3000);
	cr_assert_eq(clock_event_ns(), 2000);
	cr_assert_eq(clock_now_ns(), 3000);
	clock_event_end();
	cr_assert_eq(clock_event_ns(), 3000);
	clock_event_begin();
	cr_assert_eq(clock_event_ns(), 3000, "the next event has a reading of its own");
	clock_event_end();
	clock_set_for_test(0);
}
