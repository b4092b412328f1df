#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What each message of a logged-in client does. */

#include <stddef.h>

#include "base/span.h"

struct client;
struct pool_error;
struct pool_waiter;
struct server;

/* Takes messages from IN; returns the bytes consumed.  Stops at a message that must
 * wait (the stream is then paused and the message comes again, from its beginning). */
size_t client_take(struct client *client, struct span in);
/* Queues bytes of ours at their place among the replies. */
void client_reply(struct client *client, struct span bytes);
/* The same for a ReadyForQuery of ours, when the status is known. */
void client_reply_ready(struct client *client);
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
/* The peers keep up again: goes on taking messages. */
void client_unblock(struct client *client);
/* The server connection goes back to its pool when it may: nothing owed, no
 * transaction, no pin. */
void client_release(struct client *client);
/* ReadyForQuery has been passed on and nothing is outstanding. */
void client_after_transaction(struct client *client);
/* Gives up the bound server connection of a client that ends. */
void client_abandon(struct client *client);
