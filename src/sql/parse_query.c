/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The walk over queries and expressions.  A block is one SELECT, UPDATE or DELETE: the
 * level at which its FROM names are visible.  A node that this file does not list makes
 * the statement has_unknown, so that a later grammar cannot smuggle anything in. */

#include <stdlib.h>
#include <string.h>

#include "parse_priv.h"
#include "sql/planner.h"

struct sql_name parse_name(const struct node *node, const char *field)
{
	struct sql_name name = { "", "", false };
	size_t n = node_count(node, field);
	const char *part = n > 0 ? node_string(node_at(node, field, n - 1)) : NULL;
	name.name = part != NULL ? part : "";
	part = n > 1 ? node_string(node_at(node, field, n - 2)) : NULL;
	name.schema = part != NULL ? part : "";
	name.has_catalog = n > 2;
	return name;
}

struct sql_name parse_range_name(const struct node *range)
{
	return (struct sql_name){ .schema = node_str(range, "schemaname"),
				  .name = node_str(range, "relname"),
				  .has_catalog =
				      *node_str(range, "catalogname") != '\0' };
}

static bool parse_name_is(struct sql_name name, const char *what)
{
	return strcmp(name.name, what) == 0 && !name.has_catalog &&
	       (*name.schema == '\0' || strcmp(name.schema, "pg_catalog") == 0);
}

/* Finds the scanner's constant that begins at the node's place. */
static bool parse_const_index(const struct parse *parse, const struct node *node,
			      uint16_t *index)
{
	const struct parse_source *s = parse->source;
	int64_t at = node_int(node, "location");
	if (at <= 0 || (uint64_t)at >= s->text.n) {
		return false;
	}
	const uint8_t *p = s->text.p + at;
	size_t lo = 0;
	size_t hi = s->n_consts;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->consts[mid].raw.p < p) {
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
	if (lo >= s->n_consts || s->consts[lo].raw.p != p) {
		return false;
	}
	*index = (uint16_t)lo;
	return true;
}

static struct sql_value parse_plain_value(const struct parse *parse,
					  const struct node *node)
{
	struct sql_value v = { .kind = SQL_VALUE_OTHER };
	if (node_is(node, "ParamRef")) {
		int64_t number = node_int(node, "number");
		if (number >= 1 && number <= UINT16_MAX) {
			v.kind = SQL_VALUE_PARAM;
			v.index = (uint16_t)(number - 1);
		}
		return v;
	}
	if (node_is(node, "SetToDefault")) {
		v.kind = SQL_VALUE_DEFAULT;
		return v;
	}
	enum node_const_kind kind = node_const_kind(node);
	if (kind == NODE_CONST_NULL) {
		v.kind = SQL_VALUE_NULL;
	} else if ((kind == NODE_CONST_STRING || kind == NODE_CONST_NUMBER) &&
		   parse_const_index(parse, node, &v.index)) {
		v.kind = SQL_VALUE_CONST;
		v.is_string = kind == NODE_CONST_STRING;
	}
	return v;
}

struct sql_value parse_value(const struct parse *parse, const struct node *node)
{
	if (!node_is(node, "TypeCast")) {
		return parse_plain_value(parse, node);
	}
	struct sql_value v = parse_plain_value(parse, node_get(node, "arg"));
	if (v.kind == SQL_VALUE_DEFAULT) {
		v.kind = SQL_VALUE_OTHER;
	}
	const struct node *type = node_get(node, "type_name");
	v.has_cast = true;
	v.cast = parse_name(type, "names");
	v.cast_modified = node_count(type, "typmods") > 0 ||
			  node_count(type, "array_bounds") > 0 || v.cast.has_catalog;
	return v;
}

bool parse_column(const struct node *node, struct sql_column *out)
{
	size_t n = node_is(node, "ColumnRef") ? node_count(node, "fields") : 0;
	if (n < 1 || n > 2) {
		return false;
	}
	const char *name = node_string(node_at(node, "fields", n - 1));
	const char *qualifier = n == 2 ? node_string(node_at(node, "fields", 0)) : "";
	if (name == NULL || qualifier == NULL) {
		return false;
	}
	*out = (struct sql_column){ .qualifier = qualifier, .name = name };
	return true;
}

