#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* From the syntax tree to struct statement.  Constants are found again by their place
 * in the text, which the scanner knows. */

#include "sql/statement.h"

struct constant;
struct tree;

/* The text that was parsed and where its constants are. */
struct parse_source {
	struct span text;
	const struct constant *consts;
	size_t n_consts;
	uint32_t n_params;  /* highest $n in the text */
	bool values_matter; /* the plan is for these values too: SET can be read */
	bool keep_strings;  /* fill statement.strings */
};

/* Reads the statement under ROOT.  0 or -ENOMEM; strings point into the tree or ARENA.
 */
int parse_statement(struct arena *arena, const struct parse_source *source,
		    const struct node *root, struct statement *out) MUST_CHECK;
