/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sql/scan.h"

static struct scan scan;

static void setup(void)
{
	scan_init(&scan, 1U << 20);
}

static void teardown(void)
{
	scan_fini(&scan);
}

TestSuite(scan, .init = setup, .fini = teardown);

/* The shape with its marks as {kind}, then the constants after bars. */
static const char *describe(void)
{
	static char out[4096];
	size_t n = 0;
	struct span shape = buf_span(&scan.shape);
	for (size_t i = 0; i < shape.n; i++) {
		if (shape.p[i] == SCAN_MARK) {
			out[n++] = '{';
			out[n++] = (char)shape.p[++i];
			out[n++] = '}';
		} else {
			out[n++] = (char)shape.p[i];
		}
	}
	for (size_t i = 0; i < scan.n_consts; i++) {
		out[n++] = '|';
		memcpy(out + n, scan.consts[i].raw.p, scan.consts[i].raw.n);
		n += scan.consts[i].raw.n;
	}
	out[n] = 0;
	return out;
}

struct scan_case {
	const char *text;
	const char *expected; /* NULL: refused */
};

/* clang-format off */
static const struct scan_case cases[] = {
	{ "", "" },
	{ "select 1", "select {i}|1" },
	{ "  select\t\n1  ", "select {i}|1" },
	{ "SELECT a FROM t", "SELECT a FROM t" },
	/* Strings */
	{ "select 'a', 'it''s', ''", "select {s}, {s}, {s}|'a'|'it''s'|''" },
	{ "select 'a\\'", "select {s}|'a\\'" },
	{ "select E'a\\'b', e'\\\\'", "select {e}, {e}|E'a\\'b'|e'\\\\'" },
	{ "select E'a''\\''", "select {e}|E'a''\\''" },
	{ "select 'a'\n 'b'", "select {s}|'a'\n 'b'" },
	{ "select 'a' --x\n 'b'", "select {s}|'a' --x\n 'b'" },
	{ "select 'a' 'b'", "select {s} {s}|'a'|'b'" },
	{ "select 'a' /*\n*/ 'b'", "select {s} {s}|'a'|'b'" },
	{ "select E'a\\''\n'\\'b'", "select {e}|E'a\\''\n'\\'b'" },
	{ "select b'01', X'1f', n'x', U&'\\0061'", "select {b}, {x}, {n}, {u}|b'01'|X'1f'|n'x'|U&'\\0061'" },
	{ "select be'x'", "select be{s}|'x'" },
	{ "select e 'x'", "select e {s}|'x'" },
	{ "select $$a'b$$, $x$ $$ $y$ $x$", "select {d}, {d}|$$a'b$$|$x$ $$ $y$ $x$" },
	{ "select a$b$c$d$ from t", "select a$b$c$d$ from t" },
	{ "select 'x", NULL },
	{ "select E'x\\'", NULL },
	{ "select E'x\\", NULL },
	{ "select $$x$", NULL },
	{ "select $x$ $X$", NULL },
	{ "select $a", NULL },
	/* Numbers */
	{ "select 1,1.5,.5,5.,1e5,1.5E-3,1e", "select {i},{f},{f},{f},{f},{f},{i}e|1|1.5|.5|5.|1e5|1.5E-3|1" },
	{ "select 1..10", "select {i}.{f}|1|.10" },
	{ "select 0x1F, 0b1, 1_000, 1.0_0", "select {h}, {h}, {h}, {h}|0x1F|0b1|1_000|1.0_0" },
	{ "select 1a", "select {i}a|1" },
	{ "select t1, _2", "select t1, _2" },
	/* A minus that can only be a sign goes with its number. */
	{ "select a=-5,-6,(-7.5),- 8,a-9", "select a={m},{m},({g}),- {i},a-{i}|-5|-6|-7.5|8|9" },
	{ "select - 5, 3 - -5", "select - {i}, {i} - -{i}|5|3|5" },
	{ "select a <-5", "select a <-{i}|5" },
	{ "limit -1", "limit -{i}|1" },
	/* Parameters */
	{ "select $1, $23::int", "select $1, $23::int" },
	{ "select $1a", NULL },
	{ "select $99999", NULL },
	/* Names */
	{ "select \"a b\", \"x\"\"y\", \"'\"", "select \"a b\", \"x\"\"y\", \"'\"" },
	{ "select \"a", NULL },
	{ "select na\xc3\xafve", "select na\xc3\xafve" },
	/* Comments and white space */
	{ "select/**/1--x\n,2 -- end", "select {i} ,{i}|1|2" },
	{ "select /* a /* b */ ' */ 1", "select {i}|1" },
	{ "select 1 /* a /* b */", NULL },
	{ "/* x */ select 1", "select {i}|1" },
	{ "select a*/*x*/b", "select a* b" },
	{ "select a--b\n", "select a" },
	{ "select a @-- b\n @ c", "select a @ @ c" },
	/* Operators */
	{ "select a::int, b->>'x', c @> d", "select a::int, b->>{s}, c @> d|'x'" },
	{ "select a <-> '[1,2]'", "select a <-> {s}|'[1,2]'" },
	{ "select a@-5", "select a@-{i}|5" },
	{ "select a*-5", "select a*-{i}|5" },
	/* What PostgreSQL would not read. */
	{ "select \x01s", NULL },
	{ "select \"\x01s\"", "select \"{s}\"" },
	{ "select {d}", NULL },
	{ "select \\x", NULL },
	{ "select (1", NULL },
	{ "select 1)", NULL },
	{ "select (1]", NULL },
};
/* clang-format on */

