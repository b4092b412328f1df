#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Between two clients: what a new connection's settings are (probe), and how a
 * connection that a client has left behind becomes usable again (reset). */

#include <stdbool.h>

#include "base/span.h"

struct server;
struct worker;

/* For a new connection: asks for its settings; server_probe_done() gives it to the
 * pool. */
void server_probe(struct server *server);
void server_probe_row(struct server *server, struct span body);
void server_probe_done(struct server *server, bool failed);
/* On each tick: closes connections of the worker whose reset takes too long. */
void server_reset_tick(struct worker *worker);
