#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What is known of each database, shared by all workers: its catalogue snapshot, and
 * the tags that are in flight longer than a statement: while the catalogue is read
 * again after DDL, while the outcome of a lost commit is unknown, and of prepared
 * transactions.
 *
 * The questions run on the main loop (upstream/asker.h).  Any thread may call. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

#define DATABASE_MAX_ALIASES 64

struct catalog;
struct database;
struct databases;
struct loop;
struct proxy;

/* On the main thread.  0 or -ENOMEM. */
int databases_new(struct proxy *proxy, struct databases **out) MUST_CHECK;
/* On the main thread: closes the connections that ask. */
void databases_stop(struct databases *databases);
void databases_free(struct databases *databases);
/* On the main thread, now and then: a refresh of catalogues that are due. */
void databases_tick(struct databases *databases);

/* The database of that name; USER and PASSWORD are how we may ask it when the
 * configuration does not say.  Made when it is not there, and its catalogue is asked
 * for.  NULL without memory.  The caller may keep it while a pool of that name exists
 * (upstream/pools.h), as every logged-in client's does, or by database_keep(); else
 * until the end of this turn of its loop (proxy/database_forget.c). */
struct database *database_find(struct databases *databases, struct span name,
			       struct span user, const char *password);
/* Without a pool: it stays until database_unkeep().  False: it has just been forgotten;
 * look again. */
bool database_keep(struct database *database) MUST_CHECK;
void database_unkeep(struct database *database);
uint64_t database_tag(const struct database *database);
/* The current snapshot with a new reference, or NULL while there is none. */
struct catalog *database_catalog(struct database *database);
/* Version of the current snapshot, 0: none; cheap. */
uint32_t database_catalog_version(const struct database *database);
/* A number that was never given before the last DDL, as far as we know of it: DDL that
 * has passed through, and what the catalogue has shown of others'.  No two databases
 * have the same, nor has one that was forgotten and comes back: DDL in between was not
 * seen.  Under 2^32 (session_shape()). */
uint64_t database_shape(const struct database *database);
/* DDL has been committed, and nobody has been told yet: gives the database another
 * shape. */
void database_reshape(struct database *database);
/* True when the main thread can reach the server. */
bool database_is_up(const struct database *database);

/* DDL has been committed: reads the catalogue again and only then ends the database's
 * tag, which the caller has begun. */
void database_changed(struct database *database);
/* False until the server has said which database of which server it is: nothing may be
 * stored before. */
bool database_is_placed(const struct database *database);
/* The others that are the same database of the same server, as their servers say, under
 * other tags (the same host by another name or way): what is written to one is written
 * to all.  Until DATABASE is placed all others may be.  Writes at most
 * DATABASE_MAX_ALIASES; returns how many.  Any thread; cheap when there is none. */
size_t database_aliases(struct database *database, struct database **out);
/* The servers may be reading their settings just now: every database's tag is in flight
 * until it is known what became of that. */
void databases_reloading(struct databases *databases);
/* A server connection of database NAME was lost and there is a new one: the tag is in
 * flight until it is known whether it is the same server, which has not been down. */
void databases_lost(struct databases *databases, struct span name);
/* The outcome of a commit is unknown: the N tags (begun by the caller) end, moved, when
 * the server process PID is gone; 0: nobody knows which it is, and they stay in flight
 * for good.  DDL: after that the catalogue is read again. */
void database_limbo(struct database *database, uint32_t pid, const uint64_t *tags,
		    size_t n, bool ddl);
/* PREPARE TRANSACTION gid succeeded: keeps the tags in flight.  False when it cannot:
 * the caller then leaves them in flight for good. */
bool database_prepared(struct database *database, struct span gid, const uint64_t *tags,
		       size_t n);
/* The tags kept for GID, now the caller's (malloc'ed), or NULL. */
uint64_t *database_unprepare(struct database *database, struct span gid, size_t *n_out);
/* Worker number WORKER wants notifications of channel NAME, or (IS_ON false) no more:
 * proxy/channels.h is told of the outcome, with its ROUND.  False without memory. */
bool database_want(struct database *database, unsigned worker, uint64_t round,
		   struct span name, bool is_on);
/* The state of one database, for /readyz and /healthz. */
struct database_state {
	const char *name;
	bool is_up;
	uint32_t catalog_version;
	size_t n_relations;
	size_t n_limbo;
};
/* Writes at most MAX of them; returns how many. */
size_t databases_state(struct databases *databases, struct database_state *out,
		       size_t max);
