/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "login_priv.h"
#include "proxy/client.h"
#include "proxy/users.h"
#include "proxy/worker.h"

void login_find_user(struct client *client)
{
	login_user_known(
	    client, users_find(client->worker->users, span_str(client->login->user)));
}
