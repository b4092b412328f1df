#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What an administrator has closed: a *paused* database gives no server connection to
 * anybody, those in use end when they are released, and clients wait; a *disabled* one
 * takes no new clients.  Every pool carries the bits of its database, so that the way
 * of a query costs one relaxed load. */

#include <stdbool.h>

#include "base/check.h"
#include "base/span.h"

struct pool;
struct pools;

enum gate {
	GATE_PAUSED = 1,
	GATE_DISABLED = 2,
};

/* Sets or clears GATE for DATABASE, or (p NULL) for every one, those to come included;
 * clearing it for every one clears it for each.  Any thread; the workers' pools must be
 * told with gates_apply().  0 or -ENOMEM. */
int gates_set(struct pools *pools, struct span database, enum gate gate,
	      bool on) MUST_CHECK;
/* The bits of DATABASE, or (p NULL) those that hold for every one; any thread. */
unsigned gates_of(struct pools *pools, struct span database);
/* The same with the lock of the pools held. */
unsigned gates_of_locked(struct pools *pools, struct span database);
/* On the pool's worker, after a change: idle connections of a paused pool end; clients
 * that wait for a pool that is not paused any more are served. */
void gates_apply(struct pool *pool);
/* Every connection of DATABASE (p NULL: of all) is to be replaced: those in use end
 * when they are released.  The workers' pools must be told with pool_retarget(). */
void gates_reconnect(struct pools *pools, struct span database);
/* Frees what gates_set() has remembered. */
void gates_fini(struct pools *pools);
