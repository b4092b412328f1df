#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One event loop (libuv), owned by one thread.  Besides descriptors (net/watch.h) and
 * timers (net/timer.h) it has: a queue for calls from other threads, a list of objects
 * that want a call before the loop sleeps again, and one receive buffer that all
 * streams of the loop share, because only one of them reads at a time. */

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/dlist.h"

struct loop;

/* Something to do before the loop sleeps; embedded, at most once in the list. */
struct loop_task {
	struct dlist link;
	void (*run)(struct loop_task *task);
};

/* SCRATCH_SIZE: of the shared receive buffer, bytes.  0, -ENOMEM, or libuv's error. */
int loop_new(size_t scratch_size, struct loop **out) MUST_CHECK;
/* The loop must have been stopped and its handles closed; runs until they are.  Calls
 * that were posted and pool work that was started are still run.  NULL is fine. */
void loop_free(struct loop *loop);
/* Runs until loop_stop(); on the owner's thread. */
void loop_run(struct loop *loop);
/* Makes loop_run() return; on the owner's thread. */
void loop_stop(struct loop *loop);
/* From any thread, also before loop_run(): FN(ARG) runs on the loop's thread, in the
 * order of the posts.  -ENOMEM without memory, -ENOBUFS when a million calls wait. */
int loop_post(struct loop *loop, void (*fn)(void *arg), void *arg) MUST_CHECK;
/* Runs TASK once before the loop sleeps (or at the next loop_run_tasks()); no effect
 * when it is listed already. */
void loop_task_add(struct loop *loop, struct loop_task *task);
void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task));
void loop_task_remove(struct loop_task *task);
/* Runs the listed tasks now, and those that they list meanwhile (a bounded number of
 * rounds).  No effect inside a task. */
void loop_run_tasks(struct loop *loop);
/* The shared receive buffer. */
uint8_t *loop_scratch(struct loop *loop, size_t *size_out);
/* Whatever the owner hangs on the loop (the worker). */
void loop_set_owner(struct loop *loop, void *owner);
void *loop_owner(struct loop *loop);
/* When the event began that the loop is dealing with (the bytes that came on a socket,
 * say), as clock_now_ns(), read once for all who ask; outside an event, now.  A reading
 * is a tenth of what a passing query costs us, and it asks for the time six times.  Not
 * to be compared with a clock_now_ns() of the same event, which is later. */
uint64_t loop_event_ns(struct loop *loop);
/* For who deals with events: one begins, or ends.  They do not nest. */
void loop_event_begin(struct loop *loop);
void loop_event_end(struct loop *loop);
/* Turns of the loop since it began, for the metrics; from any thread. */
uint64_t loop_iterations(const struct loop *loop);
/* The longest turn (from waking up to sleeping again) since the last call,
 * milliseconds: how late the loop was at worst.  From any thread. */
uint64_t loop_take_slowest_ms(struct loop *loop);
/* libuv's own loop, for the other files of net/ and for daemon/. */
void *loop_uv(struct loop *loop);
/* FN(ARG) on libuv's thread pool (blocking calls of libpq), then DONE(ARG) on the loop.
 */
int loop_work(struct loop *loop, void (*fn)(void *arg), void (*done)(void *arg),
	      void *arg) MUST_CHECK;
