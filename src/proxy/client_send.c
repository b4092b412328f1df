/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "base/sqlstate.h"
#include "net/loop.h"
#include "proxy/client.h"
#include "proxy/client_find.h"
#include "proxy/client_sequences.h"
#include "proxy/client_settings.h"
#include "proxy/client_shows.h"
#include "proxy/client_steps.h"
#include "proxy/database.h"
#include "proxy/query.h"
#include "proxy/server_again.h"
#include "proxy/server_begin.h"
#include "proxy/server_skip.h"
#include "proxy/server_steps.h"
#include "proxy/worker.h"
#include "proxy/writes.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/messages.h"
#include "wire/writer.h"

/* Getting a server connection */

static void client_bind(struct client *client, struct server *server)
{
	require(server->state == SERVER_BUSY && server->client == NULL);
	client->server = server;
	server->client = client;
	client->sync_at = client->inject_at = 0; /* positions of this server */
	client_move(client, CLIENT_BOUND);
}

/* Whether the connection has settings of another client that only a RESET would take
 * back, which does not bring back what its connect_query has set. */
static bool client_must_change(const struct client *client)
{
	const struct server *server = client->server;
	const struct session *session = &client->session;
	return server->context != session->context && server_is_clean(server) &&
	       session->pins == 0 && !client->session_mode &&
	       server_has_connect_query(server->context) &&
	       context_must_reset(server->context, session->context);
}

SELDOM static void client_change_server(struct client *client)
{
	struct server *server = steal(&client->server);
	server->client = NULL;
	client_move(client, CLIENT_IDLE);
	server_close(server, SERVER_CLOSE_PINNED);
}

/* Between two transactions, though settings of the client may be on their way. */
static bool client_is_between(struct server *server)
{
	const struct owed *head = owed_head(&server->owed);
	return server_is_clean(server) ||
	       (server->owed.n == 1 && (head->flags & OWED_SETTINGS) &&
		!server->unsynced);
}

enum acquired client_acquire(struct client *client)
{
	if (client->wait_error.sqlstate[0] != 0) {
		return ACQUIRE_FAILED;
	}
	while (client->server == NULL || client_must_change(client)) {
		if (client->server != NULL) {
			client_change_server(client);
		}
		struct server *server =
		    pool_take(client->pool, client->session.context);
		if (server == NULL) {
			client_move(client, CLIENT_WAIT);
			stream_pause(&client->stream);
			client->waiter.granted = client_granted;
			pool_wait(client->pool, &client->waiter);
			return ACQUIRE_WAITS;
		}
		client_bind(client, server);
	}
	bool is_between = client_is_between(client->server);
	if (!client_sync_settings(client)) {
		return ACQUIRE_WAITS;
	}
	if (is_between && !client_forget_sequences(client, NULL)) {
		return ACQUIRE_WAITS;
	}
	return ACQUIRED;
}

void client_granted(struct pool_waiter *waiter, struct server *server,
		    const struct pool_error *error)
{
	struct client *client = container_of(waiter, struct client, waiter);
	if (server != NULL) {
		client_bind(client, server);
	} else {
		client->wait_error = *error;
		client_move(client, CLIENT_IDLE);
	}
	stream_resume(&client->stream);
}

void client_wait_expired(struct client *client)
{
	struct pool_error error;
	pool_leave(client->pool, &client->waiter);
	if (!pool_last_error(client->pool, &error)) {
		snprintf(error.sqlstate, sizeof(error.sqlstate), "%s",
			 SQLSTATE_TOO_MANY_CONNECTIONS);
		snprintf(error.message, sizeof(error.message),
			 "query_wait_timeout: no server connection became free");
	}
	client->waiter.granted(&client->waiter, NULL, &error);
}

static struct pool_error client_cancelled(void)
{
	struct pool_error error = { .message =
					"canceling statement due to user request" };
	memcpy(error.sqlstate, SQLSTATE_QUERY_CANCELED, SQLSTATE_SIZE);
	return error;
}

void client_wait_cancelled(struct client *client)
{
	struct pool_error error = client_cancelled();
	pool_leave(client->pool, &client->waiter);
	client_granted(&client->waiter, NULL, &error);
}

void client_lookup_cancelled(struct client *client)
{
	client_find_cancel(client);
	client->wait_error = client_cancelled();
	client_move(client, client->server ? CLIENT_BOUND : CLIENT_IDLE);
	stream_resume(&client->stream);
}

void client_cancel_next(struct client *client)
{
	client->wait_error = client_cancelled();
}

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
	return (name.n > 0 && !client->session_mode &&
		client_name_is_open(client, name)) ||
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
	struct owed item = {
		.kind = kind, .flags = flags, .query = query, .commit = commit
	};
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
	return true;
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

/* Prepared statements */

struct span client_server_name(const struct client *client,
			       const struct statement *statement, struct span name)
{
	if (name.n == 0 || client->session_mode) {
		return name;
	}
	return span_str(statement->name);
}

