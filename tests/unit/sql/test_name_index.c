/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "sql/name_index.h"

Test(name_index, an_empty_one_finds_nothing)
{
	struct name_index index = { 0 };
	uint32_t at = 0;
	cr_assert_eq(name_index_next(&index, 1, &at), NAME_INDEX_END);
	name_index_fini(&index);
}

Test(name_index, items_of_one_hash_all_come)
{
	struct name_index index = { 0 };
	enum {
		N = 5000
	};
	/* Seven hashes, of which two differ in the high bits alone. */
	static const uint32_t hashes[] = { 0, 1, 2, 63, 1U << 31, UINT32_MAX, 12345 };
	for (uint32_t i = 0; i < N; i++) {
		cr_assert_eq(name_index_add(&index, hashes[i % 7], i), 0);
	}
	cr_assert_eq(index.n_items, N);
	for (uint32_t h = 0; h < 7; h++) {
		uint32_t n = 0;
		uint32_t item;
		uint32_t at = 0;
		while ((item = name_index_next(&index, hashes[h], &at)) !=
		       NAME_INDEX_END) {
			cr_assert_eq(item % 7, h);
			n++;
		}
		cr_assert_eq(n, N / 7 + (h < N % 7));
	}
	uint32_t at = 0;
	cr_assert_eq(name_index_next(&index, 77, &at), NAME_INDEX_END);
	name_index_fini(&index);
}

Test(name_index, a_name_differs_by_its_space)
{
	cr_assert_eq(name_index_hash(1, SPAN_LIT("a")),
		     name_index_hash(1, SPAN_LIT("a")));
	cr_assert_neq(name_index_hash(1, SPAN_LIT("a")),
		      name_index_hash(2, SPAN_LIT("a")));
	cr_assert_neq(name_index_hash(1, SPAN_LIT("a")),
		      name_index_hash(1, SPAN_LIT("b")));
}
