/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/server_reset.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/metrics.h"
#include "proxy/server_begin.h"
#include "proxy/server_cancel.h"
#include "proxy/server_skip.h"
#include "proxy/server_steps.h"
#include "proxy/worker.h"
#include "upstream/connect.h"
#include "upstream/context.h"
#include "upstream/pool.h"
#include "upstream/server.h"
#include "wire/writer.h"

bool server_send_sql(struct server *server, struct span sql, uint8_t flags)
{
	struct buf message;
	buf_init(&message, sql.n + 16);
	writer_query(&message, sql);
	struct owed item = { .kind = 'Q', .flags = (uint8_t)(flags | OWED_SWALLOW) };
	bool ok = buf_ok(&message) && owed_push(&server->owed, item) == 0;
	if (ok) {
		stream_put(&server->stream, buf_span(&message));
		server->unnamed_id = 0;
	}
	buf_fini(&message);
	if (!ok) {
		server_close(server, SERVER_CLOSE_OUT_OF_MEMORY);
	}
	return ok;
}

/* The reset: each answer comes back here until nothing is left to do. */

/* Ends the batch that the client has left open.  PostgreSQL would have undone it when
 * the connection was lost, so it must fail (T-53). */
static bool server_send_sync(struct server *server)
{
	struct owed fail = { .kind = 'B', .flags = OWED_SWALLOW | OWED_OURS };
	struct owed item = { .kind = 'S', .flags = OWED_SWALLOW };
	if (owed_push(&server->owed, fail) < 0 || owed_push(&server->owed, item) < 0) {
		server_close(server, SERVER_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	server->unsynced = false;
	stream_put_static(&server->stream, SERVER_FAIL_BATCH);
	stream_put_static(&server->stream, WIRE_SYNC);
	return true;
}

/* Prepared statements are forgotten after a reset, so whatever else the query does,
 * they must be gone from the server. */
static void server_send_reset_query(struct server *server)
{
	static const char discard[] = "DISCARD ALL";
	const char *sql = server->pool->upstream->config->server_reset_query;
	sql = sql[0] != 0 ? sql : discard;
	server->reset_sent = true;
	if (!server_send_sql(server, span_str(sql), 0)) {
		return;
	}
	if (strcasecmp(sql, discard) == 0) {
		server->sequences_of = 0;
	} else {
		(void)server_send_sql(server, SPAN_LIT("DEALLOCATE ALL"), 0);
	}
}

static void server_reset_done(struct server *server)
{
	server->suspect = false;
	server->reset_sent = false;
	prepared_clear(&server->prepared);
	server->unnamed_id = 0;
	context_assign(&server->context, context_own_base(server->context));
	if (server->context == NULL) {
		server_close(server, SERVER_CLOSE_OUT_OF_MEMORY);
	}
}

void server_reset(struct server *server)
{
	require(server->client == NULL);
	if (server->state == SERVER_CLOSING) {
		return;
	}
	if (server->state == SERVER_BUSY) {
		server_move(server, SERVER_RESET);
		server->reset_since_ns = clock_now_ns();
	}
	if (server->copy_in) {
		server_close(server, SERVER_CLOSE_DIRTY_SESSION);
		return;
	}
	if (server->unsynced && !server_send_sync(server)) {
		return;
	}
	if (server->owed.n > 0 || server->cancel != NULL || server->pass_left > 0) {
		return; /* comes back with the answer */
	}
	if (server->tx_status != 'I') {
		(void)server_send_sql(server, SPAN_LIT("ROLLBACK"), 0);
		return;
	}
	if (server->spent) {
		server_close(server, SERVER_CLOSE_PINNED);
		return;
	}
	if (server->reset_sent) {
		server_reset_done(server);
		if (server->state == SERVER_CLOSING) {
			return;
		}
	} else if (server->suspect && server_has_connect_query(server->context)) {
		server_close(server, SERVER_CLOSE_PINNED);
		return;
	} else if (server->suspect) {
		server_send_reset_query(server);
		return;
	}
	if (server->unlistening) {
		server->listens = server->unlistening = false;
	} else if (server->listens) {
		server->unlistening = true;
		(void)server_send_sql(server, SPAN_LIT("UNLISTEN *"), 0);
		return;
	}
	server_move(server, SERVER_BUSY);
	pool_give(server->pool, server);
}

static void server_reset_tick_pool(struct pool *pool, uint64_t now)
{
	uint64_t limit = pool->upstream->config->cancel_wait_timeout_ms * 1000000U;
	if (limit == 0) {
		return;
	}
	dlist_each (l, tmp, &pool->busy) {
		struct server *server = container_of(l, struct server, link);
		server_cancel_tick(server, limit);
		if (server->state == SERVER_RESET &&
		    now - server->reset_since_ns > limit) {
			server_close(server, SERVER_CLOSE_RESET_FAILED);
		}
	}
}

void server_reset_tick(struct worker *worker)
{
	uint64_t now = clock_now_ns();
	dlist_each (l, tmp, &worker->upstream.all) {
		server_reset_tick_pool(container_of(l, struct pool, link), now);
	}
}
