/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_extended.h"

#include <string.h>

#include "base/metrics.h"
#include "base/sqlstate.h"
#include "proxy/client.h"
#include "proxy/client_acquire.h"
#include "proxy/client_forward.h"
#include "proxy/client_listen.h"
#include "proxy/client_prepare.h"
#include "proxy/client_send.h"
#include "proxy/client_sequences.h"
#include "proxy/client_shows.h"
#include "proxy/client_steps.h"
#include "proxy/client_unit.h"
#include "proxy/query.h"
#include "proxy/server_again.h"
#include "proxy/server_copy.h"
#include "proxy/worker.h"
#include "sql/plan.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

SELDOM static size_t client_parse_refused(struct client *client,
					  const struct frame *frame)
{
	if (!statement_is_surplus(client->worker->statements, frame->size)) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return 0;
	}
	client_fail_batch(client, SQLSTATE_OUT_OF_MEMORY,
			  "too many prepared statements of all clients");
	return frame->size;
}

size_t client_parse(struct client *client, struct span in, const struct frame *frame)
{
	size_t taken;
	if (client_try_unit(client, in, &taken)) {
		return taken;
	}
	struct message_parse parse;
	if (message_read_parse(frame->body, &parse) != 0) {
		client_malformed(client);
		return 0;
	}
	if (parse.name.n > 0 && client_name_is_open(client, parse.name)) {
		client_wait_answers(client);
		return 0;
	}
	struct statement *there =
	    parse.name.n > 0 ? session_statement(&client->session, parse.name) : NULL;
	if (!client_has_server(client, frame->size, &taken)) {
		return taken;
	}
	if (there != NULL && client_hangs_on_answers(client, there, parse.name)) {
		client_wait_answers(client);
		return 0;
	}
	if (there != NULL) {
		(void)client_send_duplicate(client, &parse, there);
		return frame->size;
	}
	struct statement *statement = client_statement(client, &parse);
	if (statement == NULL) {
		return client_parse_refused(client, frame);
	}
	taken = frame->size;
	bool is_answered;
	if (parse.name.n > 0 && client_is_parsing(client, statement)) {
		client_wait_answers(client);
		taken = 0;
	} else if (!client_may_parse_show(client, statement, parse.name,
					  &is_answered)) {
		taken = is_answered ? taken : 0;
	} else if (!client_too_many_names(client, parse.name) &&
		   client_send_parse(client, frame, &parse, statement)) {
		(void)client_put_name(client, parse.name, statement, true);
	}
	statement_unref(statement);
	return taken;
}

/* A statement that we do not know, or that cannot be read, may still be one: PREPARE
 * makes them, too, also inside a function.  What it does is unknown. */
static void client_note_unknown(struct client *client)
{
	struct session *session = &client->session;
	if ((session->pins & (PIN_PREPARE | PIN_LARGE)) != 0 || session->suspect ||
	    client->session_mode ||
	    client->server->unnamed_id == SERVER_UNNAMED_LARGE) {
		session_sent_unknown(session);
	}
}

/* Whether a message about a statement that we do not know may go to the server as it
 * is, so that PostgreSQL says what it says.  False: it has been answered or must wait;
 * *TAKEN is the step's result. */
static bool client_may_ask(struct client *client, const struct frame *frame,
			   struct span name, size_t *taken)
{
	static const char ours[] = "pgrecall_";
	*taken = 0;
	if (client_name_is_open(client, name)) {
		client_wait_answers(client);
		return false;
	}
	if (!client_has_server(client, frame->size, taken)) {
		return false;
	}
	*taken = frame->size;
	if (!client->session_mode && name.n >= sizeof(ours) - 1 &&
	    memcmp(name.p, ours, sizeof(ours) - 1) == 0) {
		client_fail_batch(client, SQLSTATE_UNKNOWN_STATEMENT,
				  "prepared statement of this name does not exist");
		return false;
	}
	if (name.n == 0 && client->server->unnamed_id != SERVER_UNNAMED_LARGE) {
		return client_inject_close(client, SPAN_LIT(""));
	}
	return true;
}

SELDOM static size_t client_bind_unknown(struct client *client,
					 const struct frame *frame,
					 const struct message_bind *bind)
{
	size_t taken;
	if (client_may_ask(client, frame, bind->statement, &taken)) {
		client_note_unknown(client);
		client_set_portal(client, bind->portal, NULL, false);
		(void)client_send_plain(client, frame);
	}
	return taken;
}

/* A setting changes when its portal is executed, not when it is bound; which one a
 * named portal executes is not known then. */
