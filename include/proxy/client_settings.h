#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The settings of a client's session on the server connection that it is bound to. */

#include <stdbool.h>

struct client;

/* Gives the server connection the client's settings.  Contexts are interned, so equal
 * settings cost one comparison.  Those that cannot change an answer go in the packet of
 * the client's first message; for others it waits until they are in force, because they
 * may be refused, or a cancel request may hit them: it must not run under another
 * session's.  False: it waits, or the client has been closed. */
bool client_sync_settings(struct client *client);
/* RESET and DISCARD go back to the settings of the server's session; the client's own
 * are those it has logged in with.  Behind such a statement they are set again, in its
 * transaction, so that they come and go with it (T-32).  Outside a transaction the next
 * statement does that. */
void client_restore_settings(struct client *client);
