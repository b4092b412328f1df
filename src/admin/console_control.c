/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Commands that change something.
 *
 * PAUSE and KILL close a gate (upstream/gates.h), and each worker then ends what it has
 * of those pools; PAUSE waits until no server connection is left. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/close_reason.h"
#include "base/config.h"
#include "base/log.h"
#include "base/sqlstate.h"
#include "console_priv.h"
#include "net/loop.h"
#include "proxy/client.h"
#include "proxy/relay.h"
#include "proxy/worker.h"
#include "upstream/gates.h"
#include "upstream/pool.h"
#include "upstream/server.h"

struct span console_database(const struct console_job *job)
{
	return job->argument[0] != 0 ? span_str(job->argument) : span_make(NULL, 0);
}

bool console_is_meant(const struct console_job *job, const char *database)
{
	return job->argument[0] == 0 || strcmp(job->argument, database) == 0;
}

/* False, with the error, when the command names a database that there is not. */
static bool console_knows(struct console_job *job)
{
	struct config *config = proxy_config(job->console->proxy);
	bool is_there = job->argument[0] == 0 ||
			config_find_database(config, span_str(job->argument)) != NULL;
	config_unref(config);
	if (!is_there) {
		console_fail(job, SQLSTATE_UNKNOWN_DATABASE, "no such database: %s",
			     job->argument);
	}
	return is_there;
}

static void console_gate(struct console_job *job, enum gate gate, bool on)
{
	if (console_knows(job) && gates_set(&job->console->proxy->pools,
					    console_database(job), gate, on) < 0) {
		console_fail(job, SQLSTATE_OUT_OF_MEMORY, "out of memory");
	}
	if (job->sqlstate == NULL) {
		log_log(NULL, "console: %s %s", job->command->tag, job->argument);
	}
}

static void console_apply(struct console_job *job, struct worker *worker)
{
	dlist_each (l, tmp, &worker->upstream.all) {
		struct pool *pool = container_of(l, struct pool, link);
		if (console_is_meant(job, pool->shared->database)) {
			gates_apply(pool);
		}
	}
}

/* Server connections of the pools that the command is about, open or being opened. */
static unsigned console_n_servers(const struct console_job *job)
{
	struct pools *pools = &job->console->proxy->pools;
	unsigned n = 0;
	pthread_mutex_lock(&pools->lock);
	dlist_each (l, tmp, &pools->all) {
		const struct pool_shared *shared =
		    container_of(l, struct pool_shared, link);
		if (console_is_meant(job, shared->database)) {
			n += atomic_load(&shared->n_servers);
		}
	}
	pthread_mutex_unlock(&pools->lock);
	return n;
}

/* Replication has a server connection, too; without a pool. */
static void console_pause_visit(struct console_job *job, struct worker *worker)
{
	console_apply(job, worker);
	dlist_each (c, tmp, &worker->clients) {
		struct client *client = container_of(c, struct client, link);
		if (client->relay == NULL ||
		    !console_is_meant(job, relay_database(client->relay))) {
			continue;
		}
		relay_end(client->relay, CLIENT_CLOSE_ADMIN);
		job->n_left += client_is_open(client) ? 1 : 0;
	}
}

static void console_pause_begin(struct console_job *job)
{
	struct pools *pools = &job->console->proxy->pools;
	if (gates_of(pools, console_database(job)) & GATE_PAUSED) {
		console_fail(job, SQLSTATE_NOT_IN_PREREQUISITE_STATE, "already paused");
		return;
	}
	console_gate(job, GATE_PAUSED, true);
}

/* A pause that somebody has taken back must not look like one. */
static enum console_outcome console_pause_finish(struct console_job *job)
{
	struct pools *pools = &job->console->proxy->pools;
	if ((gates_of(pools, console_database(job)) & GATE_PAUSED) == 0) {
		console_fail(job, SQLSTATE_NOT_IN_PREREQUISITE_STATE,
			     "resumed before everything was paused");
		return CONSOLE_DONE;
	}
	return job->n_left > 0 || console_n_servers(job) > 0 ? CONSOLE_AGAIN
							     : CONSOLE_DONE;
}

