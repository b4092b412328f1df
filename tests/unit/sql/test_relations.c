/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "fixture_catalog.h"
#include "sql/relations.h"

#define EMPTY ((struct span){ 0 })

static struct catalog *catalog;
static struct search_path path;

static void setup(void)
{
	static const struct fixture_row rows[] = {
		ROW(schemas, "2202", "app", "t"),
		ROW(schemas, "2203", "Mixed \"Case\"", "t"),
		ROW(schemas, "2204", "pg_temp_3", "f"),
		ROW(relations, "50", "11", "pg_class", "r", "p", "300", "f"),
		ROW(relations, "51", "12", "tables", "v", "p", "0", "f"),
		TABLE("100", "t"),
		TABLE("101", "users"),
		ROW(relations, "102", "2201", "t", "p", "p", "-1", "f"),
		ROW(relations, "103", "2202", "t", "m", "p", "-1", "f"),
		ROW(relations, "104", "2200", "pg_class", "v", "p", "-1", "f"),
		ROW(relations, "105", "2203", "t", "f", "p", "-1", "t"),
		ROW(relations, "106", "2204", "tmp", "r", "t", "-1", "f"),
		ROW(relations, "107", "2200", "s", "S", "p", "1", "f"),
		ROW(functions, "11", "lower", "0", "f", "f", "f", "f", "f"),
		ROW(functions, "11", "now", "1", "f", "f", "f", "f", "f"),
		ROW(functions, "11", "unnest", "0", "f", "f", "t", "f", "f"),
		ROW(functions, "2200", "lower", "2", "t", "t", "t", "f", "f"),
		ROW(functions, "2201", "now", "2", "f", "t", "f", "f", "t"),
		ROW(functions, "2202", "proc", "1", "t", "t", "f", "t", "f"),
		ROW(operators, "11", "+", "1", "f"),
		ROW(operators, "11", "<->", "0", "f"),
		ROW(operators, "2200", "<->", "0", "t"),
		ROW(operators, "2200", "=", "0", "t"),
		ROW(operators, "11", "=", "1", "f"),
		ROW(operators, "2200", "@@@", "2", "f"),
		ROW(types, "23", "11", "int4", "b", "0", "0", "0", "0"),
		ROW(types, "25", "11", "text", "b", "0", "0", "0", "0"),
		ROW(types, "1007", "11", "_int4", "b", "23", "0", "0", "1"),
		ROW(types, "1184", "11", "timestamptz", "b", "0", "0", "0", "1"),
		ROW(types, "3910", "11", "tstzrange", "r", "0", "0", "1184", "1"),
		ROW(types, "3911", "11", "_tstzrange", "b", "3910", "0", "0", "1"),
		ROW(types, "2205", "11", "regclass", "b", "0", "0", "0", "1"),
		ROW(types, "2210", "11", "_regclass", "b", "2205", "0", "0", "1"),
		ROW(types, "3734", "11", "regconfig", "b", "0", "0", "0", "1"),
		ROW(types, "300", "2200", "_later", "b", "301", "0", "0", "1"),
		ROW(types, "301", "2200", "later", "d", "0", "1184", "0", "1"),
		ROW(types, "302", "2200", "mood", "e", "0", "0", "0", "1"),
		ROW(types, "303", "2200", "pair", "c", "0", "0", "0", "1"),
		ROW(types, "304", "2200", "_odd", "b", "999", "0", "0", "1"),
		ROW(types, "305", "2200", "regular", "b", "0", "0", "0", "2"),
		ROW(types, "306", "2200", "text", "b", "0", "0", "0", "2"),
		ROW(types, "307", "2200", "positive", "d", "0", "23", "0", "1"),
	};
	catalog = fixture_catalog(rows, ARRAY_LEN(rows));
}

static void teardown(void)
{
	catalog_unref(catalog);
}

TestSuite(relations, .init = setup, .fini = teardown);

static void set_path(const char *setting, const char *user)
{
	search_path_init(&path, catalog, span_str(setting), span_str(user));
}

/* The path's schemas as "a b", with "!" when it is broken and "+" with pg_temp. */
static const char *path_text(const char *setting, const char *user)
{
	static char text[2000];
	set_path(setting, user);
	int n = snprintf(text, sizeof(text), "%s%s", path.is_broken ? "! " : "",
			 path.has_temp ? "+ " : "");
	for (size_t i = 0; i < path.n_schemas; i++) {
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%s",
			      i == 0 ? "" : " ",
			      catalog->schemas.items[path.schemas[i]].name);
	}
	return text;
}

