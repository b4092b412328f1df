/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <ctype.h>

#include "base/check.h"
#include "wire/sqlstate.h"

Test(wire_sqlstate, codes_are_codes)
{
	for (unsigned i = 0; i < SQLSTATE_COUNT; i++) {
		const char *code = sqlstate_code((enum sqlstate)i);
		cr_assert_eq(strlen(code), 5, "%u", i);
		for (size_t j = 0; j < 5; j++) {
			cr_assert(isdigit(code[j]) || isupper(code[j]), "%s", code);
		}
		cr_assert(strlen(sqlstate_name((enum sqlstate)i)) > 5, "%s", code);
		for (unsigned k = 0; k < i; k++) {
			cr_assert_str_neq(code, sqlstate_code((enum sqlstate)k));
		}
	}
	cr_assert_str_eq(sqlstate_code(SQLSTATE_PROTOCOL_VIOLATION), "08P01");
	cr_assert_str_eq(sqlstate_name(SQLSTATE_PROTOCOL_VIOLATION),
			 "protocol_violation");
}
