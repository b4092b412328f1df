/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Who is at the other end of a Unix socket.  The kernel knows the number of the
 * account; its name may have to be asked for in a directory somewhere, so that is done
 * on the thread pool. */

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/sqlstate.h"
#include "login_priv.h"
#include "proxy/client.h"
#include "proxy/users.h"
#include "proxy/worker.h"
#include "wire/ident.h"

#define LOGIN_ACCOUNT_MAX 16384 /* bytes of an account's entry */

struct login_peer {
	struct client *client; /* NULL: gone */
	uid_t uid;
	char *name; /* owned; NULL: no such account */
};

static void login_peer_ask(void *arg)
{
	struct login_peer *peer = arg;
	struct passwd entry;
	struct passwd *found = NULL;
	char *memory = malloc(LOGIN_ACCOUNT_MAX);
	if (memory != NULL &&
	    getpwuid_r(peer->uid, &entry, memory, LOGIN_ACCOUNT_MAX, &found) == 0 &&
	    found != NULL) {
		peer->name = strdup(found->pw_name);
	}
	free(memory);
}

static void login_peer_free(struct login_peer *peer)
{
	free(peer->name);
	free(peer);
}

static void login_peer_refuse(struct client *client)
{
	char text[160];
	snprintf(text, sizeof(text), "Peer authentication failed for user \"%.63s\"",
		 client->login->user);
	client_close_text(client, CLIENT_CLOSE_AUTH_FAILED,
			  SQLSTATE_INVALID_AUTHORIZATION, text);
}

static void login_peer_known(void *arg)
{
	struct login_peer *peer = arg;
	struct client *client = peer->client;
	if (client != NULL && client_is_open(client)) {
		struct login *login = client->login;
		login->peer = NULL;
		bool right = peer->name != NULL &&
			     ident_allows(users_ident(client->worker->users),
					  login->map, peer->name, login->user);
		stream_resume(&client->stream);
		if (right) {
			login_accepted(client);
		} else {
			login_peer_refuse(client);
		}
	} else if (client != NULL) {
		client->login->peer = NULL;
	}
	login_peer_free(peer);
}

#define PEER_OVERFLOW_UID 65534 /* unless the administrator has changed it */

static uid_t peer_overflow_uid(void)
{
	unsigned uid = PEER_OVERFLOW_UID;
	FILE *file = fopen("/proc/sys/kernel/overflowuid", "re");
	if (file != NULL) {
		if (fscanf(file, "%u", &uid) != 1) {
			uid = PEER_OVERFLOW_UID;
		}
		fclose(file);
	}
	return uid;
}

bool login_peer_account(const struct client *client, struct ucred *out)
{
	socklen_t len = sizeof(*out);
	return getsockopt(client->stream.fd, SOL_SOCKET, SO_PEERCRED, out, &len) == 0 &&
	       len == sizeof(*out) && out->uid != (uid_t)-1 &&
	       out->uid != PEER_OVERFLOW_UID && out->uid != peer_overflow_uid();
}

void login_begin_peer(struct client *client)
{
	struct ucred account;
	if (!login_peer_account(client, &account)) {
		login_peer_refuse(client);
		return;
	}
	struct login_peer *peer = calloc(1, sizeof(*peer));
	if (peer == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return;
	}
	peer->client = client;
	peer->uid = account.uid;
	if (loop_work(client->worker->loop, login_peer_ask, login_peer_known, peer) <
	    0) {
		login_peer_free(peer);
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
		return;
	}
	client->login->peer = peer;
	stream_pause(&client->stream);
}

void login_peer_forget(struct login_peer *peer)
{
	if (peer != NULL) {
		peer->client = NULL;
	}
}
