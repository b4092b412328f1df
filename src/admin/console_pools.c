/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/sqlstate.h"
#include "console_pools_priv.h"
#include "console_priv.h"
#include "proxy/client.h"
#include "proxy/relay.h"
#include "proxy/server_cancel.h"
#include "proxy/worker.h"
#include "upstream/gates.h"
#include "upstream/pool.h"
#include "upstream/server.h"

#define CONSOLE_POOLS_STEP 64

void console_pools_free(struct console_pools *pools)
{
	if (pools != NULL) {
		free(pools->at);
		free(pools);
	}
}

static bool console_is_of(const struct console_pool *pool, const char *database,
			  const char *user)
{
	return strcmp(pool->database, database) == 0 && strcmp(pool->user, user) == 0;
}

static struct console_pool *console_pool_add(struct console_pools *pools,
					     const char *database, const char *user)
{
	if (pools->n == pools->cap) {
		size_t cap = pools->cap + CONSOLE_POOLS_STEP;
		struct console_pool *at = realloc(pools->at, cap * sizeof(*at));
		if (at == NULL) {
			return NULL;
		}
		pools->at = at;
		pools->cap = cap;
	}
	struct console_pool *pool = &pools->at[pools->n++];
	*pool = (struct console_pool){ .is_pool = false };
	(void)snprintf(pool->database, sizeof(pool->database), "%s", database);
	(void)snprintf(pool->user, sizeof(pool->user), "%s", user);
	return pool;
}

/* The row of a pool; one that replication has made becomes it. */
static struct console_pool *console_pool_of(struct console_pools *pools,
					    const struct pool_shared *shared)
{
	for (size_t i = 0; i < pools->n; i++) {
		struct console_pool *at = &pools->at[i];
		if (console_is_of(at, shared->database, shared->user)) {
			return at;
		}
	}
	return console_pool_add(pools, shared->database, shared->user);
}

static struct console_pool *console_pool_of_relay(struct console_pools *pools,
						  const struct relay *relay)
{
	for (size_t i = 0; i < pools->n; i++) {
		if (console_is_of(&pools->at[i], relay_database(relay),
				  relay_user(relay))) {
			return &pools->at[i];
		}
	}
	return console_pool_add(pools, relay_database(relay), relay_user(relay));
}

static void console_add_pool(struct console_pool *to, const struct pool *pool)
{
	to->is_pool = true;
	to->n_servers = atomic_load(&pool->shared->n_servers);
	to->n_clients += pool->n_clients - pool->n_waiting;
	to->n_waiting += pool->n_waiting;
	to->n_idle += pool->n_idle;
	dlist_each (l, tmp, &pool->busy) {
		const struct server *server = container_of(l, struct server, link);
		to->n_cancel += server->cancel != NULL ? 1 : 0;
		to->n_held += server->cancel != NULL && server->client == NULL ? 1 : 0;
		to->n_asking += server_cancel_orders(server);
		to->n_asking_next += server_cancel_orders_next(server);
		if (server->state == SERVER_RESET || server->client == NULL) {
			to->n_tested++;
		} else {
			to->n_active++;
		}
	}
	dlist_each (c, tmp2, &pool->connecting) {
		to->n_login++;
	}
	struct dlist *head = dlist_head(&pool->waiting);
	if (head != NULL) {
		uint64_t since = container_of(head, struct pool_waiter, link)->since_ns;
		to->oldest_ns =
		    to->oldest_ns == 0 || since < to->oldest_ns ? since : to->oldest_ns;
	}
}

/* As PgBouncer shows them: of the pool of their database and user. */
static void console_add_relay(struct console_pool *to, const struct relay *relay)
{
	bool is_open = relay_stream(relay) != NULL;
	to->n_clients++;
	to->n_relays += is_open ? 1 : 0;
	to->n_active += is_open ? 1 : 0;
	to->n_login += is_open ? 0 : 1;
}

static bool console_gather_relays(struct console_pools *pools,
				  const struct worker *worker)
{
	dlist_each (l, tmp, &worker->clients) {
		const struct relay *relay = container_of(l, struct client, link)->relay;
		if (relay == NULL) {
			continue;
		}
		struct console_pool *to = console_pool_of_relay(pools, relay);
		if (to == NULL) {
			return false;
		}
		console_add_relay(to, relay);
	}
	return true;
}

static unsigned console_pool_servers(const struct console_pool *pool)
{
	return pool->n_relays + pool->n_servers;
}

