/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What runs with a write: foreign key actions, triggers, defaults and checks. */

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fixture_catalog.h"

#define CATALOG(...)                                                 \
	fixture_catalog((const struct fixture_row[]){ __VA_ARGS__ }, \
			ARRAY_LEN(((const struct fixture_row[]){ __VA_ARGS__ })))

static const struct relation *rel(const struct catalog *catalog, uint32_t oid)
{
	const struct relation *relation = relations_by_oid(catalog, oid);
	cr_assert_not_null(relation, "%u", oid);
	return relation;
}

/* Whether the foreign keys reach exactly the N roots. */
static void expect_fk(const struct catalog *catalog, uint32_t oid,
		      enum relation_event event, bool is_dangerous, size_t n, ...)
{
	const struct relation_fk *fk = &rel(catalog, oid)->fk[event];
	cr_expect_eq(fk->is_dangerous, is_dangerous, "%u %d", oid, (int)event);
	cr_expect_eq(fk->n_roots, n, "%u %d: %d roots", oid, (int)event, fk->n_roots);
	va_list args;
	va_start(args, n);
	for (size_t i = 0; i < n; i++) {
		unsigned want = va_arg(args, unsigned);
		bool is_found = false;
		for (size_t k = 0; k < fk->n_roots; k++) {
			is_found |= fk->roots[k] == want;
		}
		cr_expect(is_found, "%u %d: no %u", oid, (int)event, want);
	}
	va_end(args);
}

#define CHAT                                                                       \
	TABLE("100", "users"), TABLE("101", "channels"), TABLE("102", "messages"), \
	    TABLE("103", "reads"), COLUMN("100", "1", "id", "20"),                 \
	    COLUMN("100", "2", "name", "25"), COLUMN("101", "1", "id", "20"),      \
	    COLUMN("102", "1", "id", "20")

Test(catalog_code, foreign_keys_are_followed)
{
	struct catalog *catalog =
	    CATALOG(CHAT, ROW(foreign_keys, "100", "101", "c", "a", "1"),
		    ROW(foreign_keys, "101", "102", "n", "a", "1"),
		    ROW(foreign_keys, "102", "103", "r", "c", "1"),
		    ROW(foreign_keys, "102", "102", "c", "a", "1"));
	/* users: channels deleted, messages set null, which reads follow. */
	expect_fk(catalog, 100, RELATION_DELETE, false, 3, 101, 102, 103);
	expect_fk(catalog, 100, RELATION_UPDATE, false, 0);
	expect_fk(catalog, 100, RELATION_TRUNCATE, false, 3, 101, 102, 103);
	expect_fk(catalog, 101, RELATION_DELETE, false, 2, 102, 103);
	expect_fk(catalog, 102, RELATION_DELETE, false, 1, 102);
	expect_fk(catalog, 102, RELATION_UPDATE, false, 1, 103);
	expect_fk(catalog, 103, RELATION_DELETE, false, 0);
	expect_fk(catalog, 100, RELATION_INSERT, false, 0);
	catalog_unref(catalog);
}

