/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/upstream/fixture.h"
#include "upstream/asker.h"

struct talk {
	struct loop *loop;
	struct asker *asker;
	struct timer *limit;
	int n_rows;
	int n_done;
	int stop_at; /* answers */
	bool close_at_row;
	bool close_at_done;
	bool ask_again;
	bool is_late;
	int n_heard;
	int n_lost;
	char rows[512];	 /* values, with commas and semicolons */
	char error[256]; /* of the last answer */
};

static void on_limit(void *arg)
{
	struct talk *talk = arg;
	talk->is_late = true;
	loop_stop(talk->loop);
}

static void begin_with(struct talk *talk, const struct connect_options *options,
		       uint32_t timeout_ms)
{
	*talk = (struct talk){ .stop_at = 1 };
	cr_assert_eq(loop_new(4096, &talk->loop), 0);
	cr_assert_eq(asker_new(talk->loop, options, timeout_ms, &talk->asker), 0);
	cr_assert_eq(timer_new(talk->loop, on_limit, talk, &talk->limit), 0);
}

static void begin(struct talk *talk)
{
	struct connect_options options = fixture_options();
	options.application_name = "asker";
	begin_with(talk, &options, 5000);
}

static void end(struct talk *talk)
{
	asker_close(talk->asker);
	timer_close(talk->limit);
	loop_free(talk->loop);
}

static void close_inside(struct talk *talk)
{
	struct asker *asker = talk->asker;
	talk->asker = NULL;
	asker_close(asker);
}

static void on_row(void *arg, const char *const *values, size_t n)
{
	struct talk *talk = arg;
	talk->n_rows++;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(talk->rows);
		(void)snprintf(talk->rows + len, sizeof(talk->rows) - len, "%s%s",
			       values[i] != NULL ? values[i] : "NULL",
			       i + 1 < n ? "," : ";");
	}
	if (talk->close_at_row) {
		close_inside(talk);
	}
}

static void on_done(void *arg, const char *error);

static int ask_for(struct talk *talk, const char *sql)
{
	const struct asker_question question = {
		.sql = sql, .row = on_row, .done = on_done, .arg = talk
	};
	return asker_ask(talk->asker, &question);
}

static void on_done(void *arg, const char *error)
{
	struct talk *talk = arg;
	talk->n_done++;
	(void)snprintf(talk->error, sizeof(talk->error), "%s",
		       error != NULL ? error : "");
	if (talk->close_at_done) {
		talk->close_at_done = false;
		close_inside(talk);
	}
	if (talk->ask_again) {
		talk->ask_again = false;
		cr_assert_eq(ask_for(talk, "SELECT 'again'"), 0);
	}
	if (talk->n_done >= talk->stop_at) {
		loop_stop(talk->loop);
	}
}

static void ask(struct talk *talk, const char *sql)
{
	int n_done = talk->n_done;
	cr_assert_eq(ask_for(talk, sql), 0);
	cr_assert_eq(talk->n_done, n_done, "not inside the call");
}

/* Runs until N more answers have come, at most 15 s. */
static void run(struct talk *talk, int n)
{
	talk->stop_at = talk->n_done + n;
	timer_start(talk->limit, 15000, 0);
	loop_run(talk->loop);
	timer_stop(talk->limit);
	cr_assert_not(talk->is_late);
}

static void expect(struct talk *talk, const char *sql, const char *rows)
{
	talk->rows[0] = '\0';
	ask(talk, sql);
	run(talk, 1);
	cr_assert_str_eq(talk->error, "", "%s: %s", sql, talk->error);
	cr_assert_str_eq(talk->rows, rows);
}

