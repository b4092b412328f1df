#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A worker thread: one loop with its listeners, clients, server connections, plans and
 * Redis connection. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/dlist.h"
#include "cache/key.h"
#include "net/stream.h"
#include "proxy/channels.h"
#include "upstream/pool.h"

struct auth_queries;
struct config;
struct key_columns;
struct listener;
struct loop;
struct metrics;
struct planner;
struct proxy;
struct statement_table;
struct store;
struct timer;
struct tls;
struct users;
struct versions;

#define WORKER_MAX_LISTENERS 32

struct worker {
	struct proxy *proxy;
	unsigned index;
	pthread_t thread;
	struct loop *loop;
	struct stream_group group;
	struct upstream upstream;
	struct config *config; /* a reference */
	struct users *users;   /* a reference */
	struct tls *tls;       /* towards clients: a reference, or NULL */
	uint32_t config_epoch;
	struct auth_queries *auth_queries;
	struct metrics *metrics;
	struct store *store;
	struct versions *versions;	 /* shared */
	struct key_columns *key_columns; /* shared */
	struct planner *planner;
	struct statement_table *statements;
	struct key key;		  /* of the request at hand */
	struct buf head;	  /* scratch: of a message that gets another name */
	struct channels channels; /* that clients listen to */
	struct dlist clients;	  /* all of them, the closed ones until the turn ends */
	struct dlist logins;	  /* STARTUP to WELCOME, oldest first */
	struct dlist waiting;	  /* WAIT, oldest first */
	unsigned n_clients;
	uint64_t last_client_id;
	struct timer *tick;
	struct listener *listeners[WORKER_MAX_LISTENERS];
	unsigned n_listeners;
	bool is_running; /* the thread exists */
	bool is_draining;
	bool is_hurrying;
	bool is_stopping;
	uint64_t
	    coarse_ns; /* clock_now_ns() at the last tick: within a tenth of a second */
	uint64_t next_limits_ns; /* when the clients' time limits are checked again */
	uint64_t drain_until_ns;
	atomic_bool has_ended;	   /* the loop has returned */
	_Atomic uint64_t alive_ns; /* last tick, for the watchdog */
};

/* Makes the worker and its loop; nothing runs yet. */
int worker_new(struct proxy *proxy, unsigned index, struct worker **out) MUST_CHECK;
/* Opens the listeners on this worker's loop.  INHERITED: descriptors from systemd,
 * which every worker duplicates. */
int worker_listen(struct worker *worker, const int *inherited, unsigned n_inherited,
		  char *error, size_t error_size) MUST_CHECK;
int worker_start(struct worker *worker) MUST_CHECK;
/* Waits for the thread to end. */
void worker_join(struct worker *worker);
void worker_free(struct worker *worker);
/* From any thread: a new configuration, a new phase, gates that have changed, or
 * connections that are to be replaced. */
int worker_poke(struct worker *worker) MUST_CHECK;
