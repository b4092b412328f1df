/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The relations that a read depends on, and by which column each is keyed.
 *
 * Why a key is right: every row of a block's result that has a row t of relation T in
 * it passed the condition T.c = value (WHERE, or ON of a join that drops what fails
 * it). Whether and how t appears does not depend on other rows of T under the same
 * reference: at each join on the way up, t's row is matched with rows of the other
 * side, or filled with NULLs for want of any, and the other side does not contain this
 * reference.  So rows of T with another value of c may come and go without changing the
 * result. */

#include <stdio.h>
#include <string.h>

#include "classify_priv.h"

/* pg_type.oid of timetz and timetz[]: comparing them with a text depends on today. */
#define CLASSIFY_OID_TIMETZ	  1266
#define CLASSIFY_OID_TIMETZ_ARRAY 1270

static const char *classify_alias(const struct sql_ref *ref)
{
	return *ref->alias != '\0' ? ref->alias : ref->name.name;
}

const struct relation_column *classify_column(const struct classify *c,
					      const struct sql_ref *ref,
					      const struct sql_equal *equal)
{
	const struct sql_column *name = &equal->column;
	const struct relation *rel = c->refs[ref->index];
	if (equal->block != ref->block || ref->index < equal->ref_lo ||
	    ref->index >= equal->ref_hi || ref->renamed || rel == NULL) {
		return NULL;
	}
	if (*name->qualifier != '\0') {
		return strcmp(classify_alias(ref), name->qualifier) == 0
			   ? relation_column(rel, span_str(name->name))
			   : NULL;
	}
	if (c->st->merged_columns) {
		return NULL;
	}
	/* Without a qualifier it is ours when nobody else in the block has such a
	 * column. */
	for (const struct sql_ref *r = c->st->refs; r != NULL; r = r->next) {
		const struct relation *other = c->refs[r->index];
		if (r != ref && r->block == ref->block &&
		    (other == NULL ||
		     relation_column(other, span_str(name->name)) != NULL)) {
			return NULL;
		}
	}
	return relation_column(rel, span_str(name->name));
}

/* Types whose cast leaves a canonical value as it is. */
static bool classify_cast_fits(enum canon canon, const struct sql_name *type)
{
	static const struct {
		const char *name;
		enum canon canon;
	} casts[] = {
		{ "int2", CANON_INT },	   { "int4", CANON_INT },
		{ "int8", CANON_INT },	   { "uuid", CANON_UUID },
		{ "bool", CANON_BOOL },	   { "text", CANON_TEXT },
		{ "varchar", CANON_TEXT },
	};
	if (*type->schema != '\0' && strcmp(type->schema, "pg_catalog") != 0) {
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(casts); i++) {
		if (strcmp(casts[i].name, type->name) == 0) {
			return casts[i].canon == canon;
		}
	}
	return false;
}

/* A parameter without a declared type gets one from the first place where it stands:
 * only when that is the only place do we know which. */
static bool classify_param_fits(const struct classify *c, const struct sql_value *v)
{
	return v->index < c->st->n_params && c->st->param_uses[v->index] == 1;
}

bool classify_value_fits(const struct classify *c, const struct relation_column *column,
			 const struct sql_value *v)
{
	if (v->kind == SQL_VALUE_NULL) {
		return true;
	}
	if (v->kind != SQL_VALUE_CONST && v->kind != SQL_VALUE_PARAM) {
		return false;
	}
	enum canon canon = (enum canon)column->canon;
	if (v->has_cast && (v->cast_modified || !classify_cast_fits(canon, &v->cast))) {
		return false;
	}
	if (v->kind == SQL_VALUE_PARAM) {
		return classify_param_fits(c, v);
	}
	/* 5 is an integer: it may be compared with integers only. */
	return v->is_string || canon == CANON_INT;
}

struct operand classify_operand(const struct sql_value *v)
{
	static const uint8_t kinds[] = {
		[SQL_VALUE_OTHER] = OPERAND_NONE,   [SQL_VALUE_CONST] = OPERAND_CONST,
		[SQL_VALUE_PARAM] = OPERAND_PARAM,  [SQL_VALUE_NULL] = OPERAND_NULL,
		[SQL_VALUE_DEFAULT] = OPERAND_NONE,
	};
	return (struct operand){ .kind = kinds[v->kind], .index = v->index };
}

static bool classify_can_key(const struct classify *c,
			     const struct relation_column *col,
			     const struct sql_equal *e)
{
	if (col == NULL || col->canon == CANON_NONE || col->root_attnum <= 0) {
		return false;
	}
	for (size_t i = 0; i < e->n_values; i++) {
		if (!classify_value_fits(c, col, &e->values[i])) {
			return false;
		}
	}
	return true;
}

