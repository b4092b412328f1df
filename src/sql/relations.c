/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "sql/relations.h"

#include <ctype.h>
#include <string.h>

#include "sql/catalog_data.h"

#define MAX_NAME 63 /* NAMEDATALEN - 1; PostgreSQL cuts longer names off */

/* The search path */

/* Whether the user may look into the schema; one that some may not use needs a user
 * that the catalogue knows. */
static bool search_path_may_use(struct search_path *path, const struct catalog *catalog,
				uint32_t schema, struct span user)
{
	if (catalog->schemas.items[schema].is_public) {
		return true;
	}
	uint32_t role = catalog_role_named(catalog, user);
	if (role == CATALOG_NONE) {
		path->is_broken = true;
		return false;
	}
	if (catalog->roles.items[role].is_super) {
		return true;
	}
	uint32_t hash = name_index_hash(schema, user);
	uint32_t item;
	uint32_t at = 0;
	while ((item = name_index_next(&catalog->usage_names, hash, &at)) !=
	       NAME_INDEX_END) {
		const struct catalog_usage *usage = &catalog->usage.items[item];
		if (usage->role == role && usage->schema == schema) {
			return true;
		}
	}
	return false;
}

static void search_path_append(struct search_path *path, uint32_t schema)
{
	for (size_t i = 0; i < path->n_schemas; i++) {
		if (path->schemas[i] == schema) {
			return;
		}
	}
	if (path->n_schemas == SEARCH_PATH_MAX) {
		path->is_broken = true;
		return;
	}
	path->schemas[path->n_schemas++] = (uint16_t)schema;
}

static void search_path_add(struct search_path *path, const struct catalog *catalog,
			    struct span name, struct span user)
{
	if (span_eq_str(name, "$user")) {
		name = user;
	}
	if (name.n >= 7 && memcmp(name.p, "pg_temp", 7) == 0) {
		path->has_temp = true;
		return;
	}
	uint32_t schema = catalog_schema_named(catalog, name);
	if (schema != CATALOG_NONE &&
	    search_path_may_use(path, catalog, schema, user)) {
		search_path_append(path, schema);
	}
}

static void skip_spaces(struct span *s)
{
	while (s->n > 0 && isspace(s->p[0])) {
		*s = span_skip(*s, 1);
	}
}

/* One name of a list, folded and unquoted, in NAME; its length, or -1 when there is
 * none that can be read. */
static int search_path_name(struct span *s, char name[MAX_NAME + 1])
{
	bool is_quoted = s->n > 0 && s->p[0] == '"';
	int n = 0;
	if (is_quoted) {
		*s = span_skip(*s, 1);
	}
	while (s->n > 0) {
		uint8_t c = s->p[0];
		if (is_quoted && c == '"') {
			*s = span_skip(*s, 1);
			if (s->n == 0 || s->p[0] != '"') {
				return n;
			}
		} else if (!is_quoted && (c == ',' || isspace(c))) {
			return n > 0 ? n : -1;
		} else if (!is_quoted && (c >= 0x80 || c == '"')) {
			return -1; /* folding depends on the encoding */
		}
		if (n == MAX_NAME) {
			return -1;
		}
		name[n++] = (char)(is_quoted ? c : tolower(c));
		*s = span_skip(*s, 1);
	}
	return is_quoted || n == 0 ? -1 : n;
}

void search_path_init(struct search_path *path, const struct catalog *catalog,
		      struct span setting, struct span user)
{
	require(path != NULL && catalog != NULL);
	*path = (struct search_path){ 0 };
	bool has_system = false;
	uint32_t system = catalog_schema_named(catalog, SPAN_LIT("pg_catalog"));
	if (system != CATALOG_NONE) {
		path->schemas[path->n_schemas++] = (uint16_t)system;
	}
	skip_spaces(&setting);
	while (setting.n > 0 && !path->is_broken) {
		char text[MAX_NAME + 1];
		int n = search_path_name(&setting, text);
		skip_spaces(&setting);
		if (n < 0 || (setting.n > 0 && setting.p[0] != ',')) {
			path->is_broken = true;
			break;
		}
		struct span name = span_make(text, (size_t)n);
		/* Listed, it is searched where it stands and not first. */
		if (!has_system && span_eq_str(name, "pg_catalog") &&
		    path->n_schemas > 0) {
			has_system = true;
			path->n_schemas--;
			memmove(path->schemas, path->schemas + 1,
				path->n_schemas * sizeof(path->schemas[0]));
		}
		search_path_add(path, catalog, name, user);
		if (setting.n > 0) {
			setting = span_skip(setting, 1);
			skip_spaces(&setting);
			path->is_broken |= setting.n == 0;
		}
	}
}

/* The schemas where a name may be: the one that it is qualified with, or the path. */
struct places {
	const uint16_t *schemas;
	size_t n;
	uint16_t one;
};

