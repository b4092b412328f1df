#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Key material: everything that an answer depends on but the rows.  Built into a buffer
 * of the worker, hashed once, compared whole.
 *
 *   context id (u64)   database, users and settings, interned: upstream/context.h
 *   kind (u8)          'Q' simple, 'q' simple by shape, 'E' extended without, 'D' with
 *                      RowDescription
 *   text (u32 + bytes) of the statement; 'q': its shape, then each constant
 *   for extended: parameter types, formats and values, result formats, as in Parse and
 * Bind
 *
 * The context id is this process's own; for Redis it is replaced by the context's text.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

struct key {
	struct buf bytes; /* owned */
	uint64_t hash;	  /* XXH3 of bytes; set by key_finish() */
};

#define KEY_CONTEXT_LEN 8 /* bytes of the context id at the front */

/* Allocates nothing; a key of more than MAX_BYTES is refused by key_finish(). */
void key_init(struct key *key, size_t max_bytes);
void key_fini(struct key *key);
/* Begins a new key, keeping the memory. */
void key_begin(struct key *key, uint64_t context_id, uint8_t kind, struct span text);
/* Adds length and bytes. */
void key_add(struct key *key, struct span part);
/* Computes the hash; false when the key is over its limit: bypass with TOO_LARGE. */
bool key_finish(struct key *key);
