/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_extended.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/metrics.h"
#include "cache/entry.h"
#include "proxy/client.h"
#include "proxy/client_find.h"
#include "proxy/client_send.h"
#include "proxy/client_steps.h"
#include "proxy/query.h"
#include "proxy/worker.h"
#include "sql/plan.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

#define HEAD_MAX \
	1024 /* bytes of a rewritten head; client names longer than this are errors */

/* One unit: what a driver sends for one query.  Frames lie one behind the other. */
struct unit {
	bool has_parse;
	bool described;
	struct frame parse_frame;
	struct frame bind_frame;
	struct frame describe_frame;
	struct frame execute_frame;
	struct message_parse parse;
	struct message_bind bind;
	struct message_execute execute;
	size_t size; /* bytes of all of it */
};

enum collected {
	COLLECTED,     /* the unit is whole */
	COLLECT_MORE,  /* it may become one: wait for the rest */
	COLLECT_OTHER, /* something else: take the message alone */
};

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

/* Collecting */

static enum collected unit_next(struct client *client, struct span *left,
				struct frame *frame)
{
	enum frame_result r =
	    frame_next(*left, (uint32_t)client->worker->config->max_packet_size, frame);
	if (r == FRAME_BAD) {
		return COLLECT_OTHER; /* told when its turn comes */
	}
	if (r == FRAME_NEED || !frame->complete) {
		return COLLECT_MORE;
	}
	return COLLECTED;
}

static enum collected unit_bind(struct client *client, struct span *left,
				struct unit *unit)
{
	enum collected c = unit_next(client, left, &unit->bind_frame);
	if (c != COLLECTED) {
		return c;
	}
	if (unit->bind_frame.type != 'B' ||
	    message_read_bind(unit->bind_frame.body, &unit->bind) != 0 ||
	    unit->bind.portal.n != 0 ||
	    (unit->has_parse && !span_eq(unit->bind.statement, unit->parse.name))) {
		return COLLECT_OTHER;
	}
	*left = span_skip(*left, unit->bind_frame.size);
	return COLLECTED;
}

static enum collected unit_describe(struct client *client, struct span *left,
				    struct unit *unit)
{
	struct message_target target;
	enum collected c = unit_next(client, left, &unit->describe_frame);
	if (c != COLLECTED || unit->describe_frame.type != 'D') {
		return c;
	}
	if (message_read_target(unit->describe_frame.body, &target) != 0 ||
	    target.kind != 'P' || target.name.n != 0) {
		return COLLECT_OTHER;
	}
	unit->described = true;
	*left = span_skip(*left, unit->describe_frame.size);
	return COLLECTED;
}

/* Parse?, Bind, Describe portal?, Execute, all of the unnamed portal.  Waiting for more
 * is harmless: PostgreSQL answers nothing of it before a Flush or a Sync has come. */
static enum collected unit_collect(struct client *client, struct span in,
				   struct unit *unit)
{
	struct span left = in;
	enum collected c;
	*unit = (struct unit){ 0 };
	if (in.p[0] == 'P') {
		c = unit_next(client, &left, &unit->parse_frame);
		if (c != COLLECTED) {
			return c;
		}
		if (message_read_parse(unit->parse_frame.body, &unit->parse) != 0) {
			return COLLECT_OTHER;
		}
		unit->has_parse = true;
		left = span_skip(left, unit->parse_frame.size);
	}
	c = unit_bind(client, &left, unit);
	if (c == COLLECTED) {
		c = unit_describe(client, &left, unit);
	}
	if (c == COLLECTED) {
		c = unit_next(client, &left, &unit->execute_frame);
	}
	if (c != COLLECTED) {
		return c;
	}
	if (unit->execute_frame.type != 'E' ||
	    message_read_execute(unit->execute_frame.body, &unit->execute) != 0 ||
	    unit->execute.portal.n != 0) {
		return COLLECT_OTHER;
	}
	unit->size = in.n - left.n + unit->execute_frame.size;
	return COLLECTED;
}

/* Forwarding */

/* A message with another name in front of the rest of it. */
static void client_put_head(struct client *client, struct buf *head, struct span rest)
{
	stream_put(&client->server->stream, buf_span(head));
	stream_put_borrow(&client->server->stream, rest);
}

/* Parse goes to the server unless it has the statement already.  REPLY: the client is
 * owed ParseComplete. */
