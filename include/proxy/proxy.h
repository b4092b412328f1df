#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the workers share: configuration, pools, cache, databases, users, cancel keys.
 * Made by the daemon before the workers start and freed after they have ended. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"
#include "upstream/pool.h"
#include "wire/scram.h"

struct auth_cache;
struct client;
struct config;
struct databases;
struct cancel_table;
struct loop;
struct metrics;
struct store_shared;
struct tls;
struct users;
struct worker;

#define PROXY_MAX_POOLS	     10000
#define PROXY_MAX_AUTH_CACHE 10000 /* users that auth_query has told of */

enum proxy_phase {
	PROXY_SERVING,
	PROXY_DRAINING, /* SIGTERM: transactions may finish, nobody new */
	PROXY_HURRYING, /* SIGINT: queries may finish, transactions may not */
	PROXY_STOPPING, /* the second signal: now */
};

/* The door of the admin console, which lies to the right of this layer: the daemon puts
 * it here before the workers start.  All on the client's worker. */
struct proxy_console {
	void *arg; /* the console's own */
	/* A client has logged in to the console: client->console is set.  False without
	 * memory. */
	bool (*open)(void *arg, struct client *client, bool is_admin);
	/* As client_take(). */
	size_t (*take)(struct client *client, struct span in);
	/* A cancel request has come for the client. */
	void (*cancelled)(struct client *client);
	/* The client ends: client->console is freed. */
	void (*close)(struct client *client);
};

struct proxy {
	pthread_mutex_t lock;  /* of config, users and tls */
	struct config *config; /* a reference; swapped whole */
	struct users *users;   /* a reference */
	struct tls *tls;       /* towards clients: a reference, or NULL */
	atomic_uint config_epoch;
	struct pools pools;
	struct store_shared *store;
	struct databases *databases;
	struct cancel_table *cancels;
	struct auth_cache *auth_cache;
	/* what the salts of SCRAM are made of, with the name: random, never changed, so
	 * that who asks twice cannot tell a user that does not exist by its salt */
	uint8_t salt_key[SCRAM_KEY_LEN];
	struct metrics *
	    *metrics; /* one shard for each worker, then the main thread's */
	struct worker **workers;
	struct upstream **upstreams; /* of the workers, by index */
	unsigned n_workers;
	atomic_uint n_clients;
	atomic_uint n_relays; /* replication connections among them */
	atomic_int phase;     /* enum proxy_phase */
	bool is_ending;	      /* the workers are being freed, on the main thread */
	struct loop *main_loop;
	const struct proxy_console *console; /* NULL: there is none */
};

/* Takes the reference to CONFIG. */
int proxy_new(struct config *config, struct loop *main_loop,
	      struct proxy **out) MUST_CHECK;
void proxy_free(struct proxy *proxy);
/* The current configuration, a new reference. */
struct config *proxy_config(struct proxy *proxy);
struct users *proxy_users(struct proxy *proxy);
/* What clients are shown from now on; NULL: no TLS. */
struct tls *proxy_tls(struct proxy *proxy);
/* Swaps them in (takes the references) and tells every worker. */
void proxy_reload(struct proxy *proxy, struct config *config, struct users *users,
		  struct tls *tls);
/* Tells every worker that something has changed: see worker_poke(). */
void proxy_poke(struct proxy *proxy);
/* Tells every worker to drain or to stop. */
void proxy_set_phase(struct proxy *proxy, enum proxy_phase phase);
