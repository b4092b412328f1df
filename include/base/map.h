#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A hash map from byte strings to pointers: open addressing with linear probing, XXH3,
 * born with a maximum.  It owns neither keys nor values; a key usually lies inside its
 * value and must stay where it is while it is in the map. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

struct map_slot {
	struct span key; /* borrowed */
	void *value;	 /* borrowed; NULL: the slot is free */
	uint64_t hash;
};

struct map {
	struct map_slot *slots; /* owned; NULL until the first put */
	size_t cap;		/* a power of two, or 0 */
	size_t n;		/* entries */
	size_t max;		/* ceiling of n */
};

#define MAP_E_FULL   1 /* the map has its maximum of entries */
#define MAP_E_EXISTS 2 /* the key is there already; nothing was changed */

/* Makes an empty map; allocates nothing. */
void map_init(struct map *map, size_t max);
void map_fini(struct map *map);
/* Forgets every entry; keeps the memory. */
void map_clear(struct map *map);
void *map_get(const struct map *map, struct span key);
/* VALUE may not be NULL.  0, MAP_E_FULL, MAP_E_EXISTS or -ENOMEM. */
int map_put(struct map *map, struct span key, void *value) MUST_CHECK;
/* Takes the entry out and returns its value, or NULL. */
void *map_remove(struct map *map, struct span key);
/* The first entry at or after slot *AT (begin with 0), which moves behind it; NULL at
 * the end.  The map may not change meanwhile. */
void *map_next(const struct map *map, size_t *at);

#define map_each(value, at, map) \
	for (size_t at = 0; ((value) = map_next((map), &(at))) != NULL;)