static bool client_send_parse(struct client *client, const struct frame *frame,
			      const struct message_parse *parse,
			      struct statement *statement)
{
	struct server *server = client->server;
	metric_add(&client_metrics(client)->prepared_parses[METRIC_SIDE_CLIENT], 1);
	if (parse->name.n == 0) {
		if (!client_owe(client, 'P', 0, NULL, NULL)) {
			return false;
		}
		server->unnamed_id = statement->id;
		stream_put_borrow(&server->stream, frame_bytes(frame));
		server->unsynced = true;
		metric_add(&client_metrics(client)->prepared_parses[METRIC_SIDE_SERVER],
			   1);
		return true;
	}
	if (prepared_use(&server->prepared, statement->id)) {
		client_reply(client, WIRE_PARSE_COMPLETE);
		return client_is_open(client);
	}
	if (!client_note_prepared(client, statement->id) ||
	    !client_owe(client, 'P', 0, NULL, NULL)) {
		return false;
	}
	owed_at(&server->owed, server->owed.n - 1)->statement_id = statement->id;
	struct buf head;
	buf_init(&head, HEAD_MAX);
	writer_parse_head(&head, client_server_name(client, statement, parse->name),
			  parse->rest.n);
	client_put_head(client, &head, parse->rest);
	buf_fini(&head);
	server->unsynced = true;
	metric_add(&client_metrics(client)->prepared_parses[METRIC_SIDE_SERVER], 1);
	return true;
}

static bool client_send_bind(struct client *client, const struct frame *frame,
			     const struct message_bind *bind,
			     struct statement *statement)
{
	struct server *server = client->server;
	if (!client_ensure_prepared(client, statement, bind->statement) ||
	    !client_owe(client, 'B', 0, NULL, NULL)) {
		return false;
	}
	server->unsynced = true;
	if (bind->statement.n == 0 || client->session_mode) {
		stream_put_borrow(&server->stream, frame_bytes(frame));
		return true;
	}
	struct buf head;
	buf_init(&head, HEAD_MAX);
	writer_bind_head(&head, bind->portal, span_str(statement->name), bind->rest.n);
	client_put_head(client, &head, bind->rest);
	buf_fini(&head);
	return true;
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
			      struct plan *plan)
{
	if (portal.n == 0) {
		plan_unref(client->portal_plan);
		client->portal_plan = plan_ref(plan);
	}
}

/* Answers for a client that could not get a server connection. */
static void client_batch_failed(struct client *client)
{
	struct pool_error error = client->wait_error;
	client->wait_error.sqlstate[0] = 0;
	client_fail_batch(client, error.sqlstate, error.message);
}

/* The unit */

static void unit_reply_hit(struct client *client, const struct unit *unit,
			   struct statement *statement, struct entry *entry)
{
	if (unit->has_parse) {
		if (session_prepare(&client->session, unit->parse.name, statement) !=
		    0) {
			entry_unref(entry);
			client_fail_batch(client, "53400",
					  "too many prepared statements");
			return;
		}
		client_reply(client, WIRE_PARSE_COMPLETE);
	}
	client_set_portal(client, unit->bind.portal, statement->plan);
	client_reply(client, WIRE_BIND_COMPLETE);
	client_reply_entry(client, entry);
}

/* Forwards the four messages with one query object, which collects the answer. */
static void unit_forward(struct client *client, const struct unit *unit,
			 const struct request *request, const struct store_fill *fill,
			 uint8_t route)
{
	struct statement *statement = request->statement;
	if (unit->has_parse) {
		if (session_prepare(&client->session, unit->parse.name, statement) !=
		    0) {
			client_fail_batch(client, "53400",
					  "too many prepared statements");
			return;
		}
		if (!client_send_parse(client, &unit->parse_frame, &unit->parse,
				       statement)) {
			return;
		}
	}
	client_note_statement(client, request);
	client_set_portal(client, unit->bind.portal, request->plan);
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
	enum acquired acquired = client_acquire(client);
	if (acquired == ACQUIRE_WAITS) {
		return 0;
	}
	if (acquired == ACQUIRE_FAILED) {
		client_batch_failed(client);
		return unit->size;
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
	    session_statement(&client->session, unit->parse.name) != NULL) {
		return NULL; /* an error */
	}
	return statement_intern(client->worker->statements, unit->parse.text,
				unit->parse.counted_types);
}

/* Tries the message at the front of IN as the beginning of a unit.  *TAKEN as the
 * steps' result; false: take it alone. */
static bool client_try_unit(struct client *client, struct span in, size_t *taken)
{
	struct unit unit;
	enum collected c = unit_collect(client, in, &unit);
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
	if (parse.name.n > 0 &&
	    session_statement(&client->session, parse.name) != NULL) {
		char text[256];
		snprintf(text, sizeof(text),
			 "prepared statement \"%.*s\" already exists",
			 (int)(parse.name.n < 128 ? parse.name.n : 128), parse.name.p);
		client_fail_batch(client, "42P05", text);
		return frame->size;
	}
	enum acquired acquired = client_acquire(client);
	if (acquired == ACQUIRE_WAITS) {
		return 0;
	}
	if (acquired == ACQUIRE_FAILED) {
		client_batch_failed(client);
		return frame->size;
	}
	struct statement *statement = statement_intern(client->worker->statements,
						       parse.text, parse.counted_types);
	if (statement == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return 0;
	}
	if (session_prepare(&client->session, parse.name, statement) != 0) {
		client_fail_batch(client, "53400", "too many prepared statements");
	} else {
		(void)client_send_parse(client, frame, &parse, statement);
	}
	statement_unref(statement);
	return frame->size;
}

