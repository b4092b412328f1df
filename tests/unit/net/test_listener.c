/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/timer.h"

#define ACCEPTED_MAX 64

struct door {
	struct loop *loop;
	struct listener *listener;
	struct timer *limit;
	int fds[ACCEPTED_MAX];
	int n;
	int stop_at;
	bool close_inside;
	int family; /* of the last peer */
};

static void on_accept(void *arg, int fd, const struct sockaddr *peer,
		      socklen_t peer_len)
{
	struct door *door = arg;
	door->fds[door->n++] = fd;
	door->family = peer->sa_family;
	if (door->n >= door->stop_at) {
		loop_stop(door->loop);
	}
	if (door->close_inside) {
		listener_close(door->listener);
		door->listener = NULL;
	}
}

static void on_limit(void *arg)
{
	loop_stop(arg);
}

static struct listener_options options_for(const char *host)
{
	return (struct listener_options){ .host = host,
					  .backlog = 16,
					  .inherited_fd = -1,
					  .unix_mode = 0600,
					  .accepts_per_turn = 4,
					  .reuseport = true };
}

static int begin(struct door *door, const struct listener_options *options)
{
	*door = (struct door){ .stop_at = 1 };
	cr_assert_eq(loop_new(64, &door->loop), 0);
	cr_assert_eq(timer_new(door->loop, on_limit, door->loop, &door->limit), 0);
	return listener_open(door->loop, options, on_accept, door, &door->listener);
}

static void end(struct door *door)
{
	listener_close(door->listener);
	timer_close(door->limit);
	loop_free(door->loop);
	for (int i = 0; i < door->n; i++) {
		close(door->fds[i]);
	}
}

static void run(struct door *door, uint64_t limit_ms)
{
	timer_start(door->limit, limit_ms, 0);
	loop_run(door->loop);
	timer_stop(door->limit);
}