Test(asker, gives_rows, .timeout = 30)
{
	struct talk talk;
	begin(&talk);
	expect(&talk, "SELECT i, NULL, 'x' FROM generate_series(1, 3) i",
	       "1,NULL,x;2,NULL,x;3,NULL,x;");
	expect(&talk, "SELECT 1 WHERE false", "");
	expect(&talk, "SET work_mem = '4MB'", "");
	const char *params[] = { "abc", NULL, "7" };
	talk.rows[0] = '\0';
	const struct asker_question with_params = {
		.sql = "SELECT $1::text, $2::text, $3::int + 1",
		.params = params,
		.n_params = 3,
		.row = on_row,
		.done = on_done,
		.arg = &talk,
	};
	cr_assert_eq(asker_ask(talk.asker, &with_params), 0);
	run(&talk, 1);
	cr_assert_str_eq(talk.rows, "abc,NULL,8;");
	const struct asker_question without_row = { .sql = "SELECT 1",
						    .done = on_done,
						    .arg = &talk };
	cr_assert_eq(asker_ask(talk.asker, &without_row), 0);
	run(&talk, 1);
	end(&talk);
}

Test(asker, sets_its_session, .timeout = 30)
{
	struct talk talk;
	begin(&talk);
	expect(&talk,
	       "SELECT current_setting('search_path'), "
	       "current_setting('statement_timeout'),"
	       " current_setting('default_transaction_read_only'),"
	       " current_setting('client_encoding')",
	       "\"\",5s,on,UTF8;");
	end(&talk);
}

Test(asker, answers_in_order_and_takes_a_limit, .timeout = 30)
{
	struct talk talk;
	begin(&talk);
	for (int i = 0; i < 64; i++) {
		char sql[32];
		(void)snprintf(sql, sizeof(sql), "SELECT %d", i);
		ask(&talk, sql);
	}
	cr_assert_eq(ask_for(&talk, "SELECT 64"), -ENOBUFS);
	run(&talk, 64);
	char expected[512] = "";
	for (int i = 0; i < 64; i++) {
		size_t len = strlen(expected);
		(void)snprintf(expected + len, sizeof(expected) - len, "%d;", i);
	}
	cr_assert_str_eq(talk.rows, expected);
	end(&talk);
}

static const struct {
	const char *sql;
	const char *words;
	const char *sqlstate;
} bad[] = {
	{ "SELECT * FROM no_such_table", "no_such_table", "42P01" },
	{ "SELEC", "syntax error", "42601" },
	{ "SELECT 1/(i - 2) FROM generate_series(1, 3) i", "division by zero",
	  "22012" },
	{ "CREATE TABLE pg_catalog.t ()", "", "25006" },
	{ "CREATE TABLE public.t ()", "read-only", "25006" },
	{ "COPY (SELECT 1) TO STDOUT", "", "" },
	{ "SELECT 1; SELECT 2", "multiple commands", "42601" },
};

Test(asker, goes_on_after_errors, .timeout = 30)
{
	struct talk talk;
	begin(&talk);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ask(&talk, bad[i].sql);
		run(&talk, 1);
		cr_assert_str_neq(talk.error, "", "%s", bad[i].sql);
		cr_assert_not_null(strstr(talk.error, bad[i].words), "%s", talk.error);
		cr_assert_null(strchr(talk.error, '\n'));
		cr_assert_str_eq(asker_sqlstate(talk.asker), bad[i].sqlstate, "%s: %s",
				 bad[i].sql, asker_sqlstate(talk.asker));
		expect(&talk, "SELECT 'fine'", "fine;");
	}
	end(&talk);
}

Test(asker, stops_long_statements, .timeout = 30)
{
	struct connect_options options = fixture_options();
	struct talk talk;
	begin_with(&talk, &options, 200);
	uint64_t begun_ms = clock_now_ms();
	ask(&talk, "SELECT pg_sleep(30)");
	run(&talk, 1);
	cr_assert_not_null(strstr(talk.error, "statement timeout"), "%s", talk.error);
	cr_assert_lt(clock_now_ms() - begun_ms, 5000);
	expect(&talk, "SELECT 'fine'", "fine;");
	end(&talk);
}

