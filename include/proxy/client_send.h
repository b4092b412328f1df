#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Sending for a client: getting a server connection with the client's settings, and
 * putting messages on it with the items that it then owes.  Those that send return
 * false after having closed the client, or when it must wait. */

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/span.h"

struct client;
struct commit;
struct message_bind;
struct plan;
struct query;
struct request;
struct statement;

enum acquired {
	ACQUIRED,	/* client->server is there, with the client's settings */
	ACQUIRE_WAITS,	/* the client waits and its message will come again */
	ACQUIRE_FAILED, /* client->wait_error says why; the caller answers and clears it
			 */
};

/* Binds the client to a connection, new or the one that it has, and puts its settings
 * on it.  Joins the pool's queue when there is none. */
enum acquired client_acquire(struct client *client);
/* The position of a change to the client's names made now: see proxy/names.h. */
uint64_t client_position(const struct client *client);
/* True when what the client calls NAME hangs on an earlier group, or on a DEALLOCATE
 * ALL, whose fate is not known yet. */
bool client_name_is_open(struct client *client, struct span name);
/* The same of STATEMENT, which is there by that name; also when such a group was to
 * bring it to the server without having been asked to. */
bool client_hangs_on_answers(struct client *client, const struct statement *statement,
			     struct span name);
/* True when a Parse of STATEMENT is in such a group, whoever asked for it. */
bool client_is_parsing(struct client *client, const struct statement *statement);
/* The fate of what was sent is needed to go on: the message at hand comes again when
 * it is known. */
SELDOM void client_wait_answers(struct client *client);
/* Queues an item; closes the client without memory, and frees what the item holds. */
bool client_owe(struct client *client, uint8_t kind, uint8_t flags, struct query *query,
		struct commit *commit);
/* Queues the item of a Bind or Describe (KIND) of STATEMENT, which the client calls
 * NAME and the server has. */
bool client_owe_statement(struct client *client, uint8_t kind,
			  struct statement *statement, struct span name);
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
/* Makes sure that the server has the statement under the name that Bind will use,
 * injecting Parse (and Close of an evicted one). */
bool client_ensure_prepared(struct client *client, struct statement *statement,
			    struct span name);
/* Closes a statement on the server; the answer is not for the client. */
bool client_inject_close(struct client *client, struct span name);
/* Puts the statements that PLAN is about to EXECUTE or DEALLOCATE on the server, under
 * the client's own names, with items of FLAGS. */
bool client_inject_names(struct client *client, const struct plan *plan, uint8_t flags);
/* Enters ID into the server's prepared table, closing the one that has to go. */
bool client_note_prepared(struct client *client, uint64_t id);
/* A statement with this plan (or NULL) is on its way: DEALLOCATE ALL and DISCARD ALL
 * take everybody's statements from the server connection, so whatever is sent behind
 * them prepares its own again. */
void client_note_sent(struct client *client, const struct plan *plan);
/* The statement's name on the server. */
struct span client_server_name(const struct client *client,
			       const struct statement *statement, struct span name);
/* An error of ours inside an extended batch: what PostgreSQL would have sent, at its
 * place; the server's part of the batch is made to fail as well; messages up to Sync
 * are dropped. */
SELDOM void client_fail_batch(struct client *client, const char *sqlstate,
			      const char *text);
