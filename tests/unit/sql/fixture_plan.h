#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A small database for the tests of the planner, and plans as a line of text:
 *
 *   READ RECENT messages.2=5
 *   WRITE !WRITE plain(1=3|5 3='x') messages(?) all suspect
 *
 * kind, class, !bypass, what is read (relation, key column = values), what is written
 * (facts of each row; ? is unreadable), then flags. */

#include "sql/planner.h"

struct catalog;

struct plan_case {
	const char *text;
	const char *plan;
};

/* Checks each text's plan; CATALOG may be NULL. */
void fixture_plans(struct catalog *catalog, const struct plan_case *cases, size_t n);
/* The plan as a line, in a buffer that the next call uses again. */
const char *fixture_describe(const struct planned *planned);
/* The database; for the caller to unref. */
struct catalog *fixture_database(void);
extern const char fixture_path[];
