#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What each message of a logged-in client does. */

#include <stddef.h>

#include "base/span.h"

struct client;

/* Takes messages from IN; returns the bytes consumed.  Stops at a message that must
 * wait (the stream is then paused and the message comes again, from its beginning). */
size_t client_take(struct client *client, struct span in);
/* Queues bytes of ours at their place among the replies. */
void client_reply(struct client *client, struct span bytes);
/* The same for a ReadyForQuery of ours, when the status is known. */
void client_reply_ready(struct client *client);
/* The peers keep up again: goes on taking messages. */
void client_unblock(struct client *client);
/* The server connection goes back to its pool when it may: nothing owed, no
 * transaction, no pin. */
void client_release(struct client *client);
/* ReadyForQuery has been passed on and nothing is outstanding. */
void client_after_transaction(struct client *client);
/* Gives up the bound server connection of a client that ends. */
void client_abandon(struct client *client);
