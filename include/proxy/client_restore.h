#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A client's start-up settings, put again behind what took them away, so that nothing
 * runs without them (T-32; proxy/session_restore.h says why they are gone).
 *
 * In a batch they come behind the Execute of the RESET, in messages of ours without a
 * Sync: they hold or are undone together with it.  DISCARD ALL commits at once, and so
 * do they then: between a BEGIN and a COMMIT, which leave behind what DISCARD ALL did,
 * no transaction.
 *
 * In a text they come behind the statement, in the text.  It cannot be sent in parts:
 * it is one transaction, and what it has done to the session is not known before it is
 * over.  Their answers are swallowed, and where PostgreSQL tells a place in the text it
 * is corrected (proxy/added.h).
 *
 * Behind the last statement of a text, in an open transaction, they are a Query of
 * their own; outside one client_sync_settings() does it for the next message.  Where
 * the text reads the data of a COPY, among which a Query may not come, that one waits
 * for the text's end, and the client's next message for that. */

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

struct added;
struct client;
struct plan;
struct session;

/* A text on its way; the caller's. */
struct restoring {
	struct buf sql;	     /* statements of ours, each with its zero, and another
			      * zero for each of the client's but the last */
	struct buf message;  /* the Query to be sent; empty: the client's as it is */
	struct added *added; /* what is of ours in it; owned, or NULL */
};

/* Whether a text with PLAN would become too long. */
bool client_restores_too_much(const struct session *session, const struct plan *plan);
/* TEXT with PLAN is about to be noted. */
void restoring_begin(struct restoring *restoring, struct session *session,
		     const struct plan *plan, struct span text);
/* It has been: makes the message of TEXT.  False: no memory. */
bool restoring_end(struct restoring *restoring, struct client *client,
		   const struct plan *plan, struct span text);
void restoring_fini(struct restoring *restoring);

/* A text with PLAN has been sent. */
void client_restore_behind_query(struct client *client, struct plan *plan);
/* A message is about to be taken that is no part of a COPY, nor Sync, Flush or
 * Terminate, and `client->restores` is set: sends what waited for the text's end.
 * False: the message comes again. */
bool client_restore_late(struct client *client);
/* An Execute of PLAN (NULL: unknown) has been sent. */
void client_restore_behind_execute(struct client *client, const struct plan *plan);
