/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

#include "base/check.h"
#include "base/sqlstate.h"

static const struct {
	const char *code;
	const char *condition;
} rows[] = {
/* clang-format off */
#define SQLSTATE(IDENT, code, condition) { SQLSTATE_##IDENT, condition },
#include "tbl/sqlstates.h"
#undef SQLSTATE
	/* clang-format on */
};

Test(base_sqlstate, codes_are_codes)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *code = rows[i].code;
		cr_assert_eq(strlen(code), SQLSTATE_LEN, "%zu", i);
		for (size_t j = 0; j < SQLSTATE_LEN; j++) {
			cr_assert(isdigit(code[j]) || isupper(code[j]), "%s", code);
		}
		cr_assert(strlen(rows[i].condition) > 5, "%s", code);
		for (size_t k = 0; k < i; k++) {
			cr_assert_str_neq(code, rows[k].code);
		}
	}
	cr_assert_str_eq(SQLSTATE_PROTOCOL_VIOLATION, "08P01");
}
