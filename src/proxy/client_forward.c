/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_forward.h"

#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/metrics.h"
#include "base/sqlstate.h"
#include "proxy/client.h"
#include "proxy/client_acquire.h"
#include "proxy/client_prepare.h"
#include "proxy/client_restore.h"
#include "proxy/client_send.h"
#include "proxy/client_steps.h"
#include "proxy/database.h"
#include "proxy/query.h"
#include "proxy/server_again.h"
#include "proxy/worker.h"
#include "sql/plan.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

void client_malformed(struct client *client)
{
	client_close_text(client, CLIENT_CLOSE_PROTOCOL, NULL,
			  "invalid message format");
}

struct statement *client_statement(struct client *client,
				   const struct message_parse *parse)
{
	struct session *session = &client->session;
	return statement_intern(
	    client->worker->statements, parse->text, parse->counted_types,
	    session_parse_id(session),
	    session_shape(session, database_shape(client->database)));
}

bool client_forbids(const struct client *client, const struct plan *plan)
{
	if (!client->statement_mode) {
		return false;
	}
	for (size_t i = 0; i < plan->n_parts; i++) {
		if (client_forbids(client, plan->parts[i])) {
			return true;
		}
	}
	return plan->kind == PLAN_BEGIN;
}

static struct metrics_db *client_metrics(struct client *client)
{
	return metrics_database(client->worker->metrics,
				client->pool->shared->db_index);
}

#define CLIENT_HEAD_KEPT 4096U /* bytes that stay allocated */

/* For a message with another name, which is at most NAME_LEN bytes. */
static struct buf *client_head(struct client *client, size_t name_len)
{
	struct buf *head = &client->worker->head;
	buf_reset(head);
	head->max = CLIENT_HEAD_MAX + name_len;
	return head;
}

static void client_put_head(struct client *client, struct span rest)
{
	struct buf *head = &client->worker->head;
	server_put(client->server, buf_span(head));
	server_put_borrow(client->server, rest);
	if (head->cap > CLIENT_HEAD_KEPT) {
		buf_fini(head);
	}
}

