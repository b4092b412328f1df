#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A replication client and the server connection of its own: opened when the client has
 * logged in, with the client's options, never shared, closed with the client.  No pool
 * knows it: PostgreSQL counts such connections by max_wal_senders and not by
 * max_connections, so they have a limit of their own, max_replication_connections.
 *
 * All bytes pass as they are, in both directions; neither side is read while the other
 * cannot keep up.  Where messages begin is followed, so that it can be ended between
 * two.  The cache is not asked and not filled.
 *
 * Why the cache stays right: a physical session (replication=true) cannot run SQL.  A
 * logical one (replication=database) can, by simple Query, and may write anything.  So
 * every message of it that may commit something (all but the replication commands) puts
 * the tag of its database in flight before it leaves, as DDL does.  The tag ends, moved
 * and with the catalogue read again, when the server is ready and nothing else that was
 * sent is unanswered, before the client is told.  Messages that the server ignores, and
 * answers that are not counted, only make that later.  When the connection ends first,
 * the tag stays in flight until the server process is gone (proxy/database.h). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/close_reason.h"
#include "base/dlist.h"
#include "base/span.h"

struct client;
struct config_database;
struct database;
struct relay;
struct server_socket;
struct stream;

struct relay_options {
	const struct config_database *line; /* of [databases] */
	struct database *database; /* of a logical session; NULL: a physical one */
	const char *name;	   /* of the database, as the client gave it */
	const char *user;
	const char *password; /* or NULL */
	const char *options;  /* for the server's command line */
};

/* Begins to connect for CLIENT, whose stream is paused and which becomes the owner.
 * login_relay_greet() follows, or the client is closed. */
int relay_start(struct client *client, const struct relay_options *options,
		struct relay **out) MUST_CHECK;
/* For client_close(): closes the server connection; the relay is freed at the end of
 * the turn.  NULL is fine. */
void relay_close(struct relay *relay);
/* Ends it with its client, which is told: at once, or when what was asked has been
 * answered (a base backup, SQL).  Streaming never is, and ends between two messages. */
void relay_end(struct relay *relay, enum client_close_reason reason);
/* The client has got the beginning of a message, and waits for the rest. */
bool relay_is_in_message(const struct relay *relay);
/* Bytes of the client; returns how many were consumed. */
size_t relay_take(struct relay *relay, struct span in);
/* The client has room again. */
void relay_resume_reading(struct relay *relay);
/* Cancels what the server runs.  ORDERS (proxy/cancel.h) that have to wait for that are
 * taken out of their list. */
void relay_cancel(struct relay *relay, struct dlist *orders);
/* What the server said at login. */
const struct server_socket *relay_socket(const struct relay *relay);
/* Of the server connection; NULL: it is not open yet. */
const struct stream *relay_stream(const struct relay *relay);
/* Since 1970. */
uint64_t relay_opened_us(const struct relay *relay);
/* The server's process id, or 0 when it is not known to be the true one. */
uint32_t relay_pid(const struct relay *relay);
/* As the client gave them, for the log and the metrics. */
const char *relay_database(const struct relay *relay);
const char *relay_user(const struct relay *relay);
/* "physical" or "logical", as SHOW CLIENTS says it. */
const char *relay_kind(const struct relay *relay);
uint32_t relay_db_index(const struct relay *relay);
