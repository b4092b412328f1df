/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "base/check.h"
#include "proxy/database_digest.h"

enum {
#define CATALOG_QUESTION(name, n_columns, ...) Q_##name,
#include "tbl/catalog_questions.h"
#undef CATALOG_QUESTION
};

#define MAX_ROWS 4

struct row {
	size_t question;
	size_t n;
	const char *values[9];
};

#define SCHEMA(oid, name)              \
	{                              \
		Q_schemas, 3,          \
		{                      \
			oid, name, "t" \
		}                      \
	}
#define RELATION(oid, schema, name, rows)                      \
	{                                                      \
		Q_relations, 7,                                \
		{                                              \
			oid, schema, name, "r", "p", rows, "f" \
		}                                              \
	}
#define COLUMN(rel, name, distinct)                                        \
	{                                                                  \
		Q_columns, 9,                                              \
		{                                                          \
			rel, "1", name, "23", "t", "f", "f", "t", distinct \
		}                                                          \
	}

enum verdict {
	SAME,
	OTHER_ESTIMATES,
	OTHER_SHAPE,
};

static const struct {
	const char *what;
	enum verdict verdict;
	struct row a[MAX_ROWS];
	struct row b[MAX_ROWS];
} cases[] = {
	{ "nothing", SAME, { { 0 } }, { { 0 } } },
	{ "one more", OTHER_SHAPE, { { 0 } }, { SCHEMA("1", "a") } },
	{ "twice",
	  OTHER_SHAPE,
	  { SCHEMA("1", "a") },
	  { SCHEMA("1", "a"), SCHEMA("1", "a") } },
	{ "another order",
	  SAME,
	  { SCHEMA("1", "a"), SCHEMA("2", "b") },
	  { SCHEMA("2", "b"), SCHEMA("1", "a") } },
	{ "columns apart", OTHER_SHAPE, { SCHEMA("1", "2a") }, { SCHEMA("12", "a") } },
	{ "null is not empty",
	  OTHER_SHAPE,
	  { SCHEMA("1", NULL) },
	  { SCHEMA("1", "") } },
	{ "the question counts",
	  OTHER_SHAPE,
	  { { Q_rules, 1, { "1" } } },
	  { { Q_hidden, 1, { "1" } } } },
	{ "a renamed table",
	  OTHER_SHAPE,
	  { RELATION("9", "1", "t", "5") },
	  { RELATION("9", "1", "u", "5") } },
	{ "a few more rows",
	  SAME,
	  { RELATION("9", "1", "t", "1000") },
	  { RELATION("9", "1", "t", "1100") } },
	{ "many more rows",
	  OTHER_ESTIMATES,
	  { RELATION("9", "1", "t", "10") },
	  { RELATION("9", "1", "t", "1e+06") } },
	{ "never analyzed",
	  OTHER_ESTIMATES,
	  { COLUMN("9", "c", NULL) },
	  { COLUMN("9", "c", "-1") } },
	{ "parts and numbers",
	  OTHER_ESTIMATES,
	  { COLUMN("9", "c", "-0.5") },
	  { COLUMN("9", "c", "500") } },
	{ "temporary",
	  SAME,
	  { { 0 } },
	  { SCHEMA("7", "pg_temp_3"),
	    RELATION("8", "7", "x", "1"),
	    COLUMN("8", "c", "1"),
	    { Q_views, 2, { "8", "SELECT 1" } } } },
	{ "a temporary child of a table",
	  OTHER_SHAPE,
	  { SCHEMA("7", "pg_temp_3"), RELATION("8", "7", "x", "1") },
	  { SCHEMA("7", "pg_temp_3"),
	    RELATION("8", "7", "x", "1"),
	    { Q_parents, 2, { "8", "9" } } } },
};

static void take(struct database_digest *digest, const struct row *rows)
{
	database_digest_init(digest);
	for (size_t i = 0; i < MAX_ROWS && rows[i].n > 0; i++) {
		database_digest_row(digest, rows[i].question, rows[i].values,
				    rows[i].n);
	}
}

Test(database_digest, says_what_differs)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct database_digest a;
		struct database_digest b;
		take(&a, cases[i].a);
		take(&b, cases[i].b);
		enum verdict verdict = database_digest_is_equal(&a, &b) ? SAME
				       : database_digest_has_shape(&a, &b)
					   ? OTHER_ESTIMATES
					   : OTHER_SHAPE;
		cr_expect_eq(verdict, cases[i].verdict, "%s: %d", cases[i].what,
			     (int)verdict);
		database_digest_fini(&a);
		database_digest_fini(&b);
	}
}
