/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* SHOW CLIENTS, SERVERS, SOCKETS, ACTIVE_SOCKETS and FDS: a row for each connection. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "console_priv.h"
#include "net/stream.h"
#include "net/tls.h"
#include "proxy/client.h"
#include "proxy/relay.h"
#include "proxy/worker.h"
#include "upstream/context.h"
#include "upstream/pool.h"
#include "upstream/server.h"

struct console_address {
	char host[INET6_ADDRSTRLEN + 8];
	unsigned port;
};

static void console_address(const struct sockaddr_storage *from,
			    struct console_address *out)
{
	const void *address = from;
	snprintf(out->host, sizeof(out->host), "unix");
	out->port = 0;
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in = address;
		inet_ntop(AF_INET, &in->sin_addr, out->host, sizeof(out->host));
		out->port = ntohs(in->sin_port);
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = address;
		inet_ntop(AF_INET6, &in->sin6_addr, out->host, sizeof(out->host));
		out->port = ntohs(in->sin6_port);
	}
}

static void console_ends_of(int fd, struct console_address *peer,
			    struct console_address *own)
{
	struct sockaddr_storage at = { 0 };
	socklen_t len = sizeof(at);
	*peer = *own = (struct console_address){ .host = "unknown" };
	if (getpeername(fd, (struct sockaddr *)&at, &len) == 0) {
		console_address(&at, peer);
	}
	len = sizeof(at);
	if (getsockname(fd, (struct sockaddr *)&at, &len) == 0) {
		console_address(&at, own);
	}
}

/* As PgBouncer writes times: local, with the zone. */
static void console_time(struct console_rows *rows, uint64_t us)
{
	char text[64];
	struct tm tm;
	time_t seconds = (time_t)(us / 1000000);
	localtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %Z", &tm);
	console_text(rows, text);
}

/* A moment of the monotonic clock as one of the calendar, microseconds. */
static uint64_t console_when(uint64_t ns)
{
	uint64_t now = clock_now_ns();
	uint64_t age_us = now > ns ? (now - ns) / 1000 : 0;
	uint64_t wall = clock_wall_us();
	return wall > age_us ? wall - age_us : 0;
}

static void console_pointer(struct console_rows *rows, const void *p)
{
	char text[32] = "";
	if (p != NULL) {
		snprintf(text, sizeof(text), "%p", p);
	}
	console_text(rows, text);
}

struct console_socket {
	const char *type;
	const char *user;
	const char *database;
	const char *replication; /* NULL: none */
	const char *state;
	const struct stream *stream;
	const void *self;
	const void *link;
	const char *application_name;
	uint64_t connected_us;
	uint64_t request_us;
	uint64_t wait_us;
	unsigned close_needed;
	uint32_t remote_pid;
	uint64_t n_prepared;
	uint64_t id;
};

/* `TLSv1.3/TLS_AES_256_GCM_SHA384`, as PgBouncer begins it. */
static void console_tls(struct console_rows *rows, const struct stream *stream)
{
	char text[128] = "";
	if (stream_is_tls(stream)) {
		(void)snprintf(text, sizeof(text), "%s/%s", stream_tls_version(stream),
			       stream_tls_cipher(stream));
	}
	console_text(rows, text);
}

static void console_socket_row(struct console_job *job, const struct console_socket *s)
{
	struct console_rows *rows = &job->rows;
	struct console_address peer;
	struct console_address own;
	console_ends_of(s->stream->fd, &peer, &own);
	console_row(rows);
	console_text(rows, s->type);
	console_text(rows, s->user);
	console_text(rows, s->database);
	console_text(rows, s->replication ? s->replication : "none");
	console_text(rows, s->state);
	console_text(rows, peer.host);
	console_number(rows, peer.port);
	console_text(rows, own.host);
	console_number(rows, own.port);
	console_time(rows, s->connected_us);
	console_time(rows, s->request_us);
	console_number(rows, s->wait_us / 1000000);
	console_number(rows, s->wait_us % 1000000);
	console_number(rows, s->close_needed);
	console_pointer(rows, s->self);
	console_pointer(rows, s->link);
	console_number(rows, s->remote_pid);
	console_tls(rows, s->stream);
	console_text(rows, s->application_name ? s->application_name : "");
	console_number(rows, s->n_prepared);
	console_number(rows, s->id);
	if (rows->column < rows->n_columns) { /* SHOW SOCKETS */
		console_number(rows, 0);
		console_number(rows, 0);
		console_number(rows, s->stream->in.len);
		console_number(rows, s->stream->out_sent);
		console_number(rows, stream_queued(s->stream));
		console_number(rows, s->stream->in.len);
		console_number(rows, stream_queued(s->stream));
	}
	console_row_end(rows);
}

