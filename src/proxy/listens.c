/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/listens.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proxy/channels.h"
#include "proxy/client.h"

struct listen_change {
	struct dlist link;
	enum listen_act act;
	struct listen *listen; /* ON and OFF */
	size_t n;
	uint8_t name[]; /* SAVEPOINT */
};

struct listen_held {
	struct dlist link;
	struct listen *listen;
	struct note *note; /* a reference */
};

void listens_init(struct listens *listens)
{
	*listens = (struct listens){ 0 };
	dlist_init(&listens->all);
	dlist_init(&listens->changes);
	dlist_init(&listens->held);
	listen_portals_init(&listens->portals);
}

struct listen *listens_find(const struct listens *listens, struct span name)
{
	dlist_each (l, tmp, &listens->all) {
		struct listen *listen = container_of(l, struct listen, link);
		if (span_eq(channel_name(listen->channel), name)) {
			return listen;
		}
	}
	return NULL;
}

struct listen *listens_add(struct listens *listens, struct client *client,
			   struct channel *channel)
{
	struct listen *listen = calloc(1, sizeof(*listen));
	if (listen == NULL) {
		return NULL;
	}
	listen->client = client;
	listen->channel = channel;
	channel->n_users++;
	dlist_init(&listen->link);
	dlist_init(&listen->in_channel);
	dlist_push_tail(&listens->all, &listen->link);
	dlist_push_tail(&channel->listens, &listen->in_channel);
	listens->n++;
	return listen;
}

/* Held notes */

static void held_free(struct listens *listens, struct listen_held *held)
{
	dlist_remove(&held->link);
	listens->held_bytes -= held->note->n;
	note_unref(held->note);
	free(held);
}

bool listens_hold(struct listens *listens, struct listen *listen, struct note *note)
{
	struct listen_held *held = malloc(sizeof(*held));
	if (held == NULL) {
		return false;
	}
	*held = (struct listen_held){ .listen = listen, .note = note_ref(note) };
	dlist_init(&held->link);
	dlist_push_tail(&listens->held, &held->link);
	listens->held_bytes += note->n;
	return true;
}

struct note *listens_take(struct listens *listens, bool is_last)
{
	struct dlist *l;
	while ((l = dlist_head(&listens->held)) != NULL) {
		struct listen_held *held = container_of(l, struct listen_held, link);
		if (held->listen->is_on) {
			struct note *note = note_ref(held->note);
			held_free(listens, held);
			return note;
		}
		if (!is_last) {
			return NULL;
		}
		held_free(listens, held);
	}
	return NULL;
}

/* Changes */

static void change_free(struct listens *listens, struct listen_change *change)
{
	dlist_remove(&change->link);
	listens->n_changes--;
	if (change->listen != NULL) {
		change->listen->n_changes--;
	}
	free(change);
}

void listens_remove(struct listens *listens, struct listen *listen)
{
	struct channel *channel = listen->channel;
	require(listen->n_changes == 0);
	dlist_each (l, tmp, &listens->held) {
		struct listen_held *held = container_of(l, struct listen_held, link);
		if (held->listen == listen) {
			held_free(listens, held);
		}
	}
	dlist_remove(&listen->link);
	dlist_remove(&listen->in_channel);
	listens->n--;
	channel_unuse(listen->client->worker, channel);
	free(listen);
}

bool listens_change(struct listens *listens, enum listen_act act, struct span name)
{
	struct listen *listen = act == LISTEN_ACT_ON || act == LISTEN_ACT_OFF
				    ? listens_find(listens, name)
				    : NULL;
	bool is_nothing =
	    (act == LISTEN_ACT_SAVEPOINT && dlist_is_empty(&listens->changes)) ||
	    (act == LISTEN_ACT_ALL_OFF && listens->n == 0) ||
	    (act == LISTEN_ACT_OFF && listen == NULL) ||
	    (act == LISTEN_ACT_ON && listen == NULL);
	if (is_nothing) {
		return true;
	}
	size_t n = act == LISTEN_ACT_SAVEPOINT ? name.n : 0;
	struct listen_change *change = NULL;
	if (listens->n_changes < LISTENS_MAX_CHANGES) {
		change = calloc(1, sizeof(*change) + n);
	}
	if (change == NULL) {
		return false;
	}
	change->act = act;
	change->listen = listen;
	change->n = n;
	if (n > 0) {
		memcpy(change->name, name.p, n);
	}
	dlist_init(&change->link);
	dlist_push_tail(&listens->changes, &change->link);
	listens->n_changes++;
	if (listen != NULL) {
		listen->n_changes++;
	}
	return true;
}

/* The newest savepoint NAME, or NULL: it is older than the first change. */
static struct dlist *listens_savepoint(struct listens *listens, struct span name)
{
	for (struct dlist *l = listens->changes.prev; l != &listens->changes;
	     l = l->prev) {
		struct listen_change *change =
		    container_of(l, struct listen_change, link);
		if (change->act == LISTEN_ACT_SAVEPOINT &&
		    span_eq(span_make(change->name, change->n), name)) {
			return l;
		}
	}
	return NULL;
}

/* The savepoint and those behind it are gone; what was done since them stays. */
void listens_release_savepoint(struct listens *listens, struct span name)
{
	struct dlist *mark = listens_savepoint(listens, name);
	struct dlist *at = mark != NULL ? mark : listens->changes.next;
	while (at != &listens->changes) {
		struct dlist *next = at->next;
		struct listen_change *change =
		    container_of(at, struct listen_change, link);
		if (change->act == LISTEN_ACT_SAVEPOINT) {
			change_free(listens, change);
		}
		at = next;
	}
}

/* The savepoint itself stays. */
void listens_rollback_to(struct listens *listens, struct span name)
{
	struct dlist *mark = listens_savepoint(listens, name);
	struct dlist *stop = mark != NULL ? mark : &listens->changes;
	while (listens->changes.prev != stop) {
		change_free(listens, container_of(listens->changes.prev,
						  struct listen_change, link));
	}
}

void listens_rollback(struct listens *listens)
{
	struct dlist *l;
	while ((l = dlist_head(&listens->changes)) != NULL) {
		change_free(listens, container_of(l, struct listen_change, link));
	}
}

static void listens_all_off(struct listens *listens)
{
	dlist_each (l, tmp, &listens->all) {
		container_of(l, struct listen, link)->is_on = false;
	}
}

void listens_commit(struct listens *listens)
{
	struct dlist *l;
	while ((l = dlist_head(&listens->changes)) != NULL) {
		struct listen_change *change =
		    container_of(l, struct listen_change, link);
		if (change->act == LISTEN_ACT_ALL_OFF) {
			listens_all_off(listens);
		} else if (change->listen != NULL) {
			change->listen->is_on = change->act == LISTEN_ACT_ON;
		}
		change_free(listens, change);
	}
}

void listens_settle(struct listens *listens)
{
	require(dlist_is_empty(&listens->changes));
	dlist_each (l, tmp, &listens->all) {
		struct listen *listen = container_of(l, struct listen, link);
		listen->is_wanted = false;
		if (!listen->is_on) {
			listens_remove(listens, listen);
		}
	}
}

void listens_fini(struct listens *listens)
{
	struct dlist *l;
	listens_rollback(listens);
	listen_portals_clear(&listens->portals);
	while ((l = dlist_head(&listens->all)) != NULL) {
		listens_remove(listens, container_of(l, struct listen, link));
	}
	require(listens->held_bytes == 0);
}
