/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "net/timer.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#include "net/loop.h"

struct timer {
	uv_timer_t uv;
	void (*fn)(void *arg);
	void *arg;
};

int timer_new(struct loop *loop, void (*fn)(void *arg), void *arg, struct timer **out)
{
	require(loop != NULL && fn != NULL && out != NULL);
	struct timer *timer = calloc(1, sizeof(*timer));
	if (timer == NULL) {
		return -ENOMEM;
	}
	timer->fn = fn;
	timer->arg = arg;
	require(uv_timer_init(loop_uv(loop), &timer->uv) == 0);
	*out = timer;
	return 0;
}

static void timer_on_uv(uv_timer_t *uv)
{
	struct timer *timer = container_of(uv, struct timer, uv);
	timer->fn(timer->arg);
}

/* libuv counts from its cached time, which is old after a long turn or before the loop
 * runs: such a timer would fire early. */
static uint64_t timer_staleness_ms(const struct timer *timer)
{
	uint64_t now_ms = uv_hrtime() / 1000000U;
	uint64_t cached_ms = uv_now(timer->uv.loop);
	return now_ms > cached_ms ? now_ms - cached_ms : 0;
}

void timer_start(struct timer *timer, uint64_t delay_ms, uint64_t repeat_ms)
{
	require(timer != NULL && delay_ms < UINT64_MAX / 4);
	delay_ms += timer_staleness_ms(timer);
	require(uv_timer_start(&timer->uv, timer_on_uv, delay_ms, repeat_ms) == 0);
}

void timer_stop(struct timer *timer)
{
	require(timer != NULL);
	uv_timer_stop(&timer->uv);
}

static void timer_on_closed(uv_handle_t *handle)
{
	free(container_of((uv_timer_t *)(void *)handle, struct timer, uv));
}

void timer_close(struct timer *timer)
{
	if (timer == NULL) {
		return;
	}
	require(!uv_is_closing((uv_handle_t *)&timer->uv));
	uv_close((uv_handle_t *)&timer->uv, timer_on_closed);
}
