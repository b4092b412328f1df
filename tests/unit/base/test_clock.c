/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "base/clock.h"

Test(clock, a_test_can_replace_it)
{
	uint64_t real = clock_now_ns();
	clock_set_for_test(1000);
	cr_assert_eq(clock_now_ns(), 1000);
	cr_assert_eq(clock_now_ms(), 0);
	clock_set_for_test(0);
	cr_assert_geq(clock_now_ns(), real);
}
