/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_prepare.h"

#include <stdio.h>

#include "base/metrics.h"
#include "proxy/client.h"
#include "proxy/client_send.h"
#include "proxy/server_again.h"
#include "proxy/worker.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/writer.h"

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
	if (ok && name.n == 0) {
		client_set_unnamed(client, 0);
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
		} else {
			client_set_unnamed(client, statement->id);
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

void client_keep_name(struct client *client, struct named *named, struct span name)
{
	struct owed_queue *owed = &client->server->owed;
	if (name.n > 0 && !client->session_mode) {
		owed_at(owed, owed->n - 1)->name = names_said(named, name);
	}
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
	client_keep_name(client, named, name);
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
	client->session.suspect = true; /* it may stay there */
	return true;
}

void client_forget_names(struct client *client, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_parts; i++) {
		client_forget_names(client, plan->parts[i]);
	}
	if (plan->kind == PLAN_SESSION && plan->set_name != NULL && !plan->executes &&
	    !client->session_mode) {
		names_remove(&client->session.names, span_str(plan->set_name),
			     client_position(client));
	}
}
