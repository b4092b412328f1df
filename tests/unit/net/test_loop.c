/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/loop.h"
#include "net/timer.h"

#define POSTERS	       4
#define POSTS_A_POSTER 5000

static struct loop *new_loop(void)
{
	struct loop *loop = NULL;
	cr_assert_eq(loop_new(1024, &loop), 0);
	return loop;
}

static void stop(void *arg)
{
	loop_stop(arg);
}

Test(loop, has_what_it_was_given)
{
	struct loop *loop = new_loop();
	size_t size = 0;
	uint8_t *scratch = loop_scratch(loop, &size);
	cr_assert_eq(size, 1024);
	scratch[0] = scratch[size - 1] = 1;
	int owner = 0;
	loop_set_owner(loop, &owner);
	cr_assert_eq(loop_owner(loop), &owner);
	loop_free(loop);
}

Test(loop, one_reading_of_the_clock_for_an_event)
{
	struct loop *loop = new_loop();
	clock_set_for_test(1000);
	cr_assert_eq(loop_event_ns(loop), 1000);
	clock_set_for_test(2000);
	cr_assert_eq(loop_event_ns(loop), 2000, "outside an event it is the clock");
	loop_event_begin(loop);
	cr_assert_eq(loop_event_ns(loop), 2000);
	clock_set_for_test(3000);
	cr_assert_eq(loop_event_ns(loop), 2000);
	loop_event_end(loop);
	cr_assert_eq(loop_event_ns(loop), 3000);
	loop_event_begin(loop);
	cr_assert_eq(loop_event_ns(loop), 3000,
		     "the next event has a reading of its own");
	loop_event_end(loop);
	clock_set_for_test(0);
	loop_free(loop);
}

Test(loop, posts_from_before_it_runs_are_kept)
{
	struct loop *loop = new_loop();
	cr_assert_eq(loop_post(loop, stop, loop), 0);
	loop_run(loop);
	loop_free(loop);
}

static void count(void *arg)
{
	++*(int *)arg;
}

Test(loop, posts_that_never_ran_run_at_the_end)
{
	struct loop *loop = new_loop();
	int n = 0;
	cr_assert_eq(loop_post(loop, count, &n), 0);
	loop_free(loop);
	cr_assert_eq(n, 1);
}

struct poster {
	pthread_t thread;
	struct loop *loop;
	int next; /* what must come next, to see the order */
	bool is_disordered;
	int *n_left;
};

struct post {
	struct poster *poster;
	int i;
};

static void posted(void *arg)
{
	struct post *post = arg;
	struct poster *poster = post->poster;
	poster->is_disordered = poster->is_disordered || post->i != poster->next;
	poster->next++;
	if (--*poster->n_left == 0) {
		loop_stop(poster->loop);
	}
	free(post);
}

static void *poster_run(void *arg)
{
	struct poster *poster = arg;
	for (int i = 0; i < POSTS_A_POSTER; i++) {
		struct post *post = malloc(sizeof(*post));
		*post = (struct post){ .poster = poster, .i = i };
		if (loop_post(poster->loop, posted, post) != 0) {
			abort();
		}
	}
	return NULL;
}

Test(loop, posts_of_other_threads_all_come_in_order, .timeout = 60)
{
	struct loop *loop = new_loop();
	struct poster posters[POSTERS] = { 0 };
	int n_left = POSTERS * POSTS_A_POSTER;
	for (int i = 0; i < POSTERS; i++) {
		posters[i].loop = loop;
		posters[i].n_left = &n_left;
		cr_assert_eq(
		    pthread_create(&posters[i].thread, NULL, poster_run, &posters[i]),
		    0);
	}
	loop_run(loop);
	for (int i = 0; i < POSTERS; i++) {
		pthread_join(posters[i].thread, NULL);
		cr_assert_not(posters[i].is_disordered);
		cr_assert_eq(posters[i].next, POSTS_A_POSTER);
	}
	loop_free(loop);
}

struct chain {
	struct loop_task task;
	struct loop *loop;
	struct chain *other; /* listed (and taken out) by this one */
	int n_runs;
	int n_again;
};