Test(scan, shapes)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int r = scan_text(&scan, span_str(cases[i].text));
		if (cases[i].expected == NULL) {
			cr_expect_eq(r, SCAN_E_BAD, "%s: %d", cases[i].text, r);
			continue;
		}
		cr_expect_eq(r, 0, "%s: %d", cases[i].text, r);
		cr_expect_str_eq(describe(), cases[i].expected, "%s: %s", cases[i].text,
				 describe());
	}
}

/* No byte behind the text is read, wherever it ends. */
Test(scan, every_end)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = strlen(cases[i].text);
		for (size_t k = 0; k <= n; k++) {
			uint8_t *copy = malloc(k);
			memcpy(copy, cases[i].text, k);
			int r = scan_text(&scan, span_make(copy, k));
			cr_expect(r >= 0);
			free(copy);
		}
	}
	cr_expect_eq(scan_text(&scan, span_make(NULL, 0)), 0);
}

Test(scan, what_else_it_tells)
{
	cr_assert_eq(
	    scan_text(&scan, SPAN_LIT("select $2, $7; ; update t set a = 'x';")), 0);
	cr_expect_eq(scan.max_param, 7);
	cr_expect_eq(scan.n_statements, 2);
	cr_expect(scan.has_strings);
	cr_expect_not(scan.exact);
	cr_expect_eq(scan.hint.n, 0);
	cr_assert_eq(
	    scan_text(&scan, SPAN_LIT("select 1 /*+ pgrecall( ttl=5, off ) */")), 0);
	cr_expect(span_eq_str(scan.hint, " ttl=5, off "));
	cr_expect_not(scan.has_strings);
	cr_assert_eq(scan_text(&scan, SPAN_LIT("select 1 /* pgrecall(off) */")), 0);
	cr_expect_eq(scan.hint.n, 0);
	cr_assert_eq(scan_text(&scan, SPAN_LIT("select '/*+ pgrecall(off) */'")), 0);
	cr_expect_eq(scan.hint.n, 0);
}

/* Texts whose constants decide what they mean. */
Test(scan, exact)
{
	static const char *const exact[] = {
		"SET a = 1",
		"select 1; set a = 1",
		"prepare transaction 'a'",
		"commit prepared 'a'",
		"select set_config('a', 'b', false)",
		"select pg_catalog.\"SET_config\"('a', 'b', false)",
		"select U&\"d!0061t\" uescape '!'"
	};
	static const char *const by_shape[] = { "select 1", "update t set a = 1",
						"insert into t values (1)",
						"select \"set\" from t" };
	for (size_t i = 0; i < ARRAY_LEN(exact); i++) {
		cr_assert_eq(scan_text(&scan, span_str(exact[i])), 0);
		cr_expect(scan.exact, "%s", exact[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(by_shape); i++) {
		cr_assert_eq(scan_text(&scan, span_str(by_shape[i])), 0);
		cr_expect_not(scan.exact, "%s", by_shape[i]);
	}
}

static int scan_repeated(const char *before, const char *again, size_t times,
			 const char *after)
{
	struct buf text;
	buf_init(&text, 1U << 20);
	buf_append_str(&text, before);
	for (size_t i = 0; i < times; i++) {
		buf_append_str(&text, again);
	}
	buf_append_str(&text, after);
	cr_assert(buf_ok(&text));
	int r = scan_text(&scan, buf_span(&text));
	buf_fini(&text);
	return r;
}

Test(scan, depth)
{
	cr_expect_eq(scan_repeated("select 1", "+1", 1900, ""), 0);
	cr_expect_eq(scan_repeated("select 1", "+1", 2100, ""), SCAN_E_DEEP);
	cr_expect_eq(scan_repeated("select ", "not ", 2100, "true"), SCAN_E_DEEP);
	cr_expect_eq(scan_repeated("select (1", "+1", 2100, "), 2"), SCAN_E_DEEP);
	/* Wide is not deep. */
	cr_expect_eq(scan_repeated("select 1", ",a+1", 10000, ""), 0);
	cr_expect_eq(
	    scan_repeated("insert into t values (1)", ",(1,-2,f(3))", 10000, ""), 0);
	cr_expect_eq(scan_repeated("", "(", 300, ""), SCAN_E_DEEP);
}

Test(scan, many_constants)
{
	cr_assert_eq(scan_repeated("select 1", ",1", 600, ""), 0);
	cr_expect_eq(scan.n_consts, SCAN_MAX_CONSTS);
	cr_expect_eq(scan.n_seen, 601);
}
