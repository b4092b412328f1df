#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The pool of server connections of one (database, user).  Each worker has a `pool`
 * with its own idle connections and its own queue of waiting clients; what they share
 * is in `pool_shared`: how many connections exist in all (so that default_pool_size
 * means what it says), how many wait where, the backoff and the last error.
 *
 * First come, first served: within a worker by its queue; between workers a connection
 * that becomes free goes to the worker whose oldest client has waited longest. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/close_reason.h"
#include "base/dlist.h"
#include "base/span.h"
#include "base/sqlstate.h"
#include "net/stream.h"
#include "upstream/gates.h"

struct config;
struct metrics;
struct pool;
struct server;
struct timer;
struct upstream;
struct welcome;

#define UPSTREAM_MAX_WORKERS 64

/* What the proxy is told; the same for every server connection. */
struct upstream_ops {
	const struct stream_events *events; /* of a server's stream */
	/* A new, busy connection: asks what its settings are and then gives it to the
	 * pool. */
	void (*opened)(struct server *server);
	/* The connection ends: tell its client, decide its commits. */
	void (*closing)(struct server *server, enum server_close_reason reason);
};

struct pool_error {
	char sqlstate[SQLSTATE_SIZE];
	char message[256];
};

struct pool_counts { /* per worker, read by others: see upstream/pool_peers.h */
	_Alignas(64) atomic_uint n_idle;
	atomic_uint n_waiting;
	_Atomic uint64_t
	    oldest_ns; /* since when the first in the queue waits; 0: none */
};

struct pool_shared {
	struct dlist link;     /* in struct pools */
	char *database;	       /* name that clients use */
	char *user;	       /* name that clients use */
	unsigned n_parts;      /* struct pool of it, all workers; pools->lock */
	uint16_t db_index;     /* label of the metrics */
	atomic_uint n_servers; /* open or being opened, all workers */
	atomic_uint n_connecting;
	atomic_uint max; /* default_pool_size */
	atomic_uint min;
	atomic_uint gates;	  /* enum gate bits of the database */
	atomic_uint n_reconnects; /* how often an administrator asked for it */
	atomic_uint reserve;   /* beyond max, for who has waited reserve_pool_timeout */
	atomic_uint n_clients; /* logged in, all workers */
	atomic_uint failures;  /* connects that failed since one succeeded */
	atomic_uint next_host; /* of the list: where the next connect begins */
	_Atomic uint64_t retry_ns; /* no connect before */
	atomic_bool has_lost; /* a connection was lost, and none opened since then */
	atomic_bool asks_sequences; /* currval() or lastval() was used in the pool */
	pthread_mutex_t lock;	    /* of what follows */
	char *password;		    /* towards the server; NULL: none known */
	struct pool_error error;    /* last failure; sqlstate "" after a success */
	struct context *base; /* settings of a new connection; a reference, or NULL */
	struct welcome *welcome; /* parameters that the server reported at login */
	uint64_t base_target;	 /* pools_target() of the server that has them */
	uint64_t welcome_target;
	struct pool_counts counts[UPSTREAM_MAX_WORKERS];
};

/* One per process. */
struct pools {
	pthread_mutex_t lock;
	struct dlist all; /* struct pool_shared */
	unsigned n;
	unsigned max;	    /* pools at most */
	struct dlist gates; /* of single databases; see upstream/gates.h */
	unsigned gates_all; /* enum gate bits that hold for every database */
};

/* One per worker. */
struct upstream {
	unsigned index;
	unsigned n_workers;
	struct upstream *const *peers; /* all workers, by index */
	struct pools *pools;
	struct loop *loop;
	struct stream_group *group;
	const struct config *config; /* current; swapped by the worker */
	struct metrics *metrics;
	const struct upstream_ops *ops;
	struct dlist all;   /* struct pool of this worker */
	struct timer *tick; /* once a second: min size, time-outs, lifetime */
	void *owner;	    /* the worker */
	bool is_closing;
};

