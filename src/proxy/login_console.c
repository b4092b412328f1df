/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "login_priv.h"
#include "proxy/cancel.h"
#include "proxy/client.h"
#include "proxy/login.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"
#include "wire/startup.h"
#include "wire/writer.h"

/* The console's names; a line of [databases] with one of them is stronger. */
bool login_is_console(const struct client *client)
{
	const struct login *login = client->login;
	const struct worker *worker = client->worker;
	if (worker->proxy->console == NULL ||
	    (strcmp(login->database, "pgrecall") != 0 &&
	     strcmp(login->database, "pgbouncer") != 0)) {
		return false;
	}
	const struct config_database *db =
	    config_find_database(worker->config, span_str(login->database));
	return db == NULL || strcmp(db->name, "*") == 0;
}

bool login_is_console_owner(const struct client *client)
{
	const char *user = client->login->user;
	struct ucred account;
	return login_is_console(client) &&
	       (strcmp(user, "pgrecall") == 0 || strcmp(user, "pgbouncer") == 0) &&
	       login_peer_account(client, &account) && account.pid != 0 &&
	       account.uid == geteuid();
}

/* What drivers want to know of a server. */
static void login_console_parameters(const struct client *client, struct buf *out)
{
	static const struct {
		const char *name;
		const char *value;
	} rows[] = {
		{ "server_version", PGRECALL_VERSION },
		{ "server_encoding", "UTF8" },
		{ "client_encoding", "UTF8" },
		{ "DateStyle", "ISO, MDY" },
		{ "TimeZone", "GMT" },
		{ "integer_datetimes", "on" },
		{ "standard_conforming_strings", "on" },
		{ "is_superuser", "off" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		writer_parameter_status(out, span_str(rows[i].name),
					span_str(rows[i].value));
	}
	writer_parameter_status(out, SPAN_LIT("session_authorization"),
				span_str(client->login->user));
}

static bool login_console_greet(struct client *client)
{
	uint8_t key[STARTUP_OUR_KEY_MAX];
	size_t key_len =
	    client->login->minor >= 2 ? sizeof(key) : STARTUP_CANCEL_KEY_MIN;
	if (!cancel_register(client, 0, key, key_len)) {
		return false;
	}
	struct buf out;
	buf_init(&out, LOGIN_OUT_MAX);
	writer_auth_ok(&out);
	login_console_parameters(client, &out);
	writer_key_data(&out, client->cancel_pid, span_make(key, key_len));
	writer_ready(&out, 'I');
	bool ok = buf_ok(&out);
	if (ok) {
		stream_put(&client->stream, buf_span(&out));
	}
	buf_fini(&out);
	return ok;
}

void login_console(struct client *client)
{
	const struct config *config = client->worker->config;
	const struct proxy_console *console = client->worker->proxy->console;
	struct span user = span_str(client->login->user);
	bool is_admin = login_is_console_owner(client) ||
			config_has_item(config->admin_users, user);
	if (!is_admin && !config_has_item(config->stats_users, user)) {
		client_close_text(client, CLIENT_CLOSE_NO_CONSOLE, NULL, NULL);
		return;
	}
	if (!console->open(console->arg, client, is_admin) ||
	    !login_console_greet(client)) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return;
	}
	if (config->log_connections) {
		log_log(NULL, "C-%llu console/%s@%s login%s",
			(unsigned long long)client->id, client->login->user,
			client->peer, is_admin ? " as administrator" : "");
	}
	login_free(steal(&client->login));
	client_move(client, CLIENT_CONSOLE);
	stream_resume(&client->stream);
}
