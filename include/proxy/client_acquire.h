#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A server connection with the client's settings: got at once, or waited for. */

struct client;
struct pool_error;
struct pool_waiter;
struct server;

enum acquired {
	ACQUIRED,	/* client->server is there, with the client's settings */
	ACQUIRE_WAITS,	/* the client waits and its message will come again */
	ACQUIRE_FAILED, /* client->wait_error says why; the caller answers and clears it
			 */
};

/* Binds the client to a connection, new or the one that it has, and puts its settings
 * on it.  Joins the pool's queue when there is none. */
enum acquired client_acquire(struct client *client);
/* A server connection, or an error, for the client that waits. */
void client_granted(struct pool_waiter *waiter, struct server *server,
		    const struct pool_error *error);
/* The client waited too long. */
void client_wait_expired(struct client *client);
/* Its user has cancelled the wait. */
void client_wait_cancelled(struct client *client);
/* The same while it waits for Redis. */
void client_lookup_cancelled(struct client *client);
/* Its user has cancelled the message at hand, which waits for something else. */
void client_cancel_next(struct client *client);
