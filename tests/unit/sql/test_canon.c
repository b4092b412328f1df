/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <string.h>

#include "base/check.h"
#include "sql/canon.h"

struct canon_case {
	enum canon canon;
	const char *spellings[12]; /* all of the same value */
};

/* clang-format off */
static const struct canon_case same[] = {
	{ CANON_INT, { "7", "'7'", "' 7 '", "'+7'", "007", "E'7'", "$$7$$", "$x$7$x$", "'7\t'" } },
	{ CANON_INT, { "-7", "'-7'", "' -7'", "'-007'" } },
	{ CANON_INT, { "0", "'0'", "'-0'", "'+0'" } },
	{ CANON_INT, { "9223372036854775807", "'9223372036854775807'" } },
	{ CANON_INT, { "-9223372036854775808", "'-9223372036854775808'" } },
	{ CANON_UUID, { "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
			"'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'", "'a0eebc999c0b4ef8bb6d6bb9bd380a11'",
			"'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11'" } },
	{ CANON_BOOL, { "'t'", "'TRUE'", "'tr'", "'y'", "'yes'", "'on'", "'1'", "true", "TRUE", "' t '" } },
	{ CANON_BOOL, { "'f'", "'false'", "'n'", "'no'", "'of'", "'OFF'", "'0'", "false" } },
	{ CANON_TEXT, { "'it''s'", "E'it\\'s'", "E'it''s'", "$$it's$$" } },
	{ CANON_TEXT, { "'a\nb'", "E'a\\nb'" } },
	{ CANON_TEXT, { "''", "E''", "$$$$" } },
	{ CANON_TEXT, { "'a\\b'", "E'a\\\\b'" } },
};

static const struct { enum canon canon; const char *raw; } none[] = {
	{ CANON_INT, "7.0" }, { CANON_INT, "'7.0'" }, { CANON_INT, "1e3" }, { CANON_INT, "''" },
	{ CANON_INT, "'-'" }, { CANON_INT, "0x10" }, { CANON_INT, "1_000" }, { CANON_INT, "'7 8'" },
	{ CANON_INT, "9223372036854775808" }, { CANON_INT, "'-9223372036854775809'" },
	{ CANON_INT, "true" }, { CANON_INT, "B'1'" }, { CANON_INT, "U&'7'" }, { CANON_INT, "'1'\n'2'" },
	{ CANON_UUID, "'a0eebc99'" }, { CANON_UUID, "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1'" },
	{ CANON_UUID, "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111'" }, { CANON_UUID, "'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'" },
	{ CANON_UUID, "' a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'" }, { CANON_UUID, "'a-0eebc999c0b4ef8bb6d6bb9bd380a11'" },
	{ CANON_BOOL, "'o'" }, { CANON_BOOL, "'2'" }, { CANON_BOOL, "1" }, { CANON_BOOL, "''" }, { CANON_BOOL, "'truer'" },
	{ CANON_TEXT, "5" }, { CANON_TEXT, "'a '" }, { CANON_TEXT, "'\xc3\xa9'" }, { CANON_TEXT, "E'\\x41'" }, { CANON_TEXT, "E'\\a'" },
	{ CANON_TEXT, "E'\\u0041'" }, { CANON_TEXT, "E'\\101'" }, { CANON_TEXT, "'a'\n'b'" }, { CANON_TEXT, "N'a'" },
	{ CANON_TEXT, "X'41'" }, { CANON_TEXT, "U&'a'" }, { CANON_TEXT, "" }, { CANON_TEXT, "'" }, { CANON_TEXT, "$" },
	{ CANON_NONE, "'a'" },
};
/* clang-format on */

Test(canon, spellings_of_one_value)
{
	uint64_t seen[ARRAY_LEN(same)];
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		for (size_t k = 0; k < 12 && same[i].spellings[k] != NULL; k++) {
			uint64_t hash = 0;
			const char *raw = same[i].spellings[k];
			cr_expect(canon_hash_const(same[i].canon, span_str(raw), &hash),
				  "%s", raw);
			seen[i] = k == 0 ? hash : seen[i];
			cr_expect_eq(hash, seen[i], "%s", raw);
		}
		for (size_t k = 0; k < i; k++) {
			cr_expect_neq(seen[i], seen[k], "%zu and %zu", i, k);
		}
	}
}

Test(canon, values_without_a_form)
{
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		uint64_t hash;
		cr_expect_not(
		    canon_hash_const(none[i].canon, span_str(none[i].raw), &hash), "%s",
		    none[i].raw);
	}
}

static uint64_t hash_of(enum canon canon, const char *raw)
{
	uint64_t hash = 0;
	cr_assert(canon_hash_const(canon, span_str(raw), &hash), "%s", raw);
	return hash;
}

