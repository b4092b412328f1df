/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Which row of auth_hba_file is for the client, and what else it asks for. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/sqlstate.h"
#include "login_priv.h"
#include "net/tls.h"
#include "proxy/client.h"
#include "proxy/hba_files.h"
#include "proxy/users.h"
#include "proxy/worker.h"
#include "wire/hba.h"
#include "wire/ident.h"

#define LOGIN_MAX_NAME 4096 /* bytes of a distinguished name */

/* Appends the client's address to CLIENT and its name to HOST, as PostgreSQL says it.
 */
static void login_address(const struct client *client, struct hba_address *address,
			  char host[INET6_ADDRSTRLEN])
{
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof(peer);
	*address = (struct hba_address){ 0 };
	snprintf(host, INET6_ADDRSTRLEN, "[local]");
	if (getpeername(client->stream.fd, (struct sockaddr *)&peer, &len) < 0) {
		return;
	}
	if (peer.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)&peer;
		inet_ntop(AF_INET, &in->sin_addr, host, INET6_ADDRSTRLEN);
	} else if (peer.ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const void *)&peer;
		inet_ntop(AF_INET6, &in->sin6_addr, host, INET6_ADDRSTRLEN);
	} else {
		return;
	}
	require(hba_parse_address(span_str(host), address));
}

static void login_hba_refuse(struct client *client, const char *before,
			     const char *host, const char *encryption)
{
	const struct login *login = client->login;
	char text[512];
	snprintf(text, sizeof(text),
		 "%s for host \"%s\", user \"%.63s\", database \"%.63s\", %s", before,
		 host, login->user, login->database, encryption);
	client_close_text(client, CLIENT_CLOSE_AUTH_FAILED,
			  SQLSTATE_INVALID_AUTHORIZATION, text);
}

const struct hba_verdict *login_hba(struct client *client)
{
	struct login *login = client->login;
	char host[INET6_ADDRSTRLEN];
	struct hba_client who = {
		.user = span_str(login->user),
		.database = span_str(login->database),
		.is_tls = stream_is_tls(&client->stream),
		.is_physical = login->replication == STARTUP_PHYSICAL,
		.is_own = hba_files_is_own,
	};
	login_address(client, &who.address, host);
	const char *encryption = who.is_tls ? "SSL encryption" : "no encryption";
	const struct hba_verdict *verdict =
	    hba_find(users_hba(client->worker->users), &who);
	if (verdict == NULL) {
		login_hba_refuse(client, "no pg_hba.conf entry", host, encryption);
		return NULL;
	}
	if (verdict->method == HBA_REJECT) {
		login_hba_refuse(client, "pg_hba.conf rejects connection", host,
				 encryption);
		return NULL;
	}
	return verdict;
}

/* Whether the name in the certificate, in the row's map, may be this user. */
static bool login_cert_is_users(const struct client *client,
				const struct hba_verdict *verdict)
{
	struct buf name;
	buf_init(&name, LOGIN_MAX_NAME);
	bool found = verdict->by_dn ? stream_peer_dn(&client->stream, &name)
				    : stream_peer_common_name(&client->stream, &name);
	buf_append_u8(&name, 0);
	bool right = found && buf_ok(&name) &&
		     ident_allows(users_ident(client->worker->users), verdict->map,
				  (const char *)name.data, client->login->user);
	buf_fini(&name);
	return right;
}

bool login_check_cert(struct client *client, const struct hba_verdict *verdict)
{
	if (verdict->clientcert == HBA_CERT_NOT_ASKED) {
		return true;
	}
	if (!stream_peer_is_verified(&client->stream)) {
		client_close_text(client, CLIENT_CLOSE_AUTH_FAILED,
				  SQLSTATE_INVALID_AUTHORIZATION,
				  "connection requires a valid client certificate");
		return false;
	}
	if (verdict->clientcert == HBA_CERT_VERIFY_FULL &&
	    !login_cert_is_users(client, verdict)) {
		char text[160];
		snprintf(text, sizeof(text),
			 "certificate authentication failed for user \"%.63s\"",
			 client->login->user);
		client_close_text(client, CLIENT_CLOSE_AUTH_FAILED,
				  SQLSTATE_INVALID_AUTHORIZATION, text);
		return false;
	}
	return true;
}