struct pool_waiter {
	struct dlist link;
	uint64_t since_ns;
	/* SERVER is busy and the callee's, or NULL with ERROR. */
	void (*granted)(struct pool_waiter *waiter, struct server *server,
			const struct pool_error *error);
};

struct pool {
	struct dlist link;
	struct pool_shared *shared;
	struct upstream *upstream;
	struct dlist idle; /* servers, most recently used first */
	struct dlist busy;
	struct dlist waiting; /* pool_waiter, oldest first */
	struct dlist connecting;
	unsigned n_idle;
	unsigned n_waiting;
	unsigned n_clients;
	uint64_t unused_ns; /* since when the tick has seen nobody use it; or 0 */
	uint64_t target;    /* stands for where the configuration says the server is */
};

/* True while an administrator holds the pool's clients back. */
static inline bool pool_is_paused(const struct pool *pool)
{
	return atomic_load_explicit(&pool->shared->gates, memory_order_relaxed) &
	       GATE_PAUSED;
}

/* The worker's pools, empty, on its thread.  0 or -errno. */
int upstream_start(struct upstream *upstream) MUST_CHECK;
/* Closes every connection of the worker, idle or not. */
void upstream_stop(struct upstream *upstream);
/* A new configuration: sizes and targets. */
void upstream_reload(struct upstream *upstream, const struct config *config);

/* The worker's pool for a client of DATABASE and USER (names as the client gave them),
 * made when it is not there.  PASSWORD may be NULL.  NULL: unknown database, too many
 * pools or no memory. */
struct pool *pool_find(struct upstream *upstream, struct span database,
		       struct span user, const char *password);
/* A clean idle connection, now busy and the caller's, or NULL: wait.  One whose
 * settings are those of CONTEXT (or NULL) is preferred. */
struct server *pool_take(struct pool *pool, const struct context *context);
/* Joins the queue; makes the pool grow.  The waiter's callback comes on a later turn.
 */
void pool_wait(struct pool *pool, struct pool_waiter *waiter);
void pool_leave(struct pool *pool, struct pool_waiter *waiter);
/* Gives back a clean connection: to the first waiter, to another worker's, or idle. */
void pool_give(struct pool *pool, struct server *server);
/* The task of pool_give() that sends a connection to another worker. */
void pool_hand_over(struct loop_task *task);
/* A connection of this pool is gone: the account, and perhaps a new one for waiters. */
void pool_lost(struct pool *pool);
/* The same, when it was closed for an error before anybody could use it: the next
 * connect waits.  To be called first. */
void pool_unproven(struct pool *pool);
/* How a session of the pool begins, where TARGET stands for: CONTEXT, and what the
 * server has reported (taken from *WELCOME; NULL: as before). */
void pool_learn(struct pool *pool, uint64_t target, struct context *context,
		struct welcome **welcome);
/* A new connection cannot be used, for a reason that the next one will have, too: to be
 * called before it is closed. */
void pool_unfit(struct pool *pool, const char *sqlstate, const char *text);
/* Another worker's client waits: an idle connection goes there, when one is left. */
void pool_asked(struct pool *pool);
/* A place in the account has become free, or the server has refused: who waits here
 * gets a new connection or the refusal. */
void pool_look(struct pool *pool);
/* The configuration may send the pool elsewhere, or its connections are to be replaced:
 * idle ones end at once, those in use when they are given back. */
void pool_retarget(struct pool *pool, const struct config *config);
/* The last connect error; false when there is none. */
bool pool_last_error(struct pool *pool, struct pool_error *out);
/* What the server said at login, with a reference; NULL while none has been reached
 * where the configuration says that it is. */
struct welcome *pool_welcome(struct pool *pool);
/* The settings of its new connections, likewise. */
struct context *pool_base(struct pool *pool);
/* A server connection reports a parameter, unasked. */
void pool_reported(struct pool *pool, struct span name, struct span value);
