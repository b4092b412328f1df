#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The version table: why a cached answer is right (ARCHITECTURE.md, "Versions").  An
 * array of 64-bit atomic words {in_flight:16, generation:48}, shared by all workers.  A
 * tag is a 64-bit hash that is the same in every process; its low bits pick a word. Two
 * tags on one word only invalidate too much.
 *
 * Tags of relation T: any (moved by every write), col*(c) (moved by a write that may
 * touch rows whose value of column c is unknown), col(c, v) (moved by a write to rows
 * with c = v); and one tag of the whole database, on which every entry depends. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define VERSIONS_MAX_WORDS 16 /* words that one entry may depend on */

struct versions;

/* A word as it was noted before a query was sent. */
struct version_note {
	uint64_t tag;
	uint64_t word; /* in_flight is 0 in a note that may be used */
};

struct version_notes {
	uint32_t n;
	struct version_note at[VERSIONS_MAX_WORDS];
};

/* 2^BITS words; 18 in the daemon. */
int versions_new(unsigned bits, struct versions **out) MUST_CHECK;
void versions_free(struct versions *versions);

/* The tags of a database, of a relation (its oid) read without a key, of all values of
 * a column (attnum), and of one of them (operand_hash()): the same in every process. */
uint64_t versions_tag_db(uint64_t db_tag);
uint64_t versions_tag_any(uint64_t db_tag, uint32_t rel);
uint64_t versions_tag_col_all(uint64_t db_tag, uint32_t rel, int16_t attnum);
uint64_t versions_tag_col(uint64_t db_tag, uint32_t rel, int16_t attnum,
			  uint64_t value_hash);

/* Notes the words of the tags already in NOTES.  False when any is in flight: the
 * result of the query may be passed on but not stored. */
bool versions_note(const struct versions *versions, struct version_notes *notes);
/* True when every noted word is equal now, and none is in flight: the entry is right.
 */
bool versions_are_current(const struct versions *versions,
			  const struct version_notes *notes);
/* True when no write is in flight on the tag's word; sequentially consistent. */
bool versions_is_idle(const struct versions *versions, uint64_t tag);
/* Before the bytes of a commit leave: one more write is in flight on the tag. Saturates
 * at 65535, where the word stays in flight for good (a cache off for one word is
 * right). */
void versions_begin(struct versions *versions, uint64_t tag);
/* The answer has arrived, and nobody has been told: MOVED false only after a roll-back.
 */
void versions_end(struct versions *versions, uint64_t tag, bool moved);

/* Which columns of a relation are keys of cached reads, so that a commit knows which
 * tags to move.  Shared by all workers, kept over catalogue reloads, never shrinks.
 *
 * Race: a commit that computed its tags before a column was registered does not move
 * that column's tags.  A commit first begins the relation's `any` tag and then reads
 * the mask; a reader registers first and then looks at `any`.  As long as `any` was
 * never seen idle after the registration, a reader keyed by the column does not store
 * (false). */
struct key_columns;
int key_columns_new(size_t max_relations, struct key_columns **out) MUST_CHECK;
void key_columns_free(struct key_columns *columns);
/* Registers bit ATTNUM (1..63) of the relation; true when entries keyed by it may be
 * stored now.  False also when the table is full. */
bool key_columns_use(struct key_columns *columns, const struct versions *versions,
		     uint64_t db_tag, uint32_t rel, int16_t attnum);
/* The mask of registered columns of the relation; call after versions_begin(any). */
uint64_t key_columns_mask(const struct key_columns *columns, uint64_t db_tag,
			  uint32_t rel);
