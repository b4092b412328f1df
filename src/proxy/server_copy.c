/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/server_copy.h"

#include "proxy/query.h"
#include "proxy/worker.h"
#include "proxy/writes.h"
#include "sql/plan.h"
#include "upstream/server.h"

void server_copy_begins(struct server *server)
{
	const struct worker *worker = server->pool->upstream->owner;
	struct owed *head = owed_head(&server->owed);
	require(head != NULL);
	head->copy_begins++;
	server->copy_in = head->copy_begins > head->copy_ends;
	for (uint32_t i = 1; i < server->owed.n; i++) {
		const struct owed *item = owed_at(&server->owed, i);
		if (item->kind != OWED_VOID &&
		    (item->kind != 'S' || item->copy_ends >= head->copy_begins)) {
			return;
		}
		struct owed sync = owed_void(&server->owed, i);
		commit_end(sync.commit, worker->versions, true);
		server->unsynced = true;
	}
}

/* The statement whose COPY a CopyData sent now would be for; NULL: none. */
static struct owed *server_copy_item(struct server *server)
{
	uint32_t i = server->owed.n;
	while (i > 0 && (owed_at(&server->owed, i - 1)->kind == 'S' ||
			 owed_at(&server->owed, i - 1)->kind == OWED_VOID)) {
		i--;
	}
	return i > 0 ? owed_at(&server->owed, i - 1) : NULL;
}

void server_copy_ends(struct server *server)
{
	struct owed *item = server_copy_item(server);
	if (item != NULL && item->copy_ends < UINT8_MAX) {
		item->copy_ends++;
	}
	server->copy_in = false;
}

bool server_may_copy(struct server *server)
{
	if (LIKELY(server->owed.n == 0) || server->copy_in) {
		return server->copy_in;
	}
	const struct owed *item = server_copy_item(server);
	return item != NULL && item->copy_ends == 0 && item->query != NULL &&
	       item->query->plan != NULL && item->query->plan->kind == PLAN_COPY &&
	       item->query->plan->copy_in;
}

uint8_t server_copies_ended(struct server *server)
{
	const struct owed *item = server_copy_item(server);
	return item ? item->copy_ends : 0;
}
