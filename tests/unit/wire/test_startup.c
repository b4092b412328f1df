/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "base/sqlstate.h"
#include "wire/frame.h"
#include "wire/startup.h"

#define V30  "\0\3\0\0"
#define USER "user\0u\0"

struct startup_case {
	const char *label;
	struct span in;
	int error;
	enum startup_kind kind;
	const char *user;
	const char *database;
	size_t n_params;
	size_t n_pq_options;
	uint16_t asked_minor;
	uint16_t minor;
	bool negotiate;
};

#define SESSION STARTUP_SESSION
#define NAME_63 "123456789012345678901234567890123456789012345678901234567890123"

/* clang-format off */
static const struct startup_case cases[] = {
	{ "T-01 ssl", SPAN_LIT("\x4\xd2\x16\x2f"), 0, STARTUP_SSL_REQUEST, "", "", 0, 0, 0, 0, false },
	{ "T-01 gssenc", SPAN_LIT("\x4\xd2\x16\x30"), 0, STARTUP_GSSENC_REQUEST, "", "", 0, 0, 0, 0, false },
	{ "ssl with more", SPAN_LIT("\x4\xd2\x16\x2f!"), STARTUP_E_MALFORMED, STARTUP_SSL_REQUEST, "", "", 0, 0, 0, 0, false },
	{ "plain", SPAN_LIT(V30 "user\0u\0database\0d\0\0"), 0, SESSION, "u", "d", 2, 0, 0, 0, false },
	{ "any order", SPAN_LIT(V30 "database\0d\0x\0\0user\0u\0\0"), 0, SESSION, "u", "d", 3, 0, 0, 0, false },
	{ "later counts", SPAN_LIT(V30 "user\0a\0user\0u\0\0"), 0, SESSION, "u", "u", 2, 0, 0, 0, false },
	{ "T-06 no database", SPAN_LIT(V30 USER "\0"), 0, SESSION, "u", "u", 1, 0, 0, 0, false },
	{ "T-06 empty database", SPAN_LIT(V30 USER "database\0\0\0"), 0, SESSION, "u", "u", 2, 0, 0, 0, false },
	{ "T-06 no user", SPAN_LIT(V30 "database\0d\0\0"), STARTUP_E_NO_USER, SESSION, "", "d", 1, 0, 0, 0, false },
	{ "T-06 empty user", SPAN_LIT(V30 "user\0\0\0"), STARTUP_E_NO_USER, SESSION, "", "", 1, 0, 0, 0, false },
	{ "T-06 nothing", SPAN_LIT(V30 "\0"), STARTUP_E_NO_USER, SESSION, "", "", 0, 0, 0, 0, false },
	{ "longest user", SPAN_LIT(V30 "user\0" NAME_63 "\0\0"), 0, SESSION, NAME_63, NAME_63, 1, 0, 0, 0, false },
	{ "T-06 long user", SPAN_LIT(V30 "user\0" NAME_63 "4\0\0"), STARTUP_E_USER_TOO_LONG, SESSION, NAME_63 "4", "", 1, 0, 0, 0, false },
	{ "T-06 long database", SPAN_LIT(V30 USER "database\0" NAME_63 "4\0\0"), STARTUP_E_DATABASE_TOO_LONG, SESSION, "u", NAME_63 "4", 2, 0, 0, 0, false },
	{ "T-05 no terminator", SPAN_LIT(V30 "user\0u\0"), STARTUP_E_MALFORMED, SESSION, "u", "", 1, 0, 0, 0, false },
	{ "T-05 early terminator", SPAN_LIT(V30 USER "\0x\0y\0\0"), STARTUP_E_MALFORMED, SESSION, "u", "", 1, 0, 0, 0, false },
	{ "T-05 one byte more", SPAN_LIT(V30 USER "\0\0"), STARTUP_E_MALFORMED, SESSION, "u", "", 1, 0, 0, 0, false },
	{ "T-05 unfinished value", SPAN_LIT(V30 "user\0u"), STARTUP_E_MALFORMED, SESSION, "", "", 0, 0, 0, 0, false },
	{ "T-05 unfinished name", SPAN_LIT(V30 "user"), STARTUP_E_MALFORMED, SESSION, "", "", 0, 0, 0, 0, false },
	{ "T-05 version alone", SPAN_LIT(V30), STARTUP_E_MALFORMED, SESSION, "", "", 0, 0, 0, 0, false },
	{ "no version", SPAN_LIT("\0\3"), STARTUP_E_MALFORMED, SESSION, "", "", 0, 0, 0, 0, false },
	{ "T-07 3.1", SPAN_LIT("\0\3\0\1" USER "\0"), 0, SESSION, "u", "u", 1, 0, 1, 0, true },
	{ "T-07 3.2", SPAN_LIT("\0\3\0\2" USER "\0"), 0, SESSION, "u", "u", 1, 0, 2, 2, false },
	{ "T-07 3.3", SPAN_LIT("\0\3\0\3" USER "\0"), 0, SESSION, "u", "u", 1, 0, 3, 2, true },
	{ "T-07 option with 3.2", SPAN_LIT("\0\3\0\2" USER "_pq_.a\0b\0\0"), 0, SESSION, "u", "u", 2, 1, 2, 2, true },
	{ "T-07 option", SPAN_LIT(V30 USER "_pq_.a\0b\0\0"), 0, SESSION, "u", "u", 2, 1, 0, 0, true },
	{ "T-08 grease", SPAN_LIT("\0\3\x27\x0f" USER "_pq_.test_protocol_negotiation\0\0\0"), 0, SESSION, "u", "u", 2, 1, 9999, 2, true },
	{ "T-07 version 2", SPAN_LIT("\0\2\0\0" USER "\0"), STARTUP_E_VERSION, SESSION, "", "", 0, 0, 0, 0, false },
	{ "T-07 version 4", SPAN_LIT("\0\4\0\0" USER "\0"), STARTUP_E_VERSION, SESSION, "", "", 0, 0, 0, 0, false },
};
/* clang-format on */

