#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What one client listens to, what the open transaction will make of that, and the
 * notifications that wait for its end.
 *
 * LISTEN and UNLISTEN count when their transaction commits.  Which of them ran is read
 * from the command tags of the server, one by one; so is how the transaction ended.  A
 * ROLLBACK TO undoes those behind its savepoint: savepoints are noted from the first
 * change on, and one that was not noted is older than every change. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dlist.h"
#include "base/span.h"
#include "proxy/listen_portals.h"

struct channel;
struct client;
struct note;

/* LISTEN, UNLISTEN and SAVEPOINT of one transaction. */
#define LISTENS_MAX_CHANGES 100000

/* One channel of one client. */
struct listen {
	struct dlist link;	 /* in listens->all */
	struct dlist in_channel; /* in channel->listens */
	struct channel *channel; /* used */
	struct client *client;
	bool is_on;	    /* committed: the client listens */
	bool is_wanted;	    /* a LISTEN of it was sent, or is about to be */
	uint32_t n_changes; /* of the open transaction */
};

struct listens {
	struct dlist all; /* struct listen */
	size_t n;
	struct dlist changes; /* struct listen_change, oldest first */
	size_t n_changes;
	struct listen_portals portals;
	struct dlist held; /* struct listen_held, oldest first */
	size_t held_bytes;
};

enum listen_act {
	LISTEN_ACT_ON,
	LISTEN_ACT_OFF,
	LISTEN_ACT_ALL_OFF,
	LISTEN_ACT_SAVEPOINT,
};

/* None; allocates nothing. */
void listens_init(struct listens *listens);
/* Lets go of everything. */
void listens_fini(struct listens *listens);
/* The one on the channel NAME, or NULL. */
struct listen *listens_find(const struct listens *listens, struct span name);
/* The client is about to listen to CHANNEL; uses it once more.  NULL without memory. */
struct listen *listens_add(struct listens *listens, struct client *client,
			   struct channel *channel);
/* Forgets LISTEN and what is held for it. */
void listens_remove(struct listens *listens, struct listen *listen);
/* ACT was done, on the channel or savepoint NAME; it waits for the commit.  False:
 * there are too many, or no memory. */
bool listens_change(struct listens *listens, enum listen_act act, struct span name);
/* RELEASE: NAME and the savepoints behind it are gone, their changes stay. */
void listens_release_savepoint(struct listens *listens, struct span name);
/* ROLLBACK TO: the changes and savepoints behind NAME are gone. */
void listens_rollback_to(struct listens *listens, struct span name);
/* The transaction has ended. */
void listens_commit(struct listens *listens);
void listens_rollback(struct listens *listens);
/* The client is idle, and nothing is under way: what it does not listen to now was
 * rolled back, refused or ended. */
void listens_settle(struct listens *listens);
/* Keeps NOTE for later.  False without memory. */
bool listens_hold(struct listens *listens, struct listen *listen, struct note *note);
/* The next held note for a channel that the client listens to (a reference for the
 * caller), or NULL.  Others are dropped on the way when IS_LAST: nothing is under way
 * that could still make it listen; else they, and those behind them, stay. */
struct note *listens_take(struct listens *listens, bool is_last);
