#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* How a catalogue snapshot is laid out: for catalog*.c and relations.c only. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/span.h"
#include "sql/catalog.h"
#include "sql/name_index.h"
#include "sql/plan.h"
#include "sql/relations.h"

#define CATALOG_NONE	    UINT32_MAX /* no index */
#define CATALOG_MAX_SCHEMAS 65535

#define CATALOG_LIST(type)               \
	struct {                         \
		type *items; /* owned */ \
		uint32_t n;              \
		uint32_t cap;            \
	}

struct catalog_schema {
	const char *name; /* comes first: catalog_named() */
	uint32_t oid;
	bool is_public; /* everybody may use it */
	bool is_system;
};

struct catalog_role {
	const char *name; /* comes first: catalog_named() */
	bool is_super;
};

struct catalog_usage {
	uint32_t role;
	uint16_t schema;
};

struct catalog_relation {
	struct relation pub;
	struct relation_column *columns; /* pub.columns, to be filled in */
	double own_rows;
	uint32_t parent; /* index of the first one, or CATALOG_NONE */
	uint32_t tree; /* union-find: a member nearer to the lowest index of the tree */
	uint32_t root; /* index of the tree's root, when trees are closed */
	uint16_t schema;
	bool has_more_parents; /* than `parent` */
	bool any_referenced;   /* of a root: any UPDATE may set off foreign keys */
	bool moves_rows; /* partitioned: an UPDATE may delete here and insert there */
};

struct catalog_function {
	const char *name;
	struct function_info info;
	uint16_t schema;
};

struct catalog_operator {
	const char *name; /* comes first: catalog_named() */
	struct operator_info info;
};

struct catalog_type {
	const char *name;
	struct type_info info;
	uint32_t base;	  /* of a domain: oid */
	uint32_t subtype; /* of a range: oid */
	uint16_t schema;
	char kind; /* pg_type.typtype */
	bool is_closed;
};

struct catalog {
	atomic_uint refs;
	uint32_t version;
	uint64_t db_tag;
	struct arena arena; /* names, columns, view definitions */
	CATALOG_LIST(struct catalog_schema) schemas; /* by oid */
	CATALOG_LIST(struct catalog_role) roles;
	CATALOG_LIST(struct catalog_usage) usage;
	CATALOG_LIST(struct catalog_relation) relations; /* by oid */
	CATALOG_LIST(struct catalog_function) functions;
	CATALOG_LIST(struct catalog_operator) operators;
	CATALOG_LIST(struct catalog_type) types; /* by oid */
	struct name_index schema_names;
	struct name_index role_names;
	struct name_index usage_names; /* space: schema; name: the role's */
	struct name_index
	    relation_names; /* this and the next ones: space is the schema */
	struct name_index function_names;
	struct name_index operator_names; /* space 0 */
	struct name_index type_names;
	uint32_t n_user_relations;
	bool has_hidden_volatile;
	bool has_setters;      /* functions, other than triggers' */
	bool has_setting_code; /* what runs with a write of some relation sets */
};

/* ITEMS have SIZE bytes each, with their oid at OFFSET. */
void catalog_sort_oids(void *items, size_t n, size_t size, size_t offset);
/* Index of the item with that oid, or CATALOG_NONE; the items are sorted. */
uint32_t catalog_oid_index(const void *items, uint32_t n, size_t size, size_t offset,
			   uint32_t oid);
uint32_t catalog_schema_index(const struct catalog *catalog, uint32_t oid);
uint32_t catalog_relation_index(const struct catalog *catalog, uint32_t oid);
uint32_t catalog_type_index(const struct catalog *catalog, uint32_t oid);
/* Index of the named schema, role or operator, or CATALOG_NONE. */
uint32_t catalog_schema_named(const struct catalog *catalog, struct span name);
uint32_t catalog_role_named(const struct catalog *catalog, struct span name);
uint32_t catalog_operator_named(const struct catalog *catalog, struct span name);
/* How values of the type are made canonical. */
enum canon catalog_canon(uint32_t type, bool is_deterministic);