bool client_inject_close(struct client *client, struct span name)
{
	struct buf message;
	buf_init(&message, name.n + 64);
	writer_close(&message, 'S', name);
	bool ok = client_owe(client, 'C', OWED_SWALLOW, NULL, NULL);
	if (ok) {
		server_put(client->server, buf_span(&message));
		client->server->unsynced = true;
	}
	buf_fini(&message);
	return ok;
}

static bool client_evict(struct client *client, uint64_t id)
{
	char name[STATEMENT_NAME_MAX];
	snprintf(name, sizeof(name), STATEMENT_NAME_FORMAT, (unsigned long long)id);
	if (!client_inject_close(client, span_str(name))) {
		return false;
	}
	struct owed_queue *owed = &client->server->owed;
	owed_at(owed, owed->n - 1)->statement_id = id;
	return true;
}

static bool client_inject_parse(struct client *client, struct statement *statement,
				struct span name, uint8_t flags)
{
	struct server *server = client->server;
	struct span text = statement_text(statement);
	struct span types = statement_parse_types(statement);
	struct buf message;
	buf_init(&message, name.n + text.n + types.n + 64);
	writer_parse(&message, name, text, types);
	bool ok = buf_ok(&message);
	if (!ok) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
	} else {
		ok = client_owe(client, 'P', flags, NULL, NULL);
	}
	if (ok) {
		if (name.n > 0) {
			owed_at(&server->owed, server->owed.n - 1)->statement_id =
			    statement->id;
		}
		client->inject_at = server->owed.n_pushed;
		server_put(server, buf_span(&message));
		server->unsynced = true;
		metric_add(&metrics_database(client->worker->metrics,
					     client->pool->shared->db_index)
				->prepared_parses[METRIC_SIDE_SERVER],
			   1);
	}
	buf_fini(&message);
	return ok;
}

bool client_note_prepared(struct client *client, uint64_t id)
{
	uint64_t evicted;
	if (prepared_add(&client->server->prepared, id, &evicted) < 0) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	return evicted == 0 || client_evict(client, evicted);
}

bool client_owe_statement(struct client *client, uint8_t kind,
			  struct statement *statement, struct span name)
{
	struct server *server = client->server;
	struct named *named = names_find(&client->session.names, name);
	/* the unnamed one may have been parsed in this very batch */
	bool was_there = name.n > 0 || !server->unsynced;
	uint32_t again_at =
	    !client->session_mode && was_there
		? server_again_from(server, named == NULL || named->is_told)
		: 0;
	if (!client_owe(client, kind, 0, NULL, NULL)) {
		return false;
	}
	struct owed *item = owed_at(&server->owed, server->owed.n - 1);
	item->statement = statement_ref(statement);
	item->statement_id = name.n > 0 ? statement->id : 0;
	item->again_at = again_at;
	if (name.n > NAMES_MAX_LEN) {
		item->name = strndup((const char *)name.p, name.n);
	}
	return true;
}

bool client_ensure_prepared(struct client *client, struct statement *statement,
			    struct span name)
{
	struct server *server = client->server;
	if (name.n == 0) {
		if (server->unnamed_id == statement->id) {
			return true;
		}
		server->unnamed_id = statement->id;
		return client_inject_parse(client, statement, name, OWED_SWALLOW);
	}
	if (client->session_mode) {
		struct named *named = names_find(&client->session.names, name);
		bool is_there = named == NULL || named->on_server;
		if (!is_there) {
			named->on_server = true;
		}
		return is_there ||
		       client_inject_parse(client, statement, name, OWED_SWALLOW);
	}
	if (prepared_use(&server->prepared, statement->id)) {
		return true;
	}
	return client_note_prepared(client, statement->id) &&
	       client_inject_parse(client, statement,
				   client_server_name(client, statement, name),
				   OWED_SWALLOW);
}

bool client_inject_names(struct client *client, const struct plan *plan, uint8_t flags)
{
	if (plan->is_plain) {
		return true;
	}
	for (size_t i = 0; i < plan->n_parts; i++) {
		if (!client_inject_names(client, plan->parts[i], flags)) {
			return false;
		}
	}
	if (!names_are_used(&client->session.names, plan) || plan->n_parts > 0) {
		return true;
	}
	struct span name = span_str(plan->set_name);
	struct statement *statement = session_statement(&client->session, name);
	/* an EXECUTE before this one may have left it there */
	if (!client_inject_close(client, name) ||
	    !client_inject_parse(client, statement, name, flags)) {
		return false;
	}
	struct owed_queue *owed = &client->server->owed;
	owed_at(owed, owed->n - 1)->statement_id = OWED_NAMED;
	if (!plan->executes) {
		names_remove(&client->session.names, name, client_position(client));
	}
	client->session.suspect = true; /* it may stay there */
	return true;
}

void client_note_sent(struct client *client, const struct plan *plan)
{
	if (plan != NULL && plan->deallocate_all) {
		names_remove_all(&client->session.names, client_position(client));
		client->server->deallocate_at = client->server->owed.n_pushed;
	}
	if (plan != NULL && (plan->kind == PLAN_SET || plan->kind == PLAN_MULTI)) {
		client_restore_settings(client);
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
	client->skip = true;
}
