#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Pins end when their cause ends.  What holds a client to its server connection (a
 * temporary table, a SQL-level PREPARE, a WITH HOLD cursor, an advisory lock, LISTEN)
 * can be made and ended in more ways than we could count along; but a statement that
 * may have ended it is known, and then the server is asked, at the next idle moment,
 * what is left.
 *
 * LISTEN in a function, or in the text of a DO, is not seen when it runs.  So behind
 * everything that may have executed one the server is asked, too, whether it listens:
 * then the client keeps the connection, which tells it of its notifications.
 */

#include <stdbool.h>

#include "base/check.h"
#include "base/span.h"

struct client;

/* The client's transaction is over and nothing is owed.  True: the server has been
 * asked, and the connection stays with the client until it answers. */
bool client_ask_pins(struct client *client);
/* The body of the DataRow that answers it. */
SELDOM void client_pins_row(struct client *client, struct span body);
/* The question has been answered, with a row or an error. */
void client_pins_answered(struct client *client);
/* Brings the metrics up to date with the session's pins. */
void client_count_pins(struct client *client);
