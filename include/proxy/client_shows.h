#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* SHOW of a custom setting, whose name has a dot.  PostgreSQL makes such a setting when
 * it is set, and keeps it, as '', when it is reset: a client would be shown what
 * another one has left on the server connection, instead of the error that there is no
 * such parameter.  So before the SHOW of a name that the client has never set the
 * server is asked: a setting that is '' and not in pg_settings is nobody's, and the
 * error is ours. One that an extension, the configuration or the role has is shown.
 *
 * Not found out: current_setting('name', true), which is '' there and not NULL; SHOW in
 * a transaction block, where a question of ours would take its snapshot, in a function,
 * behind other statements of its text or other messages of its batch, and, in Parse,
 * behind a comment. */

#include <stdbool.h>

#include "base/span.h"

struct client;
struct plan;
struct statement;

enum shows {
	SHOWS_READY,   /* the message may be sent */
	SHOWS_WAITS,   /* it comes again */
	SHOWS_REFUSED, /* there is no such parameter: it must be answered with `text` */
};

#define SHOWS_MAX_TEXT 320

/* A statement with PLAN was sent: the custom settings that the client has set. */
void client_note_customs(struct client *client, const struct plan *plan);
/* PLAN is about to be sent.  TEXT: room for SHOWS_MAX_TEXT bytes. */
enum shows client_may_show(struct client *client, const struct plan *plan, char *text);
/* The same before the Parse of STATEMENT by NAME, where PostgreSQL finds out.  False:
 * it has failed its batch (*IS_ANSWERED), or comes again. */
bool client_may_parse_show(struct client *client, struct statement *statement,
			   struct span name, bool *is_answered);
/* The row that answers the question. */
void client_shows_row(struct client *client, struct span body);
/* The question has been answered, perhaps with an error. */
void client_shows_answered(struct client *client);
