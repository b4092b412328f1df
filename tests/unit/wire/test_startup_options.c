/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/buf.h"
#include "wire/startup.h"

struct options_case {
	const char *in;
	const char *out; /* name=value; each, a word that is no setting as ?word; */
};

/* clang-format off */
static const struct options_case cases[] = {
	{ "", "" },
	{ "  \t\n ", "" },
	{ "-c a=b", "a=b;" },
	{ "-ca=b", "a=b;" },
	{ "--a=b", "a=b;" },
	{ "--a-b=c", "a_b=c;" },
	{ "-c a-b=c-d", "a_b=c-d;" },
	{ "  -c   a=b\t--c=d\n", "a=b;c=d;" },
	{ "-c search_path=a,\\ b", "search_path=a, b;" },
	{ "-c a=\\\\b", "a=\\b;" },
	{ "-c a=b\\", "a=b;" },
	{ "\\-c a=b", "a=b;" },
	{ "-c a=", "a=;" },
	{ "-c a=b=c", "a=b=c;" },
	{ "-c a=-c", "a=-c;" },
	{ "-c a=b+c%20d", "a=b+c%20d;" },
	{ "-c a.b=c", "a.b=c;" },
	{ "-c a", "?a;" },
	{ "-c", "?-c;" },
	{ "-c =b", "?=b;" },
	{ "--a", "?--a;" },
	{ "--", "?--;" },
	{ "-d 5 -c a=b", "?-d;?5;a=b;" },
	{ "\\", "?;" },
};
/* clang-format on */

static int append_option(void *arg, struct span name, struct span value)
{
	struct buf *out = arg;
	if (name.n == 0) {
		buf_append_str(out, "?");
	} else {
		buf_append_span(out, name);
		buf_append_str(out, "=");
	}
	buf_append_span(out, value);
	buf_append_str(out, ";");
	return 0;
}

/* T-33 */
Test(wire_startup_options, cases)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out;
		buf_init(&out, 1000);
		cr_assert_eq(
		    startup_split_options(span_str(cases[i].in), append_option, &out),
		    0);
		cr_assert(span_eq_str(buf_span(&out), cases[i].out), "%s gave %.*s",
			  cases[i].in, (int)out.len, (const char *)out.data);
		buf_fini(&out);
	}
}

static int stop_at_second(void *arg, struct span name, struct span value)
{
	int *n = arg;
	return ++*n == 2 ? 7 : 0;
}

Test(wire_startup_options, callback_stops)
{
	int n = 0;
	struct span three = SPAN_LIT("-ca=b -cc=d -ce=f");
	cr_assert_eq(startup_split_options(three, stop_at_second, &n), 7);
	cr_assert_eq(n, 2);
}

Test(wire_startup_options, longest)
{
	static uint8_t text[10001];
	int n = 0;
	memset(text, 'x', sizeof(text));
	cr_assert_eq(startup_split_options(span_make(text, 10000), stop_at_second, &n),
		     0);
	cr_assert_eq(n, 1);
	cr_assert_eq(startup_split_options(span_make(text, 10001), stop_at_second, &n),
		     STARTUP_E_MALFORMED);
}
