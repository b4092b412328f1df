#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the workers tell one another about a pool that they share, so that no client
 * waits while a connection of its pool is idle, or could be opened, elsewhere.  All of
 * it is posts from loop to loop.
 *
 *   client waits here      ──pool_ask_others──> pool_asked() there
 *   connection free here   ──pool_send_away───> pool_give() where the oldest waits
 *   place free here        ──pool_nudge───────> pool_look() where the oldest waits
 *   limit over many pools  ──pool_ask_room────> an idle one of another pool closes
 *
 * Nobody is forgotten between two of them: a client is counted as waiting before the
 * counts of idle connections are read, and a connection is counted as idle before the
 * counts of waiting clients are read. */

#include <stdbool.h>

struct pool;
struct pool_shared;
struct server;
struct upstream;

/* The worker's part of the pool; NULL: it never had a client, or has stopped. */
struct pool *pool_of_shared(struct upstream *up, const struct pool_shared *shared);
/* The worker whose client has waited longest; NULL when it is this one, or none. */
struct upstream *pool_longest_waiting(const struct pool *pool);
/* Sends a connection that nobody has to the worker whose client has waited longest;
 * false when nobody else waits.  Not from a callback of its stream: the other worker
 * may have it before that returns. */
bool pool_send_away(struct pool *pool, struct server *server);
/* A client waits here: asks every worker that has an idle connection for it. */
void pool_ask_others(struct pool *pool);
/* A place in the account is free: tells the worker whose client has waited longest. */
void pool_nudge(struct pool *pool);
/* Something concerns everybody who waits. */
void pool_nudge_all(struct pool *pool);
/* True when both count for one limit over several pools. */
bool pool_shares_limit(const struct pool_shared *a, const struct pool_shared *b);
/* Asks one worker to close an idle connection of another pool that counts for the same
 * limit, and to nudge this one then. */
void pool_ask_room(struct pool *pool);