Test(relations, search_path_is_read_as_postgresql_does)
{
	static const struct {
		const char *setting;
		const char *user;
		const char *want;
	} cases[] = {
		{ "", "app", "pg_catalog" },
		{ "\"\"", "app", "pg_catalog" },
		{ "public", "app", "pg_catalog public" },
		{ "\"$user\", public", "app", "pg_catalog app public" },
		{ "$user,public", "app", "pg_catalog app public" },
		{ "\"$user\", public", "other", "pg_catalog public" },
		{ "\"$user\", public", "nobody", "pg_catalog public" },
		{ "\"$user\"", "public", "pg_catalog public" },
		{ " PUBLIC ,\n app ", "app", "pg_catalog public app" },
		{ "\"PUBLIC\", app", "app", "pg_catalog app" },
		{ "\"Mixed \"\"Case\"\"\"", "app", "pg_catalog Mixed \"Case\"" },
		{ "nowhere, app", "app", "pg_catalog app" },
		{ "app, app, public, app", "app", "pg_catalog app public" },
		{ "public, pg_catalog", "app", "public pg_catalog" },
		{ "pg_catalog, public", "app", "pg_catalog public" },
		{ "public, pg_catalog, app, pg_catalog", "app",
		  "public pg_catalog app" },
		{ "pg_temp, public", "app", "+ pg_catalog public" },
		{ "public, pg_temp_3", "postgres", "+ pg_catalog public" },
		{ "hidden, public", "app", "pg_catalog hidden public" },
		{ "hidden, public", "postgres", "pg_catalog hidden public" },
		{ "hidden, public", "other", "pg_catalog public" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cr_expect_str_eq(path_text(cases[i].setting, cases[i].user),
				 cases[i].want, "%s for %s: %s", cases[i].setting,
				 cases[i].user,
				 path_text(cases[i].setting, cases[i].user));
	}
}

Test(relations, unreadable_search_paths_find_nothing)
{
	static const char *const settings[] = {
		"a b",
		"public,",
		",public",
		",",
		"\"public",
		"pub\"lic\"",
		"\"public\"x",
		"caf\xc3\xa9",
		"hidden",
		"a23456789012345678901234567890123456789012345678901234567890123456789",
	};
	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		set_path(settings[i], "nobody");
		cr_expect(path.is_broken, "%s", settings[i]);
		cr_expect_null(relations_find(catalog, &path, EMPTY, SPAN_LIT("t")));
		cr_expect_not_null(
		    relations_find(catalog, &path, SPAN_LIT("public"), SPAN_LIT("t")));
	}
}

Test(relations, long_search_paths_are_bounded)
{
	static struct fixture_row rows[SEARCH_PATH_MAX + 10];
	static char names[ARRAY_LEN(rows)][8];
	static char oids[ARRAY_LEN(rows)][8];
	char setting[ARRAY_LEN(rows) * 9] = "";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(names[i], sizeof(names[i]), "s%zu", i);
		snprintf(oids[i], sizeof(oids[i]), "%zu", 3000 + i);
		rows[i] = (struct fixture_row)ROW(schemas, oids[i], names[i], "t");
		size_t n = strlen(setting);
		snprintf(setting + n, sizeof(setting) - n, "%s%s", i == 0 ? "" : ",",
			 names[i]);
	}
	struct catalog *wide = fixture_catalog(rows, ARRAY_LEN(rows));
	search_path_init(&path, wide, span_str(setting), SPAN_LIT("app"));
	cr_expect(path.is_broken);
	cr_expect_eq(path.n_schemas, SEARCH_PATH_MAX);
	catalog_unref(wide);
}

