/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_settings.h"

#include "base/buf.h"
#include "proxy/client.h"
#include "proxy/client_send.h"
#include "proxy/server_begin.h"
#include "upstream/context.h"
#include "upstream/server.h"
#include "wire/writer.h"

static bool client_rebase(struct client *client, struct context **at,
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

/* Sends what makes settings TO out of FROM. */
static bool client_send_settings(struct client *client, const struct context *from,
				 const struct context *to, uint8_t flags)
{
	struct server *server = client->server;
	struct buf sql;
	buf_init(&sql, 2 * CONTEXT_MAX_TEXT + 4096);
	context_diff(from, to, &sql);
	struct buf message;
	buf_init(&message, sql.max + 16);
	writer_query(&message, buf_span(&sql));
	bool ok = buf_ok(&sql) && buf_ok(&message);
	if (ok) {
		ok = client_owe(client, 'Q', flags, NULL, NULL);
	} else {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
	}
	if (ok) {
		stream_put(&server->stream, buf_span(&message));
		server->unnamed_id = 0;
	}
	buf_fini(&sql);
	buf_fini(&message);
	return ok;
}

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
	if (!client_rebase(client, &session->context, server->context) ||
	    !client_rebase(client, &session->startup, server->context)) {
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
	if (server_has_connect_query(server->context) &&
	    context_must_reset(server->context, session->context)) {
		session->suspect = server->suspect = true; /* it is the client's own */
	}
	bool waits = server->context->cache != session->context->cache;
	if (!client_send_settings(client, server->context, session->context,
				  OWED_SWALLOW | OWED_SETTINGS)) {
		return false;
	}
	if (waits) {
		client->settings_wait = true;
		stream_pause(&client->stream);
	}
	context_unref(server->context);
	server->context = context_ref(session->context);
	return !waits;
}

void client_restore_settings(struct client *client)
{
	struct session *session = &client->session;
	if (session->pending == NULL || session->pending == session->pending_server ||
	    session->startup->n == 0 ||
	    !(session->tx_begun || session->tx_status == 'T')) {
		return;
	}
	if (client_send_settings(client, session->pending_server, session->pending,
				 OWED_SWALLOW | OWED_OURS)) {
		context_unref(session->pending_server);
		session->pending_server = context_ref(session->pending);
	}
}
