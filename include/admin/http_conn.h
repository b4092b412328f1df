#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One connection of the HTTP endpoint; shared by admin/http.c (its life) and
 * admin/http_steps.c (what it answers). */

#include <stdbool.h>
#include <stddef.h>

#include "admin/http.h"
#include "admin/http_parse.h"
#include "base/dlist.h"
#include "net/loop.h"
#include "net/stream.h"

struct listener;
struct timer;

enum http_state {
	HTTP_READING,  /* takes bytes of a request */
	HTTP_ANSWERED, /* an answer is queued; the next request waits for it to leave */
	HTTP_LINGER,   /* nothing more is sent; what the peer still sends is dropped */
	HTTP_CLOSED,   /* in http->graves */
};

struct http {
	struct loop *loop;
	struct listener *listener; /* owned */
	struct http_source source;
	struct http_options options; /* listen is not kept */
	struct stream_group group;
	struct loop_task burial;  /* frees the graves, out of the streams' callbacks */
	struct dlist connections; /* struct http_conn.link */
	struct dlist graves;	  /* likewise, closed */
	unsigned n_connections;	  /* in `connections` */
};

struct http_conn {
	struct http *http;
	struct dlist link;
	struct stream stream;
	struct http_parse *parse; /* owned */
	struct timer *deadline; /* owned; of the request, the answer or the lingering */
	struct timer *turn;	/* owned; the next request waits for the next turn */
	size_t dropped;		/* bytes read and thrown away while lingering */
	enum http_state state;
	bool last; /* the connection ends after the answer */
};

extern const struct stream_events http_conn_events;

/* The step after an answer was queued, on a later turn. */
void http_conn_turn(void *arg);
/* The deadline passed. */
void http_conn_late(void *arg);
/* Queues a refusal of STATUS and ends the connection after it. */
void http_conn_refuse(struct http_conn *conn, int status);
/* The only writer of conn->state. */
void http_conn_move(struct http_conn *conn, enum http_state to);
/* Closes at once; the memory goes on a later turn. */
void http_conn_close(struct http_conn *conn);