void console_gather_pools(struct console_job *job, struct worker *worker)
{
	if (job->next_worker == 0) {
		console_pools_free(job->pools);
		job->pools = calloc(1, sizeof(*job->pools));
	}
	if (job->pools == NULL) {
		console_fail(job, SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return;
	}
	dlist_each (l, tmp, &worker->upstream.all) {
		struct pool *pool = container_of(l, struct pool, link);
		struct console_pool *to = console_pool_of(job->pools, pool->shared);
		if (to == NULL) {
			console_fail(job, SQLSTATE_OUT_OF_MEMORY, "out of memory");
			return;
		}
		console_add_pool(to, pool);
	}
	if (!console_gather_relays(job->pools, worker)) {
		console_fail(job, SQLSTATE_OUT_OF_MEMORY, "out of memory");
	}
}

/* NULL: there is nothing to choose from. */
static const char *console_balance(const struct config_database *db)
{
	return db != NULL && config_has_hosts(db)
		   ? config_load_balance_word(db->load_balance_hosts)
		   : NULL;
}

static enum pool_mode console_mode_of(const struct config *config,
				      const struct console_pool *pool)
{
	const struct config_database *db =
	    config_find_database(config, span_str(pool->database));
	const struct config_user *user = config_find_user(config, span_str(pool->user));
	if (db != NULL && db->has_pool_mode) {
		return db->pool_mode;
	}
	return user != NULL && user->has_pool_mode ? user->pool_mode
						   : config->pool_mode;
}

static enum console_outcome console_pools_finish(struct console_job *job)
{
	struct config *config = proxy_config(job->console->proxy);
	struct console_rows *rows = &job->rows;
	uint64_t now = clock_now_ns();
	for (size_t i = 0; i < job->pools->n; i++) {
		const struct console_pool *pool = &job->pools->at[i];
		uint64_t wait_us = pool->oldest_ns && now > pool->oldest_ns
				       ? (now - pool->oldest_ns) / 1000
				       : 0;
		console_row(rows);
		console_text(rows, pool->database);
		console_text(rows, pool->user);
		console_number(rows, pool->n_clients);
		console_number(rows, pool->n_waiting);
		console_number(rows, pool->n_asking);
		console_number(rows, pool->n_asking_next);
		console_number(rows, pool->n_active);
		console_number(rows, pool->n_cancel);
		console_number(rows, pool->n_held);
		console_number(rows, pool->n_idle);
		console_number(rows, 0); /* idle ones are checked when taken */
		console_number(rows, pool->n_tested);
		console_number(rows, pool->n_login);
		console_number(rows, wait_us / 1000000);
		console_number(rows, wait_us % 1000000);
		console_text(rows,
			     config_pool_mode_word(console_mode_of(config, pool)));
		console_text(rows, console_balance(config_find_database(
				       config, span_str(pool->database))));
		console_row_end(rows);
	}
	config_unref(config);
	return CONSOLE_DONE;
}

/* Databases: the lines of the file, then those that a "*" has made. */

static void console_database_row(struct console_job *job, const struct config *config,
				 const struct config_database *db, const char *name)
{
	struct console_rows *rows = &job->rows;
	char lifetime[24];
	unsigned n_servers = 0;
	unsigned n_clients = 0;
	for (size_t i = 0; i < job->pools->n; i++) {
		const struct console_pool *pool = &job->pools->at[i];
		if (strcmp(pool->database, name) == 0) {
			n_servers += console_pool_servers(pool);
			n_clients += pool->n_clients + pool->n_waiting;
		}
	}
	unsigned gates = gates_of(&job->console->proxy->pools, span_str(name));
	snprintf(lifetime, sizeof(lifetime), "%llu",
		 (unsigned long long)(db->server_lifetime_ms / 1000));
	console_row(rows);
	console_text(rows, name);
	console_text(rows, db->host);
	console_number(rows, db->port);
	console_text(rows, db->dbname ? db->dbname : name);
	console_text(rows, db->user);
	console_number(rows, db->pool_size);
	console_number(rows, db->min_pool_size);
	console_number(rows, db->reserve_pool_size);
	console_text(rows, lifetime);
	console_text(rows, config_pool_mode_word(
			       db->has_pool_mode ? db->pool_mode : config->pool_mode));
	console_text(rows, console_balance(db));
	console_number(rows, db->max_db_connections);
	console_number(rows, n_servers);
	console_number(rows, db->max_db_client_connections);
	console_number(rows, n_clients);
	console_number(rows, (gates & GATE_PAUSED) != 0);
	console_number(rows, (gates & GATE_DISABLED) != 0);
	console_row_end(rows);
}

static bool console_is_first(const struct console_pools *pools, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (strcmp(pools->at[k].database, pools->at[i].database) == 0) {
			return false;
		}
	}
	return true;
}

