/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/metrics.h"
#include "cache/memory.h"
#include "store_rig.h"

#define TIMEOUT_MS 60
#define IMPATIENT  "timeout = 60ms"
/* A loaded machine may be late by this much. */
#define SLACK_MS 400

Test(store, what_one_worker_fills_another_finds, .timeout = 60)
{
	struct rig rig;
	rig_begin(&rig, NULL);
	rig_fill(&rig, &rig.a, "select 1", "one");
	cr_assert(rig_hits(&rig, &rig.a, 1, "select 1", "one"));
	cr_assert_not(rig_hits(&rig, &rig.a, 1, "select 2", NULL));
	rig_end(&rig);
}

Test(store, large_answers_are_packed, .timeout = 60)
{
	static char big[200001];
	struct rig rig;
	memset(big, 'x', sizeof(big) - 1);
	rig_begin(&rig, NULL);
	rig_fill(&rig, &rig.a, "select 1", big);
	cr_assert(rig_hits(&rig, &rig.a, 1, "select 1", big));
	rig_end(&rig);
}

Test(store, another_context_is_another_key, .timeout = 60)
{
	struct rig rig;
	struct rig_query q;
	rig_begin(&rig, NULL);
	rig_fill(&rig, &rig.a, "select 1", "one");
	rig_clear_l1(&rig.a);
	query_ask_as(&q, &rig, &rig.a, 0, "select 1", "db|other|utf8");
	cr_assert_not(query_wait(&q));
	query_end(&q);
	cr_assert(rig_hits(&rig, &rig.a, 0, "select 1", "one"));
	rig_end(&rig);
}

Test(store, a_commit_retires_the_answer_everywhere, .timeout = 60)
{
	struct rig rig;
	rig_begin(&rig, NULL);
	rig_fill(&rig, &rig.a, "select 1", "old");
	rig_commit(&rig, &rig.a, 0, RIG_TAG_2);
	cr_assert_not(rig_hits(&rig, &rig.a, 0, "select 1", NULL));
	cr_assert_not(rig_hits(&rig, &rig.a, 1, "select 1", NULL));
	rig_fill(&rig, &rig.a, "select 1", "new");
	cr_assert(rig_hits(&rig, &rig.a, 1, "select 1", "new"));
	rig_commit(&rig, &rig.a, 1, RIG_TAG_2 + 99);
	cr_assert(rig_hits(&rig, &rig.a, 0, "select 1", "new"), "another tag");
	rig_end(&rig);
}

/* The MGET is sent before a commit begins and answered after: nobody may be told. */
Test(store, a_commit_between_question_and_answer_is_a_miss, .timeout = 60)
{
	struct rig rig;
	struct rig_query q;
	rig_begin(&rig, NULL);
	rig_fill(&rig, &rig.a, "select 1", "old");
	rig_clear_l1(&rig.a);
	query_ask(&q, &rig, &rig.a, 0, "select 1");
	cr_assert_not_null(q.handle);
	versions_begin(store_shared_versions(rig.a.shared), RIG_TAG);
	cr_assert_not(query_wait(&q));
	query_end(&q);
	query_ask(&q, &rig, &rig.a, 0, "select 1");
	cr_assert_null(q.handle, "in flight: nothing to be had from Redis");
	query_end(&q);
	versions_end(store_shared_versions(rig.a.shared), RIG_TAG, false);
	cr_assert(rig_hits(&rig, &rig.a, 0, "select 1", "old"), "rolled back");
	rig_end(&rig);
}

/* Two processes, which share nothing but Redis.  B's fill overlaps A's commit, and B's
 * words know nothing of it. */
