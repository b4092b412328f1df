/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_restore.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/added.h"
#include "proxy/client.h"
#include "proxy/client_listen.h"
#include "proxy/client_send.h"
#include "proxy/client_settings.h"
#include "proxy/server_again.h"
#include "proxy/session_restore.h"
#include "sql/plan.h"
#include "sql/split.h"
#include "upstream/context.h"
#include "upstream/server.h"
#include "wire/writer.h"

/* Bytes of the statements that are added to one text, about. */
#define RESTORE_MAX_TEXT (4U << 20)

/* Texts */

/* Statements of a text, but for the last, behind which settings have to be set. */
static size_t restoring_count(const struct session *session, const struct plan *plan)
{
	size_t n = 0;
	for (size_t i = 0; i + 1 < plan->n_parts; i++) {
		n += session_loses(session, plan->parts[i]);
	}
	return n;
}

bool client_restores_too_much(const struct session *session, const struct plan *plan)
{
	const struct context *startup = session->startup;
	size_t each = 2 * startup->text_len + 128 * (startup->n + 4);
	return UNLIKELY(startup->n > 0) &&
	       restoring_count(session, plan) > RESTORE_MAX_TEXT / each;
}

/* Whether the server divides TEXT into statements as we do.  Where its settings are
 * not known a backslash may be an escape, and what looks like one the second byte of a
 * character. */
static bool restoring_may_divide(const struct session *session, struct span text)
{
	bool is_doubtful =
	    session->unreadable || session->untrusted || session->suspect;
	return !is_doubtful || memchr(text.p, '\\', text.n) == NULL;
}

void restoring_begin(struct restoring *restoring, struct session *session,
		     const struct plan *plan, struct span text)
{
	buf_init(&restoring->sql, 2 * RESTORE_MAX_TEXT);
	buf_init(&restoring->message, 0);
	restoring->added = NULL;
	if (UNLIKELY(session->startup->n > 0) && restoring_count(session, plan) > 0 &&
	    restoring_may_divide(session, text)) {
		session->put_back = &restoring->sql;
	}
}

void restoring_fini(struct restoring *restoring)
{
	buf_fini(&restoring->sql);
	buf_fini(&restoring->message);
	free(steal(&restoring->added));
}

/* As PostgreSQL counts them in an encoding that is UTF-8, or of one byte each. */
static uint32_t restoring_characters(struct span s, bool is_utf8)
{
	size_t n = s.n;
	for (size_t i = 0; is_utf8 && i < s.n; i++) {
		n -= (s.p[i] & 0xC0) == 0x80;
	}
	return (uint32_t)n;
}

/* Appends what comes behind one statement of the client's; *LEFT is the rest of the
 * statements of ours. */
static void restoring_put(struct buf *out, struct span *left, struct added_place *place,
			  bool is_utf8)
{
	while (left->p[0] != 0) {
		struct span sql = span_str((const char *)left->p);
		buf_append_span(out, sql);
		buf_append_u8(out, ';');
		place->len += restoring_characters(sql, is_utf8) + 1;
		place->n++;
		*left = span_skip(*left, sql.n + 1);
	}
	*left = span_skip(*left, 1);
}

static void restoring_write(struct restoring *restoring, const struct plan *plan,
			    struct span text, const size_t *ends, bool is_utf8)
{
	struct buf *out = &restoring->message;
	struct added *added = restoring->added;
	struct span left = buf_span(&restoring->sql);
	size_t start = writer_begin(out, 'Q');
	size_t at = 0;
	uint32_t characters = 0;
	for (uint32_t i = 0; i < plan->n_parts; i++) {
		struct span own = span_make(text.p + at, ends[i] - at);
		buf_append_span(out, own);
		at = ends[i];
		characters += restoring_characters(own, is_utf8);
		struct added_place place = { .part = i, .at = characters };
		if (i + 1U < plan->n_parts) {
			restoring_put(out, &left, &place, is_utf8);
		}
		if (place.n > 0) {
			added->places[added->n++] = place;
		}
	}
	buf_append_u8(out, 0);
	writer_end(out, start);
}

bool restoring_end(struct restoring *restoring, struct client *client,
		   const struct plan *plan, struct span text)
{
	struct session *session = &client->session;
	if (LIKELY(session->put_back == NULL)) {
		return true;
	}
	session->put_back = NULL;
	size_t n = plan->n_parts;
	size_t *ends = calloc(n, sizeof(*ends));
	restoring->added = calloc(1, sizeof(*restoring->added) +
					 n * sizeof(restoring->added->places[0]));
	int r = ends == NULL || restoring->added == NULL || !buf_ok(&restoring->sql)
		    ? -1
		    : split_text(text, n, ends);
	if (r == 0) {
		restoring->message.max = text.n + restoring->sql.len + 16;
		restoring_write(restoring, plan, text, ends, client_reads_utf8(client));
	} else if (r == SPLIT_E_OTHER) {
		session_distrust(session); /* it is sent without them */
		free(steal(&restoring->added));
	}
	free(ends);
	return r >= 0 && buf_ok(&restoring->message);
}

