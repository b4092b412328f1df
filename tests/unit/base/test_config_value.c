/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Values, lines and errors of configuration files. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/config_errors.h"
#include "base/config_value.h"
#include "base/ini.h"

#define BAD UINT64_MAX

struct number_case {
	const char *text;
	uint64_t value; /* BAD: refused */
};

Test(config_value, durations)
{
	static const struct number_case cases[] = {
		{ "0", 0 },
		{ "15", 15000 },
		{ "1.5", 1500 },
		{ "0.0001", 1 },
		{ "20ms", 20 },
		{ "500us", 1 },
		{ "1us", 1 },
		{ "0us", 0 },
		{ "1500us", 2 },
		{ "30s", 30000 },
		{ "30 s", 30000 },
		{ "5MIN", 300000 },
		{ "2h", 7200000 },
		{ "1d", 86400000 },
		{ "0.5d", 43200000 },
		{ "", BAD },
		{ "s", BAD },
		{ "-1", BAD },
		{ "1.", BAD },
		{ ".5", BAD },
		{ "1e3", BAD },
		{ "5m", BAD },
		{ "1h30min", BAD },
		{ "10s ", BAD },
		{ "99999999999999999999", BAD },
		{ "18446744073709551615d", BAD },
		{ "18446744073709551615", BAD },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t ms = 77;
		bool ok = config_parse_duration(span_str(cases[i].text), 1000, &ms);
		cr_assert_eq(ok, cases[i].value != BAD, "%s", cases[i].text);
		cr_assert(!ok || ms == cases[i].value, "%s: %llu", cases[i].text,
			  (unsigned long long)ms);
	}
	uint64_t ms;
	cr_assert(config_parse_duration(SPAN_LIT("15"), 1, &ms));
	cr_assert_eq(ms, 15, "a bare number is in the row's unit");
}

Test(config_value, sizes)
{
	static const struct number_case cases[] = {
		{ "0", 0 },
		{ "123", 123 },
		{ "7B", 7 },
		{ "64kB", 65536 },
		{ "64KB", 65536 },
		{ "64KiB", 65536 },
		{ "1.5MB", 1572864 },
		{ "2 GB", UINT64_C(2) << 30 },
		{ "1GiB", UINT64_C(1) << 30 },
		{ "1TB", BAD },
		{ "x", BAD },
		{ "", BAD },
		{ "-5kB", BAD },
		{ "99999999999999GB", BAD },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t n = 77;
		bool ok = config_parse_size(span_str(cases[i].text), &n);
		cr_assert_eq(ok, cases[i].value != BAD, "%s", cases[i].text);
		cr_assert(!ok || n == cases[i].value, "%s: %llu", cases[i].text,
			  (unsigned long long)n);
	}
}

Test(config_value, other_numbers)
{
	uint64_t v;
	cr_assert(config_parse_uint(SPAN_LIT("18446744073709551615"), &v));
	cr_assert_eq(v, UINT64_MAX);
	cr_assert_not(config_parse_uint(SPAN_LIT("18446744073709551616"), &v));
	cr_assert_not(config_parse_uint(SPAN_LIT(""), &v));
	cr_assert_not(config_parse_uint(SPAN_LIT("12a"), &v));
	cr_assert(config_parse_octal(SPAN_LIT("0770"), &v));
	cr_assert_eq(v, 0770);
	cr_assert_not(config_parse_octal(SPAN_LIT("0780"), &v));
	cr_assert(config_parse_hex(SPAN_LIT("fFfFfFfFfFfFfFfF"), &v));
	cr_assert_eq(v, UINT64_MAX);
	cr_assert(config_parse_hex(SPAN_LIT("0x1f"), &v));
	cr_assert_eq(v, 0x1f);
	cr_assert_not(config_parse_hex(SPAN_LIT("10000000000000000"), &v));
	cr_assert_not(config_parse_hex(SPAN_LIT("0x"), &v));
	bool on;
	cr_assert(config_parse_bool(SPAN_LIT("ON"), &on) && on);
	cr_assert(config_parse_bool(SPAN_LIT("no"), &on) && !on);
	cr_assert_not(config_parse_bool(SPAN_LIT("2"), &on));
	cr_assert_not(config_parse_bool(SPAN_LIT(""), &on));
}