Test(relations, names_are_resolved_along_the_path)
{
	static const struct {
		const char *setting;
		const char *user;
		const char *schema;
		const char *name;
		uint32_t oid;
	} cases[] = {
		{ "\"$user\", public", "app", "", "t", 103 },
		{ "\"$user\", public", "other", "", "t", 100 },
		{ "hidden, public", "app", "", "t", 102 },
		{ "hidden, public", "other", "", "t", 100 },
		{ "public", "app", "", "users", 101 },
		{ "app", "app", "", "users", 0 },
		{ "", "app", "", "t", 0 },
		{ "", "app", "public", "t", 100 },
		{ "public", "app", "hidden", "t", 102 },
		{ "public", "app", "Mixed \"Case\"", "t", 105 },
		{ "public", "app", "nowhere", "t", 0 },
		{ "public", "app", "", "T", 0 },
		{ "public", "app", "", "", 0 },
		{ "public", "app", "", "pg_class", 50 },
		{ "public, pg_catalog", "app", "", "pg_class", 104 },
		{ "pg_temp", "app", "pg_temp", "tmp", 0 },
		{ "public", "app", "", "tables", 0 },
		{ "public", "app", "information_schema", "tables", 51 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		set_path(cases[i].setting, cases[i].user);
		const struct relation *found = relations_find(
		    catalog, &path, span_str(cases[i].schema), span_str(cases[i].name));
		cr_expect_eq(found == NULL ? 0 : found->oid, cases[i].oid, "%zu", i);
	}
}

Test(relations, say_what_they_are)
{
	static const struct {
		uint32_t oid;
		enum relation_kind kind;
		bool is_system;
		bool is_temp;
		bool has_row_security;
	} cases[] = {
		{ 50, RELATION_TABLE, true, false, false },
		{ 51, RELATION_VIEW, true, false, false },
		{ 100, RELATION_TABLE, false, false, false },
		{ 102, RELATION_PARTITIONED, false, false, false },
		{ 103, RELATION_MATVIEW, false, false, false },
		{ 105, RELATION_FOREIGN, false, false, true },
		{ 106, RELATION_TABLE, false, true, false },
		{ 107, RELATION_SEQUENCE, false, false, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct relation *r = relations_by_oid(catalog, cases[i].oid);
		cr_assert_not_null(r);
		cr_expect_eq(r->kind, cases[i].kind, "%u", r->oid);
		cr_expect_eq(r->is_system, cases[i].is_system, "%u", r->oid);
		cr_expect_eq(r->is_temp, cases[i].is_temp, "%u", r->oid);
		cr_expect_eq(r->has_row_security, cases[i].has_row_security, "%u",
			     r->oid);
		cr_expect_eq(r->has_foreign_member, r->kind == RELATION_FOREIGN);
		cr_expect_eq(r->root, r->oid);
	}
	cr_expect_null(relations_by_oid(catalog, 0));
	cr_expect_null(relations_by_oid(catalog, 99999));
}

Test(relations, functions_are_the_worst_of_what_is_visible)
{
	struct function_info f;
	set_path("app", "app");
	cr_assert(relations_function(catalog, &path, EMPTY, SPAN_LIT("lower"), &f));
	cr_expect(f.volatility == VOLATILITY_IMMUTABLE && f.is_system && !f.may_write);
	cr_assert(relations_function(catalog, &path, EMPTY, SPAN_LIT("unnest"), &f));
	cr_expect(f.is_set_returning);
	cr_assert(relations_function(catalog, &path, EMPTY, SPAN_LIT("proc"), &f));
	cr_expect(f.is_procedure && !f.is_system && f.may_write);
	cr_expect_eq(f.volatility, VOLATILITY_STABLE);
	cr_expect(!relations_function(catalog, &path, EMPTY, SPAN_LIT("nope"), &f));

	set_path("public", "app");
	cr_assert(relations_function(catalog, &path, EMPTY, SPAN_LIT("lower"), &f));
	cr_expect(f.volatility == VOLATILITY_VOLATILE && !f.is_system && f.may_write);
	cr_expect(f.is_set_returning);
	cr_assert(relations_function(catalog, &path, SPAN_LIT("pg_catalog"),
				     SPAN_LIT("lower"), &f));
	cr_expect(f.is_system);
	cr_expect(!relations_function(catalog, &path, EMPTY, SPAN_LIT("proc"), &f));

	set_path("hidden", "app");
	cr_assert(relations_function(catalog, &path, EMPTY, SPAN_LIT("now"), &f));
	cr_expect(f.volatility == VOLATILITY_VOLATILE && f.is_aggregate &&
		  !f.may_write);
	set_path("hidden", "other");
	cr_assert(relations_function(catalog, &path, EMPTY, SPAN_LIT("now"), &f));
	cr_expect(f.volatility == VOLATILITY_STABLE && f.is_system);
}

Test(relations, operators_are_the_worst_of_all)
{
	static const struct {
		const char *name;
		enum volatility volatility;
		bool is_system;
		bool is_vector;
	} cases[] = {
		{ "+", VOLATILITY_STABLE, true, false },
		{ "<->", VOLATILITY_IMMUTABLE, false, true },
		{ "=", VOLATILITY_STABLE, false, false }, /* no distance */
		{ "@@@", VOLATILITY_VOLATILE, false, false },
	};
	struct operator_info op;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cr_assert(relations_operator(catalog, span_str(cases[i].name), &op));
		cr_expect_eq(op.volatility, cases[i].volatility, "%s", cases[i].name);
		cr_expect_eq(op.is_system, cases[i].is_system, "%s", cases[i].name);
		cr_expect_eq(op.is_vector, cases[i].is_vector, "%s", cases[i].name);
	}
	cr_expect(!relations_operator(catalog, SPAN_LIT("<#>"), &op));
}

Test(relations, types_tell_what_is_inside)
{
	static const struct {
		const char *name;
		uint32_t oid;
		enum volatility input;
		enum canon canon;
		const char *flags; /* s system, r reg, d domain, t time */
	} cases[] = {
		{ "int4", 23, VOLATILITY_IMMUTABLE, CANON_INT, "s" },
		{ "_int4", 1007, VOLATILITY_IMMUTABLE, CANON_NONE, "s" },
		{ "timestamptz", 1184, VOLATILITY_STABLE, CANON_NONE, "st" },
		{ "tstzrange", 3910, VOLATILITY_STABLE, CANON_NONE, "st" },
		{ "_tstzrange", 3911, VOLATILITY_STABLE, CANON_NONE, "st" },
		{ "regclass", 2205, VOLATILITY_STABLE, CANON_NONE, "sr" },
		{ "_regclass", 2210, VOLATILITY_STABLE, CANON_NONE, "sr" },
		{ "regconfig", 3734, VOLATILITY_STABLE, CANON_NONE, "s" },
		{ "later", 301, VOLATILITY_STABLE, CANON_NONE, "dt" },
		{ "_later", 300, VOLATILITY_STABLE, CANON_NONE, "dt" },
		{ "positive", 307, VOLATILITY_IMMUTABLE, CANON_NONE, "d" },
		{ "mood", 302, VOLATILITY_IMMUTABLE, CANON_NONE, "" },
		{ "pair", 303, VOLATILITY_STABLE, CANON_NONE, "dt" },
		{ "_odd", 304, VOLATILITY_STABLE, CANON_NONE, "dt" },
		{ "regular", 305, VOLATILITY_VOLATILE, CANON_NONE, "" },
		{ "text", 25, VOLATILITY_IMMUTABLE, CANON_TEXT, "s" },
	};
	set_path("public", "app");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct type_info t;
		cr_assert(
		    relations_type(catalog, &path, EMPTY, span_str(cases[i].name), &t),
		    "%s", cases[i].name);
		cr_expect_eq(t.oid, cases[i].oid, "%s", cases[i].name);
		cr_expect_eq(t.input_volatility, cases[i].input, "%s", cases[i].name);
		cr_expect_eq(t.canon, cases[i].canon, "%s", cases[i].name);
		const char *flags = cases[i].flags;
		cr_expect_eq(t.is_system, strchr(flags, 's') != NULL, "%s",
			     cases[i].name);
		cr_expect_eq(t.is_reg, strchr(flags, 'r') != NULL, "%s", cases[i].name);
		cr_expect_eq(t.is_domain, strchr(flags, 'd') != NULL, "%s",
			     cases[i].name);
		cr_expect_eq(t.is_datetime, strchr(flags, 't') != NULL, "%s",
			     cases[i].name);
		struct type_info by_oid;
		cr_assert(relations_type_by_oid(catalog, t.oid, &by_oid));
		cr_expect_eq(by_oid.canon, t.canon);
	}
	struct type_info t;
	cr_expect(
	    relations_type(catalog, &path, SPAN_LIT("public"), SPAN_LIT("text"), &t));
	cr_expect_eq(t.oid, 306);
	cr_expect(!relations_type(catalog, &path, EMPTY, SPAN_LIT("users"), &t));
	cr_expect(!relations_type_by_oid(catalog, 0, &t));
}

Test(relations, view_definitions_are_kept)
{
	static const struct fixture_row rows[] = {
		ROW(relations, "100", "2200", "v", "v", "p", "0", "f"),
		ROW(relations, "101", "2200", "w", "v", "p", "0", "f"),
		ROW(views, "100", " SELECT 1;"),
		ROW(views, "101", NULL),
	};
	struct catalog *views = fixture_catalog(rows, ARRAY_LEN(rows));
	cr_expect_str_eq(relations_by_oid(views, 100)->view_definition, " SELECT 1;");
	cr_expect_null(relations_by_oid(views, 101)->view_definition);
	catalog_unref(views);
}
