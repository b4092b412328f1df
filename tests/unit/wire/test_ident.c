/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "files.h"
#include "wire/ident.h"

#define FILE "/etc/ident.conf"

/* clang-format off */
static const struct {
	const char *text;
	const char *map;
	const char *system_user;
	const char *user;
	bool allowed;
} cases[] = {
	{ "", NULL, "u", "u", true },
	{ "", NULL, "u", "v", false },
	{ "", "m", "u", "u", false },
	{ "m os db", "m", "os", "db", true },
	{ "m os db", "m", "os", "os", false },
	{ "m os db", "n", "os", "db", false },
	{ "m os db", NULL, "os", "db", false },
	{ "m a b\nm os db", "m", "os", "db", true },
	{ "m os all", "m", "os", "anybody", true },
	{ "m os \"all\"", "m", "os", "anybody", false },
	{ "m os \"all\"", "m", "os", "all", true },
	{ "m \"o s\" db", "m", "o s", "db", true },
	{ "m /^(.*)@example\\.org$ \\1", "m", "bob@example.org", "bob", true },
	{ "m /^(.*)@example\\.org$ \\1", "m", "bob@example.org", "alice", false },
	{ "m /^(.*)@example\\.org$ \\1", "m", "bob@exampleXorg", "bob", false },
	{ "m /^(.*)@example\\.org$ x\\1y", "m", "bob@example.org", "xboby", true },
	{ "m /^(.*)@example\\.org$ x\\1y", "m", "bob@example.org", "xbob", false },
	{ "m /^(a)?b \\1", "m", "b", "", false },
	{ "m /^os guest", "m", "os2", "guest", true },
	{ "m /^os guest", "m", "xos2", "guest", false },
	{ "m os /^db[0-9]$", "m", "os", "db7", true },
	{ "m os /^db[0-9]$", "m", "os", "db77", false },
	{ "m os \\1", "m", "os", "\\1", true },
};
static const struct {
	const char *text;
	const char *error;
} refusals[] = {
	{ "m", FILE ":1: must be a map, a system user and a user" },
	{ "m os", "must be" },
	{ "m os db x", "must be" },
	{ "m os,so db", "must be" },
	{ "m os +admins", "groups (+admins) are not supported" },
	{ "m /[ db", "regular expression \"[\"" },
	{ "m os /[", "regular expression \"[\"" },
	{ "m /a \\1", "refers to parentheses" },
};
/* clang-format on */

Test(wire_ident, who_may_be_whom)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct memory_file files[] = { { FILE, cases[i].text },
						     { NULL, NULL } };
		struct hba_source source = memory_source(files);
		struct ident *ident;
		struct hba_error error;
		cr_assert_eq(ident_new(&source, FILE, &ident, &error), 0, "%s",
			     error.text);
		cr_assert_eq(ident_allows(ident, cases[i].map, cases[i].system_user,
					  cases[i].user),
			     cases[i].allowed, "row %zu: %s", i, cases[i].text);
		ident_free(ident);
	}
	cr_assert(ident_allows(NULL, NULL, "u", "u"));
	cr_assert(!ident_allows(NULL, "m", "u", "u"));
}

Test(wire_ident, refusals_say_where_and_what)
{
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		const struct memory_file files[] = { { FILE, refusals[i].text },
						     { NULL, NULL } };
		struct hba_source source = memory_source(files);
		struct ident *ident;
		struct hba_error error;
		cr_assert_eq(ident_new(&source, FILE, &ident, &error), HBA_E_INVALID);
		cr_assert_not_null(strstr(error.text, refusals[i].error), "%s",
				   error.text);
	}
}
