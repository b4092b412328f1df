/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The table of plans: what is found again, what is forgotten, what the plan of one text
 * may never be for another. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "fixture_plan.h"
#include "sql/catalog.h"

static struct catalog *catalog;
static struct planner *planner;
static struct planner_session session;

static void make(size_t max_shapes, planner_rules_fn rules, void *arg)
{
	catalog = fixture_database();
	session = (struct planner_session){ .catalog = catalog,
					    .path_id = 1,
					    .search_path = span_str(fixture_path),
					    .user = span_str("app") };
	cr_assert_eq(planner_new(max_shapes, 65536, rules, arg, &planner), 0);
}

static void unmake(void)
{
	planner_free(planner);
	catalog_unref(catalog);
}

static struct planned plan(const char *text)
{
	struct planned out;
	planner_plan(planner, span_str(text), &session, &out);
	return out;
}

static struct planner_counts counts(void)
{
	struct planner_counts c;
	planner_counts(planner, &c);
	return c;
}

Test(planner, one_parse_for_a_shape)
{
	make(100, NULL, NULL);
	struct plan *first = plan("SELECT * FROM plain WHERE a = 1").plan;
	cr_expect_eq(plan("SELECT * FROM plain WHERE a = 2").plan, first);
	cr_expect_eq(plan("SELECT *\nFROM plain /* x */ WHERE a = 3 ").plan, first);
	cr_expect_neq(plan("SELECT * FROM plain WHERE a = -3").plan, first);
	cr_expect_neq(plan("SELECT * FROM plain WHERE a = '3'").plan, first);
	cr_expect_neq(plan("SELECT * FROM plain WHERE a = $1").plan, first);
	cr_expect_neq(plan("/*+ pgrecall(off) */ SELECT * FROM plain WHERE a = 2").plan,
		      first);
	session.path_id = 2;
	cr_expect_neq(plan("SELECT * FROM plain WHERE a = 2").plan, first);
	session.path_id = 1;
	cr_expect_eq(plan("SELECT * FROM plain WHERE a = 4").plan, first);
	cr_expect_eq(counts().parses, 6);
	cr_expect_eq(counts().texts, 9);
	cr_expect_eq(counts().shapes, 6);
	unmake();
}

/* From the third time on a text is found by its hash. */
Test(planner, text_that_comes_again)
{
	make(100, NULL, NULL);
	char one[] = "SELECT 'y', b FROM plain WHERE c = 'z' AND a = 44";
	char two[sizeof(one)];
	memcpy(two, one, sizeof(one));
	struct plan *first = plan(one).plan;
	for (int i = 0; i < 4; i++) {
		struct planned p = plan(i % 2 == 0 ? two : one);
		cr_expect_eq(p.plan, first);
		cr_expect_eq(p.n_consts, 3);
		cr_expect(span_eq_str(p.consts[1].raw, "'z'"));
		/* in the bytes of this request, not of the one that was kept */
		const char *text = i % 2 == 0 ? two : one;
		cr_expect_eq((const char *)p.consts[2].raw.p, text + sizeof(one) - 3);
	}
	/* what a plan depends on besides the text */
	session.path_id = 2;
	cr_expect_neq(plan(one).plan, first);
	session.path_id = 1;
	cr_expect_eq(plan(one).plan, first);
	session.catalog = NULL;
	cr_expect_neq(plan(one).plan, first);
	session.catalog = catalog;
	planner_flush(planner);
	cr_expect_eq(counts().shapes, 0);
	cr_expect_eq(plan(one).plan->kind, PLAN_READ);
	cr_expect_eq(counts().shapes, 1);
	unmake();
}

/* The shape is asked for when there is a comment; a text with more constants than a
 * slot has room for is scanned each time. */
Test(planner, text_that_is_always_scanned)
{
	make(100, NULL, NULL);
	for (int i = 0; i < 4; i++) {
		struct planned p = plan("SELECT  b FROM plain /* 1 */ WHERE a = 1");
		cr_expect(memmem(p.shape.p, p.shape.n, "/*", 2) == NULL);
		p = plan("SELECT 1,2,3,4,5,6,7,8,9,10 FROM plain");
		cr_expect_eq(p.n_consts, 10);
		cr_expect(span_eq_str(p.consts[9].raw, "10"));
	}
	unmake();
}

/* More texts than slots: each is still planned as itself. */
Test(planner, many_texts_share_the_slots)
{
	make(100, NULL, NULL);
	char text[64];
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 5000; i++) {
			int n = snprintf(text, sizeof(text), "SELECT %d FROM plain", i);
			struct planned p = plan(text);
			cr_assert_eq(p.n_consts, 1);
			cr_assert_eq(p.consts[0].raw.n, (size_t)n - 18);
			cr_assert_eq((const char *)p.consts[0].raw.p, text + 7);
		}
	}
	cr_expect_eq(counts().parses, 1);
	unmake();
}

