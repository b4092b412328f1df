#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The ghost queue of S3-FIFO: which hashes left the small queue lately.  A fixed table
 * of four-way sets with a fingerprint and an age in each cell: it forgets the oldest of
 * a set first, and may very rarely remember a stranger, which costs nothing but a
 * place. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct ghost;

/* Sized for a queue of MAX_BYTES bytes of entries. */
int ghost_new(size_t max_bytes, struct ghost **out) MUST_CHECK;
void ghost_free(struct ghost *ghost);
void ghost_add(struct ghost *ghost, uint64_t hash);
/* True when the hash was remembered; it is forgotten. */
bool ghost_take(struct ghost *ghost, uint64_t hash);
