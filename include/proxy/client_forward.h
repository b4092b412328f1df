#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One message of the extended protocol on its way to the server: its name, its item,
 * and what it does to the client.
 *
 * The client is bound to a server connection, but for client_malformed(),
 * client_forbids(), client_statement() and client_has_server().  What was sent is in
 * the server's queue, borrowed from the message at hand.  Those that return bool return
 * false when the caller has to stop: the client was closed, waits, or got an error. */

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/span.h"

struct buf;
struct client;
struct frame;
struct message_bind;
struct message_parse;
struct metrics_db;
struct plan;
struct query;
struct statement;

/* Bytes of a rewritten head, without the client's own name. */
#define CLIENT_HEAD_MAX 128

/* The message at hand cannot be read: closes the client (08P01). */
SELDOM void client_malformed(struct client *client);
/* What a client in statement mode is told of a transaction block (T-98). */
#define CLIENT_NO_BLOCKS "transaction blocks not allowed in statement pooling mode"
/* Whether PLAN begins a transaction block that the pool mode forbids: it must not reach
 * the server. */
bool client_forbids(const struct client *client, const struct plan *plan);
/* The message as the client wrote it, with an item of its type. */
bool client_send_plain(struct client *client, const struct frame *frame);
/* The statement that PARSE makes under the settings of now, a new reference; NULL
 * without memory. */
struct statement *client_statement(struct client *client,
				   const struct message_parse *parse);
/* Parse goes to the server unless it has the statement already. */
bool client_send_parse(struct client *client, const struct frame *frame,
		       const struct message_parse *parse, struct statement *statement);
/* A Parse of a name that the client has: the server refuses it in its own words, after
 * having looked at the text (T-59). */
SELDOM bool client_send_duplicate(struct client *client,
				  const struct message_parse *parse,
				  struct statement *there);
/* STATEMENT has NAME for the client from here on: its Parse (IS_SENT: as the client
 * wrote it) is about to make it, or has made it.  Takes a reference of its own. */
bool client_put_name(struct client *client, struct span name,
		     struct statement *statement, bool is_sent);
/* True when the client may not have NAME besides those that it has; its batch has then
 * failed (53400). */
bool client_too_many_names(struct client *client, struct span name);
/* Bind, behind whatever the server needs to have STATEMENT under the name that it uses.
 */
bool client_send_bind(struct client *client, const struct frame *frame,
		      const struct message_bind *bind, struct statement *statement);
/* Execute, with what is measured and what it may commit.  Facts of the bound statement
 * were noted with Bind, so they are in flight before a commit can be. */
bool client_send_execute(struct client *client, const struct frame *frame,
			 struct query *query, const struct plan *plan);
/* PORTAL now runs PLAN, of which a reference is taken; NULL: not known.  IS_HIT: the
 * cache answers its Execute, and the server has no such portal. */
void client_set_portal(struct client *client, struct span portal, struct plan *plan,
		       bool is_hit);
/* Answers for a client that could not get a server connection: client->wait_error,
 * which it clears. */
SELDOM void client_batch_failed(struct client *client);
/* A server connection for the message, or unit, of SIZE bytes at hand.  False: *TAKEN
 * is what the step returns, 0 while the client waits. */
bool client_has_server(struct client *client, size_t size, size_t *taken);
