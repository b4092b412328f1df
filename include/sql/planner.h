#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The door to the SQL layer: text in, plan out.  One planner per worker: it is not
 * locked. A text that has come before is found by its hash.  Others go through the
 * scanner (constants become $n), the shape is looked up, and only a shape never seen
 * under this search path and catalogue is parsed (libpg_query, 5 to 50 microseconds)
 * and resolved.  Bounded: least recently used shapes go first. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"
#include "sql/plan.h"

struct catalog;
struct planner;

/* The part of the configuration and the session that planning depends on. */
struct planner_session {
	struct catalog
	    *catalog;	  /* borrowed; NULL: not loaded, reads bypass with CATALOG */
	uint64_t path_id; /* changes with the search path and the database */
	struct span search_path; /* as current_setting() gives it; "$user" is replaced
				    by user */
	struct span user;	 /* current user */
};

/* Bytes of one constant of a text, as written (quotes and prefix included). */
struct constant {
	struct span raw;
};

#define PLANNER_MAX_CONSTANTS \
	512 /* per statement; more: BYPASS_TOO_LARGE, facts unknown */

/* What planner_plan() found; valid until the next call on the same planner. */
struct planned {
	struct plan *plan; /* borrowed from the planner: plan_ref() to keep it */
	const struct constant *consts;
	size_t n_consts;
	/* the text with constants as $n and comments and space folded; where
	 * planner_has_comment() is false it may be the text itself */
	struct span shape;
};

/* Called once for each new plan of kind PLAN_READ, to set rule, ttl_s and max_size. */
typedef void (*planner_rules_fn)(void *arg, struct plan *plan,
				 const char *const *tables, size_t n_tables);

/* MAX_SHAPES bounds the table; MAX_TEXT is the longest text that is looked at, bytes:
 * a longer one is PLAN_UNPARSED.  RULES may be NULL. */
int planner_new(size_t max_shapes, size_t max_text, planner_rules_fn rules,
		void *rules_arg, struct planner **planner_out) MUST_CHECK;
void planner_free(struct planner *planner);
/* Forgets every plan: the configuration's rules changed. */
void planner_flush(struct planner *planner);
/* The plan of TEXT.  Never fails: a text that cannot be understood gives PLAN_UNPARSED,
 * one without a statement PLAN_OTHER with bypass NOT_SELECT. */
void planner_plan(struct planner *planner, struct span text,
		  const struct planner_session *session, struct planned *out);
/* Whether a comment may be in TEXT: two bytes that could begin one are. */
bool planner_has_comment(struct span text);
/* Counters for the metrics: texts seen, shapes parsed, nanoseconds spent parsing. */
struct planner_counts {
	uint64_t texts;
	uint64_t parses;
	uint64_t parse_ns;
	uint64_t shapes; /* now in the table */
	uint64_t evictions;
};
void planner_counts(const struct planner *planner, struct planner_counts *out);
