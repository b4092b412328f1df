/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * One function for each question, in the order of tbl/catalog_questions.h.  Rows about
 * a relation, schema or function that an earlier answer did not have are skipped: it
 * was made or dropped between two questions, and a fresh snapshot follows. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sql/catalog_build.h"
#include "sql/catalog_row.h"

/* Schemas, roles, usage */

int catalog_take_settings(struct catalog_builder *builder, const char *const *values)
{
	return 0;
}

int catalog_take_schemas(struct catalog_builder *builder, const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog_schema *schema =
	    CATALOG_PUSH(builder, &builder->catalog->schemas);
	if (schema == NULL) {
		return builder->error;
	}
	if (builder->catalog->schemas.n > CATALOG_MAX_SCHEMAS) {
		return -ENOBUFS;
	}
	schema->oid = row_oid(&row);
	schema->name = row_name(&row);
	schema->is_public = row_bool(&row);
	schema->is_system = strcmp(schema->name, "pg_catalog") == 0 ||
			    strcmp(schema->name, "information_schema") == 0;
	return row_end(&row);
}

int catalog_leave_schemas(struct catalog_builder *builder)
{
	struct catalog *catalog = builder->catalog;
	catalog_sort_oids(catalog->schemas.items, catalog->schemas.n,
			  sizeof(*catalog->schemas.items),
			  offsetof(struct catalog_schema, oid));
	for (uint32_t i = 0; i < catalog->schemas.n; i++) {
		struct span name = span_str(catalog->schemas.items[i].name);
		int r =
		    name_index_add(&catalog->schema_names, name_index_hash(0, name), i);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

int catalog_take_roles(struct catalog_builder *builder, const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog *catalog = builder->catalog;
	struct catalog_role *role = CATALOG_PUSH(builder, &catalog->roles);
	if (role == NULL) {
		return builder->error;
	}
	role->name = row_name(&row);
	role->is_super = row_bool(&row);
	int r = row_end(&row);
	return r < 0 ? r
		     : name_index_add(&catalog->role_names,
				      name_index_hash(0, span_str(role->name)),
				      catalog->roles.n - 1);
}

int catalog_take_usage(struct catalog_builder *builder, const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog *catalog = builder->catalog;
	struct span name = span_str(row_text(&row));
	uint32_t role = catalog_role_named(catalog, name);
	uint32_t schema = row_schema(&row);
	if (row.failed || role == CATALOG_NONE || schema == CATALOG_NONE) {
		return row_end(&row);
	}
	struct catalog_usage *usage = CATALOG_PUSH(builder, &catalog->usage);
	if (usage == NULL) {
		return builder->error;
	}
	*usage = (struct catalog_usage){ .role = role, .schema = (uint16_t)schema };
	return name_index_add(&catalog->usage_names, name_index_hash(schema, name),
			      catalog->usage.n - 1);
}

/* Relations and their columns */

static enum relation_kind relation_kind_of(char relkind)
{
	switch (relkind) {
	case 'r':
		return RELATION_TABLE;
	case 'p':
		return RELATION_PARTITIONED;
	case 'v':
		return RELATION_VIEW;
	case 'm':
		return RELATION_MATVIEW;
	case 'f':
		return RELATION_FOREIGN;
	case 'S':
		return RELATION_SEQUENCE;
	default:
		return RELATION_OTHER;
	}
}

int catalog_take_relations(struct catalog_builder *builder, const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog *catalog = builder->catalog;
	uint32_t oid = row_oid(&row);
	uint32_t schema = row_schema(&row);
	if (row.failed || schema == CATALOG_NONE) {
		return row_end(&row);
	}
	struct catalog_relation *relation = CATALOG_PUSH(builder, &catalog->relations);
	if (relation == NULL) {
		return builder->error;
	}
	relation->schema = (uint16_t)schema;
	relation->parent = CATALOG_NONE;
	struct relation *pub = &relation->pub;
	pub->oid = oid;
	pub->schema = catalog->schemas.items[schema].name;
	pub->is_system = catalog->schemas.items[schema].is_system;
	pub->name = row_name(&row);
	char kind = row_char(&row);
	char persistence = row_char(&row);
	pub->kind = (uint8_t)relation_kind_of(kind);
	pub->is_temp = persistence == 't';
	pub->is_unlogged = persistence == 'u';
	pub->has_temp_member = pub->is_temp;
	pub->has_foreign_member = kind == 'f';
	relation->moves_rows = kind == 'p';
	/* -1 stands for "never counted", and a partitioned table has what its parts
	 * have. */
	double rows = row_double(&row);
	relation->own_rows = rows > 0 && kind != 'p' ? rows : 0;
	pub->has_row_security = row_bool(&row);
	catalog->n_user_relations += !pub->is_system;
	return row_end(&row);
}

int catalog_leave_relations(struct catalog_builder *builder)
{
	struct catalog *catalog = builder->catalog;
	catalog_sort_oids(catalog->relations.items, catalog->relations.n,
			  sizeof(*catalog->relations.items),
			  offsetof(struct catalog_relation, pub.oid));
	for (uint32_t i = 0; i < catalog->relations.n; i++) {
		const struct catalog_relation *relation = &catalog->relations.items[i];
		struct span name = span_str(relation->pub.name);
		int r = name_index_add(&catalog->relation_names,
				       name_index_hash(relation->schema, name), i);
		if (r < 0) {
			return r;
		}
	}
	catalog_trees_begin(catalog);
	return 0;
}

/* Gives the relation the columns that were gathered for it. */
int catalog_leave_columns(struct catalog_builder *builder)
{
	if (builder->column_relation == CATALOG_NONE) {
		return 0;
	}
	struct catalog *catalog = builder->catalog;
	struct catalog_relation *relation =
	    &catalog->relations.items[builder->column_relation];
	builder->column_relation = CATALOG_NONE;
	if (relation->columns != NULL) {
		return -EPROTO; /* its rows did not come together */
	}
	size_t size = builder->n_columns * sizeof(*builder->columns);
	relation->columns = arena_alloc(&catalog->arena, size);
	if (relation->columns == NULL) {
		return -ENOBUFS;
	}
	memcpy(relation->columns, builder->columns, size);
	relation->pub.columns = relation->columns;
	relation->pub.n_columns = builder->n_columns;
	return 0;
}

static int begin_columns(struct catalog_builder *builder, uint32_t relation)
{
	int r = catalog_leave_columns(builder);
	if (r < 0) {
		return r;
	}
	if (builder->columns == NULL) {
		builder->columns =
		    calloc(CATALOG_MAX_COLUMNS, sizeof(*builder->columns));
		if (builder->columns == NULL) {
			return -ENOMEM;
		}
	}
	builder->column_relation = relation;
	builder->n_columns = 0;
	return 0;
}

int catalog_take_columns(struct catalog_builder *builder, const char *const *values)
{
	struct row row = row_begin(builder, values);
	uint32_t relation = catalog_relation_index(builder->catalog, row_oid(&row));
	if (row.failed || relation == CATALOG_NONE) {
		return row_end(&row);
	}
	if (relation != builder->column_relation) {
		int r = begin_columns(builder, relation);
		if (r < 0) {
			return r;
		}
	}
	if (builder->n_columns == CATALOG_MAX_COLUMNS) {
		return -EPROTO;
	}
	struct relation_column *column = &builder->columns[builder->n_columns++];
	*column = (struct relation_column){
		.attnum = (int16_t)row_number(&row, INT16_MAX),
	};
	column->name = row_name(&row);
	column->type = row_oid(&row);
	column->canon = (uint8_t)catalog_canon(column->type, row_bool(&row));
	column->has_default = row_bool(&row);
	column->is_generated = row_bool(&row);
	column->not_null = row_bool(&row);
	column->n_distinct = row_double(&row);
	row.failed |= column->attnum == 0;
	return row_end(&row);
}

int catalog_take_parents(struct catalog_builder *builder, const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog_relation *child = row_relation(&row);
	struct catalog_relation *parent = row_relation(&row);
	if (row.failed || child == NULL || parent == NULL || child == parent) {
		return row_end(&row);
	}
	catalog_trees_link(builder->catalog, child, parent);
	return 0;
}

/* Foreign keys */

static bool is_action(char c)
{
	return c == 'c' || c == 'n' || c == 'd';
}

int catalog_take_foreign_keys(struct catalog_builder *builder,
			      const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog_relation *from = row_relation(&row);
	struct catalog_relation *to = row_relation(&row);
	char on_delete = row_char(&row);
	char on_update = row_char(&row);
	const char *keys = row_text(&row);
	if (row.failed || from == NULL || to == NULL) {
		return row_end(&row);
	}
	struct catalog_fk *fk = CATALOG_PUSH(builder, &builder->fks);
	if (fk == NULL) {
		return builder->error;
	}
	*fk = (struct catalog_fk){
		.from = (uint32_t)(from - builder->catalog->relations.items),
		.to = (uint32_t)(to - builder->catalog->relations.items),
		.on_delete = on_delete,
		.on_update = on_update,
	};
	while (is_action(on_update) && *keys != 0) {
		char *end;
		long attnum = strtol(keys, &end, 10);
		if (end == keys) {
			return -EPROTO;
		}
		for (size_t i = 0; i < from->pub.n_columns; i++) {
			from->columns[i].is_referenced |=
			    from->columns[i].attnum == attnum;
		}
		keys = end + (*end == ' ');
	}
	return 0;
}
