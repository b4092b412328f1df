/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "admin/accept.h"
#include "base/check.h"

#define OPEN "application/openmetrics-text"

struct accept_case {
	const char *accept;
	bool openmetrics;
};

static const struct accept_case cases[] = {
	{ "", false },
	{ "*/*", false },
	{ "text/plain", false },
	{ "text/html", false },
	{ OPEN, true },
	{ "Application/OpenMetrics-Text", true },
	{ OPEN "; version=1.0.0", true },
	{ OPEN ";version=0.0.1", false },
	{ OPEN ";version=2.0.0", false },
	{ OPEN ";q=0", false },
	{ OPEN ";q=0.000", false },
	{ OPEN ";q=0.001", true },
	{ OPEN ";q=high", false },
	{ OPEN ";q=-1", false },
	{ OPEN ";q=", false },
	{ OPEN ";q", false },
	{ OPEN ";q=0.5,text/plain;q=0.4", true },
	{ OPEN ";q=0.4 , text/plain ; q=0.5", false },
	{ OPEN ";q=0.5,text/plain;q=0.5", true },
	{ "text/plain," OPEN ";q=0.9", false },
	{ ",,;;,=,", false },
	{ ",," OPEN ",,", true },
	/* Prometheus 2.45 and 3.0 */
	{ OPEN ";version=1.0.0;q=0.75," OPEN ";version=0.0.1;q=0.5,"
	       "text/plain;version=0.0.4;q=0.25,*/*;q=0.1",
	  true },
	{ OPEN
	  ";version=1.0.0;escaping=allow-utf-8;q=0.6," OPEN
	  ";version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
	  "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
	  true },
	{ "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", false },
};

Test(accept, cases)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cr_expect_eq(accept_openmetrics(span_str(cases[i].accept)),
			     cases[i].openmetrics, "%s", cases[i].accept);
	}
}

Test(accept, of_nothing_at_all)
{
	cr_expect_not(accept_openmetrics(span_make(NULL, 0)));
}
