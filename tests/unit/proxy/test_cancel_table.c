/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "proxy/cancel_table.h"
#include "wire/startup.h"

#define KEY_LEN	  STARTUP_CANCEL_KEY_MIN
#define N_CLIENTS 8U

/* The table never looks into these. */
static struct client *client_of(uint32_t i)
{
	static char clients[N_CLIENTS];
	return (struct client *)(void *)&clients[i];
}

struct known {
	uint32_t slot;
	uint32_t pid;
	uint8_t key[STARTUP_OUR_KEY_MAX];
};

static bool put_in(struct cancel_table *table, uint32_t i, uint32_t pid,
		   struct known *out)
{
	struct cancel_target target = { .client_id = 100 + i };
	*out = (struct known){ .pid = pid };
	bool ok = cancel_table_add(table, client_of(i), &target, &out->pid, out->key,
				   KEY_LEN);
	out->slot = target.slot;
	return ok;
}

/* The client that PID and the key lead to. */
static struct client *found(struct cancel_table *table, uint32_t pid,
			    const struct known *known)
{
	struct cancel_target target;
	if (!cancel_table_find(table, pid, span_make(known->key, KEY_LEN), &target)) {
		return NULL;
	}
	return cancel_table_at(table, &target);
}

Test(cancel_table, finds_the_one_of_many_with_one_pid)
{
	struct cancel_table *table;
	struct known at[N_CLIENTS];
	/* all in one bucket: three numbers, the last of them beyond ours */
	const uint32_t pids[] = { 8, 16, 8, (1U << 24) + 8, 16, 8, 8, 1U << 31 };
	cr_assert_eq(cancel_table_new(N_CLIENTS, &table), 0);
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		cr_assert(put_in(table, i, pids[i], &at[i]));
		cr_assert_eq(at[i].pid, pids[i]);
	}
	struct known more;
	cr_assert_not(put_in(table, 0, 0, &more), "the table is full");
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		cr_assert_eq(found(table, pids[i], &at[i]), client_of(i));
		cr_assert_null(found(table, pids[i] + 1, &at[i]));
		cr_assert_null(found(table, pids[i] + N_CLIENTS * 4, &at[i]));
	}
	/* from the middle, the end and the beginning of the chain */
	for (uint32_t step = 0; step < N_CLIENTS; step++) {
		uint32_t gone = (step * 3 + 2) % N_CLIENTS;
		cancel_table_remove(table, at[gone].slot);
		for (uint32_t i = 0; i < N_CLIENTS; i++) {
			bool is_there = false;
			for (uint32_t k = step + 1; k < N_CLIENTS; k++) {
				is_there = is_there || (k * 3 + 2) % N_CLIENTS == i;
			}
			cr_assert_eq(found(table, pids[i], &at[i]),
				     is_there ? client_of(i) : NULL);
		}
	}
	cancel_table_free(table);
}

Test(cancel_table, a_number_of_ours_says_where)
{
	struct cancel_table *table;
	struct known first;
	struct known second;
	struct known third;
	cr_assert_eq(cancel_table_new(2, &table), 0);
	cr_assert(put_in(table, 1, 0, &first));
	cr_assert(put_in(table, 2, 0, &second));
	cr_assert_geq(first.pid, 1U << 24);
	cr_assert_neq(first.pid, second.pid);
	cr_assert_eq(found(table, first.pid, &first), client_of(1));
	cr_assert_eq(found(table, second.pid, &second), client_of(2));
	cr_assert_null(found(table, second.pid, &first));
	cr_assert_null(found(table, second.pid + 1, &second));
	/* its slot is used again: the old key, and the old client, are nobody's */
	struct cancel_target old;
	cr_assert(
	    cancel_table_find(table, first.pid, span_make(first.key, KEY_LEN), &old));
	cancel_table_remove(table, first.slot);
	cr_assert(put_in(table, 3, 0, &third));
	cr_assert_eq(third.pid, first.pid);
	cr_assert_null(found(table, first.pid, &first));
	cr_assert_null(cancel_table_at(table, &old));
	cr_assert_eq(found(table, third.pid, &third), client_of(3));
	/* all of the key counts */
	cr_assert_not(cancel_table_find(table, third.pid,
					span_make(third.key, KEY_LEN - 1), &old));
	cr_assert_not(
	    cancel_table_find(table, third.pid, span_make(third.key, 0), &old));
	cancel_table_free(table);
}