Test(store, a_fill_that_overlaps_another_process_commit_is_never_served, .timeout = 60)
{
	struct rig rig;
	struct rig_process b;
	struct rig_query q;
	rig_begin(&rig, NULL);
	rig_process_begin(&rig, &b);
	rig_wait_usable(&rig, &b);
	rig_run(&rig, 120); /* A adopts B's epoch */
	rig_wait_usable(&rig, &rig.a);
	rig_fill(&rig, &rig.a, "select 0", "zero");
	cr_assert(rig_hits(&rig, &b, 0, "select 0", "zero"), "B reads what A filled");

	query_ask(&q, &rig, &b, 0, "select 1");
	cr_assert_not(
	    query_wait(&q)); /* B has its tokens; its query sees the old rows */
	rig_commit(&rig, &rig.a, 0, RIG_TAG);
	query_fill(&q, "old");
	query_end(&q);
	rig_run(&rig, 20);
	cr_assert_not(rig_hits(&rig, &rig.a, 0, "select 1", NULL));
	cr_assert_not(rig_hits(&rig, &b, 1, "select 1", NULL));
	rig_process_end(&rig, &b);
	rig_end(&rig);
}

/* The same when the tokens did not exist before. */
Test(store, a_token_created_for_a_fill_does_not_hide_a_commit, .timeout = 60)
{
	struct rig rig;
	struct rig_query q;
	char answer[64];
	rig_begin(&rig, NULL);
	query_ask(&q, &rig, &rig.a, 0, "select 1");
	cr_assert_not(query_wait(&q));
	cr_assert(q.fill.has_tokens, "they were created, and it waited for them");
	rig_commit(&rig, &rig.a, 1, RIG_TAG);
	q.fill.notes.at[0].word++; /* as if the commit were another process's */
	query_fill(&q, "old");
	query_end(&q);
	rig_run(&rig, 20);
	cr_assert_not(rig_hits(&rig, &rig.a, 0, "select 1", NULL));
	redis_server_ask(&rig.redis, "DBSIZE", answer, sizeof(answer));
	cr_assert_str_eq(answer, ":4\r\n", "epoch, two tokens and the entry: %s",
			 answer);
	/* a tag that nobody reads leaves nothing behind */
	rig_commit(&rig, &rig.a, 1, 12345);
	redis_server_ask(&rig.redis, "DBSIZE", answer, sizeof(answer));
	cr_assert_str_eq(answer, ":4\r\n");
	rig_end(&rig);
}

Test(store, wiping_redis_costs_hits_only, .timeout = 60)
{
	struct rig rig;
	char answer[64];
	rig_begin(&rig, NULL);
	rig_fill(&rig, &rig.a, "select 1", "one");
	redis_server_ask(&rig.redis, "FLUSHALL", answer, sizeof(answer));
	cr_assert_not(rig_hits(&rig, &rig.a, 0, "select 1", NULL));
	cr_assert_not(rig_hits(&rig, &rig.a, 1, "select 1", NULL));
	rig_run(&rig, 150);
	rig_wait_usable(&rig, &rig.a);
	rig_fill(&rig, &rig.a, "select 1", "again");
	cr_assert(rig_hits(&rig, &rig.a, 1, "select 1", "again"));
	rig_end(&rig);
}

Test(store, a_hanging_redis_costs_one_time_out, .timeout = 60)
{
	struct rig rig;
	struct rig_query q, second;
	rig_begin(&rig, IMPATIENT);
	rig_fill(&rig, &rig.a, "select 1", "one");
	rig_clear_l1(&rig.a);
	redis_server_signal(&rig.redis, SIGSTOP);
	uint64_t begun = clock_now_ms();
	query_ask(&q, &rig, &rig.a, 0, "select 1");
	query_ask(&second, &rig, &rig.a, 0, "select 2");
	cr_assert_not_null(q.handle);
	cr_assert_not(query_wait(&q));
	cr_assert_not(query_wait(&second));
	uint64_t took = clock_now_ms() - begun;
	cr_assert_geq(took, TIMEOUT_MS - 1);
	cr_assert_leq(took, TIMEOUT_MS + SLACK_MS);
	cr_assert_not(q.fill.has_tokens);
	query_end(&q);
	query_end(&second);
	cr_assert_not(store_has_redis(rig.a.stores[0]));
	query_ask(&q, &rig, &rig.a, 0, "select 1");
	cr_assert_null(q.handle, "the circuit is open");
	query_end(&q);
	cr_assert_eq(metric_get(&rig.a.metrics[0]->redis_circuit_open), 1);
	rig_run(&rig, 100); /* a PING is on its way, too */
	redis_server_signal(&rig.redis, SIGCONT);
	rig_run(&rig, 100);
	rig_wait_usable(&rig, &rig.a);
	/* nothing was lost meanwhile */
	cr_assert(rig_hits(&rig, &rig.a, 0, "select 1", "one"));
	cr_assert_eq(metric_get(&rig.a.metrics[0]->redis_circuit_open), 0);
	rig_end(&rig);
}