static enum console_outcome console_databases_finish(struct console_job *job)
{
	struct config *config = proxy_config(job->console->proxy);
	for (size_t i = 0; i < config->n_databases; i++) {
		const struct config_database *db = &config->databases[i];
		if (strcmp(db->name, "*") != 0) {
			console_database_row(job, config, db, db->name);
		}
	}
	for (size_t i = 0; i < job->pools->n; i++) {
		const char *name = job->pools->at[i].database;
		const struct config_database *db =
		    config_find_database(config, span_str(name));
		if (db != NULL && strcmp(db->name, "*") == 0 &&
		    console_is_first(job->pools, i)) {
			console_database_row(job, config, db, name);
		}
	}
	config_unref(config);
	return CONSOLE_DONE;
}

/* Users: of the file, then those that have pools. */

static void console_user_row(struct console_job *job, const struct config *config,
			     const struct config_user *user, const char *name)
{
	struct console_rows *rows = &job->rows;
	unsigned n_servers = 0;
	unsigned n_clients = 0;
	for (size_t i = 0; i < job->pools->n; i++) {
		const struct console_pool *pool = &job->pools->at[i];
		if (strcmp(pool->user, name) == 0) {
			n_servers += console_pool_servers(pool);
			n_clients += pool->n_clients + pool->n_waiting;
		}
	}
	console_row(rows);
	console_text(rows, name);
	console_number(rows, user ? user->pool_size : 0);
	console_number(rows, user ? user->reserve_pool_size : 0);
	console_text(rows, user != NULL && user->has_pool_mode
			       ? config_pool_mode_word(user->pool_mode)
			       : NULL);
	console_number(rows, user ? user->max_user_connections
				  : config->max_user_connections);
	console_number(rows, n_servers);
	console_number(rows, user ? user->max_user_client_connections
				  : config->max_user_client_connections);
	console_number(rows, n_clients);
	console_row_end(rows);
}

static enum console_outcome console_users_finish(struct console_job *job)
{
	struct config *config = proxy_config(job->console->proxy);
	const struct console_pools *pools = job->pools;
	for (size_t i = 0; i < config->n_users; i++) {
		console_user_row(job, config, &config->users[i], config->users[i].name);
	}
	for (size_t i = 0; i < pools->n; i++) {
		const char *name = pools->at[i].user;
		bool is_new = config_find_user(config, span_str(name)) == NULL;
		for (size_t k = 0; k < i && is_new; k++) {
			is_new = strcmp(pools->at[k].user, name) != 0;
		}
		if (is_new) {
			console_user_row(job, config, NULL, name);
		}
	}
	config_unref(config);
	return CONSOLE_DONE;
}

static void console_lists_visit(struct console_job *job, struct worker *worker)
{
	console_gather_pools(job, worker);
	dlist_each (l, tmp, &worker->logins) {
		job->n_left++; /* here: clients that log in */
	}
}

static enum console_outcome console_lists_finish(struct console_job *job)
{
	struct proxy *proxy = job->console->proxy;
	struct config *config = proxy_config(proxy);
	struct console_rows *rows = &job->rows;
	uint64_t n_idle = 0;
	uint64_t n_used = 0;
	for (size_t i = 0; i < job->pools->n; i++) {
		n_idle += job->pools->at[i].n_idle;
		n_used += job->pools->at[i].n_active + job->pools->at[i].n_tested;
	}
	console_named_number(rows, "databases", config->n_databases);
	console_named_number(rows, "users", config->n_users);
	console_named_number(rows, "peers", 0);
	console_named_number(rows, "pools", job->pools->n);
	console_named_number(rows, "peer_pools", 0);
	console_named_number(rows, "free_clients", 0);
	console_named_number(rows, "used_clients", atomic_load(&proxy->n_clients));
	console_named_number(rows, "login_clients", job->n_left);
	console_named_number(rows, "free_servers", n_idle);
	console_named_number(rows, "used_servers", n_used);
	console_named_number(rows, "dns_names", 0);
	console_named_number(rows, "dns_zones", 0);
	console_named_number(rows, "dns_queries", 0);
	console_named_number(rows, "dns_pending", 0);
	config_unref(config);
	return CONSOLE_DONE;
}

const struct console_command console_show_pools = {
	.table = CONSOLE_TABLE_POOLS,
	.tag = "SHOW",
	.visit = console_gather_pools,
	.finish = console_pools_finish,
};
const struct console_command console_show_databases = {
	.table = CONSOLE_TABLE_DATABASES,
	.tag = "SHOW",
	.visit = console_gather_pools,
	.finish = console_databases_finish,
};
const struct console_command console_show_users = {
	.table = CONSOLE_TABLE_USERS,
	.tag = "SHOW",
	.visit = console_gather_pools,
	.finish = console_users_finish,
};
const struct console_command console_show_lists = {
	.table = CONSOLE_TABLE_LISTS,
	.tag = "SHOW",
	.visit = console_lists_visit,
	.finish = console_lists_finish,
};