static void parse_add_equal(struct parse *parse, const struct node *column,
			    const struct sql_value *values, size_t n, uint16_t lo,
			    uint16_t hi)
{
	struct sql_column name;
	if (!parse_column(column, &name)) {
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (values[i].kind != SQL_VALUE_CONST &&
		    values[i].kind != SQL_VALUE_PARAM) {
			return;
		}
	}
	struct sql_equal *e = PARSE_NEW(parse, struct sql_equal);
	struct sql_value *copy = parse_alloc(parse, n * sizeof(*copy));
	if (e == NULL || copy == NULL) {
		return;
	}
	memcpy(copy, values, n * sizeof(*copy));
	*e = (struct sql_equal){
		.next = parse->st->equals,
		.column = name,
		.block = parse->block,
		.ref_lo = lo,
		.ref_hi = hi,
		.n_values = (uint16_t)n,
		.values = copy,
	};
	parse->st->equals = e;
}

static void parse_in_list(struct parse *parse, const struct node *expr, uint16_t lo,
			  uint16_t hi)
{
	struct sql_value values[STATEMENT_MAX_VALUES];
	const struct node *list = node_get(expr, "rexpr");
	size_t n = node_is(list, "List") ? node_count(list, "items") : 0;
	if (n == 0 || n > STATEMENT_MAX_VALUES) {
		return;
	}
	for (size_t i = 0; i < n; i++) {
		values[i] = parse_value(parse, node_at(list, "items", i));
	}
	parse_add_equal(parse, node_get(expr, "lexpr"), values, n, lo, hi);
}

void parse_conjuncts(struct parse *parse, const struct node *expr, uint16_t lo,
		     uint16_t hi)
{
	if (node_is(expr, "BoolExpr") && node_enum_is(expr, "boolop", "AND_EXPR")) {
		size_t n = node_count(expr, "args");
		for (size_t i = 0; i < n; i++) {
			parse_conjuncts(parse, node_at(expr, "args", i), lo, hi);
		}
		return;
	}
	if (lo == hi || !node_is(expr, "A_Expr") ||
	    !parse_name_is(parse_name(expr, "name"), "=")) {
		return;
	}
	if (node_enum_is(expr, "kind", "AEXPR_IN")) {
		parse_in_list(parse, expr, lo, hi);
	} else if (node_enum_is(expr, "kind", "AEXPR_OP")) {
		const struct node *l = node_get(expr, "lexpr");
		const struct node *r = node_get(expr, "rexpr");
		if (!node_is(l, "ColumnRef")) {
			const struct node *t = l;
			l = r;
			r = t;
		}
		struct sql_value v = parse_value(parse, r);
		parse_add_equal(parse, l, &v, 1, lo, hi);
	}
}

uint16_t parse_open_block(struct parse *parse)
{
	struct statement *st = parse->st;
	if (st->n_blocks == UINT16_MAX) {
		st->over_limit = true;
		return 0;
	}
	return ++st->n_blocks;
}

struct sql_ref *parse_add_ref(struct parse *parse, const struct node *range,
			      bool is_target)
{
	struct statement *st = parse->st;
	if (st->n_refs >= STATEMENT_MAX_REFS) {
		st->over_limit = true;
		return NULL;
	}
	struct sql_ref *ref = PARSE_NEW(parse, struct sql_ref);
	if (ref == NULL) {
		return NULL;
	}
	const struct node *alias = node_get(range, "alias");
	*ref = (struct sql_ref){
		.next = st->refs,
		.name = parse_range_name(range),
		.alias = node_str(alias, "aliasname"),
		.index = st->n_refs++,
		.block = parse->block,
		.renamed = node_count(alias, "colnames") > 0,
		.is_target = is_target,
	};
	st->refs = ref;
	return ref;
}

/* A name in FROM is a common table expression before it is a relation. */
static bool parse_is_cte(const struct parse *parse, const struct node *range)
{
	if (*node_str(range, "schemaname") != '\0' ||
	    *node_str(range, "catalogname") != '\0') {
		return false;
	}
	for (const struct scope *s = parse->scope; s != NULL; s = s->outer) {
		if (strcmp(s->name, node_str(range, "relname")) == 0) {
			return true;
		}
	}
	return false;
}

/* What an outer join's ON says of the side that always has its rows proves nothing. */
static void parse_join(struct parse *parse, const struct node *join)
{
	struct statement *st = parse->st;
	uint16_t lo = st->n_refs;
	parse_from(parse, node_get(join, "larg"));
	uint16_t mid = st->n_refs;
	parse_from(parse, node_get(join, "rarg"));
	uint16_t hi = st->n_refs;
	const struct node *quals = node_get(join, "quals");
	if (node_enum_is(join, "jointype", "JOIN_INNER")) {
		parse_conjuncts(parse, quals, lo, hi);
	} else if (node_enum_is(join, "jointype", "JOIN_LEFT")) {
		parse_conjuncts(parse, quals, mid, hi);
	} else if (node_enum_is(join, "jointype", "JOIN_RIGHT")) {
		parse_conjuncts(parse, quals, lo, mid);
	}
	if (node_count(join, "using_clause") > 0 || node_bool(join, "is_natural")) {
		st->merged_columns = true;
	}
	if (node_get(join, "alias") != NULL) {
		/* The aliases inside are hidden. */
		for (struct sql_ref *ref = st->refs; ref != NULL && ref->index >= lo;
		     ref = ref->next) {
			ref->renamed = true;
		}
	}
	bool filter = parse->in_filter;
	parse->in_filter = true;
	parse_visit(parse, quals);
	parse->in_filter = filter;
}

