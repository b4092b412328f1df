/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/login_tls.h"

#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/config_tls.h"
#include "net/tls.h"
#include "proxy/client.h"
#include "proxy/worker.h"

/* PgBouncer's words for what OpenSSL does by itself. */
static const char *login_tls_ciphers(const char *text)
{
	static const char *const own[] = { "default", "secure", "fast", "normal" };
	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		if (strcmp(text, own[i]) == 0) {
			return "";
		}
	}
	return strcmp(text, "all") == 0 ? "ALL" : text;
}

int login_tls_load(const struct config *config, struct tls **out, char *error,
		   size_t error_size)
{
	*out = NULL;
	if (config->client_tls_sslmode == SSLMODE_DISABLE) {
		return 0;
	}
	struct tls_options options = {
		.key_file = config->client_tls_key_file,
		.cert_file = config->client_tls_cert_file,
		.ca_file = config->client_tls_ca_file,
		.ciphers = login_tls_ciphers(config->client_tls_ciphers),
		.ciphersuites = config->client_tls13_ciphers,
		.curve = config->client_tls_ecdhcurve,
		.dheparams = config->client_tls_dheparams,
		.must_verify = config->client_tls_sslmode >= SSLMODE_VERIFY_CA,
	};
	if (!config_tls_protocols(config->client_tls_protocols, &options.protocols)) {
		snprintf(error, error_size, "client_tls_protocols cannot be read");
		return 1;
	}
	char text[400];
	int r = tls_new(&options, out, text, sizeof(text));
	if (r != 0) {
		snprintf(error, error_size, "TLS for clients: %s",
			 r < 0 ? strerror(-r) : text);
	}
	return r;
}

static bool login_tls_is_unix(const struct client *client)
{
	return strcmp(client->peer, "unix") == 0;
}

static void login_tls_begin(struct client *client, struct span early, bool is_direct)
{
	if (stream_start_tls(&client->stream, client->worker->tls, early, is_direct) <
	    0) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
	}
}

void login_tls_request(struct client *client, bool is_gss)
{
	if (stream_is_tls(&client->stream)) {
		client_close_text(client, CLIENT_CLOSE_LOGIN_PROTOCOL, NULL,
				  "received a request for encryption inside TLS");
		return;
	}
	if (is_gss || client->worker->tls == NULL || login_tls_is_unix(client)) {
		stream_put_static(&client->stream, SPAN_LIT("N"));
		return;
	}
	stream_put_static(&client->stream, SPAN_LIT("S"));
	login_tls_begin(client, span_make(NULL, 0), false);
}

size_t login_tls_direct(struct client *client, struct span in)
{
	if (stream_is_tls(&client->stream) || client->worker->tls == NULL ||
	    login_tls_is_unix(client)) {
		client_close_text(client, CLIENT_CLOSE_TLS_FAILED, NULL,
				  "received a direct SSL connection request where "
				  "there is no TLS");
		return 0;
	}
	login_tls_begin(client, in, true);
	return in.n;
}

bool login_tls_refuses(struct client *client)
{
	if (client->worker->config->client_tls_sslmode < SSLMODE_REQUIRE ||
	    stream_is_tls(&client->stream) || login_tls_is_unix(client)) {
		return false;
	}
	client_close(client, CLIENT_CLOSE_TLS_REQUIRED);
	return true;
}
