/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Where the group ends that a server is at. */

#include <criterion/criterion.h>

#include "upstream/owed.h"

static void owe(struct owed_queue *queue, const char *kinds)
{
	for (; *kinds != 0; kinds++) {
		struct owed item = { .kind = (uint8_t)*kinds };
		cr_assert_eq(owed_push(queue, item), 0);
	}
}

static void check_end(const char *kinds, uint32_t end)
{
	struct owed_queue queue;
	owed_init(&queue);
	owe(&queue, kinds);
	cr_assert_eq(owed_group_end(&queue), end, "%s", kinds);
	while (queue.n > 0) {
		(void)owed_pop(&queue);
	}
	owed_fini(&queue);
}

Test(owed, the_first_message_that_readyforquery_answers_ends_the_group)
{
	check_end("Q", 0);
	check_end("QQ", 0);
	check_end("PBESQ", 3);
	check_end("PF", 1);
}

Test(owed, a_group_whose_sync_was_not_sent_ends_with_what_was)
{
	check_end("P", 0);
	check_end("PBDE", 3);
}

Test(owed, what_the_server_ignores_keeps_its_place)
{
	struct owed_queue queue;
	owed_init(&queue);
	owe(&queue, "PBESQ");
	(void)owed_void(&queue, 1);
	(void)owed_void(&queue, 2);
	uint64_t first = queue.n_popped;
	cr_assert_eq(owed_group_end(&queue), 3);
	cr_assert_eq(owed_pop(&queue).kind, 'P');
	cr_assert_eq(queue.n_popped, first + 3, "the ignored ones go with it");
	cr_assert_eq(owed_group_end(&queue), 0);
	cr_assert_eq(owed_pop(&queue).kind, 'S');
	cr_assert_eq(owed_pop(&queue).kind, 'Q');
	cr_assert_eq(queue.n_popped, queue.n_pushed);
	owed_fini(&queue);
}
