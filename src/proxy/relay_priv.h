#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the files of proxy/relay share. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/close_reason.h"
#include "base/span.h"
#include "net/loop.h"
#include "net/stream.h"

struct cancel_flight;
struct client;
struct commit;
struct connect;
struct database;
struct relay_tokens;
struct server_socket;
struct worker;

struct relay {
	struct stream stream;
	struct client *client; /* NULL: closed */
	struct worker *worker;
	struct connect *connect;      /* under way, or NULL */
	struct server_socket *socket; /* libpq's part; owned */
	struct database *database;    /* of a logical session, or NULL */
	char *name;		      /* owned */
	char *user;		      /* owned */
	uint32_t db_index;
	uint64_t opened_us;  /* since 1970, when socket is set */
	uint32_t pid;	     /* as the login told */
	bool pid_is_true;    /* the process has said the same of itself */
	bool asks_pid;	     /* our question for it is not answered yet */
	bool client_stopped; /* until the server keeps up */
	bool server_stopped; /* until the client keeps up */
	bool streams;	     /* the last of those asked goes on until a side ends it */
	bool ends;	     /* as soon as it may: relay_end() */
	enum client_close_reason end_reason;
	unsigned n_asked;   /* messages that ReadyForQuery answers, and has not yet */
	size_t client_left; /* bytes of a client's message still to come */
	size_t server_left;
	struct commit *commit;	      /* what they may write, in flight; or NULL */
	struct relay_tokens *tokens;  /* Redis is told of it; or NULL */
	struct cancel_flight *cancel; /* under way, or NULL */
	struct loop_task free_task;
};

/* relay_writes.c: how many of these bytes of the client may pass now.  May close the
 * client. */
size_t relay_watch_client(struct relay *relay, struct span in);
/* The same for the server's.  What is held passes when the stream is resumed. */
size_t relay_watch_server(struct relay *relay, struct span in);
/* The connection ends; a commit under way has an unknown outcome. */
void relay_writes_lost(struct relay *relay);
/* relay.c: it is to end, and this is the moment: between two messages of the server,
 * and nothing is under way that will end by itself. */
bool relay_may_end(const struct relay *relay);
/* Goes on reading from the server when nothing is against it. */
void relay_go_on(struct relay *relay);
