#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A client's settings on the server connection that it has got, which may be in those
 * of another client.
 *
 * They go ahead of the client's first message, in the same packet:
 *
 *   Parse Bind Execute   BEGIN
 *   Parse Bind Execute   each RESET, each set_config()
 *   Parse Bind Execute   COMMIT
 *   Query                ""
 *
 * There is no Sync among them.  When one is refused, or a cancel request hits it, the
 * server skips whatever comes until a Sync, a Query as well.  Behind the first Sync of
 * the client's nothing is sent before the settings are answered, and when they were not
 * set the connection is closed.  So nothing of the client's runs without its settings:
 * no write, and no answer that could be stored.
 *
 * COMMIT ends the transaction.  What the client sends is in none of ours: it does not
 * undo the settings when it fails, and may be VACUUM.  The transaction is READ
 * COMMITTED because those in force may be somebody else's, who waits for a safe
 * snapshot.
 *
 * Behind the empty Query the server reports the parameters that have changed.  They are
 * ours, not those that the client's own message changes.  An error of that Query
 * changes nothing: the settings are in force. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "upstream/context.h"

/* Bytes of statements: every value may have to be quoted throughout. */
#define SETTINGS_MAX_SQL (2 * CONTEXT_MAX_TEXT + 4096)

struct client;

/* Sends the client's settings to its server connection if they differ and it is between
 * two transactions.  False: the client has been closed, or (client->is_stale) its
 * message must be looked at again, because the settings of the server are not what they
 * were when that was done. */
bool client_sync_settings(struct client *client);
/* True while that message has to wait: a SET, RESET or DISCARD, outside a transaction
 * and with its Sync, is not answered yet, or a question of ours behind it.  Sent behind
 * a RESET the message would run under the settings of the server's session, and its
 * answer be stored as if under the client's; and of two that wait for their answers
 * together, of which one has failed, nobody could tell what is in force. */
bool client_awaits_settings(const struct client *client);