/* The SET of a token is executed after all, later than its commit was acknowledged. */
Test(store, a_commit_while_redis_hangs_loses_the_epoch, .timeout = 60)
{
	struct rig rig;
	rig_begin(&rig, IMPATIENT);
	rig_fill(&rig, &rig.a, "select 1", "old");
	redis_server_signal(&rig.redis, SIGSTOP);
	uint64_t took = rig_commit(&rig, &rig.a, 0, RIG_TAG_2 + 1);
	cr_assert_leq(took, TIMEOUT_MS + SLACK_MS);
	/* the second worker has not noticed that Redis hangs, but knows of the loss */
	cr_assert_not(store_has_redis(rig.a.stores[1]));
	took = rig_commit(&rig, &rig.a, 0, RIG_TAG_2 + 1);
	cr_assert_leq(took, SLACK_MS, "the circuit is open: no wait");
	redis_server_signal(&rig.redis, SIGCONT);
	rig_run(&rig, 100);
	rig_wait_usable(&rig, &rig.a);
	cr_assert_not(rig_hits(&rig, &rig.a, 0, "select 1", NULL),
		      "even on another tag");
	cr_assert_not(rig_hits(&rig, &rig.a, 1, "select 1", NULL));
	rig_fill(&rig, &rig.a, "select 1", "new");
	cr_assert(rig_hits(&rig, &rig.a, 1, "select 1", "new"));
	rig_end(&rig);
}

/* Worker 0 knows that Redis hangs and does not even try; worker 1 does not know it. */
Test(store, a_commit_that_skips_redis_loses_the_epoch, .timeout = 60)
{
	struct rig rig;
	struct rig_query q;
	rig_begin(&rig, IMPATIENT);
	rig_fill(&rig, &rig.a, "select 1", "old");
	rig_clear_l1(&rig.a);
	redis_server_signal(&rig.redis, SIGSTOP);
	query_ask(&q, &rig, &rig.a, 0, "select 1");
	cr_assert_not(query_wait(&q));
	query_end(&q);
	cr_assert(store_has_redis(rig.a.stores[1]), "nothing is lost yet");
	cr_assert_leq(rig_commit(&rig, &rig.a, 0, RIG_TAG), SLACK_MS);
	cr_assert_not(store_has_redis(rig.a.stores[1]));
	redis_server_signal(&rig.redis, SIGCONT);
	rig_run(&rig, 100);
	rig_wait_usable(&rig, &rig.a);
	cr_assert_not(rig_hits(&rig, &rig.a, 0, "select 1", NULL));
	cr_assert_not(rig_hits(&rig, &rig.a, 1, "select 1", NULL));
	rig_end(&rig);
}

