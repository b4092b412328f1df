/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "sql/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "sql/catalog_data.h"

struct catalog *catalog_ref(struct catalog *catalog)
{
	require(catalog != NULL);
	atomic_fetch_add_explicit(&catalog->refs, 1, memory_order_relaxed);
	return catalog;
}

static void catalog_free(struct catalog *catalog)
{
	free(catalog->schemas.items);
	free(catalog->roles.items);
	free(catalog->usage.items);
	free(catalog->relations.items);
	free(catalog->functions.items);
	free(catalog->operators.items);
	free(catalog->types.items);
	name_index_fini(&catalog->schema_names);
	name_index_fini(&catalog->role_names);
	name_index_fini(&catalog->usage_names);
	name_index_fini(&catalog->relation_names);
	name_index_fini(&catalog->function_names);
	name_index_fini(&catalog->operator_names);
	name_index_fini(&catalog->type_names);
	arena_fini(&catalog->arena);
	free(catalog);
}

void catalog_unref(struct catalog *catalog)
{
	if (catalog == NULL) {
		return;
	}
	unsigned before =
	    atomic_fetch_sub_explicit(&catalog->refs, 1, memory_order_acq_rel);
	require(before > 0);
	if (before == 1) {
		catalog_free(catalog);
	}
}

uint32_t catalog_version(const struct catalog *catalog)
{
	return catalog->version;
}

uint64_t catalog_db_tag(const struct catalog *catalog)
{
	return catalog->db_tag;
}

size_t catalog_n_relations(const struct catalog *catalog)
{
	return catalog->n_user_relations;
}

/* Finding by oid and by plain name */

static int compare_oids(const void *a, const void *b, void *offset)
{
	uint32_t x;
	uint32_t y;
	memcpy(&x, (const char *)a + *(const size_t *)offset, sizeof(x));
	memcpy(&y, (const char *)b + *(const size_t *)offset, sizeof(y));
	return (x > y) - (x < y);
}

void catalog_sort_oids(void *items, size_t n, size_t size, size_t offset)
{
	if (n > 1) {
		qsort_r(items, n, size, compare_oids, &offset);
	}
}

uint32_t catalog_oid_index(const void *items, uint32_t n, size_t size, size_t offset,
			   uint32_t oid)
{
	uint32_t low = 0;
	uint32_t high = n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		uint32_t at;
		memcpy(&at, (const char *)items + middle * size + offset, sizeof(at));
		if (at == oid) {
			return middle;
		}
		if (at < oid) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return CATALOG_NONE;
}

uint32_t catalog_schema_index(const struct catalog *catalog, uint32_t oid)
{
	return catalog_oid_index(catalog->schemas.items, catalog->schemas.n,
				 sizeof(struct catalog_schema),
				 offsetof(struct catalog_schema, oid), oid);
}

uint32_t catalog_relation_index(const struct catalog *catalog, uint32_t oid)
{
	return catalog_oid_index(catalog->relations.items, catalog->relations.n,
				 sizeof(struct catalog_relation),
				 offsetof(struct catalog_relation, pub.oid), oid);
}

uint32_t catalog_type_index(const struct catalog *catalog, uint32_t oid)
{
	return catalog_oid_index(catalog->types.items, catalog->types.n,
				 sizeof(struct catalog_type),
				 offsetof(struct catalog_type, info.oid), oid);
}

/* The item of that name, in space 0 of the index; an item of SIZE bytes begins with its
 * name. */
static uint32_t catalog_named(const struct name_index *index, const void *items,
			      size_t size, struct span name)
{
	uint32_t hash = name_index_hash(0, name);
	uint32_t item;
	uint32_t at = 0;
	while ((item = name_index_next(index, hash, &at)) != NAME_INDEX_END) {
		const char *const *found =
		    (const void *)((const uint8_t *)items + item * size);
		if (span_eq_str(name, *found)) {
			return item;
		}
	}
	return CATALOG_NONE;
}

uint32_t catalog_schema_named(const struct catalog *catalog, struct span name)
{
	return catalog_named(&catalog->schema_names, catalog->schemas.items,
			     sizeof(struct catalog_schema), name);
}

uint32_t catalog_role_named(const struct catalog *catalog, struct span name)
{
	return catalog_named(&catalog->role_names, catalog->roles.items,
			     sizeof(struct catalog_role), name);
}

uint32_t catalog_operator_named(const struct catalog *catalog, struct span name)
{
	return catalog_named(&catalog->operator_names, catalog->operators.items,
			     sizeof(struct catalog_operator), name);
}
