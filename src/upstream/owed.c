/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/owed.h"

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "upstream/context.h"
#include "upstream/statement.h"

#define OWED_FIRST_CAP 8U
/* Positions begin here, so that there are some for what is put in front. */
#define OWED_FIRST_POSITION 16U

void owed_init(struct owed_queue *queue)
{
	*queue = (struct owed_queue){ .n_pushed = OWED_FIRST_POSITION,
				      .n_popped = OWED_FIRST_POSITION };
}

void owed_fini(struct owed_queue *queue)
{
	require(queue->n == 0);
	free(queue->ring);
	queue->ring = NULL;
	queue->cap = 0;
}

SELDOM static int owed_grow(struct owed_queue *queue)
{
	uint32_t cap = queue->cap ? queue->cap * 2 : OWED_FIRST_CAP;
	struct owed *ring = calloc(cap, sizeof(*ring));
	if (ring == NULL) {
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < queue->n; i++) {
		ring[i] = queue->ring[(queue->head + i) & (queue->cap - 1)];
	}
	free(queue->ring);
	queue->ring = ring;
	queue->cap = cap;
	queue->head = 0;
	return 0;
}

int owed_push(struct owed_queue *queue, struct owed item)
{
	if (queue->n == queue->cap) {
		int r = owed_grow(queue);
		if (r < 0) {
			return r;
		}
	}
	queue->ring[(queue->head + queue->n) & (queue->cap - 1)] = item;
	queue->n++;
	queue->n_pushed++;
	return 0;
}

static void owed_item_unsettle(struct owed *item)
{
	struct settled *settled = steal(&item->settled);
	if (settled != NULL) {
		context_unref(settled->client);
		context_unref(settled->server);
		free(settled);
	}
}

void owed_item_fini(struct owed *item)
{
	statement_unref(steal(&item->statement));
	text_unref(steal(&item->name));
	free(steal(&item->added));
	owed_item_unsettle(item);
}

struct owed owed_pop(struct owed_queue *queue)
{
	require(queue->n > 0);
	struct owed item = *owed_head(queue);
	do {
		queue->head++;
		queue->n--;
		queue->n_popped++;
	} while (queue->n > 0 && owed_head(queue)->kind == OWED_VOID);
	return item;
}

int owed_push_front(struct owed_queue *queue, struct owed item)
{
	if (queue->n == queue->cap) {
		int r = owed_grow(queue);
		if (r < 0) {
			return r;
		}
	}
	require(queue->n_popped > 0);
	queue->head--;
	queue->ring[queue->head & (queue->cap - 1)] = item;
	queue->n++;
	queue->n_popped--;
	return 0;
}

struct owed owed_void(struct owed_queue *queue, uint32_t i)
{
	require(i > 0);
	struct owed *item = owed_at(queue, i);
	struct owed taken = *item;
	*item = (struct owed){ .kind = OWED_VOID };
	return taken;
}

bool owed_unsettle(struct owed_queue *queue)
{
	bool any = false;
	for (uint32_t i = 0; i < queue->n; i++) {
		struct owed *item = owed_at(queue, i);
		any = any || item->settled != NULL;
		owed_item_unsettle(item);
	}
	return any;
}

struct owed *owed_at(struct owed_queue *queue, uint32_t i)
{
	require(i < queue->n);
	return &queue->ring[(queue->head + i) & (queue->cap - 1)];
}

uint32_t owed_group_end(struct owed_queue *queue)
{
	require(queue->n > 0);
	uint32_t i = 0;
	while (i + 1 < queue->n && !owed_ends_group(owed_at(queue, i))) {
		i++;
	}
	return i;
}
