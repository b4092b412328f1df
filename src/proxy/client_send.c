/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_send.h"

#include <stdlib.h>
#include <string.h>

#include "net/loop.h"
#include "proxy/client.h"
#include "proxy/client_settings.h"
#include "proxy/client_shows.h"
#include "proxy/client_steps.h"
#include "proxy/database.h"
#include "proxy/query.h"
#include "proxy/server_again.h"
#include "proxy/server_skip.h"
#include "proxy/worker.h"
#include "proxy/writes.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/writer.h"

/* Items */

uint64_t client_position(const struct client *client)
{
	const struct server *server = client->server;
	return server != NULL && server->owed.n > 0 ? server->owed.n_pushed : 0;
}

bool client_name_is_open(struct client *client, struct span name)
{
	struct names *names = &client->session.names;
	const struct server *server = client->server;
	if (server == NULL) {
		return false;
	}
	if (!client->session_mode && server->deallocate_at > server->owed.n_popped) {
		return true;
	}
	if (dlist_is_empty(&names->changes)) {
		return false;
	}
	names_settle(names, server->owed.n_popped);
	return names_are_open(names, name, client->sync_at);
}

/* A transaction has failed, or had when the client was last told. */
static bool client_had_failed(const struct client *client)
{
	return client->session.tx_status == 'E' && client->server != NULL;
}

/* In a transaction that had failed: how the text of NAMED is read hangs on whether it
 * still is. */
static bool client_reading_is_open(struct client *client, const struct named *named)
{
	return client->server->owed.n > 0 && named != NULL && !named->on_server &&
	       named->statement->parse_id != session_parse_id(&client->session);
}

bool client_name_hangs(struct client *client, struct span name)
{
	struct names *names = &client->session.names;
	if (UNLIKELY(client_had_failed(client)) &&
	    client_reading_is_open(client, names_find(names, name))) {
		return true;
	}
	if (!client_name_is_open(client, name)) {
		return false;
	}
	uint64_t last = names_last_change(names, name);
	return name.n > 0 || (last > 0 && last <= client->sync_at);
}

bool client_is_stuck(const struct client *client)
{
	return client_had_failed(client) && client->server->owed.n == 0 &&
	       !client->server->unsynced;
}

struct statement *client_known(struct client *client, struct span name)
{
	if (LIKELY(!client_had_failed(client))) {
		return session_statement(&client->session, name);
	}
	const struct named *named = names_find(&client->session.names, name);
	bool stays = client_is_stuck(client) || client_reading_is_open(client, named);
	return named != NULL && stays ? named->statement
				      : session_statement(&client->session, name);
}

/* A Parse with one of these flags (0: any), and ID, stands before the last Sync. */
static bool client_has_parse_before_sync(struct client *client, uint8_t flags,
					 uint64_t id)
{
	struct owed_queue *owed = &client->server->owed;
	for (uint32_t i = 0; i < owed->n && owed->n_popped + i < client->sync_at; i++) {
		const struct owed *item = owed_at(owed, i);
		if (item->kind == 'P' && item->statement_id == id &&
		    (flags == 0 || (item->flags & flags) != 0)) {
			return true;
		}
	}
	return false;
}

static bool client_is_injecting(struct client *client,
				const struct statement *statement, struct span name)
{
	const struct server *server = client->server;
	if (client->inject_at <= server->owed.n_popped) {
		return false;
	}
	if (name.n == 0) {
		return server->unnamed_id == statement->id &&
		       client_has_parse_before_sync(client, OWED_SWALLOW, 0);
	}
	return client_has_parse_before_sync(client, OWED_SWALLOW, statement->id);
}

bool client_hangs_on_answers(struct client *client, const struct statement *statement,
			     struct span name)
{
	return client_name_hangs(client, name) ||
	       client_is_injecting(client, statement, name);
}

bool client_is_parsing(struct client *client, const struct statement *statement)
{
	return client->server->owed.n > 0 &&
	       prepared_use(&client->server->prepared, statement->id) &&
	       client_has_parse_before_sync(client, 0, statement->id);
}

