/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The relations that a statement writes.  A fact says which values a column may have in
 * the touched rows, before and after; a column without a fact may have any. */

#include <string.h>

#include "classify_priv.h"

static struct plan_write *classify_add_write(struct classify *c, uint32_t root)
{
	struct plan *p = c->draft;
	if (p->writes == NULL) {
		p->writes = classify_alloc(c, CLASSIFY_MAX_WRITES * sizeof(*p->writes));
	}
	if (p->writes == NULL || p->n_writes >= CLASSIFY_MAX_WRITES) {
		p->writes_all = true;
		return NULL;
	}
	struct plan_write *w = &p->writes[p->n_writes++];
	*w = (struct plan_write){ .rel = root, .unreadable = true };
	return w;
}

/* What PostgreSQL may do for a statement, as bits 1 << enum relation_event. */
static unsigned classify_events(const struct sql_write *w, const struct relation *rel)
{
	const unsigned insert = 1U << RELATION_INSERT;
	const unsigned update = 1U << RELATION_UPDATE;
	const unsigned delete = 1U << RELATION_DELETE;
	/* An UPDATE that moves a row to another partition deletes and inserts it. */
	const unsigned change =
	    rel->kind == RELATION_PARTITIONED ? insert | update | delete : update;
	switch (w->op) {
	case SQL_INSERT:
		return w->conflict == SQL_CONFLICT_UPDATE ? insert | change : insert;
	case SQL_COPY:
		return insert;
	case SQL_UPDATE:
		return change;
	case SQL_DELETE:
		return delete;
	case SQL_TRUNCATE:
		return 1U << RELATION_TRUNCATE;
	case SQL_MERGE:
		break;
	}
	return insert | update | delete;
}

/* An UPDATE that sets no column that a foreign key refers to leaves the others alone.
 */
static bool classify_sets_referenced(const struct sql_write *w,
				     const struct relation *rel)
{
	if ((w->op != SQL_UPDATE && w->op != SQL_INSERT) ||
	    rel->triggers[RELATION_UPDATE] != TRIGGER_NONE) {
		return true;
	}
	for (const struct sql_set *set = w->sets; set != NULL; set = set->next) {
		const struct relation_column *col =
		    relation_column(rel, span_str(set->column));
		if (col == NULL || col->is_referenced) {
			return true;
		}
	}
	return false;
}

static void classify_foreign_keys(struct classify *c, const struct sql_write *w,
				  const struct relation *rel, unsigned events)
{
	bool has_setting_code = relations_has_setting_code(c->source->catalog);
	for (unsigned e = 0; e < RELATION_EVENTS; e++) {
		if ((events & (1U << e)) == 0 ||
		    (e == RELATION_UPDATE && !classify_sets_referenced(w, rel)) ||
		    (e == RELATION_TRUNCATE && !w->cascade)) {
			continue;
		}
		const struct relation_fk *fk = &rel->fk[e];
		c->draft->writes_all |= fk->is_dangerous;
		c->draft->suspect |= fk->is_dangerous && has_setting_code;
		for (size_t i = 0; i < fk->n_roots; i++) {
			(void)classify_add_write(c, fk->roots[i]);
		}
	}
}

/* Whether the statement's own text still tells which rows are touched; takes note of
 * all that may be written besides. */
static bool classify_is_readable(struct classify *c, const struct sql_write *w,
				 const struct relation *rel)
{
	unsigned events = classify_events(w, rel);
	bool readable =
	    w->op != SQL_MERGE && w->op != SQL_TRUNCATE && w->op != SQL_COPY;
	if (rel->has_rules || rel->has_foreign_member ||
	    rel->kind == RELATION_FOREIGN || rel->is_temp) {
		c->draft->writes_all = true;
	}
	/* what a dangerous trigger writes may have others that set */
	bool has_setting_code = relations_has_setting_code(c->source->catalog);
	c->draft->suspect |= rel->trigger_sets;
	for (unsigned e = 0; e < RELATION_EVENTS; e++) {
		if ((events & (1U << e)) == 0) {
			continue;
		}
		if (rel->triggers[e] == TRIGGER_DANGEROUS) {
			c->draft->writes_all = true;
			c->draft->suspect |= has_setting_code;
		}
		/* A harmless trigger may give a new row other values, and an old row
		 * none. */
		if (rel->triggers[e] != TRIGGER_NONE && e != RELATION_DELETE) {
			readable = false;
		}
	}
	classify_foreign_keys(c, w, rel, events);
	return readable;
}

