#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the files of proxy/server_steps share: the walk over what a server has sent. */

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/span.h"
#include "base/sqlstate.h"

struct frame;
struct owed;
struct server;
struct worker;

#define SERVER_MAX_LEN 0x7FFFFFFFU /* PostgreSQL's own messages are smaller */
#define SERVER_WHOLE_MAX \
	(1U << 20) /* control messages up to this size are kept whole */

/* What becomes of the frame at hand. */
enum verdict {
	PASS, /* to the client, when there is one and it asked */
	SWALLOW,
	HOLD,	/* not yet: come again with more, or when Redis has answered */
	CLOSED, /* the server connection is gone */
};

/* The walk over one read: a run of bytes for the client that has not been passed on. */
struct walk {
	struct server *server;
	struct span in;
	size_t at;  /* the frame at hand */
	size_t run; /* first byte of the run */
};

/* Whose pool the connection is in: it changes when it moves to another worker. */
struct worker *server_worker(const struct server *server);
/* Passes the run on. */
void walk_flush(struct walk *walk);
/* The head of what is owed has been answered. */
void server_item_done(struct walk *walk);
/* Replies of ours whose turn has come: behind the run, and behind the frame at hand. */
void server_send_replies(struct walk *walk, size_t frame_size);

/* server_errors.c: ErrorResponse. */
SELDOM enum verdict server_on_error(struct walk *walk, const struct frame *frame);
/* An error or notice of the client's: with the place in the client's own text. */
enum verdict server_pass_placed(struct walk *walk, const struct frame *frame);
/* What an ErrorResponse says: its code, "" when there is none, and "DOING: message" in
 * TEXT (size bytes, cut off). */
void server_read_error(const struct frame *frame, const char *doing,
		       char sqlstate[SQLSTATE_SIZE], char *text, size_t size);

/* server_ready.c: ReadyForQuery, and what ends a statement (CommandComplete,
 * EmptyQueryResponse, PortalSuspended). */
enum verdict server_on_ready(struct walk *walk, const struct frame *frame);
enum verdict server_on_complete(struct walk *walk, const struct frame *frame);
/* After ReadyForQuery has been put on the run: the session, and perhaps the release. */
void server_after_ready(struct server *server);
