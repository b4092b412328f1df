#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Opening a server connection: libpq does all of it (resolution apart), then the raw socket
 * is taken over by our stream and protocol bytes flow through untouched.  The PGconn lives
 * as long as the server connection and closes it. */

#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

struct connect;
struct loop;
struct server_socket;

/* All strings are copied; NULL or "" leaves libpq's default. */
struct connect_options {
	const char *host; /* name, address or directory of a Unix socket */
	uint16_t port;
	const char *dbname;
	const char *user;
	const char *password;
	const char *sslmode;     /* "disable" until TLS towards servers exists */
	const char *application_name;
	const char *options;
	uint32_t timeout_ms; /* over resolution, connect and login */
	bool replication;
};

/* Why it failed, in the words of the server when it spoke. */
struct connect_error {
	const char *reason;   /* metric label: refused timeout auth tls dns fatal */
	const char *sqlstate; /* the server's, or 08006, 08001 ... */
	const char *message;  /* one line */
};

/* SOCKET is the callee's (server_socket_close()), or NULL with ERROR. */
typedef void (*connect_fn)(void *arg, struct server_socket *socket,
			   const struct connect_error *error);

int connect_start(struct loop *loop, const struct connect_options *options, connect_fn fn,
		  void *arg, struct connect **out) MUST_CHECK;
/* Abandons the attempt; no callback. */
void connect_cancel(struct connect *connect);

int server_socket_fd(const struct server_socket *socket);
/* Process id of the backend; 0 when the server sent no BackendKeyData. */
uint32_t server_socket_pid(const struct server_socket *socket);
/* Value of a reported parameter at login (server_version, TimeZone ...), or NULL. */
const char *server_socket_parameter(const struct server_socket *socket, const char *name);
/* The parameters the login reports, in a fixed order; NULL-terminated. */
const char *const *server_socket_parameter_names(void);
/* Sends Terminate if it can, closes the descriptor, frees.  NULL is fine. */
void server_socket_close(struct server_socket *socket);

/* A request to cancel what the backend runs, on libuv's thread pool: DONE(ARG) when the
 * cancel connection has been closed by the server (or failed, or LIMIT_MS passed), that is,
 * when the signal can no longer hit a later query.  Works after the server_socket is gone. */
struct cancel_key;
struct cancel_key *server_socket_cancel_key(const struct server_socket *socket);
void cancel_key_free(struct cancel_key *key);
int cancel_send(struct loop *loop, struct cancel_key *key, void (*done)(void *arg),
		void *arg) MUST_CHECK;
