#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A server connection that libpq has opened and logged in: it keeps the descriptor,
 * what the server reported at login, and closes it.  Whoever reads and writes the
 * descriptor himself must not use libpq on it, and the other way round. */

#include <stdint.h>

#include "base/check.h"

struct pg_conn; /* libpq's PGconn */
struct server_socket;
struct stream;
struct stream_events;
struct stream_group;

/* Takes CONN, which is connected, to host number HOST of the list.  NULL without
 * memory: CONN stays the caller's. */
struct server_socket *server_socket_new(struct pg_conn *conn, size_t host);
/* That number; 0 when there is one host. */
size_t server_socket_host(const struct server_socket *socket);
int server_socket_fd(const struct server_socket *socket);
/* OpenSSL's SSL, which stays the socket's; NULL: not encrypted. */
void *server_socket_ssl(const struct server_socket *socket);
/* Opens STREAM on the descriptor, encrypted when the connection is; both stay libpq's:
 * stream_detach() ends it. */
int server_socket_open(const struct server_socket *socket, struct stream *stream,
		       struct stream_group *group,
		       const struct stream_events *events) MUST_CHECK;
/* Process id of the backend; 0 when the server sent no BackendKeyData. */
uint32_t server_socket_pid(const struct server_socket *socket);
/* Value of a reported parameter at login (server_version, TimeZone ...), or NULL. */
const char *server_socket_parameter(const struct server_socket *socket,
				    const char *name);
/* The parameters the login reports, in a fixed order; NULL-terminated. */
const char *const *server_socket_parameter_names(void);
/* libpq's part; stays the socket's. */
struct pg_conn *server_socket_libpq(const struct server_socket *socket);
/* Sends Terminate if it can without waiting, closes the descriptor, frees.  NULL is
 * fine. */
void server_socket_close(struct server_socket *socket);
