/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/login.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "login_priv.h"
#include "proxy/cancel.h"
#include "proxy/client.h"
#include "proxy/login_tls.h"
#include "proxy/users.h"
#include "proxy/worker.h"
#include "wire/frame.h"
#include "wire/scram.h"
#include "wire/startup.h"
#include "wire/writer.h"

struct login *login_new(void)
{
	return calloc(1, sizeof(struct login));
}

static void login_wipe(char *secret)
{
	if (secret != NULL) {
		explicit_bzero(secret, strlen(secret));
		free(secret);
	}
}

void login_forget_password(struct login *login)
{
	login_wipe(steal(&login->password));
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
	login_forget_password(login);
	login_wipe(login->held);
	free(login->map);
	login_peer_forget(login->peer);
	OPENSSL_cleanse(login->md5, sizeof(login->md5));
	if (login->auth_waiter.fn != NULL) {
		auth_waiter_leave(&login->auth_waiter);
	}
	free(login->server_options);
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
	login->replication = startup->replication;
	if (login->replication != STARTUP_NO_REPLICATION &&
	    !login_relay_options(client, startup)) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	if (client->worker->config->application_name_add_host) {
		login_add_host(client);
	}
	return true;
}

/* The start-up packet */

static void login_session(struct client *client, const struct startup *startup)
{
	client->login->minor = startup->minor;
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
	if (!login_parameters(client, startup)) {
		return;
	}
	if (login_is_console_owner(client)) {
		login_accepted(client);
	} else {
		login_authenticate(client);
	}
}

static size_t login_take_startup(struct client *client, struct span in)
{
	struct span packet;
	if (frame_is_tls(in)) {
		return login_tls_direct(client, in);
	}
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
				  startup_error_sqlstate(bad), startup_error_text(bad));
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
		login_tls_request(client, startup.kind == STARTUP_GSSENC_REQUEST);
		return size;
	case STARTUP_CANCEL_REQUEST:
		cancel_request(client, startup.cancel_pid, startup.cancel_key);
		return size;
	case STARTUP_SESSION:
		if (login_tls_refuses(client)) {
			return 0;
		}
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
