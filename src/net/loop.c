/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One turn:
 *
 *   timers ─> prepare: tasks ─> epoll_wait ─> descriptors, posts ─> check ─> closes
 *                                    └ sets uv_now()
 *
 * Tasks run last before the loop sleeps, so whatever a callback queued (gathered
 * writes, objects to free) is done in the same turn.  When tasks go on listing tasks,
 * an idle handle keeps the loop from sleeping and descriptors get their share in
 * between. */

#include "net/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

#include "base/clock.h"

#define LOOP_TASK_ROUNDS 16	    /* rounds of tasks before descriptors get a turn */
#define LOOP_POSTS_MAX	 (1U << 20) /* calls waiting from other threads */

struct loop_call {
	struct loop_call *next;
	void (*fn)(void *arg);
	void *arg;
};

struct loop_job {
	uv_work_t req;
	void (*fn)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

struct loop {
	uv_loop_t uv;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle;	 /* active while tasks are left over */
	uv_async_t wake; /* keeps the loop alive without descriptors */
	struct dlist tasks;
	bool in_tasks;
	uint8_t *scratch; /* owned */
	size_t scratch_size;
	void *owner;
	bool in_event;
	uint64_t event_ns; /* 0: the clock was not read yet */
	uint64_t awake_ms; /* uv_now() when epoll_wait() returned; 0 before that */
	_Atomic uint64_t slowest_ms; /* longest turn since it was last asked */
	_Atomic uint64_t n_turns;

	pthread_mutex_t lock;	 /* over the three fields below */
	struct loop_call *calls; /* oldest first; owned */
	struct loop_call **calls_tail;
	unsigned n_calls;
};

static struct loop_call *loop_take_calls(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	struct loop_call *calls = steal(&loop->calls);
	loop->calls_tail = &loop->calls;
	loop->n_calls = 0;
	pthread_mutex_unlock(&loop->lock);
	return calls;
}

/* Only those that wait now: what they post themselves comes at the next turn. */
static void loop_run_calls(struct loop *loop)
{
	struct loop_call *call = loop_take_calls(loop);
	while (call != NULL) {
		struct loop_call *next = call->next;
		call->fn(call->arg);
		free(call);
		call = next;
	}
}

static void loop_on_wake(uv_async_t *handle)
{
	loop_run_calls(container_of(handle, struct loop, wake));
}

static void loop_on_idle(uv_idle_t *handle)
{
}

static void loop_on_check(uv_check_t *handle)
{
	struct loop *loop = container_of(handle, struct loop, check);
	loop->awake_ms = uv_now(&loop->uv);
}

/* libuv read the clock when epoll_wait() returned, so a turn costs one more reading. */
static void loop_measure(struct loop *loop)
{
	atomic_fetch_add_explicit(&loop->n_turns, 1, memory_order_relaxed);
	if (loop->awake_ms == 0) {
		return;
	}
	uint64_t now_ms = uv_hrtime() / 1000000U;
	uint64_t turn_ms = now_ms > loop->awake_ms ? now_ms - loop->awake_ms : 0;
	if (turn_ms > atomic_load_explicit(&loop->slowest_ms, memory_order_relaxed)) {
		atomic_store_explicit(&loop->slowest_ms, turn_ms, memory_order_relaxed);
	}
}

static void loop_on_prepare(uv_prepare_t *handle)
{
	struct loop *loop = container_of(handle, struct loop, prepare);
	loop_run_tasks(loop);
	loop_measure(loop);
	if (dlist_is_empty(&loop->tasks)) {
		uv_idle_stop(&loop->idle);
	} else {
		uv_idle_start(&loop->idle, loop_on_idle);
	}
}

static void loop_init_handles(struct loop *loop)
{
	uv_prepare_init(&loop->uv, &loop->prepare);
	uv_check_init(&loop->uv, &loop->check);
	uv_idle_init(&loop->uv, &loop->idle);
	uv_prepare_start(&loop->prepare, loop_on_prepare);
	uv_check_start(&loop->check, loop_on_check);
}

int loop_new(size_t scratch_size, struct loop **out)
{
	require(out != NULL && scratch_size > 0);
	struct loop *loop = calloc(1, sizeof(*loop));
	if (loop == NULL) {
		return -ENOMEM;
	}
	dlist_init(&loop->tasks);
	loop->calls_tail = &loop->calls;
	loop->scratch_size = scratch_size;
	loop->scratch = malloc(scratch_size);
	int err = loop->scratch == NULL ? -ENOMEM : uv_loop_init(&loop->uv);
	if (err < 0) {
		goto fail;
	}
	err = uv_async_init(&loop->uv, &loop->wake, loop_on_wake);
	if (err < 0) {
		require(uv_loop_close(&loop->uv) == 0);
		goto fail;
	}
	require(pthread_mutex_init(&loop->lock, NULL) == 0);
	loop_init_handles(loop);
	*out = loop;
	return 0;
fail:
	free(loop->scratch);
	free(loop);
	return err;
}

/* A handle that nobody closed would keep uv_run() below from ever returning. */
static void loop_check_closing(uv_handle_t *handle, void *arg)
{
	require(uv_is_closing(handle));
}

void loop_free(struct loop *loop)
{
	if (loop == NULL) {
		return;
	}
	loop_run_calls(loop);
	loop_run_tasks(loop);
	uv_close((uv_handle_t *)&loop->prepare, NULL);
	uv_close((uv_handle_t *)&loop->check, NULL);
	uv_close((uv_handle_t *)&loop->idle, NULL);
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_walk(&loop->uv, loop_check_closing, NULL);
	while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) {
		/* a loop_stop() before its time ends uv_run() early */
	}
	loop_run_calls(loop);
	require(uv_loop_close(&loop->uv) == 0);
	pthread_mutex_destroy(&loop->lock);
	free(loop->scratch);
	free(loop);
}

