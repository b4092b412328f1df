/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/prepared.h"

#include <errno.h>
#include <stdlib.h>

#define NONE UINT32_MAX

void prepared_init(struct prepared *prepared, uint32_t cap)
{
	require(cap > 0 && cap < NONE / 2);
	*prepared = (struct prepared){
		.cap = cap, .newest = NONE, .oldest = NONE, .free = NONE
	};
}

void prepared_fini(struct prepared *prepared)
{
	free(prepared->slots);
	free(prepared->buckets);
	prepared_init(prepared, prepared->cap);
}

static int prepared_allocate(struct prepared *prepared)
{
	uint32_t n_buckets = 16;
	while (n_buckets < prepared->cap) {
		n_buckets *= 2;
	}
	prepared->slots = malloc(prepared->cap * sizeof(*prepared->slots));
	prepared->buckets = malloc(n_buckets * sizeof(*prepared->buckets));
	if (prepared->slots == NULL || prepared->buckets == NULL) {
		prepared_fini(prepared);
		return -ENOMEM;
	}
	prepared->n_buckets = n_buckets;
	prepared_clear(prepared);
	return 0;
}

void prepared_clear(struct prepared *prepared)
{
	if (prepared->slots == NULL) {
		return;
	}
	for (uint32_t i = 0; i < prepared->n_buckets; i++) {
		prepared->buckets[i] = NONE;
	}
	for (uint32_t i = 0; i < prepared->cap; i++) {
		prepared->slots[i].next = i + 1 < prepared->cap ? i + 1 : NONE;
	}
	prepared->free = 0;
	prepared->newest = prepared->oldest = NONE;
	prepared->n = 0;
}

static uint32_t *prepared_bucket(struct prepared *prepared, uint64_t id)
{
	return &prepared->buckets[(id * 0x9E3779B97F4A7C15ULL >> 32) &
				  (prepared->n_buckets - 1)];
}

static uint32_t prepared_find(struct prepared *prepared, uint64_t id)
{
	if (prepared->slots == NULL) {
		return NONE;
	}
	uint32_t i = *prepared_bucket(prepared, id);
	while (i != NONE && prepared->slots[i].id != id) {
		i = prepared->slots[i].next;
	}
	return i;
}

static void prepared_unlink(struct prepared *prepared, uint32_t i)
{
	struct prepared_slot *s = &prepared->slots[i];
	if (s->newer != NONE) {
		prepared->slots[s->newer].older = s->older;
	} else {
		prepared->newest = s->older;
	}
	if (s->older != NONE) {
		prepared->slots[s->older].newer = s->newer;
	} else {
		prepared->oldest = s->newer;
	}
}

static void prepared_link_newest(struct prepared *prepared, uint32_t i)
{
	struct prepared_slot *s = &prepared->slots[i];
	s->newer = NONE;
	s->older = prepared->newest;
	if (prepared->newest != NONE) {
		prepared->slots[prepared->newest].newer = i;
	} else {
		prepared->oldest = i;
	}
	prepared->newest = i;
}

bool prepared_use(struct prepared *prepared, uint64_t id)
{
	uint32_t i = prepared_find(prepared, id);
	if (i == NONE) {
		return false;
	}
	if (prepared->newest != i) {
		prepared_unlink(prepared, i);
		prepared_link_newest(prepared, i);
	}
	return true;
}

void prepared_remove(struct prepared *prepared, uint64_t id)
{
	uint32_t i = prepared_find(prepared, id);
	if (i == NONE) {
		return;
	}
	uint32_t *at = prepared_bucket(prepared, id);
	while (*at != i) {
		at = &prepared->slots[*at].next;
	}
	*at = prepared->slots[i].next;
	prepared_unlink(prepared, i);
	prepared->slots[i].next = prepared->free;
	prepared->free = i;
	prepared->n--;
}

int prepared_add(struct prepared *prepared, uint64_t id, uint64_t *evicted_out)
{
	*evicted_out = 0;
	require(id != 0);
	if (prepared->slots == NULL) {
		int r = prepared_allocate(prepared);
		if (r < 0) {
			return r;
		}
	}
	if (prepared_use(prepared, id)) {
		return 0;
	}
	if (prepared->free == NONE) {
		*evicted_out = prepared->slots[prepared->oldest].id;
		prepared_remove(prepared, *evicted_out);
	}
	uint32_t i = prepared->free;
	struct prepared_slot *s = &prepared->slots[i];
	prepared->free = s->next;
	uint32_t *bucket = prepared_bucket(prepared, id);
	s->id = id;
	s->next = *bucket;
	*bucket = i;
	prepared_link_newest(prepared, i);
	prepared->n++;
	return 0;
}
