#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* L1: the process's memory, shared by all workers.  Sharded by hash, each shard under a
 * mutex that is held for a look-up or a move in its queues, never over a system call.
 * Eviction is S3-FIFO (Yang et al., SOSP 2023): a small queue, a main queue and a ghost
 * queue of hashes.  Bounded in bytes: entries with their book-keeping. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

struct entry;
struct memory;
struct versions;

struct memory_counts {
	uint64_t entries;
	uint64_t bytes;
	uint64_t evictions;
	uint64_t expirations;
	uint64_t invalidated; /* found superseded at look-up and dropped */
};

/* MAX_BYTES over all N_SHARDS (a power of two). */
int memory_new(size_t max_bytes, unsigned n_shards, struct memory **out) MUST_CHECK;
void memory_free(struct memory *memory);
/* The entry under KEY (compared whole), with a reference for the caller, or NULL.
 * Served only when every version word is equal now and the time to live has not passed;
 * an entry that is not is dropped. */
struct entry *memory_get(struct memory *memory, const struct versions *versions,
			 uint64_t hash, struct span key, uint64_t now_ns);
/* Stores ENTRY (takes a reference of its own), replacing one of the same key.  False
 * when it is larger than a shard may hold. */
bool memory_put(struct memory *memory, struct entry *entry);
/* Drops everything. */
void memory_clear(struct memory *memory);
/* Changes the bound; evicts down to it. */
void memory_resize(struct memory *memory, size_t max_bytes);
void memory_counts(struct memory *memory, struct memory_counts *out);
