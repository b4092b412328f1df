/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_settings.h"

#include <string.h>

#include "base/buf.h"
#include "proxy/client.h"
#include "proxy/client_send.h"
#include "proxy/server_begin.h"
#include "upstream/context.h"
#include "upstream/server.h"
#include "wire/writer.h"

/* Bytes of the messages: of two statements a setting, and a few. */
#define SETTINGS_MAX_MESSAGES (SETTINGS_MAX_SQL + 64 * (2 * CONTEXT_MAX_SETTINGS + 16))

static void settings_add(struct buf *out, struct span sql)
{
	writer_parse(out, SPAN_LIT(""), sql, SPAN_LIT(""));
	buf_append_span(out, SPAN_LIT("B\0\0\0\14\0\0\0\0\0\0\0\0"));
	writer_execute(out, SPAN_LIT(""), 0);
}

/* What makes settings TO out of FROM, as the header has it. */
static void settings_write(const struct context *from, const struct context *to,
			   struct buf *out)
{
	struct buf sql;
	buf_init(&sql, SETTINGS_MAX_SQL);
	context_diff(from, to, &sql);
	settings_add(out, SPAN_LIT("BEGIN ISOLATION LEVEL READ COMMITTED"));
	struct span left = buf_span(&sql);
	while (left.n > 0) {
		size_t n = strlen((const char *)left.p);
		settings_add(out, span_make(left.p, n));
		left = span_skip(left, n + 1);
	}
	settings_add(out, SPAN_LIT("COMMIT"));
	writer_query(out, SPAN_LIT(""));
	out->failed = out->failed || !buf_ok(&sql);
	buf_fini(&sql);
}

static bool settings_rebase(struct client *client, struct context **at,
			    struct context *server)
{
	struct context *fresh = context_rebase(*at, server);
	if (fresh == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	context_unref(*at);
	*at = fresh;
	return true;
}

/* Contexts are interned, so equal settings cost one comparison. */
bool client_sync_settings(struct client *client)
{
	struct server *server = client->server;
	struct session *session = &client->session;
	if (LIKELY(server->context == session->context)) {
		client->target = server->target;
		return true;
	}
	if (!server_is_clean(server)) {
		return true; /* inside a transaction: with the next one */
	}
	uint64_t was = session->context->id;
	if (!settings_rebase(client, &session->context, server->context) ||
	    !settings_rebase(client, &session->startup, server->context)) {
		return false;
	}
	client->target = server->target;
	if (session->context->id != was) {
		/* the plan, and the key, of the message at hand were made for the base
		 * before: another search path, perhaps, and so other relations */
		client->is_stale = true;
		return false;
	}
	if (server->context == session->context) {
		return true;
	}
	bool is_spoilt = server_has_connect_query(server->context) &&
			 context_must_reset(server->context, session->context);
	if (is_spoilt) {
		session->suspect = server->suspect = true; /* it is the client's own */
	}
	struct buf messages;
	buf_init(&messages, SETTINGS_MAX_MESSAGES);
	settings_write(server->context, session->context, &messages);
	bool ok = client_send_ours(client, &messages, OWED_SWALLOW | OWED_SETTINGS);
	buf_fini(&messages);
	if (!ok) {
		return false;
	}
	context_assign(&server->context, context_ref(session->context));
	client->is_stale = is_spoilt; /* it was seen as if it might be shared */
	return !is_spoilt;
}

bool client_awaits_settings(const struct client *client)
{
	const struct session *session = &client->session;
	const struct server *server = client->server;
	if (server == NULL || server->owed.n == 0 || server->copy_in) {
		return false; /* or what comes is its data */
	}
	bool differs = session->pending != NULL || server->context != session->context;
	return UNLIKELY(differs) && session->tx_status == 'I' && !session->tx_begun &&
	       client->sync_at == server->owed.n_pushed;
}
