#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What a trigger function may do, read from its PL/pgSQL source: one that only looks at
 * and changes its row writes no other table.  It must be recognised without doubt;
 * words in strings and comments do not count. */

#include <stdbool.h>

#include "base/span.h"
#include "sql/relations.h"

/* Whether NAME, folded as PostgreSQL does, is a function that could write. */
typedef bool (*trigger_source_is_function_fn)(const void *arg, struct span name);

/* Whether its own statements may change its session for those that come later, or the
 * catalogue: it sets something, listens, makes a temporary table, or runs a text. */
bool trigger_source_sets(struct span source);

/* Whether it has a name that is, perhaps, such a function's. */
bool trigger_source_calls(struct span source, trigger_source_is_function_fn is_function,
			  const void *arg);

/* TRIGGER_HARMLESS or TRIGGER_DANGEROUS. */
enum trigger_danger trigger_source_danger(struct span source,
					  trigger_source_is_function_fn is_function,
					  const void *arg);