bool client_send_plain(struct client *client, const struct frame *frame)
{
	if (!client_owe(client, frame->type, 0, NULL, NULL)) {
		return false;
	}
	client->server->unsynced = true;
	server_put_borrow(client->server, frame_bytes(frame));
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

/* Of a statement that is only to be refused: no statement has the number 0. */
#define CLIENT_ASKING_NAME SPAN_LIT("pgrecall_0")

/* A Parse by another name than the client gave. */
static bool client_send_parse_as(struct client *client, struct span name,
				 const struct message_parse *parse, uint64_t id)
{
	struct server *server = client->server;
	if (!client_owe(client, 'P', 0, NULL, NULL)) {
		return false;
	}
	owed_at(&server->owed, server->owed.n - 1)->statement_id = id;
	writer_parse_head(client_head(client, name.n), name, parse->rest.n);
	client_put_head(client, parse->rest);
	server->unsynced = true;
	return true;
}

bool client_send_parse(struct client *client, const struct frame *frame,
		       const struct message_parse *parse, struct statement *statement)
{
	struct server *server = client->server;
	bool is_ours = parse->name.n > 0 && !client->session_mode;
	metric_add(&client_metrics(client)->prepared_parses[METRIC_SIDE_CLIENT], 1);
	if (is_ours && prepared_use(&server->prepared, statement->id)) {
		if (!client_may_have_failed(client)) {
			client_reply(client, WIRE_PARSE_COMPLETE);
			return client_is_open(client);
		}
		return client_send_parse_as(client, CLIENT_ASKING_NAME, parse,
					    OWED_NAMED) &&
		       client_inject_close(client, CLIENT_ASKING_NAME);
	}
	metric_add(&client_metrics(client)->prepared_parses[METRIC_SIDE_SERVER], 1);
	if (is_ours) {
		return client_note_prepared(client, statement->id) &&
		       client_send_parse_as(client, span_str(statement->name), parse,
					    statement->id);
	}
	if (!client_send_plain(client, frame)) {
		return false;
	}
	if (parse->name.n == 0) {
		client_set_unnamed(client, statement->id);
	} else {
		owed_at(&server->owed, server->owed.n - 1)->statement_id = OWED_NAMED;
	}
	return true;
}

bool client_send_duplicate(struct client *client, const struct message_parse *parse,
			   struct statement *there)
{
	if (!client_ensure_prepared(client, there, parse->name) ||
	    !client_send_parse_as(client,
				  client_server_name(client, there, parse->name), parse,
				  OWED_NAMED)) {
		return false;
	}
	struct owed_queue *owed = &client->server->owed;
	owed_at(owed, owed->n - 1)->name =
	    names_said(names_find(&client->session.names, parse->name), parse->name);
	return true;
}

bool client_put_name(struct client *client, struct span name,
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

bool client_too_many_names(struct client *client, struct span name)
{
	if (!names_are_full(&client->session.names, name)) {
		return false;
	}
	client_fail_batch(client, SQLSTATE_CONFIGURATION_LIMIT_EXCEEDED,
			  "too many prepared statements");
	return true;
}

bool client_send_bind(struct client *client, const struct frame *frame,
		      const struct message_bind *bind, struct statement *statement)
{
	struct server *server = client->server;
	/* in a failed transaction the Bind itself is refused */
	if ((!client->session_mode && !client_is_stuck(client) &&
	     !client_inject_names(client, statement->plan, OWED_SWALLOW)) ||
	    !client_ensure_prepared(client, statement, bind->statement) ||
	    !client_owe_statement(client, 'B', statement, bind->statement)) {
		return false;
	}
	if (bind->portal.n > 0) {
		client_forget_names(client, statement->plan); /* as if executed */
	}
	metric_add(&client_metrics(client)->binds, 1);
	server->unsynced = true;
	if (bind->statement.n == 0 || client->session_mode) {
		server_put_borrow(server, frame_bytes(frame));
		return true;
	}
	writer_bind_head(client_head(client, bind->portal.n), bind->portal,
			 span_str(statement->name), bind->rest.n);
	client_put_head(client, bind->rest);
	return true;
}

/* The settings that the Execute at hand, of PLAN (or NULL), commits or undoes: others
 * may be set behind it before it is answered. */
static void client_note_end(struct client *client, const struct plan *plan)
{
	struct session *session = &client->session;
	struct owed_queue *owed = &client->server->owed;
	if (plan != NULL && session->pending != NULL &&
	    (plan->kind == PLAN_COMMIT || plan->kind == PLAN_ROLLBACK ||
	     plan->kind == PLAN_PREPARE_TX)) {
		struct settled *settled = malloc(sizeof(*settled));
		if (settled == NULL) {
			session_distrust(session); /* right, if slow */
			return;
		}
		settled->client = context_ref(session->pending);
		settled->server = context_ref(session->pending_server);
		settled->n_sets = session->n_sets;
		owed_at(owed, owed->n - 1)->settled = settled;
	}
}

bool client_send_execute(struct client *client, const struct frame *frame,
			 struct query *query, const struct plan *plan)
{
	struct commit *commit = NULL;
	/* what makes nothing visible and ends nothing needs no commit */
	bool is_quiet = plan != NULL && plan->is_plain && !client->session.writes.any;
	if (!is_quiet) {
		session_executes(&client->session, plan);
	}
	if (!is_quiet && !client_begin_commit(client, plan, true, &commit)) {
		query_free(query);
		return false;
	}
	if (!client_owe(client, 'E', 0, query, commit)) {
		return false;
	}
	if (!is_quiet) {
		client_note_end(client, plan);
	}
	if (!is_quiet && plan != NULL) {
		client_forget_names(client, plan);
	}
	client->server->unsynced = true;
	server_put_borrow(client->server, frame_bytes(frame));
	if (!is_quiet) {
		client_note_sent(client, plan);
		client_restore_behind_execute(client, plan);
	}
	return client_is_open(client);
}

void client_set_portal(struct client *client, struct span portal, struct plan *plan,
		       bool is_hit)
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

void client_batch_failed(struct client *client)
{
	struct pool_error error = client->wait_error;
	client->wait_error.sqlstate[0] = 0;
	client_fail_batch(client, error.sqlstate, error.message);
}

bool client_has_server(struct client *client, size_t size, size_t *taken)
{
	enum acquired acquired = client_acquire(client);
	*taken = acquired == ACQUIRE_FAILED ? size : 0;
	if (acquired == ACQUIRE_FAILED) {
		client_batch_failed(client);
	}
	return acquired == ACQUIRED;
}
