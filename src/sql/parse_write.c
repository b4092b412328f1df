/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * INSERT, UPDATE, DELETE, MERGE, TRUNCATE and COPY ... FROM: which rows they write, as
 * far as the text tells. */

#include <string.h>

#include "parse_priv.h"

static struct sql_write *parse_add_write(struct parse *parse, enum sql_write_op op,
					 const struct node *range)
{
	struct sql_ref *target = parse_add_ref(parse, range, true);
	struct sql_write *w =
	    target != NULL ? PARSE_NEW(parse, struct sql_write) : NULL;
	if (w == NULL) {
		/* Over a limit: nobody may think that this relation is not written. */
		parse->st->writes_all = true;
		return NULL;
	}
	*w =
	    (struct sql_write){ .next = parse->st->writes, .op = op, .target = target };
	parse->st->writes = w;
	return w;
}

/* The names in a list of ResTarget; a part of a column (a[1], b.c) gives NULL. */
static const char **parse_target_names(struct parse *parse, const struct node *node,
				       const char *field, uint16_t *n_out)
{
	size_t n = node_count(node, field);
	const char **names =
	    n > 0 && n <= UINT16_MAX ? parse_alloc(parse, n * sizeof(*names)) : NULL;
	if (names == NULL) {
		*n_out = 0;
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		const struct node *t = node_at(node, field, i);
		names[i] =
		    node_count(t, "indirection") == 0 ? node_str(t, "name") : NULL;
	}
	*n_out = (uint16_t)n;
	return names;
}

/* The rows of VALUES; false when they are too many or not alike. */
static bool parse_rows(struct parse *parse, const struct node *select,
		       struct sql_write *w)
{
	size_t n_rows = node_count(select, "values_lists");
	if (n_rows == 0 || n_rows > STATEMENT_MAX_ROWS ||
	    node_count(select, "sort_clause") > 0 ||
	    node_get(select, "limit_count") != NULL ||
	    node_get(select, "limit_offset") != NULL) {
		return false;
	}
	size_t n = node_count(node_at(select, "values_lists", 0), "items");
	if (n == 0 || n > 1600) {
		return false;
	}
	w->values = parse_alloc(parse, n_rows * n * sizeof(*w->values));
	if (w->values == NULL) {
		return false;
	}
	for (size_t row = 0; row < n_rows; row++) {
		const struct node *list = node_at(select, "values_lists", row);
		if (node_count(list, "items") != n) {
			return false;
		}
		for (size_t i = 0; i < n; i++) {
			w->values[row * n + i] =
			    parse_value(parse, node_at(list, "items", i));
		}
	}
	w->n_rows = (uint16_t)n_rows;
	w->n_values = (uint16_t)n;
	return true;
}

static void parse_sets(struct parse *parse, const struct node *node,
		       struct sql_write *w)
{
	size_t n = node_count(node, "target_list");
	for (size_t i = 0; i < n; i++) {
		const struct node *t = node_at(node, "target_list", i);
		struct sql_set *set = PARSE_NEW(parse, struct sql_set);
		if (set == NULL) {
			return;
		}
		set->next = w->sets;
		set->column = node_str(t, "name");
		set->value = (struct sql_value){ .kind = SQL_VALUE_OTHER };
		if (node_count(t, "indirection") == 0) {
			set->value = parse_value(parse, node_get(t, "val"));
		}
		w->sets = set;
	}
	parse_visit_list(parse, node, "target_list");
}

static void parse_on_conflict(struct parse *parse, const struct node *clause,
			      struct sql_write *w)
{
	if (clause == NULL) {
		return;
	}
	const struct node *infer = node_get(clause, "infer");
	parse_visit(parse, infer);
	if (w != NULL && !node_enum_is(clause, "action", "ONCONFLICT_NOTHING")) {
		w->conflict = SQL_CONFLICT_UPDATE;
		size_t n = node_count(infer, "index_elems");
		w->infer = n > 0 && n <= UINT16_MAX
			       ? parse_alloc(parse, n * sizeof(*w->infer))
			       : NULL;
		for (size_t i = 0; w->infer != NULL && i < n; i++) {
			const struct node *e = node_at(infer, "index_elems", i);
			/* A collation or operator class may make unlike values equal.
			 */
			bool plain = node_get(e, "expr") == NULL &&
				     node_count(e, "collation") == 0 &&
				     node_count(e, "opclass") == 0;
			w->infer[i] = plain ? node_str(e, "name") : NULL;
			w->n_infer = (uint16_t)(i + 1);
		}
		parse_sets(parse, clause, w);
	} else {
		parse_visit_list(parse, clause, "target_list");
	}
	parse_visit(parse, node_get(clause, "where_clause"));
}

