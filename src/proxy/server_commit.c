/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/server_commit.h"

#include <stdlib.h>

#include "base/metrics.h"
#include "cache/store.h"
#include "proxy/database.h"
#include "proxy/worker.h"
#include "proxy/writes.h"
#include "upstream/server.h"

struct token_wait {
	struct server *server; /* NULL: closed meanwhile */
};

static struct worker *server_worker(const struct server *server)
{
	return server->pool->upstream->owner;
}

static void server_on_tokens(void *arg)
{
	struct token_wait *wait = arg;
	struct server *server = wait->server;
	free(wait);
	if (server == NULL) {
		return;
	}
	server->token_wait = NULL;
	struct owed *head = owed_head(&server->owed);
	require(head != NULL && head->commit != NULL);
	head->commit->tokens_done = true;
	stream_resume(&server->stream);
}

/* True when the answer of Redis has to be waited for. */
static bool server_ask_tokens(struct server *server, struct commit *commit)
{
	struct token_wait *wait = malloc(sizeof(*wait));
	if (wait == NULL) {
		store_tokens_lost(server_worker(server)->store);
		return false;
	}
	wait->server = server;
	if (!store_tokens(server_worker(server)->store, commit->tags, commit->n,
			  server_on_tokens, wait)) {
		free(wait);
		return false;
	}
	server->token_wait = wait;
	stream_pause(&server->stream);
	return true;
}

bool server_commit_decide(struct server *server, struct owed *head, bool succeeded)
{
	struct worker *worker = server_worker(server);
	struct commit *commit = head->commit;
	if (commit == NULL) {
		return true;
	}
	bool moved = succeeded || commit->partial;
	if (moved) {
		commit_recheck(commit, worker->versions);
	}
	if (moved && !commit->tokens_done && server_ask_tokens(server, commit)) {
		return false;
	}
	head->commit = NULL;
	if (moved) {
		metric_add(&worker->metrics
				->cache_invalidations[commit->ddl ? METRIC_CAUSE_DDL
								  : METRIC_CAUSE_WRITE],
			   1);
	}
	if (succeeded && commit->prepares && commit->gid != NULL) {
		/* in flight until COMMIT PREPARED or ROLLBACK PREPARED; when they
		 * cannot be kept they stay in flight for good, which is right, if slow
		 */
		(void)database_prepared(commit->database, span_str(commit->gid),
					commit->tags, commit->n);
		commit->n = 0;
		commit->ddl = false;
	}
	commit_end(commit, worker->versions, moved);
	return true;
}

void server_commit_lost(struct server *server, struct commit *commit)
{
	commit_lost(commit, server->pid_is_true ? server->pid : 0);
}

void server_commit_forget(struct server *server)
{
	if (server->token_wait != NULL) {
		server->token_wait->server = NULL;
		server->token_wait = NULL;
	}
}
