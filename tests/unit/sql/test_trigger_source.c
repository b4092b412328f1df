/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "sql/trigger_source.h"

static bool is_mine(const void *arg, struct span name)
{
	return span_eq_str(name, "mine") || span_eq_str(name, "Mixed");
}

static enum trigger_danger danger(const char *source, size_t n)
{
	/* A block of exactly this size, so that the sanitizer sees a read past it. */
	char *copy = malloc(n + (n == 0));
	memcpy(copy, source, n);
	enum trigger_danger d =
	    trigger_source_danger(span_make(copy, n), is_mine, NULL);
	free(copy);
	return d;
}

Test(trigger_source, harmless)
{
	static const char *const sources[] = {
		"",
		"begin new.updated_at := now(); return new; end",
		"begin new.updated_at = current_timestamp; return new; end;",
		"BEGIN IF TG_OP = 'UPDATE' OR TG_OP = 'DELETE' THEN RETURN OLD; END "
		"IF; "
		"RETURN NEW; END",
		"begin -- UPDATE x\n return new; end",
		"begin /* delete /* insert */ select */ return new; end",
		"begin -- ends here: insert",
		"declare n int := 1e5; begin new.a := n + 0x1f; return new; end",
		"begin new.select := 1; new.comment := trim(both from new.comment); "
		"end",
		"begin new.a := extract(epoch from now()); return new; end",
		"begin if new.a is distinct from old.a then new.v := old.v + 1; end "
		"if; end",
		"begin new.a := $q$ delete from x $q$ || $$ select $$; end",
		"begin new.a := E'it\\'s; delete from x'; return new; end",
		"begin new.a := 'it''s; delete from x'; return new; end",
		"begin new.a := 'C:\\dir'; return new; end",
		"begin perform pg_notify('c', row_to_json(new)::text); return new; end",
		"begin perform pg_catalog.pg_notify('c', ''); return new; end",
		"begin raise exception 'no % here', tg_op; end",
		"begin new.\"delete\" := 1; return new; end",
		"begin new.a := now() at time zone 'utc'; return new; end",
		"declare t timestamp with time zone; begin return new; end",
		"begin for i in 1..10 loop new.n := new.n + i; end loop; return new; "
		"end",
		"begin new.mixed := 1; new.MIXED := 2; end",
		"begin new.id := nextval('s'); return new; end",
	};
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		cr_expect_eq(danger(sources[i], strlen(sources[i])), TRIGGER_HARMLESS,
			     "%s", sources[i]);
	}
}

Test(trigger_source, dangerous)
{
	static const char *const sources[] = {
		"begin insert into audit values (new.id); return new; end",
		"begin UPDATE t SET n = n + 1; return new; end",
		"begin Delete From t; end",
		"begin merge into t using u on true when matched then delete; end",
		"begin execute 'delete' || ' from t'; end",
		"begin perform f(); end",
		"begin perform pg_notify_all(); end",
		"begin perform public.pg_notify('a', 'b'); end",
		"begin perform 1 from v; end",
		"begin perform pg_notify('a', b) from v; end",
		"begin call p(); end",
		"begin truncate t; end",
		"begin new.n := (select count(*) from t); end",
		"begin new.n := count(*) from v; end",
		"begin copy t from '/tmp/x'; end",
		"begin new.a := set_config('search_path', '', false); end",
		"begin set local work_mem = '1MB'; end",
		"begin new.a := mine(new.a); end",
		"begin new.a := public . mine(new.a); end",
		"begin new.a := MINE(new.a); end",
		"begin new.a := \"mine\"(new.a); end",
		"begin new.a := \"Mixed\"(new.a); end",
		"begin new.a := new.mine; end",
		"begin new.a := lo_unlink(1); end",
		"begin new.a := query_to_xml('x', true, true, ''); end",
		"begin new.a := U&\"\\006dine\"(1); end",
		"begin for r in table v loop end loop; end",
		"begin for r in values (1) loop end loop; end",
		"declare c cursor for table v; begin open c; end",
		"begin new.a := 'it\\'; delete from t; --'; end",
		"begin new.a := 'never ends",
		"begin /* never ends",
		"begin $q$ never ends $$",
		"begin new.\"never ends",
		"a23456789012345678901234567890123456789012345678901234567890123456()",
		"begin new.a := 'x'delete from t; end",
		"begin new.a := 1;delete from t; end",
		"begin/**/delete/**/from t; end",
		"begin lock t; end",
		"begin create temp table x (y int); end",
	};
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		cr_expect_eq(danger(sources[i], strlen(sources[i])), TRIGGER_DANGEROUS,
			     "%s", sources[i]);
	}
}

/* Whatever a prefix of a source is, reading it stays inside. */
Test(trigger_source, every_prefix_is_read_safely)
{
	static const char source[] =
	    "begin /* a /* b */ c */ new.\"x\"\"y\" := E'\\'q' || $t$ z $t$ || U&'a'; "
	    "-- end\n perform pg_catalog.pg_notify('a', 1e5::text); $1 $a$b$ .. end";
	for (size_t n = 0; n <= sizeof(source) - 1; n++) {
		enum trigger_danger d = danger(source, n);
		cr_assert(d == TRIGGER_HARMLESS || d == TRIGGER_DANGEROUS);
	}
}

static bool sets(const char *source)
{
	return trigger_source_sets(span_str(source));
}

Test(trigger_source, what_changes_the_session)
{
	cr_expect(sets("BEGIN PERFORM set_config('a.b', 'c', false); RETURN NEW; END"));
	cr_expect(sets("BEGIN SET search_path = other; RETURN NEW; END"));
	cr_expect(sets("BEGIN RETURN NEW; RESET ALL; END"));
	cr_expect(sets("BEGIN IF true THEN SET a.b = 1; END IF; END"));
	cr_expect(sets("BEGIN CREATE TEMP TABLE x (y int); END"));
	cr_expect(sets("BEGIN listen a; RETURN NEW; END"));
	cr_expect(sets("BEGIN EXECUTE 'UnListen a'; RETURN NEW; END"));
	cr_expect(sets("BEGIN x := 'never ends; END"));
	cr_expect(sets("BEGIN EXECUTE 'SET a.b = ' || x; END"));
	cr_expect(sets("BEGIN x := query_to_xml(y, true, true, ''); END"));
	cr_expect(sets("BEGIN IF a THEN ALTER TABLE t ADD b int; END IF; END"));
	cr_expect_not(sets("BEGIN UPDATE t SET a = 1; RETURN NEW; END"));
	cr_expect_not(sets("BEGIN RAISE NOTICE 'set_config'; /* temp */ END"));
	cr_expect_not(sets("BEGIN NEW.at := now(); RETURN NEW; END"));
}

static bool is_turn(const void *arg, struct span name)
{
	return span_eq_str(name, "turn");
}

Test(trigger_source, whom_it_calls)
{
	static const struct {
		const char *source;
		bool calls;
	} cases[] = {
		{ "BEGIN PERFORM turn(); RETURN NEW; END", true },
		{ "BEGIN NEW.a := length(public.\"turn\"()); RETURN NEW; END", true },
		{ "BEGIN SELECT x INTO y FROM Turn(1); RETURN NEW; END", true },
		{ "BEGIN x := 'never ends; END", true },
		{ "BEGIN RAISE NOTICE 'turn()'; /* turn() */ RETURN NEW; END", false },
		{ "BEGIN PERFORM returns(); RETURN NEW; END", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cr_expect_eq(
		    trigger_source_calls(span_str(cases[i].source), is_turn, NULL),
		    cases[i].calls, "%s", cases[i].source);
	}
}
