/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A shard is a hash table and two queues of the same entries; each entry carries its
 * own links (struct entry_place), so storing one allocates nothing.
 *
 *            put ──> [ small, 10 % ] ──2 hits──> [ main, 90 % ] <──┐
 *                        │                            │  └─ 1 hit ─┘
 *                        v                            v
 *   put again ──main  [ ghost ] hashes only         gone
 *
 * Eviction looks at the tail of small while that is over its share, else at the tail of
 * main.  One-hit wonders leave through small without disturbing main; those that come
 * back soon after are remembered by the ghost table and go to main at once.
 *
 * Invariants, under the lock: bytes is the sum of the charges of all linked entries,
 * small_bytes of those in small; bytes <= max when the lock is released.  What leaves a
 * shard is chained up and given back after the lock is released. */

#include "cache/memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdlib.h>

#include "cache/entry.h"
#include "cache/ghost.h"
#include "cache/versions.h"

#define MIN_BUCKETS	64
#define SMALL_SHARE	10 /* small may hold 1/10 of the bytes */
#define HITS_MAX	3
#define HITS_TO_PROMOTE 2
/* What malloc and the table add to one entry: a header and rounding, a bucket. */
#define ENTRY_OVERHEAD 40

struct bucket {
	struct entry *first; /* linked by place.chain */
};

struct shard {
	alignas(64) pthread_mutex_t lock;
	struct bucket *buckets; /* owned; n_buckets chains */
	size_t n_buckets;	/* a power of two */
	struct dlist small;	/* newest at the head */
	struct dlist main;
	struct ghost *ghost;
	size_t max;
	size_t small_bytes;
	struct memory_counts counts;
};

struct memory {
	unsigned n_shards;
	struct shard *shards; /* owned; aligned to cache lines */
};

static struct entry *place_entry(struct dlist *link)
{
	struct entry_place *place = container_of(link, struct entry_place, queue);
	return container_of(place, struct entry, place);
}

static int shard_init(struct shard *shard, size_t max)
{
	*shard = (struct shard){ .n_buckets = MIN_BUCKETS, .max = max };
	dlist_init(&shard->small);
	dlist_init(&shard->main);
	shard->buckets = calloc(MIN_BUCKETS, sizeof(*shard->buckets));
	if (shard->buckets == NULL) {
		return -ENOMEM;
	}
	int r = ghost_new(max, &shard->ghost);
	if (r < 0) {
		free(shard->buckets);
		return r;
	}
	r = pthread_mutex_init(&shard->lock, NULL);
	require(r == 0);
	return 0;
}

static void shard_fini(struct shard *shard)
{
	require(shard->counts.entries == 0);
	pthread_mutex_destroy(&shard->lock);
	ghost_free(shard->ghost);
	free(shard->buckets);
}

int memory_new(size_t max_bytes, unsigned n_shards, struct memory **out)
{
	require(n_shards >= 1 && n_shards <= 1U << 16 &&
		(n_shards & (n_shards - 1)) == 0);
	struct memory *m = calloc(1, sizeof(*m));
	if (m == NULL) {
		return -ENOMEM;
	}
	m->shards = aligned_alloc(alignof(struct shard), n_shards * sizeof(*m->shards));
	int r = m->shards == NULL ? -ENOMEM : 0;
	while (r == 0 && m->n_shards < n_shards) {
		r = shard_init(&m->shards[m->n_shards], max_bytes / n_shards);
		m->n_shards += r == 0;
	}
	if (r < 0) {
		memory_free(m);
		return r;
	}
	*out = m;
	return 0;
}

void memory_free(struct memory *memory)
{
	if (memory == NULL) {
		return;
	}
	memory_clear(memory);
	for (unsigned i = 0; i < memory->n_shards; i++) {
		shard_fini(&memory->shards[i]);
	}
	free(memory->shards);
	free(memory);
}

/* The high bits pick the shard, the low ones the bucket. */
static struct shard *memory_shard(struct memory *memory, uint64_t hash)
{
	return &memory->shards[(hash >> 48) & (memory->n_shards - 1)];
}

