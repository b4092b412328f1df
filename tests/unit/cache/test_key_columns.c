/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <pthread.h>

#include "cache/versions.h"

#define DB 77

static void begin(struct versions **versions, struct key_columns **columns, size_t max)
{
	cr_assert_eq(versions_new(12, versions), 0);
	cr_assert_eq(key_columns_new(max, columns), 0);
}

static void end(struct versions *versions, struct key_columns *columns)
{
	versions_free(versions);
	key_columns_free(columns);
}

Test(key_columns, registers_columns_of_relations)
{
	struct versions *v;
	struct key_columns *c;
	begin(&v, &c, 8);
	cr_assert_eq(key_columns_mask(c, DB, 1), 0);
	cr_assert(key_columns_use(c, v, DB, 1, 2));
	cr_assert(key_columns_use(c, v, DB, 1, 63));
	cr_assert(key_columns_use(c, v, DB, 2, 1));
	cr_assert_eq(key_columns_mask(c, DB, 1), UINT64_C(1) << 2 | UINT64_C(1) << 63);
	cr_assert_eq(key_columns_mask(c, DB, 2), UINT64_C(1) << 1);
	cr_assert_eq(key_columns_mask(c, DB + 1, 1), 0);
	end(v, c);
}

Test(key_columns, refuses_what_has_no_bit)
{
	static const int16_t bad[] = { -1, 0, 64, 1000, INT16_MAX };
	struct versions *v;
	struct key_columns *c;
	begin(&v, &c, 8);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_not(key_columns_use(c, v, DB, 1, bad[i]), "%d", bad[i]);
	}
	cr_assert_eq(key_columns_mask(c, DB, 1), 0);
	end(v, c);
}

Test(key_columns, a_full_table_refuses_new_relations_only)
{
	struct versions *v;
	struct key_columns *c;
	begin(&v, &c, 5);
	for (uint32_t rel = 1; rel <= 5; rel++) {
		cr_assert(key_columns_use(c, v, DB, rel, 1), "%u", rel);
	}
	cr_assert_not(key_columns_use(c, v, DB, 6, 1));
	cr_assert_eq(key_columns_mask(c, DB, 6), 0);
	cr_assert(key_columns_use(c, v, DB, 5, 2));
	end(v, c);
}

/* The race of the header: a commit that read the mask before the registration is still
 * on its way. */
Test(key_columns, an_unaware_commit_delays_the_first_fill)
{
	struct versions *v;
	struct key_columns *c;
	begin(&v, &c, 8);
	uint64_t any = versions_tag_any(DB, 1);
	versions_begin(v, any);
	cr_assert_eq(key_columns_mask(c, DB, 1), 0); /* will not move column 3 */
	cr_assert_not(key_columns_use(c, v, DB, 1, 3));
	cr_assert_not(key_columns_use(c, v, DB, 1, 3));
	versions_end(v, any, true);
	cr_assert(key_columns_use(c, v, DB, 1, 3));
	/* from here on every commit knows the column, so none delays it again */
	versions_begin(v, any);
	cr_assert_neq(key_columns_mask(c, DB, 1), 0);
	cr_assert(key_columns_use(c, v, DB, 1, 3));
	/* but another column starts anew */
	cr_assert_not(key_columns_use(c, v, DB, 1, 4));
	versions_end(v, any, false);
	cr_assert(key_columns_use(c, v, DB, 1, 4));
	end(v, c);
}

struct race {
	struct versions *versions;
	struct key_columns *columns;
	uint32_t rel;
	_Atomic uint64_t row;
	pthread_barrier_t start;
};

static void *race_commit(void *arg)
{
	struct race *r = arg;
	uint64_t any = versions_tag_any(DB, r->rel);
	uint64_t col = versions_tag_col(DB, r->rel, 1, 9);
	pthread_barrier_wait(&r->start);
	versions_begin(r->versions, any);
	bool knows = key_columns_mask(r->columns, DB, r->rel) != 0;
	if (knows) {
		versions_begin(r->versions, col);
	}
	atomic_store(&r->row, 1);
	if (knows) {
		versions_end(r->versions, col, true);
	}
	versions_end(r->versions, any, true);
	return NULL;
}

/* A reader registers while a commit runs; what he stores must not survive it. */
Test(key_columns, the_race_with_a_commit, .timeout = 120)
{
	for (uint32_t i = 1; i <= 500; i++) {
		struct race r = { .rel = i };
		begin(&r.versions, &r.columns, 8);
		pthread_barrier_init(&r.start, NULL, 2);
		pthread_t thread;
		pthread_create(&thread, NULL, race_commit, &r);
		pthread_barrier_wait(&r.start);
		struct version_notes notes = {
			.n = 1, .at = { { .tag = versions_tag_col(DB, i, 1, 9) } }
		};
		bool stored = key_columns_use(r.columns, r.versions, DB, i, 1) &&
			      versions_note(r.versions, &notes);
		uint64_t row = atomic_load(&r.row);
		pthread_join(thread, NULL);
		bool served = stored && versions_are_current(r.versions, &notes);
		cr_assert(!served || row == 1, "round %u served the old row", i);
		pthread_barrier_destroy(&r.start);
		end(r.versions, r.columns);
	}
}
