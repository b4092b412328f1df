/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Rows about code: functions, operators, types, triggers, rules, views.  See
 * catalog_rows.c. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sql/catalog_build.h"
#include "sql/catalog_row.h"
#include "sql/trigger_source.h"

#define MAX_TYPE_DEPTH 8

enum {
	TYPE_BOOL = 16,
	TYPE_INT8 = 20,
	TYPE_INT2 = 21,
	TYPE_INT4 = 23,
	TYPE_TEXT = 25,
	TYPE_VARCHAR = 1043,
	TYPE_DATE = 1082,
	TYPE_TIME = 1083,
	TYPE_TIMESTAMP = 1114,
	TYPE_TIMESTAMPTZ = 1184,
	TYPE_TIMETZ = 1266,
	TYPE_UUID = 2950,
};

/* Functions, operators, types */

int catalog_take_functions(struct catalog_builder *builder, const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog *catalog = builder->catalog;
	uint32_t schema = row_schema(&row);
	if (row.failed || schema == CATALOG_NONE) {
		return row_end(&row);
	}
	struct catalog_name *name =
	    catalog_builder_keep(builder, span_str(row_text(&row)));
	struct catalog_function *function = CATALOG_PUSH(builder, &catalog->functions);
	if (name == NULL || function == NULL) {
		return builder->error;
	}
	bool is_system = catalog->schemas.items[schema].is_system;
	function->name = name->text;
	function->schema = (uint16_t)schema;
	function->info.is_system = is_system;
	function->info.volatility = row_volatility(&row);
	function->info.may_write = row_bool(&row);
	name->is_function |= row_bool(&row) && !is_system;
	function->info.is_set_returning = row_bool(&row);
	function->info.is_procedure = row_bool(&row);
	function->info.is_aggregate = row_bool(&row);
	int r = row_end(&row);
	return r < 0 ? r
		     : name_index_add(&catalog->function_names,
				      name_index_hash(schema, span_str(function->name)),
				      catalog->functions.n - 1);
}

int catalog_take_setters(struct catalog_builder *builder, const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog *catalog = builder->catalog;
	uint32_t schema = row_schema(&row);
	struct span name = span_str(row_text(&row));
	uint32_t item;
	uint32_t at = 0;
	catalog->has_setters = true;
	if (row.failed || schema == CATALOG_NONE) {
		return row_end(&row);
	}
	uint32_t hash = name_index_hash(schema, name);
	while ((item = name_index_next(&catalog->function_names, hash, &at)) !=
	       NAME_INDEX_END) {
		struct catalog_function *function = &catalog->functions.items[item];
		function->info.sets |=
		    function->schema == schema && span_eq_str(name, function->name);
	}
	return row_end(&row);
}

static struct catalog_operator *
catalog_builder_operator(struct catalog_builder *builder, struct span name)
{
	struct catalog *catalog = builder->catalog;
	uint32_t at = catalog_operator_named(catalog, name);
	if (at != CATALOG_NONE) {
		return &catalog->operators.items[at];
	}
	struct catalog_name *kept = catalog_builder_keep(builder, name);
	struct catalog_operator *op = CATALOG_PUSH(builder, &catalog->operators);
	if (kept == NULL || op == NULL) {
		return NULL;
	}
	op->name = kept->text;
	op->info.is_system = true;
	int r = name_index_add(&catalog->operator_names, name_index_hash(0, name),
			       catalog->operators.n - 1);
	if (r < 0) {
		builder->error = r;
		return NULL;
	}
	return op;
}

int catalog_take_operators(struct catalog_builder *builder, const char *const *values)
{
	static const char *const distances[] = { "<->", "<=>", "<#>", "<+>" };
	struct row row = row_begin(builder, values);
	uint32_t schema = row_schema(&row);
	struct span name = span_str(row_text(&row));
	if (row.failed || schema == CATALOG_NONE) {
		return row_end(&row);
	}
	struct catalog_operator *op = catalog_builder_operator(builder, name);
	if (op == NULL) {
		return builder->error;
	}
	uint8_t volatility = row_volatility(&row);
	bool has_vector = row_bool(&row);
	if (volatility > op->info.volatility) {
		op->info.volatility = volatility;
	}
	op->info.is_system &= builder->catalog->schemas.items[schema].is_system;
	for (size_t i = 0; i < ARRAY_LEN(distances); i++) {
		op->info.is_vector |= has_vector && span_eq_str(name, distances[i]);
	}
	return row_end(&row);
}

