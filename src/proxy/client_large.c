/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_large.h"

#include <string.h>

#include "base/config.h"
#include "base/metrics.h"
#include "base/sqlstate.h"
#include "cache/entry.h"
#include "proxy/client.h"
#include "proxy/client_acquire.h"
#include "proxy/client_forward.h"
#include "proxy/client_prepare.h"
#include "proxy/client_send.h"
#include "proxy/query.h"
#include "proxy/server_again.h"
#include "sql/plan.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

static size_t client_pass_rest(struct client *client, struct span in,
			       const struct frame *frame, size_t skip, bool drop)
{
	client->pass_left = frame->size - skip;
	client->pass_drop = drop;
	size_t n = in.n - skip < client->pass_left ? in.n - skip : client->pass_left;
	if (!drop) {
		server_again_never(client->server);
		stream_put_borrow(&client->server->stream, span_make(in.p + skip, n));
	}
	client->pass_left -= n;
	return skip + n;
}

/* A Parse with a large text passes under the client's own name.  It is not kept, so it
 * cannot be prepared elsewhere: the client stays with its server connection until the
 * statement is gone. */
static size_t client_large_parse(struct client *client, struct span in,
				 const struct frame *frame)
{
	const uint8_t *zero = memchr(frame->body.p, 0, frame->body.n);
	if (zero == NULL) {
		client_malformed(client);
		return 0;
	}
	struct session *session = &client->session;
	struct span name = span_make(frame->body.p, (size_t)(zero - frame->body.p));
	if (client_name_is_open(client, name)) {
		client_wait_answers(client);
		return 0;
	}
	enum acquired acquired = client_acquire(client);
	if (acquired == ACQUIRE_WAITS) {
		return 0;
	}
	if (acquired == ACQUIRE_FAILED) {
		client_batch_failed(client);
		return client_pass_rest(client, in, frame, 0, true);
	}
	if (name.n > 0 && names_find(&session->names, name) != NULL) {
		client_fail_batch(client, SQLSTATE_DUPLICATE_STATEMENT,
				  "prepared statement of this name already exists");
		return client_pass_rest(client, in, frame, 0, true);
	}
	if (!client_owe(client, 'P', 0, NULL, NULL)) {
		return 0;
	}
	struct server *server = client->server;
	if (name.n > 0) {
		owed_at(&server->owed, server->owed.n - 1)->statement_id = OWED_NAMED;
	} else {
		client_set_unnamed(client, SERVER_UNNAMED_LARGE);
		client->has_large_unnamed = true;
		names_remove(&session->names, name, client_position(client));
	}
	session_pin(session, PIN_LARGE);
	server->unsynced = true;
	return client_pass_rest(client, in, frame, 0, false);
}

/* A Bind of a statement that only the server knows. */
static size_t client_large_bind_unknown(struct client *client, struct span in,
					const struct frame *frame)
{
	struct server *server = client->server;
	if (server == NULL ||
	    ((client->session.pins & (PIN_PREPARE | PIN_LARGE)) == 0)) {
		client_fail_batch(client, SQLSTATE_UNKNOWN_STATEMENT,
				  "prepared statement does not exist");
		return client_pass_rest(client, in, frame, 0, true);
	}
	session_sent_unknown(&client->session);
	if (!client_owe(client, 'B', 0, NULL, NULL)) {
		return 0;
	}
	server->unsynced = true;
	return client_pass_rest(client, in, frame, 0, false);
}

/* A Bind with large values: the names are at its beginning, the values are not known.
 */
static size_t client_large_bind(struct client *client, struct span in,
				const struct frame *frame)
{
	struct message_bind bind;
	if (message_read_bind_names(frame->body, &bind) != 0) {
		client_malformed(client);
		return 0;
	}
	struct statement *statement = client_known(client, bind.statement);
	if (statement == NULL) {
		return client_large_bind_unknown(client, in, frame);
	}
	enum acquired acquired = client_acquire(client);
	if (acquired == ACQUIRE_WAITS) {
		return 0;
	}
	if (acquired == ACQUIRE_FAILED) {
		client_batch_failed(client);
		return client_pass_rest(client, in, frame, 0, true);
	}
	if (client_hangs_on_answers(client, statement, bind.statement)) {
		client_wait_answers(client);
		return 0;
	}
	struct request request = { .text = statement_text(statement),
				   .statement = statement };
	query_plan(client, &request);
	/* no values: every column unknown */
	client_note_statement(client, &request, true);
	client_set_portal(client, bind.portal, request.plan, false);
	if (!client_ensure_prepared(client, statement, bind.statement) ||
	    !client_owe(client, 'B', 0, NULL, NULL)) {
		return 0;
	}
	client_keep_name(client, names_find(&client->session.names, bind.statement),
			 bind.statement);
	client->server->unsynced = true;
	size_t names = (size_t)(bind.rest.p - in.p);
	struct buf head;
	buf_init(&head, CLIENT_HEAD_MAX + bind.portal.n + bind.statement.n);
	writer_bind_head(&head, bind.portal,
			 client_server_name(client, statement, bind.statement),
			 frame->size - names);
	stream_put(&client->server->stream, buf_span(&head));
	buf_fini(&head);
	return client_pass_rest(client, in, frame, names, false);
}

size_t client_large_extended(struct client *client, struct span in,
			     const struct frame *frame)
{
	if (frame->type == 'B') {
		return client_large_bind(client, in, frame);
	}
	if (frame->type == 'P') {
		return client_large_parse(client, in, frame);
	}
	client_fail_batch(client, SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
			  "message is larger than client_hold_max");
	return client_pass_rest(client, in, frame, 0, true);
}
