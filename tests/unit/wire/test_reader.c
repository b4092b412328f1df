/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "wire/reader.h"

Test(wire_reader, reads_in_order)
{
	struct reader r = reader_make(SPAN_LIT("\1\2\3\4\5\6\7\xff\xff\xff\xfe"
					       "ab\0\0"
					       "xyz"));
	cr_assert_eq(reader_u8(&r), 1);
	cr_assert_eq(reader_u16(&r), 0x0203);
	cr_assert_eq(reader_u32(&r), 0x04050607U);
	cr_assert_eq(reader_i32(&r), -2);
	cr_assert(span_eq_str(reader_cstr(&r), "ab"));
	struct span empty = reader_cstr(&r);
	cr_assert(empty.n == 0 && empty.p != NULL);
	cr_assert(span_eq_str(reader_bytes(&r, 1), "x"));
	cr_assert(reader_ok(&r) && !reader_at_end(&r));
	cr_assert(span_eq_str(reader_rest(&r), "yz"));
	cr_assert(reader_at_end(&r));
	cr_assert_eq(reader_rest(&r).n, 0);
	cr_assert(reader_at_end(&r));
}

/* Whatever is read short, everything after it is zero and the failure stays. */
Test(wire_reader, short_read_latches)
{
	for (int kind = 0; kind < 5; kind++) {
		struct reader r = reader_make(SPAN_LIT("a"));
		(void)(kind == 0 ? reader_u16(&r) : 0);
		(void)(kind == 1 ? reader_u32(&r) : 0);
		(void)(kind == 2 ? reader_cstr(&r).n : 0);
		(void)(kind == 3 ? reader_bytes(&r, 2).n : 0);
		(void)(kind == 4 ? reader_bytes(&r, SIZE_MAX).n : 0);
		cr_assert_not(reader_ok(&r), "%d", kind);
		cr_assert_eq(reader_u8(&r), 0, "%d", kind);
		cr_assert_eq(reader_rest(&r).n, 0, "%d", kind);
		cr_assert_not(reader_at_end(&r), "%d", kind);
	}
}

Test(wire_reader, nothing)
{
	struct reader r = reader_make(span_make(NULL, 0));
	cr_assert(reader_at_end(&r));
	cr_assert_eq(reader_bytes(&r, 0).n, 0);
	cr_assert(reader_ok(&r));
	cr_assert_eq(reader_cstr(&r).n, 0);
	cr_assert_not(reader_ok(&r));
}
