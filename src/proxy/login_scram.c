/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/buf.h"
#include "login_priv.h"
#include "net/tls.h"
#include "proxy/client.h"
#include "wire/messages.h"
#include "wire/scram.h"
#include "wire/writer.h"

void login_begin_scram(struct client *client, const struct user *user)
{
	static const char *const mechanisms[] = { SCRAM_MECHANISM_PLUS, SCRAM_MECHANISM,
						  NULL };
	struct login *login = client->login;
	if (!login_keep_secret(client, user)) {
		return;
	}
	struct span end_point = stream_end_point(&client->stream);
	bool plus = end_point.n > 0 && end_point.n <= SCRAM_END_POINT_MAX;
	if (plus) {
		scram_offer_plus(&login->scram, end_point);
	}
	struct buf out;
	buf_init(&out, LOGIN_OUT_MAX);
	writer_auth_sasl(&out, plus ? mechanisms : mechanisms + 1);
	stream_put(&client->stream, buf_span(&out));
	buf_fini(&out);
	login->question = LOGIN_ASKED_SCRAM;
	client_move(client, CLIENT_AUTH);
}

static int login_scram_first(struct login *login, struct span body, struct buf *answer)
{
	struct message_sasl_initial initial;
	if (message_read_sasl_initial(body, &initial) != 0 ||
	    scram_choose(&login->scram, initial.mechanism) != 0 ||
	    !initial.has_response) {
		return SCRAM_E_PROTOCOL;
	}
	return scram_client_first(&login->scram, initial.response, answer);
}

void login_take_scram(struct client *client, struct span body)
{
	struct login *login = client->login;
	struct buf answer;
	struct buf out;
	buf_init(&answer, LOGIN_OUT_MAX);
	buf_init(&out, LOGIN_OUT_MAX);
	int r;
	bool is_first = login->scram.state == SCRAM_FIRST;
	if (is_first) {
		r = login_scram_first(login, body, &answer);
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
				  r > 0 ? scram_error_sqlstate(r) : NULL,
				  r > 0 ? scram_error_text(r) : NULL);
	} else if (!is_first) {
		login_accepted(client);
	}
}
