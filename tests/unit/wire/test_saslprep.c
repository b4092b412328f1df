/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdlib.h>

#include "wire/saslprep.h"
#include "wire/scram.h"

/* What libpq's pg_saslprep() gives; NULL: it refuses, so that the bytes count.  The
 * first rows are those of PostgreSQL's own test of it, and of RFC 4013. */
static const struct {
	const char *password;
	const char *prepared;
} cases[] = {
	{ "I\xc2\xadX", "IX" }, /* soft hyphen goes */
	{ "user", "user" },
	{ "USER", "USER" },		      /* case stays */
	{ "\xc2\xaa", "a" },		      /* feminine ordinal */
	{ "\xe2\x85\xa8", "IX" },	      /* Roman numeral nine */
	{ "\x07", "\x07" },		      /* ASCII is not looked at */
	{ "\xd8\xa7\x31", NULL },	      /* right-to-left, and does not end so */
	{ "a\xc2\xa0z", "a z" },	      /* no-break space */
	{ "a\xe2\x80\x8bz", "a z" },	      /* zero width space is a space first */
	{ "a\xe3\x80\x80z", "a z" },	      /* ideographic space */
	{ "a\xe2\x80\x8dz", "az" },	      /* zero width joiner */
	{ "\xc2\xad", NULL },		      /* nothing left */
	{ "u\xcc\x88", "\xc3\xbc" },	      /* u, two dots */
	{ "\xef\xbc\xb0\xef\xbc\xa7", "PG" }, /* full width */
	{ "\xef\xb7\xba", "\xd8\xb5\xd9\x84\xd9\x89 \xd8\xa7\xd9\x84\xd9\x84\xd9\x87 "
			  "\xd8\xb9\xd9\x84\xd9\x8a\xd9\x87 \xd9\x88\xd8\xb3\xd9\x84"
			  "\xd9\x85" }, /* one becomes eighteen */
	{ "\xd7\x90\xd7\x91", "\xd7\x90\xd7\x91" },
	{ "\xd7\x90x\xd7\x91", NULL }, /* both directions */
	{ "a\xc2\x85z", NULL },	       /* control character */
	{ "\xc2\xaa\x7f", NULL },      /* ASCII's too, when it is looked at */
	{ "a\xcd\x80z", NULL },	       /* prohibited, normalised it were not */
	{ "\xee\x80\x80", NULL },      /* private use */
	{ "\xc8\xa1", NULL },	       /* unassigned in Unicode 3.2 */
	{ "\xf0\x9f\x98\x80", NULL },  /* so is a smiley */
	{ "caf\xc3\xa9", "caf\xc3\xa9" },
	{ "caf\xe9", NULL },	      /* Latin-1 */
	{ "\xc0\xaf\xc2\xaa", NULL }, /* overlong */
	{ "\xed\xa0\x80", NULL },     /* surrogate */
	{ "\xf4\x90\x80\x80", NULL }, /* beyond U+10FFFF */
	{ "\xc2\xaa\xe2\x85", NULL }, /* cut short */
};

static const uint8_t key[SCRAM_KEY_LEN] = { 1 };

static void check(struct span password, struct span wanted)
{
	struct span got;
	void *owned;
	cr_assert_eq(saslprep(password, &got, &owned), 0);
	cr_assert(span_eq(got, wanted), "%.*s", (int)password.n,
		  (const char *)password.p);
	cr_assert(owned == NULL ? got.p == password.p : got.p == owned);
	free(owned);
}

Test(wire_saslprep, as_libpq)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *wanted = cases[i].prepared;
		check(span_str(cases[i].password),
		      span_str(wanted != NULL ? wanted : cases[i].password));
	}
	check(span_make(NULL, 0), span_make(NULL, 0));
	check(SPAN_LIT("\xc2\xaa\0"), SPAN_LIT("\xc2\xaa\0"));
}

Test(wire_saslprep, long_ones_are_their_bytes)
{
	static uint8_t in[SASLPREP_MAX + 2];
	static uint8_t out[SASLPREP_MAX / 2 + 1];
	for (size_t i = 0; i < sizeof(in); i += 2) {
		in[i] = 0xc2;
		in[i + 1] = 0xaa;
	}
	memset(out, 'a', sizeof(out));
	check(span_make(in, SASLPREP_MAX), span_make(out, SASLPREP_MAX / 2));
	check(span_make(in, sizeof(in)), span_make(in, sizeof(in)));
}

/* Marks in the worst order for the sort by their class; all take the same time. */
Test(wire_saslprep, long_ones_take_no_long_time, .timeout = 20)
{
	static uint8_t in[SASLPREP_MAX];
	struct span got;
	for (size_t i = 0; i < sizeof(in); i += 2) {
		bool above = i < sizeof(in) / 2; /* class 230, else 220 */
		in[i] = 0xcc;
		in[i + 1] = above ? 0x87 : 0xa3;
	}
	for (int i = 0; i < 10; i++) {
		void *owned;
		cr_assert_eq(saslprep(span_make(in, sizeof(in)), &got, &owned), 0);
		cr_assert(owned != NULL && got.n == sizeof(in) && got.p[1] == 0xa3);
		free(owned);
	}
}

Test(wire_saslprep, secrets_are_of_prepared_passwords)
{
	struct scram_secret secret;
	cr_assert_eq(scram_secret_derive(SPAN_LIT("\xe2\x85\xa8"), SPAN_LIT("u"), key,
					 1, &secret),
		     0);
	cr_assert(scram_secret_matches(&secret, SPAN_LIT("IX")));
	cr_assert(scram_secret_matches(&secret, SPAN_LIT("I\xc2\xadX")));
	cr_assert_not(scram_secret_matches(&secret, SPAN_LIT("ix")));
	cr_assert_eq(
	    scram_secret_derive(SPAN_LIT("caf\xe9"), SPAN_LIT("u"), key, 1, &secret),
	    0);
	cr_assert(scram_secret_matches(&secret, SPAN_LIT("caf\xe9")));
}
