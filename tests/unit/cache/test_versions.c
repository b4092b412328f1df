/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "cache/versions.h"

static struct versions *make(unsigned bits)
{
	struct versions *v = NULL;
	cr_assert_eq(versions_new(bits, &v), 0);
	return v;
}

static struct version_notes notes_of(uint64_t tag)
{
	return (struct version_notes){ .n = 1, .at = { { .tag = tag } } };
}

Test(versions, tags_differ_in_everything_that_makes_them)
{
	const uint64_t tags[] = {
		versions_tag_db(1),
		versions_tag_db(2),
		versions_tag_any(1, 10),
		versions_tag_any(1, 11),
		versions_tag_any(2, 10),
		versions_tag_col_all(1, 10, 1),
		versions_tag_col_all(1, 10, 2),
		versions_tag_col_all(1, 11, 1),
		versions_tag_col(1, 10, 1, 7),
		versions_tag_col(1, 10, 1, 8),
		versions_tag_col(1, 10, 2, 7),
		versions_tag_col(1, 11, 1, 7),
		versions_tag_col(2, 10, 1, 7),
		versions_tag_col(1, 10, 1, 0),
	};
	size_t n = sizeof(tags) / sizeof(tags[0]);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < i; j++) {
			cr_assert_neq(tags[i], tags[j], "%zu and %zu", i, j);
		}
	}
}

Test(versions, tags_are_the_same_in_every_process)
{
	/* tokens in Redis are named by them: a change is a change of the format */
	cr_assert_eq(versions_tag_db(1), UINT64_C(0x67eadd3334187263));
	cr_assert_eq(versions_tag_col(1, 16384, 2, 7), UINT64_C(0x68416fd1e772b69c));
}

/* What happens between the note and the look-up, a letter each: b begin, c end of a
 * commit, r end of a roll-back.  Before it N notes, at the end the entry is looked up.
 */
static const struct {
	const char *before; /* the note */
	const char *after;
	bool storable;
	bool served;
} orders[] = {
	{ "", "", true, true },
	{ "bc", "", true, true },  /* a commit before the note is in the answer */
	{ "", "b", true, false },  /* from before the commit can be visible */
	{ "", "bc", true, false }, /* and for good afterwards */
	{ "", "br", true, true },  /* a roll-back moves nothing */
	{ "", "bb", true, false },
	{ "", "bbc", true, false },
	{ "", "bbcr", true, false },
	{ "", "bbrr", true, true },
	{ "b", "", false, false }, /* noted while a commit is in flight */
	{ "b", "c", false, false },
	{ "b", "r", false, false },
	{ "bb", "cr", false, false },
	{ "bbr", "c", false, false },
	{ "bcbc", "br", true, true },
};

static void play(struct versions *v, uint64_t tag, const char *steps)
{
	for (; *steps != '\0'; steps++) {
		if (*steps == 'b') {
			versions_begin(v, tag);
		} else {
			versions_end(v, tag, *steps == 'c');
		}
	}
}

Test(versions, interleavings_of_a_fill_and_writes)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct versions *v = make(8);
		uint64_t tag = versions_tag_any(1, 42);
		struct version_notes notes = notes_of(tag);
		play(v, tag, orders[i].before);
		bool storable = versions_note(v, &notes);
		play(v, tag, orders[i].after);
		cr_expect_eq(storable, orders[i].storable, "order %zu", i);
		cr_expect_eq(versions_are_current(v, &notes), orders[i].served,
			     "order %zu", i);
		versions_free(v);
	}
}

Test(versions, every_word_counts)
{
	struct versions *v = make(18);
	struct version_notes notes = { .n = VERSIONS_MAX_WORDS };
	for (uint32_t i = 0; i < VERSIONS_MAX_WORDS; i++) {
		notes.at[i].tag = versions_tag_any(1, i + 1);
	}
	for (uint32_t i = 0; i < VERSIONS_MAX_WORDS; i++) {
		cr_assert(versions_note(v, &notes));
		cr_assert(versions_are_current(v, &notes));
		versions_begin(v, notes.at[i].tag);
		cr_assert_not(versions_are_current(v, &notes), "%u", i);
		versions_end(v, notes.at[i].tag, true);
		cr_assert_not(versions_are_current(v, &notes), "%u", i);
	}
	versions_free(v);
}

Test(versions, a_shared_word_only_invalidates_too_much)
{
	struct versions *v = make(1);
	struct version_notes notes = notes_of(2);
	cr_assert(versions_note(v, &notes));
	versions_begin(v, 4); /* the same word */
	versions_end(v, 4, true);
	cr_assert_not(versions_are_current(v, &notes));
	cr_assert(versions_note(v, &notes));
	versions_begin(v, 5); /* the other one */
	cr_assert(versions_are_current(v, &notes));
	versions_end(v, 5, true);
	versions_free(v);
}

Test(versions, a_full_count_stays_in_flight_for_good)
{
	struct versions *v = make(4);
	for (unsigned i = 0; i < 65536 + 10; i++) {
		versions_begin(v, 3);
	}
	for (unsigned i = 0; i < 65536 + 10; i++) {
		versions_end(v, 3, true);
	}
	cr_assert_not(versions_is_idle(v, 3));
	struct version_notes notes = notes_of(3);
	cr_assert_not(versions_note(v, &notes));
	cr_assert(versions_is_idle(v, 4));
	versions_free(v);
}

/* One writer publishes numbers in the way of a commit, readers fill and look up: nobody
 * may be served a number older than the last one acknowledged before the look-up began.
 */
struct hammer {
	struct versions *versions;
	uint64_t tag;
	_Atomic uint64_t row;	/* what PostgreSQL would answer */
	_Atomic uint64_t acked; /* the writer's client has been told */
	atomic_bool stop;
	_Atomic uint64_t stale;
	_Atomic uint64_t hits;
};

static void *hammer_write(void *arg)
{
	struct hammer *h = arg;
	for (uint64_t i = 1; i <= 20000; i++) {
		versions_begin(h->versions, h->tag);
		atomic_store(&h->row, i);
		versions_end(h->versions, h->tag, true);
		atomic_store(&h->acked, i);
	}
	atomic_store(&h->stop, true);
	return NULL;
}

static void *hammer_read(void *arg)
{
	struct hammer *h = arg;
	struct version_notes notes = notes_of(h->tag);
	uint64_t cached = 0;
	bool has = false;
	do {
		uint64_t acked = atomic_load(&h->acked);
		if (has && versions_are_current(h->versions, &notes)) {
			atomic_fetch_add(&h->hits, 1);
			if (cached < acked) {
				atomic_fetch_add(&h->stale, 1);
			}
			has = (cached & 7) != 0;
			continue;
		}
		has = versions_note(h->versions, &notes);
		cached = atomic_load(&h->row);
	} while (!atomic_load(&h->stop));
	return NULL;
}

Test(versions, threads_never_see_an_older_row)
{
	struct hammer h = { .versions = make(4), .tag = 5 };
	pthread_t threads[4];
	pthread_create(&threads[0], NULL, hammer_write, &h);
	for (int i = 1; i < 4; i++) {
		pthread_create(&threads[i], NULL, hammer_read, &h);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
	}
	cr_assert_eq(atomic_load(&h.stale), 0);
	versions_free(h.versions);
}
