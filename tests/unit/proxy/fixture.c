/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <criterion/hooks.h>

#include "tests/lib/private_postgres.h"

/* One server for all tests. */
ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
	private_postgres_start();
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
	private_postgres_stop();
}
