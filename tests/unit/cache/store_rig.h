#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Stores of one or two processes with two workers each, on one loop, in front of a
 * private Redis; and the life of a query and of a commit in one call each. */

#include <stdbool.h>
#include <stdint.h>

#include "cache/entry.h"
#include "cache/key.h"
#include "cache/store.h"
#include "redis_server.h"

#define RIG_WORKERS 2
#define RIG_TAG	    UINT64_C(0x1000001)
#define RIG_TAG_2   UINT64_C(0x1000002)

struct rig_process {
	struct store_shared *shared;
	struct store *stores[RIG_WORKERS];
	struct metrics *metrics[RIG_WORKERS];
};

struct rig {
	struct redis_server redis;
	struct loop *loop;
	struct timer *timer;
	struct config *config;
	struct rig_process a;
	int n_closing;
};

/* One look-up and what came of it. */
struct rig_query {
	struct rig *rig;
	struct rig_process *process;
	struct store *store;
	struct key key;
	struct span context;
	struct store_fill fill;
	void *handle;
	bool is_asking;
	int n_calls;
	struct entry *hit; /* owned */
};

/* MORE: lines for the [redis] section; NULL: a long time-out.  Waits until both workers
 * may use Redis. */
void rig_begin(struct rig *rig, const char *more);
void rig_end(struct rig *rig);
void rig_process_begin(struct rig *rig, struct rig_process *process);
void rig_process_end(struct rig *rig, struct rig_process *process);
/* Runs the loop. */
void rig_run(struct rig *rig, uint64_t ms);
/* Runs the loop until every worker of the process may use Redis; fails after 5 s. */
void rig_wait_usable(struct rig *rig, struct rig_process *process);
void rig_clear_l1(struct rig_process *process);

/* Notes the words of RIG_TAG and RIG_TAG_2 and asks Redis for TEXT; does not wait. */
void query_ask(struct rig_query *q, struct rig *rig, struct rig_process *process,
	       unsigned worker, const char *text);
void query_ask_as(struct rig_query *q, struct rig *rig, struct rig_process *process,
		  unsigned worker, const char *text, const char *context);
/* Runs the loop until the answer is there; true on a hit. */
bool query_wait(struct rig_query *q);
/* Stores VALUE as what PostgreSQL answered. */
void query_fill(struct rig_query *q, const char *value);
void query_end(struct rig_query *q);

/* The three together: fills TEXT with VALUE when Redis does not have it. */
void rig_fill(struct rig *rig, struct rig_process *process, const char *text,
	      const char *value);
/* Whether Redis answers TEXT, with VALUE. */
bool rig_hits(struct rig *rig, struct rig_process *process, unsigned worker,
	      const char *text, const char *value);
/* A commit that moves TAG: begins, writes tokens, waits, ends.  Milliseconds it took.
 */
uint64_t rig_commit(struct rig *rig, struct rig_process *process, unsigned worker,
		    uint64_t tag);
