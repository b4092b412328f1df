/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The listeners of a worker: what the configuration names, or systemd has opened. */

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/config.h"
#include "base/config_value.h"
#include "net/listener.h"
#include "proxy/client.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

#define WORKER_ACCEPTS 64 /* of one listener in one turn */

static void worker_peer_name(const struct sockaddr *peer, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "";
	if (peer->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)peer;
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(in->sin_port));
	} else if (peer->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const void *)peer;
		inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(in->sin6_port));
	} else {
		snprintf(out, size, "unix");
	}
}

static void worker_on_accept(void *arg, int fd, const struct sockaddr *peer,
			     socklen_t peer_len)
{
	struct worker *worker = arg;
	char name[64];
	worker_peer_name(peer, name, sizeof(name));
	client_accept(worker, fd, name);
}

static int worker_listen_on(struct worker *worker,
			    const struct listener_options *options, char *error,
			    size_t error_size)
{
	if (worker->n_listeners == WORKER_MAX_LISTENERS) {
		snprintf(error, error_size, "more than %d addresses to listen on",
			 WORKER_MAX_LISTENERS);
		return -ENOBUFS;
	}
	int r = listener_open(worker->loop, options, worker_on_accept, worker,
			      &worker->listeners[worker->n_listeners]);
	if (r < 0) {
		snprintf(error, error_size, "cannot listen on %s port %u: %s",
			 options->host, options->port, strerror(-r));
		return r;
	}
	worker->n_listeners++;
	return 0;
}

/* unix_socket_group by its name or number; false: there is no such group. */
static bool worker_find_group(const char *name, unsigned *out)
{
	char room[16384];
	struct group entry;
	struct group *found = NULL;
	uint64_t number;
	if (config_parse_uint(span_str(name), &number) && number < UINT_MAX) {
		*out = (unsigned)number;
		return true;
	}
	(void)getgrnam_r(name, &entry, room, sizeof(room), &found);
	if (found != NULL) {
		*out = found->gr_gid;
	}
	return found != NULL;
}

static int worker_listen_unix(struct worker *worker, struct listener_options *options,
			      char *error, size_t error_size)
{
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const struct config *config = worker->config;
	snprintf(path, sizeof(path), "%s/.s.PGSQL.%u", config->unix_socket_dir,
		 config->listen_port);
	options->host = path;
	options->unix_mode = (int)config->unix_socket_mode;
	options->has_unix_group = config->unix_socket_group[0] != 0;
	if (options->has_unix_group &&
	    !worker_find_group(config->unix_socket_group, &options->unix_group)) {
		snprintf(error, error_size, "unix_socket_group: no group \"%s\"",
			 config->unix_socket_group);
		return -EINVAL;
	}
	/* a Unix socket cannot be bound twice: the others share the first worker's */
	if (worker->index > 0) {
		struct worker *first = worker->proxy->workers[0];
		options->inherited_fd =
		    listener_fd(first->listeners[first->n_listeners - 1]);
	}
	return worker_listen_on(worker, options, error, error_size);
}

int worker_listen(struct worker *worker, const int *inherited, unsigned n_inherited,
		  char *error, size_t error_size)
{
	const struct config *config = worker->config;
	struct listener_options options = {
		.port = (uint16_t)config->listen_port,
		.backlog = (int)config->listen_backlog,
		.accepts_per_turn = WORKER_ACCEPTS,
		.reuseport = true,
		.inherited_fd = -1,
	};
	for (unsigned i = 0; i < n_inherited; i++) {
		options.inherited_fd = inherited[i];
		options.host = "socket from systemd";
		int r = worker_listen_on(worker, &options, error, error_size);
		if (r < 0) {
			return r;
		}
	}
	if (n_inherited > 0) {
		return 0;
	}
	const char *at = config->listen_addr;
	struct span item;
	while (config_next_item(&at, &item)) {
		char host[256];
		snprintf(host, sizeof(host), "%.*s", (int)item.n, (const char *)item.p);
		options.host = host;
		int r = worker_listen_on(worker, &options, error, error_size);
		if (r < 0) {
			return r;
		}
	}
	if (config->unix_socket_dir[0] != 0) {
		return worker_listen_unix(worker, &options, error, error_size);
	}
	return 0;
}
