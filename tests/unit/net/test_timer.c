/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/loop.h"
#include "net/timer.h"

struct ticks {
	struct loop *loop;
	struct timer *timer;
	int n;
	int stop_at;
	bool close_inside;
	uint64_t last_ms;
};

static void tick(void *arg)
{
	struct ticks *ticks = arg;
	ticks->last_ms = clock_now_ms();
	if (++ticks->n == ticks->stop_at) {
		if (ticks->close_inside) {
			timer_close(ticks->timer);
			ticks->timer = NULL;
		}
		loop_stop(ticks->loop);
	}
}

static void begin(struct ticks *ticks)
{
	cr_assert_eq(loop_new(64, &ticks->loop), 0);
	cr_assert_eq(timer_new(ticks->loop, tick, ticks, &ticks->timer), 0);
}

static void end(struct ticks *ticks)
{
	timer_close(ticks->timer);
	loop_free(ticks->loop);
}

Test(timer, fires_once, .timeout = 20)
{
	struct ticks ticks = { .stop_at = 1 };
	begin(&ticks);
	uint64_t begun_ms = clock_now_ms();
	timer_start(ticks.timer, 30, 0);
	loop_run(ticks.loop);
	cr_assert_eq(ticks.n, 1);
	cr_assert_geq(ticks.last_ms - begun_ms, 29);
	end(&ticks);
}

Test(timer, repeats_and_may_be_closed_inside, .timeout = 20)
{
	struct ticks ticks = { .stop_at = 3, .close_inside = true };
	begin(&ticks);
	timer_start(ticks.timer, 1, 1);
	loop_run(ticks.loop);
	cr_assert_eq(ticks.n, 3);
	end(&ticks);
}

/* The loop's idea of the time is old when it has not run for a while. */
Test(timer, counts_from_now, .timeout = 20)
{
	struct ticks ticks = { .stop_at = 1 };
	begin(&ticks);
	usleep(60000);
	uint64_t begun_ms = clock_now_ms();
	timer_start(ticks.timer, 50, 0);
	loop_run(ticks.loop);
	cr_assert_geq(ticks.last_ms - begun_ms, 49);
	end(&ticks);
}

Test(timer, stopped_does_not_fire, .timeout = 20)
{
	struct ticks never = { .stop_at = 1 };
	begin(&never);
	struct ticks later = { .loop = never.loop, .stop_at = 1 };
	cr_assert_eq(timer_new(later.loop, tick, &later, &later.timer), 0);
	timer_start(never.timer, 5, 0);
	timer_start(later.timer, 30, 0);
	timer_stop(never.timer);
	loop_run(later.loop);
	cr_assert_eq(never.n, 0);
	timer_close(later.timer);
	end(&never);
}

Test(timer, close_of_nothing_is_fine)
{
	timer_close(NULL);
}
