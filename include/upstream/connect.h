#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Opening a server connection: libpq does all of it (resolution apart), then the raw
 * socket is taken over by our stream and protocol bytes flow through untouched.  The
 * PGconn lives as long as the server connection and closes it.
 *
 * Several hosts are tried one after the other, and a name with several addresses
 * address by address, each with its share of the time that is left. */

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "upstream/cancel.h"
#include "upstream/server_socket.h"

struct config;
struct config_database;
struct connect;
struct loop;
struct server_socket;

/* All strings are copied; NULL or "" leaves libpq's default. */
struct connect_options {
	const char *host;  /* name, address or directory of a Unix socket; or several,
			      separated by commas, which are tried in turn */
	const char *ports; /* one, or one for each host; NULL: `port` */
	uint16_t port;
	uint16_t first; /* the host to begin with; 0: the first of the list */
	const char *dbname;
	const char *user;
	const char *password;
	const char *sslmode; /* this and the next, up to the versions, as in libpq */
	const char *sslrootcert;
	const char *sslcert;
	const char *sslkey;
	const char *channel_binding;
	const char *ssl_oldest;
	const char *ssl_newest;
	const char *application_name;
	const char *options;
	uint32_t timeout_ms;	 /* over resolution, connect and login; 0: no limit */
	const char *replication; /* "true", "database", or NULL */
};

/* Why it failed, in the words of the server when it spoke. */
struct connect_error {
	const char *reason;   /* metric label: refused timeout auth tls dns fatal */
	const char *sqlstate; /* the server's, or 08006, 08001 ... */
	const char *message;  /* one line, without secrets */
};

/* SOCKET is the callee's (server_socket_close()), or NULL with ERROR. */
typedef void (*connect_fn)(void *arg, struct server_socket *socket,
			   const struct connect_error *error);

/* Sets what the configuration says of TLS with the servers of DB; the strings stay the
 * configuration's. */
void connect_options_tls(struct connect_options *options, const struct config *config,
			 const struct config_database *db);
bool connect_options_equal(const struct connect_options *a,
			   const struct connect_options *b);
/* What the configuration says of the servers of LINE: where, who, how.  The strings
 * stay the configuration's; a name, user or password that it leaves open is NULL. */
void connect_options_of(struct connect_options *options, const struct config *config,
			const struct config_database *line);
/* Copies the strings, to be freed with _fini(); -ENOMEM leaves TO empty. */
int connect_options_copy(struct connect_options *to,
			 const struct connect_options *from) MUST_CHECK;
/* Frees the strings of a copy and wipes its password. */
void connect_options_fini(struct connect_options *options);

/* 0 or -ENOMEM.  FN comes once, on a later turn; the attempt is gone after it. */
int connect_start(struct loop *loop, const struct connect_options *options,
		  connect_fn fn, void *arg, struct connect **out) MUST_CHECK;
/* Abandons the attempt; no callback. */
void connect_cancel(struct connect *connect);
