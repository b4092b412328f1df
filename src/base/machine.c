/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/machine.h"

#include <stdio.h>

unsigned machine_move(const struct machine_state *table, size_t n, unsigned from,
		      unsigned to)
{
	require(table != NULL && n <= 32);
	require(from < n && to < n);
	if (UNLIKELY(!machine_is_in(to, table[from].next))) {
		/* who reads the abort wants the names, not the numbers */
		fprintf(stderr, "pgrecall: illegal move from %s to %s\n",
			table[from].name, table[to].name);
		check_failed("the table allows the move", __FILE__, __LINE__);
	}
	return to;
}