/* The server's own limit can be out of reach: it hangs, or the network does. */
Test(asker, gives_up_a_silent_server, .timeout = 30)
{
	struct connect_options options = fixture_options();
	struct talk talk;
	begin_with(&talk, &options, 200);
	expect(&talk, "SELECT pg_catalog.set_config('statement_timeout', '0', false)",
	       "0;");
	ask(&talk, "SELECT pg_sleep(30)");
	run(&talk, 1);
	cr_assert_not_null(strstr(talk.error, "in time"), "%s", talk.error);
	expect(&talk, "SELECT 'fine'", "fine;");
	end(&talk);
}

Test(asker, large_answers_stream, .timeout = 60)
{
	struct talk talk;
	begin(&talk);
	ask(&talk, "SELECT i, repeat('x', 100) FROM generate_series(1, 100000) i");
	run(&talk, 1);
	cr_assert_str_eq(talk.error, "");
	cr_assert_eq(talk.n_rows, 100000);
	end(&talk);
}

#define TERMINATE                                                       \
	"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity" \
	" WHERE application_name = '%s'"

Test(asker, connects_again_when_it_was_idle, .timeout = 30)
{
	struct talk talk;
	struct connect_options options = fixture_options();
	options.application_name = "asker-idle";
	begin_with(&talk, &options, 5000);
	expect(&talk, "SELECT 1", "1;");
	char sql[160];
	(void)snprintf(sql, sizeof(sql), TERMINATE, "asker-idle");
	cr_assert_str_eq(fixture_ask(sql), "1");
	usleep(200000); /* the end has arrived, but the loop has not run */
	expect(&talk, "SELECT 2", "2;");
	end(&talk);
}

static void stop(void *arg)
{
	struct talk *talk = arg;
	loop_stop(talk->loop);
}

static void run_for(struct talk *talk, uint64_t ms)
{
	struct timer *timer = NULL;
	cr_assert_eq(timer_new(talk->loop, stop, talk, &timer), 0);
	timer_start(timer, ms, 0);
	loop_run(talk->loop);
	timer_close(timer);
}

/* The question that was under way is asked once more, and no third time. */
Test(asker, asks_again_only_once, .timeout = 30)
{
	struct talk talk;
	struct connect_options options = fixture_options();
	options.application_name = "asker-busy";
	begin_with(&talk, &options, 20000);
	ask(&talk, "SELECT pg_sleep(10)");
	char sql[160];
	(void)snprintf(sql, sizeof(sql), TERMINATE, "asker-busy");
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(talk.n_done, 0);
		run_for(&talk, 700);
		cr_assert_str_eq(fixture_ask(sql), "1");
	}
	run(&talk, 1);
	cr_assert_not_null(strstr(talk.error, "terminating"), "%s", talk.error);
	expect(&talk, "SELECT 2", "2;");
	end(&talk);
}

Test(asker, tells_that_nobody_is_there_and_backs_off, .timeout = 30)
{
	struct connect_options options = fixture_options();
	options.host = "/nonexistent";
	struct talk talk;
	begin_with(&talk, &options, 1000);
	uint64_t begun_ms = clock_now_ms();
	ask(&talk, "SELECT 1");
	ask(&talk, "SELECT 1");
	run(&talk, 2);
	cr_assert_not_null(strstr(talk.error, "No such file"), "%s", talk.error);
	cr_assert_str_eq(asker_sqlstate(talk.asker), "08001");
	cr_assert_not(asker_is_connected(talk.asker));
	talk.ask_again = true;
	ask(&talk, "SELECT 1");
	run(&talk, 2);
	/* 100 ms before the second attempt, 200 ms before the third */
	cr_assert_geq(clock_now_ms() - begun_ms, 290);
	end(&talk);
}

