/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/server_socket.h"

#include <libpq-fe.h>
#include <stdlib.h>

#include "net/stream.h"

struct server_socket {
	PGconn *conn; /* owned */
	size_t host;  /* which one of the list */
};

/* GUC_REPORT of PostgreSQL up to 18; an older server leaves some out. */
static const char *const server_socket_reported[] = {
	"application_name",
	"client_encoding",
	"DateStyle",
	"default_transaction_read_only",
	"in_hot_standby",
	"integer_datetimes",
	"IntervalStyle",
	"is_superuser",
	"scram_iterations",
	"search_path",
	"server_encoding",
	"server_version",
	"session_authorization",
	"standard_conforming_strings",
	"TimeZone",
	NULL,
};

struct server_socket *server_socket_new(struct pg_conn *conn, size_t host)
{
	require(conn != NULL && PQstatus(conn) == CONNECTION_OK);
	struct server_socket *socket = calloc(1, sizeof(*socket));
	if (socket != NULL) {
		socket->conn = conn;
		socket->host = host;
	}
	return socket;
}

size_t server_socket_host(const struct server_socket *socket)
{
	return socket->host;
}

int server_socket_fd(const struct server_socket *socket)
{
	return PQsocket(socket->conn);
}

void *server_socket_ssl(const struct server_socket *socket)
{
	return PQsslInUse(socket->conn) ? PQsslStruct(socket->conn, "OpenSSL") : NULL;
}

int server_socket_open(const struct server_socket *socket, struct stream *stream,
		       struct stream_group *group, const struct stream_events *events)
{
	void *ssl = server_socket_ssl(socket);
	int r = stream_open(stream, group, server_socket_fd(socket), events);
	if (r < 0 || ssl == NULL) {
		return r;
	}
	r = stream_borrow_tls(stream, ssl);
	if (r < 0) {
		(void)stream_detach(stream);
	}
	return r;
}

uint32_t server_socket_pid(const struct server_socket *socket)
{
	return (uint32_t)PQbackendPID(socket->conn);
}

const char *server_socket_parameter(const struct server_socket *socket,
				    const char *name)
{
	return PQparameterStatus(socket->conn, name);
}

const char *const *server_socket_parameter_names(void)
{
	return server_socket_reported;
}

struct pg_conn *server_socket_libpq(const struct server_socket *socket)
{
	return socket->conn;
}

/* The connection is in libpq's non-blocking mode, so a full socket buffer only costs
 * the Terminate message. */
void server_socket_close(struct server_socket *socket)
{
	if (socket == NULL) {
		return;
	}
	PQfinish(socket->conn);
	free(socket);
}
