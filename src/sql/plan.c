/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "sql/plan.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* Where the next piece of a frozen plan goes; with BASE NULL it only counts. */
struct plan_space {
	uint8_t *base;
	size_t used;
};

static void *plan_put(struct plan_space *space, const void *p, size_t n, size_t align)
{
	space->used = (space->used + align - 1) / align * align;
	uint8_t *to = space->base != NULL ? space->base + space->used : NULL;
	if (to != NULL && n > 0) {
		memcpy(to, p, n);
	}
	space->used += n;
	return to;
}

#define PLAN_PUT(space, p, n) \
	plan_put(space, p, (n) * sizeof(*(p)), alignof(max_align_t))

static char *plan_put_text(struct plan_space *space, const char *text)
{
	return text == NULL ? NULL : plan_put(space, text, strlen(text) + 1, 1);
}

static struct operand *plan_put_ops(struct plan_space *space, const struct operand *ops,
				    size_t n)
{
	return n == 0 ? NULL
		      : plan_put(space, ops, n * sizeof(*ops), alignof(struct operand));
}

static void plan_put_reads(struct plan_space *space, const struct plan *draft,
			   struct plan *plan)
{
	struct plan_read *reads = PLAN_PUT(space, draft->reads, (size_t)draft->n_reads);
	for (size_t i = 0; i < draft->n_reads; i++) {
		const struct plan_read *from = &draft->reads[i];
		struct operand *ops = plan_put_ops(space, from->ops, from->n_ops);
		if (reads != NULL) {
			reads[i].ops = ops;
		}
	}
	if (plan != NULL) {
		plan->reads = draft->n_reads > 0 ? reads : NULL;
	}
}

static void plan_put_writes(struct plan_space *space, const struct plan *draft,
			    struct plan *plan)
{
	struct plan_write *writes =
	    PLAN_PUT(space, draft->writes, (size_t)draft->n_writes);
	for (size_t i = 0; i < draft->n_writes; i++) {
		const struct plan_write *from = &draft->writes[i];
		size_t n = (size_t)from->n_rows * from->n_facts;
		struct plan_fact *facts = PLAN_PUT(space, from->facts, n);
		for (size_t k = 0; k < n; k++) {
			struct operand *ops = plan_put_ops(space, from->facts[k].ops,
							   from->facts[k].n_ops);
			if (facts != NULL) {
				facts[k].ops = ops;
			}
		}
		if (writes != NULL) {
			writes[i].facts = n > 0 ? facts : NULL;
		}
	}
	if (plan != NULL) {
		plan->writes = draft->n_writes > 0 ? writes : NULL;
	}
}

/* Lays the draft out behind PLAN, or measures it when PLAN is NULL. */
static size_t plan_lay_out(const struct plan *draft, struct plan *plan)
{
	struct plan_space space = { .base = (uint8_t *)plan, .used = sizeof(*draft) };
	plan_put_reads(&space, draft, plan);
	plan_put_writes(&space, draft, plan);
	struct plan **parts = PLAN_PUT(&space, draft->parts, (size_t)draft->n_parts);
	const char *normalized = draft->normalized == NULL ? "" : draft->normalized;
	normalized = plan_put_text(&space, normalized);
	char *set_name = plan_put_text(&space, draft->set_name);
	char *set_value = plan_put_text(&space, draft->set_value);
	if (plan != NULL) {
		plan->parts = draft->n_parts > 0 ? parts : NULL;
		plan->normalized = normalized;
		plan->set_name = set_name;
		plan->set_value = set_value;
	}
	return space.used;
}

static bool plan_is_plain(const struct plan *plan)
{
	bool tells = plan->suspect || plan->writes_all || plan->has_listen ||
		     plan->reloads || plan->calls_users || plan->moves_sequence ||
		     plan->asks_sequence || plan->deallocate_all || plan->unpins ||
		     plan->executes || plan->is_rollback_to;
	return plan->kind == PLAN_READ && !tells && plan->set_kind == SET_NONE &&
	       plan->set_name == NULL && plan->pins == 0 && plan->ends == 0 &&
	       plan->n_writes == 0 && plan->n_parts == 0;
}

struct plan *plan_freeze(const struct plan *draft)
{
	require(draft != NULL);
	struct plan *plan = malloc(plan_lay_out(draft, NULL));
	if (plan == NULL) {
		return NULL;
	}
	memcpy(plan, draft, sizeof(*plan));
	atomic_init(&plan->refs, 1);
	plan->is_plain = plan_is_plain(draft);
	(void)plan_lay_out(draft, plan);
	return plan;
}

struct plan *plan_ref(struct plan *plan)
{
	require(plan != NULL);
	(void)atomic_fetch_add_explicit(&plan->refs, 1, memory_order_relaxed);
	return plan;
}

void plan_unref(struct plan *plan)
{
	if (plan == NULL ||
	    atomic_fetch_sub_explicit(&plan->refs, 1, memory_order_acq_rel) != 1) {
		return;
	}
	for (size_t i = 0; i < plan->n_parts; i++) {
		plan_unref(plan->parts[i]);
	}
	free(plan);
}

bool plan_may_write(const struct plan *plan)
{
	bool may = plan->n_writes > 0 || plan->calls_users;
	for (size_t i = 0; i < plan->n_parts && !may; i++) {
		may = plan_may_write(plan->parts[i]);
	}
	return may;
}
