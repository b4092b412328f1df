/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/buf.h"
#include "wire/userlist.h"

#define MD5 "md50123456789abcdefABCDEF0123456789"
#define SCRAM                                           \
	"SCRAM-SHA-256$4096:lJTFSrTmIboFFdUvezEatA==$"  \
	"BCJx1YnTXvtJ2+qOtCk1fFOTLe+zZHbvc2hfUQYjaLk=:" \
	"LAKJGjMHvxQL8prixtVKvyJ59/bzvsD6WSq6wJRhy8Y="

struct good_case {
	struct span in;
	size_t count;
	const char *name; /* one that must be there */
	const char *secret;
	enum userlist_kind kind;
};

/* clang-format off */
static const struct good_case good[] = {
	{ SPAN_LIT("\"a\" \"b\""), 1, "a", "b", USERLIST_PLAIN },
	{ SPAN_LIT("\"a\" \"b\"\n"), 1, "a", "b", USERLIST_PLAIN },
	{ SPAN_LIT("\"a\" \"b\"\r\n\"c\" \"d\"\r\n"), 2, "c", "d", USERLIST_PLAIN },
	{ SPAN_LIT("\n\n; \"x\" \"y\"\n  ; z\n\t\"a\"\t\"b\" and more \" text\n"), 1, "a", "b", USERLIST_PLAIN },
	{ SPAN_LIT("\"a\"\"b\" \"c\"\"\"\"d\""), 1, "a\"b", "c\"\"d", USERLIST_PLAIN },
	{ SPAN_LIT("\"a\" \"\""), 1, "a", "", USERLIST_PLAIN },
	{ SPAN_LIT("\"a b\" \" c;\""), 1, "a b", " c;", USERLIST_PLAIN },
	{ SPAN_LIT("\"a\" \"1\"\n\"b\" \"2\"\n\"a\" \"3\""), 2, "a", "3", USERLIST_PLAIN },
	{ SPAN_LIT("\"a\" \"" MD5 "\""), 1, "a", MD5, USERLIST_MD5 },
	{ SPAN_LIT("\"a\" \"" MD5 "0\""), 1, "a", MD5 "0", USERLIST_PLAIN },
	{ SPAN_LIT("\"a\" \"md5zz23456789abcdefABCDEF0123456789\""), 1, "a", "md5zz23456789abcdefABCDEF0123456789", USERLIST_PLAIN },
	{ SPAN_LIT("\"a\" \"" SCRAM "\""), 1, "a", SCRAM, USERLIST_SCRAM },
	{ SPAN_LIT("\"a\" \"SCRAM-SHA-256\""), 1, "a", "SCRAM-SHA-256", USERLIST_PLAIN },
};
/* clang-format on */

Test(wire_userlist, good)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		const struct good_case *c = &good[i];
		struct userlist *list;
		struct userlist_error error;
		int e = userlist_new(c->in, &list, &error);
		cr_assert_eq(e, 0, "%zu: %zu %s", i, error.line, error.text);
		cr_assert_eq(userlist_count(list), c->count, "%zu", i);
		const struct userlist_entry *entry =
		    userlist_find(list, span_str(c->name));
		cr_assert_not_null(entry, "%zu", i);
		cr_assert(span_eq_str(entry->secret, c->secret), "%zu", i);
		cr_assert_eq(entry->kind, c->kind, "%zu", i);
		if (c->kind == USERLIST_SCRAM) {
			cr_assert_eq(entry->scram.iterations, 4096);
		}
		userlist_free(list);
	}
}

struct bad_case {
	struct span in;
	size_t line;
	const char *text; /* a part of what is said */
};

/* clang-format off */
static const struct bad_case bad[] = {
	{ SPAN_LIT("a b"), 1, "quote" },
	{ SPAN_LIT("\"a\" \"b\"\n\n\"c\""), 3, "quote" },
	{ SPAN_LIT("\"a\" b"), 1, "quote" },
	{ SPAN_LIT("\"a\"\"b\""), 1, "quote" },
	{ SPAN_LIT("\"a\n\" \"b\""), 1, "closing" },
	{ SPAN_LIT("\"a\" \"b\n"), 1, "closing" },
	{ SPAN_LIT("\"a\0\" \"b\""), 1, "closing" },
	{ SPAN_LIT("\"\" \"b\""), 1, "empty" },
	{ SPAN_LIT(";\n\"a\" \"SCRAM-SHA-256$4096:x\""), 2, "SCRAM" },
	{ SPAN_LIT("\"1234567890123456789012345678901234567890123456789012345678901234\" \"\""), 1, "long" },
};
/* clang-format on */

Test(wire_userlist, bad)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct userlist *list;
		struct userlist_error error;
		cr_assert_eq(userlist_new(bad[i].in, &list, &error), USERLIST_E_SYNTAX,
			     "%zu", i);
		cr_assert_null(list, "%zu", i);
		cr_assert_eq(error.line, bad[i].line, "%zu: %zu", i, error.line);
		cr_assert_not_null(strstr(error.text, bad[i].text), "%zu: %s", i,
				   error.text);
	}
}

Test(wire_userlist, empty)
{
	struct userlist *list;
	struct userlist_error error;
	cr_assert_eq(userlist_new(span_make(NULL, 0), &list, &error), 0);
	cr_assert_eq(userlist_count(list), 0);
	cr_assert_null(userlist_find(list, SPAN_LIT("a")));
	userlist_free(list);
	userlist_free(NULL);
}

/* Prefixes of each other are different names, and all are found among many. */
Test(wire_userlist, many)
{
	struct buf text;
	buf_init(&text, 1 << 20);
	for (unsigned i = 0; i < 2000; i++) {
		buf_printf(&text, "\"u%u\" \"s%u\"\n", i * 7919 % 2000,
			   i * 7919 % 2000);
	}
	struct userlist *list;
	struct userlist_error error;
	cr_assert_eq(userlist_new(buf_span(&text), &list, &error), 0);
	buf_fini(&text);
	cr_assert_eq(userlist_count(list), 2000);
	for (unsigned i = 0; i < 2000; i++) {
		char name[16], secret[16];
		snprintf(name, sizeof(name), "u%u", i);
		snprintf(secret, sizeof(secret), "s%u", i);
		const struct userlist_entry *entry =
		    userlist_find(list, span_str(name));
		cr_assert(entry != NULL && span_eq_str(entry->secret, secret), "%s",
			  name);
	}
	cr_assert_null(userlist_find(list, SPAN_LIT("u")));
	cr_assert_null(userlist_find(list, SPAN_LIT("u2000")));
	cr_assert_null(userlist_find(list, SPAN_LIT("")));
	userlist_free(list);
}

/* The longest secret, and one byte more. */
Test(wire_userlist, long_secret)
{
	for (size_t over = 0; over < 2; over++) {
		struct buf text;
		buf_init(&text, 1 << 20);
		buf_append_str(&text, "\"a\" \"");
		for (size_t i = 0; i < USERLIST_MAX_SECRET + over; i++) {
			buf_append_u8(&text, 'x');
		}
		buf_append_str(&text, "\"");
		struct userlist *list;
		struct userlist_error error;
		int e = userlist_new(buf_span(&text), &list, &error);
		cr_assert_eq(e, over == 0 ? 0 : USERLIST_E_SYNTAX);
		userlist_free(list);
		buf_fini(&text);
	}
}
