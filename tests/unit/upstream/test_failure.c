/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <string.h>

#include "upstream/failure.h"

#define TO "connection to server at \"127.0.0.1\", port 5432 failed: "

static const struct {
	const char *text;
	const char *reason;
	const char *sqlstate;
	const char *message;
	bool is_of_address;
} cases[] = {
	{ TO "FATAL:  28P01: password authentication failed for user \"x\"\n"
	     "LOCATION:  auth_failed, auth.c:338\n",
	  "auth", "28P01", "password authentication failed for user \"x\"", false },
	{ TO "FATAL:  3D000: database \"timeout\" does not exist\nLOCATION:  x\n",
	  "fatal", "3D000", "database \"timeout\" does not exist", false },
	{ TO "FATAL:  57P03: the database system is starting up\n", "fatal", "57P03",
	  "the database system is starting up", true },
	{ TO "FATAL:  53300: sorry, too many clients already\n", "fatal", "53300",
	  "sorry, too many clients already", false },
	{ TO "\xd0\x92\xd0\x90\xd0\x96\xd0\x9d\xd0\x9e:  28000: no\n", "auth", "28000",
	  "no", false },
	{ TO "Connection refused\n\tIs the server running on that host?\n", "refused",
	  "08001", TO "Connection refused", true },
	{ TO "Connection timed out\n", "timeout", "08001", TO "Connection timed out",
	  true },
	{ TO "server does not support SSL, but SSL was required\n", "tls", "08006",
	  TO "server does not support SSL, but SSL was required", false },
	{ TO "expected authentication request from server, but received H\n", "refused",
	  "08006", TO "expected authentication request from server, but received H",
	  true },
	{ TO "received invalid response to SSL negotiation: H\n", "refused", "08006",
	  TO "received invalid response to SSL negotiation: H", true },
	{ TO "fe_sendauth: no password supplied\n", "auth", "28000",
	  "the server asks for a password and none is known: give it in clear text in "
	  "auth_file, or user and password in [databases]",
	  false },
	{ TO "server closed the connection unexpectedly\n\tThis probably means\n",
	  "refused", "08001", TO "server closed the connection unexpectedly", true },
	{ "could not translate host name \"x\" to address\n", "dns", "08001",
	  "could not translate host name \"x\" to address", false },
	{ ":  28P0", "refused", "08001", ":  28P0", true },
	{ ":  28P01:", "refused", "08001", ":  28P01:", true },
	{ ":  28P01: ", "auth", "28P01", "", false },
	{ ":  ", "refused", "08001", ":  ", true },
	{ "", "refused", "08001", "", true },
};

Test(failure, reads_the_words_of_libpq)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct failure failure;
		memset(&failure, 0xff, sizeof(failure));
		failure_read(&failure, cases[i].text);
		cr_expect_str_eq(failure.reason, cases[i].reason, "%s", cases[i].text);
		cr_expect_str_eq(failure.sqlstate, cases[i].sqlstate, "%s",
				 cases[i].text);
		cr_expect_str_eq(failure.message, cases[i].message, "%s",
				 cases[i].text);
		cr_expect_eq(failure_is_of_address(&failure), cases[i].is_of_address,
			     "%s", cases[i].text);
	}
}

Test(failure, cuts_long_words)
{
	char text[2000];
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	struct failure failure;
	failure_read(&failure, text);
	cr_assert_eq(strlen(failure.message), sizeof(failure.message) - 1);
	failure_set(&failure, "timeout", "08001", "%s", text);
	cr_assert_eq(strlen(failure.message), sizeof(failure.message) - 1);
}