static void client_unknown_statement(struct client *client, struct span name)
{
	char text[256];
	if (name.n == 0) {
		snprintf(text, sizeof(text),
			 "unnamed prepared statement does not exist");
	} else {
		snprintf(text, sizeof(text),
			 "prepared statement \"%.*s\" does not exist",
			 (int)(name.n < 128 ? name.n : 128), name.p);
	}
	client_fail_batch(client, "26000", text);
}

size_t client_bind_portal(struct client *client, struct span in,
			  const struct frame *frame)
{
	size_t taken;
	if (client_try_unit(client, in, &taken)) {
		return taken;
	}
	struct message_bind bind;
	if (message_read_bind(frame->body, &bind) != 0) {
		client_malformed(client);
		return 0;
	}
	struct statement *statement =
	    session_statement(&client->session, bind.statement);
	if (statement == NULL) {
		client_unknown_statement(client, bind.statement);
		return frame->size;
	}
	enum acquired acquired = client_acquire(client);
	if (acquired == ACQUIRE_WAITS) {
		return 0;
	}
	if (acquired == ACQUIRE_FAILED) {
		client_batch_failed(client);
		return frame->size;
	}
	struct request request = { .text = statement_text(statement),
				   .statement = statement,
				   .bind = &bind };
	query_plan(client, &request);
	client_note_statement(client, &request);
	client_set_portal(client, bind.portal, request.plan);
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
		client_unknown_statement(client, target.name);
		return frame->size;
	}
	enum acquired acquired = client_acquire(client);
	if (acquired == ACQUIRE_WAITS) {
		return 0;
	}
	if (acquired == ACQUIRE_FAILED) {
		client_batch_failed(client);
	} else if (target.kind == 'S') {
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
	enum acquired acquired = client_acquire(client);
	if (acquired == ACQUIRE_WAITS) {
		return 0;
	}
	if (acquired == ACQUIRE_FAILED) {
		client_batch_failed(client);
		return frame->size;
	}
	struct request request = { 0 };
	request.plan = execute.portal.n == 0 ? client->portal_plan : NULL;
	struct query *query = query_new(client, &request, METRIC_ROUTE_BYPASS);
	if (query == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return 0;
	}
	(void)client_send_execute(client, frame, query, request.plan);
	return frame->size;
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
		struct statement *statement =
		    session_statement(&client->session, target.name);
		bool on_server =
		    statement != NULL && client->session_mode && server != NULL;
		if (on_server) {
			prepared_remove(&server->prepared, statement->id);
			(void)client_send_plain(client, frame);
		}
		session_deallocate(&client->session, target.name);
		if (!on_server) {
			/* on the servers it stays, for whoever prepares the same */
			client_reply(client, WIRE_CLOSE_COMPLETE);
		}
		return frame->size;
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
	if (server != NULL && server->copy_in) {
		/* PostgreSQL ignores Sync while it reads CopyData (T-71) */
		stream_put_static(&server->stream, WIRE_SYNC);
		return frame->size;
	}
	if (server == NULL || (!server->unsynced && server->owed.n == 0)) {
		/* everything since the last Sync was answered here, and the status is
		 * known */
		char status = client->session.tx_status;
		client_reply(client, status == 'I'   ? WIRE_READY_IDLE
				     : status == 'T' ? WIRE_READY_IN_TRANSACTION
						     : WIRE_READY_FAILED);
		return frame->size;
	}
	struct commit *commit;
	if (!client_begin_commit(client, NULL, false, &commit) ||
	    !client_owe(client, 'S', 0, NULL, commit)) {
		return 0;
	}
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
		client_unknown_statement(client, bind.statement);
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
	struct request request = { .text = statement_text(statement),
				   .statement = statement };
	query_plan(client, &request);
	client_note_statement(client, &request); /* no values: every column unknown */
	client_set_portal(client, bind.portal, request.plan);
	if (!client_ensure_prepared(client, statement, bind.statement) ||
	    !client_owe(client, 'B', 0, NULL, NULL)) {
		return 0;
	}
	client->server->unsynced = true;
	size_t names = (size_t)(bind.rest.p - in.p);
	struct buf head;
	buf_init(&head, HEAD_MAX);
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
