#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Statements that DDL has outdated (T-65).  PostgreSQL refuses to bind or to describe a
 * prepared statement whose result has got other types since it was prepared ("cached
 * plan must not change result type"), and who only prepares once, as a pool should,
 * would see that for as long as the server connection lives.  So the statement is
 * prepared again on that connection, and what was sent with it is sent again, before
 * the client has seen anything.
 *
 * That is right when the failing message is the first of its group, outside a
 * transaction, that does more than prepare or describe: then nothing has happened yet
 * that the error could have undone, and the answers given so far stay true.  And when
 * nobody is misled: a client that has been told another description of the result, and
 * asks for none now, gets PostgreSQL's error, because it could not read the rows.
 *
 * What was sent since the first message that may fail like that is kept until the next
 * group begins, up to a limit; past it the error is the client's. */

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct client;
struct frame;
struct server;
struct statement;

/* Queues bytes of an extended batch, and keeps a copy when they may be needed again.
 * _borrow: as stream_put_borrow(). */
void server_put(struct server *server, struct span bytes);
void server_put_borrow(struct server *server, struct span bytes);
/* Bytes of the batch have passed that are not kept. */
void server_again_never(struct server *server);
/* A Bind or Describe of a statement that was there before its group is about to be
 * sent: gives the item's again_at.  When IS_TOLD the client may have read a
 * description. */
uint32_t server_again_from(struct server *server, bool is_told);
/* A Bind or an Execute is about to be sent: behind it nothing can be sent again alone.
 */
void server_again_last(struct server *server);
/* Sync has been sent. */
void server_again_end(struct server *server);
/* The connection goes to somebody else. */
void server_again_forget(struct server *server);
/* FRAME is an error for the head of what is owed.  True: the client need not know. */
bool server_again(struct server *server, const struct frame *frame);
