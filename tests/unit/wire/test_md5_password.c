/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "wire/md5_password.h"

/* What PostgreSQL keeps for CREATE ROLE tester PASSWORD 'secret'. */
#define SECRET "md5dc7082b4b298d3fd8270766bcb507468"
#define ANSWER "md536b4107baf9501c7af04101729003031" /* with the salt 1 2 3 4 */

Test(wire_md5_password, secret_and_answer)
{
	uint8_t out[MD5_PASSWORD_LEN];
	uint8_t answer[MD5_PASSWORD_LEN];
	cr_assert_eq(md5_password_make(SPAN_LIT("secret"), SPAN_LIT("tester"), out), 0);
	cr_assert(span_eq_str(span_make(out, sizeof(out)), SECRET));
	cr_assert_eq(md5_password_answer(out, (const uint8_t *)"\1\2\3\4", answer), 0);
	cr_assert(span_eq_str(span_make(answer, sizeof(answer)), ANSWER));
	cr_assert_eq(md5_password_answer(out, (const uint8_t *)"\1\2\3\5", out), 0);
	cr_assert(
	    !span_eq(span_make(out, sizeof(out)), span_make(answer, sizeof(answer))));
}

Test(wire_md5_password, empty_parts)
{
	uint8_t out[MD5_PASSWORD_LEN];
	cr_assert_eq(md5_password_make(SPAN_LIT(""), SPAN_LIT(""), out), 0);
	cr_assert(span_eq_str(span_make(out, sizeof(out)),
			      "md5d41d8cd98f00b204e9800998ecf8427e"));
}

Test(wire_md5_password, form)
{
	cr_assert(md5_password_is(SPAN_LIT(SECRET)));
	cr_assert(md5_password_is(SPAN_LIT("md5D41D8CD98F00B204E9800998ECF8427E")));
	cr_assert(!md5_password_is(SPAN_LIT("md5D41D8CD98F00B204E9800998ECF8427")));
	cr_assert(!md5_password_is(SPAN_LIT("md5D41D8CD98F00B204E9800998ECF8427EE")));
	cr_assert(!md5_password_is(SPAN_LIT("md5g41d8cd98f00b204e9800998ecf8427e")));
	cr_assert(!md5_password_is(SPAN_LIT("MD5d41d8cd98f00b204e9800998ecf8427e")));
	cr_assert(!md5_password_is(SPAN_LIT("")));
}