static void client_note_bound(struct client *client, const struct request *request,
			      struct span portal)
{
	if (request->plan->kind == PLAN_SAVEPOINT) {
		client->session.savepoints.are_unsure = true;
	}
	client_note_statement(client, request, request->plan->kind != PLAN_SET);
	if (request->plan->kind == PLAN_SET && portal.n > 0) {
		session_distrust(&client->session);
	}
	client->session.ends_by_portal |=
	    portal.n > 0 && (request->plan->kind == PLAN_COMMIT ||
			     request->plan->kind == PLAN_ROLLBACK ||
			     request->plan->kind == PLAN_PREPARE_TX);
}

static size_t client_bind_known(struct client *client, const struct frame *frame,
				const struct message_bind *bind, bool is_whole,
				struct statement *statement)
{
	size_t taken;
	/* values that cannot be read are PostgreSQL's to refuse */
	struct request request = { .text = statement_text(statement),
				   .statement = statement,
				   .bind = is_whole ? bind : NULL };
	query_plan(client, &request);
	if (client_forbids(client, request.plan)) {
		client_fail_batch(client, SQLSTATE_FEATURE_NOT_SUPPORTED,
				  CLIENT_NO_BLOCKS);
		return frame->size;
	}
	if (!client_has_server(client, frame->size, &taken)) {
		return taken;
	}
	if (client_hangs_on_answers(client, statement, bind->statement)) {
		client_wait_answers(client);
		return 0;
	}
	bool is_answered;
	if (!client_listen_may_bind(client, request.plan, bind->portal, &is_answered)) {
		return is_answered ? frame->size : 0;
	}
	if (!client_forget_sequences(client, request.plan)) {
		return 0;
	}
	client_note_bound(client, &request, bind->portal);
	client_set_portal(client, bind->portal, request.plan, false);
	(void)client_send_bind(client, frame, bind, statement);
	return frame->size;
}

size_t client_bind_portal(struct client *client, struct span in,
			  const struct frame *frame)
{
	size_t taken;
	if (client_try_unit(client, in, &taken)) {
		return taken;
	}
	struct message_bind bind;
	bool is_whole = message_read_bind(frame->body, &bind) == 0;
	if (!is_whole && message_read_bind_names(frame->body, &bind) != 0) {
		client_malformed(client);
		return 0;
	}
	struct statement *statement = client_known(client, bind.statement);
	if (statement == NULL) {
		return client_bind_unknown(client, frame, &bind);
	}
	/* a statement that executes or closes its own name takes it from the names */
	statement_ref(statement);
	taken = client_bind_known(client, frame, &bind, is_whole, statement);
	statement_unref(statement);
	return taken;
}

static bool client_describe_statement(struct client *client, const struct frame *frame,
				      struct span name)
{
	struct statement *statement = client_known(client, name);
	if (!client_ensure_prepared(client, statement, name)) {
		return false;
	}
	if (!client_owe_statement(client, 'D', statement, name)) {
		return false;
	}
	struct named *named = names_find(&client->session.names, name);
	if (named != NULL) {
		named->is_told = true;
	}
	client->server->unsynced = true;
	if (name.n == 0 || client->session_mode) {
		server_put_borrow(client->server, frame_bytes(frame));
		return true;
	}
	struct buf message;
	buf_init(&message, CLIENT_HEAD_MAX);
	writer_describe(&message, 'S', span_str(statement->name));
	server_put(client->server, buf_span(&message));
	buf_fini(&message);
	return true;
}

size_t client_describe(struct client *client, struct span in, const struct frame *frame)
{
	struct message_target target;
	if (message_read_target(frame->body, &target) != 0) {
		client_malformed(client);
		return 0;
	}
	if (target.kind == 'S' && client_known(client, target.name) == NULL) {
		size_t taken;
		if (client_may_ask(client, frame, target.name, &taken)) {
			(void)client_send_plain(client, frame);
		}
		return taken;
	}
	enum acquired acquired = client_acquire(client);
	if (acquired == ACQUIRE_WAITS) {
		return 0;
	}
	if (acquired == ACQUIRE_FAILED) {
		client_batch_failed(client);
	} else if (target.kind == 'S') {
		struct statement *statement = client_known(client, target.name);
		if (client_hangs_on_answers(client, statement, target.name)) {
			client_wait_answers(client);
			return 0;
		}
		(void)client_describe_statement(client, frame, target.name);
	} else {
		(void)client_send_plain(client, frame);
	}
	return frame->size;
}

