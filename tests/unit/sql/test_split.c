/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <string.h>

#include "sql/split.h"

static const struct {
	const char *text; /* a bar behind each statement but the last */
	int result;
} texts[] = {
	{ "SELECT 1;| SELECT 2", 0 },
	{ ";; SELECT ';';|;; /* ; */ SELECT $$;$$ -- ;\n;| RESET a;", 0 },
	{ "RESET \"a;b\" -- x ;\n ;|SHOW a ;| SELECT E'\\';'  ", 0 },
	{ "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);| SELECT 3", 0 },
	{ "SELECT '\xc3\xa9';| SELECT 2", 0 },
	{ "SELECT 1;| nonsense", SPLIT_E_OTHER },
	{ "SELECT 1", SPLIT_E_OTHER },
	{ "SELECT 1;|", SPLIT_E_OTHER },
	{ "", SPLIT_E_OTHER },
};

Test(split, statements)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char text[256];
		size_t want[8];
		size_t ends[8];
		size_t n_want = 0;
		size_t n = 0;
		for (const char *p = texts[i].text; *p != 0; p++) {
			if (*p == '|') {
				want[n_want++] = n;
			} else {
				text[n++] = *p;
			}
		}
		want[n_want++] = n;
		int r = split_text(span_make(text, n), n_want > 1 ? n_want : 2, ends);
		cr_assert_eq(r, texts[i].result, "%s: %d", texts[i].text, r);
		for (size_t k = 0; r == 0 && k < n_want; k++) {
			cr_expect_eq(ends[k], want[k], "%s: %zu", texts[i].text, k);
		}
	}
	size_t ends[2];
	cr_expect_eq(split_text(SPAN_LIT("SELECT 1;\0 SELECT 2"), 2, ends),
		     SPLIT_E_OTHER);
}
