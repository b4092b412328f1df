#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The simple protocol: a Query message is answered from the cache, refused, or sent. */

#include <stddef.h>

#include "base/span.h"

struct client;
struct frame;

/* The step of a Query: IN begins with the complete message FRAME.  Returns the bytes
 * consumed, 0 when the message must come again (the client waits). */
size_t client_query(struct client *client, struct span in, const struct frame *frame);
/* A Query has been queued for the server: it ends the unnamed statement and portal. */
void client_note_query(struct client *client);
/* There is no server connection for the message FRAME, which is a batch of its own: the
 * client is told why, and ReadyForQuery.  An open transaction fails with it. */
void client_query_failed(struct client *client, const struct frame *frame);
