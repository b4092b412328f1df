/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The login of a replication client, from where it differs: its options go to the
 * server as they are, and its server connection is its own (proxy/relay.h). */

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "login_priv.h"
#include "proxy/cancel.h"
#include "proxy/client.h"
#include "proxy/database.h"
#include "proxy/proxy.h"
#include "proxy/relay.h"
#include "proxy/worker.h"
#include "upstream/gates.h"
#include "upstream/server_socket.h"
#include "wire/frame.h"
#include "wire/writer.h"

/* A backslash in front of what would end a word, or be taken for one. */
static void login_append_word(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		if (c == ' ' || (c >= '\t' && c <= '\r') || c == '\\') {
			buf_append_u8(out, '\\');
		}
		buf_append_u8(out, c);
	}
}

static bool login_is_option(const struct config *config, struct span name)
{
	static const char *const special[] = { "user", "database", "options",
					       "replication" };
	bool is = !config_has_item(config->ignore_startup_parameters, name) &&
		  !(name.n >= 5 && memcmp(name.p, "_pq_.", 5) == 0);
	for (size_t k = 0; k < ARRAY_LEN(special); k++) {
		is = is && !span_eq_str(name, special[k]);
	}
	return is;
}

/* libpq knows a few of the settings that a start-up packet may have; on the server's
 * command line all of them can stand.  `options` come first, as in PostgreSQL: what the
 * packet names itself is stronger. */
bool login_relay_options(struct client *client, const struct startup *startup)
{
	struct buf out;
	buf_init(&out, 4 * STARTUP_MAX_LEN);
	buf_append_span(&out, startup->options);
	for (size_t i = 0; i < startup->n_params; i++) {
		const struct startup_param *p = &startup->params[i];
		if (login_is_option(client->worker->config, p->name)) {
			buf_append_span(&out, SPAN_LIT(" -c "));
			login_append_word(&out, p->name);
			buf_append_u8(&out, '=');
			login_append_word(&out, p->value);
		}
	}
	buf_append_u8(&out, 0);
	if (buf_ok(&out)) {
		client->login->server_options = strdup((const char *)out.data);
	}
	buf_fini(&out);
	return client->login->server_options != NULL;
}

/* The database of a logical session, which is kept; NULL without memory. */
static struct database *login_relay_database(struct client *client)
{
	const struct login *login = client->login;
	struct database *database;
	do {
		database = database_find(client->worker->proxy->databases,
					 span_str(login->database),
					 span_str(login->user), login->password);
	} while (database != NULL && !database_keep(database));
	return database;
}

void login_relay(struct client *client, const struct config_database *line)
{
	struct worker *worker = client->worker;
	struct login *login = client->login;
	struct relay_options options = {
		.line = line,
		.name = login->database,
		.user = login->user,
		.password = login->password,
		.options = login->server_options,
	};
	unsigned gates = gates_of(&worker->proxy->pools, span_str(login->database));
	if (gates != 0) {
		client_close(client, gates & GATE_DISABLED ? CLIENT_CLOSE_DISABLED
							   : CLIENT_CLOSE_PAUSED);
		return;
	}
	if (login->replication == STARTUP_LOGICAL) {
		options.database = login_relay_database(client);
		if (options.database == NULL) {
			client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
			return;
		}
	}
	unsigned n = atomic_fetch_add(&worker->proxy->n_relays, 1);
	if (n >= worker->config->max_replication_connections) {
		atomic_fetch_sub(&worker->proxy->n_relays, 1);
		database_unkeep(options.database);
		client_close(client, CLIENT_CLOSE_TOO_MANY_REPLICATION);
		return;
	}
	struct relay *relay;
	if (relay_start(client, &options, &relay) < 0) {
		atomic_fetch_sub(&worker->proxy->n_relays, 1);
		database_unkeep(options.database);
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return;
	}
	stream_pause(&client->stream);
	client_join_relay(client, relay);
}

void login_relay_greet(struct client *client)
{
	const struct server_socket *socket = relay_socket(client->relay);
	struct buf out;
	buf_init(&out, LOGIN_OUT_MAX);
	writer_auth_ok(&out);
	for (const char *const *name = server_socket_parameter_names(); *name != NULL;
	     name++) {
		const char *value = server_socket_parameter(socket, *name);
		if (value != NULL) {
			writer_parameter_status(&out, span_str(*name), span_str(value));
		}
	}
	login_end_greeting(client, &out, relay_pid(client->relay), CLIENT_RELAY,
			   relay_db_index(client->relay));
	buf_fini(&out);
}
