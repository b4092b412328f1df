/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "proxy/cancel.h"
#include "proxy/client.h"
#include "proxy/client_steps.h"
#include "proxy/database.h"
#include "proxy/proxy.h"
#include "proxy/users.h"
#include "proxy/worker.h"
#include "upstream/context.h"
#include "upstream/server.h"
#include "upstream/welcome.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/scram.h"
#include "wire/startup.h"
#include "wire/writer.h"

#define LOGIN_MAX_SETTINGS 48
#define LOGIN_MAX_MESSAGE  65540 /* of a password message, length word */
#define LOGIN_OUT_MAX	   65536

struct login_setting {
	char *name; /* lower case; owned */
	char *value;
};

struct login {
	char *user;	/* owned */
	char *database; /* owned */
	char *password; /* towards servers; owned, or NULL */
	struct scram scram;
	bool scram_begun;
	unsigned n_settings;
	struct login_setting settings[LOGIN_MAX_SETTINGS];
};

struct login *login_new(void)
{
	return calloc(1, sizeof(struct login));
}

void login_free(struct login *login)
{
	if (login == NULL) {
		return;
	}
	for (unsigned i = 0; i < login->n_settings; i++) {
		free(login->settings[i].name);
		free(login->settings[i].value);
	}
	if (login->scram_begun) {
		scram_fini(&login->scram);
	}
	if (login->password != NULL) {
		explicit_bzero(login->password, strlen(login->password));
	}
	free(login->password);
	free(login->user);
	free(login->database);
	free(login);
}

static char *login_copy(struct span s)
{
	return strndup((const char *)s.p, s.n);
}

/* Start-up parameters */

static int login_add_setting(void *arg, struct span name, struct span value)
{
	struct client *client = arg;
	struct login *login = client->login;
	if (name.n == 0) {
		return 0; /* a switch that is no setting: PostgreSQL's own, ignored */
	}
	if (config_has_item(client->worker->config->ignore_startup_parameters, name)) {
		return 0;
	}
	if (login->n_settings == LOGIN_MAX_SETTINGS) {
		return 1;
	}
	struct login_setting *s = &login->settings[login->n_settings];
	s->name = login_copy(name);
	s->value = login_copy(value);
	login->n_settings++;
	if (s->name == NULL || s->value == NULL) {
		return 1;
	}
	for (char *c = s->name; *c != 0; c++) {
		*c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
	}
	return 0;
}

/* application_name_add_host: `name - address:port`, as PgBouncer writes it. */
static void login_add_host(struct client *client)
{
	struct login *login = client->login;
	char name[256] = "app";
	for (unsigned i = 0; i < login->n_settings; i++) {
		if (strcmp(login->settings[i].name, "application_name") == 0) {
			snprintf(name, sizeof(name), "%.128s",
				 login->settings[i].value);
		}
	}
	size_t n = strlen(name);
	snprintf(name + n, sizeof(name) - n, " - %s", client->peer);
	(void)login_add_setting(client, SPAN_LIT("application_name"), span_str(name));
}

static bool login_is_replication(struct span value)
{
	return value.p != NULL && !span_ieq(value, SPAN_LIT("off")) &&
	       !span_ieq(value, SPAN_LIT("false")) && !span_eq_str(value, "0") &&
	       !span_ieq(value, SPAN_LIT("no"));
}

/* Takes over the parameters; false: the client was refused. */
static bool login_parameters(struct client *client, const struct startup *startup)
{
	static const char *const special[] = { "user", "database", "options",
					       "replication" };
	struct login *login = client->login;
	login->user = login_copy(startup->user);
	login->database = login_copy(startup->database);
	bool bad = login->user == NULL || login->database == NULL;
	for (size_t i = 0; i < startup->n_params && !bad; i++) {
		struct span name = startup->params[i].name;
		bool skip = name.n > 5 && memcmp(name.p, "_pq_.", 5) == 0;
		for (size_t k = 0; k < ARRAY_LEN(special); k++) {
			skip = skip || span_eq_str(name, special[k]);
		}
		bad = !skip &&
		      login_add_setting(client, name, startup->params[i].value) != 0;
	}
	if (bad ||
	    startup_split_options(startup->options, login_add_setting, client) != 0) {
		client_close(client, CLIENT_CLOSE_BAD_PARAMETER);
		return false;
	}
	if (login_is_replication(startup_param(startup, "replication"))) {
		client_close(client, CLIENT_CLOSE_REPLICATION);
		return false;
	}
	if (client->worker->config->application_name_add_host) {
		login_add_host(client);
	}
	return true;
}

