/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * What foreign key actions write: a walk over pairs of (root, event), beginning at each
 * root that is referred to.  Which columns an action sets is not looked at, so the walk
 * may find more than PostgreSQL would do. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sql/catalog_build.h"

struct fk_step {
	uint32_t root; /* index */
	enum relation_event event;
};

#define FK_MAX_STEPS (RELATION_MAX_FK * RELATION_EVENTS)

/* One walk. */
struct fk_walk {
	const struct catalog *catalog;
	const struct catalog_fk *fks; /* by from, which is the index of a root */
	const uint32_t *first;	      /* first[i] to first[i + 1]: those from root i */
	struct fk_step steps[FK_MAX_STEPS];
	size_t n_steps;
	uint32_t roots[RELATION_MAX_FK]; /* oids */
	size_t n_roots;
	bool is_dangerous;
};

static void fk_walk_add_root(struct fk_walk *walk, uint32_t oid)
{
	for (size_t i = 0; i < walk->n_roots; i++) {
		if (walk->roots[i] == oid) {
			return;
		}
	}
	if (walk->n_roots == RELATION_MAX_FK) {
		walk->is_dangerous = true;
		return;
	}
	walk->roots[walk->n_roots++] = oid;
}

/* An action does EVENT to a root. */
static void fk_walk_reach(struct fk_walk *walk, uint32_t root,
			  enum relation_event event)
{
	for (size_t i = 0; i < walk->n_steps; i++) {
		if (walk->steps[i].root == root && walk->steps[i].event == event) {
			return;
		}
	}
	const struct relation *relation = &walk->catalog->relations.items[root].pub;
	walk->is_dangerous |= walk->n_steps == FK_MAX_STEPS || relation->has_rules ||
			      relation->triggers[event] == TRIGGER_DANGEROUS;
	fk_walk_add_root(walk, relation->oid);
	if (walk->n_steps < FK_MAX_STEPS) {
		walk->steps[walk->n_steps++] = (struct fk_step){ root, event };
	}
}

static void fk_walk_delete(struct fk_walk *walk, const struct catalog_fk *fk)
{
	if (fk->on_delete == 'c') {
		fk_walk_reach(walk, fk->to, RELATION_DELETE);
	} else if (fk->on_delete == 'n' || fk->on_delete == 'd') {
		fk_walk_reach(walk, fk->to, RELATION_UPDATE);
	}
}

static void fk_walk_update(struct fk_walk *walk, const struct catalog_fk *fk)
{
	if (fk->on_update == 'c' || fk->on_update == 'n' || fk->on_update == 'd') {
		fk_walk_reach(walk, fk->to, RELATION_UPDATE);
	}
}

/* Follows every foreign key from a root that EVENT happens to. */
static void fk_walk_step(struct fk_walk *walk, uint32_t root, enum relation_event event)
{
	bool moves_rows = walk->catalog->relations.items[root].moves_rows;
	for (uint32_t i = walk->first[root]; i < walk->first[root + 1]; i++) {
		const struct catalog_fk *fk = &walk->fks[i];
		if (event == RELATION_TRUNCATE) {
			fk_walk_reach(walk, fk->to, RELATION_TRUNCATE);
			continue;
		}
		if (event == RELATION_UPDATE) {
			fk_walk_update(walk, fk);
		}
		if (event == RELATION_DELETE || moves_rows) {
			fk_walk_delete(walk, fk);
		}
	}
}

static int fk_walk_from(struct fk_walk *walk, struct arena *arena, uint32_t root,
			enum relation_event event, struct relation_fk *out)
{
	walk->n_steps = walk->n_roots = 0;
	walk->is_dangerous = false;
	fk_walk_step(walk, root, event);
	for (size_t i = 0; i < walk->n_steps; i++) {
		fk_walk_step(walk, walk->steps[i].root, walk->steps[i].event);
	}
	out->is_dangerous = walk->is_dangerous;
	out->n_roots = (uint16_t)walk->n_roots;
	if (walk->n_roots > 0) {
		uint32_t *roots = arena_alloc(arena, walk->n_roots * sizeof(*roots));
		if (roots == NULL) {
			return -ENOBUFS;
		}
		memcpy(roots, walk->roots, walk->n_roots * sizeof(*roots));
		out->roots = roots;
	}
	return 0;
}

static int compare_fks(const void *a, const void *b)
{
	const struct catalog_fk *x = a;
	const struct catalog_fk *y = b;
	if (x->from != y->from) {
		return x->from < y->from ? -1 : 1;
	}
	return (x->to > y->to) - (x->to < y->to);
}

/* Foreign keys between roots, by the one that is referred to. */
static void catalog_fks_sort(struct catalog_builder *builder, uint32_t *first)
{
	const struct catalog *catalog = builder->catalog;
	for (uint32_t i = 0; i < builder->fks.n; i++) {
		struct catalog_fk *fk = &builder->fks.items[i];
		fk->from = catalog->relations.items[fk->from].root;
		fk->to = catalog->relations.items[fk->to].root;
		first[fk->from + 1]++;
	}
	for (uint32_t i = 0; i < catalog->relations.n; i++) {
		first[i + 1] += first[i];
	}
	qsort(builder->fks.items, builder->fks.n, sizeof(*builder->fks.items),
	      compare_fks);
}

int catalog_fks_close(struct catalog_builder *builder)
{
	struct catalog *catalog = builder->catalog;
	struct catalog_relation *relations = catalog->relations.items;
	if (builder->fks.n == 0) {
		return 0;
	}
	uint32_t *first = calloc((size_t)catalog->relations.n + 1, sizeof(*first));
	if (first == NULL) {
		return -ENOMEM;
	}
	catalog_fks_sort(builder, first);
	struct fk_walk walk = {
		.catalog = catalog,
		.fks = builder->fks.items,
		.first = first,
	};
	int r = 0;
	for (uint32_t i = 0; i < catalog->relations.n && r == 0; i++) {
		for (size_t e = RELATION_UPDATE; e < RELATION_EVENTS && r == 0; e++) {
			if (first[i] < first[i + 1]) {
				r = fk_walk_from(&walk, &catalog->arena, i,
						 (enum relation_event)e,
						 &relations[i].pub.fk[e]);
			}
		}
	}
	free(first);
	for (uint32_t i = 0; i < catalog->relations.n; i++) {
		memcpy(relations[i].pub.fk, relations[relations[i].root].pub.fk,
		       sizeof(relations[i].pub.fk));
	}
	return r;
}
