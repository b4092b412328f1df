/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Statement texts: the scanner alone, then the whole planner with a small catalogue.
 * The constants must lie in the text, in order; a plan's operands must exist; several
 * statements must be divided at semicolons; the same text must find the same plan;
 * hashing and looking for 'now' must survive any constant. */

#include <stdlib.h>

#include "base/check.h"
#include "sql/canon.h"
#include "sql/catalog.h"
#include "sql/planner.h"
#include "sql/scan.h"
#include "sql/split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct planner *planner;
static struct planner_session session;

/* The rows that a table needs, by the names of the questions. */
static const struct {
	const char *question;
	size_t n;
	const char *values[10];
} rows[] = {
	{ "schemas", 3, { "11", "pg_catalog", "t" } },
	{ "schemas", 3, { "2200", "public", "t" } },
	{ "roles", 2, { "app", "f" } },
	{ "relations", 7, { "100", "2200", "t", "r", "p", "10", "f" } },
	{ "relations", 7, { "101", "2200", "v", "v", "p", "0", "f" } },
	{ "columns", 9, { "100", "1", "a", "23", "t", "f", "f", "f", NULL } },
	{ "columns", 9, { "100", "2", "b", "25", "t", "f", "f", "f", NULL } },
	{ "functions", 8, { "11", "f", "0", "f", "f", "f", "f", "f" } },
	{ "operators", 4, { "11", "=", "0", "f" } },
	{ "types", 8, { "23", "11", "int4", "b", "0", "0", "0", "0" } },
	{ "types", 8, { "25", "11", "text", "b", "0", "0", "0", "0" } },
	{ "views", 2, { "101", "SELECT t.a FROM public.t WHERE t.b = 'x'" } },
};

static void set_up(void)
{
	struct catalog_builder *builder;
	size_t n_questions;
	const struct catalog_question *questions = catalog_questions(&n_questions);
	require(catalog_builder_new(1, 1, 1U << 20, &builder) == 0);
	for (size_t q = 0; q < n_questions; q++) {
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			if (strcmp(questions[q].name, rows[i].question) == 0) {
				require(catalog_builder_row(builder, q, rows[i].values,
							    rows[i].n) == 0);
			}
		}
	}
	require(catalog_builder_finish(builder, &session.catalog) == 0);
	catalog_builder_free(builder);
	session.search_path = SPAN_LIT("public");
	session.user = SPAN_LIT("app");
	require(planner_new(64, 65536, NULL, NULL, &planner) == 0);
}

static void check_ops(const struct planned *planned, const struct operand *ops,
		      size_t n)
{
	for (size_t i = 0; i < n; i++) {
		require(ops[i].kind != OPERAND_NONE);
		require(ops[i].kind != OPERAND_CONST ||
			ops[i].index < planned->n_consts);
	}
}

static void check_plan(const struct planned *planned, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_reads; i++) {
		require((plan->reads[i].attnum > 0) == (plan->reads[i].n_ops > 0));
		check_ops(planned, plan->reads[i].ops, plan->reads[i].n_ops);
	}
	for (size_t i = 0; i < plan->n_writes; i++) {
		const struct plan_write *w = &plan->writes[i];
		require(w->unreadable == (w->n_facts == 0));
		for (size_t k = 0; k < (size_t)w->n_rows * w->n_facts; k++) {
			require(w->facts[k].n_ops > 0 && w->facts[k].attnum > 0);
			check_ops(planned, w->facts[k].ops, w->facts[k].n_ops);
		}
	}
	for (size_t i = 0; i < plan->n_parts; i++) {
		check_plan(planned, plan->parts[i]);
	}
}

static void check_consts(const struct planned *planned, struct span text)
{
	const uint8_t *at = text.p;
	for (size_t i = 0; i < planned->n_consts; i++) {
		struct span raw = planned->consts[i].raw;
		require(raw.n > 0 && raw.p >= at &&
			raw.n <= (size_t)(text.p + text.n - raw.p));
		at = raw.p + raw.n;
		for (int canon = CANON_NONE; canon <= CANON_TEXT; canon++) {
			uint64_t hash;
			(void)canon_hash_const((enum canon)canon, raw, &hash);
			(void)canon_hash_param((enum canon)canon, raw, canon % 2, 0,
					       &hash);
		}
		(void)canon_may_be_now(raw);
	}
}

static void check_split(const struct plan *plan, struct span text)
{
	size_t ends[16];
	size_t n = plan->n_parts;
	if (n < 2 || n > ARRAY_LEN(ends)) {
		return;
	}
	require(split_text(text, n, ends) == 0 && ends[n - 1] == text.n);
	for (size_t i = 0; i + 1 < n; i++) {
		require(ends[i] > 0 && ends[i] < ends[i + 1]);
		require(text.p[ends[i] - 1] == ';');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (planner == NULL) {
		set_up();
	}
	struct span text = span_make(data, size);
	struct planned planned;
	planner_plan(planner, text, &session, &planned);
	check_consts(&planned, text);
	check_plan(&planned, planned.plan);
	check_split(planned.plan, text);
	const struct plan *first = planned.plan;
	planner_plan(planner, text, &session, &planned);
	require(planned.plan == first);
	return 0;
}
