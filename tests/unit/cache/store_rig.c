/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "store_rig.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/config_errors.h"
#include "base/metrics.h"
#include "cache/memory.h"
#include "net/loop.h"
#include "net/timer.h"

/* Where nothing hangs, a loaded machine shall not look as if it did. */
#define PATIENT "timeout = 2s"

static void rig_on_timer(void *arg)
{
	struct rig *rig = arg;
	loop_stop(rig->loop);
}

void rig_run(struct rig *rig, uint64_t ms)
{
	timer_start(rig->timer, ms, 0);
	loop_run(rig->loop);
}

static struct config *rig_config(struct rig *rig, const char *more)
{
	char text[1024];
	snprintf(text, sizeof(text),
		 "[databases]\ndb = host=127.0.0.1\n[pgrecall]\nauth_type = trust\n"
		 "[redis]\nurl = %s\nretry = 50ms\n%s\n",
		 rig->redis.url, more == NULL ? PATIENT : more);
	struct config_errors errors;
	struct config *config = NULL;
	config_errors_init(&errors);
	int r = config_load_text(span_str(text), NULL, &config, &errors);
	cr_assert_eq(r, 0, "%s", errors.n > 0 ? errors.items[0].text : "");
	config_errors_fini(&errors);
	return config;
}

void rig_begin(struct rig *rig, const char *more)
{
	if (!redis_server_exists()) {
		cr_skip_test("redis-server is not installed");
	}
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	*rig = (struct rig){ 0 };
	redis_server_start(&rig->redis, NULL);
	cr_assert_eq(loop_new(4096, &rig->loop), 0);
	cr_assert_eq(timer_new(rig->loop, rig_on_timer, rig, &rig->timer), 0);
	rig->config = rig_config(rig, more);
	rig_process_begin(rig, &rig->a);
	rig_wait_usable(rig, &rig->a);
}

void rig_process_begin(struct rig *rig, struct rig_process *process)
{
	cr_assert_eq(store_shared_new(rig->config, &process->shared), 0);
	for (unsigned i = 0; i < RIG_WORKERS; i++) {
		process->metrics[i] = metrics_new();
		cr_assert_eq(store_new(process->shared, rig->loop, rig->config,
				       process->metrics[i], &process->stores[i]),
			     0);
	}
}

static void rig_on_closed(void *arg)
{
	struct rig *rig = arg;
	if (--rig->n_closing == 0) {
		loop_stop(rig->loop);
	}
}

void rig_process_end(struct rig *rig, struct rig_process *process)
{
	for (unsigned i = 0; i < RIG_WORKERS; i++) {
		rig->n_closing++;
		store_close(process->stores[i], rig_on_closed, rig);
	}
	loop_run(rig->loop);
	for (unsigned i = 0; i < RIG_WORKERS; i++) {
		metrics_free(process->metrics[i]);
	}
	store_shared_free(process->shared);
}

void rig_end(struct rig *rig)
{
	rig_process_end(rig, &rig->a);
	timer_close(rig->timer);
	loop_free(rig->loop);
	config_unref(rig->config);
	redis_server_end(&rig->redis);
}

static bool rig_is_usable(const struct rig_process *process)
{
	bool all = true;
	for (unsigned i = 0; i < RIG_WORKERS; i++) {
		all = store_has_redis(process->stores[i]) && all;
	}
	return all;
}

void rig_wait_usable(struct rig *rig, struct rig_process *process)
{
	uint64_t begun = clock_now_ms();
	while (!rig_is_usable(process)) {
		cr_assert_lt(clock_now_ms() - begun, 5000, "Redis is not used");
		rig_run(rig, 2);
	}
}

void rig_clear_l1(struct rig_process *process)
{
	memory_clear(store_shared_memory(process->shared));
}