Test(planner, operands_are_those_of_the_text)
{
	make(100, NULL, NULL);
	(void)plan("SELECT * FROM plain WHERE a = 1 AND c = 'x'");
	struct planned p = plan("SELECT 'y', b FROM plain WHERE c = 'z' AND a = 44");
	cr_expect_str_eq(fixture_describe(&p), "READ CONTEXT plain.3='z'");
	p = plan("SELECT 'it''s', b FROM plain WHERE c = 'other' AND a = 45");
	cr_expect_str_eq(fixture_describe(&p), "READ CONTEXT plain.3='other'");
	cr_expect_eq(p.n_consts, 3);
	cr_expect(span_eq_str(p.consts[2].raw, "45"));
	unmake();
}

Test(planner, a_refused_text_does_not_spoil_its_shape)
{
	make(100, NULL, NULL);
	cr_expect_eq(plan("SELECT * FROM plain WHERE c = E'\\x'").plan->kind,
		     PLAN_READ);
	cr_expect_eq(plan("SELECT * FROM plain WHERE c = E'\\u00'").plan->kind,
		     PLAN_READ);
	planner_flush(planner);
	cr_expect_eq(plan("SELECT * FROM plain WHERE c = E'\\u00'").plan->kind,
		     PLAN_UNPARSED);
	cr_expect_eq(plan("SELECT * FROM plain WHERE c = E'\\u00'").plan->kind,
		     PLAN_UNPARSED);
	cr_expect_eq(counts().parses, 2);
	cr_expect_eq(plan("SELECT * FROM plain WHERE c = E'x'").plan->kind, PLAN_READ);
	unmake();
}

Test(planner, another_catalogue)
{
	make(100, NULL, NULL);
	cr_expect_eq(plan("SELECT * FROM plain").plan->bypass, BYPASS_NONE);
	cr_expect_eq(plan("SELECT * FROM plain").plan->catalog_version, 1);
	session.catalog = NULL;
	cr_expect_eq(plan("SELECT * FROM plain").plan->bypass, BYPASS_CATALOG);
	session.catalog = catalog;
	cr_expect_eq(plan("SELECT * FROM plain").plan->bypass, BYPASS_NONE);
	cr_expect_eq(counts().parses, 2);
	unmake();
}