void client_wait_answers(struct client *client)
{
	server_put_borrow(client->server, WIRE_FLUSH);
	stream_pause(&client->stream);
	client->blocked = true;
}

bool client_owe(struct client *client, uint8_t kind, uint8_t flags, struct query *query,
		struct commit *commit)
{
	struct server *server = client->server;
	struct owed item = { .kind = kind,
			     .flags = flags,
			     .query = query,
			     .commit = commit,
			     .unnamed_before = server->unnamed_id };
	if (server->owed.n == 0) {
		server->query_sent_ns =
		    query ? query->start_ns : loop_event_ns(client->worker->loop);
		if (client->session.tx_status == 'I' && !server->unsynced) {
			client->tx_since_ns = server->query_sent_ns;
		}
	}
	if (kind == 'B' || kind == 'E') {
		server_again_last(server);
	}
	if (owed_push(&server->owed, item) < 0) {
		query_free(query);
		commit_end(commit, client->worker->versions, true);
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	if (owed_ends_group(&item)) {
		client->sync_at = server->owed.n_pushed;
	}
	if (kind == 'Q') {
		server->unnamed_id = 0; /* a Query ends the unnamed statement */
	}
	return true;
}

bool client_send_ours(struct client *client, const struct buf *messages, uint8_t flags)
{
	if (!buf_ok(messages)) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	if (!client_owe(client, 'Q', flags, NULL, NULL)) {
		return false;
	}
	stream_put(&client->server->stream, buf_span(messages));
	return true;
}

bool client_send_sql(struct client *client, const struct buf *sql, uint8_t flags)
{
	struct buf message;
	buf_init(&message, sql->len + 16);
	writer_query(&message, buf_span(sql));
	message.failed = message.failed || !buf_ok(sql);
	bool ok = client_send_ours(client, &message, flags);
	buf_fini(&message);
	return ok;
}

void client_set_unnamed(struct client *client, uint64_t id)
{
	struct server *server = client->server;
	owed_at(&server->owed, server->owed.n - 1)->sets_unnamed = true;
	server->unnamed_id = id;
}

/* Statements and commits */

/* Something that can fail stands before the statement at hand, its own Parse aside. */
static bool client_is_ahead(struct client *client)
{
	struct owed_queue *owed = &client->server->owed;
	for (uint32_t i = 0; i < owed->n; i++) {
		uint8_t kind = owed_at(owed, i)->kind;
		if (kind != 'P' && kind != 'C' && kind != 'D') {
			return true;
		}
	}
	return false;
}

/* Which relations and functions the names of a statement are depends on settings that
 * may be others than those it was planned under. */
static bool client_is_lost(const struct client *client)
{
	const struct session *session = &client->session;
	return session->untrusted || session->suspect ||
	       server_is_outdated(client->server);
}

void client_note_settings(struct client *client, const struct plan *plan)
{
	if (client->session.pending == NULL) {
		client->settings_at = client->server->owed.n_pushed;
	}
	session_sent(&client->session, plan, client->server->context);
	client_note_customs(client, plan);
}

void client_note_statement(struct client *client, const struct request *request,
			   bool is_executed)
{
	if (request->plan->is_plain && !client->session.unreadable) {
		return; /* it writes nothing and the session stays what it is */
	}
	struct operands from = query_operands(request);
	struct writes *writes = &client->session.writes;
	writes_add(writes, request->plan, &from);
	if (client_is_lost(client) && plan_may_write(request->plan)) {
		writes->any = writes->all = true;
	}
	if (request->plan->pins & PIN_LISTEN) {
		client->server->listens = true;
	}
	if (is_executed) {
		client->session.is_ahead = client_is_ahead(client);
		client_note_settings(client, request->plan);
		/* a library stays loaded, and a temporary schema stays a backend's: in
		 * transaction mode only that of a client which leaves with it matters
		 */
		uint8_t stays = PIN_LOAD | (client->session_mode ? PIN_TEMP : 0);
		client->server->spent |= (request->plan->pins & stays) != 0;
	}
	if (client->session.unreadable) {
		session_sent_unknown(&client->session);
	}
}

/* Whether what was written so far can become visible by the message at hand: not while
 * a transaction is certainly open and stays so. */
static bool client_may_commit(const struct client *client)
{
	return client->session.tx_status == 'I' || client->session.tx_may_end;
}

/* What an Execute may make visible before Sync.  Some DDL is a transaction of its own
 * (DETACH PARTITION CONCURRENTLY). */
static bool client_may_commit_at_once(const struct plan *plan)
{
	return plan->kind == PLAN_COMMIT || plan->kind == PLAN_PREPARE_TX ||
	       plan->kind == PLAN_DDL || plan->writes_all;
}

/* COMMIT PREPARED: the tags that PREPARE TRANSACTION left in flight, or everything. */
static struct commit *client_commit_prepared(struct client *client,
					     const struct plan *plan, bool *failed)
{
	struct database *database = client->database;
	struct span gid =
	    plan->set_name ? span_str(plan->set_name) : span_make(NULL, 0);
	size_t n = 0;
	uint64_t *tags = database_unprepare(database, gid, &n);
	struct commit *commit =
	    calloc(1, sizeof(*commit) + (n + COMMIT_ROOM) * sizeof(commit->tags[0]));
	if (commit == NULL) {
		free(tags); /* they stay in flight: right, if slow */
		*failed = true;
		return NULL;
	}
	commit->database = database;
	commit->cap = n + COMMIT_ROOM;
	commit->ddl = true; /* when the database's own tag is among them */
	if (tags != NULL) {
		memcpy(commit->tags, tags, n * sizeof(tags[0]));
		commit->n = n;
		free(tags);
	} else {
		commit->n = 1;
		commit->tags[0] = versions_tag_db(database_tag(database));
		versions_begin(client->worker->versions, commit->tags[0]);
	}
	return commit;
}

bool client_begin_commit(struct client *client, const struct plan *plan,
			 bool at_execute, struct commit **out)
{
	bool failed = false;
	*out = NULL;
	if (plan != NULL && (plan->kind == PLAN_COMMIT_PREPARED ||
			     plan->kind == PLAN_ROLLBACK_PREPARED)) {
		*out = client_commit_prepared(client, plan, &failed);
	} else if (client->session.writes.any && client_may_commit(client) &&
		   !(at_execute && plan != NULL && !client_may_commit_at_once(plan))) {
		*out = commit_begin(&client->session.writes, client->database,
				    client->worker->versions,
				    client->worker->key_columns, &failed);
	}
	if (*out != NULL) {
		/* a named portal may be of anything */
		(*out)->partial =
		    client->session.tx_partial || (at_execute && plan == NULL);
	}
	if (*out != NULL && plan != NULL && plan->kind == PLAN_PREPARE_TX) {
		(*out)->prepares = true;
		(*out)->gid = plan->set_name ? strdup(plan->set_name) : NULL;
	}
	if (failed) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	return true;
}

void client_note_sent(struct client *client, const struct plan *plan)
{
	if (plan != NULL && plan->deallocate_all) {
		names_remove_all(&client->session.names, client_position(client));
		client->server->deallocate_at = client->server->owed.n_pushed;
	}
}

/* Errors */

void client_fail_batch(struct client *client, const char *sqlstate, const char *text)
{
	struct buf message;
	buf_init(&message, 8192);
	replies_error(&message, "ERROR", sqlstate, text);
	client_reply(client, buf_span(&message));
	buf_reset(&message);
	struct server *server = client->server;
	if (server != NULL && (server->unsynced || server->owed.n > 0 ||
			       client->session.tx_status == 'T')) {
		/* what the server did in this batch must not be committed by its Sync,
		 * and an open transaction fails */
		if (client_owe(client, 'B', OWED_SWALLOW | OWED_OURS, NULL, NULL)) {
			server_put_borrow(server, SERVER_FAIL_BATCH);
			server->unsynced = true;
		}
	}
	buf_fini(&message);
	client->shown = SHOWN_NOT_ASKED; /* it was for the message at hand */
	client->skip = true;
}
