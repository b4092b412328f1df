/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK_SIZE ((size_t)4096)

struct arena_block {
	struct arena_block *next;
	size_t used; /* bytes of data handed out */
	size_t size; /* bytes of data */
	alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *arena, size_t max)
{
	*arena = (struct arena){ .max = max };
}

void arena_fini(struct arena *arena)
{
	for (struct arena_block *b = arena->head; b != NULL;) {
		struct arena_block *next = b->next;
		free(b);
		b = next;
	}
	arena_init(arena, arena->max);
}

void arena_reset(struct arena *arena)
{
	struct arena_block *keep = arena->head;
	if (keep != NULL && keep->size == ARENA_BLOCK_SIZE) {
		arena->head = keep->next;
		arena_fini(arena);
		keep->next = NULL;
		keep->used = 0;
		arena->head = keep;
		return;
	}
	arena_fini(arena);
}

static struct arena_block *arena_add_block(struct arena *arena, size_t n)
{
	size_t size = n > ARENA_BLOCK_SIZE ? n : ARENA_BLOCK_SIZE;
	struct arena_block *b = malloc(sizeof(*b) + size);
	if (b != NULL) {
		*b = (struct arena_block){ .next = arena->head, .size = size };
		arena->head = b;
	}
	return b;
}

void *arena_alloc(struct arena *arena, size_t n)
{
	const size_t align = alignof(max_align_t);
	if (n > arena->max - arena->used || n > SIZE_MAX - 2 * align) {
		return NULL;
	}
	size_t rounded = (n + align - 1) / align * align;
	struct arena_block *b = arena->head;
	if (b == NULL || rounded > b->size - b->used) {
		b = arena_add_block(arena, rounded);
		if (b == NULL) {
			return NULL;
		}
	}
	void *p = b->data + b->used;
	b->used += rounded;
	arena->used += n;
	return memset(p, 0, n);
}

char *arena_copy(struct arena *arena, struct span s)
{
	char *p = arena_alloc(arena, s.n + 1);
	if (p != NULL && s.n > 0) {
		memcpy(p, s.p, s.n);
	}
	return p;
}
