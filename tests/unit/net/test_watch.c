/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop.h"
#include "net/timer.h"
#include "net/watch.h"

struct pair {
	struct loop *loop;
	struct watch *watch;
	struct timer *limit;
	int fds[2];
	int n_calls;
	int events;
	int err;
};

static void on_watch(void *arg, int events, int err)
{
	struct pair *pair = arg;
	pair->n_calls++;
	pair->events = events;
	pair->err = err;
	loop_stop(pair->loop);
}

static void on_limit(void *arg)
{
	loop_stop(arg);
}

static void begin(struct pair *pair)
{
	*pair = (struct pair){ .loop = NULL };
	cr_assert_eq(loop_new(64, &pair->loop), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), 0);
	cr_assert_eq(watch_new(pair->loop, pair->fds[0], on_watch, pair, &pair->watch),
		     0);
	cr_assert_eq(timer_new(pair->loop, on_limit, pair->loop, &pair->limit), 0);
}

static void end(struct pair *pair)
{
	watch_close(pair->watch);
	timer_close(pair->limit);
	close(pair->fds[0]);
	close(pair->fds[1]);
	loop_free(pair->loop);
}

/* Runs for at most 50 ms; the number of calls. */
static int run(struct pair *pair)
{
	pair->n_calls = 0;
	timer_start(pair->limit, 50, 0);
	loop_run(pair->loop);
	return pair->n_calls;
}

Test(watch, tells_when_it_can_be_read, .timeout = 20)
{
	struct pair pair;
	begin(&pair);
	watch_set(pair.watch, WATCH_READ);
	cr_assert_eq(run(&pair), 0);
	cr_assert_eq(write(pair.fds[1], "x", 1), 1);
	cr_assert_eq(run(&pair), 1);
	cr_assert_eq(pair.events, WATCH_READ);
	cr_assert_eq(pair.err, 0);
	watch_set(pair.watch, 0);
	cr_assert_eq(run(&pair), 0);
	watch_set(pair.watch, WATCH_READ);
	watch_set(pair.watch, WATCH_READ);
	cr_assert_eq(run(&pair), 1);
	end(&pair);
}

Test(watch, tells_when_it_can_be_written, .timeout = 20)
{
	struct pair pair;
	begin(&pair);
	watch_set(pair.watch, WATCH_READ | WATCH_WRITE);
	cr_assert_eq(run(&pair), 1);
	cr_assert_eq(pair.events, WATCH_WRITE);
	end(&pair);
}

Test(watch, sees_the_end_of_the_peer, .timeout = 20)
{
	struct pair pair;
	begin(&pair);
	watch_set(pair.watch, WATCH_READ);
	shutdown(pair.fds[1], SHUT_WR);
	cr_assert_eq(run(&pair), 1);
	cr_assert_eq(pair.events, WATCH_READ);
	end(&pair);
}

Test(watch, an_idle_descriptor_moves_to_another_loop, .timeout = 20)
{
	struct pair pair;
	begin(&pair);
	watch_set(pair.watch, WATCH_READ);
	cr_assert_eq(run(&pair), 0);
	watch_close(pair.watch);
	struct loop *other = NULL;
	cr_assert_eq(loop_new(64, &other), 0);
	struct pair there = { .loop = other };
	cr_assert_eq(watch_new(other, pair.fds[0], on_watch, &there, &there.watch), 0);
	watch_set(there.watch, WATCH_READ);
	cr_assert_eq(write(pair.fds[1], "x", 1), 1);
	loop_run(other);
	cr_assert_eq(there.n_calls, 1);
	pair.watch = NULL;
	cr_assert_eq(run(&pair), 0);
	watch_close(there.watch);
	loop_free(other);
	end(&pair);
}

Test(watch, the_number_may_be_used_again_at_once, .timeout = 20)
{
	struct pair pair;
	begin(&pair);
	watch_set(pair.watch, WATCH_READ);
	cr_assert_eq(run(&pair), 0);
	watch_close(pair.watch);
	close(pair.fds[0]);
	close(pair.fds[1]);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.fds), 0);
	cr_assert_eq(watch_new(pair.loop, pair.fds[0], on_watch, &pair, &pair.watch),
		     0);
	watch_set(pair.watch, WATCH_READ);
	cr_assert_eq(write(pair.fds[1], "x", 1), 1);
	cr_assert_eq(run(&pair), 1);
	end(&pair);
}

/* A refused connect() is an error condition on the socket. */
Test(watch, an_error_leaves_its_cause_on_the_socket, .timeout = 20)
{
	struct pair pair;
	begin(&pair);
	int bound = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(addr);
	cr_assert_eq(bind(bound, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(getsockname(bound, (struct sockaddr *)&addr, &len), 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_assert_lt(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	struct pair refused = { .loop = pair.loop };
	cr_assert_eq(watch_new(pair.loop, fd, on_watch, &refused, &refused.watch), 0);
	watch_set(refused.watch, WATCH_WRITE);
	loop_run(pair.loop);
	cr_assert_eq(refused.events, WATCH_WRITE);
	cr_assert_lt(refused.err, 0);
	int cause = 0;
	len = sizeof(cause);
	cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_ERROR, &cause, &len), 0);
	cr_assert_eq(cause, ECONNREFUSED);
	watch_close(refused.watch);
	close(fd);
	close(bound);
	end(&pair);
}

Test(watch, a_file_cannot_be_watched)
{
	struct pair pair;
	begin(&pair);
	struct watch *watch = NULL;
	FILE *file = tmpfile();
	cr_assert_lt(watch_new(pair.loop, fileno(file), on_watch, &pair, &watch), 0);
	fclose(file);
	end(&pair);
}