/* In the open transaction. */
static void restore_send(struct client *client, const struct plan *plan)
{
	struct session *session = &client->session;
	struct buf sql;
	buf_init(&sql, SETTINGS_MAX_SQL);
	session_restore_last(session, plan, &sql);
	for (size_t i = 0; i < sql.len; i++) {
		sql.data[i] = sql.data[i] != 0 ? sql.data[i] : ';';
	}
	if (sql.len > 0 || !buf_ok(&sql)) {
		/* a text that fails outside a transaction does not take ours with it */
		session->is_unsure = session->is_unsure || session->tx_status == 'I' ||
				     client->server->owed.n > 1;
		(void)client_send_sql(client, &sql, OWED_SWALLOW | OWED_OURS);
	}
	buf_fini(&sql);
}

void client_restore_behind_query(struct client *client, struct plan *plan)
{
	struct session *session = &client->session;
	if (LIKELY(session->startup->n == 0) ||
	    (plan->kind != PLAN_SET && plan->kind != PLAN_MULTI) ||
	    !(session->tx_begun || session->tx_status == 'T')) {
		return;
	}
	if (plan->copy_in) {
		plan_unref(client->restores);
		client->restores = plan_ref(plan);
	} else {
		restore_send(client, plan);
	}
}

bool client_restore_late(struct client *client)
{
	if (client->server != NULL && client->server->owed.n > 0) {
		client_wait_answers(client);
		return false;
	}
	struct plan *plan = steal(&client->restores);
	if (client->session.tx_status == 'T') { /* else it has undone, or ended, them */
		restore_send(client, plan);
	}
	plan_unref(plan);
	return client_is_open(client);
}

/* Batches */

/* Of ours: the client's unnamed ones stay what they are, also when only the server
 * knows the statement. */
#define RESTORE_PORTAL SPAN_LIT("pgrecall")
#define RESTORE_NAME   SPAN_LIT("pgrecall_restore")
#define RESTORE_BIND   SPAN_LIT("\0\0\0\0\0\0") /* no formats, no values */

/* The items of one statement of ours. */
static bool restore_owe(struct client *client, bool commits)
{
	for (const char *kind = "CPBECC"; *kind != 0; kind++) {
		if (!client_owe(client, (uint8_t)*kind, OWED_SWALLOW, NULL, NULL)) {
			return false;
		}
		struct owed_queue *owed = &client->server->owed;
		struct owed *item = owed_at(owed, owed->n - 1);
		item->statement_id = *kind == 'P' ? OWED_NAMED : 0;
		item->restores = *kind == 'E' && commits;
	}
	return true;
}

/* One statement of ours in the client's batch.  An error of it is the batch's: then the
 * statement may be there until the next one. */
static bool restore_execute(struct client *client, struct span sql, bool commits)
{
	struct buf messages;
	buf_init(&messages, sql.n + 256);
	writer_close(&messages, 'S', RESTORE_NAME);
	writer_parse(&messages, RESTORE_NAME, sql, SPAN_LIT(""));
	writer_bind_head(&messages, RESTORE_PORTAL, RESTORE_NAME, RESTORE_BIND.n);
	buf_append_span(&messages, RESTORE_BIND);
	writer_execute(&messages, RESTORE_PORTAL, 0);
	writer_close(&messages, 'P', RESTORE_PORTAL);
	writer_close(&messages, 'S', RESTORE_NAME);
	bool ok = buf_ok(&messages);
	if (!ok) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
	}
	ok = ok && restore_owe(client, commits);
	if (ok) {
		server_put(client->server, buf_span(&messages));
	}
	buf_fini(&messages);
	return ok;
}

void client_restore_behind_execute(struct client *client, const struct plan *plan)
{
	struct session *session = &client->session;
	if (plan == NULL || !session_loses(session, plan)) {
		return;
	}
	struct buf sql;
	buf_init(&sql, SETTINGS_MAX_SQL);
	session_restore(session, plan, &sql);
	bool ok = buf_ok(&sql);
	if (!ok) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
	}
	bool commits = plan->set_kind == SET_DISCARD_ALL;
	ok = ok &&
	     (!commits ||
	      restore_execute(client, SPAN_LIT("BEGIN ISOLATION LEVEL READ COMMITTED"),
			      false));
	struct span left = buf_span(&sql);
	while (ok && left.n > 0) {
		struct span one = span_str((const char *)left.p);
		left = span_skip(left, one.n + 1);
		ok = restore_execute(client, one, false);
	}
	if (ok && commits) {
		(void)restore_execute(client, SPAN_LIT("COMMIT"), true);
	}
	buf_fini(&sql);
}