Test(wire_startup, cases)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct startup_case *c = &cases[i];
		struct startup s;
		cr_assert_eq(startup_parse(c->in, &s), c->error, "%s", c->label);
		cr_assert_eq(s.kind, c->kind, "%s", c->label);
		cr_assert(span_eq_str(s.user, c->user), "%s", c->label);
		cr_assert(span_eq_str(s.database, c->database), "%s", c->label);
		cr_assert_eq(s.n_params, c->n_params, "%s", c->label);
		cr_assert_eq(s.n_pq_options, c->n_pq_options, "%s", c->label);
		cr_assert_eq(s.negotiate, c->error == 0 && c->negotiate, "%s",
			     c->label);
		cr_assert_eq(s.asked_minor, c->asked_minor, "%s", c->label);
		cr_assert_eq(s.minor, c->minor, "%s", c->label);
	}
}

Test(wire_startup, option_names)
{
	struct startup s;
	cr_assert_eq(
	    startup_parse(SPAN_LIT(V30 USER "_pq_.a\0b\0x\0y\0_pq_.c\0\0\0"), &s), 0);
	cr_assert_eq(s.n_pq_options, 2);
	cr_assert(span_eq_str(s.pq_options[0], "_pq_.a"));
	cr_assert(span_eq_str(s.pq_options[1], "_pq_.c"));
}

