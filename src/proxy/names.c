/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/names.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sql/plan.h"
#include "upstream/statement.h"

struct name_change {
	struct dlist link;
	uint64_t at;
	struct named before; /* owns a reference to its statement */
};

static struct span names_key(struct span name)
{
	return span_make(name.p, name.n < NAMES_MAX_LEN ? name.n : NAMES_MAX_LEN);
}

static struct span named_key(const struct named *named)
{
	return span_make(named->name, named->name_len);
}

static void named_set_name(struct named *named, struct span key)
{
	named->name_len = (uint8_t)key.n;
	if (key.n > 0) {
		memcpy(named->name, key.p, key.n);
	}
}

static void named_free(struct named *named)
{
	if (named != NULL) {
		statement_unref(named->statement);
		text_unref(named->said);
		free(named);
	}
}

void names_init(struct names *names, uint32_t max)
{
	*names = (struct names){ 0 };
	map_init(&names->map, max);
	dlist_init(&names->changes);
}

static void change_free(struct name_change *change)
{
	dlist_remove(&change->link);
	statement_unref(change->before.statement);
	free(change);
}

void names_fini(struct names *names)
{
	names_settle(names, UINT64_MAX);
	names_remove_all(names, 0);
	names_remove(names, SPAN_LIT(""), 0);
	map_fini(&names->map);
}

struct named *names_find(struct names *names, struct span name)
{
	struct named *found =
	    name.n == 0 ? &names->unnamed : map_get(&names->map, names_key(name));
	return found != NULL && found->statement != NULL ? found : NULL;
}

struct text *names_said(struct named *named, struct span name)
{
	size_t n = name.n < NAMES_MAX_SAID ? name.n : NAMES_MAX_SAID;
	struct span kept = span_make(name.p, n);
	struct text *said = named != NULL ? named->said : NULL;
	if (LIKELY(said != NULL && span_eq(kept, span_make(said->s, said->n)))) {
		return text_ref(said);
	}
	struct text *fresh = text_new(kept);
	if (named != NULL) {
		text_unref(said);
		named->said = text_ref(fresh);
	}
	return fresh;
}

void names_leave_server(struct names *names, uint64_t id)
{
	struct named *named;
	map_each (named, at, &names->map) {
		if (named->statement->id == id) {
			named->on_server = false;
		}
	}
}

bool names_are_full(const struct names *names, struct span name)
{
	return name.n > 0 && names->map.n >= names->map.max;
}

bool names_are_open(const struct names *names, struct span name, uint64_t sync_at)
{
	struct span key = names_key(name);
	dlist_each (l, tmp, &names->changes) {
		const struct name_change *change =
		    container_of(l, struct name_change, link);
		if (change->at <= sync_at && span_eq(named_key(&change->before), key)) {
			return true;
		}
	}
	return false;
}

/* The last change of KEY that may be undone, or NULL: then it may come back. */
static struct name_change *names_latest(const struct names *names, struct span key)
{
	for (struct dlist *l = names->changes.prev; l != &names->changes; l = l->prev) {
		struct name_change *change = container_of(l, struct name_change, link);
		if (span_eq(named_key(&change->before), key)) {
			return change;
		}
	}
	return NULL;
}

uint64_t names_last_change(const struct names *names, struct span name)
{
	const struct name_change *change = names_latest(names, names_key(name));
	return change != NULL ? change->at : 0;
}

/* Notes what NAME is before a change at AT.  False without memory. */
static bool names_note(struct names *names, struct span key, const struct named *now,
		       uint64_t at)
{
	if (at == 0) {
		return true;
	}
	struct name_change *change = calloc(1, sizeof(*change));
	if (change == NULL) {
		return false;
	}
	change->at = at;
	if (now != NULL && now->statement != NULL) {
		change->before = *now;
		change->before.said = NULL;
		statement_ref(now->statement);
	}
	named_set_name(&change->before, key);
	dlist_init(&change->link);
	dlist_push_tail(&names->changes, &change->link);
	return true;
}

static struct named *names_slot(struct names *names, struct span key)
{
	if (key.n == 0) {
		return &names->unnamed;
	}
	struct named *named = map_get(&names->map, key);
	if (named != NULL) {
		return named;
	}
	named = calloc(1, sizeof(*named));
	if (named == NULL) {
		return NULL;
	}
	named_set_name(named, key);
	if (map_put(&names->map, named_key(named), named) != 0) {
		free(named);
		return NULL;
	}
	return named;
}

