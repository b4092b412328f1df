/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "cache/entry.h"
#include "cache/ghost.h"
#include "cache/memory.h"
#include "cache/versions.h"

#define FAR_AWAY UINT64_MAX

struct rig {
	struct memory *memory;
	struct versions *versions;
};

static struct rig rig_new(size_t bytes, unsigned shards)
{
	struct rig rig;
	cr_assert_eq(memory_new(bytes, shards, &rig.memory), 0);
	cr_assert_eq(versions_new(12, &rig.versions), 0);
	return rig;
}

static void rig_free(struct rig *rig)
{
	memory_free(rig->memory);
	versions_free(rig->versions);
}

static uint64_t hash_of(const char *key)
{
	return XXH3_64bits(key, strlen(key));
}

static struct entry *make(struct rig *rig, const char *key, struct span value,
			  uint64_t tag)
{
	struct entry *e = entry_new(span_str(key), value, hash_of(key));
	cr_assert_not_null(e);
	e->expires_ns = FAR_AWAY;
	e->notes = (struct version_notes){ .n = 1, .at = { { .tag = tag } } };
	cr_assert(versions_note(rig->versions, &e->notes));
	return e;
}

static bool put(struct rig *rig, const char *key, struct span value, uint64_t tag)
{
	struct entry *e = make(rig, key, value, tag);
	bool ok = memory_put(rig->memory, e);
	entry_unref(e);
	return ok;
}

/* Whether KEY is there; its value is compared when VALUE is given. */
static bool has(struct rig *rig, const char *key, const char *value, uint64_t now)
{
	struct entry *e =
	    memory_get(rig->memory, rig->versions, hash_of(key), span_str(key), now);
	if (e == NULL) {
		return false;
	}
	bool right = value == NULL || span_eq_str(entry_value(e), value);
	entry_unref(e);
	cr_assert(right);
	return true;
}

static struct memory_counts counts(struct rig *rig)
{
	struct memory_counts c;
	memory_counts(rig->memory, &c);
	return c;
}

Test(memory, gives_what_was_put)
{
	struct rig rig = rig_new(1 << 20, 4);
	cr_assert_not(has(&rig, "a", NULL, 0));
	cr_assert(put(&rig, "a", SPAN_LIT("1"), 1));
	cr_assert(put(&rig, "b", SPAN_LIT("2"), 1));
	cr_assert(has(&rig, "a", "1", 0));
	cr_assert(has(&rig, "b", "2", 0));
	cr_assert_not(has(&rig, "c", NULL, 0));
	cr_assert_eq(counts(&rig).entries, 2);
	rig_free(&rig);
}

Test(memory, compares_the_whole_key)
{
	struct rig rig = rig_new(1 << 20, 1);
	struct entry *e = entry_new(SPAN_LIT("one"), SPAN_LIT("1"), 7);
	struct entry *f = entry_new(SPAN_LIT("two"), SPAN_LIT("2"), 7);
	e->expires_ns = f->expires_ns = FAR_AWAY;
	cr_assert(memory_put(rig.memory, e) && memory_put(rig.memory, f));
	struct entry *got = memory_get(rig.memory, rig.versions, 7, SPAN_LIT("two"), 0);
	cr_assert_eq(got, f);
	cr_assert_null(memory_get(rig.memory, rig.versions, 7, SPAN_LIT("six"), 0));
	cr_assert_null(memory_get(rig.memory, rig.versions, 7, SPAN_LIT("tw"), 0));
	entry_unref(got);
	entry_unref(e);
	entry_unref(f);
	rig_free(&rig);
}

Test(memory, replaces_an_equal_key)
{
	struct rig rig = rig_new(1 << 20, 1);
	cr_assert(put(&rig, "a", SPAN_LIT("old"), 1));
	uint64_t bytes = counts(&rig).bytes;
	cr_assert(put(&rig, "a", SPAN_LIT("new"), 1));
	cr_assert(has(&rig, "a", "new", 0));
	cr_assert_eq(counts(&rig).entries, 1);
	cr_assert_eq(counts(&rig).bytes, bytes);
	cr_assert_eq(counts(&rig).evictions, 0);
	rig_free(&rig);
}

Test(memory, drops_what_is_superseded)
{
	struct rig rig = rig_new(1 << 20, 2);
	cr_assert(put(&rig, "a", SPAN_LIT("1"), 1));
	cr_assert(put(&rig, "b", SPAN_LIT("2"), 2));
	versions_begin(rig.versions, 1);
	cr_assert_not(has(&rig, "a", NULL, 0));
	versions_end(rig.versions, 1, true);
	cr_assert_not(has(&rig, "a", NULL, 0));
	cr_assert(has(&rig, "b", "2", 0));
	cr_assert_eq(counts(&rig).invalidated, 1);
	cr_assert_eq(counts(&rig).entries, 1);
	rig_free(&rig);
}