/* The position of COLUMN in the rows of an INSERT; -1: it is not among them. */
static int classify_position(const struct sql_write *w, const struct relation *rel,
			     const struct relation_column *column)
{
	if (w->has_columns) {
		for (int i = 0; i < w->n_columns; i++) {
			if (w->columns[i] != NULL &&
			    strcmp(w->columns[i], column->name) == 0) {
				return i < w->n_values ? i : -1;
			}
		}
		return -1;
	}
	int position = 0;
	for (size_t i = 0; i < rel->n_columns; i++) {
		position += rel->columns[i].attnum < column->attnum;
	}
	return position < w->n_values ? position : -1;
}

static const struct sql_set *classify_set_of(const struct sql_write *w,
					     const char *column)
{
	for (const struct sql_set *set = w->sets; set != NULL; set = set->next) {
		if (strcmp(set->column, column) == 0) {
			return set;
		}
	}
	return NULL;
}

/* The value in a cell of VALUES, SIZE_MAX: there is none; false: it is not known. */
static bool classify_inserted(const struct classify *c, const struct sql_write *w,
			      const struct relation_column *column, size_t cell,
			      struct operand *out)
{
	static const struct sql_value absent = { .kind = SQL_VALUE_DEFAULT };
	const struct sql_value *v = cell != SIZE_MAX ? &w->values[cell] : &absent;
	if (v->kind == SQL_VALUE_DEFAULT) {
		*out = (struct operand){ .kind = OPERAND_NULL };
		return !column->has_default;
	}
	*out = classify_operand(v);
	return classify_value_fits(c, column, v);
}

/* ON CONFLICT DO UPDATE changes a row that agrees with the new one in the columns of
 * the conflict target, and only in these. */
static bool classify_survives_conflict(const struct sql_write *w, const char *column)
{
	if (w->conflict == SQL_CONFLICT_NONE) {
		return true;
	}
	if (classify_set_of(w, column) != NULL) {
		return false;
	}
	for (size_t i = 0; i < w->n_infer; i++) {
		if (w->infer[i] != NULL && strcmp(w->infer[i], column) == 0) {
			return true;
		}
	}
	return false;
}

static bool classify_is_fact_column(const struct relation_column *col)
{
	return col->canon != CANON_NONE && col->root_attnum > 0 && !col->is_generated;
}

/* One fact of COLUMN for every row; false when one row's value is not known. */
static bool classify_insert_column(struct classify *c, const struct sql_write *w,
				   const struct relation *rel,
				   const struct relation_column *column,
				   struct plan_fact *facts, size_t stride)
{
	int position = classify_position(w, rel, column);
	for (size_t row = 0; row < w->n_rows; row++) {
		struct operand op;
		size_t cell =
		    position < 0 ? SIZE_MAX : row * w->n_values + (size_t)position;
		if (!classify_inserted(c, w, column, cell, &op)) {
			return false;
		}
		struct operand *ops = classify_alloc(c, sizeof(*ops));
		if (ops == NULL) {
			return false;
		}
		*ops = op;
		facts[row * stride] = (struct plan_fact){ .attnum = column->root_attnum,
							  .canon = column->canon,
							  .n_ops = 1,
							  .ops = ops };
	}
	return true;
}

static void classify_insert(struct classify *c, const struct sql_write *w,
			    const struct relation *rel, struct plan_write *out)
{
	if (!w->from_values || w->n_rows == 0 ||
	    (w->has_columns && w->n_columns == 0)) {
		return;
	}
	size_t n_rows = w->n_rows;
	size_t n = 0;
	struct plan_fact *wide =
	    classify_alloc(c, n_rows * (size_t)rel->n_columns * sizeof(*wide));
	for (size_t i = 0; wide != NULL && i < rel->n_columns; i++) {
		const struct relation_column *col = &rel->columns[i];
		if (classify_is_fact_column(col) &&
		    classify_survives_conflict(w, col->name) &&
		    classify_insert_column(c, w, rel, col, &wide[n], rel->n_columns)) {
			n++;
		}
	}
	struct plan_fact *facts = classify_alloc(c, n_rows * n * sizeof(*facts));
	if (wide == NULL || facts == NULL || n == 0) {
		return;
	}
	for (size_t row = 0; row < n_rows; row++) {
		memcpy(&facts[row * n], &wide[row * rel->n_columns],
		       n * sizeof(*facts));
	}
	out->facts = facts;
	out->n_facts = (uint16_t)n;
	out->n_rows = (uint16_t)n_rows;
	out->unreadable = false;
}