static void query_on_answer(void *arg, struct entry *hit)
{
	struct rig_query *q = arg;
	q->n_calls++;
	q->hit = hit;
	if (q->is_asking) {
		return; /* counted; a test asserts that it does not happen */
	}
	loop_stop(q->rig->loop);
}

void query_ask_as(struct rig_query *q, struct rig *rig, struct rig_process *process,
		  unsigned worker, const char *text, const char *context)
{
	*q = (struct rig_query){ .rig = rig,
				 .process = process,
				 .store = process->stores[worker],
				 .context = span_str(context) };
	key_init(&q->key, 4096);
	/* the id is the process's own: it must not matter in Redis */
	key_begin(&q->key, (uint64_t)(uintptr_t)process, 'Q', span_str(text));
	cr_assert(key_finish(&q->key));
	q->fill = (struct store_fill){ .hash = q->key.hash,
				       .ttl_s = 60,
				       .n_rows = 1,
				       .max_size = 1 << 20,
				       .rule = -1 };
	q->fill.notes.n = 2;
	q->fill.notes.at[0].tag = RIG_TAG;
	q->fill.notes.at[1].tag = RIG_TAG_2;
	q->fill.may_store =
	    versions_note(store_shared_versions(process->shared), &q->fill.notes);
	q->is_asking = true;
	q->handle =
	    store_fetch(q->store, &q->key, q->context, &q->fill, query_on_answer, q);
	q->is_asking = false;
	cr_assert_eq(q->n_calls, 0, "called back from inside store_fetch()");
}

void query_ask(struct rig_query *q, struct rig *rig, struct rig_process *process,
	       unsigned worker, const char *text)
{
	query_ask_as(q, rig, process, worker, text, "db|user|utf8");
}

bool query_wait(struct rig_query *q)
{
	if (q->handle != NULL && q->n_calls == 0) {
		timer_stop(q->rig->timer);
		loop_run(q->rig->loop);
		cr_assert_eq(q->n_calls, 1);
	}
	return q->hit != NULL;
}

void query_fill(struct rig_query *q, const char *value)
{
	store_put(q->store, buf_span(&q->key.bytes), q->context, &q->fill,
		  span_str(value));
}

void query_end(struct rig_query *q)
{
	cr_assert_leq(q->n_calls, 1);
	entry_unref(q->hit);
	key_fini(&q->key);
}

void rig_fill(struct rig *rig, struct rig_process *process, const char *text,
	      const char *value)
{
	struct rig_query q;
	query_ask(&q, rig, process, 0, text);
	cr_assert_not(query_wait(&q), "it is there already");
	cr_assert(q.fill.has_tokens);
	query_fill(&q, value);
	query_end(&q);
	rig_run(rig, 10); /* nobody waits for the SET */
}

bool rig_hits(struct rig *rig, struct rig_process *process, unsigned worker,
	      const char *text, const char *value)
{
	struct rig_query q;
	rig_clear_l1(process);
	query_ask(&q, rig, process, worker, text);
	bool hit = query_wait(&q);
	if (hit) {
		cr_assert(span_eq_str(entry_value(q.hit), value));
		struct entry *e = store_get(q.store, &q.key, clock_now_ns());
		cr_assert_eq(e, q.hit, "a hit goes into L1");
		entry_unref(e);
	}
	query_end(&q);
	return hit;
}

static void commit_on_tokens(void *arg)
{
	struct rig *rig = arg;
	loop_stop(rig->loop);
}

uint64_t rig_commit(struct rig *rig, struct rig_process *process, unsigned worker,
		    uint64_t tag)
{
	struct versions *versions = store_shared_versions(process->shared);
	uint64_t begun = clock_now_ms();
	versions_begin(versions, tag);
	timer_stop(rig->timer);
	if (store_tokens(process->stores[worker], &tag, 1, commit_on_tokens, rig)) {
		loop_run(rig->loop);
	}
	versions_end(versions, tag, true);
	return clock_now_ms() - begun;
}
