/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Trees of partitions and inheritance children.  Members are joined by union-find whose
 * representative is the lowest index.  A tree with one top and one parent for each
 * other member has that top as its root; any other shape takes its representative as
 * root and no column of it can be a key.  What one member says about writes, all say: a
 * write to the root reaches the members, and a write to a member is seen through the
 * root. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sql/catalog_build.h"

static uint32_t catalog_tree_of(struct catalog *catalog, uint32_t i)
{
	struct catalog_relation *relations = catalog->relations.items;
	while (relations[i].tree != i) {
		relations[i].tree = relations[relations[i].tree].tree;
		i = relations[i].tree;
	}
	return i;
}

void catalog_trees_begin(struct catalog *catalog)
{
	for (uint32_t i = 0; i < catalog->relations.n; i++) {
		catalog->relations.items[i].tree = i;
	}
}

void catalog_trees_link(struct catalog *catalog, struct catalog_relation *child,
			struct catalog_relation *parent)
{
	uint32_t c = (uint32_t)(child - catalog->relations.items);
	uint32_t p = (uint32_t)(parent - catalog->relations.items);
	uint32_t a = catalog_tree_of(catalog, c);
	uint32_t b = catalog_tree_of(catalog, p);
	/* A second link within one tree closes a circle or a diamond. */
	if (child->parent == CATALOG_NONE && a != b) {
		child->parent = p;
	} else {
		child->has_more_parents = true;
	}
	catalog->relations.items[a < b ? b : a].tree = a < b ? a : b;
}

static void relation_merge(struct relation *into, const struct relation *from)
{
	into->is_unlogged |= from->is_unlogged;
	into->has_rules |= from->has_rules;
	into->trigger_sets |= from->trigger_sets;
	into->has_temp_member |= from->has_temp_member;
	into->has_foreign_member |= from->has_foreign_member;
	into->no_key |= from->no_key;
	for (size_t e = 0; e < RELATION_EVENTS; e++) {
		if (from->triggers[e] > into->triggers[e]) {
			into->triggers[e] = from->triggers[e];
		}
	}
}

/* Decides on the root of each tree, and on no_key in the root. */
static void catalog_trees_root(struct catalog *catalog)
{
	struct catalog_relation *relations = catalog->relations.items;
	for (uint32_t i = 0; i < catalog->relations.n; i++) {
		relations[i].root = CATALOG_NONE;
	}
	for (uint32_t i = 0; i < catalog->relations.n; i++) {
		struct catalog_relation *top = &relations[catalog_tree_of(catalog, i)];
		top->pub.no_key |= relations[i].has_more_parents;
		if (relations[i].parent == CATALOG_NONE) {
			top->root = i;
		}
	}
	/* A representative comes before the rest of its tree. */
	for (uint32_t i = 0; i < catalog->relations.n; i++) {
		uint32_t top = catalog_tree_of(catalog, i);
		if (i != top) {
			relations[i].root = relations[top].root;
		} else if (relations[i].pub.no_key) {
			relations[i].root = i;
		}
	}
}

/* Gathers in the root what the members say, then tells them all. */
static void catalog_trees_spread(struct catalog *catalog)
{
	struct catalog_relation *relations = catalog->relations.items;
	for (uint32_t i = 0; i < catalog->relations.n; i++) {
		struct catalog_relation *root = &relations[relations[i].root];
		relation_merge(&root->pub, &relations[i].pub);
	}
	for (uint32_t i = 0; i < catalog->relations.n; i++) {
		struct catalog_relation *root = &relations[relations[i].root];
		/* A row that leaves one partition for another is deleted and inserted.
		 */
		for (size_t e = 0; root->moves_rows && e < RELATION_EVENTS; e++) {
			uint8_t *update = &root->pub.triggers[RELATION_UPDATE];
			if (e != RELATION_TRUNCATE && root->pub.triggers[e] > *update) {
				*update = root->pub.triggers[e];
			}
		}
		relation_merge(&relations[i].pub, &root->pub);
		relations[i].moves_rows = root->moves_rows;
		relations[i].pub.root = root->pub.oid;
	}
}

/* Rows of a relation count for everything above it. */
static void catalog_trees_count(struct catalog *catalog)
{
	struct catalog_relation *relations = catalog->relations.items;
	for (uint32_t i = 0; i < catalog->relations.n; i++) {
		for (uint32_t at = i; at != CATALOG_NONE; at = relations[at].parent) {
			relations[at].pub.n_rows += relations[i].own_rows;
		}
	}
}

/* The root's column of the same name; members mostly have the same order. */
static struct relation_column *root_column(const struct catalog_relation *root,
					   size_t i,
					   const struct relation_column *column)
{
	/* Names are kept once, so equal names are the same pointer. */
	if (i < root->pub.n_columns && root->columns[i].name == column->name) {
		return &root->columns[i];
	}
	for (size_t k = 0; k < root->pub.n_columns; k++) {
		if (root->columns[k].name == column->name) {
			return &root->columns[k];
		}
	}
	return NULL;
}

static void catalog_columns_up(struct catalog *catalog)
{
	struct catalog_relation *relations = catalog->relations.items;
	for (uint32_t i = 0; i < catalog->relations.n; i++) {
		struct catalog_relation *relation = &relations[i];
		struct catalog_relation *root = &relations[relation->root];
		for (size_t c = 0; c < relation->pub.n_columns; c++) {
			struct relation_column *column = &relation->columns[c];
			if (column->n_distinct < 0) {
				column->n_distinct *= -relation->pub.n_rows;
			}
			if (relation->pub.no_key) {
				column->canon = CANON_NONE;
				continue;
			}
			struct relation_column *up = root_column(root, c, column);
			if (up == NULL || up->type != column->type) {
				continue;
			}
			column->root_attnum = up->attnum;
			/* Every UPDATE may change a generated column. */
			root->any_referenced |=
			    column->is_referenced && column->is_generated;
			up->is_referenced |= column->is_referenced;
		}
	}
}

static void catalog_columns_down(struct catalog *catalog)
{
	struct catalog_relation *relations = catalog->relations.items;
	for (uint32_t i = 0; i < catalog->relations.n; i++) {
		struct catalog_relation *relation = &relations[i];
		const struct catalog_relation *root = &relations[relation->root];
		for (size_t c = 0; c < relation->pub.n_columns; c++) {
			struct relation_column *column = &relation->columns[c];
			const struct relation_column *up = root_column(root, c, column);
			column->is_referenced |=
			    root->any_referenced || (up != NULL && up->is_referenced);
		}
	}
}

void catalog_trees_close(struct catalog_builder *builder)
{
	struct catalog *catalog = builder->catalog;
	struct catalog_relation *relations = catalog->relations.items;
	catalog_trees_root(catalog);
	catalog_trees_spread(catalog);
	catalog_trees_count(catalog);
	/* Rows that move between partitions are deleted, as far as some versions'
	 * foreign keys are concerned, and columns without a namesake cannot be
	 * followed. */
	for (uint32_t i = 0; i < builder->fks.n; i++) {
		const struct catalog_fk *fk = &builder->fks.items[i];
		struct catalog_relation *root = &relations[relations[fk->from].root];
		root->any_referenced |= root->moves_rows || root->pub.no_key;
	}
	catalog_columns_up(catalog);
	catalog_columns_down(catalog);
}
