/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "wire/base64.h"

struct base64_case {
	struct span bytes;
	const char *text;
};

/* RFC 4648, section 10 */
static const struct base64_case cases[] = {
	{ SPAN_LIT(""), "" },
	{ SPAN_LIT("f"), "Zg==" },
	{ SPAN_LIT("fo"), "Zm8=" },
	{ SPAN_LIT("foo"), "Zm9v" },
	{ SPAN_LIT("foob"), "Zm9vYg==" },
	{ SPAN_LIT("fooba"), "Zm9vYmE=" },
	{ SPAN_LIT("foobar"), "Zm9vYmFy" },
	{ SPAN_LIT("\xfb\xff\xfe\0"), "+//+AA==" },
};

Test(wire_base64, both_ways)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t out[16];
		size_t n = base64_encode(cases[i].bytes, out);
		cr_assert_eq(n, BASE64_LEN(cases[i].bytes.n));
		cr_assert(span_eq_str(span_make(out, n), cases[i].text), "%zu", i);
		struct span text = span_str(cases[i].text);
		cr_assert_eq(base64_decode(text, out, cases[i].bytes.n, &n), 0, "%zu",
			     i);
		cr_assert(span_eq(span_make(out, n), cases[i].bytes), "%zu", i);
		if (cases[i].bytes.n > 0) {
			cr_assert_neq(
			    base64_decode(text, out, cases[i].bytes.n - 1, &n), 0);
		}
	}
}

static const char *const refused[] = {
	"Z",	    "Zg",   "Zg=",    "Zg===",	   "====", "=",	   "Zh==", "Zm9=",
	"Zg==Zg==", "Zm 9", "Zm9v\n", "Zm9v Zm9v", "-_-_", "Z===", "Zm=v", "Zm9\xc3",
};

Test(wire_base64, refused)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		uint8_t out[16];
		size_t n;
		cr_assert_neq(base64_decode(span_str(refused[i]), out, sizeof(out), &n),
			      0, "%s", refused[i]);
	}
}
