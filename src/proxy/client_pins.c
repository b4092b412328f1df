/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_pins.h"

#include "base/buf.h"
#include "base/metrics.h"
#include "proxy/client.h"
#include "proxy/client_send.h"
#include "proxy/worker.h"
#include "sql/plan.h"
#include "upstream/server.h"
#include "wire/reader.h"

#define PINS_MAX_SQL 2048

/* What the server knows of.  Everything in the temporary schema depends on it. */
static const struct {
	uint8_t pin;
	const char *from;
} pins_questions[] = {
	{ PIN_TEMP,
	  "pg_catalog.pg_depend WHERE refobjid = pg_catalog.pg_my_temp_schema()"
	  " AND refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass" },
	{ PIN_LISTEN, "pg_catalog.pg_listening_channels()" },
	{ PIN_PREPARE, "pg_catalog.pg_prepared_statements WHERE from_sql" },
	{ PIN_HOLD, "pg_catalog.pg_cursors WHERE is_holdable" },
	{ PIN_ADVISORY, "pg_catalog.pg_locks WHERE locktype = 'advisory'"
			" AND pid = pg_catalog.pg_backend_pid()" },
	{ PIN_LARGE, "pg_catalog.pg_prepared_statements WHERE NOT from_sql"
		     " AND name !~ '^pgrecall_[0-9]+$'" },
};

static void pins_write_question(struct buf *sql, uint8_t pins)
{
	buf_append_str(sql, "SELECT 0");
	for (size_t i = 0; i < ARRAY_LEN(pins_questions); i++) {
		if (pins & pins_questions[i].pin) {
			buf_printf(sql,
				   " + CASE WHEN EXISTS (SELECT 1 FROM %s)"
				   " THEN %u ELSE 0 END",
				   pins_questions[i].from, pins_questions[i].pin);
		}
	}
}

bool client_ask_pins(struct client *client)
{
	struct session *session = &client->session;
	struct server *server = client->server;
	uint8_t known = 0;
	for (size_t i = 0; i < ARRAY_LEN(pins_questions); i++) {
		known |= pins_questions[i].pin;
	}
	session->pins_ask &= known;
	if (client->has_large_unnamed && server->unnamed_id != SERVER_UNNAMED_LARGE) {
		client->has_large_unnamed = false; /* another one has come */
		session->pins_ask |= session->pins & PIN_LARGE;
	}
	if (session->pins_ask == 0 || client->worker->is_draining ||
	    server->unnamed_id == SERVER_UNNAMED_LARGE) {
		return false; /* a query would end the unnamed statement */
	}
	struct buf sql;
	buf_init(&sql, PINS_MAX_SQL);
	pins_write_question(&sql, session->pins_ask);
	bool ok = client_send_sql(client, &sql, OWED_SWALLOW | OWED_OURS | OWED_PINS);
	buf_fini(&sql);
	return ok;
}

void client_pins_row(struct client *client, struct span body)
{
	struct session *session = &client->session;
	struct reader r = reader_make(body);
	if (reader_u16(&r) != 1) {
		return;
	}
	int32_t len = reader_i32(&r);
	struct span text = reader_bytes(&r, len > 0 ? (size_t)len : 0);
	unsigned holds = 0;
	for (size_t i = 0; i < text.n && i < 3; i++) {
		holds = holds * 10 + (unsigned)(text.p[i] - '0');
	}
	if (!reader_at_end(&r) || text.n == 0) {
		return;
	}
	/* what was sent behind the question is not in its answer */
	session->pins &= (uint8_t)(~session->pins_ask | holds | session->pins_new);
	session->pins_ask = 0;
	struct server *server = client->server;
	if (session->asks_listen && (holds & PIN_LISTEN) && server != NULL) {
		session->pins |= PIN_LISTEN;
		server->listens = true;
	}
	session->asks_listen = false;
	bool is_last = server != NULL && server->owed.n == 1 && !server->unsynced;
	if ((session->pins & PIN_TEMP) == 0 && is_last) {
		session->own_shape = 0;
	}
}

void client_pins_answered(struct client *client)
{
	struct session *session = &client->session;
	if (session->asks_listen && (session->pins_ask & PIN_LISTEN)) {
		session_pin(session, PIN_LISTEN); /* no answer: perhaps it does */
		session->asks_listen = false;
	}
	client_count_pins(client);
}

void client_count_pins(struct client *client)
{
	uint8_t now = client->session.pins;
	if (client->pins_told == now || client->pool == NULL) {
		return;
	}
	struct metrics_db *m =
	    metrics_database(client->worker->metrics, client->pool->shared->db_index);
	for (unsigned i = 0; i < METRIC_N_PIN; i++) {
		unsigned bit = 1U << i;
		if ((now & bit) && !(client->pins_told & bit)) {
			metric_add(&m->pool_pins[i], 1);
			metric_add(&m->pool_pinned[i], 1);
		} else if (!(now & bit) && (client->pins_told & bit)) {
			metric_add(&m->pool_pinned[i], (uint64_t)-1);
		}
	}
	client->pins_told = now;
}
