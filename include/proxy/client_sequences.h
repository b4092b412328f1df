#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* currval() and lastval() tell what the session did with a sequence, and a server
 * connection is the session of many clients.  None of them may be told another's value:
 * before a client asks, what others have left is taken away with DISCARD SEQUENCES, and
 * the answer is the client's own or PostgreSQL's error 55000.
 *
 * A statement that asks is known by its plan, or may ask because it runs code of the
 * user.  What is left of others must go before the client's own statements add to it,
 * which is too early to know that it will ask: so from the first time that somebody of
 * a pool has asked, it goes whenever a client gets a server connection that has some.
 * Pools in which nobody asks pay nothing. */

#include <stdbool.h>

struct client;
struct plan;

/* PLAN is about to be sent to the bound server connection, or (NULL) the first message
 * of a transaction whose plan is not known here.
 * A client that has itself used sequences since it got the connection keeps what is
 * there.  False: the client has been closed. */
bool client_forget_sequences(struct client *client, const struct plan *plan);
/* The client leaves its server connection: whose sequences are there now. */
void client_leave_sequences(struct client *client);
