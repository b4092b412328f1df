#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* From a scanned text to a plan: parse, classify, freeze.  Used by the planner when it
 * does not know a shape. */

#include <stddef.h>

#include "base/check.h"
#include "sql/planner.h"

#define PLAN_MAX_PARTS 1000 /* statements in one text; more: PLAN_UNPARSED */

struct plan_maker;
struct scan;

/* MAX_TEXT as for the planner. */
int plan_maker_new(size_t max_text, struct plan_maker **maker_out) MUST_CHECK;
void plan_maker_free(struct plan_maker *maker);
/* The plan of TEXT, as SCAN saw it, with one reference; NULL without memory.  A text
 * that the parser refuses gives PLAN_UNPARSED with bypass UNPARSABLE, and no other
 * does. */
struct plan *plan_make(struct plan_maker *maker, const struct scan *scan,
		       struct span text, const struct planner_session *session,
		       planner_rules_fn rules, void *rules_arg);