struct named *names_put(struct names *names, struct span name,
			struct statement *statement, uint64_t at)
{
	struct span key = names_key(name);
	struct named *named = names_slot(names, key);
	if (named == NULL || !names_note(names, key, named, at)) {
		if (named != NULL && named->statement == NULL && key.n > 0) {
			named_free(map_remove(&names->map, key));
		}
		return NULL;
	}
	statement_unref(named->statement);
	named->statement = statement_ref(statement);
	named->on_server = named->is_told = false;
	return named;
}

static void names_drop(struct names *names, struct span key)
{
	if (key.n == 0) {
		statement_unref(steal(&names->unnamed.statement));
		return;
	}
	named_free(map_remove(&names->map, key));
}

/* The next change of the same name, or NULL. */
static struct name_change *names_next_change(struct names *names,
					     struct name_change *change)
{
	struct span key = named_key(&change->before);
	for (struct dlist *l = change->link.next; l != &names->changes; l = l->next) {
		struct name_change *next = container_of(l, struct name_change, link);
		if (span_eq(named_key(&next->before), key)) {
			return next;
		}
	}
	return NULL;
}

static bool names_use(struct names *names, const struct plan *plan, bool may_return)
{
	for (size_t i = 0; i < plan->n_parts; i++) {
		if (names_use(names, plan->parts[i], may_return)) {
			return true;
		}
	}
	if ((plan->kind != PLAN_SESSION && !plan->executes) || plan->set_name == NULL) {
		return false;
	}
	struct span name = span_str(plan->set_name);
	return names_find(names, name) != NULL ||
	       (may_return && names_latest(names, names_key(name)) != NULL);
}

bool names_are_used(struct names *names, const struct plan *plan)
{
	return names_use(names, plan, false);
}

bool names_may_be_used(struct names *names, const struct plan *plan)
{
	return names_use(names, plan, true);
}

void names_remove(struct names *names, struct span name, uint64_t at)
{
	struct span key = names_key(name);
	const struct named *named = names_find(names, name);
	if (named != NULL || names_latest(names, key) != NULL) {
		(void)names_note(names, key, named, at);
		names_drop(names, key);
	}
}

/* Removes at AT the names that are away already, but may come back. */
static void names_remove_returning(struct names *names, uint64_t at)
{
	const struct dlist *last = names->changes.prev;
	if (dlist_is_empty(&names->changes)) {
		return;
	}
	for (struct dlist *l = names->changes.next;; l = l->next) {
		struct name_change *change = container_of(l, struct name_change, link);
		struct span key = named_key(&change->before);
		if (key.n > 0 && names_find(names, key) == NULL &&
		    names_latest(names, key) == change) {
			(void)names_note(names, key, NULL, at);
		}
		if (l == last) {
			return;
		}
	}
}

void names_remove_all(struct names *names, uint64_t at)
{
	struct named *named;
	names_remove_returning(names, at);
	map_each (named, i, &names->map) {
		(void)names_note(names, named_key(named), named, at);
		named_free(named);
	}
	map_clear(&names->map);
}

void names_settle(struct names *names, uint64_t answered)
{
	dlist_each (l, tmp, &names->changes) {
		struct name_change *change = container_of(l, struct name_change, link);
		if (change->at > answered) {
			return; /* positions do not decrease */
		}
		change_free(change);
	}
}

void names_lose_unnamed(struct names *names, uint64_t at)
{
	dlist_each (l, tmp, &names->changes) {
		struct name_change *change = container_of(l, struct name_change, link);
		if (change->at > at && named_key(&change->before).n == 0) {
			statement_unref(steal(&change->before.statement));
			return;
		}
	}
	names_drop(names, span_make(NULL, 0));
}

static void names_restore(struct names *names, struct name_change *change)
{
	struct span key = named_key(&change->before);
	if (change->before.statement == NULL) {
		names_drop(names, key);
		return;
	}
	struct named *named = names_slot(names, key);
	if (named != NULL) {
		statement_unref(named->statement);
		named->statement = steal(&change->before.statement);
		named->on_server = change->before.on_server;
		named->is_told = change->before.is_told;
	}
}

void names_undo(struct names *names, uint64_t from, uint64_t to)
{
	for (struct dlist *l = names->changes.prev, *older; l != &names->changes;
	     l = older) {
		struct name_change *change = container_of(l, struct name_change, link);
		older = l->prev;
		if (change->at <= from || change->at > to) {
			continue;
		}
		struct name_change *next = names_next_change(names, change);
		if (next != NULL) {
			/* a later one goes on from here: it goes on from before now */
			statement_unref(next->before.statement);
			next->before = change->before;
			change->before.statement = NULL;
		} else {
			names_restore(names, change);
		}
		change_free(change);
	}
}
