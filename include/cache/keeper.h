#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One worker's part in keeping the epoch (epoch.h): writes a new one when something was
 * lost, and confirms that this worker's connection leads to the Redis that has it. */

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "cache/epoch.h"

struct loop;
struct redis;
struct timer;
struct token_source;

struct keeper {
	struct epoch *epoch;	     /* of the process */
	struct redis *redis;	     /* of the worker */
	struct token_source *tokens; /* of the worker */
	const char *prefix;
	struct timer *tick;    /* owned */
	uint64_t link;	       /* number of our connection, epoch_add_link() */
	uint64_t confirmed;    /* epoch.links when it was last seen to be right */
	uint64_t tend_link;    /* what was known when the SET or GET was sent: link, */
	uint64_t tend_links;   /* epoch.links, */
	uint64_t tend_lost;    /* epoch.lost */
	uint64_t tend_value;   /* and the epoch that is written or expected */
	unsigned n_mismatches; /* looks in a row that showed a strange epoch */
	bool is_tending;       /* a SET or GET is under way */
	bool is_resting;       /* writing has failed: not before the next tick */
};

/* The first four members have been set (redis may follow, before the first tick).  0,
 * or -ENOMEM. */
int keeper_init(struct keeper *keeper, struct loop *loop) MUST_CHECK;
void keeper_fini(struct keeper *keeper);
/* (Re)starts the look every PERIOD_MS. */
void keeper_start(struct keeper *keeper, uint64_t period_ms);
void keeper_stop(struct keeper *keeper);
/* Redis is ready, on a connection that is new or not. */
void keeper_ready(struct keeper *keeper, bool is_new_link);
/* Does what the epoch needs: writes a new one, or looks whether Redis has it, when that
 * is not confirmed, or ALWAYS.  At most one command at a time. */
void keeper_tend(struct keeper *keeper, bool always);
/* True when what this worker reads from Redis now may be trusted.  VIEW: epoch_view().
 */
bool keeper_is_right(const struct keeper *keeper, const struct epoch_view *view);
/* The same with Redis ready; begins to do what is needed when it is not. */
bool keeper_is_usable(struct keeper *keeper);
