/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Passwords in clear text and as an MD5. */

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/sqlstate.h"
#include "login_priv.h"
#include "proxy/client.h"
#include "proxy/users.h"
#include "wire/messages.h"
#include "wire/writer.h"

static void login_ask(struct client *client, enum login_question question,
		      const uint8_t *salt)
{
	struct buf out;
	buf_init(&out, LOGIN_OUT_MAX);
	if (question == LOGIN_ASKED_MD5) {
		writer_auth_md5(&out, salt);
	} else {
		writer_auth_password(&out);
	}
	stream_put(&client->stream, buf_span(&out));
	buf_fini(&out);
	client->login->question = question;
	client_move(client, CLIENT_AUTH);
}

/* What a password in clear text is compared with.  False: closed. */
static bool login_set_password(struct client *client, const struct user *user)
{
	struct login *login = client->login;
	if (!login_keep_secret(client, user)) {
		return false;
	}
	/* with both kinds of secret (a plain password is known) the better one counts
	 */
	login->has_md5 = user != NULL && user->has_md5 && !user->has_secret;
	if (login->has_md5) {
		memcpy(login->md5, user->md5, sizeof(login->md5));
	}
	return true;
}

/* The same for an MD5 with login->salt. */
static bool login_set_md5(struct client *client, const struct user *user)
{
	static const uint8_t nobody[MD5_PASSWORD_LEN] = { 0 };
	struct login *login = client->login;
	login->is_mock = user == NULL || !user->has_md5;
	const uint8_t *secret = login->is_mock ? nobody : user->md5;
	if (md5_password_answer(secret, login->salt, login->md5) != 0) {
		client_close_text(client, CLIENT_CLOSE_AUTH_FAILED,
				  SQLSTATE_SYSTEM_ERROR, "the crypto library failed");
		return false;
	}
	return true;
}

void login_begin_password(struct client *client, const struct user *user)
{
	if (login_set_password(client, user)) {
		login_ask(client, LOGIN_ASKED_PASSWORD, NULL);
	}
}

void login_begin_md5(struct client *client, const struct user *user)
{
	uint8_t *salt = client->login->salt;
	if (RAND_bytes(salt, sizeof(client->login->salt)) != 1) {
		client_close_text(client, CLIENT_CLOSE_AUTH_FAILED,
				  SQLSTATE_SYSTEM_ERROR, "the crypto library failed");
	} else if (login_set_md5(client, user)) {
		login_ask(client, LOGIN_ASKED_MD5, salt);
	}
}

static bool login_md5_is_right(const struct login *login, struct span answer)
{
	return answer.n == sizeof(login->md5) &&
	       CRYPTO_memcmp(answer.p, login->md5, sizeof(login->md5)) == 0 &&
	       !login->is_mock;
}

/* The work is always the same, whether there is such a user, and which secret it has.
 */
static bool login_password_is_right(const struct login *login, struct span password)
{
	uint8_t md5[MD5_PASSWORD_LEN];
	bool scram_ok = scram_secret_matches(&login->scram.secret, password);
	bool md5_ok = md5_password_make(password, span_str(login->user), md5) == 0 &&
		      CRYPTO_memcmp(md5, login->md5, sizeof(md5)) == 0 &&
		      login->has_md5;
	OPENSSL_cleanse(md5, sizeof(md5));
	return password.n > 0 && (scram_ok || md5_ok);
}

/* The server can be given what the client has told us.  False: closed. */
static bool login_learn_password(struct client *client, struct span password)
{
	struct login *login = client->login;
	if (login->password != NULL) {
		return true;
	}
	login->password = strndup((const char *)password.p, password.n);
	if (login->password == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return false;
	}
	return true;
}

/* A wrong answer may be right by what the server says now, when what it said earlier
 * was used (T-23).  Once; login_known_again() goes on.  False: there is nothing to ask.
 */
static bool login_ask_again(struct client *client, struct span answer)
{
	struct login *login = client->login;
	if (!login->has_old_answer || login->held != NULL) {
		return false;
	}
	login->held = strndup((const char *)answer.p, answer.n);
	if (login->held == NULL) {
		return false;
	}
	login_doubt_user(client);
	login->has_old_answer = false;
	login_find_user(client);
	return true;
}

static void login_judge(struct client *client, struct span answer)
{
	struct login *login = client->login;
	bool right;
	if (login->question == LOGIN_ASKED_MD5) {
		right = login_md5_is_right(login, answer);
	} else {
		right = login_password_is_right(login, answer) &&
			login_learn_password(client, answer);
	}
	if (!client_is_open(client)) {
		return;
	}
	if (right) {
		login_accepted(client);
	} else if (!login_ask_again(client, answer)) {
		login_denied(client);
	}
}

void login_known_again(struct client *client, const struct user *user)
{
	struct login *login = client->login;
	bool is_set = login->question == LOGIN_ASKED_MD5
			  ? login_set_md5(client, user)
			  : login_set_password(client, user);
	if (is_set) {
		login_judge(client, span_str(login->held));
	}
}

void login_take_password(struct client *client, struct span body)
{
	struct span answer;
	if (message_read_password(body, &answer) != 0) {
		client_close_text(client, CLIENT_CLOSE_LOGIN_PROTOCOL, NULL,
				  "invalid password packet size");
		return;
	}
	login_judge(client, answer);
}