/* Whoever gave up waiting did not want the pause either. */
static void console_pause_abandon(struct console_job *job)
{
	struct proxy *proxy = job->console->proxy;
	(void)!gates_set(&proxy->pools, console_database(job), GATE_PAUSED, false);
	for (unsigned i = 0; i < proxy->n_workers && !job->console->is_over; i++) {
		(void)!worker_poke(proxy->workers[i]);
	}
}

static void console_resume_begin(struct console_job *job)
{
	struct pools *pools = &job->console->proxy->pools;
	struct span database = console_database(job);
	if (database.p != NULL &&
	    (gates_of(pools, span_make(NULL, 0)) & GATE_PAUSED) != 0) {
		console_fail(job, SQLSTATE_NOT_IN_PREREQUISITE_STATE,
			     "all databases are paused: RESUME them all");
		return;
	}
	if (database.p != NULL && (gates_of(pools, database) & GATE_PAUSED) == 0) {
		console_fail(job, SQLSTATE_NOT_IN_PREREQUISITE_STATE,
			     "database %s is not paused", job->argument);
		return;
	}
	console_gate(job, GATE_PAUSED, false);
}

static void console_disable_begin(struct console_job *job)
{
	console_gate(job, GATE_DISABLED, true);
}

static void console_enable_begin(struct console_job *job)
{
	console_gate(job, GATE_DISABLED, false);
}

/* Replacing connections */

static void console_reconnect_begin(struct console_job *job)
{
	if (console_knows(job)) {
		gates_reconnect(&job->console->proxy->pools, console_database(job));
		log_log(NULL, "console: RECONNECT %s", job->argument);
	}
}

static void console_reconnect_visit(struct console_job *job, struct worker *worker)
{
	dlist_each (l, tmp, &worker->upstream.all) {
		struct pool *pool = container_of(l, struct pool, link);
		if (console_is_meant(job, pool->shared->database)) {
			pool_retarget(pool, worker->config);
		}
	}
}

static void console_wait_visit(struct console_job *job, struct worker *worker)
{
	dlist_each (l, tmp, &worker->upstream.all) {
		const struct pool *pool = container_of(l, struct pool, link);
		if (!console_is_meant(job, pool->shared->database)) {
			continue;
		}
		dlist_each (b, tmp2, &pool->busy) {
			const struct server *server =
			    container_of(b, struct server, link);
			job->n_left += server->target != pool->target ? 1 : 0;
		}
	}
}

static void console_wait_begin(struct console_job *job)
{
	(void)console_knows(job);
}

static enum console_outcome console_wait_finish(struct console_job *job)
{
	return job->n_left > 0 ? CONSOLE_AGAIN : CONSOLE_DONE;
}

/* Ending */

static void console_kill_visit(struct console_job *job, struct worker *worker)
{
	dlist_each (c, tmp, &worker->clients) {
		struct client *client = container_of(c, struct client, link);
		const char *name = client->pool != NULL ? client->pool->shared->database
				   : client->relay != NULL
				       ? relay_database(client->relay)
				       : NULL;
		if (name != NULL && console_is_meant(job, name)) {
			client_close(client, CLIENT_CLOSE_ADMIN);
		}
	}
	dlist_each (l, tmp2, &worker->upstream.all) {
		struct pool *pool = container_of(l, struct pool, link);
		if (!console_is_meant(job, pool->shared->database)) {
			continue;
		}
		gates_apply(pool);
		struct dlist *b;
		while ((b = dlist_head(&pool->busy)) != NULL) {
			server_close(container_of(b, struct server, link),
				     SERVER_CLOSE_ADMIN);
		}
	}
}

static void console_kill_begin(struct console_job *job)
{
	console_gate(job, GATE_PAUSED, true);
}

static void console_kill_client_visit(struct console_job *job, struct worker *worker)
{
	dlist_each (c, tmp, &worker->clients) {
		struct client *client = container_of(c, struct client, link);
		char id[24];
		char ptr[24];
		snprintf(id, sizeof(id), "%llu", (unsigned long long)client->id);
		snprintf(ptr, sizeof(ptr), "%p", (void *)client);
		if (client_is_open(client) && client != job->self &&
		    (strcmp(job->argument, id) == 0 ||
		     strcmp(job->argument, ptr) == 0)) {
			job->n_left++; /* here: how many were found */
			client_close(client, CLIENT_CLOSE_ADMIN);
		}
	}
}