static void shard_lock(struct shard *shard)
{
	int r = pthread_mutex_lock(&shard->lock);
	require(r == 0);
}

static void shard_unlock(struct shard *shard)
{
	int r = pthread_mutex_unlock(&shard->lock);
	require(r == 0);
}

static void victims_unref(struct entry *victims)
{
	while (victims != NULL) {
		struct entry *next = victims->place.chain;
		entry_unref(victims);
		victims = next;
	}
}

/* The link in its bucket that points at the entry of this key, or the chain's end. */
static struct entry **shard_find(struct shard *shard, uint64_t hash, struct span key)
{
	struct entry **at = &shard->buckets[hash & (shard->n_buckets - 1)].first;
	while (*at != NULL && !((*at)->hash == hash && span_eq(entry_key(*at), key))) {
		at = &(*at)->place.chain;
	}
	return at;
}

static void shard_queue(struct shard *shard, struct entry *e, bool is_main)
{
	e->place.is_main = is_main;
	e->place.hits = 0;
	dlist_push_head(is_main ? &shard->main : &shard->small, &e->place.queue);
	shard->small_bytes += is_main ? 0 : e->place.charge;
}

static void shard_unqueue(struct shard *shard, struct entry *e)
{
	dlist_remove(&e->place.queue);
	shard->small_bytes -= e->place.is_main ? 0 : e->place.charge;
}

/* Takes the entry at *AT out of bucket, queue and account. */
static struct entry *shard_unlink(struct shard *shard, struct entry **at)
{
	struct entry *e = *at;
	*at = e->place.chain;
	e->place.chain = NULL;
	shard_unqueue(shard, e);
	require(shard->counts.bytes >= e->place.charge && shard->counts.entries > 0);
	shard->counts.bytes -= e->place.charge;
	shard->counts.entries--;
	return e;
}

static void shard_evict_entry(struct shard *shard, struct entry *e,
			      struct entry **victims)
{
	struct entry **at = &shard->buckets[e->hash & (shard->n_buckets - 1)].first;
	while (*at != e) {
		require(*at != NULL);
		at = &(*at)->place.chain;
	}
	shard_unlink(shard, at);
	e->place.chain = *victims;
	*victims = e;
	shard->counts.evictions++;
}

/* Evicts down to the bound.  Ends: an entry that is moved instead of evicted loses
 * hits. */
static void shard_shrink(struct shard *shard, struct entry **victims)
{
	while (shard->counts.bytes > shard->max) {
		bool from_small = shard->small_bytes > shard->max / SMALL_SHARE ||
				  dlist_is_empty(&shard->main);
		struct dlist *queue = from_small ? &shard->small : &shard->main;
		require(!dlist_is_empty(queue));
		struct entry *e = place_entry(queue->prev);
		if (from_small && e->place.hits >= HITS_TO_PROMOTE) {
			shard_unqueue(shard, e);
			shard_queue(shard, e, true);
		} else if (!from_small && e->place.hits > 0) {
			uint8_t left = (uint8_t)(e->place.hits - 1);
			shard_unqueue(shard, e);
			shard_queue(shard, e, true);
			e->place.hits = left;
		} else {
			if (from_small) {
				ghost_add(shard->ghost, e->hash);
			}
			shard_evict_entry(shard, e, victims);
		}
	}
}

/* Doubles the table when there are more entries than buckets; stays as it is without
 * memory. */
static void shard_grow(struct shard *shard)
{
	if (shard->counts.entries <= shard->n_buckets) {
		return;
	}
	size_t n = shard->n_buckets * 2;
	struct bucket *buckets = calloc(n, sizeof(*buckets));
	if (buckets == NULL) {
		return;
	}
	for (size_t i = 0; i < shard->n_buckets; i++) {
		struct entry *e = shard->buckets[i].first;
		while (e != NULL) {
			struct entry *next = e->place.chain;
			struct entry **to = &buckets[e->hash & (n - 1)].first;
			e->place.chain = *to;
			*to = e;
			e = next;
		}
	}
	free(shard->buckets);
	shard->buckets = buckets;
	shard->n_buckets = n;
}

