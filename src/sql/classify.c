/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "sql/classify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "classify_priv.h"
#include "sql/canon.h"
#include "sql/parse.h"
#include "sql/scan.h"
#include "sql/tree.h"

void classify_bypass(struct classify *c, enum bypass_reason reason)
{
	if (c->draft->bypass == BYPASS_NONE) {
		c->draft->bypass = (uint8_t)reason;
	}
}

void classify_danger(struct classify *c)
{
	c->has_danger = true;
	classify_bypass(c, BYPASS_VOLATILE_FUNCTION);
}

void *classify_alloc(struct classify *c, size_t n)
{
	void *p = arena_alloc(c->source->arena, n > 0 ? n : 1);
	c->failed |= p == NULL;
	return p;
}

void classify_resolve(struct classify *c)
{
	const struct statement *st = c->st;
	c->refs = classify_alloc(c, st->n_refs * sizeof(*c->refs));
	if (c->refs == NULL || c->source->catalog == NULL) {
		return;
	}
	for (const struct sql_ref *ref = st->refs; ref != NULL; ref = ref->next) {
		if (!ref->name.has_catalog && ref->index < st->n_refs) {
			c->refs[ref->index] = relations_find(
			    c->source->catalog, c->path, span_str(ref->name.schema),
			    span_str(ref->name.name));
		}
	}
}

/* What holds of every part of a read, views included. */
static void classify_query(struct classify *c)
{
	const struct statement *st = c->st;
	if (st->has_time) {
		classify_bypass(c, BYPASS_CURRENT_TIME);
	}
	if (st->locks_rows) {
		classify_bypass(c, BYPASS_FOR_UPDATE);
	}
	if (st->has_system_column) {
		classify_bypass(c, BYPASS_SYSTEM_RELATION);
	}
	if (st->has_sample || st->has_unknown) {
		classify_bypass(c, BYPASS_VOLATILE_FUNCTION);
	}
	if (st->over_limit) {
		classify_bypass(c, BYPASS_TOO_LARGE);
	}
	for (const struct sql_string *s = st->strings; s != NULL; s = s->next) {
		if (canon_may_be_now(span_str(s->text))) {
			classify_bypass(c, BYPASS_CURRENT_TIME);
		}
	}
	classify_names(c);
	classify_reads(c);
}

/* The statement of a view is parsed here and forgotten again; only oids stay. */
static void classify_definition(struct classify *c, const struct relation *view,
				const struct tree *tree)
{
	struct statement st;
	struct parse_source source = { .text = span_str(view->view_definition),
				       .keep_strings = true };
	if (tree_n_statements(tree) != 1) {
		classify_bypass(c, BYPASS_UNKNOWN_RELATION);
		return;
	}
	if (parse_statement(c->source->arena, &source, tree_statement(tree, 0), &st) !=
	    0) {
		c->failed = true;
		return;
	}
	if (!st.is_select || st.has_params) {
		classify_bypass(c, BYPASS_UNKNOWN_RELATION);
	}
	struct classify inner = { .source = c->source,
				  .path = c->source->empty_path,
				  .st = &st,
				  .draft = c->draft,
				  .tables = c->tables,
				  .depth = c->depth + 1,
				  .in_view = true };
	classify_resolve(&inner);
	classify_query(&inner);
	c->has_vector |= inner.has_vector;
	c->has_danger |= inner.has_danger;
	c->draft->suspect |= st.has_set_config;
	c->failed |= inner.failed;
}

void classify_view(struct classify *c, const struct relation *view)
{
	if (view->view_definition == NULL) {
		classify_bypass(c, BYPASS_UNKNOWN_RELATION);
		classify_danger(c);
		return;
	}
	if (c->depth >= CLASSIFY_MAX_VIEW_DEPTH ||
	    scan_text(c->source->scan, span_str(view->view_definition)) != 0) {
		classify_bypass(c, BYPASS_TOO_LARGE);
		classify_danger(c);
		return;
	}
	struct tree *tree = NULL;
	if (tree_parse(view->view_definition, &tree) != 0) {
		classify_bypass(c, BYPASS_UNPARSABLE);
		classify_danger(c);
		return;
	}
	classify_definition(c, view, tree);
	tree_free(tree);
}

static enum plan_class classify_class(const struct classify *c)
{
	const struct plan *p = c->draft;
	if (c->has_vector) {
		return PLAN_CLASS_VECTOR;
	}
	if (c->st->sorted_desc && c->st->has_limit && c->is_first_keyed) {
		return PLAN_CLASS_RECENT;
	}
	for (size_t i = 0; i < p->n_reads; i++) {
		if (p->reads[i].attnum == 0) {
			return PLAN_CLASS_DEFAULT;
		}
	}
	return PLAN_CLASS_CONTEXT;
}

