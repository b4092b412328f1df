#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Between two clients: what a new connection's settings are (probe), and how a
 * connection that a client has left behind becomes usable again (reset). */

#include <stdbool.h>

#include "base/span.h"

struct server;
struct worker;

/* Sends SQL of ours, whose answer is swallowed, with the enum owed_flags FLAGS; nobody
 * is bound.  False: the connection was closed. */
bool server_send_sql(struct server *server, struct span sql, uint8_t flags);
/* On each tick: closes connections of the worker whose reset takes too long. */
void server_reset_tick(struct worker *worker);