static void parse_insert(struct parse *parse, const struct node *node)
{
	struct sql_write *w =
	    parse_add_write(parse, SQL_INSERT, node_get(node, "relation"));
	const struct node *select = node_get(node, "select_stmt");
	if (w != NULL) {
		w->has_columns = node_count(node, "cols") > 0;
		w->columns = parse_target_names(parse, node, "cols", &w->n_columns);
		if (select == NULL) { /* DEFAULT VALUES */
			w->from_values = true;
			w->n_rows = 1;
		} else {
			/* OVERRIDING USER VALUE takes the default instead. */
			w->from_values =
			    !node_enum_is(node, "override", "OVERRIDING_USER_VALUE") &&
			    node_count(select, "from_clause") == 0 &&
			    node_get(select, "with_clause") == NULL &&
			    parse_rows(parse, select, w);
		}
	}
	parse_visit_list(parse, node, "cols");
	parse_visit(parse, select);
	parse_on_conflict(parse, node_get(node, "on_conflict_clause"), w);
}

/* UPDATE and DELETE: the target is one more name of the block. */
static void parse_change(struct parse *parse, const struct node *node,
			 enum sql_write_op op, const char *from)
{
	uint16_t lo = parse->st->n_refs;
	struct sql_write *w = parse_add_write(parse, op, node_get(node, "relation"));
	size_t n = node_count(node, from);
	for (size_t i = 0; i < n; i++) {
		parse_from(parse, node_at(node, from, i));
	}
	const struct node *where = node_get(node, "where_clause");
	parse_conjuncts(parse, where, lo, parse->st->n_refs);
	parse_visit(parse, where);
	if (op == SQL_UPDATE && w != NULL) {
		parse_sets(parse, node, w);
	} else {
		parse_visit_list(parse, node, "target_list");
	}
}

static void parse_merge(struct parse *parse, const struct node *node)
{
	(void)parse_add_write(parse, SQL_MERGE, node_get(node, "relation"));
	parse_from(parse, node_get(node, "source_relation"));
	parse_visit(parse, node_get(node, "join_condition"));
	parse_visit_list(parse, node, "merge_when_clauses");
}

bool parse_write(struct parse *parse, const struct node *node)
{
	const struct scope *scope = parse->scope;
	uint16_t block = parse->block;
	bool filter = parse->in_filter;
	parse->in_filter = false;
	bool insert = node_is(node, "InsertStmt");
	bool update = node_is(node, "UpdateStmt");
	bool delete = node_is(node, "DeleteStmt");
	bool known = insert || update || delete || node_is(node, "MergeStmt");
	if (known) {
		parse_with(parse, node);
		parse->block = parse_open_block(parse);
	}
	if (insert) {
		parse_insert(parse, node);
	} else if (update) {
		parse_change(parse, node, SQL_UPDATE, "from_clause");
	} else if (delete) {
		parse_change(parse, node, SQL_DELETE, "using_clause");
	} else if (known) {
		parse_merge(parse, node);
	}
	if (known) {
		parse_visit_list(parse, node, "returning_list");
		parse_visit(parse, node_get(node, "returning_clause")); /* 18 */
	}
	parse->scope = scope;
	parse->block = block;
	parse->in_filter = filter;
	return known;
}

void parse_truncate(struct parse *parse, const struct node *node)
{
	size_t n = node_count(node, "relations");
	for (size_t i = 0; i < n; i++) {
		struct sql_write *w =
		    parse_add_write(parse, SQL_TRUNCATE, node_at(node, "relations", i));
		if (w != NULL) {
			w->cascade = node_enum_is(node, "behavior", "DROP_CASCADE");
		}
	}
}

void parse_copy(struct parse *parse, const struct node *node)
{
	struct statement *st = parse->st;
	st->kind = PLAN_COPY;
	if (node_bool(node, "is_from")) {
		st->copy_in = *node_str(node, "filename") == '\0' &&
			      !node_bool(node, "is_program");
		(void)parse_add_write(parse, SQL_COPY, node_get(node, "relation"));
		parse_visit(parse, node_get(node, "where_clause"));
		return;
	}
	parse_visit(parse, node_get(node, "query"));
}