Test(planner, search_path)
{
	make(100, NULL, NULL);
	static const struct {
		const char *path;
		const char *plan;
	} cases[] = {
		{ "public", "READ CONTEXT plain.1=1" },
		{ "pg_catalog, public", "READ CONTEXT plain.1=1" },
		{ "nosuch", "READ !UNKNOWN_RELATION all" },
		{ "", "READ !UNKNOWN_RELATION all" },
		/* The user's operators and functions would go before the system's. */
		{ "public, pg_catalog", "READ !UNKNOWN_RELATION" },
		{ "public, \"pg_catalog\"", "READ !UNKNOWN_RELATION" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		session.path_id = 10 + i;
		session.search_path = span_str(cases[i].path);
		struct planned p = plan("SELECT * FROM plain WHERE a = 1");
		cr_expect_str_eq(fixture_describe(&p), cases[i].plan, "%s: %s",
				 cases[i].path, fixture_describe(&p));
	}
	struct planned p = plan("INSERT INTO plain VALUES (1)");
	cr_expect_str_eq(fixture_describe(&p), "WRITE !WRITE all suspect");
	unmake();
}

Test(planner, least_recently_used_goes_first)
{
	make(4, NULL, NULL);
	static const char *const texts[] = {
		"SELECT a FROM plain", "SELECT b FROM plain", "SELECT c FROM plain",
		"SELECT d FROM plain", "SELECT a, b FROM plain"
	};
	struct plan *kept = plan_ref(plan(texts[1]).plan);
	for (size_t i = 0; i < 4; i++) {
		(void)plan(texts[i]);
	}
	(void)plan(texts[0]);
	cr_expect_eq(counts().parses, 4);
	(void)plan(texts[4]); /* texts[1] goes */
	cr_expect_eq(counts().shapes, 4);
	cr_expect_eq(counts().evictions, 1);
	(void)plan(texts[0]);
	cr_expect_eq(counts().parses, 5);
	(void)plan("SELECT b  FROM plain"); /* another text of the shape of texts[1] */
	cr_expect_eq(counts().parses, 6);
	/* A plan outlives its place in the table. */
	planner_flush(planner);
	cr_expect_eq(counts().shapes, 0);
	cr_expect_eq(kept->n_reads, 1);
	plan_unref(kept);
	unmake();
}

/* A table for a hundred shapes does not take a hundred times a megabyte. */
Test(planner, bytes_are_bounded)
{
	make(10, NULL, NULL);
	struct buf text;
	buf_init(&text, 65536);
	for (int i = 0; i < 20; i++) {
		buf_reset(&text);
		buf_append_str(&text, "INSERT INTO messages (channel_id, author_id, "
				      "body) VALUES (1, NULL, 'x')");
		for (int k = 0; k < 80 + i; k++) {
			buf_append_str(&text, ", (1, NULL, 'x')");
		}
		buf_append_u8(&text, 0);
		struct planned p = plan((const char *)text.data);
		cr_expect_eq(p.plan->writes[0].n_rows, 81 + i);
	}
	buf_fini(&text);
	cr_expect_lt(counts().shapes, 10);
	cr_expect_gt(counts().evictions, 10);
	unmake();
}

Test(planner, limits)
{
	make(10, NULL, NULL);
	struct buf text;
	buf_init(&text, 1U << 20);
	buf_append_str(&text, "SELECT a FROM plain WHERE a IN (1");
	for (int i = 0; i < 600; i++) {
		buf_append_str(&text, ",1");
	}
	buf_append_cstr(&text, ")");
	cr_expect_eq(plan((const char *)text.data).plan->bypass, BYPASS_TOO_LARGE);
	text.len--;
	while (text.len <= 65536) {
		buf_append_str(&text, "                ");
	}
	buf_append_u8(&text, 0);
	struct planned p = plan((const char *)text.data);
	cr_expect_eq(p.plan->kind, PLAN_UNPARSED);
	cr_expect(p.plan->writes_all);
	buf_fini(&text);
	/* A zero in the text cannot come from a client; it must not hide what follows.
	 */
	planner_plan(planner, SPAN_LIT("SELECT 1\0; DROP TABLE x"), &session, &p);
	cr_expect_eq(p.plan->kind, PLAN_UNPARSED);
	unmake();
}

Test(planner, text_and_hints)
{
	make(10, NULL, NULL);
	struct plan *p = plan("SELECT $2, 'x', -5 FROM \"plain\" WHERE a = 5").plan;
	cr_expect_str_eq(p->normalized,
			 "SELECT $2, $3, $4 FROM \"plain\" WHERE a = $5");
	cr_expect_neq(p->fingerprint, 0);
	cr_expect_eq(
	    p->fingerprint,
	    plan("SELECT $1, 'y', 7\nFROM plain WHERE a = 6").plan->fingerprint);
	cr_expect(p->needs_now_check);
	cr_expect_not(plan("SELECT * FROM plain").plan->needs_now_check);
	cr_expect(plan("SELECT * FROM plain WHERE a = $1").plan->needs_now_check);
	cr_expect_eq(p->hint_ttl_s, -1);
	static const struct {
		const char *hint;
		int32_t ttl;
		bool off;
	} hints[] = {
		{ "ttl=60", 60, false },
		{ "ttl=5m", 300, false },
		{ "TTL=2h , off", 7200, true },
		{ "off", -1, true },
		{ "ttl=", -1, false },
		{ "ttl=x", -1, false },
		{ "ttl=5x", -1, false },
		{ "ttl=5mm", -1, false },
		{ "ttl=99999999999", -1, false },
		{ "ttl=0", 0, false },
		{ "", -1, false },
		{ ",,", -1, false },
		{ "ttl=5,ttl=6", 6, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
		struct buf text;
		buf_init(&text, 4096);
		buf_printf(&text, "/*+ pgrecall(%s) */ SELECT 1", hints[i].hint);
		buf_append_u8(&text, 0);
		p = plan((const char *)text.data).plan;
		cr_expect_eq(p->hint_ttl_s, hints[i].ttl, "%s: %d", hints[i].hint,
			     p->hint_ttl_s);
		cr_expect_eq(p->hint_off, hints[i].off, "%s", hints[i].hint);
		buf_fini(&text);
	}
	unmake();
}

static void rules(void *arg, struct plan *p, const char *const *tables, size_t n)
{
	struct buf *seen = arg;
	for (size_t i = 0; i < n; i++) {
		buf_printf(seen, "%s ", tables[i]);
	}
	buf_append_str(seen, ". ");
	p->ttl_s = 42;
}

Test(planner, rules_are_asked_once_for_each_read)
{
	struct buf seen;
	buf_init(&seen, 4096);
	make(10, rules, &seen);
	cr_expect_eq(plan("SELECT * FROM v_msg, plain WHERE a = 1").plan->ttl_s, 42);
	cr_expect_eq(plan("SELECT * FROM v_msg, plain WHERE a = 2").plan->ttl_s, 42);
	(void)plan("INSERT INTO plain VALUES (1)");
	(void)plan("SELECT 1; SELECT * FROM plain");
	buf_append_u8(&seen, 0);
	cr_expect_str_eq((const char *)seen.data,
			 "public.v_msg public.messages public.channels public.plain . "
			 ". public.plain . ");
	buf_fini(&seen);
	unmake();
}
