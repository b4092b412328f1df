#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* From a statement and the catalogue to a plan: may it be cached, what does it read and
 * write.  Every doubt is a bypass reason, or writes_all. */

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/check.h"
#include "sql/plan.h"
#include "sql/statement.h"

#define CLASSIFY_MAX_RELATIONS	12 /* reads of a statement that may be cached */
#define CLASSIFY_MAX_VIEW_DEPTH 8
#define CLASSIFY_MAX_WRITES	256
#define CLASSIFY_MAX_TABLES	64 /* names told to the rules */

struct catalog;
struct scan;
struct search_path;

struct classify_source {
	struct arena *arena;
	struct scan *scan;		/* scratch, for the definitions of views */
	const struct catalog *catalog;	/* NULL: not loaded */
	const struct search_path *path; /* of the session */
	const struct search_path *empty_path; /* for the definitions of views */
	bool odd_path; /* pg_catalog is not searched first: names mean other things */
};

/* Names of the relations that a statement reads, "schema.table", for the rules. */
struct classify_tables {
	const char *names[CLASSIFY_MAX_TABLES];
	size_t n;
};

/* Fills DRAFT, a zeroed plan, with pointers into the arena; plan_freeze() makes it
 * last. 0 or -ENOMEM. */
int classify_statement(const struct classify_source *source, const struct statement *st,
		       struct plan *draft, struct classify_tables *tables) MUST_CHECK;
