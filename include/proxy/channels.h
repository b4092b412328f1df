#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* LISTEN in transaction mode, the part of one worker: which of its clients listen to
 * what.
 *
 *   client: LISTEN x ──> channel x ──database_want()──> main thread: one connection a
 *                            ^                          database LISTENs for everybody
 *   clients <── note ────────┴──── calls of the main thread <──┘
 *
 * 1. Before the client's LISTEN is sent to its server connection the connection of the
 *    database listens already.  So nothing that is notified after the client's commit
 *    can be missed (T-83), and nobody waits between commit and answer.
 * 2. The LISTEN itself runs on the pooled connection, so that every answer, error and
 *    rollback is PostgreSQL's.  What the pooled connection hears is not passed on: the
 *    database's connection hears it as well, so nothing comes twice.  When the client
 *    lets go, UNLISTEN * makes the connection fit for the next one.
 * 3. While the outcome of the LISTEN is open, notifications are held for the client and
 *    passed on or dropped with it.  One that was committed just before the LISTEN may
 *    so be told; one that was committed after it is never lost.
 * 4. When the connection of the database is lost, so are the notifications until it is
 *    back.  Clients that listen are closed (57P01), which is how PostgreSQL itself
 *    would have told them: they come back, listen, and read again what they care for.
 *    Going on in silence would leave them waiting for what never comes.
 *
 * Notifications name the process of the pooled connection that notified.  That is never
 * the number that a client in transaction mode was told is its own: it hears its own
 * notifications as those of somebody else, and never the other way round. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dlist.h"
#include "base/map.h"
#include "base/span.h"
#include "base/sqlstate.h"

struct database;
struct worker;

/* Bytes of notifications that may be on their way to one worker. */
#define CHANNELS_MAX_POSTED ((size_t)64 << 20)

/* One notification: the message as clients get it.  Of one worker. */
struct note {
	unsigned refs;
	bool is_ascii;
	size_t n;
	uint8_t bytes[];
};

/* A channel of a database that clients of this worker listen to, or want to. */
struct channel {
	struct database *database;
	uint64_t round; /* tells it from an earlier one of this name */
	bool is_heard;	/* the connection of the database listens */
	char *refusal;	/* why it never will; owned, or NULL */
	char sqlstate[SQLSTATE_SIZE];
	struct dlist listens; /* struct listen, see proxy/listens.h */
	unsigned n_users;     /* besides them */
	size_t key_len;
	uint8_t key[]; /* the database's address, and the name */
};

struct channels {
	struct map by_key; /* struct channel, but for the refused ones */
	uint64_t last_round;
	atomic_bool has_lost;	/* something could not be posted to this worker */
	atomic_size_t n_posted; /* bytes of notes on their way */
};

/* Empty; all clients must have let go of theirs before the end. */
void channels_init(struct channels *channels);
void channels_fini(struct channels *channels);
/* The channel NAME with one more user; it is asked for when it is new.  NULL without
 * memory. */
struct channel *channel_use(struct worker *worker, struct database *database,
			    struct span name);
/* One user less.  Without users and listeners it is let go, and freed. */
void channel_unuse(struct worker *worker, struct channel *channel);
struct span channel_name(const struct channel *channel);
struct note *note_ref(struct note *note);
void note_unref(void *note);

/* From the main thread to the worker.  The database listens to NAME: */
void channels_post_heard(struct worker *worker, struct database *database,
			 struct span name, uint64_t round);
/* it cannot; */
void channels_post_refused(struct worker *worker, struct database *database,
			   struct span name, uint64_t round, const char *sqlstate,
			   const char *text);
/* it has lost its connection; */
void channels_post_lost(struct worker *worker, struct database *database);
/* it has heard MESSAGE, a NotificationResponse, on NAME. */
void channels_post_note(struct worker *worker, struct database *database,
			struct span name, struct span message);
/* On the worker, now and then: when a post was lost, the clients that listen go. */
void channels_tick(struct worker *worker);
