#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The admin console: PgBouncer's commands over PostgreSQL's protocol, on the databases
 * `pgrecall` and `pgbouncer`, simple and extended.
 *
 *   client ──> its worker ──> console_take(): a message ──> a command ──> a job
 *                                                                          │
 *   visits worker 0, 1, ... on their threads ──> the main thread ──> back, the answer
 *
 * A job that is about all workers goes from loop to loop and gathers rows, so nothing
 * is locked and nobody is stopped.  A console needs neither a pool nor a server. */

#include <stdbool.h>

#include "base/check.h"

struct console;
struct proxy;
struct proxy_console;

/* What only the daemon can do; called on the main thread. */
struct console_env {
	void *arg;
	/* Reads the configuration again; false: it is wrong, nothing was changed. */
	bool (*reload)(void *arg);
	/* PHASE: enum proxy_phase. */
	void (*shutdown)(void *arg, int phase);
};

/* PROXY outlives the console; ENV is copied.  -ENOMEM. */
int console_new(struct proxy *proxy, const struct console_env *env,
		struct console **out) MUST_CHECK;
/* The workers have ended, but their loops still run what was posted: jobs end there. */
void console_stop(struct console *console);
/* After the proxy.  NULL is fine. */
void console_free(struct console *console);
/* For proxy->console. */
const struct proxy_console *console_door(struct console *console);
/* PAUSE and RESUME for all databases, by signal; on the main thread. */
void console_pause_all(struct console *console, bool on);
/* Takes the averages of SHOW STATS forward; on the main thread, some times a second. */
void console_tick(struct console *console);
