/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Buffers, arenas and maps: what they hold, their ceilings, and what they do when the
 * n-th allocation fails. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/dlist.h"
#include "base/map.h"
#include "base/text.h"
#include "faulty_alloc.h"

Test(buf, appends_and_byte_order)
{
	struct buf buf;
	buf_init(&buf, 1000);
	buf_append_u8(&buf, 1);
	buf_append_u16(&buf, 0x0203);
	buf_append_u32(&buf, 0x04050607);
	buf_append_u64(&buf, 0x08090a0b0c0d0e0fU);
	for (size_t i = 0; i < 15; i++) {
		cr_assert_eq(buf.data[i], i + 1);
	}
	buf_reset(&buf);
	buf_append_cstr(&buf, "ab");
	buf_append_str(&buf, "cd");
	buf_printf(&buf, "%d-%s", 7, "x");
	cr_assert(span_eq(buf_span(&buf), SPAN_LIT("ab\0cd7-x")));
	buf_put_u32(&buf, 4, 0x41424344);
	cr_assert(span_eq(buf_span(&buf), SPAN_LIT("ab\0cABCD")));
	buf_consume(&buf, 3);
	cr_assert(span_eq(buf_span(&buf), SPAN_LIT("cABCD")));
	buf_consume(&buf, 5);
	cr_assert_eq(buf.len, 0);
	buf_fini(&buf);
}

Test(buf, ceiling_latches)
{
	struct buf buf;
	buf_init(&buf, 300);
	for (size_t i = 0; i < 300; i++) {
		buf_append_u8(&buf, 'x');
	}
	cr_assert(buf_ok(&buf));
	buf_append_u8(&buf, 'y');
	cr_assert_not(buf_ok(&buf));
	cr_assert_eq(buf.len, 300);
	buf_consume(&buf, 100);
	buf_append_u8(&buf, 'y');
	cr_assert_eq(buf.len, 200, "a failed buffer takes nothing more");
	buf_reset(&buf);
	buf_append_str(&buf, "again");
	cr_assert(buf_ok(&buf));
	cr_assert_null(buf_reserve(&buf, SIZE_MAX));
	buf_fini(&buf);
}

Test(buf, fails_without_memory)
{
	struct buf buf;
	buf_init(&buf, 1 << 20);
	faulty_alloc_fail_at(2);
	buf_append_str(&buf, "first");
	cr_assert(buf_ok(&buf));
	cr_assert_null(buf_reserve(&buf, 10000));
	cr_assert_not(buf_ok(&buf));
	cr_assert(span_eq_str(buf_span(&buf), "first"), "what was there stays");
	buf_fini(&buf);
}

Test(arena, zeroed_aligned_and_bounded)
{
	struct arena arena;
	arena_init(&arena, 100000);
	for (size_t n = 1; n < 5000; n += 391) {
		uint8_t *p = arena_alloc(&arena, n);
		cr_assert_not_null(p);
		cr_assert_eq((uintptr_t)p % alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++) {
			cr_assert_eq(p[i], 0);
		}
		memset(p, 0xff, n);
	}
	cr_assert_null(arena_alloc(&arena, 100000));
	arena_reset(&arena);
	uint8_t *again = arena_alloc(&arena, 64);
	cr_assert_eq(again[0], 0, "memory that is used again is zeroed again");
	cr_assert_str_eq(arena_copy(&arena, SPAN_LIT("text")), "text");
	cr_assert_str_eq(arena_copy(&arena, span_make(NULL, 0)), "");
	arena_fini(&arena);
}

Test(arena, fails_without_memory)
{
	struct arena arena;
	arena_init(&arena, 1 << 20);
	faulty_alloc_fail_at(1);
	cr_assert_null(arena_alloc(&arena, 10));
	cr_assert_not_null(arena_alloc(&arena, 10), "the next attempt may succeed");
	arena_fini(&arena);
}

struct thing {
	char name[16];
	unsigned value;
};

static struct span thing_key(const struct thing *thing)
{
	return span_str(thing->name);
}