Test(asker, may_be_asked_in_an_answer, .timeout = 30)
{
	struct talk talk;
	begin(&talk);
	talk.ask_again = true;
	ask(&talk, "SELECT 'first'");
	cr_assert_not(asker_is_connected(talk.asker));
	run(&talk, 2);
	cr_assert(asker_is_connected(talk.asker));
	cr_assert_str_eq(talk.rows, "first;again;");
	end(&talk);
}

Test(asker, tells_those_who_wait_when_it_closes, .timeout = 30)
{
	for (uint64_t ms = 0; ms < 20; ms += 2) {
		struct talk talk;
		begin(&talk);
		talk.stop_at = 10;
		ask(&talk, "SELECT pg_sleep(10)");
		ask(&talk, "SELECT 1");
		if (ms > 0) {
			run_for(&talk, ms);
		}
		close_inside(&talk);
		cr_assert_eq(talk.n_done, 2);
		cr_assert_str_eq(talk.error, "closed");
		end(&talk);
	}
}

Test(asker, may_be_closed_in_a_row_or_an_answer, .timeout = 30)
{
	struct talk talk;
	begin(&talk);
	talk.close_at_row = true;
	ask(&talk, "SELECT generate_series(1, 1000)");
	ask(&talk, "SELECT 1");
	run(&talk, 2);
	cr_assert_eq(talk.n_rows, 1);
	cr_assert_str_eq(talk.error, "closed");
	end(&talk);
	begin(&talk);
	talk.close_at_done = true;
	ask(&talk, "SELECT 1");
	ask(&talk, "SELECT 1");
	run(&talk, 2);
	cr_assert_eq(talk.n_done, 2);
	end(&talk);
}

static void on_heard(void *arg, const char *channel, uint32_t pid, const char *payload)
{
	struct talk *talk = arg;
	talk->n_heard++;
	cr_assert_neq(pid, 0);
	size_t len = strlen(talk->rows);
	(void)snprintf(talk->rows + len, sizeof(talk->rows) - len, "%s=%s;", channel,
		       payload);
	loop_stop(talk->loop);
}

static void on_lost(void *arg, const char *error)
{
	struct talk *talk = arg;
	talk->n_lost++;
	cr_assert_neq(error[0], '\0');
}

Test(asker, hears_notifications, .timeout = 30)
{
	struct talk talk;
	struct talk other;
	begin(&talk);
	begin(&other);
	asker_listen(talk.asker, on_heard, on_lost, &talk);
	cr_assert_not(asker_is_connected(talk.asker));
	expect(&talk, "LISTEN \"a b\"", "");
	cr_assert(asker_is_connected(talk.asker));
	/* with the answer to a question of its own, and without one */
	talk.rows[0] = '\0';
	ask(&talk, "SELECT pg_notify('a b', 'x')");
	run(&talk, 1);
	if (talk.n_heard == 0) {
		run_for(&talk, 5000);
	}
	cr_assert_eq(talk.n_heard, 1);
	cr_assert_str_eq(talk.rows, ";a b=x;");
	expect(&other, "SELECT pg_notify('a b', 'y')", ";");
	run_for(&talk, 5000);
	cr_assert_eq(talk.n_heard, 2);
	cr_assert_str_eq(talk.rows, ";a b=x;a b=y;");
	end(&talk);
	end(&other);
}

Test(asker, tells_that_it_has_lost_its_connection, .timeout = 30)
{
	struct talk talk;
	begin(&talk);
	asker_listen(talk.asker, on_heard, on_lost, &talk);
	expect(&talk, "SELECT 1", "1;");
	ask(&talk, "SELECT pg_terminate_backend(pg_backend_pid())");
	run(&talk, 1);
	int n_lost = talk.n_lost; /* two when it was asked again */
	cr_assert(n_lost == 1 || n_lost == 2);
	expect(&talk, "SELECT 2", "2;");
	cr_assert_eq(talk.n_lost, n_lost);
	end(&talk);
}