void parse_from(struct parse *parse, const struct node *item)
{
	if (node_is(item, "RangeVar")) {
		if (!parse_is_cte(parse, item)) {
			(void)parse_add_ref(parse, item, false);
		}
	} else if (node_is(item, "JoinExpr")) {
		parse_join(parse, item);
	} else if (node_is(item, "RangeSubselect")) {
		parse_visit(parse, node_get(item, "subquery"));
	} else if (node_is(item, "RangeFunction")) {
		parse->st->has_unknown |= node_count(item, "coldeflist") > 0;
		parse_visit_list(parse, item, "functions");
	} else if (node_is(item, "RangeTableSample")) {
		parse->st->has_sample = true;
		parse_from(parse, node_get(item, "relation"));
		parse_visit_list(parse, item, "args");
		parse_visit(parse, node_get(item, "repeatable"));
	} else if (item != NULL) {
		parse_visit(parse, item);
	}
}

/* Names of a WITH list: visible to those after them, with RECURSIVE to all of them. */
void parse_with(struct parse *parse, const struct node *statement)
{
	const struct node *with = node_get(statement, "with_clause");
	size_t n = node_count(with, "ctes");
	struct scope *scopes = n > 0 ? parse_alloc(parse, n * sizeof(*scopes)) : NULL;
	if (scopes == NULL) {
		return;
	}
	bool recursive = node_bool(with, "recursive");
	for (size_t i = 0; i < n; i++) {
		const struct node *cte = node_at(with, "ctes", i);
		scopes[i].name = node_str(cte, "ctename");
		if (recursive) {
			scopes[i].outer = parse->scope;
			parse->scope = &scopes[i];
		}
	}
	for (size_t i = 0; i < n; i++) {
		const struct node *cte = node_at(with, "ctes", i);
		parse_visit(parse, node_get(cte, "ctequery"));
		parse_visit(parse, node_get(cte, "search_clause"));
		parse_visit(parse, node_get(cte, "cycle_clause"));
		if (!recursive) {
			scopes[i].outer = parse->scope;
			parse->scope = &scopes[i];
		}
	}
}

static void parse_filter(struct parse *parse, const struct node *node,
			 const char *field)
{
	bool filter = parse->in_filter;
	parse->in_filter = true;
	parse_visit_list(parse, node, field);
	parse_visit(parse, node_get(node, field));
	parse->in_filter = filter;
}

void parse_select(struct parse *parse, const struct node *select)
{
	const struct scope *scope = parse->scope;
	uint16_t block = parse->block;
	bool filter = parse->in_filter;
	parse->in_filter = false;
	parse_with(parse, select);
	parse->block = parse_open_block(parse);
	if (select == parse->asking) {
		parse->st->top_block = parse->block;
	}
	uint16_t lo = parse->st->n_refs;
	size_t n = node_count(select, "from_clause");
	for (size_t i = 0; i < n; i++) {
		parse_from(parse, node_at(select, "from_clause", i));
	}
	/* References of sub-selects in FROM lie between lo and here, in other blocks.
	 */
	parse_conjuncts(parse, node_get(select, "where_clause"), lo, parse->st->n_refs);
	parse_filter(parse, select, "where_clause");
	parse_filter(parse, select, "having_clause");
	parse_filter(parse, select, "sort_clause");
	static const char *const lists[] = { "distinct_clause", "target_list",
					     "group_clause", "window_clause",
					     "values_lists" };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		parse_visit_list(parse, select, lists[i]);
	}
	parse_visit(parse, node_get(select, "limit_offset"));
	parse_visit(parse, node_get(select, "limit_count"));
	parse->st->locks_rows |= node_count(select, "locking_clause") > 0;
	parse_visit(parse, node_get(select, "larg"));
	parse_visit(parse, node_get(select, "rarg"));
	parse->scope = scope;
	parse->block = block;
	parse->in_filter = filter;
}

void parse_visit_list(struct parse *parse, const struct node *node, const char *field)
{
	size_t n = node_count(node, field);
	for (size_t i = 0; i < n; i++) {
		parse_visit(parse, node_at(node, field, i));
	}
}