Test(map, put_get_remove)
{
	enum {
		N = 3000
	};
	struct thing *things = calloc(N, sizeof(*things));
	struct map map;
	map_init(&map, N);
	for (unsigned i = 0; i < N; i++) {
		snprintf(things[i].name, sizeof(things[i].name), "key %u", i);
		things[i].value = i;
		cr_assert_eq(map_put(&map, thing_key(&things[i]), &things[i]), 0);
	}
	cr_assert_eq(map_put(&map, SPAN_LIT("key 7"), &things[0]), MAP_E_EXISTS);
	cr_assert_eq(map_put(&map, SPAN_LIT("one more"), &things[0]), MAP_E_FULL);
	/* every third goes, so that probes run over many holes */
	for (unsigned i = 0; i < N; i += 3) {
		cr_assert_eq(map_remove(&map, thing_key(&things[i])), &things[i]);
		cr_assert_null(map_remove(&map, thing_key(&things[i])));
	}
	for (unsigned i = 0; i < N; i++) {
		void *found = map_get(&map, thing_key(&things[i]));
		cr_assert_eq(found, i % 3 == 0 ? NULL : &things[i]);
	}
	struct thing *each;
	size_t n = 0;
	uint64_t sum = 0;
	map_each (each, at, &map) {
		n++;
		sum += each->value;
	}
	cr_assert_eq(n, map.n);
	cr_assert_eq(n, N - N / 3);
	cr_assert_eq(sum, (uint64_t)N * (N - 1) / 2 -
			      3 * (uint64_t)(N / 3) * (N / 3 - 1) / 2);
	map_clear(&map);
	cr_assert_null(map_get(&map, SPAN_LIT("key 1")));
	map_fini(&map);
	free(things);
}

Test(map, empty_key_and_empty_map)
{
	int value = 1;
	struct map map;
	map_init(&map, 4);
	cr_assert_null(map_get(&map, SPAN_LIT("x")));
	cr_assert_null(map_remove(&map, SPAN_LIT("x")));
	cr_assert_eq(map_put(&map, span_make(NULL, 0), &value), 0);
	cr_assert_eq(map_get(&map, span_make("", 0)), &value);
	map_fini(&map);
}

Test(map, fails_without_memory)
{
	int value = 1;
	struct map map;
	map_init(&map, 100);
	faulty_alloc_fail_at(1);
	cr_assert_eq(map_put(&map, SPAN_LIT("a"), &value), -ENOMEM);
	cr_assert_eq(map.n, 0);
	cr_assert_eq(map_put(&map, SPAN_LIT("a"), &value), 0);
	map_fini(&map);
}

struct item {
	struct dlist link;
	int n;
};

Test(dlist, order_and_removal_while_walking)
{
	struct dlist head;
	struct item items[5];
	dlist_init(&head);
	cr_assert_null(dlist_pop_head(&head));
	for (int i = 0; i < 5; i++) {
		items[i].n = i;
		if (i == 0) {
			dlist_push_head(&head, &items[i].link);
		} else {
			dlist_push_tail(&head, &items[i].link);
		}
	}
	int expected = 0;
	dlist_each (it, tmp, &head) {
		struct item *item = container_of(it, struct item, link);
		cr_assert_eq(item->n, expected++);
		if (item->n % 2 == 0) {
			dlist_remove(it);
			cr_assert(dlist_is_empty(it));
		}
	}
	cr_assert_eq(expected, 5);
	cr_assert_eq(dlist_pop_head(&head), &items[1].link);
	cr_assert_eq(dlist_pop_head(&head), &items[3].link);
	cr_assert(dlist_is_empty(&head));
}

Test(memory, shared_text)
{
	struct text *text = text_new(SPAN_LIT("a\0b"));
	cr_assert_not_null(text);
	cr_expect_eq(text->n, 3);
	cr_expect_arr_eq(text->s, "a\0b", 4);
	cr_expect_eq(text_ref(text), text);
	text_unref(text);
	cr_expect_arr_eq(text->s, "a\0b", 4);
	text_unref(text);
	text = text_new(span_make(NULL, 0));
	cr_expect_str_eq(text->s, "");
	text_unref(text);
	cr_expect_null(text_ref(NULL));
	text_unref(NULL);
}