static const char *console_client_state(const struct client *client)
{
	switch (client->state) {
	case CLIENT_STARTUP:
	case CLIENT_AUTH:
	case CLIENT_WELCOME:
		return "login";
	case CLIENT_WAIT:
		return "waiting";
	case CLIENT_LOOKUP:
	case CLIENT_BOUND:
	case CLIENT_CONSOLE:
	case CLIENT_RELAY:
		return "active";
	case CLIENT_IDLE:
		return "idle";
	case CLIENT_CLOSING:
	case CLIENT_N_STATES:
		break;
	}
	return "closing";
}

static void console_client(struct console_job *job, const struct client *client)
{
	const struct pool_shared *pool = client->pool ? client->pool->shared : NULL;
	bool waits = client->state == CLIENT_WAIT || client->login_waits;
	uint64_t now = clock_now_ns();
	struct console_socket row = {
		.type = "C",
		.user = pool ? pool->user : "",
		.database = pool	      ? pool->database
			    : client->console ? "pgrecall"
					      : "",
		.state = console_client_state(client),
		.stream = &client->stream,
		.self = client,
		.link = client->server,
		.connected_us = client->accepted_us,
		.request_us = console_when(client->since_ns),
		.wait_us = waits && now > client->since_ns
			       ? (now - client->since_ns) / 1000
			       : 0,
		.remote_pid = client->server != NULL ? client->server->pid : 0,
		.id = client->id,
	};
	if (client->relay != NULL) {
		row.user = relay_user(client->relay);
		row.database = relay_database(client->relay);
		row.replication = relay_kind(client->relay);
		row.remote_pid = relay_pid(client->relay);
		row.link = client->relay;
	}
	if (pool != NULL && client->session.context != NULL) {
		row.application_name =
		    context_get(client->session.context, "application_name");
		row.n_prepared = client->session.names.map.n;
	}
	console_socket_row(job, &row);
}

static const char *console_server_state(const struct server *server)
{
	switch (server->state) {
	case SERVER_IDLE:
		return "idle";
	case SERVER_BUSY:
		return server->client != NULL ? "active" : "tested";
	case SERVER_RESET:
		return "tested";
	case SERVER_CLOSING:
	case SERVER_N_STATES:
		break;
	}
	return "closing";
}

static void console_server(struct console_job *job, const struct server *server)
{
	const struct pool *pool = server->pool;
	struct console_socket row = {
		.type = "S",
		.user = pool->shared->user,
		.database = pool->shared->database,
		.state = console_server_state(server),
		.stream = &server->stream,
		.self = server,
		.link = server->client,
		.connected_us = server->opened_us,
		.request_us =
		    console_when(server->query_sent_ns ? server->query_sent_ns
						       : server->idle_since_ns),
		.close_needed = server->target != pool->target,
		.remote_pid = server->pid,
		.n_prepared = server->prepared.n,
		.id = server->pid,
	};
	if (server->context != NULL) {
		row.application_name = context_get(server->context, "application_name");
	}
	console_socket_row(job, &row);
}

/* The server connection of a replication client. */
static void console_relay(struct console_job *job, const struct client *client)
{
	const struct relay *relay = client->relay;
	const struct stream *stream = relay_stream(relay);
	if (stream == NULL || !stream_is_open(stream)) {
		return;
	}
	struct console_socket row = {
		.type = "S",
		.user = relay_user(relay),
		.database = relay_database(relay),
		.replication = relay_kind(relay),
		.state = client->state == CLIENT_RELAY ? "active" : "login",
		.stream = stream,
		.self = relay,
		.link = client,
		.connected_us = relay_opened_us(relay),
		.request_us = console_when(client->since_ns),
		.remote_pid = relay_pid(relay),
		.id = relay_pid(relay),
	};
	console_socket_row(job, &row);
}

static void console_clients_of(struct console_job *job, struct worker *worker,
			       bool active_only)
{
	dlist_each (l, tmp, &worker->clients) {
		const struct client *client = container_of(l, struct client, link);
		bool is_active =
		    client->state == CLIENT_BOUND || client->state == CLIENT_LOOKUP ||
		    client->state == CLIENT_RELAY || client->state == CLIENT_WAIT;
		if (client_is_open(client) && (is_active || !active_only)) {
			console_client(job, client);
		}
	}
}