static enum console_outcome console_kill_client_finish(struct console_job *job)
{
	if (job->n_left == 0) {
		console_fail(job, SQLSTATE_UNDEFINED_OBJECT, "client not found");
	}
	return CONSOLE_DONE;
}

/* The first round reads the file; the second visits each worker behind its message of
 * the new configuration, so that it holds everywhere when the command is answered. */
static void console_reload_main(struct console_job *job)
{
	const struct console_env *env = &job->console->env;
	if (!job->is_second_round && !env->reload(env->arg)) {
		console_fail(job, SQLSTATE_CONFIG_FILE_ERROR,
			     "RELOAD failed, nothing was changed; the log says why");
	}
}

static void console_reload_visit(struct console_job *job, struct worker *worker)
{
}

static enum console_outcome console_reload_finish(struct console_job *job)
{
	bool was_second = job->is_second_round;
	job->is_second_round = true;
	return was_second ? CONSOLE_DONE : CONSOLE_AGAIN;
}

static void console_shutdown_now(struct console_job *job)
{
	job->console->env.shutdown(job->console->env.arg, PROXY_STOPPING);
}

static void console_shutdown_hurrying(struct console_job *job)
{
	job->console->env.shutdown(job->console->env.arg, PROXY_HURRYING);
}

static void console_shutdown_draining(struct console_job *job)
{
	job->console->env.shutdown(job->console->env.arg, PROXY_DRAINING);
}

static void console_suspend_begin(struct console_job *job)
{
	console_fail(job, SQLSTATE_FEATURE_NOT_SUPPORTED,
		     "SUSPEND is not supported: sockets are not handed to another "
		     "process; use PAUSE");
}

/* By signal */

void console_pause_all(struct console *console, bool on)
{
	struct proxy *proxy = console->proxy;
	(void)!gates_set(&proxy->pools, span_make(NULL, 0), GATE_PAUSED, on);
	for (unsigned i = 0; i < proxy->n_workers; i++) {
		/* without memory the pools' own tick finds it */
		(void)!worker_poke(proxy->workers[i]);
	}
}

const struct console_command console_pause = {
	.tag = "PAUSE",
	.begin = console_pause_begin,
	.visit = console_pause_visit,
	.finish = console_pause_finish,
	.abandon = console_pause_abandon,
};
const struct console_command console_resume = {
	.tag = "RESUME",
	.begin = console_resume_begin,
	.visit = console_apply,
};
const struct console_command console_disable = {
	.tag = "DISABLE",
	.begin = console_disable_begin,
};
const struct console_command console_enable = {
	.tag = "ENABLE",
	.begin = console_enable_begin,
};
const struct console_command console_reconnect = {
	.tag = "RECONNECT",
	.begin = console_reconnect_begin,
	.visit = console_reconnect_visit,
};
const struct console_command console_wait_close = {
	.tag = "WAIT_CLOSE",
	.begin = console_wait_begin,
	.visit = console_wait_visit,
	.finish = console_wait_finish,
};
const struct console_command console_kill = {
	.tag = "KILL",
	.begin = console_kill_begin,
	.visit = console_kill_visit,
};
const struct console_command console_kill_client = {
	.tag = "KILL_CLIENT",
	.visit = console_kill_client_visit,
	.finish = console_kill_client_finish,
};
const struct console_command console_reload = {
	.tag = "RELOAD",
	.visit = console_reload_visit,
	.on_main = console_reload_main,
	.finish = console_reload_finish,
};
const struct console_command console_shutdown = {
	.tag = "SHUTDOWN",
	.on_main = console_shutdown_now,
};
const struct console_command console_shutdown_servers = {
	.tag = "SHUTDOWN",
	.on_main = console_shutdown_hurrying,
};
const struct console_command console_shutdown_clients = {
	.tag = "SHUTDOWN",
	.on_main = console_shutdown_draining,
};
const struct console_command console_suspend = {
	.tag = "SUSPEND",
	.begin = console_suspend_begin,
};
