/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_shows.h"

#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/buf.h"
#include "base/sqlstate.h"
#include "proxy/client.h"
#include "proxy/client_send.h"
#include "proxy/query.h"
#include "sql/plan.h"
#include "upstream/context.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/reader.h"

#define SHOWS_MAX_SQL 1024

static uint64_t customs_hash(const char *name)
{
	return XXH3_64bits(name, strlen(name));
}

static bool customs_have(const struct session *session, const char *name)
{
	if (session->n_customs > SESSION_MAX_CUSTOMS || session->untrusted ||
	    context_get(session->startup, name) != NULL) {
		return true;
	}
	uint64_t hash = customs_hash(name);
	for (size_t i = 0; i < session->n_customs; i++) {
		if (session->customs[i] == hash) {
			return true;
		}
	}
	return false;
}

static void customs_add(struct session *session, const char *name)
{
	if (customs_have(session, name)) {
		return;
	}
	if (session->n_customs < SESSION_MAX_CUSTOMS) {
		session->customs[session->n_customs] = customs_hash(name);
	}
	session->n_customs++;
}

void client_note_customs(struct client *client, const struct plan *plan)
{
	struct session *session = &client->session;
	for (size_t i = 0; i < plan->n_parts; i++) {
		client_note_customs(client, plan->parts[i]);
	}
	if (plan->suspect || plan->set_kind == SET_UNREADABLE) {
		session->n_customs = SESSION_MAX_CUSTOMS + 1; /* it may set any */
	} else if (plan->kind == PLAN_SET && plan->set_name != NULL &&
		   strchr(plan->set_name, '.') != NULL) {
		customs_add(session, plan->set_name);
	}
}

/* Whether a Query of ours may be sent: it ends the unnamed statement and portal, would
 * commit a batch that is under way, and may not be the first of a transaction, whose
 * snapshot and isolation level it would settle. */
static bool shows_may_ask(const struct client *client)
{
	const struct server *server = client->server;
	return server->tx_status == 'I' && client->session.tx_status == 'I' &&
	       server->unnamed_id != SERVER_UNNAMED_LARGE;
}

/* Whether something of the client is not answered yet: the status of its transaction is
 * not known, and the question's ReadyForQuery would pass as that of all. */
static bool shows_is_behind(const struct client *client)
{
	struct owed_queue *owed = &client->server->owed;
	for (uint32_t i = 0; i < owed->n; i++) {
		if ((owed_at(owed, i)->flags & (OWED_SETTINGS | OWED_SEQUENCES)) == 0) {
			return true;
		}
	}
	return false;
}

/* The plan's name has nothing that would have to be quoted. */
static void shows_ask(struct client *client, const char *name)
{
	struct buf sql;
	buf_init(&sql, SHOWS_MAX_SQL);
	buf_printf(&sql,
		   "SELECT coalesce(pg_catalog.current_setting('%s', true), '') = ''"
		   " AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_settings"
		   " WHERE pg_catalog.lower(name) = '%s')",
		   name, name);
	client->shown = SHOWN_ASKED;
	if (client_send_sql(client, &sql, OWED_SWALLOW | OWED_OURS | OWED_SHOWS)) {
		client_wait_answers(client);
	}
	buf_fini(&sql);
}

enum shows client_may_show(struct client *client, const struct plan *plan, char *text)
{
	enum shown shown = client->shown;
	client->shown = SHOWN_NOT_ASKED;
	if (LIKELY(!plan->shows_custom) || client->session_mode ||
	    customs_have(&client->session, plan->set_name)) {
		return SHOWS_READY;
	}
	if (shown == SHOWN_ASKED) { /* something else was answered */
		client->shown = shown;
		client_wait_answers(client);
		return SHOWS_WAITS;
	}
	const struct server *server = client->server;
	if (shown == SHOWN_NOT_ASKED && !server->unsynced && !server->copy_in) {
		if (shows_is_behind(client)) {
			client_wait_answers(client);
			return SHOWS_WAITS;
		}
		if (shows_may_ask(client)) {
			shows_ask(client, plan->set_name);
			return SHOWS_WAITS;
		}
	}
	if (shown != SHOWN_UNKNOWN) {
		return SHOWS_READY;
	}
	snprintf(text, SHOWS_MAX_TEXT, "unrecognized configuration parameter \"%s\"",
		 plan->set_name);
	return SHOWS_REFUSED;
}

bool client_may_parse_show(struct client *client, struct statement *statement,
			   struct span name, bool *is_answered)
{
	char text[SHOWS_MAX_TEXT];
	struct span sql = statement_text(statement);
	*is_answered = false;
	/* SELECT is told from it by one letter */
	if (LIKELY(sql.n < 4 || (sql.p[1] | 0x20) != 'h' ||
		   !span_ieq(span_make(sql.p, 4), SPAN_LIT("show")))) {
		return true;
	}
	struct request request = { .text = sql, .statement = statement };
	query_plan(client, &request);
	enum shows shows = client_may_show(client, request.plan, text);
	if (shows == SHOWS_REFUSED) {
		if (name.n == 0) { /* the old one is gone, too */
			names_remove(&client->session.names, name,
				     client_position(client));
		}
		client_fail_batch(client, SQLSTATE_UNDEFINED_OBJECT, text);
		*is_answered = true;
	}
	return shows == SHOWS_READY;
}

void client_shows_row(struct client *client, struct span body)
{
	struct reader r = reader_make(body);
	if (reader_u16(&r) != 1) {
		return;
	}
	int32_t len = reader_i32(&r);
	struct span text = reader_bytes(&r, len > 0 ? (size_t)len : 0);
	if (client->shown == SHOWN_ASKED && reader_at_end(&r) &&
	    span_eq_str(text, "t")) {
		client->shown = SHOWN_UNKNOWN;
	}
}

void client_shows_answered(struct client *client)
{
	if (client->shown == SHOWN_ASKED) {
		client->shown = SHOWN_KNOWN;
	}
}
