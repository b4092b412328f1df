/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* connect_start ──> resolve ──> try_next <── address failed or took too long
 *                      ^           │  ^
 *                      └ next host ┤  │
 *                                  v  │ watch
 *                                 poll ──> connect_end: socket or error
 *
 * libpq may close its descriptor inside PQconnectPoll() and open another one, often
 * with the same number.  So no watch lives across such a call: it is closed before, and
 * a new one is made after it. */

#include "upstream/connect.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/config_value.h"
#include "base/sqlstate.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "net/timer.h"
#include "net/watch.h"
#include "upstream/failure.h"

struct connect {
	struct loop *loop;
	connect_fn fn;
	void *arg;
	struct connect_options options; /* its strings are owned */
	size_t host_at;			/* the host under way, of the list */
	size_t n_left;			/* hosts after it that were not tried */
	char *host;			/* its name; owned */
	uint16_t port;			/* its port */
	struct resolve *resolve;	/* the look-up under way, or NULL */
	char *addresses;		/* comma-separated; owned */
	char *next;			/* the part not yet tried */
	PGconn *conn;			/* the attempt under way; owned */
	struct watch *watch;		/* owned */
	struct timer *timer;		/* of the address under way; owned */
	uint64_t deadline_ms;		/* clock_now_ms(); 0: none */
	struct failure failure;		/* of the last address tried */
};

/* Keywords and values for libpq, which skips NULL and empty values. */
struct connect_keywords {
	const char *names[32];
	const char *values[32];
	size_t n;
};

static void connect_on_watch(void *arg, int events, int err);

static void connect_add(struct connect_keywords *k, const char *name, const char *value)
{
	require(k->n < ARRAY_LEN(k->names) - 1);
	k->names[k->n] = name;
	k->values[k->n] = value;
	k->n++;
}

static void connect_free(struct connect *c)
{
	if (c->resolve != NULL) {
		resolve_cancel(steal(&c->resolve));
	}
	watch_close(steal(&c->watch));
	timer_close(steal(&c->timer));
	PQfinish(steal(&c->conn));
	connect_options_fini(&c->options);
	free(c->addresses);
	free(c->host);
	free(c);
}

static void connect_fail(struct connect *c)
{
	const struct connect_error error = { .reason = c->failure.reason,
					     .sqlstate = c->failure.sqlstate,
					     .message = c->failure.message };
	connect_fn fn = steal(&c->fn);
	fn(c->arg, NULL, &error);
	connect_free(c);
}

static void connect_succeed(struct connect *c)
{
	if (PQsslInUse(c->conn) && PQsslStruct(c->conn, "OpenSSL") == NULL) {
		failure_set(&c->failure, "tls", SQLSTATE_CONNECTION_FAILURE,
			    "libpq does not use OpenSSL for TLS");
		connect_fail(c);
		return;
	}
	struct server_socket *socket = server_socket_new(c->conn, c->host_at);
	if (socket == NULL || PQsetnonblocking(c->conn, 1) != 0) {
		free(socket);
		failure_set(&c->failure, "fatal", SQLSTATE_OUT_OF_MEMORY,
			    "out of memory");
		connect_fail(c);
		return;
	}
	c->conn = NULL;
	connect_fn fn = steal(&c->fn);
	void *arg = c->arg;
	connect_free(c);
	fn(arg, socket, NULL);
}

/* Time that the next of N addresses, or hosts, may take, so that one that swallows
 * packets leaves something to the others. */
static uint64_t connect_share_ms(const struct connect *c, size_t n)
{
	uint64_t now_ms = clock_now_ms();
	uint64_t left_ms = c->deadline_ms > now_ms ? c->deadline_ms - now_ms : 0;
	return left_ms / n;
}

static size_t connect_count(const char *addresses)
{
	size_t n = 1;
	for (const char *p = addresses; (p = strchr(p, ',')) != NULL; p++) {
		n++;
	}
	return n;
}

static void connect_on_notice(void *arg, const PGresult *result)
{
	/* libpq would print it on stderr */
}

/* Idle connections outlive firewalls and notice a server that has lost its power; a
 * cancel request inherits this and so cannot hang for ever. */
