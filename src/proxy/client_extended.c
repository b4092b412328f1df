/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_extended.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/metrics.h"
#include "cache/entry.h"
#include "proxy/client.h"
#include "proxy/client_find.h"
#include "proxy/client_send.h"
#include "proxy/client_steps.h"
#include "proxy/query.h"
#include "proxy/server_copy.h"
#include "proxy/unit.h"
#include "proxy/worker.h"
#include "sql/plan.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

#define HEAD_MAX 128 /* bytes of a rewritten head, without the client's own name */

static void client_malformed(struct client *client)
{
	client_close_text(client, CLIENT_CLOSE_PROTOCOL, NULL,
			  "invalid message format");
}

static struct metrics_db *client_metrics(struct client *client)
{
	return metrics_database(client->worker->metrics,
				client->pool->shared->db_index);
}

/* Forwarding */

/* A message with another name in front of the rest of it. */
static void client_put_head(struct client *client, struct buf *head, struct span rest)
{
	stream_put(&client->server->stream, buf_span(head));
	stream_put_borrow(&client->server->stream, rest);
}

static bool client_send_plain(struct client *client, const struct frame *frame)
{
	if (!client_owe(client, frame->type, 0, NULL, NULL)) {
		return false;
	}
	client->server->unsynced = true;
	stream_put_borrow(&client->server->stream, frame_bytes(frame));
	return true;
}

/* True when the transaction has failed, or may have: then only the server can say
 * whether it takes a Parse. */
static bool client_may_have_failed(const struct client *client)
{
	char status = client->session.tx_status;
	return status == 'E' || (client->server->owed.n > 0 &&
				 (status != 'I' || client->session.tx_begun));
}

/* A Parse by another name (""), or none, than the client gave. */
static bool client_send_parse_as(struct client *client, struct span name,
				 const struct message_parse *parse, uint64_t id)
{
	struct server *server = client->server;
	if (!client_owe(client, 'P', 0, NULL, NULL)) {
		return false;
	}
	owed_at(&server->owed, server->owed.n - 1)->statement_id = id;
	struct buf head;
	buf_init(&head, HEAD_MAX + name.n);
	writer_parse_head(&head, name, parse->rest.n);
	client_put_head(client, &head, parse->rest);
	buf_fini(&head);
	server->unsynced = true;
	return true;
}

/* Parse goes to the server unless it has the statement already. */
static bool client_send_parse(struct client *client, const struct frame *frame,
			      const struct message_parse *parse,
			      struct statement *statement)
{
	struct server *server = client->server;
	bool is_ours = parse->name.n > 0 && !client->session_mode;
	metric_add(&client_metrics(client)->prepared_parses[METRIC_SIDE_CLIENT], 1);
	if (is_ours && prepared_use(&server->prepared, statement->id)) {
		if (!client_may_have_failed(client)) {
			client_reply(client, WIRE_PARSE_COMPLETE);
			return client_is_open(client);
		}
		server->unnamed_id = statement->id;
		return client_send_parse_as(client, SPAN_LIT(""), parse, OWED_NAMED);
	}
	metric_add(&client_metrics(client)->prepared_parses[METRIC_SIDE_SERVER], 1);
	if (is_ours) {
		return client_note_prepared(client, statement->id) &&
		       client_send_parse_as(client, span_str(statement->name), parse,
					    statement->id);
	}
	if (parse->name.n == 0) {
		server->unnamed_id = statement->id;
	}
	if (!client_send_plain(client, frame)) {
		return false;
	}
	if (parse->name.n > 0) {
		owed_at(&server->owed, server->owed.n - 1)->statement_id = OWED_NAMED;
	}
	return true;
}

/* A Parse of a name that the client has: the server refuses it in its own words, after
 * having looked at the text (T-59). */
static bool client_send_duplicate(struct client *client,
				  const struct message_parse *parse,
				  struct statement *there)
{
	return client_ensure_prepared(client, there, parse->name) &&
	       client_send_parse_as(client,
				    client_server_name(client, there, parse->name),
				    parse, OWED_NAMED);
}

