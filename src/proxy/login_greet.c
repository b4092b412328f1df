/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "login_priv.h"
#include "proxy/cancel.h"
#include "proxy/client.h"
#include "proxy/database.h"
#include "proxy/login.h"
#include "proxy/proxy.h"
#include "proxy/users.h"
#include "proxy/worker.h"
#include "upstream/context.h"
#include "upstream/pools.h"
#include "upstream/server.h"
#include "upstream/welcome.h"
#include "wire/startup.h"
#include "wire/writer.h"

static const struct login_setting *login_setting(const struct login *login,
						 const char *name)
{
	const struct login_setting *found = NULL;
	for (unsigned i = 0; i < login->n_settings; i++) {
		if (strcasecmp(login->settings[i].name, name) == 0) {
			found = &login->settings[i];
		}
	}
	return found;
}

/* Whether the client asked for what is in force anyway: "utf8" for UTF8, "ISO" for
 * "ISO, MDY" (T-28).  Such a setting is left out, so that contexts stay few. */
static bool login_is_default(const struct login_setting *s, const struct context *base,
			     const struct welcome *welcome)
{
	struct span value;
	const char *reported = welcome_get(welcome, s->name);
	if (strcmp(s->name, "application_name") == 0) {
		return s->value[0] == 0;
	}
	if (reported != NULL) {
		value = span_str(reported);
	} else if (!context_effective(base, s->name, &value)) {
		return false;
	}
	struct span asked = span_str(s->value);
	if (strcmp(s->name, "client_encoding") == 0) {
		return span_ieq(asked, value) ||
		       (span_ieq(asked, SPAN_LIT("utf-8")) &&
			span_eq_str(value, "UTF8")) ||
		       (span_ieq(asked, SPAN_LIT("unicode")) &&
			span_eq_str(value, "UTF8"));
	}
	if (strcmp(s->name, "datestyle") == 0 && asked.n < value.n) {
		return strncasecmp(s->value, (const char *)value.p, asked.n) == 0 &&
		       value.p[asked.n] == ',';
	}
	return span_eq(asked, value);
}

static struct context *login_context(struct client *client, struct welcome *welcome,
				     struct context *base)
{
	struct context *context = context_ref(base);
	for (unsigned i = 0; i < client->login->n_settings && context != NULL; i++) {
		struct login_setting *s = &client->login->settings[i];
		if (login_is_default(s, base, welcome)) {
			continue;
		}
		struct context *next = context_with(context, s->name, s->value);
		context_unref(context);
		context = next;
	}
	return context;
}

static void login_greet_parameters(struct client *client, const struct welcome *welcome,
				   struct buf *out)
{
	for (unsigned i = 0; i < welcome->n; i++) {
		const char *name = welcome->at[i].name;
		const struct login_setting *own = login_setting(client->login, name);
		struct span value = span_str(welcome->at[i].value);
		if (own != NULL &&
		    !login_is_default(own, client->session.context, welcome)) {
			value = span_str(own->value);
		}
		if (own == NULL && strcmp(name, "application_name") == 0) {
			value = SPAN_LIT("");
		}
		writer_parameter_status(out, span_str(name), value);
	}
}

/* Gives the client its cancel key, and appends the message.  False: it has none. */
static bool login_write_key(struct client *client, uint32_t pid, struct buf *out)
{
	uint8_t key[STARTUP_OUR_KEY_MAX];
	size_t key_len =
	    client->login->minor >= 2 ? sizeof(key) : STARTUP_CANCEL_KEY_MIN;
	if (!cancel_register(client, pid, key, key_len)) {
		return false;
	}
	writer_key_data(out, client->cancel_pid, span_make(key, key_len));
	return true;
}

static void login_done(struct client *client, enum client_state state,
		       uint32_t db_index)
{
	struct worker *worker = client->worker;
	histogram_observe(&metrics_database(worker->metrics, db_index)->client_login,
			  clock_now_ns() - client->since_ns);
	client_move(client, state);
	if (worker->config->log_connections) {
		char prefix[320];
		log_log(client_prefix(client, prefix, sizeof(prefix)),
			state == CLIENT_RELAY ? "login for replication" : "login");
	}
	login_free(steal(&client->login));
	stream_resume(&client->stream);
}

void login_end_greeting(struct client *client, struct buf *greeting, uint32_t pid,
			enum client_state state, uint32_t db_index)
{
	if (!login_write_key(client, pid, greeting)) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return;
	}
	writer_ready(greeting, 'I');
	stream_put(&client->stream, buf_span(greeting));
	login_done(client, state, db_index);
}

static void login_greet(struct client *client, struct welcome *welcome,
			struct context *base)
{
	struct worker *worker = client->worker;
	struct context *context = login_context(client, welcome, base);
	if (context == NULL) {
		client_close(client, CLIENT_CLOSE_BAD_PARAMETER);
		return;
	}
	session_init(&client->session, context,
		     worker->config->max_client_prepared_statements);
	client->session.unpinned = client->session_mode ? 0 : PIN_LISTEN;
	context_unref(context);
	struct buf out;
	buf_init(&out, LOGIN_OUT_MAX);
	writer_auth_ok(&out);
	login_greet_parameters(client, welcome, &out);
	const struct server *server = client->server;
	uint32_t pid = server != NULL && server->pid_is_true ? server->pid : 0;
	login_end_greeting(client, &out, pid, CLIENT_IDLE,
			   client->pool->shared->db_index);
	buf_fini(&out);
	if (client->server != NULL && client->state == CLIENT_IDLE) {
		client_move(client, CLIENT_BOUND);
	}
}

