/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/server_skip.h"

#include <string.h>

#include "proxy/client.h"
#include "proxy/query.h"
#include "proxy/worker.h"
#include "sql/plan.h"
#include "upstream/server.h"
#include "wire/writer.h"

static const char server_prefix[] = "pgrecall_"; /* STATEMENT_NAME_FORMAT's */

static struct versions *server_versions(const struct server *server)
{
	const struct worker *worker = server->pool->upstream->owner;
	return worker->versions;
}

/* A Parse that failed, or was skipped, leaves nothing behind, and a Close that was
 * skipped leaves the statement (T-58, T-62). */
void server_undo_item(struct server *server, const struct owed *item)
{
	uint64_t evicted;
	if (item->kind == 'P' && item->statement_id != 0 &&
	    item->statement_id != OWED_NAMED) {
		prepared_remove(&server->prepared, item->statement_id);
		if (server->client != NULL) {
			names_leave_server(&server->client->session.names,
					   item->statement_id);
		}
	}
	if (item->kind == 'C' && item->statement_id != 0 &&
	    (prepared_add(&server->prepared, item->statement_id, &evicted) < 0 ||
	     evicted != 0)) {
		server->suspect = true; /* it has more than the table holds */
	}
}

/* Pops an item that is not executed. */
static void server_drop_item(struct server *server)
{
	struct owed item = owed_pop(&server->owed);
	if (item.kind == 'C' && item.statement_id != 0 && server->owed.n > 0 &&
	    owed_head(&server->owed)->kind == 'P') {
		server_drop_item(server); /* that for which there was to be room */
	}
	server_undo_item(server, &item);
	commit_end(item.commit, server_versions(server), false);
	owed_item_fini(&item);
	query_free(item.query);
}

/* The server skips to the next Sync: so do the items, the replies between them, and
 * what they did to names, from position FROM on. */
void server_drop_batch(struct server *server, uint64_t from)
{
	struct client *client = server->client;
	while (server->owed.n > 0 && owed_head(&server->owed)->kind != 'S') {
		server_drop_item(server);
	}
	struct owed *sync = owed_head(&server->owed);
	if (sync != NULL) {
		sync->failed = true;
	}
	if (client == NULL) {
		return;
	}
	names_undo(&client->session.names, from,
		   sync ? server->owed.n_popped : UINT64_MAX);
	replies_drop(&client->replies, sync ? server->owed.n_popped + 1 : UINT64_MAX);
	if (sync == NULL) {
		client->skip = true;
	}
}

void server_restore_unnamed(struct server *server, uint64_t id)
{
	for (uint32_t i = 0; i < server->owed.n; i++) {
		struct owed *item = owed_at(&server->owed, i);
		item->unnamed_before = id;
		if (item->sets_unnamed || item->kind == 'Q') {
			return;
		}
	}
	server->unnamed_id = id;
}

void server_keeps_statements(struct server *server, const struct owed *head)
{
	if (server->client != NULL && !head->deallocated && head->query != NULL &&
	    head->query->plan != NULL && head->query->plan->deallocate_all) {
		names_undo(&server->client->session.names, server->owed.n_popped,
			   server->owed.n_popped + 1);
	}
}

void server_forgets_statements(struct server *server, struct owed *head)
{
	uint64_t evicted;
	head->deallocated = true;
	prepared_clear(&server->prepared);
	for (uint32_t i = 1; i < server->owed.n; i++) {
		const struct owed *item = owed_at(&server->owed, i);
		if (item->kind == 'P' && item->statement_id != 0 &&
		    item->statement_id != OWED_NAMED &&
		    (prepared_add(&server->prepared, item->statement_id, &evicted) <
			 0 ||
		     evicted != 0)) {
			server->suspect = true; /* it has more than the table holds */
		}
	}
}

/* The length of the name of ours that AT begins with. */
static size_t server_name_length(struct span at)
{
	size_t n = sizeof(server_prefix) - 1;
	while (n < at.n && at.p[n] >= '0' && at.p[n] <= '9') {
		n++;
	}
	return n;
}

bool server_rename_error(const char *own, struct span body, struct buf *out)
{
	/* the quotes around it are those of the language of the message */
	bool is_renamed = false;
	size_t start = writer_begin(out, 'E');
	struct span left = body;
	for (;;) {
		const uint8_t *at =
		    memmem(left.p, left.n, server_prefix, sizeof(server_prefix) - 1);
		if (at == NULL) {
			break;
		}
		size_t before = (size_t)(at - left.p);
		buf_append_span(out, span_make(left.p, before));
		buf_append_str(out, own);
		left = span_skip(left, before);
		left = span_skip(left, server_name_length(left));
		is_renamed = true;
	}
	buf_append_span(out, left);
	writer_end(out, start);
	return is_renamed && buf_ok(out);
}