/* Gives the client the statement, which its Parse is about to make or has made. */
static bool client_put_name(struct client *client, struct span name,
			    struct statement *statement, bool is_sent)
{
	struct named *named =
	    names_put(&client->session.names, name, statement, client_position(client));
	if (named == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	named->on_server = is_sent && client->session_mode;
	return true;
}

static bool client_too_many_names(struct client *client, struct span name)
{
	if (!names_are_full(&client->session.names, name)) {
		return false;
	}
	client_fail_batch(client, "53400", "too many prepared statements");
	return true;
}

static bool client_send_bind(struct client *client, const struct frame *frame,
			     const struct message_bind *bind,
			     struct statement *statement)
{
	struct server *server = client->server;
	if ((!client->session_mode &&
	     !client_inject_names(client, statement->plan, OWED_SWALLOW)) ||
	    !client_ensure_prepared(client, statement, bind->statement) ||
	    !client_owe(client, 'B', 0, NULL, NULL)) {
		return false;
	}
	server->unsynced = true;
	if (bind->statement.n == 0 || client->session_mode) {
		stream_put_borrow(&server->stream, frame_bytes(frame));
		return true;
	}
	struct buf head;
	buf_init(&head, HEAD_MAX + bind->portal.n);
	writer_bind_head(&head, bind->portal, span_str(statement->name), bind->rest.n);
	client_put_head(client, &head, bind->rest);
	buf_fini(&head);
	return true;
}

/* Execute, with what is measured and what it may commit.  Facts of the bound statement
 * were noted with Bind, so they are in flight before a commit can be. */
static bool client_send_execute(struct client *client, const struct frame *frame,
				struct query *query, const struct plan *plan)
{
	struct commit *commit;
	if (!client_begin_commit(client, plan, true, &commit)) {
		query_free(query);
		return false;
	}
	if (!client_owe(client, 'E', 0, query, commit)) {
		return false;
	}
	client->server->unsynced = true;
	stream_put_borrow(&client->server->stream, frame_bytes(frame));
	client_note_sent(client, plan);
	return true;
}

static void client_set_portal(struct client *client, struct span portal,
			      struct plan *plan, bool is_hit)
{
	if (portal.n == 0) {
		plan_unref(client->portal_plan);
		client->portal_plan = plan ? plan_ref(plan) : NULL;
		client->portal_is_hit = is_hit;
	} else if (plan != NULL && plan->kind == PLAN_COMMIT_PREPARED) {
		/* its Execute does not know which */
		struct writes *writes = &client->session.writes;
		writes->any = writes->all = writes->ddl = true;
	}
}

/* Answers for a client that could not get a server connection. */
static void client_batch_failed(struct client *client)
{
	struct pool_error error = client->wait_error;
	client->wait_error.sqlstate[0] = 0;
	client_fail_batch(client, error.sqlstate, error.message);
}

/* A server connection for the message, or unit, of SIZE bytes at hand.  False: *TAKEN
 * is what the step returns, 0 while the client waits. */
static bool client_has_server(struct client *client, size_t size, size_t *taken)
{
	enum acquired acquired = client_acquire(client);
	*taken = acquired == ACQUIRE_FAILED ? size : 0;
	if (acquired == ACQUIRE_FAILED) {
		client_batch_failed(client);
	}
	return acquired == ACQUIRED;
}

/* The unit */

static void unit_reply_hit(struct client *client, const struct unit *unit,
			   struct statement *statement, struct entry *entry)
{
	if (unit->has_parse) {
		if (client_too_many_names(client, unit->parse.name) ||
		    !client_put_name(client, unit->parse.name, statement, false)) {
			entry_unref(entry);
			return;
		}
		client_reply(client, WIRE_PARSE_COMPLETE);
	}
	client_set_portal(client, unit->bind.portal, statement->plan, true);
	client_reply(client, WIRE_BIND_COMPLETE);
	client_reply_entry(client, entry);
}

/* Forwards the four messages with one query object, which collects the answer. */
static void unit_forward(struct client *client, const struct unit *unit,
			 const struct request *request, const struct store_fill *fill,
			 uint8_t route)
{
	struct statement *statement = request->statement;
	if (unit->has_parse &&
	    (client_too_many_names(client, unit->parse.name) ||
	     !client_send_parse(client, &unit->parse_frame, &unit->parse, statement) ||
	     !client_put_name(client, unit->parse.name, statement, true))) {
		return;
	}
	client_note_statement(client, request, true);
	client_set_portal(client, unit->bind.portal, request->plan, false);
	if (!client_send_bind(client, &unit->bind_frame, &unit->bind, statement)) {
		return;
	}
	struct query *query = query_new(client, request, route);
	if (query == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return;
	}
	if (fill->may_store && !client->server->suspect) {
		query_capture(client, query, fill);
	}
	if (unit->described) {
		if (!client_send_plain(client, &unit->describe_frame)) {
			query_free(query);
			return;
		}
		/* the RowDescription that answers it belongs to the entry */
		owed_at(&client->server->owed, client->server->owed.n - 1)->collects =
		    query->capture != NULL;
	}
	(void)client_send_execute(client, &unit->execute_frame, query, request->plan);
}

/* Whether the server has the unit's statement hangs on an earlier group. */
static bool unit_is_open(struct client *client, const struct unit *unit,
			 const struct statement *statement)
{
	if (unit->has_parse) {
		return unit->parse.name.n > 0 && client_is_parsing(client, statement);
	}
	return client_is_injecting(client, statement, unit->bind.statement);
}

static size_t client_unit(struct client *client, const struct unit *unit,
			  struct statement *statement)
{
	struct request request = {
		.text = statement_text(statement),
		.statement = statement,
		.bind = &unit->bind,
		.described = unit->described,
		.max_rows = unit->execute.max_rows,
	};
	struct store_fill fill;
	struct entry *entry;
	uint8_t route;
	uint64_t start = clock_now_ns();
	enum found found = client_find(client, &request, &entry, &fill, &route);
	if (found == FOUND_WAITS) {
		return 0;
	}
	if (found == FOUND_HIT) {
		if (statement->plan == NULL) {
			query_plan(client, &request);
		}
		query_served(client->worker, client, entry, start, route);
		unit_reply_hit(client, unit, statement, entry);
		return unit->size;
	}
	size_t taken;
	if (!client_has_server(client, unit->size, &taken)) {
		return taken;
	}
	if (unit_is_open(client, unit, statement)) {
		client_wait_answers(client);
		return 0;
	}
	if (request.plan == NULL) {
		query_plan(client, &request);
	}
	unit_forward(client, unit, &request, &fill, route);
	return unit->size;
}

/* The statement that a Parse of the unit makes; NULL: take the message alone. */
static struct statement *unit_statement(struct client *client, const struct unit *unit)
{
	if (!unit->has_parse) {
		struct statement *known =
		    session_statement(&client->session, unit->bind.statement);
		return known ? statement_ref(known) : NULL;
	}
	if (unit->parse.name.n > 0 &&
	    (client_name_is_open(client, unit->parse.name) ||
	     session_statement(&client->session, unit->parse.name) != NULL)) {
		return NULL; /* perhaps an error */
	}
	return statement_intern(client->worker->statements, unit->parse.text,
				unit->parse.counted_types,
				session_parse_id(&client->session));
}

/* Tries the message at the front of IN as the beginning of a unit.  *TAKEN as the
 * steps' result; false: take it alone. */
static bool client_try_unit(struct client *client, struct span in, size_t *taken)
{
	struct unit unit;
	enum collected c =
	    unit_collect((uint32_t)client->worker->config->max_packet_size, in, &unit);
	if (c == COLLECT_MORE && in.n < client->worker->config->client_hold_max) {
		*taken = 0;
		return true;
	}
	if (c != COLLECTED) {
		return false;
	}
	struct statement *statement = unit_statement(client, &unit);
	if (statement == NULL) {
		return false;
	}
	*taken = client_unit(client, &unit, statement);
	statement_unref(statement);
	return true;
}

/* The messages alone */

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
	if (there != NULL) {
		(void)client_send_duplicate(client, &parse, there);
		return frame->size;
	}
	struct statement *statement =
	    statement_intern(client->worker->statements, parse.text,
			     parse.counted_types, session_parse_id(&client->session));
	if (statement == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return 0;
	}
	taken = frame->size;
	if (parse.name.n > 0 && client_is_parsing(client, statement)) {
		client_wait_answers(client);
		taken = 0;
	} else if (!client_too_many_names(client, parse.name) &&
		   client_send_parse(client, frame, &parse, statement)) {
		(void)client_put_name(client, parse.name, statement, true);
	}
	statement_unref(statement);
	return taken;
}

