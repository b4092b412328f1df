#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The epoch: one token in Redis on which every entry there depends.  Writing a fresh
 * one retires all of them at once.  This is what the workers of a process know of it
 * together.
 *
 * lost counts the events after which Redis may hold an answer that is not right any
 * more:
 *   - a commit's tokens could not be written, or nobody knows whether they were
 *   - a connection was made: Redis may have restarted with an old snapshot, or a
 * replica that lacks the last tokens may have taken over
 *   - the epoch token was found missing
 * covered is the value of lost when the last epoch that was written was sent.  Redis
 * may be asked only while both are equal.  The process begins with one loss: writes may
 * have happened while it was not there.
 *
 * links counts connections.  After each one every worker confirms that its own
 * connection leads to the Redis that has the epoch; until then it neither asks nor
 * trusts its writes. Any thread may call. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

struct epoch {
	pthread_mutex_t lock;
	uint64_t value; /* the token that Redis is thought to have */
	uint64_t lost;
	uint64_t covered; /* at most lost */
	uint64_t links;
	bool is_writing; /* a worker has claimed the next epoch */
};

/* A consistent copy. */
struct epoch_view {
	uint64_t value;
	uint64_t lost;
	uint64_t links;
	bool is_known; /* nothing was lost since value was sent */
};

/* Nothing is known, so that the first to see it writes a new epoch. */
void epoch_init(struct epoch *epoch);
void epoch_fini(struct epoch *epoch);
/* Everything as of one moment. */
struct epoch_view epoch_view(struct epoch *epoch);
/* Counts one loss; when it returns no worker trusts Redis until a new epoch is there.
 */
void epoch_lose(struct epoch *epoch);
/* A connection was made: a loss, and a number for it. */
uint64_t epoch_add_link(struct epoch *epoch);
/* True when a new epoch is needed, nobody is writing one, and the asker's connection
 * leads to the right Redis: it is the newest (LINK), or was CONFIRMED since the newest
 * came.  The asker then writes one and must call epoch_wrote() in any case, with the
 * lost of *VIEW_OUT. */
bool epoch_claim(struct epoch *epoch, uint64_t link, uint64_t confirmed,
		 struct epoch_view *view_out);
/* The claimed epoch was written as VALUE, or (OK false) it is not known.  True when
 * Redis may be asked now; false when more was lost meanwhile. */
bool epoch_wrote(struct epoch *epoch, bool ok, uint64_t value, uint64_t lost);
/* Connection LINK shows VALUE, which this process did not write: another process did.
 * Taken over only from the newest connection, which has had an epoch of ours; an older
 * one may lead to a Redis that is not the one in use any more.  False: not taken over.
 */
bool epoch_adopt(struct epoch *epoch, uint64_t link, uint64_t value);
