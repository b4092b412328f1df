#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The commands that one connection to Redis has not answered, in the order of their
 * deadlines.
 *
 * A request belongs to its connection: it is freed when its answer comes, or all are
 * when the connection ends.  One that was given up before (its callback has been
 * called) is late: it waits for its answer, or for that end. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/dlist.h"
#include "base/span.h"

struct metrics;
struct redis_answer;
struct redis_call;
struct redis_link;

struct redis_requests {
	struct metrics *metrics;
	uint64_t timeout_ns;  /* of a command whose deadline is 0 */
	struct dlist pending; /* struct redis_request, first deadline first; owned */
	struct dlist late;    /* given up, the answer is still owed; owned */
	size_t n;	      /* in both */
	size_t n_bytes;	      /* of the commands in both */
};

/* METRICS: the worker's shard, which counts commands, failures and what is pending. */
void redis_requests_init(struct redis_requests *requests, struct metrics *metrics);
/* Sends a command.  0 or -ENOMEM. */
int redis_requests_put(struct redis_requests *requests, struct redis_link *link,
		       const struct span *args, size_t n_args,
		       const struct redis_call *call) MUST_CHECK;
/* The link tells the ANSWER to REQUEST, what it was given by redis_requests_put():
 * calls back.  METRIC_REDIS_..., why Redis refused; METRIC_REDIS_OTHER also when it did
 * not. */
unsigned redis_requests_answer(struct redis_requests *requests, void *request,
			       const struct redis_answer *answer);
/* Calls back everything that is pending, without an answer; REASON: METRIC_REDIS_...
 * Callbacks may try to send again: that must be refused by now. */
void redis_requests_give_up(struct redis_requests *requests, unsigned reason);
/* The connection has ended: no answer will come.  Nothing may be pending. */
void redis_requests_forget(struct redis_requests *requests);
/* The first deadline of what is pending, clock_now_ns(); UINT64_MAX: nothing is, or
 * without one. */
uint64_t redis_requests_deadline(const struct redis_requests *requests);
bool redis_requests_are_pending(const struct redis_requests *requests);
