/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/config.h"
#include "base/sqlstate.h"
#include "login_priv.h"
#include "net/tls.h"
#include "proxy/auth_cache.h"
#include "proxy/client.h"
#include "proxy/proxy.h"
#include "proxy/users.h"
#include "proxy/worker.h"
#include "wire/frame.h"
#include "wire/hba.h"

void login_denied(struct client *client)
{
	char text[160];
	login_doubt_user(client);
	snprintf(text, sizeof(text),
		 "password authentication failed for user \"%.63s\"",
		 client->login->user);
	client_close_text(client, CLIENT_CLOSE_AUTH_FAILED, NULL, text);
}

/* The method */

/* What auth_type says when auth_hba_file does not. */
static const struct hba_verdict login_verdicts[] = {
	[AUTH_TYPE_TRUST] = { .method = HBA_TRUST },
	[AUTH_TYPE_ANY] = { .method = HBA_TRUST },
	[AUTH_TYPE_PLAIN] = { .method = HBA_PASSWORD },
	[AUTH_TYPE_PASSWORD] = { .method = HBA_PASSWORD },
	[AUTH_TYPE_MD5] = { .method = HBA_MD5 },
	[AUTH_TYPE_SCRAM] = { .method = HBA_SCRAM },
	[AUTH_TYPE_CERT] = { .method = HBA_CERT, .clientcert = HBA_CERT_VERIFY_FULL },
	[AUTH_TYPE_PEER] = { .method = HBA_PEER },
};

static const enum login_method login_methods[] = {
	[HBA_TRUST] = LOGIN_TRUST, [HBA_PASSWORD] = LOGIN_PASSWORD,
	[HBA_MD5] = LOGIN_MD5,	   [HBA_SCRAM] = LOGIN_SCRAM,
	[HBA_CERT] = LOGIN_CERT,   [HBA_PEER] = LOGIN_PEER,
};