struct entry *memory_get(struct memory *memory, const struct versions *versions,
			 uint64_t hash, struct span key, uint64_t now_ns)
{
	struct shard *shard = memory_shard(memory, hash);
	struct entry *dropped = NULL;
	shard_lock(shard);
	struct entry **at = shard_find(shard, hash, key);
	struct entry *e = *at;
	if (e == NULL) {
		/* not here */
	} else if (UNLIKELY(!versions_are_current(versions, &e->notes))) {
		shard->counts.invalidated++;
		dropped = shard_unlink(shard, at);
		e = NULL;
	} else if (UNLIKELY(now_ns >= e->expires_ns)) {
		shard->counts.expirations++;
		dropped = shard_unlink(shard, at);
		e = NULL;
	} else {
		if (e->place.hits < HITS_MAX) {
			e->place.hits++;
		}
		entry_ref(e);
	}
	shard_unlock(shard);
	entry_unref(dropped);
	return e;
}

/* What an entry costs; 0 when it is too large to be counted. */
static uint32_t entry_charge(const struct entry *e)
{
	size_t n = FLEX_SIZE(struct entry, bytes, (size_t)e->key_len + e->value_len);
	return n > UINT32_MAX - ENTRY_OVERHEAD ? 0 : (uint32_t)(n + ENTRY_OVERHEAD);
}

bool memory_put(struct memory *memory, struct entry *entry)
{
	require(entry->place.charge == 0);
	struct shard *shard = memory_shard(memory, entry->hash);
	struct entry *victims = NULL;
	uint32_t charge = entry_charge(entry);
	shard_lock(shard);
	if (charge == 0 || charge > shard->max) {
		shard_unlock(shard);
		return false;
	}
	struct entry **at = shard_find(shard, entry->hash, entry_key(entry));
	bool is_main = false;
	if (*at != NULL) {
		/* what was learnt about the key stays true of its new value */
		is_main = (*at)->place.is_main;
		entry->place.hits = (*at)->place.hits;
		victims = shard_unlink(shard, at);
	} else {
		is_main = ghost_take(shard->ghost, entry->hash);
	}
	uint8_t hits = entry->place.hits;
	entry->place.charge = charge;
	entry_ref(entry);
	struct entry **bucket =
	    &shard->buckets[entry->hash & (shard->n_buckets - 1)].first;
	entry->place.chain = *bucket;
	*bucket = entry;
	shard_queue(shard, entry, is_main);
	entry->place.hits = hits;
	shard->counts.bytes += charge;
	shard->counts.entries++;
	shard_grow(shard);
	shard_shrink(shard, &victims);
	shard_unlock(shard);
	victims_unref(victims);
	return true;
}

void memory_clear(struct memory *memory)
{
	for (unsigned i = 0; i < memory->n_shards; i++) {
		struct shard *shard = &memory->shards[i];
		struct entry *victims = NULL;
		shard_lock(shard);
		for (size_t b = 0; b < shard->n_buckets; b++) {
			while (shard->buckets[b].first != NULL) {
				struct entry *e =
				    shard_unlink(shard, &shard->buckets[b].first);
				e->place.chain = victims;
				victims = e;
			}
		}
		shard_unlock(shard);
		victims_unref(victims);
	}
}

void memory_resize(struct memory *memory, size_t max_bytes)
{
	for (unsigned i = 0; i < memory->n_shards; i++) {
		struct shard *shard = &memory->shards[i];
		struct entry *victims = NULL;
		shard_lock(shard);
		shard->max = max_bytes / memory->n_shards;
		shard_shrink(shard, &victims);
		shard_unlock(shard);
		victims_unref(victims);
	}
}

void memory_counts(struct memory *memory, struct memory_counts *out)
{
	*out = (struct memory_counts){ 0 };
	for (unsigned i = 0; i < memory->n_shards; i++) {
		struct shard *shard = &memory->shards[i];
		shard_lock(shard);
		out->entries += shard->counts.entries;
		out->bytes += shard->counts.bytes;
		out->evictions += shard->counts.evictions;
		out->expirations += shard->counts.expirations;
		out->invalidated += shard->counts.invalidated;
		shard_unlock(shard);
	}
}
