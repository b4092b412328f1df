/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/stream.h"
#include "net/timer.h"

#define OUT_HIGH 4096

struct ours {
	struct stream stream;
	struct stream_group group;
	struct loop *loop;
	struct timer *limit;
	int peer;
	size_t take; /* bytes to consume of each delivery */
	size_t n_taken;
	char last; /* byte consumed last */
	int n_drained;
	int n_ended;
	int err;
};

static size_t on_bytes(struct stream *stream, struct span in)
{
	struct ours *ours = container_of(stream, struct ours, stream);
	size_t n = ours->take < in.n ? ours->take : in.n;
	if (n > 0) {
		ours->last = (char)in.p[n - 1];
	}
	ours->n_taken += n;
	return n;
}

static void on_drained(struct stream *stream)
{
	container_of(stream, struct ours, stream)->n_drained++;
}

static void on_ended(struct stream *stream, int err)
{
	struct ours *ours = container_of(stream, struct ours, stream);
	ours->n_ended++;
	ours->err = err;
	stream_close(stream);
}

static const struct stream_events events = { on_bytes, on_drained, on_ended, false };
static const struct stream_events keen = { on_bytes, on_drained, on_ended, true };

static void on_limit(void *arg)
{
	loop_stop(arg);
}

static void begin(struct ours *ours)
{
	int fds[2];
	*ours = (struct ours){ .take = SIZE_MAX };
	cr_assert_eq(loop_new(1024, &ours->loop), 0);
	cr_assert_eq(timer_new(ours->loop, on_limit, ours->loop, &ours->limit), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	stream_group_init(&ours->group, ours->loop, 1 << 16, OUT_HIGH);
	cr_assert_eq(stream_open(&ours->stream, &ours->group, fds[0], &events), 0);
	ours->peer = fds[1];
}

/* Runs the loop for 30 ms. */
static void run(struct ours *ours)
{
	timer_start(ours->limit, 30, 0);
	loop_run(ours->loop);
}

static void end(struct ours *ours)
{
	stream_close(&ours->stream);
	timer_close(ours->limit);
	close(ours->peer);
	loop_free(ours->loop);
	stream_group_fini(&ours->group);
}

/* Writes until the socket takes no more. */
static void block(struct ours *ours)
{
	static const uint8_t zeros[65536];
	for (int i = 0; i < 100 && !stream_is_full(&ours->stream); i++) {
		stream_put(&ours->stream, span_make(zeros, sizeof(zeros)));
		run(ours);
	}
	cr_assert(stream_is_full(&ours->stream));
}

static void read_all(int fd)
{
	char buf[65536];
	while (read(fd, buf, sizeof(buf)) > 0) {
	}
}

Test(stream, keeps_what_was_not_consumed, .timeout = 20)
{
	struct ours ours;
	begin(&ours);
	ours.take = 2;
	cr_assert_eq(write(ours.peer, "abcde", 5), 5);
	run(&ours);
	cr_assert_eq(ours.n_taken, 2);
	cr_assert_eq(ours.last, 'b');
	ours.take = SIZE_MAX;
	cr_assert_eq(write(ours.peer, "f", 1), 1);
	run(&ours);
	cr_assert_eq(ours.n_taken, 6);
	cr_assert_eq(ours.last, 'f');
	cr_assert(stream_is_empty(&ours.stream));
	end(&ours);
}

Test(stream, delivers_nothing_while_paused, .timeout = 20)
{
	struct ours ours;
	begin(&ours);
	stream_pause(&ours.stream);
	cr_assert_eq(write(ours.peer, "ab", 2), 2);
	run(&ours);
	cr_assert_eq(ours.n_taken, 0);
	stream_resume(&ours.stream);
	run(&ours);
	cr_assert_eq(ours.n_taken, 2);
	close(ours.peer);
	run(&ours);
	cr_assert_eq(ours.n_ended, 1);
	cr_assert_eq(ours.err, 0);
	ours.peer = dup(0);
	end(&ours);
}

Test(stream, tells_when_the_peer_has_read, .timeout = 20)
{
	struct ours ours;
	begin(&ours);
	block(&ours);
	cr_assert_eq(ours.n_drained, 0);
	for (int i = 0; i < 100 && ours.n_drained == 0; i++) {
		read_all(ours.peer);
		run(&ours);
	}
	cr_assert_eq(ours.n_drained, 1);
	cr_assert(!stream_is_full(&ours.stream));
	end(&ours);
}

/* A reader that is too slow is paused, so nobody reads from it; when it disappears, the
 * owner must hear of it all the same. */
Test(stream, ends_when_a_paused_peer_disappears, .timeout = 20)
{
	struct ours ours;
	begin(&ours);
	block(&ours);
	stream_pause(&ours.stream);
	cr_assert_eq(write(ours.peer, "request", 7), 7);
	run(&ours);
	close(ours.peer);
	run(&ours);
	cr_assert_eq(ours.n_ended, 1);
	cr_assert_lt(ours.err, 0);
	cr_assert_eq(ours.n_taken, 0);
	ours.peer = dup(0);
	end(&ours);
}

/* The same when the failure is found by a write of ours. */
Test(stream, ends_when_a_write_fails_while_paused, .timeout = 20)
{
	struct ours ours;
	begin(&ours);
	stream_pause(&ours.stream);
	cr_assert_eq(write(ours.peer, "request", 7), 7);
	run(&ours); /* now the read interest is off */
	close(ours.peer);
	stream_put_static(&ours.stream, SPAN_LIT("answer"));
	run(&ours);
	cr_assert_eq(ours.n_ended, 1);
	cr_assert_lt(ours.err, 0);
	ours.peer = dup(0);
	end(&ours);
}

/* What a server has sent before it closed is still wanted; what a client has sent that
 * has left, is not. */
Test(stream, ends_paused_when_that_is_wanted, .timeout = 20)
{
	struct ours ours;
	for (int with_bytes = 0; with_bytes < 2; with_bytes++) {
		for (int wanted = 0; wanted < 2; wanted++) {
			begin(&ours);
			ours.stream.events = wanted ? &keen : &events;
			stream_pause(&ours.stream);
			if (with_bytes) {
				cr_assert_eq(write(ours.peer, "request", 7), 7);
				run(&ours);
			}
			shutdown(ours.peer, SHUT_WR);
			run(&ours);
			cr_assert_eq(ours.n_ended, wanted);
			cr_assert_eq(ours.n_taken, 0);
			stream_resume(&ours.stream);
			run(&ours);
			cr_assert_eq(ours.n_taken, wanted || !with_bytes ? 0 : 7);
			cr_assert_eq(ours.n_ended, 1);
			cr_assert_eq(ours.err, 0);
			end(&ours);
		}
	}
}

static int n_released;

static void on_release(void *owner)
{
	n_released++;
	memset(owner, 0xff, 4); /* nobody may read it any more */
}

/* Large pieces of an owner are not copied, whatever stands around them, and all bytes
 * come in their order. */
Test(stream, keeps_large_pieces_where_they_lie, .timeout = 60)
{
	enum {
		ROUNDS = 30,
		LARGE = 300000,
		SMALL = 1000,
		ROUND = LARGE + SMALL
	};
	static uint8_t large[ROUNDS][LARGE];
	static uint8_t small[SMALL];
	static uint8_t got[ROUNDS * ROUND];
	struct ours ours;
	begin(&ours);
	memset(small, 'a', sizeof(small));
	n_released = 0;
	for (int i = 0; i < ROUNDS; i++) {
		memset(large[i], 'A' + i, LARGE);
		stream_put_owned(&ours.stream, span_make(large[i], LARGE), large[i],
				 on_release);
		stream_put(&ours.stream, span_make(small, SMALL));
		if (i % 7 == 0) {
			run(&ours);
		}
	}
	cr_assert(stream_is_full(&ours.stream));
	cr_assert_lt(ours.stream.out.len, LARGE);
	cr_assert_lt(n_released, 3);
	size_t n = 0;
	while (n < sizeof(got)) {
		ssize_t r = read(ours.peer, got + n, sizeof(got) - n);
		if (r > 0) {
			n += (size_t)r;
		} else {
			run(&ours);
		}
	}
	run(&ours);
	cr_assert_eq(n_released, ROUNDS);
	cr_assert_eq(ours.n_drained, 1);
	cr_assert(stream_is_empty(&ours.stream));
	for (int i = 0; i < ROUNDS; i++) {
		cr_assert_eq(got[i * ROUND], 'A' + i);
		cr_assert_eq(got[i * ROUND + LARGE - 1], 'A' + i);
		cr_assert_eq(got[i * ROUND + LARGE], 'a');
	}
	stream_put_owned(&ours.stream, span_make(large[0], LARGE), large[0],
			 on_release);
	end(&ours);
	cr_assert_eq(n_released, ROUNDS + 1);
}
