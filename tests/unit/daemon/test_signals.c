/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "daemon/signals.h"
#include "net/loop.h"
#include "net/timer.h"

struct signal_case {
	int sent[3];
	enum signals_wish wishes[3];
	unsigned n;
};

static const struct signal_case cases[] = {
	{ { SIGHUP }, { SIGNALS_RELOAD }, 1 },
	{ { SIGTERM }, { SIGNALS_STOP_GENTLY }, 1 },
	{ { SIGINT }, { SIGNALS_STOP_SOON }, 1 },
	{ { SIGQUIT }, { SIGNALS_STOP_NOW }, 1 },
	{ { SIGTERM, SIGTERM }, { SIGNALS_STOP_GENTLY, SIGNALS_STOP_NOW }, 2 },
	{ { SIGINT, SIGTERM }, { SIGNALS_STOP_SOON, SIGNALS_STOP_NOW }, 2 },
	{ { SIGHUP, SIGTERM, SIGHUP },
	  { SIGNALS_RELOAD, SIGNALS_STOP_GENTLY, SIGNALS_RELOAD },
	  3 },
};

struct hearing {
	struct loop *loop;
	const struct signal_case *c;
	struct signals *signals;
	struct timer *patience;
	unsigned heard;
};

/* Each signal is sent when the one before was heard: their order is then certain. */
static void next(struct hearing *h)
{
	if (h->heard == h->c->n) {
		loop_stop(h->loop);
		return;
	}
	cr_assert_eq(kill(getpid(), h->c->sent[h->heard]), 0);
}

static void on_signal(void *arg, enum signals_wish wish, const char *name)
{
	struct hearing *h = arg;
	cr_assert_lt(h->heard, h->c->n);
	cr_expect_eq(wish, h->c->wishes[h->heard], "%s: %d", name, (int)wish);
	h->heard++;
	next(h);
}

static void on_late(void *arg)
{
	struct hearing *h = arg;
	loop_stop(h->loop);
}

Test(signals, wishes, .timeout = 60)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hearing h = { .c = &cases[i] };
		cr_assert_eq(loop_new(65536, &h.loop), 0);
		cr_assert_eq(timer_new(h.loop, on_late, &h, &h.patience), 0);
		timer_start(h.patience, 5000, 0);
		cr_assert_eq(signals_open(h.loop, on_signal, &h, &h.signals), 0);
		next(&h);
		loop_run(h.loop);
		cr_expect_eq(h.heard, cases[i].n, "case %zu", i);
		signals_close(h.signals);
		timer_close(h.patience);
		loop_free(h.loop);
	}
}

Test(signals, a_closed_pipe_is_an_error_not_the_end, .timeout = 60)
{
	struct hearing h = { .c = &cases[0] };
	int fds[2];
	cr_assert_eq(loop_new(65536, &h.loop), 0);
	cr_assert_eq(signals_open(h.loop, on_signal, &h, &h.signals), 0);
	cr_assert_eq(pipe(fds), 0);
	close(fds[0]);
	cr_expect_eq(write(fds[1], "x", 1), -1);
	close(fds[1]);
	signals_close(h.signals);
	loop_free(h.loop);
}

static void on_signal_close(void *arg, enum signals_wish wish, const char *name)
{
	struct hearing *h = arg;
	h->heard++;
	signals_close(h->signals);
	loop_stop(h->loop);
}

Test(signals, may_be_closed_inside_the_call, .timeout = 60)
{
	struct hearing h = { .c = &cases[0] };
	cr_assert_eq(loop_new(65536, &h.loop), 0);
	cr_assert_eq(signals_open(h.loop, on_signal_close, &h, &h.signals), 0);
	cr_assert_eq(kill(getpid(), SIGTERM), 0);
	loop_run(h.loop);
	cr_expect_eq(h.heard, 1);
	loop_free(h.loop);
}
