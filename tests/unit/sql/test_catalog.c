/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fixture_catalog.h"
#include "sql/catalog.h"

#define CATALOG(...)                                                 \
	fixture_catalog((const struct fixture_row[]){ __VA_ARGS__ }, \
			ARRAY_LEN(((const struct fixture_row[]){ __VA_ARGS__ })))

static const struct relation *rel(const struct catalog *catalog, uint32_t oid)
{
	const struct relation *relation = relations_by_oid(catalog, oid);
	cr_assert_not_null(relation, "%u", oid);
	return relation;
}

static const struct relation_column *col(const struct catalog *catalog, uint32_t oid,
					 const char *name)
{
	const struct relation_column *column =
	    relation_column(rel(catalog, oid), span_str(name));
	cr_assert_not_null(column, "%u.%s", oid, name);
	return column;
}

Test(catalog, questions_have_names_and_texts)
{
	size_t n;
	const struct catalog_question *questions = catalog_questions(&n);
	cr_assert_eq(n, CATALOG_N_QUESTIONS);
	for (size_t i = 0; i < n; i++) {
		cr_assert_gt(strlen(questions[i].name), 0);
		cr_assert_eq(strncmp(questions[i].sql, "SELECT ", 7), 0);
		cr_assert_null(strchr(questions[i].sql, ';'));
	}
}

