#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The pools, gathered over the workers for the commands that show them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/startup.h"

struct console_job;
struct worker;

struct console_pool {
	bool is_pool;	    /* false: replication only */
	unsigned n_servers; /* of the pool, open or being opened, all workers */
	char database[STARTUP_NAME_MAX + 1];
	char user[STARTUP_NAME_MAX + 1];
	unsigned n_relays;  /* server connections that no pool counts */
	unsigned n_clients; /* that do not wait */
	unsigned n_waiting;
	unsigned n_active;
	unsigned n_idle;
	unsigned n_tested;
	unsigned n_login;
	unsigned n_cancel;	/* with a cancel request under way, */
	unsigned n_held;	/* that keeps others away */
	unsigned n_asking;	/* cancel requests of clients that wait for that */
	unsigned n_asking_next; /* the same, for the one after it */
	uint64_t oldest_ns;	/* since when the first waits; 0: nobody does */
};

struct console_pools {
	struct console_pool *at; /* owned */
	size_t n;
	size_t cap;
	bool has_failed; /* no memory */
};

/* A visit: adds the worker's part. */
void console_gather_pools(struct console_job *job, struct worker *worker);
void console_pools_free(struct console_pools *pools);
