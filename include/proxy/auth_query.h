#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* auth_query: the secret of a user who is not in auth_file is asked for at a server, as
 * auth_user, on a connection of our own whose session no client can touch.  One for
 * each worker; answers are shared (proxy/auth_cache.h).
 *
 * One question at a time for each user: who comes meanwhile gets the same answer.  That
 * there is no such user is an answer like any other, and kept as long.
 *
 * The query gives one row, name and secret.  No row, several rows, another name, a NULL
 * or an empty secret mean: nobody.  An error of the query or of the server means that
 * we do not know, which the client may know, too. */

#include <stdbool.h>

#include "base/check.h"
#include "base/dlist.h"
#include "base/span.h"

struct auth_answer;
struct auth_queries;
struct worker;

/* Somebody who waits for an answer; embedded. */
struct auth_waiter {
	struct dlist link;
	bool is_late; /* the question had left before: the answer may be older */
	/* ANSWER (the caller's reference) NULL: the question could not be asked.  Comes
	 * once; when there is no memory for the question, inside the call. */
	void (*fn)(struct auth_waiter *waiter, struct auth_answer *answer);
};

enum auth_found {
	AUTH_NOT_ASKED, /* not configured for that database */
	AUTH_KNOWN,	/* the answer is there */
	AUTH_WAITING,	/* the waiter will be called */
	AUTH_FAILED,	/* too much is under way, or no memory */
};

/* For WORKER, on its thread.  0 or -ENOMEM. */
int auth_queries_new(struct worker *worker, struct auth_queries **out) MUST_CHECK;
/* Closes the connections; who waits is told that the question could not be asked. */
void auth_queries_stop(struct auth_queries *queries);
void auth_queries_free(struct auth_queries *queries);
/* Now and then: closes connections that have been idle. */
void auth_queries_tick(struct auth_queries *queries);

/* Looks USER up for a client of DATABASE.  AUTH_KNOWN: *OUT is a reference. */
enum auth_found auth_query_find(struct auth_queries *queries, struct span database,
				struct span user, struct auth_waiter *waiter,
				struct auth_answer **out);
/* A login by an older answer has failed: the next one asks. */
void auth_query_forget(struct auth_queries *queries, struct span database,
		       struct span user);
void auth_waiter_init(struct auth_waiter *waiter,
		      void (*fn)(struct auth_waiter *waiter,
				 struct auth_answer *answer));
/* The waiter is not called from here on.  Fine for one that does not wait. */
void auth_waiter_leave(struct auth_waiter *waiter);
