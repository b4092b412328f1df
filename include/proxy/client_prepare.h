#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Prepared statements of a client on its server connection: what the server lacks is
 * prepared there, unasked, before what uses it.  Those that send return false after
 * having closed the client. */

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct client;
struct named;
struct plan;
struct statement;

/* The statement's name on the server. */
struct span client_server_name(const struct client *client,
			       const struct statement *statement, struct span name);
/* Makes sure that the server has the statement under the name that Bind will use,
 * injecting Parse (and Close of an evicted one). */
bool client_ensure_prepared(struct client *client, struct statement *statement,
			    struct span name);
/* Queues the item of a Bind or Describe (KIND) of STATEMENT, which the client calls
 * NAME and the server has. */
bool client_owe_statement(struct client *client, uint8_t kind,
			  struct statement *statement, struct span name);
/* The client calls NAME, of the entry NAMED (or NULL), what the item queued last is
 * about: for its error.  Without memory the error has our name. */
void client_keep_name(struct client *client, struct named *named, struct span name);
/* Enters ID into the server's prepared table, closing the one that has to go. */
bool client_note_prepared(struct client *client, uint64_t id);
/* Closes a statement on the server; the answer is not for the client. */
bool client_inject_close(struct client *client, struct span name);
/* Puts the statements that PLAN is about to EXECUTE or DEALLOCATE on the server, under
 * the client's own names, with items of FLAGS. */
bool client_inject_names(struct client *client, const struct plan *plan, uint8_t flags);
/* The names that PLAN, which has been sent, takes away by DEALLOCATE. */
void client_forget_names(struct client *client, const struct plan *plan);
