#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* LISTEN of a client in transaction mode; proxy/channels.h has the whole picture.  In
 * session mode all of this does nothing: the client's own server connection listens.
 *
 * A LISTEN that we cannot take over (inside a function or DO, or with a name that its
 * encoding keeps us from knowing) pins the client to its server connection, which then
 * tells it of that channel.  Not followed: UNLISTEN inside a function or DO, of what
 * was listened to outside. */

#include <stdbool.h>

#include "base/span.h"

struct client;
struct database;
struct listen;
struct note;
struct owed;
struct plan;
struct pool_error;

enum listen_ready {
	LISTEN_READY,	/* the message may be sent */
	LISTEN_WAITS,	/* the client is paused, and its message comes again */
	LISTEN_REFUSED, /* it must be answered with the error */
};

/* True when the client would get the same bytes from a connection that speaks UTF-8. */
bool client_reads_utf8(const struct client *client);
/* Before a message is sent that runs PLAN: makes the database listen to its channels.
 */
enum listen_ready client_listen_prepare(struct client *client, const struct plan *plan,
					struct pool_error *error);
/* The same for the extended protocol, where an error fails the batch.  True: go on. */
bool client_listen_may_bind(struct client *client, struct plan *plan,
			    struct span portal, bool *is_answered);
/* The same before the Execute of a PORTAL; *PLAN: what it runs, when it is one of
 * proxy/listen_portals.h, or NULL. */
bool client_listen_may_execute(struct client *client, struct span portal,
			       struct plan **plan, bool *is_answered);
/* What the client waited for is there, or refused. */
void client_listen_go_on(struct client *client);
/* A statement of HEAD was completed with TAG.  False: the client was closed. */
bool client_listen_done(struct client *client, struct owed *head, struct span tag);
/* A transaction of the client has ended. */
void client_listen_end(struct client *client, bool is_committed);
/* The client is between two transactions, and is not in the middle of an answer: passes
 * on what is held.  IS_LAST: nothing of it is under way. */
void client_listen_tell(struct client *client, bool is_last);
/* A notification of a channel of the client. */
void client_listen_hear(struct listen *listen, struct note *note);
/* True when NAME is told by the database's connection, so that it must not be told by
 * the client's own. */
bool client_listen_knows(const struct client *client, struct span name);
/* Notifications of DATABASE (NULL: any) have been missed: ends the client if it may
 * have been among those who wanted them. */
void client_listen_lost(struct client *client, const struct database *database);