enum canon catalog_canon(uint32_t type, bool is_deterministic)
{
	switch (type) {
	case TYPE_INT2:
	case TYPE_INT4:
	case TYPE_INT8:
		return CANON_INT;
	case TYPE_UUID:
		return CANON_UUID;
	case TYPE_BOOL:
		return CANON_BOOL;
	case TYPE_TEXT:
	case TYPE_VARCHAR:
		return is_deterministic ? CANON_TEXT : CANON_NONE;
	default:
		return CANON_NONE;
	}
}

int catalog_take_types(struct catalog_builder *builder, const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog *catalog = builder->catalog;
	uint32_t oid = row_oid(&row);
	uint32_t schema = row_schema(&row);
	if (row.failed || schema == CATALOG_NONE) {
		return row_end(&row);
	}
	struct catalog_type *type = CATALOG_PUSH(builder, &catalog->types);
	if (type == NULL) {
		return builder->error;
	}
	type->schema = (uint16_t)schema;
	type->name = row_name(&row);
	type->kind = row_char(&row);
	type->info.elem = row_oid(&row);
	type->base = row_oid(&row);
	type->subtype = row_oid(&row);
	type->info.oid = oid;
	type->info.input_volatility = row_volatility(&row);
	type->info.canon = (uint8_t)catalog_canon(oid, true);
	type->info.is_system = catalog->schemas.items[schema].is_system;
	/* Dictionaries and configurations of text search change by DDL only. */
	type->info.is_reg = type->info.is_system &&
			    strncmp(type->name, "reg", 3) == 0 &&
			    strcmp(type->name, "regconfig") != 0 &&
			    strcmp(type->name, "regdictionary") != 0;
	type->info.is_domain = type->kind == 'd' || type->kind == 'c';
	type->info.is_datetime = oid == TYPE_DATE || oid == TYPE_TIME ||
				 oid == TYPE_TIMETZ || oid == TYPE_TIMESTAMP ||
				 oid == TYPE_TIMESTAMPTZ || type->kind == 'c';
	return row_end(&row);
}

/* Takes over what the type inside says; types nest a few levels at most. */
static void catalog_type_close(struct catalog *catalog, struct catalog_type *type,
			       unsigned depth)
{
	if (type->is_closed || depth == 0) {
		return;
	}
	type->is_closed = true;
	/* Labels change by DDL only, although enum_in() is called stable. */
	if (type->kind == 'e') {
		type->info.input_volatility = VOLATILITY_IMMUTABLE;
	}
	const uint32_t inner[] = { type->info.elem, type->base, type->subtype };
	for (size_t i = 0; i < ARRAY_LEN(inner); i++) {
		uint32_t at = catalog_type_index(catalog, inner[i]);
		if (inner[i] == 0 || at == CATALOG_NONE) {
			/* Of a type that is not known everything may be true. */
			type->info.is_domain |= inner[i] != 0;
			type->info.is_datetime |= inner[i] != 0;
			continue;
		}
		struct catalog_type *in = &catalog->types.items[at];
		catalog_type_close(catalog, in, depth - 1);
		type->info.is_reg |= in->info.is_reg;
		type->info.is_domain |= in->info.is_domain;
		type->info.is_datetime |= in->info.is_datetime;
		/* array_in() and domain_in() are as volatile as what they call. */
		if (inner[i] != type->subtype) {
			type->info.input_volatility = in->info.input_volatility;
		}
	}
}