/* A statement that we do not know, or that cannot be read, may still be one: PREPARE
 * makes them, too.  What it does is unknown. */
static void client_note_unknown(struct client *client)
{
	struct session *session = &client->session;
	if ((session->pins & PIN_PREPARE) != 0 ||
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
		client_fail_batch(client, "26000",
				  "prepared statement of this name does not exist");
		return false;
	}
	if (name.n == 0 && client->server->unnamed_id != SERVER_UNNAMED_LARGE) {
		return client_inject_close(client, SPAN_LIT(""));
	}
	return true;
}

static size_t client_bind_unknown(struct client *client, const struct frame *frame,
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
	client_note_statement(client, request, request->plan->kind != PLAN_SET);
	if (request->plan->kind == PLAN_SET && portal.n > 0) {
		session_distrust(&client->session);
	}
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
	struct statement *statement =
	    session_statement(&client->session, bind.statement);
	if (statement == NULL) {
		return client_bind_unknown(client, frame, &bind);
	}
	if (!client_has_server(client, frame->size, &taken)) {
		return taken;
	}
	if (client_is_injecting(client, statement, bind.statement)) {
		client_wait_answers(client);
		return 0;
	}
	/* values that cannot be read are PostgreSQL's to refuse */
	struct request request = { .text = statement_text(statement),
				   .statement = statement,
				   .bind = is_whole ? &bind : NULL };
	query_plan(client, &request);
	client_note_bound(client, &request, bind.portal);
	client_set_portal(client, bind.portal, request.plan, false);
	(void)client_send_bind(client, frame, &bind, statement);
	return frame->size;
}

