/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "login_priv.h"
#include "proxy/client.h"
#include "proxy/proxy.h"
#include "proxy/users.h"
#include "proxy/worker.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/scram.h"
#include "wire/writer.h"

static void login_denied(struct client *client)
{
	char text[160];
	snprintf(text, sizeof(text),
		 "password authentication failed for user \"%.63s\"",
		 client->login->user);
	client_close_text(client, CLIENT_CLOSE_AUTH_FAILED, NULL, text);
}

static void login_begin_scram(struct client *client, const struct user *user)
{
	static const char *const mechanisms[] = { SCRAM_MECHANISM, NULL };
	struct worker *worker = client->worker;
	struct login *login = client->login;
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
	struct buf out;
	buf_init(&out, LOGIN_OUT_MAX);
	writer_auth_sasl(&out, mechanisms);
	stream_put(&client->stream, buf_span(&out));
	buf_fini(&out);
	client_move(client, CLIENT_AUTH);
}

void login_authenticate(struct client *client)
{
	login_find_user(client);
}

void login_user_known(struct client *client, const struct user *user)
{
	if (user != NULL && user->password != NULL) {
		client->login->password = strdup(user->password);
		if (client->login->password == NULL) {
			client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
			return;
		}
	}
	if (client->worker->config->auth_type == AUTH_TYPE_TRUST) {
		login_accepted(client);
	} else {
		login_begin_scram(client, user);
	}
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
	if (r == FRAME_BAD || frame.type != 'p') {
		client_close_text(client, CLIENT_CLOSE_LOGIN_PROTOCOL, NULL,
				  "expected SASL response, got another message");
		return 0;
	}
	login_scram_message(client, frame.body);
	return frame.size;
}
