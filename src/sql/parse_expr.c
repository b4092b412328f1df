/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The walk over expressions: one row per node type that we know. */

#include <string.h>

#include "parse_priv.h"

typedef void parse_node_fn(struct parse *parse, const struct node *node);

struct parse_node_type {
	const char *type;
	parse_node_fn *visit; /* NULL: look at its children */
};

static void parse_child(void *arg, const struct node *child, const char *field)
{
	(void)field;
	parse_visit(arg, child);
}

void parse_add_function(struct parse *parse, struct sql_name name, bool is_field)
{
	struct sql_function *f = PARSE_NEW(parse, struct sql_function);
	if (f != NULL) {
		*f = (struct sql_function){ .next = parse->st->functions,
					    .name = name,
					    .is_field = is_field };
		parse->st->functions = f;
	}
}

static void parse_add_operator(struct parse *parse, struct sql_name name)
{
	struct sql_operator *o = PARSE_NEW(parse, struct sql_operator);
	if (o != NULL) {
		*o = (struct sql_operator){ .next = parse->st->operators,
					    .name = name,
					    .in_filter = parse->in_filter };
		parse->st->operators = o;
	}
}

/* pgvector's sign in ORDER BY may also stand in the target list under a name; that is
 * found as an operator too, only its place is lost. */
static void parse_a_expr(struct parse *parse, const struct node *node)
{
	if (strstr(node_enum(node, "kind"), "BETWEEN") != NULL) {
		parse_add_operator(parse,
				   (struct sql_name){ .schema = "", .name = ">=" });
		parse_add_operator(parse,
				   (struct sql_name){ .schema = "", .name = "<=" });
	} else {
		parse_add_operator(parse, parse_name(node, "name"));
	}
	parse_visit(parse, node_get(node, "lexpr"));
	parse_visit(parse, node_get(node, "rexpr"));
}

static enum sql_cast_source parse_cast_source(const struct node *arg,
					      struct sql_type *out)
{
	if (node_is(arg, "TypeCast")) {
		/* 'x'::text::date: the inner cast does not change what the text says.
		 */
		const struct node *inner = node_get(arg, "arg");
		return node_is(inner, "A_Const") || node_is(inner, "ParamRef")
			   ? SQL_CAST_LITERAL
			   : SQL_CAST_OTHER;
	}
	if (node_is(arg, "A_Const") || node_is(arg, "ParamRef")) {
		return SQL_CAST_LITERAL;
	}
	if (parse_column(arg, &out->column)) {
		return SQL_CAST_COLUMN;
	}
	if (node_is(arg, "FuncCall")) {
		out->function = parse_name(arg, "funcname");
		return SQL_CAST_FUNCTION;
	}
	return SQL_CAST_OTHER;
}

static void parse_cast(struct parse *parse, struct sql_name type,
		       const struct node *arg)
{
	struct sql_type *t = PARSE_NEW(parse, struct sql_type);
	if (t != NULL) {
		t->next = parse->st->types;
		t->name = type;
		t->block = parse->block;
		t->source = parse_cast_source(arg, t);
		parse->st->types = t;
	}
}

/* date(x) reads a text as x::date does. */
static bool parse_is_time_call(const struct node *node, struct sql_name name)
{
	static const char *const names[] = { "date", "time", "timetz", "timestamp",
					     "timestamptz" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(name.name, names[i]) == 0) {
			return node_count(node, "args") == 1;
		}
	}
	return false;
}

static void parse_func_call(struct parse *parse, const struct node *node)
{
	struct sql_name name = parse_name(node, "funcname");
	parse_add_function(parse, name, false);
	if (parse_is_time_call(node, name)) {
		parse_cast(parse, name, node_at(node, "args", 0));
	}
	parse->st->has_set_config |= strcmp(name.name, "set_config") == 0;
	parse_visit_list(parse, node, "args");
	parse_visit_list(parse, node, "agg_order");
	parse_visit(parse, node_get(node, "agg_filter"));
	parse_visit(parse, node_get(node, "over"));
}

static void parse_type_cast(struct parse *parse, const struct node *node)
{
	const struct node *type = node_get(node, "type_name");
	parse_cast(parse, parse_name(type, "names"), node_get(node, "arg"));
	parse->st->has_unknown |=
	    node_bool(type, "pct_type") || node_bool(type, "setof");
	parse_visit(parse, node_get(node, "arg"));
}

/* VACUUM FULL moves rows, a lock or a foreign key check leaves its mark on them. */
static bool parse_is_system_column(const char *name)
{
	static const char *const names[] = { "ctid", "xmin", "xmax", "cmin", "cmax" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			return true;
		}
	}
	return false;
}

static void parse_column_ref(struct parse *parse, const struct node *node)
{
	size_t n = node_count(node, "fields");
	const char *last = n > 0 ? node_string(node_at(node, "fields", n - 1)) : NULL;
	parse->st->has_system_column |= last != NULL && parse_is_system_column(last);
	if (n > 1 && last != NULL) {
		parse_add_function(
		    parse, (struct sql_name){ .schema = "", .name = last }, true);
	}
}

static void parse_indirection(struct parse *parse, const struct node *node)
{
	parse_visit(parse, node_get(node, "arg"));
	size_t n = node_count(node, "indirection");
	for (size_t i = 0; i < n; i++) {
		const struct node *part = node_at(node, "indirection", i);
		const char *name = node_string(part);
		if (name != NULL) {
			parse_add_function(
			    parse, (struct sql_name){ .schema = "", .name = name },
			    true);
		} else {
			parse_visit(parse, part);
		}
	}
}