/* Decides how the client has to prove who it is.  False: closed. */
static bool login_decide(struct client *client)
{
	struct login *login = client->login;
	enum auth_type type = client->worker->config->auth_type;
	const struct hba_verdict *verdict =
	    type == AUTH_TYPE_HBA ? login_hba(client) : &login_verdicts[type];
	if (verdict == NULL || !login_check_cert(client, verdict)) {
		return false;
	}
	login->method =
	    type == AUTH_TYPE_ANY ? LOGIN_ANY : login_methods[verdict->method];
	/* the rows may be gone when the account is known */
	login->map = verdict->map == NULL ? NULL : strdup(verdict->map);
	if (login->map == NULL && verdict->map != NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	return true;
}

/* Whether nobody can read along: TLS, or a socket that does not leave the machine. */
static bool login_is_private(const struct client *client)
{
	struct sockaddr_storage own = { 0 };
	socklen_t len = sizeof(own);
	return stream_is_tls(&client->stream) ||
	       (getsockname(client->stream.fd, (struct sockaddr *)&own, &len) == 0 &&
		own.ss_family == AF_UNIX);
}

/* auth_type any: whoever comes is the user that the database is given.  False: closed.
 */
static bool login_become_any(struct client *client)
{
	struct login *login = client->login;
	const struct config_database *db =
	    config_find_database(client->worker->config, span_str(login->database));
	if (db == NULL) {
		return true; /* there is no such database, which will be said */
	}
	/* a configuration with auth_type any has a user for every database */
	char *user = db->user == NULL ? NULL : strdup(db->user);
	if (user == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	free(login->user);
	login->user = user;
	return true;
}

void login_authenticate(struct client *client)
{
	struct login *login = client->login;
	if (!login_decide(client)) {
		return;
	}
	if (login->method == LOGIN_PASSWORD && !login_is_private(client)) {
		client_close_text(client, CLIENT_CLOSE_AUTH_FAILED,
				  SQLSTATE_INVALID_AUTHORIZATION,
				  "passwords in clear text are taken over TLS and Unix "
				  "sockets only");
		return;
	}
	if (login->method == LOGIN_ANY && !login_become_any(client)) {
		return;
	}
	login_find_user(client);
}

/* The exchange */

static bool login_keep_password(struct client *client, const struct user *user)
{
	login_forget_password(client->login);
	if (user == NULL || user->password == NULL) {
		return true;
	}
	client->login->password = strdup(user->password);
	if (client->login->password == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	return true;
}

/* What a secret of this name most likely had, were there one. */
static uint32_t login_mock_iterations(const struct client *client)
{
	struct worker *worker = client->worker;
	uint32_t own = worker->config->scram_iterations;
	return client->login->was_asked_for
		   ? auth_cache_iterations(worker->proxy->auth_cache, own)
		   : users_iterations(worker->users, own);
}

bool login_keep_secret(struct client *client, const struct user *user)
{
	struct login *login = client->login;
	struct scram_secret secret = { 0 };
	int r = 0;
	if (user != NULL && user->has_secret) {
		secret = user->secret;
	} else {
		/* the same exchange for somebody who does not exist (T-15) */
		r = scram_secret_mock(span_str(login->user),
				      client->worker->proxy->salt_key,
				      login_mock_iterations(client), &secret);
	}
	if (login->scram_begun) {
		scram_fini(&login->scram);
		login->scram_begun = false;
	}
	if (r == 0) {
		r = scram_init(&login->scram, &secret);
	}
	scram_secret_wipe(&secret);
	if (r < 0) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	login->scram_begun = true;
	return true;
}

/* Who has a SCRAM secret only cannot answer an MD5 question; nobody is asked what most
 * are, of those that are asked for where this name was. */
static bool login_is_for_scram(const struct client *client, const struct user *user)
{
	struct worker *worker = client->worker;
	if (user == NULL || (!user->has_secret && !user->has_md5)) {
		return client->login->was_asked_for
			   ? auth_cache_has_scram(worker->proxy->auth_cache)
			   : users_have_scram(worker->users);
	}
	return !user->has_md5;
}

void login_user_known(struct client *client, const struct user *user)
{
	if (!login_keep_password(client, user)) {
		return;
	}
	if (client->login->held != NULL) {
		login_known_again(client, user);
		return;
	}
	switch (client->login->method) {
	case LOGIN_TRUST:
	case LOGIN_ANY:
	case LOGIN_CERT:
		login_accepted(client);
		return;
	case LOGIN_PEER:
		login_begin_peer(client);
		return;
	case LOGIN_PASSWORD:
		login_begin_password(client, user);
		return;
	case LOGIN_MD5:
		if (login_is_for_scram(client, user)) {
			login_begin_scram(client, user);
		} else {
			login_begin_md5(client, user);
		}
		return;
	case LOGIN_SCRAM:
		login_begin_scram(client, user);
		return;
	}
}

size_t login_take_auth(struct client *client, struct span in)
{
	struct frame frame;
	enum frame_result r = frame_next(in, LOGIN_MAX_MESSAGE, &frame);
	if (r == FRAME_NEED || (r == FRAME_OK && !frame.complete)) {
		if (in.n > 0 && in.p[0] != 'p') {
			client_close(client, CLIENT_CLOSE_LOGIN_PROTOCOL);
		}
		return 0;
	}
	bool is_scram = client->login->question == LOGIN_ASKED_SCRAM;
	if (r == FRAME_BAD || frame.type != 'p') {
		client_close_text(
		    client, CLIENT_CLOSE_LOGIN_PROTOCOL, NULL,
		    is_scram ? "expected SASL response, got another message"
			     : "expected password response, got another message");
		return 0;
	}
	if (is_scram) {
		login_take_scram(client, frame.body);
	} else {
		login_take_password(client, frame.body);
	}
	return frame.size;
}
