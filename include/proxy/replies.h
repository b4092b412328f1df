#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Replies that do not come from the bound server: cached answers, completions that we
 * make, errors of ours.  Replies leave in the order of the requests, so one that is
 * ready early waits here until the server has answered everything that was sent before
 * it: its position is the number of items that had been sent to the server by then
 * (owed.h).
 *
 * Invariant: positions never decrease from head to tail, and the head's position is
 * beyond what the server has answered. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dlist.h"
#include "base/span.h"

struct buf;
struct stream;

struct replies {
	struct dlist list;
	size_t bytes; /* waiting, with what it costs to keep them */
};

/* Empty; the end drops what waits, and releases it. */
void replies_init(struct replies *replies);
void replies_fini(struct replies *replies);
static inline bool replies_are_empty(const struct replies *replies)
{
	return dlist_is_empty(&replies->list);
}
/* Queues BYTES behind AFTER answered items; RELEASE(OWNER) as stream_put_owned(), or
 * NULL: the bytes are copied.  False without memory. */
bool replies_add(struct replies *replies, uint64_t after, struct span bytes,
		 void *owner, void (*release)(void *owner));
/* Sends every reply whose turn has come. */
void replies_send(struct replies *replies, uint64_t answered, struct stream *to);
/* An error: drops those that stand before position BEFORE. */
void replies_drop(struct replies *replies, uint64_t before);
/* Appends an ErrorResponse with a SQLSTATE that may be the server's. */
void replies_error(struct buf *out, const char *severity, const char *sqlstate,
		   const char *text);
/* Appends a NoticeResponse. */
void replies_notice(struct buf *out, const char *text);
