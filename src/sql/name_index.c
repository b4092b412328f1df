/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "sql/name_index.h"

#define XXH_INLINE_ALL
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#define FIRST_SLOTS ((uint32_t)64)
#define MAX_SLOTS   ((uint32_t)1 << 30)

uint32_t name_index_hash(uint32_t space, struct span name)
{
	return (uint32_t)XXH3_64bits_withSeed(name.p, name.n, space);
}

void name_index_fini(struct name_index *index)
{
	free(index->slots);
	*index = (struct name_index){ 0 };
}

static void name_index_put(struct name_slot *slots, uint32_t n_slots,
			   struct name_slot slot)
{
	uint32_t at = slot.hash & (n_slots - 1);
	while (slots[at].item != 0) {
		at = (at + 1) & (n_slots - 1);
	}
	slots[at] = slot;
}

static int name_index_grow(struct name_index *index)
{
	uint32_t n_slots = index->n_slots == 0 ? FIRST_SLOTS : index->n_slots * 2;
	if (n_slots > MAX_SLOTS) {
		return -ENOMEM;
	}
	struct name_slot *slots = calloc(n_slots, sizeof(*slots));
	if (slots == NULL) {
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < index->n_slots; i++) {
		if (index->slots[i].item != 0) {
			name_index_put(slots, n_slots, index->slots[i]);
		}
	}
	free(index->slots);
	index->slots = slots;
	index->n_slots = n_slots;
	return 0;
}

int name_index_add(struct name_index *index, uint32_t hash, uint32_t item)
{
	require(item < NAME_INDEX_END);
	if (index->n_items >= index->n_slots / 3 * 2) {
		int r = name_index_grow(index);
		if (r < 0) {
			return r;
		}
	}
	name_index_put(index->slots, index->n_slots,
		       (struct name_slot){ .hash = hash, .item = item + 1 });
	index->n_items++;
	return 0;
}

uint32_t name_index_next(const struct name_index *index, uint32_t hash, uint32_t *at)
{
	if (index->slots == NULL) {
		return NAME_INDEX_END;
	}
	while (*at < index->n_slots) {
		uint32_t i = (hash + *at) & (index->n_slots - 1);
		++*at;
		if (index->slots[i].item == 0) {
			return NAME_INDEX_END;
		}
		if (index->slots[i].hash == hash) {
			return index->slots[i].item - 1;
		}
	}
	return NAME_INDEX_END;
}
