#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* How a server connection begins: connect_query, when its line of [databases] has one,
 * then the probe, which asks what the settings of the session are: the base of every
 * context of the pool.  One that was idle for long is probed again.
 *
 * What connect_query has set is not what RESET and DISCARD go back to.  So behind one
 * of them, and behind whatever else may have changed the session, such a connection is
 * closed instead of reset (server_has_connect_query()). */

#include <stdbool.h>

#include "base/check.h"
#include "base/span.h"

struct context;
struct frame;
struct server;

/* Asks; server_probe_done() goes on. */
void server_begin(struct server *server);
/* The server says that connect_query has failed.  The connection is closed. */
void server_connect_query_failed(struct server *server, const struct frame *frame);
/* It is answered, with the transaction STATUS.  False: the connection was closed. */
SELDOM bool server_connect_query_done(struct server *server, char status);
/* A parameter that the server reports before the connection has been given out: part
 * of what it welcomes clients with.  Without memory it stays as it was. */
void server_begin_reported(struct server *server, struct span name, struct span value);
/* The body of the DataRow that answers the probe; another one than is expected counts
 * as no answer. */
SELDOM void server_probe_row(struct server *server, struct span body);
/* The pool knows how its sessions begin, or the connection was closed. */
void server_probe_done(struct server *server, bool failed);
/* Whether sessions with these settings began with a connect_query. */
bool server_has_connect_query(const struct context *context);
