/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A name (or "*") may mean several addresses, so a listener has up to eight sockets,
 * all on the same port.
 *
 * Out of descriptors, accept() fails while the socket stays readable, and the loop
 * would spin.  So all sockets of the listener rest for a moment; the kernel keeps the
 * clients in its backlog, and those who are connected go on being served. */

#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "net/loop.h"
#include "net/timer.h"
#include "net/watch.h"

#define LISTENER_SOCKETS_MAX 8
#define LISTENER_PAUSE_MS    100
#define LISTENER_PORT_TRIES  8 /* for port 0 on several addresses */

struct listener_socket {
	struct listener *listener;
	struct watch *watch; /* owned */
	int fd;		     /* owned */
};

struct listener {
	struct loop *loop;
	listener_fn fn;
	void *arg;
	struct timer *pause; /* owned */
	struct listener_socket sockets[LISTENER_SOCKETS_MAX];
	size_t n_sockets;
	int accepts_per_turn;
	uint16_t port;
	uint64_t n_exhausted;
	bool is_accepting; /* inside the accept loop: it frees */
	bool is_closed;
	/* The Unix socket file we made, to be removed at the end; path NULL: none. */
	char *path; /* owned */
	dev_t path_dev;
	ino_t path_ino;
};

/* Errors of one connection, or of the network: the next accept() may well succeed. */
static bool listener_is_passing(int err)
{
	switch (err) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case EOPNOTSUPP:
	case EPERM:
		return true;
	default:
		return false;
	}
}

static void listener_rest(struct listener *listener)
{
	for (size_t i = 0; i < listener->n_sockets; i++) {
		watch_set(listener->sockets[i].watch, 0);
	}
	timer_start(listener->pause, LISTENER_PAUSE_MS, 0);
}

static void listener_wake(void *arg)
{
	struct listener *listener = arg;
	for (size_t i = 0; i < listener->n_sockets; i++) {
		watch_set(listener->sockets[i].watch, WATCH_READ);
	}
}

/* Returns false when there is nothing more to accept now. */
static bool listener_accept(struct listener *listener, int listen_fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	memset(&peer, 0, sizeof(peer));
	int fd = accept4(listen_fd, (struct sockaddr *)&peer, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		len = len < sizeof(peer) ? len : (socklen_t)sizeof(peer);
		listener->fn(listener->arg, fd, (const struct sockaddr *)&peer, len);
		return true;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK) {
		return false;
	}
	if (listener_is_passing(errno)) {
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		listener->n_exhausted++;
	}
	listener_rest(listener);
	return false;
}

static void listener_free(struct listener *listener)
{
	free(listener->path);
	free(listener);
}

static void listener_on_watch(void *arg, int events, int err)
{
	const struct listener_socket *sock = arg;
	struct listener *listener = sock->listener;
	if (err < 0) {
		listener_rest(listener);
		return;
	}
	listener->is_accepting = true;
	for (int i = 0; i < listener->accepts_per_turn; i++) {
		if (!listener_accept(listener, sock->fd) || listener->is_closed) {
			break;
		}
	}
	listener->is_accepting = false;
	if (listener->is_closed) {
		listener_free(listener);
	}
}

/* Takes FD, which stays the caller's on error. */
static int listener_add(struct listener *listener, int fd)
{
	require(listener->n_sockets < LISTENER_SOCKETS_MAX);
	struct listener_socket *sock = &listener->sockets[listener->n_sockets];
	sock->listener = listener;
	sock->fd = fd;
	int err = watch_new(listener->loop, fd, listener_on_watch, sock, &sock->watch);
	if (err < 0) {
		return err;
	}
	watch_set(sock->watch, WATCH_READ);
	listener->n_sockets++;
	return 0;
}

static int listener_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Sockets inherit TCP_NODELAY and keepalive from the one that accepts them on Linux,
 * which saves two system calls per client. */
static int listener_set_tcp(int fd)
{
	int err = listener_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	return err < 0 ? err : listener_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

static int listener_bind_tcp(int fd, const struct addrinfo *ai,
			     const struct listener_options *options)
{
	int err = listener_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (err == 0 && options->reuseport) {
		err = listener_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	}
	if (err == 0 && ai->ai_family == AF_INET6) {
		err = listener_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	}
	if (err == 0) {
		err = listener_set_tcp(fd);
	}
	if (err == 0 && bind(fd, ai->ai_addr, ai->ai_addrlen) < 0) {
		err = -errno;
	}
	if (err == 0 && listen(fd, options->backlog) < 0) {
		err = -errno;
	}
	return err;
}

static uint16_t listener_port_of(int fd)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);
	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
		return 0;
	}
	if (addr.ss_family == AF_INET) {
		return ntohs(((struct sockaddr_in *)&addr)->sin_port);
	}
	if (addr.ss_family == AF_INET6) {
		return ntohs(((struct sockaddr_in6 *)&addr)->sin6_port);
	}
	return 0;
}

