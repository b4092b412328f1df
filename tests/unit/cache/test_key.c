/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <string.h>

#include "cache/entry.h"
#include "cache/key.h"

Test(key, layout)
{
	struct key key;
	key_init(&key, 1024);
	key_begin(&key, UINT64_C(0x0102030405060708), 'E', SPAN_LIT("select 1"));
	key_add(&key, SPAN_LIT("ab"));
	key_add(&key, span_make(NULL, 0));
	cr_assert(key_finish(&key));
	static const char expected[] = "\1\2\3\4\5\6\7\10"
				       "E"
				       "\0\0\0\10select 1"
				       "\0\0\0\2ab"
				       "\0\0\0\0";
	cr_assert_eq(key.bytes.len, sizeof(expected) - 1);
	cr_assert_arr_eq(key.bytes.data, expected, sizeof(expected) - 1);
	cr_assert_eq(KEY_CONTEXT_LEN, 8);
	key_fini(&key);
}

/* Each row differs from every other in the key, though the bytes would run together. */
static const struct {
	uint64_t context;
	uint8_t kind;
	const char *text;
	const char *parts[3];
} keys[] = {
	{ 1, 'Q', "a", { "b", NULL } },	    { 2, 'Q', "a", { "b", NULL } },
	{ 1, 'E', "a", { "b", NULL } },	    { 1, 'Q', "ab", { "", NULL } },
	{ 1, 'Q', "", { "ab", NULL } },	    { 1, 'Q', "a", { NULL } },
	{ 1, 'Q', "a", { "", "b", NULL } }, { 1, 'Q', "a", { "b", "", NULL } },
};

Test(key, different_questions_have_different_keys)
{
	enum {
		N = sizeof(keys) / sizeof(keys[0])
	};
	struct key made[N];
	for (size_t i = 0; i < N; i++) {
		key_init(&made[i], 256);
		key_begin(&made[i], keys[i].context, keys[i].kind,
			  span_str(keys[i].text));
		for (size_t p = 0; keys[i].parts[p] != NULL; p++) {
			key_add(&made[i], span_str(keys[i].parts[p]));
		}
		cr_assert(key_finish(&made[i]));
		for (size_t j = 0; j < i; j++) {
			cr_assert_not(
			    span_eq(buf_span(&made[i].bytes), buf_span(&made[j].bytes)),
			    "%zu and %zu", i, j);
			cr_assert_neq(made[i].hash, made[j].hash);
		}
	}
	for (size_t i = 0; i < N; i++) {
		key_fini(&made[i]);
	}
}

Test(key, over_the_limit_is_refused_and_the_next_one_is_fine)
{
	struct key key;
	key_init(&key, 32);
	key_begin(&key, 1, 'Q', SPAN_LIT("0123456789012345678901234567890123456789"));
	cr_assert_not(key_finish(&key));
	key_begin(&key, 1, 'Q', SPAN_LIT("short"));
	cr_assert(key_finish(&key));
	uint64_t hash = key.hash;
	key_begin(&key, 1, 'Q', SPAN_LIT("short"));
	cr_assert(key_finish(&key));
	cr_assert_eq(key.hash, hash);
	key_fini(&key);
}

Test(entry, holds_key_and_value)
{
	struct entry *e = entry_new(SPAN_LIT("key"), SPAN_LIT("value\0more"), 99);
	cr_assert_not_null(e);
	cr_assert(span_eq(entry_key(e), SPAN_LIT("key")));
	cr_assert(span_eq(entry_value(e), SPAN_LIT("value\0more")));
	cr_assert_eq(e->hash, 99);
	cr_assert_eq(e->rule, -1);
	cr_assert_eq(entry_ref(e), e);
	entry_unref(e);
	cr_assert(span_eq(entry_key(e), SPAN_LIT("key")));
	entry_unref(e);
	entry_unref(NULL);
}

Test(entry, may_be_empty)
{
	struct entry *e = entry_new(span_make(NULL, 0), span_make(NULL, 0), 0);
	cr_assert_not_null(e);
	cr_assert_eq(entry_value(e).n, 0);
	entry_unref(e);
}
