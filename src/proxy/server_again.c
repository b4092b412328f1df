/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/server_again.h"

#include "base/metrics.h"
#include "base/sqlstate.h"
#include "proxy/client.h"
#include "proxy/client_send.h"
#include "proxy/worker.h"
#include "server_steps_priv.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

#define AGAIN_KEPT_MEMORY 4096U /* bytes that an idle connection may hold */

static void server_again_keep(struct server *server, struct span bytes)
{
	if (server->again == AGAIN_KEEPS && server->again_is_open) {
		buf_append_span(&server->again_bytes, bytes);
	}
}

void server_put(struct server *server, struct span bytes)
{
	server_again_keep(server, bytes);
	stream_put(&server->stream, bytes);
}

void server_put_borrow(struct server *server, struct span bytes)
{
	server_again_keep(server, bytes);
	stream_put_borrow(&server->stream, bytes);
}

/* The first message of a group forgets the group before. */
static void server_again_begin(struct server *server)
{
	if (!server->again_is_open) {
		server->again = AGAIN_NOT;
		server->again_is_last = false;
		server->again_is_open = true;
	}
}

void server_again_never(struct server *server)
{
	server_again_begin(server);
	server->again = AGAIN_NEVER;
}

uint32_t server_again_from(struct server *server, bool is_told)
{
	server_again_begin(server);
	if (server->again == AGAIN_NEVER || server->again_is_last) {
		return 0;
	}
	if (server->again == AGAIN_NOT) {
		server->again = AGAIN_KEEPS;
		buf_reset(&server->again_bytes);
	}
	server->again_is_told = is_told;
	return (uint32_t)server->again_bytes.len + 1;
}

void server_again_last(struct server *server)
{
	server_again_begin(server);
	server->again_is_last = true;
}

void server_again_end(struct server *server)
{
	server->again_is_open = false;
}

void server_again_forget(struct server *server)
{
	server->again = AGAIN_NOT;
	server->again_is_last = server->again_is_open = false;
	if (server->again_bytes.cap > AGAIN_KEPT_MEMORY) {
		buf_fini(&server->again_bytes);
	}
}

/* The function that says it names itself whatever the language of the message. */
static bool server_again_is_cause(const struct frame *frame)
{
	struct message_error error;
	return frame->complete && message_read_error(frame->body, &error) == 0 &&
	       ((span_eq_str(error.sqlstate, SQLSTATE_FEATURE_NOT_SUPPORTED) &&
		 span_eq_str(error.routine, "RevalidateCachedQuery")) ||
		(span_eq_str(error.sqlstate, SQLSTATE_UNKNOWN_STATEMENT) &&
		 span_eq_str(error.routine, "FetchPreparedStatement")));
}

/* Whether the group of the head is all that is owed; *SYNCED_OUT: with its Sync. */
static bool server_again_is_alone(struct server *server, bool *synced_out)
{
	*synced_out = false;
	for (uint32_t i = 0; i < server->owed.n; i++) {
		uint8_t kind = owed_at(&server->owed, i)->kind;
		if (kind == 'Q' || kind == 'F' || *synced_out) {
			return false;
		}
		*synced_out = kind == 'S';
	}
	return true;
}

/* Whether the client will be told what the rows of this Bind are like. */
static bool server_again_is_described(struct span bytes)
{
	struct frame frame;
	struct message_target target;
	if (frame_next(bytes, SERVER_MAX_LEN, &frame) != FRAME_OK || !frame.complete ||
	    frame_next(span_skip(bytes, frame.size), SERVER_MAX_LEN, &frame) !=
		FRAME_OK) {
		return false;
	}
	return frame.type == 'D' && frame.complete &&
	       message_read_target(frame.body, &target) == 0 && target.kind == 'P';
}

/* Puts the items of what goes first in front: the Sync that ends the failed group, and
 * what prepares the statement again. */
static bool server_again_owe(struct server *server, uint64_t id)
{
	const struct owed parse = { .kind = 'P',
				    .flags = OWED_SWALLOW,
				    .statement_id = id };
	const struct owed close = { .kind = 'C', .flags = OWED_SWALLOW };
	/* of a group that has failed: nothing of it happened */
	const struct owed sync = { .kind = 'S', .flags = OWED_SWALLOW, .failed = true };
	return owed_push_front(&server->owed, parse) == 0 &&
	       owed_push_front(&server->owed, close) == 0 &&
	       owed_push_front(&server->owed, sync) == 0;
}

static void server_again_send(struct server *server, struct statement *statement,
			      bool is_unnamed, struct span bytes)
{
	struct span name = is_unnamed ? SPAN_LIT("") : span_str(statement->name);
	struct span text = statement_text(statement);
	struct span types = statement_parse_types(statement);
	struct buf message;
	buf_init(&message, text.n + types.n + 256);
	writer_close(&message, 'S', name);
	writer_parse(&message, name, text, types);
	bool ok = buf_ok(&message);
	if (ok) {
		stream_put(&server->stream, buf_span(&message));
		stream_put(&server->stream, bytes);
	}
	buf_fini(&message);
	if (!ok) {
		server_close(server, SERVER_CLOSE_OUT_OF_MEMORY);
	}
}

bool server_again(struct server *server, const struct frame *frame)
{
	struct owed *head = owed_head(&server->owed);
	struct client *client = server->client;
	bool synced;
	if (head == NULL || head->again_at == 0 || client == NULL ||
	    server->again != AGAIN_KEEPS || !buf_ok(&server->again_bytes) ||
	    server->tx_status != 'I' || !server_again_is_cause(frame) ||
	    !server_again_is_alone(server, &synced)) {
		return false;
	}
	struct span bytes =
	    span_skip(buf_span(&server->again_bytes), head->again_at - 1);
	if (head->kind == 'B' && server->again_is_told &&
	    !server_again_is_described(bytes)) {
		return false;
	}
	head->again_at = 0; /* once */
	struct statement *statement = head->statement;
	bool is_unnamed = head->statement_id == 0;
	if (!synced) {
		stream_put_static(&server->stream, WIRE_SYNC);
	}
	if (!server_again_owe(server, is_unnamed ? 0 : statement->id)) {
		server_close(server, SERVER_CLOSE_OUT_OF_MEMORY);
		return true;
	}
	/* what follows must not be sent before it is known that the Parse succeeds */
	client->inject_at = server->owed.n_popped + 3;
	server_again_send(server, statement, is_unnamed, bytes);
	struct metrics_db *m = metrics_database(server_worker(server)->metrics,
						server->pool->shared->db_index);
	metric_add(&m->prepared_parses[METRIC_SIDE_SERVER], 1);
	metric_add(&m->prepared_repairs, 1);
	return true;
}
