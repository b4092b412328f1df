/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "wire/messages.h"

Test(wire_backend_messages, error)
{
	struct message_error m;
	cr_assert_eq(
	    message_read_error(SPAN_LIT("SFEHLER\0VERROR\0C42P01\0Mno table\0Dd\0Hh\0"
					"P7\0Ww\0ss\0tt\0nn\0Rr\0Zunknown\0\0"),
			       &m),
	    0);
	cr_assert(span_eq_str(m.severity, "ERROR"));
	cr_assert(span_eq_str(m.sqlstate, "42P01"));
	cr_assert(span_eq_str(m.message, "no table"));
	cr_assert(span_eq_str(m.detail, "d") && span_eq_str(m.hint, "h"));
	cr_assert(span_eq_str(m.position, "7") && span_eq_str(m.where, "w"));
	cr_assert(span_eq_str(m.schema, "s") && span_eq_str(m.table, "t"));
	cr_assert(span_eq_str(m.constraint, "n") && span_eq_str(m.routine, "r"));
}

/* T-20: nothing in it has to be there (CVE-2026-6666) */
Test(wire_backend_messages, error_without_fields)
{
	struct message_error m;
	cr_assert_eq(message_read_error(SPAN_LIT("\0"), &m), 0);
	cr_assert(m.sqlstate.n == 0 && m.message.n == 0 && m.severity.n == 0);
	cr_assert_eq(message_read_error(SPAN_LIT("VERROR\0SFEHLER\0\0"), &m), 0);
	cr_assert(span_eq_str(m.severity, "ERROR"), "in either order");
	cr_assert_eq(message_read_error(SPAN_LIT("SFEHLER\0\0"), &m), 0);
	cr_assert(span_eq_str(m.severity, "FEHLER"));
	const struct span bad[] = { SPAN_LIT(""), SPAN_LIT("S"), SPAN_LIT("SERROR"),
				    SPAN_LIT("SERROR\0"), SPAN_LIT("\0x") };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_assert_neq(message_read_error(bad[i], &m), 0, "%zu", i);
	}
}

Test(wire_backend_messages, parameter_status)
{
	struct message_parameter m;
	cr_assert_eq(message_read_parameter_status(SPAN_LIT("TimeZone\0UTC\0"), &m), 0);
	cr_assert(span_eq_str(m.name, "TimeZone") && span_eq_str(m.value, "UTC"));
	cr_assert_eq(
	    message_read_parameter_status(SPAN_LIT("application_name\0\0"), &m), 0);
	cr_assert_eq(m.value.n, 0);
	cr_assert_neq(message_read_parameter_status(SPAN_LIT("TimeZone\0UTC"), &m), 0);
	cr_assert_neq(message_read_parameter_status(SPAN_LIT("TimeZone\0"), &m), 0);
	cr_assert_neq(message_read_parameter_status(SPAN_LIT("a\0b\0c"), &m), 0);
}

Test(wire_backend_messages, notification)
{
	struct message_notification m;
	cr_assert_eq(message_read_notification(SPAN_LIT("\0\0\1\2jobs\0a b\0"), &m), 0);
	cr_assert_eq(m.pid, 258);
	cr_assert(span_eq_str(m.channel, "jobs") && span_eq_str(m.payload, "a b"));
	cr_assert_eq(message_read_notification(SPAN_LIT("\0\0\0\1x\0\0"), &m), 0);
	cr_assert_eq(m.payload.n, 0);
	const struct span bad[] = { SPAN_LIT(""), SPAN_LIT("\0\0\0\1"),
				    SPAN_LIT("\0\0\0\1x\0"), SPAN_LIT("\0\0\0\1x\0y"),
				    SPAN_LIT("\0\0\0\1x\0y\0z") };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_assert_neq(message_read_notification(bad[i], &m), 0, "%zu", i);
	}
}

Test(wire_backend_messages, ready)
{
	uint8_t status;
	for (const char *s = "ITE"; *s != 0; s++) {
		cr_assert_eq(message_read_ready(span_make(s, 1), &status), 0);
		cr_assert_eq(status, *s);
	}
	cr_assert_neq(message_read_ready(SPAN_LIT("X"), &status), 0);
	cr_assert_neq(message_read_ready(SPAN_LIT(""), &status), 0);
	cr_assert_neq(message_read_ready(SPAN_LIT("II"), &status), 0);
}

struct tag_case {
	const char *tag;
	const char *verb;
	bool has_rows;
	uint64_t rows;
};

/* clang-format off */
static const struct tag_case tags[] = {
	{ "INSERT 0 5", "INSERT", true, 5 },
	{ "SELECT 100", "SELECT", true, 100 },
	{ "UPDATE 0", "UPDATE", true, 0 },
	{ "BEGIN", "BEGIN", false, 0 },
	{ "CREATE TABLE", "CREATE TABLE", false, 0 },
	{ "SELECT 18446744073709551615", "SELECT", true, UINT64_MAX },
	{ "SELECT 18446744073709551616", "SELECT 18446744073709551616", false, 0 },
	{ "", "", false, 0 },
	{ "7", "7", false, 0 },
	{ " 7", "", true, 7 },
	{ "A1", "A1", false, 0 },
};
/* clang-format on */

Test(wire_backend_messages, tags)
{
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		struct message_command m = message_parse_tag(span_str(tags[i].tag));
		cr_assert(span_eq_str(m.verb, tags[i].verb), "%s", tags[i].tag);
		cr_assert_eq(m.has_rows, tags[i].has_rows, "%s", tags[i].tag);
		cr_assert_eq(m.rows, tags[i].rows, "%s", tags[i].tag);
	}
	struct span tag;
	cr_assert_eq(message_read_command_complete(SPAN_LIT("BEGIN\0"), &tag), 0);
	cr_assert(span_eq_str(tag, "BEGIN"));
	cr_assert_neq(message_read_command_complete(SPAN_LIT("BEGIN"), &tag), 0);
}

Test(wire_backend_messages, row_description)
{
#define COLUMN "\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"
	uint16_t n;
	const struct span two = SPAN_LIT("\0\2a\0" COLUMN "b\0" COLUMN);
	cr_assert_eq(message_read_row_description(two, &n), 0);
	cr_assert_eq(n, 2);
	for (size_t i = 0; i < two.n; i++) {
		cr_assert_neq(message_read_row_description(span_make(two.p, i), &n), 0);
	}
	cr_assert_eq(message_read_row_description(SPAN_LIT("\0\0"), &n), 0);
	cr_assert_neq(message_read_row_description(SPAN_LIT("\0\0x"), &n), 0);
}

/* T-09 */
Test(wire_backend_messages, key_data)
{
	uint8_t body[4 + 257] = "\0\0\1\0key.";
	for (size_t n = 0; n <= sizeof(body); n++) {
		struct message_key_data m;
		int e = message_read_key_data(span_make(body, n), &m);
		cr_assert_eq(e == 0, n >= 8 && n <= 260, "%zu", n);
		cr_assert(e != 0 || (m.pid == 256 && m.key.n == n - 4), "%zu", n);
	}
}
