#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One server connection: opened by libpq, then a raw stream.  Here is its life; what
 * its messages mean is in proxy/server_steps.h.
 *
 *   new ──> BUSY <──> IDLE, of this or another worker
 *            BUSY <──> RESET: the probe of a new one, or what a client left behind
 *   every state ──> CLOSING
 *
 * Owned by its pool; closed by server_close(), freed at the end of that turn. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/close_reason.h"
#include "base/dlist.h"
#include "net/loop.h"
#include "net/stream.h"
#include "upstream/owed.h"
#include "upstream/prepared.h"

struct cancel_flight;
struct client;
struct context;
struct pool;
struct server_socket;
struct token_wait;
struct upstream;
struct welcome;

enum server_state {
	SERVER_IDLE,	/* in its pool's idle list */
	SERVER_BUSY,	/* bound to a client, or finishing what a client left */
	SERVER_RESET,	/* the reset query or a check runs; nobody is bound */
	SERVER_CLOSING, /* gone; freed at the end of the turn */
	SERVER_N_STATES,
};

/* What was sent of the batch at hand, for proxy/server_again.h. */
enum again_state {
	AGAIN_NOT,   /* nothing that would have to be sent again */
	AGAIN_KEEPS, /* a copy, from the first message on that may fail */
	AGAIN_NEVER, /* there is no copy of all of it */
};
#define SERVER_AGAIN_MAX 65536 /* bytes of that copy */

/* The unnamed statement is one that was too large to be read. */
#define SERVER_UNNAMED_LARGE UINT64_MAX
/* Several clients have left sequences behind. */
#define SERVER_SEQUENCES_MANY UINT64_MAX

struct server {
	struct stream stream;
	struct server_socket *socket; /* libpq's part; owned */
	struct pool *pool;	      /* of the worker that has it now */
	struct dlist link;	      /* idle or busy list of the pool */
	enum server_state state;
	struct client *client; /* bound client, or NULL */
	struct owed_queue owed;
	struct prepared prepared; /* named statements it has */
	uint32_t prepared_told;	  /* how many of them the gauge has */
	uint64_t deallocate_at;	  /* position of the last DEALLOCATE ALL sent: which
				     statements there are is not known until it has been
				     answered */
	uint64_t unnamed_id;	  /* statement id of its unnamed statement, 0: none that
				     is known */
	struct buf again_bytes;	  /* copy of what may have to be sent again */
	enum again_state again;
	bool again_is_last; /* a Bind or Execute has been sent in this batch */
	bool again_is_told; /* the client may know a description of the result */
	bool again_is_open; /* the batch has begun, and its Sync has not been sent */
	struct context *context; /* settings in force; a reference */
	struct welcome *welcome; /* what it reported, until the pool knows; owned, or
				    NULL */
	size_t pass_left;	 /* bytes of a server message still to come */
	bool pass_swallow;	 /* they are not the client's */
	char tx_status;		 /* I T E, from the last ReadyForQuery */
	bool unsynced;		 /* extended messages were sent since the last Sync */
	bool copy_in;		 /* the server is reading CopyData */
	bool suspect; /* something ran that may have changed the session: check it */
	uint64_t sequences_of; /* id of the client that used sequences here and has
				  left, SERVER_SEQUENCES_MANY, or 0: none */
	bool listens;	       /* LISTEN was sent: UNLISTEN * before the next client */
	bool unlistening;      /* which is under way */
	bool spent; /* close it once nobody is bound and nothing is owed: it has what
		     * DISCARD ALL does not take back */
	bool rolled_back;      /* the last command tag was ROLLBACK */
	bool proven;	       /* it has been fit for use once */
	bool begins_temp;      /* connect_query has made what may hide relations */
	bool is_away;	       /* between two workers: on no loop and in no list */
	bool reading_stopped;  /* the client is a slow reader */
	uint32_t pid;	       /* as the login told; 0: it told none */
	bool pid_is_true;      /* the process has said the same of itself */
	uint64_t target;       /* pool->target when its connect began */
	unsigned n_reconnects; /* pool->shared->n_reconnects then */
	uint64_t expires_ns;   /* end of its lifetime */
	uint64_t idle_since_ns;
	uint64_t opened_us;	       /* since 1970 */
	uint64_t query_sent_ns;	       /* when the oldest owed item was sent */
	struct token_wait *token_wait; /* a commit waits for Redis; or NULL */
	struct cancel_flight *cancel;  /* a request under way, or NULL */
	uint64_t reset_since_ns;       /* when nobody was bound any more */
	bool reset_sent;	       /* the reset query is among what is owed */
	struct loop_task free_task;
	struct loop_task away_task; /* to another worker, once its callbacks are over */
};

/* Takes over SOCKET; busy, and nobody's yet.  NULL (and SOCKET closed) without memory.
 */
struct server *server_new(struct pool *pool, struct server_socket *socket);
/* Closes with a row of tbl/close_reasons.h; tells the proxy first (upstream->ops). Safe
 * twice.  The caller must not touch it in a later turn. */
SELDOM void server_close(struct server *server, enum server_close_reason reason);
/* Moves the descriptor to the loop of POOL, which is another worker's; called there. */
int server_adopt(struct server *server, struct pool *pool) MUST_CHECK;
/* Closes a connection that no list and no loop has (on its way between workers). */
void server_discard(struct server *server);
/* The same when there is no pool any more either; the caller keeps the account. */
void server_bury(struct server *server);
/* True when it was to be replaced since its connect began, by an administrator or
 * because the server has read its settings: nobody knows what its defaults are now. */
bool server_is_outdated(const struct server *server);
/* Brings the gauge of prepared statements up to date. */
void server_tell(struct server *server);
/* Takes an idle connection off its loop and its pool's lists, for server_adopt(). */
void server_leave(struct server *server);
/* The only writer of state: keeps lists and gauges. */
void server_move(struct server *server, enum server_state to);
/* True when nothing is owed and the session is between transactions. */
static inline bool server_is_clean(const struct server *server)
{
	return server->owed.n == 0 && server->tx_status == 'I' && !server->unsynced &&
	       server->pass_left == 0 && !server->copy_in;
}
