#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Sending for a client: what the server connection owes for its messages, what these do
 * to the session and to the facts of its writes, and errors of ours.  Those that send
 * return false after having closed the client. */

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/span.h"

struct buf;
struct client;
struct commit;
struct plan;
struct query;
struct request;
struct statement;

/* The position of a change to the client's names made now: see proxy/names.h. */
uint64_t client_position(const struct client *client);
/* True when what the client calls NAME hangs on an earlier group, or on a DEALLOCATE
 * ALL, whose fate is not known yet. */
bool client_name_is_open(struct client *client, struct span name);
/* The same of STATEMENT, which is there by that name; also when such a group was to
 * bring it to the server without having been asked to. */
bool client_hangs_on_answers(struct client *client, const struct statement *statement,
			     struct span name);
/* True when which statement NAME is hangs on a group that has not been answered: the
 * unnamed one is known again once it has been made anew behind that group. */
bool client_name_hangs(struct client *client, struct span name);
/* True when the transaction has failed and nothing that was sent can end that. */
bool client_is_stuck(const struct client *client);
/* The statement under NAME, borrowed, or NULL.  In a transaction that has failed it
 * stays what the server has: nothing there depends on how its text is read. */
struct statement *client_known(struct client *client, struct span name);
/* True when a Parse of STATEMENT is in such a group, whoever asked for it. */
bool client_is_parsing(struct client *client, const struct statement *statement);
/* The fate of what was sent is needed to go on: the message at hand comes again when
 * it is known. */
SELDOM void client_wait_answers(struct client *client);
/* Queues an item; closes the client without memory, and frees what the item holds. */
bool client_owe(struct client *client, uint8_t kind, uint8_t flags, struct query *query,
		struct commit *commit);
/* Sends MESSAGES of ours, for which the server owes one item 'Q' of FLAGS.  False: the
 * client has been closed. */
bool client_send_ours(struct client *client, const struct buf *messages, uint8_t flags);
/* The same with one Query of SQL. */
bool client_send_sql(struct client *client, const struct buf *sql, uint8_t flags);
/* The message of the item queued last makes the statement with this ID the server's
 * unnamed one, or (0) ends it. */
void client_set_unnamed(struct client *client, uint64_t id);
/* What PLAN, which is about to be sent, does to the session, and where in the pipeline
 * its settings begin to be pending. */
void client_note_settings(struct client *client, const struct plan *plan);
/* What a statement with this plan does to facts and, when it IS_EXECUTED, to the
 * session, before it is sent. */
void client_note_statement(struct client *client, const struct request *request,
			   bool is_executed);
/* The commit that the message at hand may carry out, with its tags in flight; *OUT may
 * be NULL.  PLAN is what is executed (NULL: unknown); AT_EXECUTE: an Execute, which
 * commits only when it is COMMIT itself. */
bool client_begin_commit(struct client *client, const struct plan *plan,
			 bool at_execute, struct commit **out);
/* A statement with this plan (or NULL) is on its way: DEALLOCATE ALL and DISCARD ALL
 * take everybody's statements from the server connection, so whatever is sent behind
 * them prepares its own again. */
void client_note_sent(struct client *client, const struct plan *plan);
/* An error of ours inside an extended batch: what PostgreSQL would have sent, at its
 * place; the server's part of the batch is made to fail as well; messages up to Sync
 * are dropped. */
SELDOM void client_fail_batch(struct client *client, const char *sqlstate,
			      const char *text);