/* The best key of a reference goes into READ: the column with the most values. */
static void classify_key(struct classify *c, const struct sql_ref *ref,
			 struct plan_read *read)
{
	const struct relation_column *best = NULL;
	const struct sql_equal *by = NULL;
	/* The list has the last condition first. */
	for (const struct sql_equal *e = c->st->equals; e != NULL; e = e->next) {
		const struct relation_column *col = classify_column(c, ref, e);
		if (classify_can_key(c, col, e) &&
		    (best == NULL || col->n_distinct >= best->n_distinct)) {
			best = col;
			by = e;
		}
	}
	if (best == NULL) {
		return;
	}
	read->ops = classify_alloc(c, by->n_values * sizeof(*read->ops));
	if (read->ops == NULL) {
		return;
	}
	for (size_t i = 0; i < by->n_values; i++) {
		read->ops[i] = classify_operand(&by->values[i]);
	}
	read->n_ops = (uint8_t)by->n_values;
	read->attnum = best->root_attnum;
	read->canon = best->canon;
}

static struct plan_read *classify_add_read(struct classify *c,
					   const struct relation *rel)
{
	struct plan *p = c->draft;
	if (p->reads == NULL) {
		p->reads =
		    classify_alloc(c, CLASSIFY_MAX_RELATIONS * sizeof(*p->reads));
	}
	if (p->reads == NULL || p->n_reads >= CLASSIFY_MAX_RELATIONS) {
		classify_bypass(c, BYPASS_TOO_LARGE);
		return NULL;
	}
	struct plan_read *read = &p->reads[p->n_reads++];
	*read = (struct plan_read){ .rel = rel->root };
	return read;
}

static void classify_tell_rules(struct classify *c, const struct relation *rel)
{
	struct classify_tables *t = c->tables;
	size_t n = strlen(rel->schema) + strlen(rel->name) + 2;
	char *name = t->n < CLASSIFY_MAX_TABLES ? classify_alloc(c, n) : NULL;
	if (name != NULL) {
		(void)snprintf(name, n, "%s.%s", rel->schema, rel->name);
		t->names[t->n++] = name;
	}
}

static enum bypass_reason classify_relation(const struct relation *rel)
{
	if (rel->is_system) {
		return BYPASS_SYSTEM_RELATION;
	}
	if (rel->is_temp || rel->has_temp_member) {
		return BYPASS_TEMP_TABLE;
	}
	if (rel->has_row_security) {
		return BYPASS_ROW_SECURITY;
	}
	for (size_t i = 0; i < rel->n_columns; i++) {
		if (rel->columns[i].type == CLASSIFY_OID_TIMETZ ||
		    rel->columns[i].type == CLASSIFY_OID_TIMETZ_ARRAY) {
			return BYPASS_CURRENT_TIME;
		}
	}
	switch ((enum relation_kind)rel->kind) {
	case RELATION_TABLE:
	case RELATION_PARTITIONED:
	case RELATION_MATVIEW:
	case RELATION_VIEW:
		/* A crash empties an unlogged table and nobody writes that down. */
		return rel->has_foreign_member || rel->is_unlogged
			   ? BYPASS_SYSTEM_RELATION
			   : BYPASS_NONE;
	case RELATION_FOREIGN:
	case RELATION_SEQUENCE:
	case RELATION_OTHER:
		break;
	}
	return BYPASS_SYSTEM_RELATION;
}

static void classify_read(struct classify *c, const struct sql_ref *ref)
{
	const struct relation *rel = c->refs[ref->index];
	if (strncmp(ref->name.schema, "pg_temp", 7) == 0) {
		classify_bypass(c, BYPASS_TEMP_TABLE);
		return;
	}
	if (rel == NULL) {
		/* A view of this minute may call anything. */
		classify_bypass(c, BYPASS_UNKNOWN_RELATION);
		c->draft->writes_all = true;
		return;
	}
	enum bypass_reason reason = classify_relation(rel);
	if (reason != BYPASS_NONE) {
		classify_bypass(c, reason);
	}
	if (rel->is_system) {
		return;
	}
	classify_tell_rules(c, rel);
	if (rel->kind == RELATION_VIEW) {
		classify_view(c, rel);
		return;
	}
	struct plan_read *read = classify_add_read(c, rel);
	/* Constants of a view's definition are not the statement's. */
	if (read != NULL && !c->in_view) {
		classify_key(c, ref, read);
		bool first = ref->next == NULL || ref->next->block != ref->block;
		if (ref->block == c->st->top_block && first) {
			c->is_first_keyed = read->attnum > 0;
		}
	}
}

void classify_reads(struct classify *c)
{
	if (c->refs == NULL) {
		return;
	}
	/* The list has the last reference first; reads go in the order of the text. */
	const struct sql_ref **order =
	    classify_alloc(c, c->st->n_refs * sizeof(*order));
	if (order == NULL) {
		return;
	}
	size_t n = 0;
	for (const struct sql_ref *ref = c->st->refs; ref != NULL; ref = ref->next) {
		order[n++] = ref;
	}
	while (n > 0) {
		classify_read(c, order[--n]);
	}
}