int catalog_leave_types(struct catalog_builder *builder)
{
	struct catalog *catalog = builder->catalog;
	catalog_sort_oids(catalog->types.items, catalog->types.n,
			  sizeof(*catalog->types.items),
			  offsetof(struct catalog_type, info.oid));
	for (uint32_t i = 0; i < catalog->types.n; i++) {
		struct catalog_type *type = &catalog->types.items[i];
		catalog_type_close(catalog, type, MAX_TYPE_DEPTH);
		int r = name_index_add(
		    &catalog->type_names,
		    name_index_hash(type->schema, span_str(type->name)), i);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

/* Code that runs with writes */

static void relation_sets(struct catalog_builder *builder, struct relation *relation,
			  bool sets)
{
	relation->trigger_sets |= sets;
	builder->catalog->has_setting_code |= sets;
}

static void relation_raise(struct relation *relation, enum relation_event event,
			   enum trigger_danger danger)
{
	if (danger > relation->triggers[event]) {
		relation->triggers[event] = (uint8_t)danger;
	}
}

int catalog_take_code(struct catalog_builder *builder, const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog_relation *relation = row_relation(&row);
	char kind = row_char(&row);
	if (row.failed || relation == NULL) {
		return row_end(&row);
	}
	/* which function it calls, and what that calls in turn, is not known */
	relation_sets(builder, &relation->pub, builder->catalog->has_setters);
	relation_raise(&relation->pub, RELATION_INSERT, TRIGGER_DANGEROUS);
	relation_raise(&relation->pub, RELATION_UPDATE, TRIGGER_DANGEROUS);
	if (kind != 'd' && kind != 'c') {
		relation_raise(&relation->pub, RELATION_DELETE, TRIGGER_DANGEROUS);
		relation_raise(&relation->pub, RELATION_TRUNCATE, TRIGGER_DANGEROUS);
	}
	return 0;
}

int catalog_take_hidden(struct catalog_builder *builder, const char *const *values)
{
	builder->catalog->has_hidden_volatile = true;
	return 0;
}

static bool is_harmful_name(const void *arg, struct span name)
{
	const struct catalog_name *kept = catalog_builder_kept(arg, name);
	return kept != NULL && kept->is_function;
}

static bool is_harmless_builtin(const char *name)
{
	return strcmp(name, "suppress_redundant_updates_trigger") == 0 ||
	       strcmp(name, "tsvector_update_trigger") == 0 ||
	       strcmp(name, "tsvector_update_trigger_column") == 0;
}

int catalog_take_trigger_functions(struct catalog_builder *builder,
				   const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog_trigger_function *function =
	    CATALOG_PUSH(builder, &builder->trigger_functions);
	if (function == NULL) {
		return builder->error;
	}
	function->oid = row_oid(&row);
	const char *name = row_text(&row);
	bool is_system = row_bool(&row);
	const char *source = *row.next;
	function->danger = TRIGGER_DANGEROUS;
	function->sets =
	    source != NULL &&
	    (trigger_source_sets(span_str(source)) ||
	     (builder->catalog->has_setters &&
	      trigger_source_calls(span_str(source), is_harmful_name, builder)));
	if (is_system && is_harmless_builtin(name)) {
		function->danger = TRIGGER_HARMLESS;
	} else if (source != NULL) {
		function->danger =
		    trigger_source_danger(span_str(source), is_harmful_name, builder);
	}
	return row_end(&row);
}

int catalog_leave_trigger_functions(struct catalog_builder *builder)
{
	catalog_sort_oids(builder->trigger_functions.items,
			  builder->trigger_functions.n,
			  sizeof(*builder->trigger_functions.items),
			  offsetof(struct catalog_trigger_function, oid));
	return 0;
}

int catalog_take_triggers(struct catalog_builder *builder, const char *const *values)
{
	/* Bits of pg_trigger.tgtype. */
	static const uint32_t bits[RELATION_EVENTS] = {
		[RELATION_INSERT] = 1 << 2,
		[RELATION_DELETE] = 1 << 3,
		[RELATION_UPDATE] = 1 << 4,
		[RELATION_TRUNCATE] = 1 << 5,
	};
	struct row row = row_begin(builder, values);
	struct catalog_relation *relation = row_relation(&row);
	uint32_t type = row_number(&row, INT16_MAX);
	uint32_t oid = row_oid(&row);
	if (row.failed || relation == NULL) {
		return row_end(&row);
	}
	enum trigger_danger danger = TRIGGER_DANGEROUS;
	uint32_t at = catalog_oid_index(
	    builder->trigger_functions.items, builder->trigger_functions.n,
	    sizeof(*builder->trigger_functions.items),
	    offsetof(struct catalog_trigger_function, oid), oid);
	if (at != CATALOG_NONE) {
		danger = builder->trigger_functions.items[at].danger;
		relation_sets(builder, &relation->pub,
			      builder->trigger_functions.items[at].sets);
	}
	for (unsigned event = 0; event < RELATION_EVENTS; event++) {
		if ((type & bits[event]) != 0) {
			relation_raise(&relation->pub, event, danger);
		}
	}
	return 0;
}

int catalog_take_rules(struct catalog_builder *builder, const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog_relation *relation = row_relation(&row);
	bool sets = row_bool(&row);
	if (relation != NULL) {
		relation->pub.has_rules = true;
		relation_sets(builder, &relation->pub,
			      sets || builder->catalog->has_setters);
	}
	return row_end(&row);
}

int catalog_take_views(struct catalog_builder *builder, const char *const *values)
{
	struct row row = row_begin(builder, values);
	struct catalog_relation *relation = row_relation(&row);
	const char *definition = *row.next;
	if (relation != NULL && definition != NULL) {
		/* Definitions differ: there is no point in keeping them once. */
		relation->pub.view_definition =
		    arena_copy(&builder->catalog->arena, span_str(definition));
		if (relation->pub.view_definition == NULL) {
			return -ENOBUFS;
		}
	}
	return row_end(&row);
}