static void connect_add_keepalive(struct connect_keywords *k)
{
	connect_add(k, "keepalives", "1");
	connect_add(k, "keepalives_idle", "60");
	connect_add(k, "keepalives_interval", "15");
	connect_add(k, "keepalives_count", "4");
}

/* ADDRESS NULL: a Unix socket, or libpq's default. */
static PGconn *connect_begin(const struct connect *c, const char *address)
{
	const struct connect_options *o = &c->options;
	struct connect_keywords k = { .n = 0 };
	char port[sizeof("65535")] = "";
	if (c->port != 0) {
		(void)snprintf(port, sizeof(port), "%u", (unsigned)c->port);
	}
	connect_add(&k, "host", c->host);
	connect_add(&k, "hostaddr", address);
	connect_add(&k, "port", port);
	connect_add(&k, "dbname", o->dbname);
	connect_add(&k, "user", o->user);
	connect_add(&k, "password", o->password);
	connect_add(&k, "sslmode", o->sslmode);
	connect_add(&k, "sslrootcert", o->sslrootcert);
	connect_add(&k, "sslcert", o->sslcert);
	connect_add(&k, "sslkey", o->sslkey);
	connect_add(&k, "channel_binding", o->channel_binding);
	connect_add(&k, "ssl_min_protocol_version", o->ssl_oldest);
	connect_add(&k, "ssl_max_protocol_version", o->ssl_newest);
	connect_add(&k, "application_name", o->application_name);
	connect_add(&k, "options", o->options);
	connect_add(&k, "replication", o->replication);
	connect_add(&k, "gssencmode", "disable");
	connect_add_keepalive(&k);
	PGconn *conn = PQconnectStartParams(k.names, k.values, 0);
	if (conn != NULL) {
		(void)PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
		(void)PQsetNoticeReceiver(conn, connect_on_notice, NULL);
	}
	return conn;
}

/* Waits for EVENTS on the descriptor that libpq has now. */
static void connect_wait(struct connect *c, int events)
{
	require(c->watch == NULL);
	int err = watch_new(c->loop, PQsocket(c->conn), connect_on_watch, c, &c->watch);
	if (err < 0) {
		failure_set(&c->failure, "fatal", SQLSTATE_CONNECTION_FAILURE,
			    "cannot watch the socket: %s", strerror(-err));
		connect_fail(c);
		return;
	}
	watch_set(c->watch, events);
}

static void connect_next_host(struct connect *c);

/* Gives the address up when others are left and it is its own fault. */
static void connect_try_next(struct connect *c)
{
	watch_close(steal(&c->watch));
	PQfinish(steal(&c->conn));
	bool was_tried = c->failure.reason != NULL;
	if (was_tried && !failure_is_of_address(&c->failure)) {
		connect_fail(c);
		return;
	}
	if (c->next == NULL) {
		connect_next_host(c);
		return;
	}
	if (c->deadline_ms != 0) {
		size_t n = connect_count(c->next) + c->n_left;
		timer_start(c->timer, connect_share_ms(c, n), 0);
	}
	const char *address = strsep(&c->next, ",");
	bool is_path = address[0] == '/' || address[0] == '@';
	c->conn = connect_begin(c, is_path ? NULL : address);
	if (c->conn == NULL) {
		failure_set(&c->failure, "fatal", SQLSTATE_OUT_OF_MEMORY,
			    "out of memory");
		connect_fail(c);
	} else if (PQstatus(c->conn) == CONNECTION_BAD) {
		failure_read(&c->failure, PQerrorMessage(c->conn));
		connect_try_next(c);
	} else {
		connect_wait(c, WATCH_WRITE);
	}
}

static void connect_poll(struct connect *c)
{
	watch_close(steal(&c->watch));
	PostgresPollingStatusType status = PQconnectPoll(c->conn);
	switch (status) {
	case PGRES_POLLING_READING:
		connect_wait(c, WATCH_READ);
		return;
	case PGRES_POLLING_WRITING:
	case PGRES_POLLING_ACTIVE:
		connect_wait(c, WATCH_WRITE);
		return;
	case PGRES_POLLING_OK:
		connect_succeed(c);
		return;
	case PGRES_POLLING_FAILED:
		failure_read(&c->failure, PQerrorMessage(c->conn));
		connect_try_next(c);
		return;
	}
	require(false);
}