Test(config_value, formats_parse_back)
{
	static const uint64_t values[] = {
		0,	  1,	    20,	  1000, 1500,  60000,	3600000,
		86400000, 90000000, 1023, 1024, 65536, 1572864, UINT64_C(3) << 30
	};
	struct buf text;
	buf_init(&text, 100);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		uint64_t back;
		buf_reset(&text);
		config_format_duration(values[i], &text);
		cr_assert(config_parse_duration(buf_span(&text), 1, &back));
		cr_assert_eq(back, values[i]);
		buf_reset(&text);
		config_format_size(values[i], &text);
		cr_assert(config_parse_size(buf_span(&text), &back));
		cr_assert_eq(back, values[i]);
	}
	buf_fini(&text);
}

/* ---- lines ------------------------------------------------------------------------
 */

/* Writes what arrives as `section|key|value;`. */
static void collect(void *arg, const struct ini_entry *entry)
{
	struct buf *out = arg;
	buf_append_span(out, entry->section);
	if (!entry->is_section) {
		buf_append_u8(out, '|');
		buf_append_span(out, entry->key);
		buf_append_u8(out, '|');
		buf_append_span(out, entry->value);
	}
	buf_printf(out, "@%u;", entry->line);
}

Test(ini, lines)
{
	static const struct {
		const char *text;
		const char *entries;
		size_t n_errors;
	} cases[] = {
		{ "", "", 0 },
		{ "\n\n; c\n# d\n  ; e", "", 0 },
		{ "[a]\nx=1", "a@1;a|x|1@2;", 0 },
		{ "\xef\xbb\xbf[a]\r\n x = 1 \r\n", "a@1;a|x|1@2;", 0 },
		{ "[ a b ]\n\tx=a=b # c", "a b@1;a b|x|a=b # c@2;", 0 },
		{ "[a]\nx=", "a@1;a|x|@2;", 0 },
		{ "[a]\n\"o d\" = 1\n\"q\"\"\"=2", "a@1;a|o d|1@2;a|q\"|2@3;", 0 },
		{ "[a]\n*=1\n[b]\n[a]\ny=2", "a@1;a|*|1@2;b@3;a@4;a|y|2@5;", 0 },
		{ "x=1\n[a]\ny=2", "a@2;a|y|2@3;", 1 },
		{ "[a\nx=1", "", 2 },
		{ "[]\n[ ]", "", 2 },
		{ "[a]\nnonsense\n=1\n\"x", "a@1;", 3 },
		{ "[a]\n\"x\" y=1", "a@1;", 1 },
		{ "%include x", "", 1 },
		{ "%includ x", "", 1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out;
		struct config_errors errors;
		buf_init(&out, 10000);
		config_errors_init(&errors);
		cr_assert_eq(ini_read_text("t", span_str(cases[i].text), true, collect,
					   &out, &errors),
			     0);
		cr_assert(span_eq_str(buf_span(&out), cases[i].entries), "%zu: %.*s", i,
			  (int)out.len, (char *)out.data);
		cr_assert_eq(errors.n_errors, cases[i].n_errors, "%zu", i);
		buf_fini(&out);
		config_errors_fini(&errors);
	}
}

Test(ini, zero_bytes_and_long_names_are_errors)
{
	struct buf out;
	struct buf text;
	struct config_errors errors;
	buf_init(&out, 10000);
	buf_init(&text, 10000);
	config_errors_init(&errors);
	buf_append(&text, "[a]\nx=\0y\n", 9);
	for (int i = 0; i < 600; i++) {
		buf_append_u8(&text, 'k');
	}
	buf_append_str(&text, "=1\nz=2");
	cr_assert_eq(ini_read_text("t", buf_span(&text), true, collect, &out, &errors),
		     0);
	cr_assert(span_eq_str(buf_span(&out), "a@1;a|z|2@4;"));
	cr_assert_eq(errors.n_errors, 2);
	cr_assert_eq(errors.items[1].line, 3);
	buf_fini(&out);
	buf_fini(&text);
	config_errors_fini(&errors);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs(text, file);
	fclose(file);
}

Test(ini, include)
{
	char dir[] = "/tmp/pgrecall-ini-XXXXXX";
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chdir(dir), 0);
	write_file("a.ini", "[s]\nx=1\n%include b.ini\ny=2\n%include gone.ini\n");
	write_file("b.ini", "z=3\nbad\n[t]\n");
	write_file("loop.ini", "[s]\n%include loop.ini\n");
	struct buf out;
	struct config_errors errors;
	buf_init(&out, 10000);
	config_errors_init(&errors);
	cr_assert_eq(ini_read_file("a.ini", collect, &out, &errors), 0);
	cr_assert(span_eq_str(buf_span(&out), "s@1;s|x|1@2;s|z|3@1;t@3;t|y|2@4;"));
	cr_assert_eq(errors.n_errors, 2);
	cr_assert_str_eq(errors.items[0].file, "b.ini");
	cr_assert_eq(errors.items[0].line, 2);
	cr_assert_str_eq(errors.items[1].file, "a.ini");
	cr_assert_eq(errors.items[1].line, 5);
	config_errors_fini(&errors);
	cr_assert_eq(ini_read_file("loop.ini", collect, &out, &errors), 0);
	cr_assert_eq(errors.n_errors, 1, "a file that includes itself ends");
	config_errors_fini(&errors);
	cr_assert_eq(ini_read_file("nothing.ini", collect, &out, &errors), 0);
	cr_assert_eq(ini_read_file(dir, collect, &out, &errors), 0);
	cr_assert_eq(errors.n_errors, 2, "neither nothing nor a directory");
	config_errors_fini(&errors);
	buf_fini(&out);
	unlink("a.ini");
	unlink("b.ini");
	unlink("loop.ini");
	cr_assert_eq(rmdir(dir), 0);
}

