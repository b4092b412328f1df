#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Our own questions to a server (catalogue, LISTEN, "is that backend gone?"): one
 * libpq connection on the loop, one question at a time, answers row by row.  Reconnects
 * by itself when a question comes and the connection is gone. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "upstream/connect.h"

struct asker;

/* VALUES: the columns as text, NULL for NULL; valid during the call. */
typedef void (*asker_row_fn)(void *arg, const char *const *values, size_t n);
/* ERROR NULL: all rows were given. */
typedef void (*asker_done_fn)(void *arg, const char *error);

/* OPTIONS is copied.  Every session runs `SET search_path = ''`, statement_timeout
 * TIMEOUT_MS (0: none), client_encoding = UTF8, default_transaction_read_only = on. */
int asker_new(struct loop *loop, const struct connect_options *options,
	      uint32_t timeout_ms, struct asker **out) MUST_CHECK;
/* Pending questions are told "closed" at once; frees itself later.  NULL is fine. */
void asker_close(struct asker *asker);
/* A notification of a channel that a question has made the connection LISTEN to. */
typedef void (*asker_heard_fn)(void *arg, const char *channel, uint32_t pid,
			       const char *payload);
/* An established connection is gone, and what it listened to with it.  A question that
 * was under way is asked once more.  May not close the asker. */
typedef void (*asker_lost_fn)(void *arg, const char *error);
/* From now on tells of notifications and of lost connections. */
void asker_listen(struct asker *asker, asker_heard_fn heard, asker_lost_fn lost,
		  void *arg);
/* What is asked, and who is told. */
struct asker_question {
	const char *sql;	   /* of at most 64 columns */
	const char *const *params; /* $1 and so on, as text; NULL for NULL */
	size_t n_params;	   /* at most 8 */
	asker_row_fn row;	   /* NULL: rows are not wanted */
	asker_done_fn done;
	void *arg; /* of both */
};
/* Queues a question; its texts are copied.  DONE comes on a later turn; it may ask
 * again or close the asker, as ROW may.  At most 64 wait; more: -ENOBUFS; closed:
 * -ECANCELED; or -ENOMEM. */
int asker_ask(struct asker *asker, const struct asker_question *question) MUST_CHECK;
/* Of the error that DONE was just told: the server's, or "" when it is not known. */
const char *asker_sqlstate(const struct asker *asker);
/* How many sessions it has had: another number than before tells that what the last one
 * was told may not hold any more. */
uint64_t asker_n_sessions(const struct asker *asker);
/* False while there is no connection whose session is set up. */
bool asker_is_connected(const struct asker *asker);
