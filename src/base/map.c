/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/map.h"

#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAP_FIRST_CAP 16

static uint64_t map_hash(struct span key)
{
	return key.n == 0 ? 0 : XXH3_64bits(key.p, key.n);
}

void map_init(struct map *map, size_t max)
{
	require(map != NULL && max > 0 && max <= SIZE_MAX / 4);
	*map = (struct map){ .max = max };
}

void map_fini(struct map *map)
{
	require(map != NULL);
	free(map->slots);
	map_init(map, map->max);
}

void map_clear(struct map *map)
{
	for (size_t i = 0; i < map->cap; i++) {
		map->slots[i].value = NULL;
	}
	map->n = 0;
}

/* The slot of KEY, or the free one where it would go.  There always is a free one. */
static size_t map_find(const struct map *map, struct span key, uint64_t hash)
{
	size_t i = hash & (map->cap - 1);
	while (map->slots[i].value != NULL &&
	       !(map->slots[i].hash == hash && span_eq(map->slots[i].key, key))) {
		i = (i + 1) & (map->cap - 1);
	}
	return i;
}

void *map_get(const struct map *map, struct span key)
{
	require(map != NULL);
	return map->cap ? map->slots[map_find(map, key, map_hash(key))].value : NULL;
}

static int map_grow(struct map *map)
{
	struct map old = *map;
	size_t cap = old.cap ? old.cap * 2 : MAP_FIRST_CAP;
	struct map_slot *slots = calloc(cap, sizeof(*slots));
	if (slots == NULL) {
		return -ENOMEM;
	}
	map->slots = slots;
	map->cap = cap;
	for (size_t i = 0; i < old.cap; i++) {
		if (old.slots[i].value != NULL) {
			slots[map_find(map, old.slots[i].key, old.slots[i].hash)] =
			    old.slots[i];
		}
	}
	free(old.slots);
	return 0;
}

int map_put(struct map *map, struct span key, void *value)
{
	require(map != NULL && value != NULL);
	if (map_get(map, key) != NULL) {
		return MAP_E_EXISTS;
	}
	if (map->n >= map->max) {
		return MAP_E_FULL;
	}
	/* at most three quarters full, so that probing stays short and ends */
	if (map->n + 1 > map->cap - map->cap / 4) {
		int r = map_grow(map);
		if (r < 0) {
			return r;
		}
	}
	uint64_t hash = map_hash(key);
	map->slots[map_find(map, key, hash)] =
	    (struct map_slot){ .key = key, .value = value, .hash = hash };
	map->n++;
	return 0;
}

void *map_remove(struct map *map, struct span key)
{
	require(map != NULL);
	if (map->cap == 0) {
		return NULL;
	}
	size_t mask = map->cap - 1;
	size_t hole = map_find(map, key, map_hash(key));
	void *value = map->slots[hole].value;
	if (value == NULL) {
		return NULL;
	}
	/* Those behind move up, unless that would put them before their own place: no
	 * tombstones, so a map that lives long does not get slower. */
	for (size_t i = (hole + 1) & mask; map->slots[i].value != NULL;
	     i = (i + 1) & mask) {
		size_t home = map->slots[i].hash & mask;
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			map->slots[hole] = map->slots[i];
			hole = i;
		}
	}
	map->slots[hole].value = NULL;
	map->n--;
	return value;
}

void *map_next(const struct map *map, size_t *at)
{
	while (*at < map->cap) {
		void *value = map->slots[(*at)++].value;
		if (value != NULL) {
			return value;
		}
	}
	return NULL;
}
