#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The named statements that one server connection has: a small table with least
 * recently used eviction, allocated at the first use. */

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

struct prepared_slot {
	uint64_t id;	/* statement id */
	uint32_t newer; /* indexes into slots, NONE at the ends */
	uint32_t older;
	uint32_t next; /* in the bucket, or the free list */
};

struct prepared {
	struct prepared_slot *slots; /* owned; NULL until the first use */
	uint32_t *buckets;	     /* owned */
	uint32_t n;
	uint32_t cap;
	uint32_t n_buckets; /* power of two */
	uint32_t newest;
	uint32_t oldest;
	uint32_t free;
};

/* For CAP ids at most; allocates nothing yet. */
void prepared_init(struct prepared *prepared, uint32_t cap);
void prepared_fini(struct prepared *prepared);
/* True when ID is there; it becomes the most recently used. */
bool prepared_use(struct prepared *prepared, uint64_t id);
/* Adds ID; *EVICTED_OUT is the id that had to go, or 0.  -ENOMEM without memory. */
int prepared_add(struct prepared *prepared, uint64_t id,
		 uint64_t *evicted_out) MUST_CHECK;
/* No effect when ID is not there. */
void prepared_remove(struct prepared *prepared, uint64_t id);
void prepared_clear(struct prepared *prepared);
