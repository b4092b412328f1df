/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Text that reaches the catalogue look-ups: a search path that a client has set, and
 * the source of a trigger function. */

#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "sql/catalog_build.h"
#include "sql/relations.h"
#include "sql/trigger_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_function(const void *arg, struct span name)
{
	require(name.n <= 63);
	return span_eq_str(name, "f");
}

static struct catalog *make_catalog(void)
{
	static const char *const schemas[][3] = { { "11", "pg_catalog", "t" },
						  { "2200", "public", "t" },
						  { "3", "a", "f" } };
	static const char *const role[] = { "a", "f" };
	static const char *const usage[] = { "a", "3" };
	static const char *const table[] = { "9", "3", "t", "r", "p", "0", "f" };
	struct catalog_builder *builder;
	struct catalog *catalog;
	int r = catalog_builder_new(1, 1, 1 << 20, &builder);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(schemas); i++) {
		r = catalog_builder_row(builder, CATALOG_Q_schemas, schemas[i], 3);
	}
	r |= catalog_builder_row(builder, CATALOG_Q_roles, role, 2);
	r |= catalog_builder_row(builder, CATALOG_Q_usage, usage, 2);
	r |= catalog_builder_row(builder, CATALOG_Q_relations, table, 7);
	r |= catalog_builder_finish(builder, &catalog);
	require(r == 0);
	catalog_builder_free(builder);
	return catalog;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_make(data, size);
	enum trigger_danger danger = trigger_source_danger(text, is_function, NULL);
	require(danger == TRIGGER_HARMLESS || danger == TRIGGER_DANGEROUS);

	struct catalog *catalog = make_catalog();
	struct search_path path;
	search_path_init(&path, catalog, text, SPAN_LIT("a"));
	require(path.n_schemas <= SEARCH_PATH_MAX);
	for (size_t i = 0; i < path.n_schemas; i++) {
		require(path.schemas[i] < catalog->schemas.n);
	}
	const struct relation *found =
	    relations_find(catalog, &path, span_make(NULL, 0), SPAN_LIT("t"));
	require(found == NULL || (found->oid == 9 && !path.is_broken));
	struct function_info function;
	require(!relations_function(catalog, &path, text, text, &function));
	catalog_unref(catalog);
	return 0;
}
