/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The user of auth_file or of the configuration; else the one that auth_query tells of,
 * which may take a while. */

#include "login_priv.h"
#include "proxy/auth_cache.h"
#include "proxy/auth_query.h"
#include "proxy/client.h"
#include "proxy/users.h"
#include "proxy/worker.h"

/* Why is the log's: the client must not learn more than that. */
static void login_user_unknown(struct client *client)
{
	client_close(client, CLIENT_CLOSE_AUTH_UNKNOWN);
}

static void login_on_answer(struct auth_waiter *waiter, struct auth_answer *answer)
{
	struct login *login = container_of(waiter, struct login, auth_waiter);
	struct client *client = login->client;
	if (!client_is_open(client)) {
		return;
	}
	if (answer == NULL) {
		login_user_unknown(client);
		return;
	}
	login->was_asked_for = true;
	login->has_old_answer = waiter->is_late;
	stream_resume(&client->stream);
	login_user_known(client, auth_answer_user(answer));
}

void login_find_user(struct client *client)
{
	struct worker *worker = client->worker;
	struct login *login = client->login;
	struct span name = span_str(login->user);
	const struct user *user = users_find(worker->users, name);
	bool is_open = login->method == LOGIN_TRUST || login->method == LOGIN_ANY;
	if (user != NULL || is_open) {
		login_user_known(client, user);
		return;
	}
	struct auth_answer *answer = NULL;
	login->client = client;
	auth_waiter_init(&login->auth_waiter, login_on_answer);
	enum auth_found found =
	    auth_query_find(worker->auth_queries, span_str(login->database), name,
			    &login->auth_waiter, &answer);
	switch (found) {
	case AUTH_NOT_ASKED:
		login_user_known(client, NULL);
		return;
	case AUTH_KNOWN:
		login->was_asked_for = true;
		login->has_old_answer = true;
		login_user_known(client, auth_answer_user(answer));
		auth_answer_unref(answer);
		return;
	case AUTH_WAITING:
		stream_pause(&client->stream);
		return;
	case AUTH_FAILED:
		login_user_unknown(client);
		return;
	}
}

void login_doubt_user(struct client *client)
{
	struct login *login = client->login;
	if (login->has_old_answer) {
		auth_query_forget(client->worker->auth_queries,
				  span_str(login->database), span_str(login->user));
	}
}