static void places_init(struct places *places, const struct catalog *catalog,
			const struct search_path *path, struct span schema)
{
	*places = (struct places){ 0 };
	if (schema.n == 0) {
		places->schemas = path->schemas;
		places->n = path->is_broken ? 0 : path->n_schemas;
		return;
	}
	uint32_t i = catalog_schema_named(catalog, schema);
	if (i != CATALOG_NONE) {
		places->one = (uint16_t)i;
		places->schemas = &places->one;
		places->n = 1;
	}
}

/* Relations */

static const struct relation *relations_in(const struct catalog *catalog,
					   uint16_t schema, struct span name)
{
	uint32_t hash = name_index_hash(schema, name);
	uint32_t item;
	uint32_t at = 0;
	while ((item = name_index_next(&catalog->relation_names, hash, &at)) !=
	       NAME_INDEX_END) {
		const struct catalog_relation *relation =
		    &catalog->relations.items[item];
		if (relation->schema == schema &&
		    span_eq_str(name, relation->pub.name)) {
			return &relation->pub;
		}
	}
	return NULL;
}

const struct relation *relations_find(const struct catalog *catalog,
				      const struct search_path *path,
				      struct span schema, struct span name)
{
	struct places places;
	places_init(&places, catalog, path, schema);
	for (size_t i = 0; i < places.n; i++) {
		const struct relation *relation =
		    relations_in(catalog, places.schemas[i], name);
		if (relation != NULL) {
			return relation;
		}
	}
	return NULL;
}

const struct relation *relations_by_oid(const struct catalog *catalog, uint32_t oid)
{
	uint32_t i = catalog_relation_index(catalog, oid);
	return i == CATALOG_NONE ? NULL : &catalog->relations.items[i].pub;
}

const struct relation_column *relation_column(const struct relation *relation,
					      struct span name)
{
	for (size_t i = 0; i < relation->n_columns; i++) {
		if (span_eq_str(name, relation->columns[i].name)) {
			return &relation->columns[i];
		}
	}
	return NULL;
}

const struct relation_column *relation_column_at(const struct relation *relation,
						 int16_t attnum)
{
	for (size_t i = 0; i < relation->n_columns; i++) {
		if (relation->columns[i].attnum == attnum) {
			return &relation->columns[i];
		}
	}
	return NULL;
}

/* Functions, operators, types */

static const struct catalog_function *
relations_function_in(const struct catalog *catalog, uint16_t schema, struct span name)
{
	uint32_t hash = name_index_hash(schema, name);
	uint32_t item;
	uint32_t at = 0;
	while ((item = name_index_next(&catalog->function_names, hash, &at)) !=
	       NAME_INDEX_END) {
		const struct catalog_function *function =
		    &catalog->functions.items[item];
		if (function->schema == schema && span_eq_str(name, function->name)) {
			return function;
		}
	}
	return NULL;
}

bool relations_function(const struct catalog *catalog, const struct search_path *path,
			struct span schema, struct span name, struct function_info *out)
{
	*out = (struct function_info){ .is_system = true };
	bool is_found = false;
	struct places places;
	places_init(&places, catalog, path, schema);
	/* Which one is meant depends on the types of the arguments: any may be. */
	for (size_t i = 0; i < places.n; i++) {
		const struct catalog_function *function =
		    relations_function_in(catalog, places.schemas[i], name);
		if (function == NULL) {
			continue;
		}
		is_found = true;
		const struct function_info *info = &function->info;
		if (info->volatility > out->volatility) {
			out->volatility = info->volatility;
		}
		out->is_system &= info->is_system;
		out->may_write |= info->may_write;
		out->sets |= info->sets;
		out->is_set_returning |= info->is_set_returning;
		out->is_procedure |= info->is_procedure;
		out->is_aggregate |= info->is_aggregate;
	}
	return is_found;
}

bool relations_operator(const struct catalog *catalog, struct span name,
			struct operator_info *out)
{
	uint32_t at = catalog_operator_named(catalog, name);
	if (at == CATALOG_NONE) {
		return false;
	}
	*out = catalog->operators.items[at].info;
	return true;
}

bool relations_type(const struct catalog *catalog, const struct search_path *path,
		    struct span schema, struct span name, struct type_info *out)
{
	struct places places;
	places_init(&places, catalog, path, schema);
	for (size_t i = 0; i < places.n; i++) {
		uint32_t hash = name_index_hash(places.schemas[i], name);
		uint32_t item;
		uint32_t at = 0;
		while ((item = name_index_next(&catalog->type_names, hash, &at)) !=
		       NAME_INDEX_END) {
			const struct catalog_type *type = &catalog->types.items[item];
			if (type->schema == places.schemas[i] &&
			    span_eq_str(name, type->name)) {
				*out = type->info;
				return true;
			}
		}
	}
	return false;
}

bool relations_type_by_oid(const struct catalog *catalog, uint32_t oid,
			   struct type_info *out)
{
	uint32_t i = catalog_type_index(catalog, oid);
	if (i == CATALOG_NONE) {
		return false;
	}
	*out = catalog->types.items[i].info;
	return true;
}

bool relations_has_hidden_volatile(const struct catalog *catalog)
{
	return catalog->has_hidden_volatile;
}

bool relations_has_setting_code(const struct catalog *catalog)
{
	return catalog->has_setting_code;
}