/* SELECT, VALUES, TABLE. */
static void classify_select(struct classify *c)
{
	struct plan *p = c->draft;
	p->needs_now_check = c->st->has_strings || c->st->has_params;
	if (c->source->catalog == NULL) {
		classify_bypass(c, BYPASS_CATALOG);
		/* It may be a view that calls anything. */
		p->writes_all |= c->st->n_refs > 0;
		classify_names(c);
		return;
	}
	if (c->source->odd_path) {
		classify_bypass(c, BYPASS_UNKNOWN_RELATION);
	}
	classify_query(c);
	if (p->n_reads == 0) {
		/* SELECT 1 asks whether the server is there. */
		classify_bypass(c, BYPASS_NO_RULE);
	}
	if (p->bypass == BYPASS_NONE) {
		p->klass = (uint8_t)classify_class(c);
	}
}

/* Statements that may run a user's code or write rows, but are not plain reads. */
static void classify_effects(struct classify *c)
{
	classify_bypass(c,
			c->st->kind == PLAN_WRITE ? BYPASS_WRITE : BYPASS_NOT_SELECT);
	classify_names(c);
	classify_writes(c);
	if (c->source->catalog == NULL) {
		return;
	}
	/* What a view calls runs here too. */
	for (const struct sql_ref *ref = c->st->refs; ref != NULL; ref = ref->next) {
		const struct relation *rel =
		    c->refs != NULL ? c->refs[ref->index] : NULL;
		if (rel != NULL && rel->kind == RELATION_VIEW && !rel->is_system) {
			classify_view(c, rel);
		} else if (rel == NULL && !ref->is_target) {
			/* Perhaps a view that came into being a moment ago. */
			c->draft->writes_all = c->draft->suspect = true;
		}
	}
	c->draft->n_reads = 0;
	c->draft->reads = NULL;
}

static void classify_copy_flags(const struct statement *st, struct plan *p)
{
	p->kind = (uint8_t)st->kind;
	p->set_kind = (uint8_t)st->set_kind;
	p->set_local = st->set_local;
	p->suspect = st->suspect;
	p->writes_all = st->writes_all;
	p->is_rollback_to = st->is_rollback_to;
	p->is_release = st->is_release;
	p->begin_plain = st->begin_plain;
	p->commit_chain = st->commit_chain;
	p->has_listen = st->has_listen;
	p->deallocate_all = st->deallocate_all;
	p->unpins = st->unpins;
	p->copy_in = st->copy_in;
	p->executes = st->executes;
	p->shows_custom = st->shows_custom;
	p->pins = st->pins;
	p->ends = st->ends;
}

/* Names are copied: the tree they are in does not last. */
static void classify_copy_names(struct classify *c)
{
	const struct statement *st = c->st;
	struct arena *arena = c->source->arena;
	if (st->set_name != NULL) {
		c->draft->set_name = arena_copy(arena, span_str(st->set_name));
		c->failed |= c->draft->set_name == NULL;
	}
	if (st->set_value != NULL) {
		c->draft->set_value = arena_copy(arena, span_str(st->set_value));
		c->failed |= c->draft->set_value == NULL;
	}
}

int classify_statement(const struct classify_source *source, const struct statement *st,
		       struct plan *draft, struct classify_tables *tables)
{
	require(source != NULL && st != NULL && draft != NULL && tables != NULL);
	struct classify c = { .source = source,
			      .path = source->path,
			      .st = st,
			      .draft = draft,
			      .tables = tables };
	classify_copy_flags(st, draft);
	classify_copy_names(&c);
	classify_resolve(&c);
	if (st->is_select) {
		classify_select(&c);
	} else {
		classify_effects(&c);
	}
	if (st->has_set_config && draft->kind != PLAN_SET) {
		draft->set_kind = SET_UNREADABLE;
		draft->pins |= PIN_SETTING;
		classify_bypass(&c, BYPASS_VOLATILE_FUNCTION);
	}
	bool runs = draft->kind == PLAN_READ || draft->kind == PLAN_WRITE ||
		    draft->kind == PLAN_COPY;
	if (runs && source->catalog != NULL &&
	    relations_has_hidden_volatile(source->catalog)) {
		classify_danger(&c);
	}
	if (c.has_danger) {
		draft->writes_all = true;
		draft->suspect = true;
	}
	return c.failed ? -ENOMEM : 0;
}
