/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "cache/entry.h"

#include <stdlib.h>
#include <string.h>

struct entry *entry_new_room(struct span key, size_t value_len, uint64_t hash,
			     uint8_t **value_out)
{
	if (key.n > UINT32_MAX || value_len > UINT32_MAX) {
		return NULL;
	}
	struct entry *e = malloc(FLEX_SIZE(struct entry, bytes, key.n + value_len));
	if (e == NULL) {
		return NULL;
	}
	*e = (struct entry){
		.key_len = (uint32_t)key.n,
		.value_len = (uint32_t)value_len,
		.hash = hash,
		.rule = -1,
	};
	atomic_init(&e->refs, 1);
	dlist_init(&e->place.queue);
	if (key.n > 0) {
		memcpy(e->bytes, key.p, key.n);
	}
	*value_out = e->bytes + key.n;
	return e;
}

struct entry *entry_new(struct span key, struct span value, uint64_t hash)
{
	uint8_t *to = NULL;
	struct entry *e = entry_new_room(key, value.n, hash, &to);
	if (e != NULL && value.n > 0) {
		memcpy(to, value.p, value.n);
	}
	return e;
}

struct entry *entry_ref(struct entry *entry)
{
	unsigned before =
	    atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
	require(before > 0);
	return entry;
}

void entry_unref(struct entry *entry)
{
	if (entry == NULL) {
		return;
	}
	/* release: what this thread read of the entry comes before another frees it */
	unsigned before =
	    atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel);
	require(before > 0);
	if (before == 1) {
		free(entry);
	}
}
