/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "cache/ghost.h"

#include <errno.h>
#include <stdlib.h>

#define WAYS	    4
#define MIN_SETS    16
#define MAX_SETS    16384
#define ENTRY_GUESS 4096 /* bytes of a usual entry */

struct ghost_cell {
	uint32_t print; /* of the hash, 0: empty */
	uint32_t born;	/* count of additions when it was added */
};

struct ghost {
	uint32_t mask;	/* sets - 1 */
	uint32_t clock; /* additions so far; wraps */
	struct ghost_cell cells[];
};

int ghost_new(size_t max_bytes, struct ghost **out)
{
	size_t sets = MIN_SETS;
	while (sets < MAX_SETS && sets * WAYS * ENTRY_GUESS < max_bytes) {
		sets *= 2;
	}
	struct ghost *g = calloc(
	    1, FLEX_SIZE(struct ghost, cells, sets * WAYS * sizeof(g->cells[0])));
	if (g == NULL) {
		return -ENOMEM;
	}
	g->mask = (uint32_t)(sets - 1);
	*out = g;
	return 0;
}

void ghost_free(struct ghost *ghost)
{
	free(ghost);
}

static struct ghost_cell *ghost_set(struct ghost *ghost, uint64_t hash)
{
	return &ghost->cells[(size_t)(hash & ghost->mask) * WAYS];
}

static uint32_t ghost_print(uint64_t hash)
{
	uint32_t print = (uint32_t)(hash >> 24);
	return print == 0 ? 1 : print;
}

void ghost_add(struct ghost *ghost, uint64_t hash)
{
	struct ghost_cell *set = ghost_set(ghost, hash);
	struct ghost_cell *oldest = set;
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].print == 0) {
			oldest = &set[i];
			break;
		}
		if (ghost->clock - set[i].born > ghost->clock - oldest->born) {
			oldest = &set[i];
		}
	}
	*oldest = (struct ghost_cell){ ghost_print(hash), ghost->clock++ };
}

bool ghost_take(struct ghost *ghost, uint64_t hash)
{
	struct ghost_cell *set = ghost_set(ghost, hash);
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].print == ghost_print(hash)) {
			set[i].print = 0;
			return true;
		}
	}
	return false;
}