size_t client_execute(struct client *client, struct span in, const struct frame *frame)
{
	struct message_execute execute;
	if (message_read_execute(frame->body, &execute) != 0) {
		client_malformed(client);
		return 0;
	}
	if (execute.portal.n == 0 && client->portal_is_hit &&
	    client->session.tx_status != 'E') {
		/* all rows have been fetched */
		client_reply(client, SPAN_LIT("C\0\0\0\15SELECT 0\0"));
		return frame->size;
	}
	size_t taken;
	if (!client_has_server(client, frame->size, &taken)) {
		return taken;
	}
	struct plan *named;
	bool is_answered;
	if (!client_listen_may_execute(client, execute.portal, &named, &is_answered)) {
		return is_answered ? frame->size : 0;
	}
	struct plan *plan = execute.portal.n == 0 ? client->portal_plan : NULL;
	struct request request = { .plan = plan != NULL ? plan : named };
	if (request.plan != NULL && request.plan->kind == PLAN_SET) {
		client_note_settings(client, request.plan);
	}
	struct query *query = query_new(client, &request, METRIC_ROUTE_BYPASS);
	if (query == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return 0;
	}
	if (client_send_execute(client, frame, query, plan) && named != NULL) {
		client_note_sent(client, named);
	}
	return frame->size;
}

/* In session mode, and when SQL has prepared it, the server has the name; else its
 * statement stays there, for whoever prepares the same. */
static void client_close_statement(struct client *client, const struct frame *frame,
				   struct span name)
{
	const struct named *named = names_find(&client->session.names, name);
	bool on_server = named != NULL
			     ? client->session_mode && named->on_server
			     : client->session_mode ||
				   (client->session.pins & (PIN_PREPARE | PIN_LARGE));
	bool is_large = name.n == 0 && client->server != NULL &&
			client->server->unnamed_id == SERVER_UNNAMED_LARGE;
	if (client->server != NULL && (is_large || (on_server && name.n > 0))) {
		client->session.pins_end |= PIN_PREPARE | PIN_LARGE;
		if (!client_send_plain(client, frame)) {
			return;
		}
		if (is_large) {
			client_set_unnamed(client, 0);
		}
	} else {
		client_reply(client, WIRE_CLOSE_COMPLETE);
	}
	names_remove(&client->session.names, name, client_position(client));
}

size_t client_close_target(struct client *client, struct span in,
			   const struct frame *frame)
{
	struct message_target target;
	if (message_read_target(frame->body, &target) != 0) {
		client_malformed(client);
		return 0;
	}
	struct server *server = client->server;
	if (target.kind == 'S') {
		client_close_statement(client, frame, target.name);
		return frame->size;
	}
	if (target.name.n == 0) {
		client_set_portal(client, target.name, NULL, false);
	}
	listen_portals_close(&client->listens.portals, target.name);
	if (server != NULL) {
		(void)client_send_plain(client, frame);
	} else {
		client_reply(client,
			     WIRE_CLOSE_COMPLETE); /* no portal outlives its server */
	}
	return frame->size;
}

size_t client_flush(struct client *client, struct span in, const struct frame *frame)
{
	if (client->server != NULL && client->server->unsynced) {
		server_put_borrow(client->server, WIRE_FLUSH);
	}
	return frame->size;
}

size_t client_sync(struct client *client, struct span in, const struct frame *frame)
{
	struct server *server = client->server;
	bool failed = client->skip;
	client->skip = false;
	if (client->session.tx_status == 'I') {
		client->portal_is_hit = false; /* no portal outlives its transaction */
	}
	if (server != NULL && server->copy_in) {
		/* PostgreSQL ignores Sync while it reads CopyData (T-71) */
		stream_put_static(&server->stream, WIRE_SYNC);
		return frame->size;
	}
	if (server == NULL || (!server->unsynced && server->owed.n == 0)) {
		/* everything since the last Sync was answered here, and the status is
		 * known */
		client_reply_ready(client);
		return frame->size;
	}
	struct commit *commit;
	if (!client_begin_commit(client, NULL, false, &commit) ||
	    !client_owe(client, 'S', 0, NULL, commit)) {
		return 0;
	}
	uint8_t copy_ends = server_copies_ended(server);
	struct owed *item = owed_at(&server->owed, server->owed.n - 1);
	item->copy_ends = copy_ends;
	item->failed = failed; /* the error was there before it */
	server->unsynced = false;
	client->settings_synced = owed_head(&server->owed)->flags & OWED_SETTINGS;
	server_put_borrow(server, WIRE_SYNC);
	server_again_end(server);
	return frame->size;
}