/* As if two keys had one hash. */
Test(store, the_whole_key_is_compared_in_redis_too, .timeout = 60)
{
	struct rig rig;
	char answer[512];
	char rename[256];
	static char one[64];
	static char two[64];
	rig_begin(&rig, NULL);
	rig_fill(&rig, &rig.a, "select 1", "one");
	rig_fill(&rig, &rig.a, "select 2", "two");
	redis_server_ask(&rig.redis, "KEYS pgrecall:e:*", answer, sizeof(answer));
	cr_assert_eq(sscanf(answer, "*2 $43 %63s $43 %63s", one, two), 2, "%s", answer);
	snprintf(rename, sizeof(rename), "RENAME %s %s", one, two);
	redis_server_ask(&rig.redis, rename, answer, sizeof(answer));
	cr_assert_str_eq(answer, "+OK\r\n");
	cr_assert_not(rig_hits(&rig, &rig.a, 0, "select 1", NULL));
	cr_assert_not(rig_hits(&rig, &rig.a, 0, "select 2", NULL));
	rig_end(&rig);
}

Test(store, without_tokens_only_l1_is_filled, .timeout = 60)
{
	struct rig rig;
	struct rig_query q;
	rig_begin(&rig, NULL);
	query_ask(&q, &rig, &rig.a, 0, "select 1");
	query_wait(&q);
	q.fill.has_tokens = false;
	query_fill(&q, "one");
	struct entry *e = store_get(q.store, &q.key, clock_now_ns());
	cr_assert_not_null(e);
	entry_unref(e);
	query_end(&q);
	rig_run(&rig, 20);
	cr_assert_not(rig_hits(&rig, &rig.a, 0, "select 1", NULL));
	rig_end(&rig);
}

/* Redis comes back with a snapshot from before the commit: entry, tokens and epoch as
 * they were then. */
Test(store, an_old_snapshot_does_not_come_back, .timeout = 60)
{
	struct rig rig;
	char answer[64];
	rig_begin(&rig, NULL);
	rig_fill(&rig, &rig.a, "select 1", "old");
	redis_server_ask(&rig.redis, "SAVE", answer, sizeof(answer));
	cr_assert_str_eq(answer, "+OK\r\n");
	rig_commit(&rig, &rig.a, 0, RIG_TAG);
	redis_server_kill(&rig.redis);
	rig_run(&rig, 30);
	cr_assert_not(store_has_redis(rig.a.stores[0]));
	redis_server_restart(&rig.redis);
	redis_server_ask(&rig.redis, "DBSIZE", answer, sizeof(answer));
	cr_assert_str_eq(answer, ":4\r\n", "the snapshot is there: %s", answer);
	rig_wait_usable(&rig, &rig.a);
	cr_assert_not(rig_hits(&rig, &rig.a, 0, "select 1", NULL));
	cr_assert_not(rig_hits(&rig, &rig.a, 1, "select 1", NULL));
	rig_end(&rig);
}

/* Writes may have happened while no process was there to write tokens. */
Test(store, a_new_process_does_not_trust_what_it_finds, .timeout = 60)
{
	struct rig rig;
	rig_begin(&rig, NULL);
	rig_fill(&rig, &rig.a, "select 1", "old");
	rig_process_end(&rig, &rig.a);
	rig_process_begin(&rig, &rig.a);
	rig_wait_usable(&rig, &rig.a);
	cr_assert_not(rig_hits(&rig, &rig.a, 0, "select 1", NULL));
	rig_end(&rig);
}

Test(store, killed_in_mid_traffic_everybody_is_called_back, .timeout = 60)
{
	enum {
		N = 50
	};
	static struct rig_query q[N];
	struct rig rig;
	rig_begin(&rig, IMPATIENT);
	redis_server_signal(&rig.redis, SIGSTOP);
	uint64_t begun = clock_now_ms();
	for (unsigned i = 0; i < N; i++) {
		query_ask(&q[i], &rig, &rig.a, i % 2, "select 1");
		cr_assert_not_null(q[i].handle);
	}
	redis_server_kill(&rig.redis);
	for (unsigned i = 0; i < N; i++) {
		cr_assert_not(query_wait(&q[i]));
		query_end(&q[i]);
	}
	cr_assert_leq(clock_now_ms() - begun, TIMEOUT_MS + SLACK_MS);
	cr_assert_not(store_tokens(rig.a.stores[0], &(uint64_t){ 1 }, 1, NULL, NULL));
	redis_server_restart(&rig.redis);
	rig_wait_usable(&rig, &rig.a);
	rig_fill(&rig, &rig.a, "select 1", "one");
	cr_assert(rig_hits(&rig, &rig.a, 1, "select 1", "one"));
	rig_end(&rig);
}