static void listener_set_port(struct sockaddr *addr, uint16_t port)
{
	if (addr->sa_family == AF_INET) {
		((struct sockaddr_in *)(void *)addr)->sin_port = htons(port);
	} else if (addr->sa_family == AF_INET6) {
		((struct sockaddr_in6 *)(void *)addr)->sin6_port = htons(port);
	}
}

static int listener_open_address(struct listener *listener, const struct addrinfo *ai,
				 const struct listener_options *options)
{
	if (listener->port != 0) {
		listener_set_port(ai->ai_addr, listener->port);
	}
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -errno;
	}
	int err = listener_bind_tcp(fd, ai, options);
	if (err == 0) {
		err = listener_add(listener, fd);
	}
	if (err < 0) {
		close(fd);
		return err;
	}
	listener->port = listener_port_of(fd);
	return 0;
}

/* Stops and closes the sockets; the path stays. */
static void listener_drop_sockets(struct listener *listener)
{
	for (size_t i = 0; i < listener->n_sockets; i++) {
		watch_close(listener->sockets[i].watch);
		close(listener->sockets[i].fd);
	}
	listener->n_sockets = 0;
}

/* An address family that this machine lacks does not count when another one works. */
static int listener_open_list(struct listener *listener, const struct addrinfo *list,
			      const struct listener_options *options)
{
	int lacking = -EADDRNOTAVAIL;
	for (const struct addrinfo *ai = list;
	     ai != NULL && listener->n_sockets < LISTENER_SOCKETS_MAX;
	     ai = ai->ai_next) {
		int err = listener_open_address(listener, ai, options);
		if (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL) {
			lacking = err;
		} else if (err < 0) {
			return err;
		}
	}
	return listener->n_sockets > 0 ? 0 : lacking;
}

static int listener_lookup_error(int gai)
{
	switch (gai) {
	case EAI_SYSTEM:
		return -errno;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_AGAIN:
		return -EAGAIN;
	default:
		return -EADDRNOTAVAIL;
	}
}

static int listener_open_tcp(struct listener *listener,
			     const struct listener_options *options)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
					.ai_socktype = SOCK_STREAM,
					.ai_flags = AI_PASSIVE | AI_NUMERICSERV };
	const char *host = options->host;
	if (host == NULL || host[0] == '\0' || (host[0] == '*' && host[1] == '\0')) {
		host = NULL;
	}
	char service[sizeof("65535")];
	(void)snprintf(service, sizeof(service), "%u", (unsigned)options->port);
	int err = 0;
	for (int i = 0; i < LISTENER_PORT_TRIES; i++) {
		struct addrinfo *list = NULL;
		int gai = getaddrinfo(host, service, &hints, &list);
		if (gai != 0) {
			return listener_lookup_error(gai);
		}
		listener->port = options->port;
		err = listener_open_list(listener, list, options);
		freeaddrinfo(list);
		/* The port that the kernel chose for one address may be taken on
		 * another. */
		if (err != -EADDRINUSE || options->port != 0) {
			break;
		}
		listener_drop_sockets(listener);
	}
	return err;
}

/* True when the file is a socket that nobody listens on: what a killed process leaves.
 */
static bool listener_is_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		return false;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return false;
	}
	bool refused = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 &&
		       errno == ECONNREFUSED;
	close(fd);
	return refused;
}

#define LISTENER_LOCK_TRIES 100
#define LISTENER_LOCK_MS    10

/* Two processes that start at once both see what a killed one has left: the second
 * would take away the socket that the first has just made, or take it for stale before
 * it listens.  So one of them at a time looks, binds and listens, under a lock of the
 * directory, which leaves no file behind.  Anybody who can read the directory can hold
 * that lock: after a second it goes without.  -1: not locked. */
static int listener_lock(const char *path)
{
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *slash = strrchr(path, '/');
	require(slash != NULL && strlen(path) < sizeof(directory));
	size_t n = slash == path ? 1 : (size_t)(slash - path);
	memcpy(directory, path, n);
	directory[n] = '\0';
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		return -1;
	}
	const struct timespec pause = { .tv_nsec = LISTENER_LOCK_MS * 1000000L };
	for (int i = 0; i < LISTENER_LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			return fd;
		}
		if (errno != EWOULDBLOCK && errno != EINTR) {
			break;
		}
		(void)nanosleep(&pause, NULL);
	}
	close(fd);
	return -1;
}

/* The caller has the lock. */
static int listener_bind_unix(int fd, const struct sockaddr_un *addr)
{
	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0) {
		return 0;
	}
	if (errno != EADDRINUSE) {
		return -errno;
	}
	if (!listener_is_stale(addr)) {
		return -EADDRINUSE;
	}
	if (unlink(addr->sun_path) < 0 && errno != ENOENT) {
		return -errno;
	}
	return bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
}

