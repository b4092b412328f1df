#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One cached answer: RowDescription (when asked for), DataRows and CommandComplete
 * exactly as they came over the wire, with the key that asked for it and the version
 * words noted before it was sent.  Immutable after it is stored (but for its place);
 * reference-counted over threads, sent with writev from where it lies. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dlist.h"
#include "base/span.h"
#include "cache/versions.h"

/* The entry's place in L1, written only under the lock of its shard. */
struct entry_place {
	struct dlist queue;  /* in the small or main queue, or in none */
	struct entry *chain; /* next in the bucket */
	uint32_t charge;     /* bytes that the shard counts for it */
	uint8_t hits;	     /* since it was queued, at most 3 */
	uint8_t is_main;     /* in the main queue */
};

struct entry {
	struct entry_place place;
	atomic_uint refs;
	uint32_t key_len;
	uint64_t hash;	     /* of the key */
	uint64_t created_ns; /* clock_now_ns() of the fill */
	uint64_t expires_ns;
	uint64_t server_ns; /* what PostgreSQL took, for cache_saved_seconds */
	uint32_t value_len;
	uint32_t n_rows;
	int16_t rule;  /* index of the rule that allowed it, -1 none */
	uint8_t klass; /* enum plan_class */
	struct version_notes notes;
	uint8_t bytes[]; /* key, then value */
};

/* A new entry with one reference and room for both; NULL without memory. */
struct entry *entry_new(struct span key, struct span value, uint64_t hash);
/* The same with VALUE_LEN bytes that the caller fills in at *VALUE_OUT before he shares
 * the entry. */
struct entry *entry_new_room(struct span key, size_t value_len, uint64_t hash,
			     uint8_t **value_out);
/* One more reference. */
struct entry *entry_ref(struct entry *entry);
/* Frees the entry with its last reference, on any thread; NULL is fine. */
void entry_unref(struct entry *entry);

static inline struct span entry_key(const struct entry *e)
{
	return span_make(e->bytes, e->key_len);
}

static inline struct span entry_value(const struct entry *e)
{
	return span_make(e->bytes + e->key_len, e->value_len);
}