Test(store, a_cancelled_look_up_is_not_called_back, .timeout = 60)
{
	struct rig rig;
	struct rig_query q;
	rig_begin(&rig, NULL);
	rig_fill(&rig, &rig.a, "select 1", "one");
	rig_clear_l1(&rig.a);
	query_ask(&q, &rig, &rig.a, 0, "select 1");
	store_fetch_cancel(q.store, q.handle);
	rig_run(&rig, 50);
	cr_assert_eq(q.n_calls, 0);
	query_end(&q);
	rig_end(&rig);
}

Test(store, closing_calls_back_what_waits, .timeout = 60)
{
	struct rig rig;
	struct rig_query q;
	rig_begin(&rig, IMPATIENT);
	redis_server_signal(&rig.redis, SIGSTOP);
	query_ask(&q, &rig, &rig.a, 0, "select 1");
	rig_process_end(&rig, &rig.a);
	cr_assert_eq(q.n_calls, 1);
	cr_assert_null(q.hit);
	query_end(&q);
	rig_process_begin(&rig, &rig.a);
	rig_end(&rig);
}

Test(store, only_so_many_commands_wait, .timeout = 60)
{
	enum {
		N = 6
	};
	struct rig rig;
	struct rig_query q[N];
	rig_begin(&rig, "timeout = 2s\nmax_pending = 4");
	rig_fill(&rig, &rig.a, "select 1", "one");
	rig_clear_l1(&rig.a);
	for (int i = 0; i < N; i++) {
		query_ask(&q[i], &rig, &rig.a, 0, "select 1");
	}
	cr_assert_not_null(q[0].handle);
	cr_assert_null(q[N - 1].handle);
	for (int i = 0; i < N; i++) {
		query_wait(&q[i]);
		query_end(&q[i]);
	}
	/* a commit that does not fit may not be forgotten: it costs the epoch */
	static const uint64_t tags[N] = { 1, 2, 3, 4, 5, 6 };
	cr_assert(rig_hits(&rig, &rig.a, 0, "select 1", "one"));
	cr_assert(store_tokens(rig.a.stores[0], tags, N, (store_tokens_fn)free, NULL));
	rig_run(&rig, 50);
	rig_wait_usable(&rig, &rig.a);
	cr_assert_not(rig_hits(&rig, &rig.a, 0, "select 1", NULL));
	rig_end(&rig);
}

Test(store, an_entry_expires_in_redis, .timeout = 60)
{
	struct rig rig;
	struct rig_query q;
	rig_begin(&rig, NULL);
	query_ask(&q, &rig, &rig.a, 0, "select 1");
	query_wait(&q);
	q.fill.ttl_s = 1;
	query_fill(&q, "one");
	query_end(&q);
	rig_run(&rig, 20);
	cr_assert(rig_hits(&rig, &rig.a, 1, "select 1", "one"));
	rig_run(&rig, 1100);
	cr_assert_not(rig_hits(&rig, &rig.a, 1, "select 1", NULL));
	rig_end(&rig);
}

Test(store, without_redis_there_is_l1, .timeout = 60)
{
	struct rig rig;
	struct rig_query q;
	rig_begin(&rig, NULL);
	redis_server_kill(&rig.redis);
	rig_run(&rig, 50);
	query_ask(&q, &rig, &rig.a, 0, "select 1");
	cr_assert_null(q.handle);
	query_fill(&q, "one");
	struct entry *e = store_get(rig.a.stores[1], &q.key, clock_now_ns());
	cr_assert_not_null(e);
	cr_assert(span_eq_str(entry_value(e), "one"));
	entry_unref(e);
	rig_commit(&rig, &rig.a, 0, RIG_TAG);
	cr_assert_null(store_get(rig.a.stores[1], &q.key, clock_now_ns()));
	query_end(&q);
	rig_end(&rig);
}