Test(memory, drops_what_has_expired)
{
	struct rig rig = rig_new(1 << 20, 1);
	struct entry *e = make(&rig, "a", SPAN_LIT("1"), 1);
	e->expires_ns = 1000;
	cr_assert(memory_put(rig.memory, e));
	entry_unref(e);
	cr_assert(has(&rig, "a", "1", 999));
	cr_assert_not(has(&rig, "a", NULL, 1000));
	cr_assert_eq(counts(&rig).expirations, 1);
	cr_assert_eq(counts(&rig).entries, 0);
	cr_assert_eq(counts(&rig).bytes, 0);
	rig_free(&rig);
}

Test(memory, an_entry_outlives_its_eviction)
{
	struct rig rig = rig_new(1 << 20, 1);
	cr_assert(put(&rig, "a", SPAN_LIT("still here"), 1));
	struct entry *e =
	    memory_get(rig.memory, rig.versions, hash_of("a"), SPAN_LIT("a"), 0);
	memory_clear(rig.memory);
	cr_assert(span_eq(entry_value(e), SPAN_LIT("still here")));
	entry_unref(e);
	rig_free(&rig);
}

Test(memory, refuses_what_a_shard_cannot_hold)
{
	static const uint8_t big[8192];
	struct rig rig = rig_new(4 * 4096, 4);
	cr_assert_not(put(&rig, "big", span_make(big, sizeof(big)), 1));
	cr_assert(put(&rig, "small", span_make(big, 1000), 1));
	struct rig none = rig_new(0, 1);
	cr_assert_not(put(&none, "a", SPAN_LIT("1"), 1));
	rig_free(&rig);
	rig_free(&none);
}

Test(memory, never_holds_more_bytes_than_its_bound)
{
	static const uint8_t bytes[3000];
	struct rig rig = rig_new(256 << 10, 4);
	srandom(1);
	for (int i = 0; i < 5000; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%ld", random() % 700);
		if (!has(&rig, key, NULL, 0)) {
			put(&rig, key, span_make(bytes, (size_t)(random() % 3000)), 1);
		}
		cr_assert_leq(counts(&rig).bytes, 256 << 10);
	}
	cr_assert_gt(counts(&rig).evictions, 0);
	cr_assert_gt(counts(&rig).bytes, 200 << 10, "the room is used");
	memory_resize(rig.memory, 64 << 10);
	cr_assert_leq(counts(&rig).bytes, 64 << 10);
	memory_resize(rig.memory, 0);
	cr_assert_eq(counts(&rig).bytes, 0);
	cr_assert_eq(counts(&rig).entries, 0);
	rig_free(&rig);
}

/* S3-FIFO: entries that are read stay while a stream of others passes through. */
Test(memory, a_scan_does_not_push_out_what_is_used)
{
	static const uint8_t bytes[600];
	struct rig rig = rig_new(64 << 10, 1);
	const char *hot[] = { "hot1", "hot2", "hot3", "hot4" };
	for (size_t i = 0; i < 4; i++) {
		cr_assert(put(&rig, hot[i], span_make(bytes, sizeof(bytes)), 1));
		cr_assert(has(&rig, hot[i], NULL, 0) && has(&rig, hot[i], NULL, 0));
	}
	for (int i = 0; i < 2000; i++) {
		char key[16];
		snprintf(key, sizeof(key), "scan%d", i);
		cr_assert(put(&rig, key, span_make(bytes, sizeof(bytes)), 1));
	}
	for (size_t i = 0; i < 4; i++) {
		cr_assert(has(&rig, hot[i], NULL, 0), "%s", hot[i]);
	}
	rig_free(&rig);
}

/* What left the small queue and comes back is kept in main, and stays. */
Test(memory, the_ghost_brings_a_returning_key_into_main)
{
	static const uint8_t bytes[600];
	struct rig rig = rig_new(64 << 10, 1);
	char key[16];
	cr_assert(put(&rig, "again", span_make(bytes, sizeof(bytes)), 1));
	for (int i = 0; i < 80; i++) {
		snprintf(key, sizeof(key), "a%d", i);
		cr_assert(put(&rig, key, span_make(bytes, sizeof(bytes)), 1));
	}
	cr_assert_not(has(&rig, "again", NULL, 0), "one put and no hit: evicted");
	cr_assert(put(&rig, "again", span_make(bytes, sizeof(bytes)), 1));
	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "b%d", i);
		cr_assert(put(&rig, key, span_make(bytes, sizeof(bytes)), 1));
	}
	cr_assert(has(&rig, "again", NULL, 0), "it came back: kept");
	rig_free(&rig);
}