static void console_servers_of(struct console_job *job, struct worker *worker,
			       bool active_only)
{
	dlist_each (c, tmp4, &worker->clients) {
		const struct client *client = container_of(c, struct client, link);
		if (client->relay != NULL) {
			console_relay(job, client);
		}
	}
	dlist_each (l, tmp, &worker->upstream.all) {
		const struct pool *pool = container_of(l, struct pool, link);
		dlist_each (b, tmp2, &pool->busy) {
			console_server(job, container_of(b, struct server, link));
		}
		if (active_only) {
			continue;
		}
		dlist_each (i, tmp3, &pool->idle) {
			console_server(job, container_of(i, struct server, link));
		}
	}
}

static void console_visit_clients(struct console_job *job, struct worker *worker)
{
	console_clients_of(job, worker, false);
}

static void console_visit_servers(struct console_job *job, struct worker *worker)
{
	console_servers_of(job, worker, false);
}

static void console_visit_sockets(struct console_job *job, struct worker *worker)
{
	console_clients_of(job, worker, false);
	console_servers_of(job, worker, false);
}

static void console_visit_active(struct console_job *job, struct worker *worker)
{
	console_clients_of(job, worker, true);
	console_servers_of(job, worker, true);
}

/* Descriptors */

/* Whose a descriptor is. */
struct console_owner {
	const char *user;
	const char *database;
};

static struct console_owner console_owner_of(const struct pool *pool,
					     const struct relay *relay)
{
	struct console_owner owner = { NULL, NULL };
	if (pool != NULL) {
		owner = (struct console_owner){ pool->shared->user,
						pool->shared->database };
	} else if (relay != NULL) {
		owner =
		    (struct console_owner){ relay_user(relay), relay_database(relay) };
	}
	return owner;
}

static void console_fd_row(struct console_rows *rows, const char *task, int fd,
			   struct console_owner owner, int link)
{
	struct console_address peer;
	struct console_address own;
	console_ends_of(fd, &peer, &own);
	console_row(rows);
	console_number(rows, (uint64_t)fd);
	console_text(rows, task);
	console_text(rows, owner.user);
	console_text(rows, owner.database);
	console_text(rows, peer.host);
	console_number(rows, peer.port);
	console_number(rows, 0); /* keys stay secret */
	console_number(rows, link >= 0 ? (uint64_t)link : 0);
	console_row_end(rows);
}

static void console_client_fds(struct console_job *job, const struct client *client)
{
	const struct relay *relay = client->relay;
	const struct stream *far = client->server != NULL ? &client->server->stream
				   : relay != NULL	  ? relay_stream(relay)
							  : NULL;
	struct console_owner owner = console_owner_of(client->pool, relay);
	console_fd_row(&job->rows, "client", client->stream.fd, owner,
		       far != NULL ? far->fd : -1);
	if (relay != NULL && far != NULL && stream_is_open(far)) {
		console_fd_row(&job->rows, "server", far->fd, owner, client->stream.fd);
	}
}

static void console_visit_fds(struct console_job *job, struct worker *worker)
{
	dlist_each (l, tmp, &worker->clients) {
		const struct client *client = container_of(l, struct client, link);
		if (client_is_open(client)) {
			console_client_fds(job, client);
		}
	}
	dlist_each (p, tmp2, &worker->upstream.all) {
		const struct pool *pool = container_of(p, struct pool, link);
		struct console_owner owner = console_owner_of(pool, NULL);
		dlist_each (b, tmp3, &pool->busy) {
			const struct server *s = container_of(b, struct server, link);
			console_fd_row(&job->rows, "server", s->stream.fd, owner,
				       s->client ? s->client->stream.fd : -1);
		}
		dlist_each (i, tmp4, &pool->idle) {
			const struct server *s = container_of(i, struct server, link);
			console_fd_row(&job->rows, "server", s->stream.fd, owner, -1);
		}
	}
}

const struct console_command console_show_clients = {
	.table = CONSOLE_TABLE_CLIENTS,
	.tag = "SHOW",
	.visit = console_visit_clients,
};
const struct console_command console_show_servers = {
	.table = CONSOLE_TABLE_CLIENTS,
	.tag = "SHOW",
	.visit = console_visit_servers,
};
const struct console_command console_show_sockets = {
	.table = CONSOLE_TABLE_SOCKETS,
	.tag = "SHOW",
	.visit = console_visit_sockets,
};
const struct console_command console_show_active_sockets = {
	.table = CONSOLE_TABLE_SOCKETS,
	.tag = "SHOW",
	.visit = console_visit_active,
};
const struct console_command console_show_fds = {
	.table = CONSOLE_TABLE_FDS,
	.tag = "SHOW",
	.visit = console_visit_fds,
};