/* The condition that fixes COLUMN in the target; the first one in the text. */
static const struct sql_equal *classify_fixed(const struct classify *c,
					      const struct sql_write *w,
					      const struct relation_column *column)
{
	const struct sql_equal *found = NULL;
	for (const struct sql_equal *e = c->st->equals; e != NULL; e = e->next) {
		bool fits = classify_column(c, w->target, e) == column;
		for (size_t i = 0; fits && i < e->n_values; i++) {
			fits = classify_value_fits(c, column, &e->values[i]);
		}
		found = fits ? e : found;
	}
	return found;
}

/* One fact of an UPDATE or DELETE; false when the column is not fixed, or gets a value
 * that we cannot tell. */
static bool classify_changed_column(struct classify *c, const struct sql_write *w,
				    const struct relation_column *column,
				    struct plan_fact *out)
{
	const struct sql_equal *fixed = classify_fixed(c, w, column);
	const struct sql_set *set = classify_set_of(w, column->name);
	if (fixed == NULL ||
	    (set != NULL && !classify_value_fits(c, column, &set->value))) {
		return false;
	}
	struct operand *ops = classify_alloc(c, (fixed->n_values + 1U) * sizeof(*ops));
	if (ops == NULL) {
		return false;
	}
	uint8_t n = 0;
	for (size_t i = 0; i < fixed->n_values; i++) {
		ops[n++] = classify_operand(&fixed->values[i]);
	}
	if (set != NULL) {
		ops[n++] = classify_operand(&set->value);
	}
	*out = (struct plan_fact){ .attnum = column->root_attnum,
				   .canon = column->canon,
				   .n_ops = n,
				   .ops = ops };
	return true;
}

static void classify_change(struct classify *c, const struct sql_write *w,
			    const struct relation *rel, struct plan_write *out)
{
	struct plan_fact *facts = classify_alloc(c, rel->n_columns * sizeof(*facts));
	uint16_t n = 0;
	for (size_t i = 0; facts != NULL && i < rel->n_columns; i++) {
		if (classify_is_fact_column(&rel->columns[i]) &&
		    classify_changed_column(c, w, &rel->columns[i], &facts[n])) {
			n++;
		}
	}
	if (n > 0) {
		out->facts = facts;
		out->n_facts = n;
		out->n_rows = 1;
		out->unreadable = false;
	}
}

static void classify_write(struct classify *c, const struct sql_write *w)
{
	const struct relation *rel = c->refs != NULL ? c->refs[w->target->index] : NULL;
	if (rel == NULL || c->source->odd_path) {
		c->draft->writes_all = true;
		/* it may have triggers that set; without any catalogue nothing is
		 * cached, and this would be the rule */
		c->draft->suspect |= c->source->catalog != NULL;
		return;
	}
	if (rel->is_system) {
		c->draft->kind = PLAN_DDL;
		c->draft->writes_all = true;
		return;
	}
	if (rel->kind == RELATION_VIEW) {
		/* Its base tables' triggers, rules and foreign keys would have to be
		 * followed, or code of the user's; such writes are rare. */
		c->draft->writes_all = true;
		c->draft->suspect |= relations_has_setting_code(c->source->catalog);
		return;
	}
	bool readable = classify_is_readable(c, w, rel);
	struct plan_write *out = classify_add_write(c, rel->root);
	if (out == NULL || !readable) {
		return;
	}
	if (w->op == SQL_INSERT) {
		classify_insert(c, w, rel, out);
	} else {
		classify_change(c, w, rel, out);
	}
}

void classify_writes(struct classify *c)
{
	for (const struct sql_write *w = c->st->writes; w != NULL; w = w->next) {
		classify_write(c, w);
	}
}