/* The mode is set before listen(): until then nobody can connect. */
static int listener_publish(struct listener *listener, int fd,
			    const struct listener_options *options)
{
	struct stat st;
	if (lstat(options->host, &st) < 0) {
		return -errno;
	}
	listener->path_dev = st.st_dev;
	listener->path_ino = st.st_ino;
	listener->path = strdup(options->host);
	if (listener->path == NULL) {
		(void)unlink(options->host);
		return -ENOMEM;
	}
	if (options->has_unix_group &&
	    chown(options->host, (uid_t)-1, (gid_t)options->unix_group) < 0) {
		return -errno;
	}
	if (chmod(options->host, (mode_t)options->unix_mode) < 0 ||
	    listen(fd, options->backlog) < 0) {
		return -errno;
	}
	return listener_add(listener, fd);
}

/* In the abstract namespace there is no file: nothing to publish, nothing left behind.
 */
static int listener_publish_abstract(struct listener *listener, int fd,
				     struct sockaddr_un *addr,
				     const struct listener_options *options)
{
	socklen_t len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(options->host));
	addr->sun_path[0] = '\0';
	if (bind(fd, (const struct sockaddr *)addr, len) < 0 ||
	    listen(fd, options->backlog) < 0) {
		return -errno;
	}
	return listener_add(listener, fd);
}

static int listener_open_unix(struct listener *listener,
			      const struct listener_options *options)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(options->host);
	if (len >= sizeof(addr.sun_path)) {
		return -ENAMETOOLONG;
	}
	memcpy(addr.sun_path, options->host, len);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -errno;
	}
	int err;
	if (options->host[0] == '@') {
		err = listener_publish_abstract(listener, fd, &addr, options);
	} else {
		int lock = listener_lock(options->host);
		err = listener_bind_unix(fd, &addr);
		err = err == 0 ? listener_publish(listener, fd, options) : err;
		if (lock >= 0) {
			close(lock);
		}
	}
	if (err < 0) {
		close(fd);
	}
	return err;
}

static int listener_open_inherited(struct listener *listener,
				   const struct listener_options *options)
{
	int fd = fcntl(options->inherited_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0) {
		return -errno;
	}
	int listening = 0;
	socklen_t len = sizeof(listening);
	int err = getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0
		      ? -errno
		      : 0;
	if (err == 0 && !listening) {
		err = -EINVAL;
	}
	listener->port = listener_port_of(fd);
	if (err == 0 && listener->port != 0) {
		err = listener_set_tcp(fd);
	}
	if (err == 0) {
		err = listener_add(listener, fd); /* makes it non-blocking, too */
	}
	if (err < 0) {
		close(fd);
	}
	return err;
}

int listener_open(struct loop *loop, const struct listener_options *options,
		  listener_fn fn, void *arg, struct listener **out)
{
	require(loop != NULL && options != NULL && fn != NULL && out != NULL);
	require(options->accepts_per_turn > 0);
	struct listener *listener = calloc(1, sizeof(*listener));
	if (listener == NULL) {
		return -ENOMEM;
	}
	listener->loop = loop;
	listener->fn = fn;
	listener->arg = arg;
	listener->accepts_per_turn = options->accepts_per_turn;
	int err = timer_new(loop, listener_wake, listener, &listener->pause);
	if (err < 0) {
		listener_free(listener);
		return err;
	}
	if (options->inherited_fd >= 0) {
		err = listener_open_inherited(listener, options);
	} else if (options->host != NULL &&
		   (options->host[0] == '/' || options->host[0] == '@')) {
		err = listener_open_unix(listener, options);
	} else {
		err = listener_open_tcp(listener, options);
	}
	if (err < 0) {
		listener_close(listener);
		return err;
	}
	*out = listener;
	return 0;
}

uint16_t listener_port(const struct listener *listener)
{
	return listener->port;
}

int listener_fd(const struct listener *listener)
{
	require(listener->n_sockets > 0);
	return listener->sockets[0].fd;
}

uint64_t listener_exhausted(const struct listener *listener)
{
	return listener->n_exhausted;
}

/* Only the file we made: after a hand-over to a newer process the path may be
 * another's. */
static void listener_unlink(const struct listener *listener)
{
	struct stat st;
	if (listener->path != NULL && lstat(listener->path, &st) == 0 &&
	    st.st_dev == listener->path_dev && st.st_ino == listener->path_ino) {
		(void)unlink(listener->path);
	}
}

void listener_close(struct listener *listener)
{
	if (listener == NULL || listener->is_closed) {
		return;
	}
	listener->is_closed = true;
	timer_close(steal(&listener->pause));
	listener_unlink(listener);
	listener_drop_sockets(listener);
	if (!listener->is_accepting) {
		listener_free(listener);
	}
}