Test(ghost, remembers_once_and_forgets_the_oldest)
{
	struct ghost *g;
	cr_assert_eq(ghost_new(0, &g), 0);
	cr_assert_not(ghost_take(g, 5));
	ghost_add(g, 5);
	cr_assert(ghost_take(g, 5));
	cr_assert_not(ghost_take(g, 5));
	/* five of one set of four: the first one goes */
	for (uint64_t i = 1; i <= 5; i++) {
		ghost_add(g, i << 32 | 5);
	}
	cr_assert_not(ghost_take(g, UINT64_C(1) << 32 | 5));
	for (uint64_t i = 2; i <= 5; i++) {
		cr_assert(ghost_take(g, i << 32 | 5), "%lu", (unsigned long)i);
	}
	ghost_free(g);
}

/* Threads fill, read and invalidate the same keys.  The value says which version of the
 * "row" it was made from; nobody may get one older than what was acknowledged before.
 */
#define N_KEYS 16

struct storm {
	struct rig rig;
	_Atomic uint64_t row[N_KEYS];
	_Atomic uint64_t acked[N_KEYS];
	atomic_bool stop;
	_Atomic uint64_t stale;
	_Atomic uint64_t hits;
};

static void *storm_write(void *arg)
{
	struct storm *s = arg;
	for (uint64_t i = 1; i <= 4000; i++) {
		unsigned k = (unsigned)(i * 7 % N_KEYS);
		versions_begin(s->rig.versions, k);
		atomic_store(&s->row[k], i);
		versions_end(s->rig.versions, k, true);
		atomic_store(&s->acked[k], i);
	}
	atomic_store(&s->stop, true);
	return NULL;
}

static void storm_fill(struct storm *s, unsigned k, const char *key)
{
	struct version_notes notes = { .n = 1, .at = { { .tag = k } } };
	if (!versions_note(s->rig.versions, &notes)) {
		return;
	}
	uint64_t row = atomic_load(&s->row[k]);
	struct entry *e =
	    entry_new(span_str(key), span_make(&row, sizeof(row)), hash_of(key));
	e->notes = notes;
	e->expires_ns = FAR_AWAY;
	memory_put(s->rig.memory, e);
	entry_unref(e);
}

static void *storm_read(void *arg)
{
	struct storm *s = arg;
	unsigned seed = (unsigned)(uintptr_t)&seed;
	while (!atomic_load(&s->stop)) {
		unsigned k = (unsigned)rand_r(&seed) % N_KEYS;
		char key[16];
		snprintf(key, sizeof(key), "key%u", k);
		uint64_t acked = atomic_load(&s->acked[k]);
		struct entry *e = memory_get(s->rig.memory, s->rig.versions,
					     hash_of(key), span_str(key), 0);
		if (e == NULL) {
			storm_fill(s, k, key);
			continue;
		}
		uint64_t row;
		memcpy(&row, entry_value(e).p, sizeof(row));
		entry_unref(e);
		atomic_fetch_add(&s->hits, 1);
		if (row < acked) {
			atomic_fetch_add(&s->stale, 1);
		}
	}
	return NULL;
}

static void *storm_resize(void *arg)
{
	struct storm *s = arg;
	for (size_t i = 0; !atomic_load(&s->stop); i++) {
		memory_resize(s->rig.memory, i % 2 == 0 ? 2000 : 64 << 10);
		if (i % 16 == 0) {
			memory_clear(s->rig.memory);
		}
		struct memory_counts c;
		memory_counts(s->rig.memory, &c);
	}
	return NULL;
}

Test(memory, threads_never_get_an_older_row, .timeout = 120)
{
	static struct storm s;
	s.rig = rig_new(64 << 10, 2);
	pthread_t threads[5];
	pthread_create(&threads[0], NULL, storm_write, &s);
	pthread_create(&threads[1], NULL, storm_resize, &s);
	for (int i = 2; i < 5; i++) {
		pthread_create(&threads[i], NULL, storm_read, &s);
	}
	for (int i = 0; i < 5; i++) {
		pthread_join(threads[i], NULL);
	}
	cr_assert_eq(atomic_load(&s.stale), 0);
	rig_free(&s.rig);
}