static void parse_param(struct parse *parse, const struct node *node)
{
	struct statement *st = parse->st;
	int64_t number = node_int(node, "number");
	st->has_params = true;
	if (number >= 1 && number <= st->n_params &&
	    st->param_uses[number - 1] < UINT16_MAX) {
		st->param_uses[number - 1]++;
	}
}

static void parse_const(struct parse *parse, const struct node *node)
{
	if (node_const_kind(node) != NODE_CONST_STRING) {
		return;
	}
	parse->st->has_strings = true;
	if (parse->source->keep_strings) {
		struct sql_string *s = PARSE_NEW(parse, struct sql_string);
		if (s != NULL) {
			s->next = parse->st->strings;
			s->text = node_const_text(node, NULL, 0);
			parse->st->strings = s;
		}
	}
}

static void parse_sql_value(struct parse *parse, const struct node *node)
{
	static const char *const fixed[] = {
		"SVFOP_CURRENT_ROLE", "SVFOP_CURRENT_USER",    "SVFOP_USER",
		"SVFOP_SESSION_USER", "SVFOP_CURRENT_CATALOG", "SVFOP_CURRENT_SCHEMA"
	};
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		if (node_enum_is(node, "op", fixed[i])) {
			return;
		}
	}
	parse->st->has_time = true;
}

static void parse_sub_link(struct parse *parse, const struct node *node)
{
	if (node_count(node, "oper_name") > 0) {
		parse_add_operator(parse, parse_name(node, "oper_name"));
	}
	parse_visit(parse, node_get(node, "testexpr"));
	parse_visit(parse, node_get(node, "subselect"));
}

static void parse_sort_by(struct parse *parse, const struct node *node)
{
	if (node_count(node, "use_op") > 0) {
		parse_add_operator(parse, parse_name(node, "use_op"));
	}
	parse_visit(parse, node_get(node, "node"));
}

static void parse_collate(struct parse *parse, const struct node *node)
{
	parse_visit(parse, node_get(node, "arg"));
}

static void parse_skip(struct parse *parse, const struct node *node)
{
	(void)parse;
	(void)node;
}

static void parse_write_node(struct parse *parse, const struct node *node)
{
	(void)parse_write(parse, node);
}

/* A FROM item in an odd place (MERGE's source). */
static void parse_range(struct parse *parse, const struct node *node)
{
	parse_from(parse, node);
}

static void parse_res_target(struct parse *parse, const struct node *node)
{
	size_t n = node_count(node, "indirection");
	for (size_t i = 0; i < n; i++) {
		const struct node *part = node_at(node, "indirection", i);
		if (node_string(part) == NULL) {
			parse_visit(parse, part);
		}
	}
	parse_visit(parse, node_get(node, "val"));
}

/* clang-format off */
static const struct parse_node_type parse_nodes[] = {
	{ "A_ArrayExpr",     NULL },
	{ "A_Const",         parse_const },
	{ "A_Expr",          parse_a_expr },
	{ "A_Indices",       NULL },
	{ "A_Indirection",   parse_indirection },
	{ "A_Star",          parse_skip },
	{ "BoolExpr",        NULL },
	{ "BooleanTest",     NULL },
	{ "CTECycleClause",  NULL },
	{ "CTESearchClause", NULL },
	{ "CaseExpr",        NULL },
	{ "CaseWhen",        NULL },
	{ "CoalesceExpr",    NULL },
	{ "CollateClause",   parse_collate },
	{ "ColumnRef",       parse_column_ref },
	{ "CurrentOfExpr",   parse_skip },
	{ "DeleteStmt",      parse_write_node },
	{ "FuncCall",        parse_func_call },
	{ "GroupingFunc",    NULL },
	{ "GroupingSet",     NULL },
	{ "IndexElem",       NULL },
	{ "InferClause",     NULL },
	{ "InsertStmt",      parse_write_node },
	{ "JoinExpr",        parse_range },
	{ "List",            NULL },
	{ "MergeStmt",       parse_write_node },
	{ "MergeWhenClause", NULL },
	{ "MinMaxExpr",      NULL },
	{ "MultiAssignRef",  NULL },
	{ "NamedArgExpr",    NULL },
	{ "NullTest",        NULL },
	{ "ParamRef",        parse_param },
	{ "RangeFunction",   parse_range },
	{ "RangeSubselect",  parse_range },
	{ "RangeTableSample", parse_range },
	{ "RangeVar",        parse_range },
	{ "ResTarget",       parse_res_target },
	{ "RowExpr",         NULL },
	{ "SQLValueFunction", parse_sql_value },
	{ "SelectStmt",      parse_select },
	{ "SetToDefault",    parse_skip },
	{ "SortBy",          parse_sort_by },
	{ "String",          parse_skip },
	{ "SubLink",         parse_sub_link },
	{ "TypeCast",        parse_type_cast },
	{ "UpdateStmt",      parse_write_node },
	{ "WindowDef",       NULL },
};
/* clang-format on */

void parse_visit(struct parse *parse, const struct node *node)
{
	if (node == NULL) {
		return;
	}
	const char *type = node_type(node);
	size_t lo = 0;
	size_t hi = ARRAY_LEN(parse_nodes);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(parse_nodes[mid].type, type);
		if (c == 0) {
			if (parse_nodes[mid].visit != NULL) {
				parse_nodes[mid].visit(parse, node);
			} else {
				node_children(node, parse_child, parse);
			}
			return;
		}
		if (c < 0) {
			lo = mid + 1;
		} else {
			hi = mid;
		}
	}
	parse->st->has_unknown = true;
	node_children(node, parse_child, parse);
}
