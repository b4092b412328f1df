#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A doubly linked ring threaded through its members: no allocation, O(1) removal.  The
 * head is a struct dlist itself; an unlinked member points at itself. */

#include <stdbool.h>

#include "base/check.h"

struct dlist {
	struct dlist *next;
	struct dlist *prev;
};

static inline void dlist_init(struct dlist *l)
{
	l->next = l->prev = l;
}

static inline bool dlist_is_empty(const struct dlist *l)
{
	return l->next == l;
}

/* Takes L out of whatever ring it is in; fine when it is in none. */
static inline void dlist_remove(struct dlist *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	dlist_init(l);
}

static inline void dlist_insert_before(struct dlist *at, struct dlist *l)
{
	l->prev = at->prev;
	l->next = at;
	at->prev->next = l;
	at->prev = l;
}

static inline void dlist_push_tail(struct dlist *head, struct dlist *l)
{
	dlist_insert_before(head, l);
}

static inline void dlist_push_head(struct dlist *head, struct dlist *l)
{
	dlist_insert_before(head->next, l);
}

/* The first member, or NULL. */
static inline struct dlist *dlist_head(const struct dlist *head)
{
	return dlist_is_empty(head) ? NULL : head->next;
}

static inline struct dlist *dlist_pop_head(struct dlist *head)
{
	struct dlist *l = dlist_head(head);
	if (l != NULL) {
		dlist_remove(l);
	}
	return l;
}

/* Walks the ring; the current member may be removed inside. */
#define dlist_each(it, tmp, head)                                            \
	for (struct dlist *it = (head)->next, *tmp = it->next; it != (head); \
	     it = tmp, tmp = it->next)
