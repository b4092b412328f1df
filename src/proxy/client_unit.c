/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_unit.h"

#include "base/config.h"
#include "base/metrics.h"
#include "base/sqlstate.h"
#include "cache/entry.h"
#include "net/loop.h"
#include "proxy/client.h"
#include "proxy/client_find.h"
#include "proxy/client_forward.h"
#include "proxy/client_listen.h"
#include "proxy/client_send.h"
#include "proxy/client_sequences.h"
#include "proxy/client_shows.h"
#include "proxy/client_steps.h"
#include "proxy/query.h"
#include "proxy/unit.h"
#include "proxy/worker.h"
#include "sql/plan.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/writer.h"

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
	struct query *query = query_begin(client, request, fill, route);
	if (query == NULL) {
		return;
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
	return client_hangs_on_answers(client, statement, unit->bind.statement);
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
	if (!unit->has_parse && client_name_hangs(client, unit->bind.statement)) {
		client_wait_answers(client);
		return 0;
	}
	struct store_fill fill;
	struct entry *entry;
	uint8_t route;
	uint64_t start = loop_event_ns(client->worker->loop);
	enum found found = client_find(client, &request, &entry, &fill, &route);
	if (found == FOUND_WAITS) {
		return 0;
	}
	if (found == FOUND_HIT) {
		if (statement->plan == NULL) {
			query_plan(client, &request);
		}
		metric_add(&metrics_database(client->worker->metrics,
					     client->pool->shared->db_index)
				->binds,
			   1);
		query_served(client->worker, client, entry, start, route);
		unit_reply_hit(client, unit, statement, entry);
		return unit->size;
	}
	if (request.plan == NULL) {
		query_plan(client, &request);
	}
	if (client_forbids(client, request.plan)) {
		client_fail_batch(client, SQLSTATE_FEATURE_NOT_SUPPORTED,
				  CLIENT_NO_BLOCKS);
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
	bool is_answered;
	if (unit->has_parse &&
	    !client_may_parse_show(client, statement, unit->parse.name, &is_answered)) {
		return is_answered ? unit->size : 0;
	}
	if (!client_listen_may_bind(client, request.plan, unit->bind.portal,
				    &is_answered)) {
		return is_answered ? unit->size : 0;
	}
	if (!client_forget_sequences(client, request.plan)) {
		return 0;
	}
	unit_forward(client, unit, &request, &fill, route);
	return unit->size;
}

/* The statement that a Parse of the unit makes; NULL: take the message alone. */
static struct statement *unit_statement(struct client *client, const struct unit *unit)
{
	if (!unit->has_parse) {
		struct statement *known = client_known(client, unit->bind.statement);
		return known ? statement_ref(known) : NULL;
	}
	if (unit->parse.name.n > 0 &&
	    (client_name_is_open(client, unit->parse.name) ||
	     session_statement(&client->session, unit->parse.name) != NULL)) {
		return NULL; /* perhaps an error */
	}
	return client_statement(client, &unit->parse);
}

bool client_try_unit(struct client *client, struct span in, size_t *taken)
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
