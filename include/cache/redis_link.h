#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One connection to Redis on the loop: the only file that knows hiredis.  Commands
 * leave in one write at the end of the turn; answers come back in order.  Time limits
 * are the owner's affair. */

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

struct loop;
struct redis_link;

enum redis_answer_kind {
	REDIS_ANSWER_NIL,
	REDIS_ANSWER_TEXT,   /* status or bulk string: text */
	REDIS_ANSWER_NUMBER, /* nobody reads it */
	REDIS_ANSWER_LIST,   /* of bulk strings: list; p NULL where nil */
	REDIS_ANSWER_ERROR,  /* text */
};

#define REDIS_MAX_LIST 32

struct redis_answer {
	enum redis_answer_kind kind;
	struct span text;
	size_t n_list;
	struct span list[REDIS_MAX_LIST];
};

struct redis_link_events {
	void (*connected)(void *owner);
	/* ANSWER is valid during the call, in which the link may be closed. */
	void (*answer)(void *owner, void *request, const struct redis_answer *answer);
	/* The link is gone, with every request on it; it may not be used again. */
	void (*lost)(void *owner, const char *why);
};

struct redis_place {
	const char *host; /* numeric address, or NULL */
	const char *path; /* Unix socket, when there is no host */
	uint16_t port;
};

/* Begins to connect.  MAX_REPLY: an answer of more bytes ends the link.  -errno when
 * the connection fails at once. */
int redis_link_open(struct loop *loop, const struct redis_place *place,
		    size_t max_reply, const struct redis_link_events *events,
		    void *owner, struct redis_link **out) MUST_CHECK;
/* Drops the connection and every request; no callback comes any more. */
void redis_link_close(struct redis_link *link);
/* Queues one command; REQUEST comes back with the answer.  0, or -ENOMEM. */
int redis_link_send(struct redis_link *link, const struct span *args, size_t n_args,
		    void *request) MUST_CHECK;
/* Reads what has already arrived, without waiting.  Careful: the link may be lost here.
 */
void redis_link_read(struct redis_link *link);
