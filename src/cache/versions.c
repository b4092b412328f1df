/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Why an entry that passes versions_are_current() is right.
 *
 * Let commit C touch tag t, and entry E depend on t.  C does, in this order:
 *
 *   B  versions_begin(t)       in_flight + 1
 *   S  the commit's bytes leave; PostgreSQL makes C visible at some time after S
 *   A  the answer arrives
 *   D  versions_end(t)         generation + 1, in_flight - 1, in one store
 *   R  the answer is passed on: C is acknowledged
 *
 * and the fill of E: N notes the word, Q the query leaves, its snapshot is taken after
 * Q.
 *
 *   N before B: the word that was noted has a smaller generation, or lacks C's
 * in_flight. From B on it differs from the word in the table, for good: generations
 * only grow, and while C is in flight the count is not zero.  E is not served after B.
 *   N between B and D: the note shows a write in flight.  E is not stored.
 *   N after D: the query leaves after C became visible (A is before D).  E has C's
 * rows.
 *
 * So no look-up after B is answered without C's rows, and whoever has heard of C (from
 * R, or from a query that saw it) looks up after S.  Storing E late changes nothing:
 * the comparison is made at each look-up.
 *
 * Memory order.  N and the look-up are acquire loads, B and D sequentially consistent
 * read-modify-writes; what carries "before" from one thread to another is the socket
 * between them (B before a send, N before a send, a look-up after a recv), and the
 * system calls order memory at least as acquire and release do.  key_columns.c needs
 * more and gets it from B being seq_cst. */

#include "cache/versions.h"

#include <errno.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define GENERATION_MASK ((UINT64_C(1) << 48) - 1)
#define IN_FLIGHT_SHIFT 48
#define IN_FLIGHT_MAX	UINT64_C(0xffff)

struct versions {
	uint64_t mask; /* slots - 1 */
	_Atomic uint64_t words[];
};

int versions_new(unsigned bits, struct versions **out)
{
	require(bits >= 1 && bits <= 30);
	size_t n = (size_t)1 << bits;
	struct versions *v =
	    calloc(1, FLEX_SIZE(struct versions, words, n * sizeof(v->words[0])));
	if (v == NULL) {
		return -ENOMEM;
	}
	v->mask = n - 1;
	*out = v;
	return 0;
}

void versions_free(struct versions *versions)
{
	free(versions);
}

enum tag_kind {
	TAG_DB = 1,
	TAG_ANY = 2,
	TAG_COL_ALL = 3,
	TAG_COL = 4,
};

static uint8_t *put_u64(uint8_t *p, uint64_t v)
{
	for (int shift = 56; shift >= 0; shift -= 8) {
		*p++ = (uint8_t)(v >> shift);
	}
	return p;
}

/* Hashed from bytes in a fixed order: tags name tokens in a Redis that machines of
 * either byte order may share. */
static uint64_t tag_hash(enum tag_kind kind, uint64_t db_tag, uint32_t rel,
			 int16_t attnum, uint64_t value_hash)
{
	uint8_t bytes[24];
	uint64_t place = (uint64_t)kind << 48 | (uint64_t)(uint16_t)attnum << 32 | rel;
	put_u64(put_u64(put_u64(bytes, db_tag), place), value_hash);
	return XXH3_64bits(bytes, sizeof(bytes));
}

uint64_t versions_tag_db(uint64_t db_tag)
{
	return tag_hash(TAG_DB, db_tag, 0, 0, 0);
}

uint64_t versions_tag_any(uint64_t db_tag, uint32_t rel)
{
	return tag_hash(TAG_ANY, db_tag, rel, 0, 0);
}

uint64_t versions_tag_col_all(uint64_t db_tag, uint32_t rel, int16_t attnum)
{
	return tag_hash(TAG_COL_ALL, db_tag, rel, attnum, 0);
}

uint64_t versions_tag_col(uint64_t db_tag, uint32_t rel, int16_t attnum,
			  uint64_t value_hash)
{
	return tag_hash(TAG_COL, db_tag, rel, attnum, value_hash);
}

static inline uint64_t versions_load(const struct versions *versions, uint64_t tag)
{
	return atomic_load_explicit(&versions->words[tag & versions->mask],
				    memory_order_acquire);
}

bool versions_note(const struct versions *versions, struct version_notes *notes)
{
	require(notes->n <= VERSIONS_MAX_WORDS);
	uint64_t seen = 0;
	for (uint32_t i = 0; i < notes->n; i++) {
		struct version_note *note = &notes->at[i];
		note->word = versions_load(versions, note->tag);
		seen |= note->word;
	}
	return seen <= GENERATION_MASK;
}

bool versions_are_current(const struct versions *versions,
			  const struct version_notes *notes)
{
	require(notes->n <= VERSIONS_MAX_WORDS);
	uint64_t differ = 0;
	uint64_t seen = 0;
	for (uint32_t i = 0; i < notes->n; i++) {
		const struct version_note *note = &notes->at[i];
		differ |= versions_load(versions, note->tag) ^ note->word;
		seen |= note->word;
	}
	return differ == 0 && seen <= GENERATION_MASK;
}

bool versions_is_idle(const struct versions *versions, uint64_t tag)
{
	return atomic_load(&versions->words[tag & versions->mask]) <= GENERATION_MASK;
}

void versions_begin(struct versions *versions, uint64_t tag)
{
	_Atomic uint64_t *word = &versions->words[tag & versions->mask];
	uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
	uint64_t fresh;
	do {
		fresh = old;
		if (old >> IN_FLIGHT_SHIFT < IN_FLIGHT_MAX) {
			fresh = old + (UINT64_C(1) << IN_FLIGHT_SHIFT);
		}
	} while (!atomic_compare_exchange_weak(word, &old, fresh));
}

void versions_end(struct versions *versions, uint64_t tag, bool moved)
{
	_Atomic uint64_t *word = &versions->words[tag & versions->mask];
	uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
	uint64_t fresh;
	do {
		uint64_t in_flight = old >> IN_FLIGHT_SHIFT;
		require(in_flight > 0);
		if (in_flight < IN_FLIGHT_MAX) {
			in_flight--;
		}
		uint64_t generation = (old + (moved ? 1 : 0)) & GENERATION_MASK;
		fresh = in_flight << IN_FLIGHT_SHIFT | generation;
	} while (!atomic_compare_exchange_weak(word, &old, fresh));
}