/* The greeting */

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
	context_unref(context);
	struct buf out;
	buf_init(&out, LOGIN_OUT_MAX);
	writer_auth_ok(&out);
	login_greet_parameters(client, welcome, &out);
	uint8_t key[4];
	if (!cancel_register(client, client->server ? client->server->pid : 0, key)) {
		buf_fini(&out);
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return;
	}
	writer_key_data(&out, client->cancel_pid, span_make(key, sizeof(key)));
	writer_ready(&out, 'I');
	stream_put(&client->stream, buf_span(&out));
	buf_fini(&out);
	client_move(client, CLIENT_IDLE);
	if (client->server != NULL) {
		client_move(client, CLIENT_BOUND);
	}
	histogram_observe(
	    &metrics_database(worker->metrics, client->pool->shared->db_index)
		 ->client_login,
	    clock_now_ns() - client->since_ns);
	if (worker->config->log_connections) {
		char prefix[320];
		log_log(client_prefix(client, prefix, sizeof(prefix)), "login");
	}
	login_free(steal(&client->login));
	stream_resume(&client->stream);
}

/* Greets when the pool knows what a server reports; otherwise waits for its first
 * connection. */
static bool login_try_greet(struct client *client)
{
	struct pool_shared *shared = client->pool->shared;
	struct welcome *welcome = pool_welcome(client->pool);
	pthread_mutex_lock(&shared->lock);
	struct context *base = shared->base ? context_ref(shared->base) : NULL;
	pthread_mutex_unlock(&shared->lock);
	bool ready = welcome != NULL && base != NULL;
	if (ready) {
		login_greet(client, welcome, base);
	}
	welcome_unref(welcome);
	context_unref(base);
	return ready;
}

/* In session mode the client has its server connection from the beginning, and is told
 * the process id of its true backend: what looks itself up in pg_stat_activity or
 * pg_locks, or signals itself, works. */
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
	struct server *server = client->session_mode ? pool_take(client->pool) : NULL;
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
static void login_accepted(struct client *client)
{
	struct worker *worker = client->worker;
	struct login *login = client->login;
	client_move(client, CLIENT_WELCOME);
	if (client->is_surplus) {
		client_close(client, CLIENT_CLOSE_TOO_MANY_CLIENTS);
		return;
	}
	const struct config_database *db =
	    config_find_database(worker->config, span_str(login->database));
	struct pool *pool = NULL;
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
	client_join_pool(client, pool);
	const struct config_user *user =
	    config_find_user(worker->config, span_str(login->user));
	enum pool_mode mode = db->has_pool_mode ? db->pool_mode
			      : user != NULL && user->has_pool_mode
				  ? user->pool_mode
				  : worker->config->pool_mode;
	client->session_mode = mode == POOL_MODE_SESSION;
	client->database =
	    database_find(worker->proxy->databases, span_str(login->database),
			  span_str(login->user), login->password);
	if (client->database == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return;
	}
	login_greet_or_wait(client);
}

/* Authentication */

static void login_denied(struct client *client)
{
	char text[160];
	snprintf(text, sizeof(text),
		 "password authentication failed for user \"%.63s\"",
		 client->login->user);
	client_close_text(client, CLIENT_CLOSE_AUTH_FAILED, NULL, text);
}

static void login_begin_scram(struct client *client)
{
	static const char *const mechanisms[] = { SCRAM_MECHANISM, NULL };
	struct worker *worker = client->worker;
	struct login *login = client->login;
	const struct user *user = users_find(worker->users, span_str(login->user));
	struct scram_secret secret = { 0 };
	int r = 0;
	if (user != NULL && user->has_secret) {
		secret = user->secret;
	} else {
		/* the same exchange for somebody who does not exist (T-15) */
		r = scram_secret_mock(span_str(login->user), worker->proxy->mock_key,
				      worker->config->scram_iterations, &secret);
	}
	if (r == 0) {
		r = scram_init(&login->scram, &secret);
	}
	scram_secret_wipe(&secret);
	if (r < 0) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return;
	}
	login->scram_begun = true;
	if (user != NULL && user->password != NULL) {
		login->password = strdup(user->password);
	}
	struct buf out;
	buf_init(&out, LOGIN_OUT_MAX);
	writer_auth_sasl(&out, mechanisms);
	stream_put(&client->stream, buf_span(&out));
	buf_fini(&out);
	client_move(client, CLIENT_AUTH);
}

static void login_authenticate(struct client *client)
{
	struct worker *worker = client->worker;
	if (worker->config->auth_type == AUTH_TYPE_TRUST) {
		const struct user *user =
		    users_find(worker->users, span_str(client->login->user));
		if (user != NULL && user->password != NULL) {
			client->login->password = strdup(user->password);
		}
		login_accepted(client);
		return;
	}
	login_begin_scram(client);
}

