/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_acquire.h"

#include <stdio.h>
#include <string.h>

#include "base/sqlstate.h"
#include "proxy/client.h"
#include "proxy/client_find.h"
#include "proxy/client_sequences.h"
#include "proxy/client_settings.h"
#include "proxy/server_begin.h"
#include "upstream/server.h"

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