static int dial(int family, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(family, SOCK_STREAM, 0);
	int r = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
				  : connect(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (r < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int dial_unix(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

Test(listener, gives_ready_descriptors, .timeout = 20)
{
	struct door door;
	struct listener_options options = options_for("127.0.0.1");
	cr_assert_eq(begin(&door, &options), 0);
	cr_assert_neq(listener_port(door.listener), 0);
	int client = dial(AF_INET, listener_port(door.listener));
	run(&door, 5000);
	cr_assert_eq(door.n, 1);
	cr_assert_eq(door.family, AF_INET);
	cr_assert(fcntl(door.fds[0], F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(door.fds[0], F_GETFD) & FD_CLOEXEC);
	int nodelay = 0;
	socklen_t len = sizeof(nodelay);
	cr_assert_eq(getsockopt(door.fds[0], IPPROTO_TCP, TCP_NODELAY, &nodelay, &len),
		     0);
	cr_assert(nodelay);
	close(client);
	end(&door);
}

Test(listener, takes_every_address_of_the_machine, .timeout = 20)
{
	static const char *const hosts[] = { "*", NULL, "", "localhost" };
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct door door;
		struct listener_options options = options_for(hosts[i]);
		cr_assert_eq(begin(&door, &options), 0);
		int client = dial(AF_INET, listener_port(door.listener));
		cr_assert_geq(client, 0);
		run(&door, 5000);
		cr_assert_eq(door.n, 1);
		close(client);
		end(&door);
	}
}

Test(listener, speaks_ipv6, .timeout = 20)
{
	struct door door;
	struct listener_options options = options_for("::1");
	int err = begin(&door, &options);
	if (err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT) {
		end(&door);
		cr_skip_test("no IPv6 here");
	}
	cr_assert_eq(err, 0);
	int client = dial(AF_INET6, listener_port(door.listener));
	run(&door, 5000);
	cr_assert_eq(door.family, AF_INET6);
	close(client);
	end(&door);
}

Test(listener, workers_share_a_port_and_others_do_not, .timeout = 20)
{
	struct door first;
	struct listener_options options = options_for("127.0.0.1");
	cr_assert_eq(begin(&first, &options), 0);
	options.port = listener_port(first.listener);
	struct door second;
	cr_assert_eq(begin(&second, &options), 0);
	end(&second);
	options.reuseport = false;
	cr_assert_eq(begin(&second, &options), -EADDRINUSE);
	end(&second);
	end(&first);
}

Test(listener, bad_addresses_are_errors, .timeout = 60)
{
	static const char *const hosts[] = { "nowhere.invalid", "192.0.2.1",
					     "1.2.3.4.5" };
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct door door;
		struct listener_options options = options_for(hosts[i]);
		cr_assert_lt(begin(&door, &options), 0, "%s", hosts[i]);
		end(&door);
	}
}

Test(listener, may_be_closed_inside, .timeout = 20)
{
	struct door door;
	struct listener_options options = options_for("127.0.0.1");
	cr_assert_eq(begin(&door, &options), 0);
	uint16_t port = listener_port(door.listener);
	door.close_inside = true;
	int a = dial(AF_INET, port);
	int b = dial(AF_INET, port);
	run(&door, 5000);
	cr_assert_eq(door.n, 1);
	cr_assert_lt(dial(AF_INET, port), 0);
	close(a);
	close(b);
	end(&door);
}

Test(listener, takes_many_over_several_turns, .timeout = 20)
{
	struct door door;
	struct listener_options options = options_for("127.0.0.1");
	cr_assert_eq(begin(&door, &options), 0);
	door.stop_at = 10;
	int clients[10];
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		clients[i] = dial(AF_INET, listener_port(door.listener));
	}
	uint64_t before = loop_iterations(door.loop);
	run(&door, 5000);
	cr_assert_eq(door.n, 10);
	cr_assert_geq(loop_iterations(door.loop) - before, 2);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		close(clients[i]);
	}
	end(&door);
}

struct place {
	char dir[32];
	char path[64];
};

static void place_make(struct place *place)
{
	(void)snprintf(place->dir, sizeof(place->dir), "/tmp/listener-XXXXXX");
	cr_assert_not_null(mkdtemp(place->dir));
	(void)snprintf(place->path, sizeof(place->path), "%s/.s.PGSQL.6432",
		       place->dir);
}

Test(listener, makes_and_removes_a_socket_file, .timeout = 20)
{
	struct place place;
	place_make(&place);
	struct door door;
	struct listener_options options = options_for(place.path);
	cr_assert_eq(begin(&door, &options), 0);
	struct stat st;
	cr_assert_eq(stat(place.path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	int client = dial_unix(place.path);
	run(&door, 5000);
	cr_assert_eq(door.n, 1);
	cr_assert_eq(door.family, AF_UNIX);
	close(client);
	end(&door);
	cr_assert_lt(stat(place.path, &st), 0);
	cr_assert_eq(rmdir(place.dir), 0);
}

Test(listener, has_no_file_in_the_abstract_namespace, .timeout = 20)
{
	char name[64];
	(void)snprintf(name, sizeof(name), "@pgrecall-test-%ld/x", (long)getpid());
	struct door door;
	struct door second;
	struct listener_options options = options_for(name);
	cr_assert_eq(begin(&door, &options), 0);
	cr_assert_eq(begin(&second, &options), -EADDRINUSE);
	end(&second);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	(void)snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "%s", name + 1);
	int client = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(
	    connect(client, (struct sockaddr *)&addr,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
	    0);
	run(&door, 5000);
	cr_assert_eq(door.n, 1);
	cr_assert_eq(door.family, AF_UNIX);
	close(client);
	end(&door);
}

/* What a killed process leaves is replaced; what a living one uses is not, nor a file
 * that is no socket. */
Test(listener, replaces_only_a_stale_socket_file, .timeout = 20)
{
	struct place place;
	place_make(&place);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", place.path);
	int dead = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(dead, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(dead);
	struct door first;
	struct listener_options options = options_for(place.path);
	cr_assert_eq(begin(&first, &options), 0);
	struct door second;
	cr_assert_eq(begin(&second, &options), -EADDRINUSE);
	end(&second);
	int client = dial_unix(place.path);
	cr_assert_geq(client, 0);
	close(client);
	end(&first);
	close(open(place.path, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(begin(&second, &options), -EADDRINUSE);
	end(&second);
	cr_assert_eq(unlink(place.path), 0);
	cr_assert_eq(rmdir(place.dir), 0);
}

/* Of several that begin at once over what a killed one has left, one gets the path, and
 * it is the one that clients reach. */
struct racer {
	pthread_barrier_t *start;
	const char *path;
	struct door door;
	int err;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct listener_options options = options_for(racer->path);
	racer->door = (struct door){ .stop_at = 1 };
	cr_assert_eq(loop_new(64, &racer->door.loop), 0);
	cr_assert_eq(
	    timer_new(racer->door.loop, on_limit, racer->door.loop, &racer->door.limit),
	    0);
	(void)pthread_barrier_wait(racer->start);
	racer->err = listener_open(racer->door.loop, &options, on_accept, &racer->door,
				   &racer->door.listener);
	return NULL;
}

static void race_once(const struct place *place)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", place->path);
	int dead = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(dead, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(dead);
	struct racer racers[4];
	pthread_t threads[ARRAY_LEN(racers)];
	pthread_barrier_t start;
	pthread_barrier_init(&start, NULL, ARRAY_LEN(racers));
	for (size_t i = 0; i < ARRAY_LEN(racers); i++) {
		racers[i] = (struct racer){ .start = &start, .path = place->path };
		cr_assert_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	struct racer *winner = NULL;
	for (size_t i = 0; i < ARRAY_LEN(racers); i++) {
		pthread_join(threads[i], NULL);
		cr_assert(racers[i].err == 0 || racers[i].err == -EADDRINUSE);
		cr_assert(racers[i].err != 0 || winner == NULL, "two got it");
		winner = racers[i].err == 0 ? &racers[i] : winner;
	}
	cr_assert_not_null(winner);
	int client = dial_unix(place->path);
	cr_assert_geq(client, 0);
	close(client);
	for (size_t i = 0; i < ARRAY_LEN(racers); i++) {
		end(&racers[i].door);
	}
	/* it takes away its own file only */
	cr_assert_lt(access(place->path, F_OK), 0, "the file was another one's");
	pthread_barrier_destroy(&start);
}

Test(listener, one_of_several_replaces_a_stale_socket_file, .timeout = 60)
{
	struct place place;
	place_make(&place);
	for (int i = 0; i < 50; i++) {
		race_once(&place);
	}
	cr_assert_eq(rmdir(place.dir), 0);
}

/* Whoever holds the lock of the directory for ever does not keep us from starting. */
Test(listener, begins_without_the_lock, .timeout = 20)
{
	struct place place;
	place_make(&place);
	int fd = open(place.dir, O_RDONLY | O_DIRECTORY);
	cr_assert_eq(flock(fd, LOCK_EX), 0);
	struct door door;
	struct listener_options options = options_for(place.path);
	cr_assert_eq(begin(&door, &options), 0);
	end(&door);
	close(fd);
	cr_assert_eq(rmdir(place.dir), 0);
}

Test(listener, leaves_the_file_of_its_successor, .timeout = 20)
{
	struct place place;
	place_make(&place);
	struct door old;
	struct door new;
	struct listener_options options = options_for(place.path);
	cr_assert_eq(begin(&old, &options), 0);
	cr_assert_eq(unlink(place.path), 0);
	cr_assert_eq(begin(&new, &options), 0);
	end(&old);
	int client = dial_unix(place.path);
	cr_assert_geq(client, 0);
	close(client);
	end(&new);
	cr_assert_eq(rmdir(place.dir), 0);
}

Test(listener, refuses_a_path_that_does_not_fit)
{
	char path[200];
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	struct door door;
	struct listener_options options = options_for(path);
	cr_assert_eq(begin(&door, &options), -ENAMETOOLONG);
	end(&door);
}

Test(listener, shares_an_inherited_descriptor, .timeout = 20)
{
	struct door first;
	struct listener_options options = options_for("127.0.0.1");
	cr_assert_eq(begin(&first, &options), 0);
	options.inherited_fd = listener_fd(first.listener);
	struct door second;
	cr_assert_eq(begin(&second, &options), 0);
	uint16_t port = listener_port(first.listener);
	cr_assert_eq(listener_port(second.listener), port);
	end(&first);
	int client = dial(AF_INET, port);
	run(&second, 5000);
	cr_assert_eq(second.n, 1);
	close(client);
	end(&second);
	int pair[2];
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	options.inherited_fd = pair[0];
	cr_assert_eq(begin(&second, &options), -EINVAL);
	end(&second);
	close(pair[0]);
	close(pair[1]);
}

/* Without descriptors it must neither spin nor give up (T-14). */
Test(listener, rests_without_descriptors, .timeout = 20)
{
	struct door door;
	struct listener_options options = options_for("127.0.0.1");
	cr_assert_eq(begin(&door, &options), 0);
	int client = dial(AF_INET, listener_port(door.listener));
	int last = dup(0);
	close(last);
	struct rlimit old;
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	struct rlimit low = { .rlim_cur = (rlim_t)last, .rlim_max = old.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	uint64_t turns = loop_iterations(door.loop);
	run(&door, 350);
	cr_assert_eq(door.n, 0);
	cr_assert_geq(listener_exhausted(door.listener), 2);
	cr_assert_leq(listener_exhausted(door.listener), 5);
	cr_assert_lt(loop_iterations(door.loop) - turns, 30);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	run(&door, 5000);
	cr_assert_eq(door.n, 1);
	close(client);
	end(&door);
}
