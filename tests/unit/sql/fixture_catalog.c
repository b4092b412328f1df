/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "fixture_catalog.h"

#include <criterion/criterion.h>

static const struct fixture_row common[] = {
	ROW(settings, "off"),
	ROW(schemas, "11", "pg_catalog", "t"),
	ROW(schemas, "2200", "public", "t"),
	ROW(schemas, "12", "information_schema", "t"),
	ROW(schemas, "2201", "hidden", "f"),
	ROW(roles, "postgres", "t"),
	ROW(roles, "app", "f"),
	ROW(roles, "other", "f"),
	ROW(usage, "app", "2201"),
};

static void fixture_add(struct catalog_builder *builder, size_t question,
			const struct fixture_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].question == question) {
			int r = catalog_builder_row(builder, question, rows[i].values,
						    rows[i].n);
			cr_assert_eq(r, 0, "row %zu: %d", i, r);
		}
	}
}

struct catalog *fixture_catalog(const struct fixture_row *rows, size_t n)
{
	struct catalog_builder *builder;
	struct catalog *catalog;
	cr_assert_eq(catalog_builder_new(1, 2, (size_t)1 << 24, &builder), 0);
	for (size_t q = 0; q < CATALOG_N_QUESTIONS; q++) {
		fixture_add(builder, q, common, ARRAY_LEN(common));
		fixture_add(builder, q, rows, n);
	}
	cr_assert_eq(catalog_builder_finish(builder, &catalog), 0);
	catalog_builder_free(builder);
	return catalog;
}