Test(catalog, refuses_rows_that_do_not_fit)
{
	static const struct {
		struct fixture_row row;
		const char *why;
	} cases[] = {
		{ ROW(schemas, "11", "a"), "a column is missing" },
		{ ROW(schemas, "11", "a", "t", "t"), "a column too many" },
		{ ROW(schemas, "x", "a", "t"), "no number" },
		{ ROW(schemas, "-1", "a", "t"), "a sign" },
		{ ROW(schemas, " 1", "a", "t"), "a space" },
		{ ROW(schemas, "4294967296", "a", "t"), "no oid" },
		{ ROW(schemas, "1", "a", "true"), "no boolean" },
		{ ROW(schemas, "1", NULL, "t"), "a NULL" },
		{ ROW(schemas, NULL, "a", "t"), "a NULL oid" },
		{ ROW(roles, "a", ""), "an empty boolean" },
		{ { CATALOG_N_QUESTIONS, { "a" }, 1 }, "no such question" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct catalog_builder *builder;
		cr_assert_eq(catalog_builder_new(1, 2, 1 << 20, &builder), 0);
		const struct fixture_row *row = &cases[i].row;
		cr_expect_eq(
		    catalog_builder_row(builder, row->question, row->values, row->n),
		    -EPROTO, "%s", cases[i].why);
		catalog_builder_free(builder);
	}
}

Test(catalog, refuses_questions_out_of_order_and_stays_failed)
{
	struct catalog_builder *builder;
	struct catalog *catalog;
	cr_assert_eq(catalog_builder_new(1, 2, 1 << 20, &builder), 0);
	const char *role[] = { "a", "f" };
	const char *bad[] = { "a", "?" };
	const char *schema[] = { "1", "a", "t" };
	cr_assert_eq(catalog_builder_row(builder, CATALOG_Q_roles, role, 2), 0);
	cr_assert_eq(catalog_builder_row(builder, CATALOG_Q_schemas, schema, 3),
		     -EPROTO);
	cr_assert_eq(catalog_builder_row(builder, CATALOG_Q_roles, bad, 2), -EPROTO);
	cr_assert_eq(catalog_builder_row(builder, CATALOG_Q_roles, role, 2), -EPROTO);
	cr_assert_eq(catalog_builder_finish(builder, &catalog), -EPROTO);
	catalog_builder_free(builder);
}

Test(catalog, refuses_columns_that_do_not_come_together)
{
	struct catalog_builder *builder;
	cr_assert_eq(catalog_builder_new(1, 2, 1 << 20, &builder), 0);
	const struct fixture_row rows[] = {
		ROW(schemas, "2200", "public", "t"),
		TABLE("100", "a"),
		TABLE("101", "b"),
		COLUMN("100", "1", "x", "23"),
		COLUMN("101", "1", "x", "23"),
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_assert_eq(catalog_builder_row(builder, rows[i].question,
						 rows[i].values, rows[i].n),
			     0);
	}
	const struct fixture_row late[] = { COLUMN("100", "2", "y", "23"),
					    COLUMN("101", "2", "y", "23") };
	int r = 0;
	for (size_t i = 0; i < 2 && r == 0; i++) {
		r = catalog_builder_row(builder, late[i].question, late[i].values,
					late[i].n);
	}
	cr_assert_eq(r, -EPROTO);
	catalog_builder_free(builder);
}

Test(catalog, is_bounded)
{
	struct catalog_builder *builder;
	struct catalog *catalog;
	cr_assert_eq(catalog_builder_new(1, 2, 65536, &builder), 0);
	const char *schema[] = { "2200", "public", "t" };
	cr_assert_eq(catalog_builder_row(builder, CATALOG_Q_schemas, schema, 3), 0);
	int r = 0;
	int n = 0;
	for (; r == 0 && n < 100000; n++) {
		char oid[16];
		char name[32];
		snprintf(oid, sizeof(oid), "%d", n + 100);
		snprintf(name, sizeof(name), "table_%d", n);
		const char *row[] = { oid, "2200", name, "r", "p", "-1", "f" };
		r = catalog_builder_row(builder, CATALOG_Q_relations, row, 7);
	}
	cr_assert_eq(r, -ENOBUFS);
	cr_assert(n > 50 && n < 1000, "%d", n);
	cr_assert_eq(catalog_builder_finish(builder, &catalog), -ENOBUFS);
	catalog_builder_free(builder);
}

Test(catalog, has_a_version_a_tag_and_a_count)
{
	struct catalog *catalog =
	    CATALOG(TABLE("100", "a"), TABLE("101", "b"),
		    ROW(relations, "50", "11", "pg_class", "r", "p", "300", "f"));
	cr_assert_eq(catalog_version(catalog), 1);
	cr_assert_eq(catalog_db_tag(catalog), 2);
	cr_assert_eq(catalog_n_relations(catalog), 2);
	cr_assert(rel(catalog, 50)->is_system);
	cr_assert_eq(catalog_ref(catalog), catalog);
	catalog_unref(catalog);
	cr_assert_str_eq(rel(catalog, 100)->name, "a");
	catalog_unref(catalog);
	catalog_unref(NULL);
}

Test(catalog, rows_about_unknown_things_are_skipped)
{
	struct catalog *catalog = CATALOG(
	    TABLE("100", "a"), ROW(usage, "nobody", "2201"), ROW(usage, "app", "9"),
	    ROW(relations, "101", "9", "lost", "r", "p", "0", "f"),
	    COLUMN("101", "1", "x", "23"), ROW(parents, "101", "100"),
	    ROW(foreign_keys, "101", "100", "c", "c", "1"),
	    ROW(functions, "9", "f", "0", "f", "f", "f", "f", "f"),
	    ROW(operators, "9", "=", "0", "f"),
	    ROW(types, "5", "9", "t", "b", "0", "0", "0", "0"), ROW(code, "101", "d"),
	    ROW(triggers, "101", "4", "7"), ROW(rules, "101", "f"),
	    ROW(views, "101", "x"));
	cr_assert_null(relations_by_oid(catalog, 101));
	cr_assert_eq(rel(catalog, 100)->root, 100);
	catalog_unref(catalog);
}

Test(catalog, columns_have_their_canonical_form)
{
	static const struct {
		const char *type;
		const char *deterministic;
		enum canon canon;
	} cases[] = {
		{ "20", "t", CANON_INT },    { "21", "t", CANON_INT },
		{ "23", "t", CANON_INT },    { "2950", "t", CANON_UUID },
		{ "16", "t", CANON_BOOL },   { "25", "t", CANON_TEXT },
		{ "1043", "t", CANON_TEXT }, { "25", "f", CANON_NONE },
		{ "1043", "f", CANON_NONE }, { "1042", "t", CANON_NONE },
		{ "1700", "t", CANON_NONE }, { "701", "t", CANON_NONE },
		{ "1184", "t", CANON_NONE }, { "16400", "t", CANON_NONE },
		{ "19", "t", CANON_NONE },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct catalog *catalog =
		    CATALOG(TABLE("100", "a"),
			    ROW(columns, "100", "3", "x", cases[i].type,
				cases[i].deterministic, "t", "f", "t", "12"));
		const struct relation_column *x = col(catalog, 100, "x");
		cr_expect_eq(x->canon, cases[i].canon, "%s", cases[i].type);
		cr_expect(x->attnum == 3 && x->root_attnum == 3);
		cr_expect(x->has_default && !x->is_generated && x->not_null);
		cr_expect_eq(x->n_distinct, 12);
		cr_expect_eq(relation_column_at(rel(catalog, 100), 3), x);
		cr_expect_null(relation_column_at(rel(catalog, 100), 2));
		cr_expect_null(relation_column(rel(catalog, 100), SPAN_LIT("X")));
		catalog_unref(catalog);
	}
}

/* Partitions: the second has its columns in another order. */
#define PARTITIONED                                                           \
	ROW(relations, "100", "2200", "p", "p", "p", "-1", "f"),              \
	    ROW(relations, "101", "2200", "p1", "r", "p", "300", "t"),        \
	    ROW(relations, "102", "2200", "p2", "r", "p", "700", "f"),        \
	    ROW(columns, "100", "1", "id", "20", "t", "f", "f", "t", "-0.5"), \
	    COLUMN("100", "2", "org", "23"), COLUMN("101", "1", "id", "20"),  \
	    COLUMN("101", "2", "org", "23"), COLUMN("102", "1", "org", "23"), \
	    COLUMN("102", "3", "id", "20"), ROW(parents, "101", "100"),       \
	    ROW(parents, "102", "100")

Test(catalog, partitions_share_a_root)
{
	struct catalog *catalog = CATALOG(PARTITIONED);
	for (uint32_t oid = 100; oid <= 102; oid++) {
		cr_expect_eq(rel(catalog, oid)->root, 100);
		cr_expect(!rel(catalog, oid)->no_key);
		cr_expect_eq(col(catalog, oid, "id")->root_attnum, 1);
		cr_expect_eq(col(catalog, oid, "org")->root_attnum, 2);
		cr_expect_eq(col(catalog, oid, "id")->canon, CANON_INT);
	}
	cr_expect_eq(rel(catalog, 100)->n_rows, 1000);
	cr_expect_eq(rel(catalog, 102)->n_rows, 700);
	cr_expect_eq(col(catalog, 100, "id")->n_distinct, 500);
	/* Row security is that of the relation which the statement names. */
	cr_expect(rel(catalog, 101)->has_row_security);
	cr_expect(!rel(catalog, 100)->has_row_security);
	catalog_unref(catalog);
}

Test(catalog, members_of_a_tree_share_what_writes_do)
{
	struct catalog *catalog = CATALOG(
	    PARTITIONED, ROW(relations, "103", "2200", "p3", "f", "p", "5", "f"),
	    ROW(relations, "104", "2200", "p4", "r", "u", "5", "f"),
	    ROW(relations, "105", "2200", "p5", "r", "t", "5", "f"),
	    ROW(parents, "103", "101"), ROW(parents, "104", "102"),
	    ROW(parents, "105", "100"), ROW(rules, "102", "f"),
	    ROW(trigger_functions, "7", "f", "f", NULL),
	    ROW(triggers, "101", "9", "7"));
	for (uint32_t oid = 100; oid <= 105; oid++) {
		const struct relation *member = rel(catalog, oid);
		cr_expect_eq(member->root, 100);
		cr_expect(member->has_rules);
		cr_expect(member->has_foreign_member);
		cr_expect(member->has_temp_member);
		cr_expect(member->is_unlogged);
		cr_expect_eq(member->is_temp, oid == 105);
		cr_expect_eq(member->triggers[RELATION_DELETE], TRIGGER_DANGEROUS);
		cr_expect_eq(member->triggers[RELATION_INSERT], TRIGGER_NONE);
		/* An UPDATE that moves a row deletes it. */
		cr_expect_eq(member->triggers[RELATION_UPDATE], TRIGGER_DANGEROUS);
		cr_expect_eq(member->triggers[RELATION_TRUNCATE], TRIGGER_NONE);
	}
	cr_expect_eq(rel(catalog, 102)->n_rows, 705);
	catalog_unref(catalog);
}

Test(catalog, a_child_of_two_has_no_key)
{
	/* 103 <- 102 -> 101 -> 100, and the rows come in an unlucky order. */
	struct catalog *catalog = CATALOG(
	    TABLE("103", "d"), TABLE("101", "b"), TABLE("102", "c"), TABLE("100", "a"),
	    TABLE("200", "alone"), COLUMN("100", "1", "x", "23"),
	    COLUMN("102", "1", "x", "23"), COLUMN("103", "1", "y", "23"),
	    COLUMN("200", "1", "x", "23"), ROW(parents, "102", "103"),
	    ROW(parents, "101", "100"), ROW(parents, "102", "101"));
	for (uint32_t oid = 100; oid <= 103; oid++) {
		cr_expect_eq(rel(catalog, oid)->root, 100, "%u", oid);
		cr_expect(rel(catalog, oid)->no_key);
	}
	cr_expect_eq(col(catalog, 100, "x")->canon, CANON_NONE);
	cr_expect_eq(col(catalog, 103, "y")->root_attnum, 0);
	cr_expect(!rel(catalog, 200)->no_key);
	cr_expect_eq(col(catalog, 200, "x")->root_attnum, 1);
	catalog_unref(catalog);
}

Test(catalog, a_diamond_has_no_key_and_ends)
{
	struct catalog *catalog =
	    CATALOG(TABLE("100", "a"), TABLE("101", "b"), TABLE("102", "c"),
		    TABLE("103", "d"), ROW(parents, "103", "101"),
		    ROW(parents, "101", "100"), ROW(parents, "103", "102"),
		    ROW(parents, "102", "100"), ROW(parents, "100", "103"));
	for (uint32_t oid = 100; oid <= 103; oid++) {
		cr_expect_eq(rel(catalog, oid)->root, 100);
		cr_expect(rel(catalog, oid)->no_key);
	}
	catalog_unref(catalog);
}

Test(catalog, a_tree_may_have_its_root_anywhere)
{
	struct catalog *catalog =
	    CATALOG(TABLE("100", "leaf"), TABLE("101", "middle"), TABLE("102", "top"),
		    COLUMN("100", "1", "own", "23"), COLUMN("100", "2", "x", "23"),
		    COLUMN("100", "3", "z", "25"), COLUMN("102", "1", "x", "23"),
		    COLUMN("102", "2", "z", "23"), ROW(parents, "100", "101"),
		    ROW(parents, "101", "102"));
	for (uint32_t oid = 100; oid <= 102; oid++) {
		cr_expect_eq(rel(catalog, oid)->root, 102);
		cr_expect(!rel(catalog, oid)->no_key);
	}
	cr_expect_eq(col(catalog, 100, "own")->root_attnum, 0);
	cr_expect_eq(col(catalog, 100, "x")->root_attnum, 1);
	cr_expect_eq(col(catalog, 100, "z")->root_attnum, 0, "of another type");
	catalog_unref(catalog);
}