/* ---- errors -----------------------------------------------------------------------
 */

Test(config_errors, text_and_limit)
{
	struct config_errors errors;
	struct buf out;
	config_errors_init(&errors);
	buf_init(&out, 1 << 20);
	config_errors_add(&errors, false, "f.ini", 3, "bad %s", "na\nme");
	config_errors_add(&errors, true, NULL, 0, "odd");
	config_errors_text(&errors, &out);
	cr_assert(span_eq_str(buf_span(&out),
			      "f.ini:3: error: bad na?me\npgrecall: warning: odd\n"));
	for (int i = 0; i < 200; i++) {
		config_errors_add(&errors, false, "f", 1, "x");
	}
	cr_assert_eq(errors.n, CONFIG_MAX_ERRORS);
	cr_assert_eq(errors.n_errors, 201);
	cr_assert_eq(errors.n_warnings, 1);
	buf_reset(&out);
	config_errors_text(&errors, &out);
	buf_append_u8(&out, 0);
	cr_assert_not_null(strstr((char *)out.data, "... and 102 more\n"));
	config_errors_fini(&errors);
	buf_fini(&out);
}

Test(config_errors, nearest)
{
	static const char *const names[] = { "max_client_conn", "pool_mode",
					     "listen_addr", "listen_port", "ttl" };
	static const struct {
		const char *name;
		const char *nearest;
	} cases[] = {
		{ "max_client_con", "max_client_conn" },
		{ "max_clientconn", "max_client_conn" },
		{ "poolmode", "pool_mode" },
		{ "POOL_MODE", "pool_mode" },
		{ "listen_adrr", "listen_addr" },
		{ "listen_prot", "listen_port" },
		{ "tll", "ttl" },
		{ "something_else", NULL },
		{ "", NULL },
		{ "q", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *near =
		    config_nearest(cases[i].name, names, ARRAY_LEN(names));
		cr_assert_eq(near == NULL, cases[i].nearest == NULL, "%s: %s",
			     cases[i].name, near ? near : "NULL");
		cr_assert(near == NULL || strcmp(near, cases[i].nearest) == 0, "%s",
			  cases[i].name);
	}
}