/* T-102: PostgreSQL's booleans, and one word more. */
Test(wire_startup, replication)
{
	static const struct {
		const char *value;
		int error;
		enum startup_replication replication;
	} values[] = {
		{ "true", 0, STARTUP_PHYSICAL },
		{ "T", 0, STARTUP_PHYSICAL },
		{ "yes", 0, STARTUP_PHYSICAL },
		{ "on", 0, STARTUP_PHYSICAL },
		{ "1", 0, STARTUP_PHYSICAL },
		{ "database", 0, STARTUP_LOGICAL },
		{ "fal", 0, STARTUP_NO_REPLICATION },
		{ "n", 0, STARTUP_NO_REPLICATION },
		{ "of", 0, STARTUP_NO_REPLICATION },
		{ "0", 0, STARTUP_NO_REPLICATION },
		{ "", STARTUP_E_REPLICATION, STARTUP_NO_REPLICATION },
		{ "o", STARTUP_E_REPLICATION, STARTUP_NO_REPLICATION },
		{ "2", STARTUP_E_REPLICATION, STARTUP_NO_REPLICATION },
		{ "truee", STARTUP_E_REPLICATION, STARTUP_NO_REPLICATION },
		{ "DATABASE", STARTUP_E_REPLICATION, STARTUP_NO_REPLICATION },
	};
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		uint8_t packet[64] = V30 USER "replication";
		size_t n = 4 + 7 + sizeof("replication");
		memcpy(packet + n, values[i].value, strlen(values[i].value));
		n += strlen(values[i].value) + 2;
		struct startup s;
		cr_assert_eq(startup_parse(span_make(packet, n), &s), values[i].error,
			     "%s", values[i].value);
		cr_assert_eq(s.replication, values[i].replication, "%s",
			     values[i].value);
	}
}

/* T-09, T-10 */
Test(wire_startup, cancel)
{
	uint8_t packet[8 + STARTUP_CANCEL_KEY_MAX + 1] = "\x4\xd2\x16\x2e\0\0\1\2";
	for (size_t key = 0; key <= STARTUP_CANCEL_KEY_MAX + 1; key++) {
		struct startup s;
		int e = startup_parse(span_make(packet, 8 + key), &s);
		bool fits = key >= 4 && key <= 256;
		cr_assert_eq(e, fits ? 0 : STARTUP_E_CANCEL_KEY, "%zu", key);
		cr_assert_eq(s.kind, STARTUP_CANCEL_REQUEST);
		cr_assert_eq(s.cancel_pid, 258);
		cr_assert_eq(s.cancel_key.n, key);
	}
	struct startup s;
	cr_assert_eq(startup_parse(span_make(packet, 6), &s), STARTUP_E_MALFORMED);
}

/* As many parameters as there is room for, and one more. */
Test(wire_startup, many_parameters)
{
	uint8_t packet[STARTUP_MAX_LEN] = V30 USER;
	size_t n = 4 + 7;
	for (size_t i = 1; i < STARTUP_MAX_PARAMS; i++) {
		memcpy(packet + n, "a\0b", 4);
		n += 4;
	}
	struct startup s;
	cr_assert_eq(startup_parse(span_make(packet, n + 1), &s), 0);
	cr_assert_eq(s.n_params, STARTUP_MAX_PARAMS);
	memcpy(packet + n, "a\0b", 4);
	cr_assert_eq(startup_parse(span_make(packet, n + 5), &s), STARTUP_E_TOO_MANY);
}

Test(wire_startup, parameter)
{
	struct startup s;
	cr_assert_eq(startup_parse(SPAN_LIT(V30 USER "a\0"
						     "1\0a\0"
						     "2\0e\0\0\0"),
				   &s),
		     0);
	cr_assert(span_eq_str(startup_param(&s, "a"), "2"));
	cr_assert(startup_param(&s, "e").p != NULL && startup_param(&s, "e").n == 0);
	cr_assert(startup_param(&s, "A").p == NULL);
}

Test(wire_startup, every_error_has_words)
{
	for (int e = STARTUP_E_MALFORMED; e <= STARTUP_E_LAST; e++) {
		cr_assert(strlen(startup_error_text(e)) > 10);
		cr_assert_str_neq(startup_error_sqlstate(e), SQLSTATE_SUCCESS);
	}
	cr_assert_str_eq(startup_error_sqlstate(STARTUP_E_MALFORMED), "08P01");
	cr_assert_str_eq(startup_error_sqlstate(STARTUP_E_NO_USER), "28000");
}
