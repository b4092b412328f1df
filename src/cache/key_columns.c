/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* An open-addressing table of atomics: relation -> mask of registered columns, and mask
 * of those that have been seen to be safe.  Slots are claimed and never given back.
 *
 * Why an entry keyed by column c is right although commits before the registration did
 * not know c.  All four accesses are sequentially consistent, so they have one order:
 *
 *   commit:  A1 versions_begin(any)        A2 loads the mask
 *   reader:  B1 sets bit c in the mask     B2 loads any's word
 *
 * A commit that missed the bit has A2 before B1, hence A1 < A2 < B1 < B2.  If B2 finds
 * nothing in flight, that commit has also ended before B2: its rows are visible, and
 * the reader, who notes his words and sends his query after B2, reads them.  If B2
 * finds a write in flight, it may be such a commit: nothing keyed by c is stored, and
 * the next reader looks again.  Every commit with A2 after B1 moves c's tags by itself.
 * So one idle moment after B1 is enough for good: it is kept in the second mask. */

#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cache/versions.h"

#define ATTNUM_MAX 63

struct slot {
	_Atomic uint64_t id;   /* hash of (database, relation), 0: free */
	_Atomic uint64_t used; /* bit per registered column */
	_Atomic uint64_t safe; /* those after whose registration `any` was once idle */
};

struct key_columns {
	uint64_t mask;	 /* slots - 1; at least twice max */
	size_t max;	 /* relations */
	atomic_size_t n; /* relations, may be over max for a moment */
	struct slot slots[];
};

int key_columns_new(size_t max_relations, struct key_columns **out)
{
	require(max_relations >= 1 && max_relations <= (size_t)1 << 28);
	size_t n = 2;
	while (n < 2 * max_relations) {
		n *= 2;
	}
	struct key_columns *c =
	    calloc(1, FLEX_SIZE(struct key_columns, slots, n * sizeof(c->slots[0])));
	if (c == NULL) {
		return -ENOMEM;
	}
	c->mask = n - 1;
	c->max = max_relations;
	*out = c;
	return 0;
}

void key_columns_free(struct key_columns *columns)
{
	free(columns);
}

/* Two relations of one id share their masks: commits then move tags that nobody reads.
 */
static uint64_t relation_id(uint64_t db_tag, uint32_t rel)
{
	uint64_t both[2] = { db_tag, rel };
	uint64_t id = XXH3_64bits(both, sizeof(both));
	return id == 0 ? 1 : id;
}

static const struct slot *columns_find(const struct key_columns *columns, uint64_t id)
{
	for (uint64_t i = id;; i++) {
		const struct slot *slot = &columns->slots[i & columns->mask];
		uint64_t at = atomic_load(&slot->id);
		if (at == id) {
			return slot;
		}
		if (at == 0) {
			return NULL;
		}
	}
}

/* The relation's slot, claimed when it had none; NULL when the table is full. */
static struct slot *columns_claim(struct key_columns *columns, uint64_t id)
{
	for (uint64_t i = id;; i++) {
		struct slot *slot = &columns->slots[i & columns->mask];
		uint64_t at = atomic_load(&slot->id);
		if (at == 0) {
			if (atomic_fetch_add(&columns->n, 1) >= columns->max) {
				atomic_fetch_sub(&columns->n, 1);
				return NULL;
			}
			if (atomic_compare_exchange_strong(&slot->id, &at, id)) {
				return slot;
			}
			atomic_fetch_sub(&columns->n, 1);
		}
		if (at == id) {
			return slot;
		}
	}
}

bool key_columns_use(struct key_columns *columns, const struct versions *versions,
		     uint64_t db_tag, uint32_t rel, int16_t attnum)
{
	if (attnum < 1 || attnum > ATTNUM_MAX) {
		return false;
	}
	uint64_t bit = UINT64_C(1) << attnum;
	uint64_t id = relation_id(db_tag, rel);
	const struct slot *known = columns_find(columns, id);
	if (LIKELY(known != NULL && (atomic_load(&known->safe) & bit) != 0)) {
		return true;
	}
	struct slot *slot = columns_claim(columns, id);
	if (slot == NULL) {
		return false;
	}
	atomic_fetch_or(&slot->used, bit);
	if (!versions_is_idle(versions, versions_tag_any(db_tag, rel))) {
		return false;
	}
	atomic_fetch_or(&slot->safe, bit);
	return true;
}

uint64_t key_columns_mask(const struct key_columns *columns, uint64_t db_tag,
			  uint32_t rel)
{
	const struct slot *slot = columns_find(columns, relation_id(db_tag, rel));
	return slot == NULL ? 0 : atomic_load(&slot->used);
}