static void chain_run(struct loop_task *task)
{
	struct chain *chain = container_of(task, struct chain, task);
	chain->n_runs++;
	if (chain->other != NULL) {
		loop_task_add(chain->loop, &chain->other->task);
		loop_task_add(chain->loop, &chain->other->task);
	}
	if (chain->n_again-- > 0) {
		loop_task_add(chain->loop, task);
	}
}

static void chain_init(struct chain *chain, struct loop *loop)
{
	*chain = (struct chain){ .loop = loop };
	loop_task_init(&chain->task, chain_run);
}

Test(loop, tasks_run_once_and_those_they_list_too)
{
	struct loop *loop = new_loop();
	struct chain a;
	struct chain b;
	chain_init(&a, loop);
	chain_init(&b, loop);
	a.other = &b;
	loop_task_add(loop, &a.task);
	loop_task_add(loop, &a.task);
	loop_run_tasks(loop);
	cr_assert_eq(a.n_runs, 1);
	cr_assert_eq(b.n_runs, 1);
	loop_run_tasks(loop);
	cr_assert_eq(a.n_runs, 1);
	loop_task_add(loop, &b.task);
	loop_task_remove(&b.task);
	loop_run_tasks(loop);
	cr_assert_eq(b.n_runs, 1);
	loop_free(loop);
}

/* Its own re-listing may not hold the thread, and may not be forgotten while nothing
 * else wakes the loop. */
Test(loop, a_task_that_lists_itself_is_bounded_and_not_forgotten, .timeout = 20)
{
	struct loop *loop = new_loop();
	struct chain a;
	chain_init(&a, loop);
	a.n_again = 1000;
	loop_task_add(loop, &a.task);
	loop_run_tasks(loop);
	cr_assert_lt(a.n_runs, 1000);
	struct timer *timer = NULL;
	cr_assert_eq(timer_new(loop, stop, loop, &timer), 0);
	timer_start(timer, 300, 0);
	loop_run(loop);
	cr_assert_eq(a.n_runs, 1001);
	timer_close(timer);
	loop_free(loop);
}

static void task_in_a_turn(void *arg)
{
	struct chain *chain = arg;
	loop_task_add(chain->loop, &chain->task);
	loop_stop(chain->loop);
}

Test(loop, tasks_listed_in_a_turn_run_before_it_sleeps)
{
	struct loop *loop = new_loop();
	struct chain a;
	chain_init(&a, loop);
	cr_assert_eq(loop_post(loop, task_in_a_turn, &a), 0);
	loop_run(loop);
	loop_free(loop);
	cr_assert_eq(a.n_runs, 1);
}

struct work {
	struct loop *loop;
	pthread_t ran_on;
	bool is_done;
};

static void work_fn(void *arg)
{
	struct work *work = arg;
	work->ran_on = pthread_self();
}

static void work_done(void *arg)
{
	struct work *work = arg;
	work->is_done = true;
	loop_stop(work->loop);
}

Test(loop, work_runs_on_another_thread_and_ends_on_this_one, .timeout = 20)
{
	struct work work = { .loop = new_loop() };
	cr_assert_eq(loop_work(work.loop, work_fn, work_done, &work), 0);
	loop_run(work.loop);
	cr_assert(work.is_done);
	cr_assert_not(pthread_equal(work.ran_on, pthread_self()));
	loop_free(work.loop);
}

Test(loop, work_is_awaited_at_the_end, .timeout = 20)
{
	struct work work = { .loop = new_loop() };
	cr_assert_eq(loop_work(work.loop, work_fn, work_done, &work), 0);
	loop_free(work.loop);
	cr_assert(work.is_done);
}

static void be_slow(void *arg)
{
	usleep(30000);
}

Test(loop, slow_turns_are_seen)
{
	struct loop *loop = new_loop();
	cr_assert_eq(loop_post(loop, be_slow, loop), 0);
	struct timer *timer = NULL;
	cr_assert_eq(timer_new(loop, stop, loop, &timer), 0);
	timer_start(timer, 100, 0);
	loop_run(loop);
	cr_assert_geq(loop_take_slowest_ms(loop), 25);
	cr_assert_lt(loop_take_slowest_ms(loop), 25);
	cr_assert_geq(loop_iterations(loop), 2);
	timer_close(timer);
	loop_free(loop);
}