/* An error condition on the socket is read by libpq itself (SO_ERROR). */
static void connect_on_watch(void *arg, int events, int err)
{
	connect_poll(arg);
}

static void connect_on_timer(void *arg)
{
	struct connect *c = arg;
	const char *doing =
	    c->resolve != NULL ? "looking up the name of" : "connecting to";
	if (c->resolve != NULL) {
		resolve_cancel(steal(&c->resolve));
	}
	failure_set(&c->failure, "timeout", SQLSTATE_CANNOT_CONNECT,
		    "timeout expired while %s the server", doing);
	connect_try_next(c);
}

static void connect_on_resolved(void *arg, const char *addresses, const char *error)
{
	struct connect *c = arg;
	c->resolve = NULL;
	if (addresses == NULL) {
		failure_set(&c->failure, "dns", SQLSTATE_CANNOT_CONNECT,
			    "cannot look up the server's name \"%s\": %s", c->host,
			    error);
		connect_next_host(c);
		return;
	}
	free(c->addresses);
	c->addresses = strdup(addresses);
	if (c->addresses == NULL) {
		failure_set(&c->failure, "fatal", SQLSTATE_OUT_OF_MEMORY,
			    "out of memory");
		connect_fail(c);
		return;
	}
	c->next = c->addresses;
	connect_try_next(c);
}

/* The port of host I. */
static uint16_t connect_port(const struct connect_options *o, size_t i)
{
	uint64_t port = o->port;
	if (o->ports != NULL) {
		/* it has been read before: base/config_servers.c */
		require(config_parse_uint(config_list_item(o->ports, i), &port));
		require(port <= UINT16_MAX);
	}
	return (uint16_t)port;
}

/* Looks up host AT of the list.  0 or -errno. */
static int connect_begin_host(struct connect *c, size_t at)
{
	const struct connect_options *o = &c->options;
	c->host_at = at;
	c->port = connect_port(o, at);
	free(steal(&c->host));
	if (o->host != NULL) {
		struct span host = config_list_item(o->host, at);
		c->host = strndup((const char *)host.p, host.n);
		if (c->host == NULL) {
			return -ENOMEM;
		}
	}
	if (c->deadline_ms != 0) {
		timer_start(c->timer, connect_share_ms(c, 1 + c->n_left), 0);
	}
	/* Without a host libpq uses its default, a Unix socket: a path needs no
	 * look-up. */
	return resolve_start(c->loop, c->host != NULL ? c->host : "/",
			     connect_on_resolved, c, &c->resolve);
}

/* The one under way has failed. */
static void connect_next_host(struct connect *c)
{
	if (c->n_left == 0) {
		connect_fail(c);
		return;
	}
	c->n_left--;
	size_t n = config_list_count(c->options.host);
	int err = connect_begin_host(c, (c->host_at + 1) % n);
	if (err < 0) {
		failure_set(&c->failure, "fatal", SQLSTATE_OUT_OF_MEMORY, "%s",
			    strerror(-err));
		connect_fail(c);
		return;
	}
	c->failure.reason = NULL; /* nothing is known of this one */
}

static int connect_arm(struct connect *c)
{
	int err = timer_new(c->loop, connect_on_timer, c, &c->timer);
	if (err < 0) {
		return err;
	}
	if (c->options.timeout_ms != 0) {
		c->deadline_ms = clock_now_ms() + c->options.timeout_ms;
	}
	size_t n = c->options.host != NULL ? config_list_count(c->options.host) : 1;
	c->n_left = n > 0 ? n - 1 : 0;
	return connect_begin_host(c, n > 0 ? c->options.first % n : 0);
}

int connect_start(struct loop *loop, const struct connect_options *options,
		  connect_fn fn, void *arg, struct connect **out)
{
	require(loop != NULL && options != NULL && fn != NULL && out != NULL);
	struct connect *c = calloc(1, sizeof(*c));
	if (c == NULL) {
		return -ENOMEM;
	}
	c->loop = loop;
	c->fn = fn;
	c->arg = arg;
	int err = connect_options_copy(&c->options, options);
	err = err < 0 ? err : connect_arm(c);
	if (err < 0) {
		connect_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void connect_cancel(struct connect *connect)
{
	if (connect == NULL) {
		return;
	}
	require(connect->fn != NULL);
	connect_free(connect);
}