static void login_scram_message(struct client *client, struct span body)
{
	struct login *login = client->login;
	struct buf answer;
	struct buf out;
	buf_init(&answer, LOGIN_OUT_MAX);
	buf_init(&out, LOGIN_OUT_MAX);
	int r;
	bool is_first = login->scram.state == SCRAM_FIRST;
	if (is_first) {
		struct message_sasl_initial initial;
		r = message_read_sasl_initial(body, &initial) != 0 ||
			    !span_eq_str(initial.mechanism, SCRAM_MECHANISM) ||
			    !initial.has_response
			? SCRAM_E_PROTOCOL
			: scram_client_first(&login->scram, initial.response, &answer);
		writer_auth_sasl_continue(&out, buf_span(&answer));
	} else {
		r = scram_client_final(&login->scram, body, &answer);
		writer_auth_sasl_final(&out, buf_span(&answer));
	}
	if (r == 0) {
		stream_put(&client->stream, buf_span(&out));
	}
	buf_fini(&answer);
	buf_fini(&out);
	if (r == SCRAM_E_DENIED) {
		login_denied(client);
	} else if (r != 0) {
		client_close_text(client, CLIENT_CLOSE_LOGIN_PROTOCOL,
				  r > 0 ? sqlstate_code(scram_error_sqlstate(r)) : NULL,
				  r > 0 ? scram_error_text(r) : NULL);
	} else if (!is_first) {
		login_accepted(client);
	}
}

static size_t login_take_auth(struct client *client, struct span in)
{
	struct frame frame;
	enum frame_result r = frame_next(in, LOGIN_MAX_MESSAGE, &frame);
	if (r == FRAME_NEED || (r == FRAME_OK && !frame.complete)) {
		if (in.n > 0 && in.p[0] != 'p') {
			client_close(client, CLIENT_CLOSE_LOGIN_PROTOCOL);
		}
		return 0;
	}
	if (r == FRAME_BAD || frame.type != 'p') {
		client_close_text(client, CLIENT_CLOSE_LOGIN_PROTOCOL, NULL,
				  "expected SASL response, got another message");
		return 0;
	}
	login_scram_message(client, frame.body);
	return frame.size;
}

/* The start-up packet */

static void login_session(struct client *client, const struct startup *startup)
{
	if (startup->negotiate) {
		struct buf out;
		buf_init(&out, LOGIN_OUT_MAX);
		writer_negotiate_version(&out, startup->minor, startup->pq_options,
					 startup->n_pq_options);
		stream_put(&client->stream, buf_span(&out));
		buf_fini(&out);
	}
	if (client->worker->is_draining) {
		client_close(client, CLIENT_CLOSE_STARTING_DOWN);
		return;
	}
	if (login_parameters(client, startup)) {
		login_authenticate(client);
	}
}

static size_t login_take_startup(struct client *client, struct span in)
{
	struct span packet;
	enum frame_result r = frame_startup(in, &packet);
	if (r == FRAME_NEED) {
		return 0;
	}
	if (r == FRAME_BAD) {
		client_close_text(client, CLIENT_CLOSE_LOGIN_PROTOCOL, NULL,
				  "invalid length of startup packet");
		return 0;
	}
	struct startup startup;
	int bad = startup_parse(packet, &startup);
	if (bad != 0) {
		client_close_text(client, CLIENT_CLOSE_LOGIN_PROTOCOL,
				  sqlstate_code(startup_error_sqlstate(bad)),
				  startup_error_text(bad));
		return 0;
	}
	size_t size = packet.n + 4;
	switch (startup.kind) {
	case STARTUP_SSL_REQUEST:
	case STARTUP_GSSENC_REQUEST:
		if (in.n > size) {
			/* nothing may be stuffed in behind the request (T-02) */
			client_close_text(
			    client, CLIENT_CLOSE_LOGIN_PROTOCOL, NULL,
			    "received unencrypted data after SSL request");
			return 0;
		}
		stream_put_static(&client->stream, SPAN_LIT("N"));
		return size;
	case STARTUP_CANCEL_REQUEST:
		cancel_request(client->worker, startup.cancel_pid, startup.cancel_key);
		client_close(client, CLIENT_CLOSE_CANCEL_DONE);
		return 0;
	case STARTUP_SESSION:
		login_session(client, &startup);
		return size;
	}
	return 0;
}

size_t login_take(struct client *client, struct span in)
{
	size_t used = 0;
	while (used < in.n && client_is_open(client) && !client->stream.paused) {
		struct span left = span_skip(in, used);
		size_t n = 0;
		if (client->state == CLIENT_STARTUP) {
			n = login_take_startup(client, left);
		} else if (client->state == CLIENT_AUTH) {
			n = login_take_auth(client, left);
		}
		if (n == 0) {
			break;
		}
		used += n;
	}
	return used;
}
