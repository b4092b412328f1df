/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <string.h>

#include "admin/console_text.h"

static const struct {
	const char *text;
	int result;
	enum console_id id;
	const char *argument;
} rows[] = {
	{ "", CONSOLE_E_EMPTY, 0, "" },
	{ " ;; -- nothing\n ; /* at all */", CONSOLE_E_EMPTY, 0, "" },
	{ "SHOW POOLS", 0, CONSOLE_SHOW_POOLS, "" },
	{ "show\n\tpools ; ;", 0, CONSOLE_SHOW_POOLS, "" },
	{ "/* who */ Show /**/ Stats -- end", 0, CONSOLE_SHOW_STATS, "" },
	{ "SHOW STATS_TOTALS", 0, CONSOLE_SHOW_STATS_TOTALS, "" },
	{ "SHOW STATSX", CONSOLE_E_UNKNOWN, 0, "" },
	{ "SELECT VERSION", 0, CONSOLE_SHOW_VERSION, "" },
	{ "SHOW", 0, CONSOLE_SHOW, "" },
	{ "SHOW POOLS x", CONSOLE_E_ARGUMENT, 0, "" },
	{ "PAUSE", 0, CONSOLE_PAUSE, "" },
	{ "PAUSE Chat;", 0, CONSOLE_PAUSE, "chat" },
	{ "PAUSE \"Chat \"\"1\"", 0, CONSOLE_PAUSE, "Chat \"1" },
	{ "KILL 'it''s'", 0, CONSOLE_KILL, "it's" },
	{ "PAUSE a b", CONSOLE_E_ARGUMENT, 0, "" },
	{ "PAUSE \"\"", CONSOLE_E_ARGUMENT, 0, "" },
	{ "PAUSE \"open", CONSOLE_E_ARGUMENT, 0, "" },
	{ "PAUSE (", CONSOLE_E_ARGUMENT, 0, "" },
	{ "DISABLE", CONSOLE_E_ARGUMENT, 0, "" },
	{ "KILL_CLIENT 0x7f00", 0, CONSOLE_KILL_CLIENT, "0x7f00" },
	{ "SHUTDOWN", 0, CONSOLE_SHUTDOWN, "" },
	{ "SHUTDOWN WAIT_FOR_CLIENTS", 0, CONSOLE_SHUTDOWN_CLIENTS, "" },
	{ "SHUTDOWN SOON", CONSOLE_E_ARGUMENT, 0, "" },
	{ "SET Client_Encoding = 'utf8'", 0, CONSOLE_SET, "client_encoding" },
	{ "SET", 0, CONSOLE_SET, "" },
	{ "BEGIN READ ONLY", 0, CONSOLE_BEGIN, "read" },
	{ "DROP TABLE x", CONSOLE_E_UNKNOWN, 0, "" },
};

Test(console_text, table)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct console_text out;
		int r = console_read(span_str(rows[i].text), &out);
		cr_expect_eq(r, rows[i].result, "%s: %d", rows[i].text, r);
		if (r == 0 && rows[i].result == 0) {
			cr_expect_eq(out.id, rows[i].id, "%s", rows[i].text);
			cr_expect_str_eq(out.argument, rows[i].argument);
		}
	}
}

Test(console_text, arguments_have_a_limit)
{
	char text[CONSOLE_NAME_MAX + 16];
	struct console_text out;
	memset(text, 'x', sizeof(text));
	memcpy(text, "PAUSE ", 6);
	cr_expect_eq(console_read(span_make(text, 6 + CONSOLE_NAME_MAX), &out), 0);
	cr_expect_eq(strlen(out.argument), CONSOLE_NAME_MAX);
	cr_expect_eq(console_read(span_make(text, 7 + CONSOLE_NAME_MAX), &out),
		     CONSOLE_E_ARGUMENT);
}
