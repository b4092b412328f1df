#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A listening TCP or Unix socket.  TCP sockets use SO_REUSEPORT, so every worker opens
 * its own on the same address and the kernel spreads the clients. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/check.h"

struct listener;
struct loop;

struct listener_options {
	/* Numeric address, a name (looked up at once, blocking; up to eight addresses),
	 * "*" or NULL for all, or the path of a Unix socket's file, which begins with
	 * "/", or its name in the abstract namespace, with "@" in front. */
	const char *host;
	uint16_t port;
	int backlog;
	int inherited_fd; /* from systemd or listener_fd(), or -1; the listener dup()s
			     it */
	int unix_mode;	  /* file mode of a Unix socket; an abstract one has none */
	bool has_unix_group; /* its file gets this group */
	unsigned unix_group;
	int accepts_per_turn; /* at most this many accept()s before other work */
	bool reuseport;
};

/* FD is non-blocking, close-on-exec, TCP_NODELAY set; the callee owns it. */
typedef void (*listener_fn)(void *arg, int fd, const struct sockaddr *peer,
			    socklen_t peer_len);

/* 0, or -errno (-EADDRINUSE ...; a Unix socket's file that nobody listens on any more
 * is replaced).  Out of descriptors (EMFILE, ENFILE), it pauses 100 ms and goes on,
 * without spinning. */
int listener_open(struct loop *loop, const struct listener_options *options,
		  listener_fn fn, void *arg, struct listener **out) MUST_CHECK;
/* The bound port (for port 0). */
uint16_t listener_port(const struct listener *listener);
/* The (first) listening descriptor, for the other workers of a Unix socket, which know
 * no SO_REUSEPORT; stays the listener's. */
int listener_fd(const struct listener *listener);
/* Times accept() failed for lack of descriptors. */
uint64_t listener_exhausted(const struct listener *listener);
/* Stops accepting at once, also inside its callback; removes the Unix socket's file if
 * it made it.  Frees itself later.  NULL is fine. */
void listener_close(struct listener *listener);
