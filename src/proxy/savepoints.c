/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/savepoints.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "upstream/context.h"

void savepoints_init(struct savepoints *savepoints)
{
	*savepoints = (struct savepoints){ 0 };
	dlist_init(&savepoints->list);
}

static void savepoints_pop(struct savepoints *savepoints)
{
	struct dlist *newest = dlist_pop_head(&savepoints->list);
	struct savepoint *s = container_of(newest, struct savepoint, link);
	context_unref(s->pending);
	context_unref(s->pending_server);
	free(s);
	savepoints->n--;
}

void savepoints_clear(struct savepoints *savepoints)
{
	while (savepoints->n > 0) {
		savepoints_pop(savepoints);
	}
	savepoints->are_unsure = false;
}

void savepoints_push(struct savepoints *savepoints, const char *name,
		     struct context *pending, struct context *pending_server)
{
	struct savepoint *s =
	    savepoints->n < SAVEPOINTS_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (s == NULL) {
		savepoints->are_unsure = true;
		return;
	}
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	s->pending = pending ? context_ref(pending) : NULL;
	s->pending_server = pending_server ? context_ref(pending_server) : NULL;
	dlist_init(&s->link);
	dlist_push_head(&savepoints->list, &s->link);
	savepoints->n++;
}

static struct savepoint *savepoints_find(const struct savepoints *savepoints,
					 const char *name)
{
	dlist_each (l, tmp, &savepoints->list) {
		struct savepoint *s = container_of(l, struct savepoint, link);
		if (strncmp(s->name, name, sizeof(s->name) - 1) == 0) {
			return s;
		}
	}
	return NULL;
}

const struct savepoint *savepoints_back_to(struct savepoints *savepoints,
					   const char *name)
{
	const struct savepoint *found = savepoints_find(savepoints, name);
	while (found != NULL && dlist_head(&savepoints->list) != &found->link) {
		savepoints_pop(savepoints);
	}
	return found;
}

void savepoints_release(struct savepoints *savepoints, const char *name)
{
	if (savepoints_back_to(savepoints, name) != NULL) {
		savepoints_pop(savepoints);
	}
}