static const struct {
	const char *what;
	uint32_t ttl_s;
	uint64_t max_size;
	bool may_store;
	bool moved;
	bool stored;
} put_rows[] = {
	{ "plain", 60, 100, true, false, true },
	{ "no time to live", 0, 100, true, false, false },
	{ "too large", 60, 4, true, false, false },
	{ "just fits", 60, 5, true, false, true },
	{ "in flight when noted", 60, 100, false, false, false },
	{ "moved meanwhile", 60, 100, true, true, false },
};

Test(store, what_is_stored, .timeout = 60)
{
	for (size_t i = 0; i < sizeof(put_rows) / sizeof(put_rows[0]); i++) {
		struct rig rig;
		struct rig_query q;
		rig_begin(&rig, NULL);
		query_ask(&q, &rig, &rig.a, 0, "select 1");
		query_wait(&q);
		q.fill.ttl_s = put_rows[i].ttl_s;
		q.fill.max_size = put_rows[i].max_size;
		q.fill.may_store = put_rows[i].may_store;
		if (put_rows[i].moved) {
			rig_commit(&rig, &rig.a, 0, RIG_TAG);
		}
		query_fill(&q, "value");
		struct entry *e = store_get(q.store, &q.key, clock_now_ns());
		cr_expect_eq(e != NULL, put_rows[i].stored, "%s", put_rows[i].what);
		cr_expect_eq(
		    metric_get(&rig.a.metrics[0]->cache_fills[METRIC_CACHE_L1]),
		    put_rows[i].stored, "%s", put_rows[i].what);
		entry_unref(e);
		query_end(&q);
		rig_run(&rig, 10);
		cr_expect_eq(rig_hits(&rig, &rig.a, 1, "select 1", "value"),
			     put_rows[i].stored, "%s", put_rows[i].what);
		rig_end(&rig);
	}
}

/* Something that speaks on Redis's socket, but is none: each text is sent at once to
 * whoever connects.  It may cost the connection, nothing else. */
static const char *const nonsense[] = {
	"+OK\r\n",
	"+PONG\r\n+PONG\r\n",
	"+PONG\r\n+OK\r\n$-1\r\n",
	"-ERR max number of clients reached\r\n",
	"HTTP/1.1 400 Bad Request\r\n\r\n",
	"$999999999999\r\n",
	"*2\r\n$4\r\nabcd\r\n$4\r\nab",
	"*1000000000\r\n",
	"*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n*3\r\n",
	"",
};

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(fd, 8), 0);
	return fd;
}

Test(store, nonsense_costs_the_connection_only, .timeout = 60)
{
	struct rig rig;
	rig_begin(&rig, NULL);
	redis_server_kill(&rig.redis);
	rig_run(&rig, 20);
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		int listening = listen_at(rig.redis.socket);
		for (int turn = 0; turn < 12; turn++) {
			rig_run(&rig, 10);
			int fd = accept(listening, NULL, NULL);
			if (fd >= 0) {
				(void)!write(fd, nonsense[i], strlen(nonsense[i]));
				rig_run(&rig, 10);
				(void)!write(fd, nonsense[i], strlen(nonsense[i]));
				rig_run(&rig, 10);
				close(fd);
			}
			store_has_redis(rig.a.stores[0]);
		}
		close(listening);
	}
	unlink(rig.redis.socket);
	redis_server_restart(&rig.redis);
	rig_wait_usable(&rig, &rig.a);
	rig_fill(&rig, &rig.a, "select 1", "one");
	cr_assert(rig_hits(&rig, &rig.a, 1, "select 1", "one"));
	rig_end(&rig);
}