static bool client_describe_statement(struct client *client, const struct frame *frame,
				      struct span name)
{
	struct statement *statement = session_statement(&client->session, name);
	if (!client_ensure_prepared(client, statement, name)) {
		return false;
	}
	if (name.n == 0 || client->session_mode) {
		return client_send_plain(client, frame);
	}
	if (!client_owe(client, 'D', 0, NULL, NULL)) {
		return false;
	}
	client->server->unsynced = true;
	struct buf message;
	buf_init(&message, HEAD_MAX);
	writer_describe(&message, 'S', span_str(statement->name));
	stream_put(&client->server->stream, buf_span(&message));
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
	if (target.kind == 'S' &&
	    session_statement(&client->session, target.name) == NULL) {
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
		struct statement *statement =
		    session_statement(&client->session, target.name);
		if (client_is_injecting(client, statement, target.name)) {
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
	struct request request = { 0 };
	request.plan = execute.portal.n == 0 ? client->portal_plan : NULL;
	if (request.plan != NULL && request.plan->kind == PLAN_SET) {
		session_sent(&client->session, request.plan, client->server->context);
	}
	struct query *query = query_new(client, &request, METRIC_ROUTE_BYPASS);
	if (query == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return 0;
	}
	(void)client_send_execute(client, frame, query, request.plan);
	return frame->size;
}

/* In session mode, and when SQL has prepared it, the server has the name; else its
 * statement stays there, for whoever prepares the same. */
static void client_close_statement(struct client *client, const struct frame *frame,
				   struct span name)
{
	const struct named *named = names_find(&client->session.names, name);
	bool on_server = named != NULL ? client->session_mode && named->on_server
				       : client->session.pins & PIN_PREPARE;
	if (client->server != NULL && on_server && name.n > 0) {
		if (!client_send_plain(client, frame)) {
			return;
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
		stream_put_static(&client->server->stream, WIRE_FLUSH);
	}
	return frame->size;
}

size_t client_sync(struct client *client, struct span in, const struct frame *frame)
{
	struct server *server = client->server;
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
	owed_at(&server->owed, server->owed.n - 1)->copy_ends =
	    server_copies_ended(server);
	server->unsynced = false;
	stream_put_static(&server->stream, WIRE_SYNC);
	return frame->size;
}

static size_t client_pass_rest(struct client *client, struct span in,
			       const struct frame *frame, size_t skip, bool drop)
{
	client->pass_left = frame->size - skip;
	client->pass_drop = drop;
	size_t n = in.n - skip < client->pass_left ? in.n - skip : client->pass_left;
	if (!drop) {
		stream_put_borrow(&client->server->stream, span_make(in.p + skip, n));
	}
	client->pass_left -= n;
	return skip + n;
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
	struct statement *statement =
	    session_statement(&client->session, bind.statement);
	if (statement == NULL) {
		client_fail_batch(client, "26000", "prepared statement does not exist");
		return client_pass_rest(client, in, frame, 0, true);
	}
	enum acquired acquired = client_acquire(client);
	if (acquired == ACQUIRE_WAITS) {
		return 0;
	}
	if (acquired == ACQUIRE_FAILED) {
		client_batch_failed(client);
		return client_pass_rest(client, in, frame, 0, true);
	}
	if (client_is_injecting(client, statement, bind.statement)) {
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
	client->server->unsynced = true;
	size_t names = (size_t)(bind.rest.p - in.p);
	struct buf head;
	buf_init(&head, HEAD_MAX + bind.portal.n + bind.statement.n);
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
	client_fail_batch(client, "54000", "message is larger than client_hold_max");
	return client_pass_rest(client, in, frame, 0, true);
}