/* clang-format off */
Test(canon, parameters)
{
	static const struct {
		enum canon canon;
		const char *raw; /* NULL: no canonical form */
		struct span value;
		int format;
		uint32_t oid;
	} cases[] = {
		{ CANON_INT, "7", { (const uint8_t *)"7", sizeof("7") - 1 }, 0, 0 },
		{ CANON_INT, "7", { (const uint8_t *)" 7 ", sizeof(" 7 ") - 1 }, 0, 23 },
		{ CANON_INT, "7", { (const uint8_t *)"\0\0\0\7", sizeof("\0\0\0\7") - 1 }, 1, 23 },
		{ CANON_INT, "7", { (const uint8_t *)"\0\7", sizeof("\0\7") - 1 }, 1, 21 },
		{ CANON_INT, "7", { (const uint8_t *)"\0\0\0\0\0\0\0\7", sizeof("\0\0\0\0\0\0\0\7") - 1 }, 1, 20 },
		{ CANON_INT, "-1", { (const uint8_t *)"\xff\xff", sizeof("\xff\xff") - 1 }, 1, 0 },
		{ CANON_INT, "-1", { (const uint8_t *)"\xff\xff\xff\xff", sizeof("\xff\xff\xff\xff") - 1 }, 1, 0 },
		{ CANON_INT, NULL, { (const uint8_t *)"\0\0\7", sizeof("\0\0\7") - 1 }, 1, 0 },
		{ CANON_INT, NULL, { (const uint8_t *)"\0\7", sizeof("\0\7") - 1 }, 1, 23 },
		{ CANON_INT, NULL, { (const uint8_t *)"7", sizeof("7") - 1 }, 0, 1700 },
		{ CANON_INT, NULL, { (const uint8_t *)"7", sizeof("7") - 1 }, 0, 25 },
		{ CANON_INT, NULL, { (const uint8_t *)"\0\0\0\0\0\0\0\7", sizeof("\0\0\0\0\0\0\0\7") - 1 }, 1, 701 },
		{ CANON_INT, NULL, { (const uint8_t *)"7.5", sizeof("7.5") - 1 }, 0, 0 },
		{ CANON_INT, NULL, { (const uint8_t *)"", sizeof("") - 1 }, 0, 0 },
		{ CANON_UUID, "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", { (const uint8_t *)"A0EEBC999C0B4EF8BB6D6BB9BD380A11", sizeof("A0EEBC999C0B4EF8BB6D6BB9BD380A11") - 1 }, 0, 2950 },
		{ CANON_UUID, "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", { (const uint8_t *)"\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a\x11", sizeof("\xa0\xee\xbc\x99\x9c\x0b\x4e\xf8\xbb\x6d\x6b\xb9\xbd\x38\x0a\x11") - 1 }, 1, 0 },
		{ CANON_UUID, NULL, { (const uint8_t *)"\xa0\xee", sizeof("\xa0\xee") - 1 }, 1, 2950 },
		{ CANON_UUID, NULL, { (const uint8_t *)"a0eebc999c0b4ef8bb6d6bb9bd380a11", sizeof("a0eebc999c0b4ef8bb6d6bb9bd380a11") - 1 }, 0, 25 },
		{ CANON_BOOL, "'t'", { (const uint8_t *)"true", sizeof("true") - 1 }, 0, 16 },
		{ CANON_BOOL, "'t'", { (const uint8_t *)"\1", sizeof("\1") - 1 }, 1, 16 },
		{ CANON_BOOL, NULL, { (const uint8_t *)"\2", sizeof("\2") - 1 }, 1, 16 },
		{ CANON_BOOL, NULL, { (const uint8_t *)"t", sizeof("t") - 1 }, 0, 25 },
		{ CANON_TEXT, "'abc'", { (const uint8_t *)"abc", sizeof("abc") - 1 }, 0, 25 },
		{ CANON_TEXT, "'abc'", { (const uint8_t *)"abc", sizeof("abc") - 1 }, 1, 1043 },
		{ CANON_TEXT, "'abc'", { (const uint8_t *)"abc", sizeof("abc") - 1 }, 1, 0 },
		{ CANON_TEXT, "'abc'", { (const uint8_t *)"abc", sizeof("abc") - 1 }, 0, 705 },
		{ CANON_TEXT, NULL, { (const uint8_t *)"abc", sizeof("abc") - 1 }, 0, 1042 },
		{ CANON_TEXT, NULL, { (const uint8_t *)"abc", sizeof("abc") - 1 }, 0, 19 },
		{ CANON_TEXT, NULL, { (const uint8_t *)"abc ", sizeof("abc ") - 1 }, 0, 25 },
		{ CANON_TEXT, NULL, { (const uint8_t *)"a\xe9", sizeof("a\xe9") - 1 }, 1, 25 },
		{ CANON_TEXT, "''", { (const uint8_t *)"", sizeof("") - 1 }, 0, 25 },
		{ CANON_NONE, NULL, { (const uint8_t *)"a", sizeof("a") - 1 }, 0, 25 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t hash = 0;
		bool known = canon_hash_param(cases[i].canon, cases[i].value, cases[i].format, cases[i].oid, &hash);
		cr_expect_eq(known, cases[i].raw != NULL, "case %zu", i);
		if (known && cases[i].raw != NULL) {
			cr_expect_eq(hash, hash_of(cases[i].canon, cases[i].raw), "case %zu", i);
		}
	}
}

Test(canon, now)
{
	static const char *const yes[] = { "now", "'now'", "NOW", "'Today'", "tomorrow 12:00", "[yesterday,now]",
					   "{now}", "now()", "E'\\x6eow'", "E'n\\157w'", "U&'\\006eow'", "U&'!006eow'",
					   "'no'\n'w'", "e'no'\n'w'", "$$now$$", "1now" };
	static const char *const no[] = { "", "know", "snow", "'nowhere'", "todays", "2020-01-01", "'it''s'", "n", "no",
					  "[0.1,2e-5,3]", "E'it''s'", "'infinity'", "'epoch'", "to", "yesterdays" };
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		cr_expect(canon_may_be_now(span_str(yes[i])), "%s", yes[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(no); i++) {
		cr_expect_not(canon_may_be_now(span_str(no[i])), "%s", no[i]);
	}
}
/* clang-format on */