/* Greets when the pool knows what a server reports; otherwise waits for its first
 * connection. */
static bool login_try_greet(struct client *client)
{
	struct welcome *welcome = pool_welcome(client->pool);
	struct context *base = pool_base(client->pool);
	bool ready = welcome != NULL && base != NULL;
	if (ready) {
		client->target = client->pool->target;
		login_greet(client, welcome, base);
	}
	welcome_unref(welcome);
	context_unref(base);
	return ready;
}

/* In session mode the client has its server connection from the beginning, and is told
 * the process id of its true backend, when we know that: what looks itself up in
 * pg_stat_activity or pg_locks, or signals itself, works. */
static void login_with_server(struct client *client, struct server *server)
{
	client->server = server;
	server->client = client;
	if (!login_try_greet(client)) {
		client_close(client, CLIENT_CLOSE_SERVER_LOGIN);
	}
}

static void login_granted(struct pool_waiter *waiter, struct server *server,
			  const struct pool_error *error)
{
	struct client *client = container_of(waiter, struct client, waiter);
	client->login_waits = false;
	if (server != NULL && client->session_mode) {
		login_with_server(client, server);
		return;
	}
	if (server != NULL) {
		pool_give(server->pool, server);
		if (!login_try_greet(client)) {
			client_close(client, CLIENT_CLOSE_SERVER_LOGIN);
		}
		return;
	}
	client_close_text(client, CLIENT_CLOSE_SERVER_LOGIN, error->sqlstate,
			  error->message);
}

static void login_greet_or_wait(struct client *client)
{
	stream_pause(&client->stream);
	if (!client->session_mode && login_try_greet(client)) {
		return;
	}
	struct server *server =
	    client->session_mode ? pool_take(client->pool, NULL) : NULL;
	if (server != NULL) {
		login_with_server(client, server);
		return;
	}
	client_begin_wait(client);
	client->login_waits = true;
	client->waiter.granted = login_granted;
	pool_wait(client->pool, &client->waiter);
}

/* Logged in: finds the pool. */
/* The client is one of the pool's from now on, in the mode of DB or of its user.  False
 * without memory. */
static bool login_join(struct client *client, const struct config_database *db,
		       struct pool *pool)
{
	struct worker *worker = client->worker;
	const struct login *login = client->login;
	client_join_pool(client, pool);
	const struct config_user *user =
	    config_find_user(worker->config, span_str(login->user));
	enum pool_mode mode = db->has_pool_mode ? db->pool_mode
			      : user != NULL && user->has_pool_mode
				  ? user->pool_mode
				  : worker->config->pool_mode;
	client->cache_off = !db->cache;
	client->session_mode = mode == POOL_MODE_SESSION;
	client->statement_mode = mode == POOL_MODE_STATEMENT;
	client->database =
	    database_find(worker->proxy->databases, span_str(login->database),
			  span_str(login->user), login->password);
	return client->database != NULL;
}

void login_accepted(struct client *client)
{
	struct worker *worker = client->worker;
	struct login *login = client->login;
	client_move(client, CLIENT_WELCOME);
	if (login_is_console(client)) {
		login_console(client);
		return;
	}
	if (client->is_surplus) {
		client_close(client, CLIENT_CLOSE_TOO_MANY_CLIENTS);
		return;
	}
	const struct config_database *db =
	    config_find_database(worker->config, span_str(login->database));
	struct pool *pool = NULL;
	if (db != NULL && login->replication != STARTUP_NO_REPLICATION) {
		login_relay(client, db);
		return;
	}
	if (db != NULL) {
		pool = pool_find(&worker->upstream, span_str(login->database),
				 span_str(login->user), login->password);
	}
	if (pool == NULL) {
		char text[160];
		snprintf(text, sizeof(text), "database \"%.63s\" does not exist",
			 login->database);
		client_close_text(client, CLIENT_CLOSE_UNKNOWN_DATABASE, NULL, text);
		return;
	}
	if (atomic_load(&pool->shared->gates) & GATE_DISABLED) {
		client_close(client, CLIENT_CLOSE_DISABLED);
		return;
	}
	enum pools_admission admission =
	    pools_admit(&worker->proxy->pools, pool->shared, worker->config);
	if (admission != POOLS_ADMITTED) {
		client_close(client, admission == POOLS_OVER_DATABASE
					 ? CLIENT_CLOSE_TOO_MANY_OF_DATABASE
					 : CLIENT_CLOSE_TOO_MANY_OF_USER);
		return;
	}
	if (!login_join(client, db, pool)) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return;
	}
	login_greet_or_wait(client);
}
