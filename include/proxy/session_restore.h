#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What a RESET takes away.  On PostgreSQL it goes back to what the client has logged in
 * with; on a server connection of ours that is the server's own, and the client's
 * start-up settings have to be set again behind it (T-32). */

#include <stdbool.h>

#include "base/buf.h"

struct context;
struct plan;
struct session;

/* Whether PLAN, of one statement, takes start-up settings away. */
bool session_loses(const struct session *session, const struct plan *plan);
/* PLAN has been noted with session_sent(): appends the statements that set again what
 * it takes away, each with its zero.  The server connection is then taken to have the
 * client's settings, so they must be sent. */
void session_restore(struct session *session, const struct plan *plan, struct buf *sql);
/* The same for what a text with PLAN has taken away and nobody has set again. */
void session_restore_last(struct session *session, const struct plan *plan,
			  struct buf *sql);
/* A ROLLBACK was executed in a batch; N_SETS is what the session's was when it was
 * sent: the same SET again behind it is another one. */
void session_rolled_back(struct session *session, uint64_t n_sets);
/* DISCARD ALL was executed in a batch: it is committed, whatever becomes of the rest.
 * *SERVER becomes what the server connection has now. */
void session_discarded(struct session *session, struct context **server);
