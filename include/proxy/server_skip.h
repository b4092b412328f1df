#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* After an error: what was sent and is not executed.  PostgreSQL drops the messages of
 * an extended batch up to its Sync; so go the items that stood for them, the replies of
 * ours between them, and what they did to the names of statements (T-43, T-50). */

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

/* A Bind that fails: behind it, what a batch has done is not committed by its Sync. */
#define SERVER_FAIL_BATCH SPAN_LIT("B\0\0\0\31\0pgrecall_fail\0\0\0\0\0\0\0")

struct buf;
struct owed;
struct server;

/* ITEM, which has been popped, was not executed: what its message would have done to
 * the server's prepared statements. */
void server_undo_item(struct server *server, const struct owed *item);
/* Drops the items up to the next Sync, or all; FROM is the position of the message that
 * failed. Without a Sync the client's messages are dropped until it sends one. */
void server_drop_batch(struct server *server, uint64_t from);
/* The unnamed statement is the one with ID (0: none that is known), but for what the
 * messages do that are owed. */
void server_restore_unnamed(struct server *server, uint64_t id);
/* The simple query HEAD has failed: it may not have come to its DEALLOCATE ALL. */
void server_keeps_statements(struct server *server, const struct owed *head);
/* The server has done a DEALLOCATE ALL of HEAD, and has only what is prepared behind
 * it.
 */
void server_forgets_statements(struct server *server, struct owed *head);
/* Writes an ErrorResponse with BODY in which OWN, what the client calls the statement,
 * stands for our name of it.  False: it has none of ours. */
bool server_rename_error(const char *own, struct span body, struct buf *out);
