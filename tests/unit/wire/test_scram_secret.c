/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "wire/scram.h"

/* Made by libpq's PQencryptPasswordConn() */
#define PENCIL                                          \
	"SCRAM-SHA-256$4096:lJTFSrTmIboFFdUvezEatA==$"  \
	"BCJx1YnTXvtJ2+qOtCk1fFOTLe+zZHbvc2hfUQYjaLk=:" \
	"LAKJGjMHvxQL8prixtVKvyJ59/bzvsD6WSq6wJRhy8Y="
#define UMLAUT                                          \
	"SCRAM-SHA-256$4096:eSDeQDbFa221nvl5ejUhzg==$"  \
	"rFGUwQCgRzDJAAWkfC0nc82Ybm2Q4yc7pXe3hLv/sn4=:" \
	"QlbmPnl3tHozKtCoXiLbpMRxXa8wrsu4jTa9FPe5QvA="
#define KEY "BCJx1YnTXvtJ2+qOtCk1fFOTLe+zZHbvc2hfUQYjaLk="

Test(wire_scram_secret, as_libpq_makes_them)
{
	struct scram_secret secret, derived;
	cr_assert_eq(scram_secret_parse(SPAN_LIT(PENCIL), &secret), 0);
	cr_assert_eq(secret.iterations, 4096);
	cr_assert_eq(secret.salt_len, 16);
	cr_assert(scram_secret_matches(&secret, SPAN_LIT("pencil")));
	cr_assert_not(scram_secret_matches(&secret, SPAN_LIT("pencil ")));
	cr_assert_not(scram_secret_matches(&secret, SPAN_LIT("")));
	struct span salt = span_make(secret.salt, secret.salt_len);
	cr_assert_eq(
	    scram_secret_derive_salted(SPAN_LIT("pencil"), salt, 4096, &derived), 0);
	cr_assert_eq(memcmp(&derived, &secret, sizeof(secret)), 0);
	cr_assert_eq(scram_secret_parse(SPAN_LIT(UMLAUT), &secret), 0);
	cr_assert(scram_secret_matches(&secret, SPAN_LIT("p\xc3\xa4ssw\xc3\xb6rd")));
}

Test(wire_scram_secret, written_as_read)
{
	struct scram_secret secret;
	struct buf buf;
	buf_init(&buf, 1000);
	cr_assert_eq(scram_secret_parse(SPAN_LIT(PENCIL), &secret), 0);
	scram_secret_format(&secret, &buf);
	cr_assert(buf_ok(&buf) && span_eq_str(buf_span(&buf), PENCIL));
	buf_fini(&buf);
}

/* clang-format off */
static const char *const refused[] = {
	"", "SCRAM-SHA-256", "SCRAM-SHA-256$", "scram-sha-256$1:AAAA$" KEY ":" KEY,
	"SCRAM-SHA-256$:AAAA$" KEY ":" KEY,
	"SCRAM-SHA-256$0:AAAA$" KEY ":" KEY,
	"SCRAM-SHA-256$-1:AAAA$" KEY ":" KEY,
	"SCRAM-SHA-256$1x:AAAA$" KEY ":" KEY,
	"SCRAM-SHA-256$1000001:AAAA$" KEY ":" KEY,
	"SCRAM-SHA-256$4294967297:AAAA$" KEY ":" KEY,
	"SCRAM-SHA-256$99999999999999999999:AAAA$" KEY ":" KEY,
	"SCRAM-SHA-256$1:$" KEY ":" KEY,
	"SCRAM-SHA-256$1:AAA$" KEY ":" KEY,
	"SCRAM-SHA-256$1:" KEY KEY KEY "$" KEY ":" KEY,
	"SCRAM-SHA-256$1:AAAA$AAAA:" KEY,
	"SCRAM-SHA-256$1:AAAA$" KEY ":AAAA",
	"SCRAM-SHA-256$1:AAAA$" KEY,
	"SCRAM-SHA-256$1:AAAA$" KEY ":" KEY " ",
	"SCRAM-SHA-256$1:AAAA$" KEY ":" KEY "AAAA",
	"SCRAM-SHA-256$1:AAAA:" KEY "$" KEY,
};
/* clang-format on */

Test(wire_scram_secret, refused)
{
	struct scram_secret secret;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		cr_assert_eq(scram_secret_parse(span_str(refused[i]), &secret),
			     SCRAM_E_FORMAT, "%s", refused[i]);
	}
	cr_assert_eq(scram_secret_parse(
			 SPAN_LIT("SCRAM-SHA-256$1000000:AAAA$" KEY ":" KEY), &secret),
		     0);
}

/* A user who is told of again, or has just been made, has the salt of before. */
Test(wire_scram_secret, salts_are_of_the_name)
{
	static const uint8_t key[SCRAM_KEY_LEN] = { 1, 2, 3 };
	struct scram_secret a, b, mock;
	struct span bob = SPAN_LIT("bob");
	cr_assert_eq(scram_secret_derive(SPAN_LIT("x"), bob, key, 1, &a), 0);
	cr_assert_eq(scram_secret_derive(SPAN_LIT("y"), bob, key, 1, &b), 0);
	cr_assert_eq(scram_secret_mock(bob, key, 1, &mock), 0);
	cr_assert_eq(memcmp(a.salt, b.salt, SCRAM_SALT_LEN), 0);
	cr_assert_eq(memcmp(a.salt, mock.salt, SCRAM_SALT_LEN), 0);
	cr_assert(scram_secret_matches(&a, SPAN_LIT("x")));
	cr_assert_not(scram_secret_matches(&b, SPAN_LIT("x")));
	cr_assert_eq(scram_secret_derive(SPAN_LIT("x"), SPAN_LIT("eve"), key, 1, &b),
		     0);
	cr_assert_neq(memcmp(a.salt, b.salt, SCRAM_SALT_LEN), 0);
	cr_assert_eq(scram_secret_derive(span_make(NULL, 0), bob, key, 1, &a), 0);
	cr_assert(scram_secret_matches(&a, SPAN_LIT("")));
}

/* T-15: the same name has the same salt, another name or another process has not */
Test(wire_scram_secret, mock)
{
	static const uint8_t key[SCRAM_KEY_LEN] = { 1, 2, 3 };
	static const uint8_t other_key[SCRAM_KEY_LEN] = { 1, 2, 4 };
	struct scram_secret a, b, c, d;
	cr_assert_eq(scram_secret_mock(SPAN_LIT("bob"), key, 4096, &a), 0);
	cr_assert_eq(scram_secret_mock(SPAN_LIT("bob"), key, 4096, &b), 0);
	cr_assert_eq(scram_secret_mock(SPAN_LIT("eve"), key, 4096, &c), 0);
	cr_assert_eq(scram_secret_mock(SPAN_LIT("bob"), other_key, 4096, &d), 0);
	cr_assert_eq(memcmp(&a, &b, sizeof(a)), 0);
	cr_assert_neq(memcmp(a.salt, c.salt, SCRAM_SALT_LEN), 0);
	cr_assert_neq(memcmp(a.salt, d.salt, SCRAM_SALT_LEN), 0);
	cr_assert(a.mock && a.iterations == 4096 && a.salt_len == SCRAM_SALT_LEN);
}

Test(wire_scram_secret, wiped)
{
	static const struct scram_secret nothing;
	struct scram_secret secret;
	cr_assert_eq(scram_secret_parse(SPAN_LIT(PENCIL), &secret), 0);
	scram_secret_wipe(&secret);
	cr_assert_eq(memcmp(&secret, &nothing, sizeof(secret)), 0);
}