Test(catalog_code, actions_are_what_they_are_called)
{
	static const struct {
		const char *on_delete;
		const char *on_update;
		bool deletes;
		bool updates;
	} cases[] = {
		{ "a", "a", false, false }, { "r", "r", false, false },
		{ "c", "a", true, false },  { "n", "a", true, false },
		{ "d", "r", true, false },  { "a", "c", false, true },
		{ "r", "n", false, true },  { "a", "d", false, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct catalog *catalog =
		    CATALOG(CHAT, ROW(foreign_keys, "100", "101", cases[i].on_delete,
				      cases[i].on_update, "2 1"));
		expect_fk(catalog, 100, RELATION_DELETE, false, cases[i].deletes, 101);
		expect_fk(catalog, 100, RELATION_UPDATE, false, cases[i].updates, 101);
		expect_fk(catalog, 100, RELATION_TRUNCATE, false, 1, 101);
		for (int16_t k = 1; k <= 2; k++) {
			cr_expect_eq(
			    relation_column_at(rel(catalog, 100), k)->is_referenced,
			    cases[i].updates);
		}
		catalog_unref(catalog);
	}
}

Test(catalog_code, foreign_keys_reach_triggers_and_rules)
{
	struct catalog *catalog = CATALOG(
	    CHAT, ROW(foreign_keys, "100", "101", "c", "a", "1"),
	    ROW(foreign_keys, "101", "102", "n", "a", "1"),
	    ROW(foreign_keys, "102", "103", "a", "c", "1"), ROW(rules, "103", "f"),
	    ROW(trigger_functions, "7", "f", "f", "BEGIN RETURN OLD; END"),
	    ROW(trigger_functions, "8", "g", "f", "BEGIN DELETE FROM x; END"),
	    ROW(triggers, "101", "9", "7"), ROW(triggers, "102", "5", "8"));
	cr_expect_eq(rel(catalog, 101)->triggers[RELATION_DELETE], TRIGGER_HARMLESS);
	cr_expect_eq(rel(catalog, 102)->triggers[RELATION_INSERT], TRIGGER_DANGEROUS);
	/* SET NULL in messages goes on to reads, which has a rule. */
	expect_fk(catalog, 101, RELATION_DELETE, true, 2, 102, 103);
	expect_fk(catalog, 102, RELATION_DELETE, false, 0);
	expect_fk(catalog, 102, RELATION_UPDATE, true, 1, 103);
	catalog_unref(catalog);
}

Test(catalog_code, foreign_keys_of_trees_are_those_of_the_root)
{
	struct catalog *catalog =
	    CATALOG(ROW(relations, "100", "2200", "p", "p", "p", "-1", "f"),
		    TABLE("101", "p1"), TABLE("102", "child"), TABLE("103", "child1"),
		    COLUMN("100", "1", "id", "20"), COLUMN("101", "2", "id", "20"),
		    ROW(parents, "101", "100"), ROW(parents, "103", "102"),
		    ROW(foreign_keys, "101", "103", "c", "a", "2"));
	for (uint32_t oid = 100; oid <= 101; oid++) {
		expect_fk(catalog, oid, RELATION_DELETE, false, 1, 102);
		/* Rows that move between partitions were deletes to old versions. */
		expect_fk(catalog, oid, RELATION_UPDATE, false, 1, 102);
		cr_expect(
		    relation_column(rel(catalog, oid), SPAN_LIT("id"))->is_referenced);
	}
	catalog_unref(catalog);
}

Test(catalog_code, a_generated_key_may_change_with_any_column)
{
	struct catalog *catalog = CATALOG(
	    TABLE("100", "a"), TABLE("101", "b"), COLUMN("100", "1", "plain", "20"),
	    ROW(columns, "100", "2", "made", "20", "t", "t", "t", "t", NULL),
	    ROW(foreign_keys, "100", "101", "a", "c", "2"));
	cr_expect(relation_column_at(rel(catalog, 100), 1)->is_referenced);
	catalog_unref(catalog);
}

Test(catalog_code, too_many_roots_are_dangerous)
{
	enum {
		N = RELATION_MAX_FK + 2
	};
	static char oids[N][8];
	static struct fixture_row rows[2 * N];
	for (size_t i = 0; i < N; i++) {
		snprintf(oids[i], sizeof(oids[i]), "%zu", 100 + i);
		rows[i] = (struct fixture_row)TABLE(oids[i], oids[i]);
		rows[N + i] = (struct fixture_row)ROW(foreign_keys, oids[i],
						      oids[(i + 1) % N], "c", "a", "1");
	}
	struct catalog *catalog = fixture_catalog(rows, ARRAY_LEN(rows));
	cr_expect(rel(catalog, 100)->fk[RELATION_DELETE].is_dangerous);
	cr_expect_eq(rel(catalog, 100)->fk[RELATION_DELETE].n_roots, RELATION_MAX_FK);
	catalog_unref(catalog);
}

Test(catalog_code, triggers_count_for_their_events)
{
	struct catalog *catalog =
	    CATALOG(TABLE("100", "a"), TABLE("101", "b"), TABLE("102", "c"),
		    ROW(trigger_functions, "7", "f", "f", "BEGIN RETURN NEW; END"),
		    ROW(trigger_functions, "3", "tsvector_update_trigger", "t", NULL),
		    ROW(trigger_functions, "9", "tsvector_update_trigger", "f", NULL),
		    ROW(trigger_functions, "4", "lo_manage", "t", NULL),
		    ROW(triggers, "100", "23", "7"), /* before insert or update */
		    ROW(triggers, "100", "32", "9"), /* after truncate */
		    ROW(triggers, "100", "17", "4"), /* after update, each row */
		    ROW(triggers, "101", "7", "3"), ROW(triggers, "102", "9", "12345"));
	const struct relation *a = rel(catalog, 100);
	cr_expect_eq(a->triggers[RELATION_INSERT], TRIGGER_HARMLESS);
	cr_expect_eq(a->triggers[RELATION_UPDATE], TRIGGER_DANGEROUS);
	cr_expect_eq(a->triggers[RELATION_DELETE], TRIGGER_NONE);
	cr_expect_eq(a->triggers[RELATION_TRUNCATE], TRIGGER_DANGEROUS);
	cr_expect_eq(rel(catalog, 101)->triggers[RELATION_INSERT], TRIGGER_HARMLESS);
	cr_expect_eq(rel(catalog, 102)->triggers[RELATION_DELETE], TRIGGER_DANGEROUS,
		     "a function that is not known");
	catalog_unref(catalog);
}

Test(catalog_code, a_trigger_may_not_call_functions_of_users)
{
	static const char source[] = "BEGIN NEW.x := Make(NEW.x); RETURN NEW; END";
	static const struct {
		const char *schema;
		const char *name;
		const char *is_unknown;
		enum trigger_danger danger;
	} cases[] = {
		{ "2200", "make", "t", TRIGGER_DANGEROUS },
		{ "2200", "make", "f", TRIGGER_HARMLESS }, /* a known extension's */
		{ "2200", "other", "t", TRIGGER_HARMLESS },
		{ "11", "make", "t", TRIGGER_HARMLESS }, /* PostgreSQL's */
		{ "2200", "Make", "t", TRIGGER_HARMLESS },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct catalog *catalog =
		    CATALOG(TABLE("100", "a"),
			    ROW(functions, cases[i].schema, cases[i].name, "2", "t",
				cases[i].is_unknown, "f", "f", "f"),
			    ROW(trigger_functions, "7", "f", "f", source),
			    ROW(triggers, "100", "7", "7"));
		cr_expect_eq(rel(catalog, 100)->triggers[RELATION_INSERT],
			     cases[i].danger, "%zu", i);
		catalog_unref(catalog);
	}
}

#define TRIGGER(source) \
	ROW(trigger_functions, "7", "f", "f", source), ROW(triggers, "100", "7", "7")
#define SETTER ROW(setters, "2200", "turn")

/* What runs with a write may change the session of who writes. */
Test(catalog_code, code_that_sets)
{
	static const struct {
		struct fixture_row rows[3];
		size_t n;
		bool sets;
	} cases[] = {
		{ { TRIGGER("BEGIN SET a.b = 1; END") }, 2, true },
		{ { TRIGGER("BEGIN DELETE FROM x; END") }, 2, false },
		{ { TRIGGER("BEGIN DELETE FROM x; END"), SETTER }, 3, false },
		/* nobody knows what a helper calls */
		{ { TRIGGER("BEGIN PERFORM help(); END"), SETTER }, 3, true },
		{ { TRIGGER("BEGIN PERFORM help(); END") }, 2, false },
		{ { ROW(code, "100", "d"), SETTER }, 2, true },
		{ { ROW(code, "100", "d") }, 1, false },
		{ { ROW(rules, "100", "t") }, 1, true },
		{ { ROW(rules, "100", "f") }, 1, false },
		{ { ROW(rules, "100", "f"), SETTER }, 2, true },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture_row rows[7] = {
			TABLE("100", "a"),
			TABLE("101", "b"),
			ROW(functions, "2200", "turn", "1", "f", "f", "f", "f", "f"),
			ROW(functions, "2200", "help", "2", "t", "t", "f", "f", "f"),
		};
		memcpy(rows + 4, cases[i].rows, cases[i].n * sizeof(rows[0]));
		struct catalog *catalog = fixture_catalog(rows, 4 + cases[i].n);
		cr_expect_eq(rel(catalog, 100)->trigger_sets, cases[i].sets, "%zu", i);
		cr_expect_eq(relations_has_setting_code(catalog), cases[i].sets, "%zu",
			     i);
		cr_expect_not(rel(catalog, 101)->trigger_sets);
		catalog_unref(catalog);
	}
}

Test(catalog_code, defaults_and_checks_count_as_triggers)
{
	struct catalog *catalog =
	    CATALOG(TABLE("100", "a"), TABLE("101", "b"), TABLE("102", "c"),
		    ROW(code, "100", "d"), ROW(code, "101", "t"), ROW(hidden, "cast"));
	cr_expect_eq(rel(catalog, 100)->triggers[RELATION_INSERT], TRIGGER_DANGEROUS);
	cr_expect_eq(rel(catalog, 100)->triggers[RELATION_UPDATE], TRIGGER_DANGEROUS);
	cr_expect_eq(rel(catalog, 100)->triggers[RELATION_DELETE], TRIGGER_NONE);
	cr_expect_eq(rel(catalog, 101)->triggers[RELATION_DELETE], TRIGGER_DANGEROUS);
	cr_expect_eq(rel(catalog, 102)->triggers[RELATION_INSERT], TRIGGER_NONE);
	cr_expect(relations_has_hidden_volatile(catalog));
	catalog_unref(catalog);
	catalog = CATALOG(TABLE("100", "a"));
	cr_expect(!relations_has_hidden_volatile(catalog));
	catalog_unref(catalog);
}
