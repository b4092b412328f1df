#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* From a hash to the numbers of items that somebody else keeps in an array: open
 * addressing, eight bytes a slot, never more than two thirds full.  Names are compared
 *by the caller, who walks the candidates:
 *
 *	uint32_t item, at = 0;
 *	while ((item = name_index_next(&index, hash, &at)) != NAME_INDEX_END) { ... } */

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

#define NAME_INDEX_END UINT32_MAX

struct name_slot {
	uint32_t hash;
	uint32_t item; /* number + 1; 0: free */
};

struct name_index {
	struct name_slot *slots; /* owned; NULL until the first item */
	uint32_t n_slots;	 /* a power of two */
	uint32_t n_items;
};

/* Hash of a name in a namespace; SPACE is any number. */
uint32_t name_index_hash(uint32_t space, struct span name);
void name_index_fini(struct name_index *index);
/* 0 or -ENOMEM.  Equal hashes are fine. */
int name_index_add(struct name_index *index, uint32_t hash, uint32_t item) MUST_CHECK;
/* The next item with that hash, or NAME_INDEX_END; *AT begins as 0. */
uint32_t name_index_next(const struct name_index *index, uint32_t hash, uint32_t *at);