void loop_run(struct loop *loop)
{
	require(loop != NULL);
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
	require(loop != NULL);
	uv_stop(&loop->uv);
}

int loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	require(loop != NULL && fn != NULL);
	struct loop_call *call = malloc(sizeof(*call));
	if (call == NULL) {
		return -ENOMEM;
	}
	*call = (struct loop_call){ .fn = fn, .arg = arg };
	pthread_mutex_lock(&loop->lock);
	bool is_full = loop->n_calls >= LOOP_POSTS_MAX;
	if (!is_full) {
		*loop->calls_tail = call;
		loop->calls_tail = &call->next;
		loop->n_calls++;
	}
	pthread_mutex_unlock(&loop->lock);
	if (is_full) {
		free(call);
		return -ENOBUFS;
	}
	require(uv_async_send(&loop->wake) == 0);
	return 0;
}

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *task))
{
	require(task != NULL && run != NULL);
	dlist_init(&task->link);
	task->run = run;
}

void loop_task_add(struct loop *loop, struct loop_task *task)
{
	if (dlist_is_empty(&task->link)) {
		dlist_push_tail(&loop->tasks, &task->link);
	}
}

void loop_task_remove(struct loop_task *task)
{
	dlist_remove(&task->link);
}

/* Runs what the list holds now; what is listed meanwhile waits for the next round, so
 * that a task that lists itself again cannot hold the thread. */
static void loop_run_round(struct loop *loop)
{
	struct dlist round;
	dlist_init(&round);
	dlist_insert_before(loop->tasks.next, &round);
	dlist_remove(&loop->tasks);
	for (struct dlist *l; (l = dlist_pop_head(&round)) != NULL;) {
		struct loop_task *task = container_of(l, struct loop_task, link);
		task->run(task);
	}
}

void loop_run_tasks(struct loop *loop)
{
	require(loop != NULL);
	if (loop->in_tasks) {
		return;
	}
	loop->in_tasks = true;
	for (int i = 0; i < LOOP_TASK_ROUNDS && !dlist_is_empty(&loop->tasks); i++) {
		loop_run_round(loop);
	}
	loop->in_tasks = false;
}

uint8_t *loop_scratch(struct loop *loop, size_t *size_out)
{
	*size_out = loop->scratch_size;
	return loop->scratch;
}

void loop_set_owner(struct loop *loop, void *owner)
{
	loop->owner = owner;
}

void *loop_owner(struct loop *loop)
{
	return loop->owner;
}

uint64_t loop_event_ns(struct loop *loop)
{
	if (!loop->in_event) {
		return clock_now_ns();
	}
	if (loop->event_ns == 0) {
		loop->event_ns = clock_now_ns();
	}
	return loop->event_ns;
}

void loop_event_begin(struct loop *loop)
{
	loop->in_event = true;
	loop->event_ns = 0;
}

void loop_event_end(struct loop *loop)
{
	loop->in_event = false;
}

uint64_t loop_iterations(const struct loop *loop)
{
	return atomic_load_explicit(&loop->n_turns, memory_order_relaxed);
}

uint64_t loop_take_slowest_ms(struct loop *loop)
{
	return atomic_exchange_explicit(&loop->slowest_ms, 0, memory_order_relaxed);
}

void *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

static void loop_on_work(uv_work_t *req)
{
	struct loop_job *job = container_of(req, struct loop_job, req);
	job->fn(job->arg);
}

static void loop_on_worked(uv_work_t *req, int status)
{
	struct loop_job *job = container_of(req, struct loop_job, req);
	job->done(job->arg);
	free(job);
}

int loop_work(struct loop *loop, void (*fn)(void *arg), void (*done)(void *arg),
	      void *arg)
{
	require(loop != NULL && fn != NULL && done != NULL);
	struct loop_job *job = calloc(1, sizeof(*job));
	if (job == NULL) {
		return -ENOMEM;
	}
	job->fn = fn;
	job->done = done;
	job->arg = arg;
	int err = uv_queue_work(&loop->uv, &job->req, loop_on_work, loop_on_worked);
	if (err < 0) {
		free(job);
	}
	return err;
}
