/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/gates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "upstream/pool.h"
#include "upstream/server.h"

struct gates_row {
	struct dlist link; /* in struct pools */
	unsigned bits;
	size_t n;
	uint8_t name[];
};

static struct gates_row *gates_find(struct pools *pools, struct span database)
{
	dlist_each (l, tmp, &pools->gates) {
		struct gates_row *row = container_of(l, struct gates_row, link);
		if (span_eq(span_make(row->name, row->n), database)) {
			return row;
		}
	}
	return NULL;
}

static struct gates_row *gates_add(struct pools *pools, struct span database)
{
	struct gates_row *row = malloc(sizeof(*row) + database.n);
	if (row == NULL) {
		return NULL;
	}
	row->bits = 0;
	row->n = database.n;
	memcpy(row->name, database.p, database.n);
	dlist_init(&row->link);
	dlist_push_tail(&pools->gates, &row->link);
	return row;
}

unsigned gates_of_locked(struct pools *pools, struct span database)
{
	const struct gates_row *row =
	    database.p != NULL ? gates_find(pools, database) : NULL;
	return pools->gates_all | (row != NULL ? row->bits : 0);
}

unsigned gates_of(struct pools *pools, struct span database)
{
	pthread_mutex_lock(&pools->lock);
	unsigned bits = gates_of_locked(pools, database);
	pthread_mutex_unlock(&pools->lock);
	return bits;
}

static int gates_remember(struct pools *pools, struct span database, enum gate gate,
			  bool on)
{
	if (database.p == NULL) {
		pools->gates_all =
		    on ? pools->gates_all | gate : pools->gates_all & ~(unsigned)gate;
		dlist_each (l, tmp, &pools->gates) {
			struct gates_row *row = container_of(l, struct gates_row, link);
			row->bits &= on ? ~0U : ~(unsigned)gate;
		}
		return 0;
	}
	struct gates_row *row = gates_find(pools, database);
	if (row == NULL && on) {
		row = gates_add(pools, database);
		if (row == NULL) {
			return -ENOMEM;
		}
	}
	if (row != NULL) {
		row->bits = on ? row->bits | gate : row->bits & ~(unsigned)gate;
	}
	return 0;
}

int gates_set(struct pools *pools, struct span database, enum gate gate, bool on)
{
	pthread_mutex_lock(&pools->lock);
	int r = gates_remember(pools, database, gate, on);
	dlist_each (l, tmp, &pools->all) {
		struct pool_shared *shared = container_of(l, struct pool_shared, link);
		atomic_store(&shared->gates,
			     gates_of_locked(pools, span_str(shared->database)));
	}
	pthread_mutex_unlock(&pools->lock);
	return r;
}

void gates_apply(struct pool *pool)
{
	if (!pool_is_paused(pool)) {
		pool_look(pool);
		pool_asked(pool);
		return;
	}
	dlist_each (l, tmp, &pool->idle) {
		server_close(container_of(l, struct server, link), SERVER_CLOSE_ADMIN);
	}
}

void gates_reconnect(struct pools *pools, struct span database)
{
	pthread_mutex_lock(&pools->lock);
	dlist_each (l, tmp, &pools->all) {
		struct pool_shared *shared = container_of(l, struct pool_shared, link);
		if (database.p == NULL || span_eq_str(database, shared->database)) {
			atomic_fetch_add(&shared->n_reconnects, 1);
		}
	}
	pthread_mutex_unlock(&pools->lock);
}

void gates_fini(struct pools *pools)
{
	struct dlist *l;
	while ((l = dlist_pop_head(&pools->gates)) != NULL) {
		free(container_of(l, struct gates_row, link));
	}
}
