#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Memory that lives as long as one query: allocated by moving a mark, given back all at
 * once.  Blocks are malloc'ed, so the sanitizer sees past their ends. */

#include <stddef.h>

#include "base/check.h"
#include "base/span.h"

struct arena_block;

struct arena {
	struct arena_block *head; /* newest block; owned */
	size_t used;		  /* bytes handed out since the last reset */
	size_t max;		  /* ceiling of used, bytes */
};

void arena_init(struct arena *arena, size_t max);
/* Frees every block. */
void arena_fini(struct arena *arena);
/* Takes back all that was handed out; keeps one block for the next query. */
void arena_reset(struct arena *arena);
/* N bytes, zeroed, aligned for any type; NULL past the ceiling or without memory. */
void *arena_alloc(struct arena *arena, size_t n);
/* A copy of the span with a zero behind it; NULL as arena_alloc(). */
char *arena_copy(struct arena *arena, struct span s);
