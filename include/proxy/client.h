#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A client connection: accept, buffers, close.  What its messages mean is in
 * proxy/client_steps.h, how it logs in in proxy/login.h.  Lives and dies on one worker.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/close_reason.h"
#include "base/dlist.h"
#include "base/span.h"
#include "net/loop.h"
#include "net/stream.h"
#include "proxy/listens.h"
#include "proxy/replies.h"
#include "proxy/session.h"
#include "upstream/pool.h"

struct cancel_order;
struct console_session;
struct database;
struct entry;
struct login;
struct query;
struct relay;
struct server;
struct worker;

enum client_state {
	CLIENT_STARTUP, /* awaits the startup packet */
	CLIENT_AUTH,	/* awaits password messages */
	CLIENT_WELCOME, /* logged in, awaits what a server reports */
	CLIENT_IDLE,	/* awaits a message; no server bound */
	CLIENT_LOOKUP,	/* awaits Redis */
	CLIENT_WAIT,	/* awaits a server connection */
	CLIENT_BOUND,	/* has a server connection */
	CLIENT_CONSOLE, /* of the admin console; has neither pool nor server */
	CLIENT_RELAY,	/* replication: has one of its own */
	CLIENT_CLOSING, /* gone; freed at the end of the turn */
	CLIENT_N_STATES,
};

/* Items that one client may have outstanding before it is read no further. */
#define CLIENT_MAX_OWED 4096

/* What the server has said of the setting of a SHOW: proxy/client_shows.h. */
enum shown {
	SHOWN_NOT_ASKED,
	SHOWN_ASKED,
	SHOWN_KNOWN,
	SHOWN_UNKNOWN,
};

enum lookup_result {
	LOOKUP_NONE, /* not asked */
	LOOKUP_PENDING,
	LOOKUP_DONE, /* hit when lookup_hit is set, else a miss */
};

struct client {
	struct stream stream;
	struct worker *worker;
	struct dlist link;  /* in the worker's list of clients */
	struct dlist timed; /* in a list of the worker that a time limit watches */
	enum client_state state;
	uint64_t id;			 /* for the log */
	struct login *login;		 /* owned until logged in */
	struct console_session *console; /* the console's; NULL: an ordinary client */
	struct pool *pool;
	struct database *database;
	struct server *server; /* bound, or NULL */
	uint64_t target;       /* of the connection whose defaults the session has */
	struct relay *relay;   /* of a replication client, which has no pool; owned */
	struct session session;
	struct replies replies; /* ours, waiting for their place */
	struct listens listens; /* in transaction mode: see proxy/channels.h */
	struct pool_waiter waiter;
	struct pool_error wait_error;	/* sqlstate "": none */
	struct store_fill *lookup_fill; /* of the Redis look-up; owned, or NULL */
	void *lookup;			/* handle of the store */
	struct entry *lookup_hit;	/* a reference, or NULL */
	enum lookup_result lookup_result;
	size_t pass_left;	  /* bytes of a client message still to come */
	bool pass_drop;		  /* they are not for the server */
	bool skip;		  /* after an error: drop everything until Sync */
	struct plan *portal_plan; /* of the unnamed portal; a reference, or NULL */
	struct plan *restores;	  /* of a text with a COPY, behind which settings are
				     to be put again; a reference, or NULL */
	bool portal_is_hit;	  /* the unnamed portal was answered from the cache */
	uint64_t sync_at;	  /* position of the last Sync or Query sent; see
				     proxy/names.h */
	uint64_t inject_at;	  /* position of the last Parse that we injected */
	bool session_mode;
	bool statement_mode; /* no transaction blocks */
	bool cache_off;	     /* its line of [databases] says so */
	bool refind;	 /* the configuration has changed: look the database up again */
	bool is_surplus; /* over max_client_conn: refused once it has said who it is */
	bool wait_told;	 /* it has had the notice of query_wait_notify */
	bool login_waits; /* in the pool's queue for its first server connection */
	bool blocked;	  /* paused until the peers keep up */
	bool listen_wait; /* paused until the database listens to a channel */
	bool has_large_unnamed; /* its unnamed statement is on the server alone */
	bool pins_answered;	/* the last answer told which pins hold */
	uint8_t pins_told;	/* pins that the metrics know of */
	bool is_stale; /* the message at hand is to be looked at again, at once */
	bool settings_answered; /* the last answer was that its settings are in force */
	bool shows_answered;	/* the last answer was of proxy/client_shows.h */
	enum shown shown;
	bool settings_synced; /* a Sync was sent behind settings not answered yet */
	bool told_fatal;      /* a FATAL error has been passed on */
	uint64_t settings_at; /* position from which on settings are pending */
	bool groups_ok;	      /* since settings are pending: a group succeeded, ... */
	bool groups_failed;   /* ... a group failed */
	uint32_t cancel_pid;  /* as the client was told */
	uint32_t cancel_slot; /* in the table of cancel keys */
	bool has_cancel;      /* cancel_pid is registered */
	struct cancel_order *cancel_order; /* it has asked to cancel; or NULL */
	struct dlist late_cancels; /* struct cancel_order: see cancel_settled() */
	uint64_t accepted_us;	   /* since 1970 */
	uint64_t since_ns;	/* accepted; then: last change of state, or message */
	uint64_t wait_limit_ns; /* how long the wait at hand may take; 0: for ever */
	uint64_t tx_since_ns;	/* when the open transaction began */
	uint64_t bytes_told; /* bytes already added to the metrics, received and sent */
	uint64_t sent_told;
	uint32_t names_told; /* prepared statements that the gauge has of this client */
	struct loop_task free_task;
	char peer[64]; /* address:port */
};

/* Takes FD. */
void client_accept(struct worker *worker, int fd, const char *peer);
/* Ends the client with a row of tbl/close_reasons.h and, when it has one, its FATAL
 * error. The client must not be touched after the current turn; its stream is closed
 * now. */
SELDOM void client_close(struct client *client, enum client_close_reason reason);
/* The same with a text of its own, or SQLSTATE when not NULL. */
SELDOM void client_close_text(struct client *client, enum client_close_reason reason,
			      const char *sqlstate, const char *text);
/* The only writer of state: checks the move, keeps lists and gauges. */
void client_move(struct client *client, enum client_state to);
/* The client joins the queue of its pool now: query_wait_timeout begins to count. */
void client_begin_wait(struct client *client);
/* Looks up the state of the client's database, which a reload may have moved to another
 * server, or removed: then the client is closed.  With the next release, or the end of
 * the transaction, when a server connection is bound now. */
SELDOM void client_refind(struct client *client);
/* Logged in, and admitted (pools_admit()): from now on the client counts for its pool.
 */
void client_join_pool(struct client *client, struct pool *pool);
/* The same for a replication client. */
void client_join_relay(struct client *client, struct relay *relay);
/* Brings the metrics up to date: bytes carried since the last call, prepared
 * statements.
 */
void client_tell(struct client *client);
/* "C-12 db/user@1.2.3.4:5" in BUF. */
const char *client_prefix(const struct client *client, char *buf, size_t size);

static inline bool client_is_open(const struct client *client)
{
	return client->state != CLIENT_CLOSING;
}
