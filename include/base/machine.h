#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* State machines whose allowed moves are written down in a table: the program refuses
 * the others.  The owner keeps the state in an enum of its own and has one function
 * that calls machine_move() and stores what it returns. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define MACHINE_BIT(state) (UINT32_C(1) << (state))

struct machine_state {
	const char *name;
	uint32_t next; /* bits of the states that may follow */
};

/* Ends the process, naming both states, unless TABLE (N states, at most 32) allows the
 * move from FROM to TO.  Returns TO. */
unsigned machine_move(const struct machine_state *table, size_t n, unsigned from,
		      unsigned to);
/* Whether a state in BITS is STATE. */
static inline bool machine_is_in(unsigned state, uint32_t bits)
{
	return (bits & MACHINE_BIT(state)) != 0;
}
