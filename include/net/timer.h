#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A timer on the loop: one shot or repeating, in milliseconds. */

#include <stdint.h>

#include "base/check.h"

struct loop;
struct timer;

/* Stopped; FN(ARG) is called on the loop's thread.  0 or -ENOMEM. */
int timer_new(struct loop *loop, void (*fn)(void *arg), void *arg,
	      struct timer **out) MUST_CHECK;
/* (Re)starts: first after DELAY_MS, then every REPEAT_MS when that is not 0. */
void timer_start(struct timer *timer, uint64_t delay_ms, uint64_t repeat_ms);
/* FN is not called again before the next start. */
void timer_stop(struct timer *timer);
/* Stops at once; frees itself later.  NULL is fine. */
void timer_close(struct timer *timer);
