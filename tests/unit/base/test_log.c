/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Log lines as they are written, the limiter, error places, and state machines. */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"

static int log_pipe[2];

static void capture(void)
{
	unsetenv("JOURNAL_STREAM");
	cr_assert_eq(pipe(log_pipe), 0);
	cr_assert_geq(fcntl(log_pipe[1], F_SETPIPE_SZ, 1 << 20), 0);
	cr_assert_eq(fcntl(log_pipe[0], F_SETFL, O_NONBLOCK), 0);
	log_set_fd_for_test(log_pipe[1]);
}

/* What was written since the last call; good until the next. */
static const char *captured(void)
{
	static char text[300000];
	ssize_t n = read(log_pipe[0], text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = 0;
	return text;
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;
	cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	cr_assert_eq(regexec(&regex, text, 0, NULL, 0), 0, "%s is not like %s", text,
		     pattern);
	regfree(&regex);
}

#define HEAD "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}\\.[0-9]{3} [^ ]+ \\[[0-9]+\\] "

Test(log, line_has_time_pid_prefix_and_level, .init = capture)
{
	log_write(LOG_LEVEL_WARNING, NULL, "%d things", 3);
	assert_matches(captured(), HEAD "WARNING:  3 things\n$");
	log_error("C-12 db/user@1.2.3.4:5", "no");
	assert_matches(captured(), HEAD "C-12 db/user@1\\.2\\.3\\.4:5 ERROR:  no\n$");
	cr_assert_eq(log_count(LOG_LEVEL_WARNING), 1);
	cr_assert_eq(log_count(LOG_LEVEL_ERROR), 1);
	cr_assert_eq(log_count(LOG_LEVEL_INFO), 0);
}

Test(log, level_decides, .init = capture)
{
	log_debug(NULL, "hidden");
	cr_assert_str_empty(captured());
	log_configure(LOG_LEVEL_DEBUG, false);
	log_debug(NULL, "shown");
	assert_matches(captured(), "DEBUG:  shown\n$");
	log_configure(LOG_LEVEL_FATAL, false);
	log_error(NULL, "hidden");
	log_write(LOG_LEVEL_ERROR, NULL, "hidden");
	log_slow_query(NULL, 1, SPAN_LIT("hidden"), span_make(NULL, 0));
	cr_assert_str_empty(captured());
	cr_assert_eq(log_count(LOG_LEVEL_ERROR), 0, "only written lines count");
}

Test(log, strangers_cannot_forge_a_line, .init = capture)
{
	log_info("C-1 a\nFATAL:  b", "x\r\ny\t\x1b[31m\x7f");
	const char *text = captured();
	assert_matches(
	    text,
	    "C-1 a\\\\nFATAL:  b INFO:  x\\\\r\\\\ny\\\\t\\\\x1b\\[31m\\\\x7f\n$");
	cr_assert_eq(strchr(text, '\n'), text + strlen(text) - 1, "one line");
}

Test(log, journal_gets_priority_and_no_time, .init = capture)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_fatal(NULL, "gone");
	cr_assert_str_eq(captured(), "<2>FATAL:  gone\n");
	log_info("C-3", "fine");
	cr_assert_str_eq(captured(), "<6>C-3 INFO:  fine\n");
}

Test(log, json_is_json_whatever_the_bytes, .init = capture)
{
	static const char *const texts[] = { "plain", "quote \" and \\", "new\nline",
					     "caf\xc3\xa9", "broken \xff\xc3" };
	log_configure(LOG_LEVEL_INFO, true);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		log_warning("C-9", "%s", texts[i]);
		const char *line = captured();
		json_error_t error;
		json_t *json = json_loads(line, 0, &error);
		cr_assert_not_null(json, "%s: %s", line, error.text);
		cr_assert_str_eq(json_string_value(json_object_get(json, "level")),
				 "warning");
		cr_assert_str_eq(json_string_value(json_object_get(json, "session")),
				 "C-9");
		cr_assert_eq(json_integer_value(json_object_get(json, "pid")),
			     getpid());
		const char *message =
		    json_string_value(json_object_get(json, "message"));
		cr_assert_str_eq(message, i == 4 ? "broken \\xff\\xc3" : texts[i]);
		json_decref(json);
	}
}

Test(log, long_text_is_cut, .init = capture)
{
	char *text = malloc(3 * LOG_MAX_LINE);
	memset(text, 'a', 3 * LOG_MAX_LINE - 1);
	text[3 * LOG_MAX_LINE - 1] = 0;
	log_info(NULL, "%s", text);
	const char *line = captured();
	assert_matches(line, "aaa\\.\\.\\.\n$");
	cr_assert_lt(strlen(line), LOG_MAX_LINE + 200);
	free(text);
}

Test(log, slow_query_is_written_as_postgresql_does, .init = capture)
{
	log_slow_query("C-1 db/me@h:1", 1234567, SPAN_LIT("SELECT 1\nFROM t"),
		       span_make(NULL, 0));
	assert_matches(captured(), HEAD "C-1 db/me@h:1 LOG:  duration: 1234\\.567 ms  "
					"statement: SELECT 1\\\\nFROM t\n$");
	log_slow_query(NULL, 7, SPAN_LIT("SELECT $1"), SPAN_LIT("$1 = '42'"));
	assert_matches(captured(), "duration: 0\\.007 ms  statement: SELECT \\$1  "
				   "parameters: \\$1 = '42'\n$");
	size_t n = 2 * LOG_MAX_SLOW;
	char *big = malloc(n);
	memset(big, 'q', n);
	log_slow_query(NULL, 1, span_make(big, n), span_make(NULL, 0));
	cr_assert_lt(strlen(captured()), LOG_MAX_SLOW + 200);
	free(big);
}

Test(log, keeps_errno, .init = capture)
{
	errno = EXDEV;
	log_info(NULL, "x");
	cr_assert_eq(errno, EXDEV);
}

static void *log_many(void *arg)
{
	for (int i = 0; i < 200; i++) {
		log_info(NULL, "%s %d end", (const char *)arg, i);
	}
	return NULL;
}

Test(log, lines_of_threads_do_not_mix, .init = capture)
{
	char name[] = "thread";
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++) {
		pthread_create(&threads[i], NULL, log_many, name);
	}
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
	}
	size_t n = 0;
	const char *at = captured();
	for (const char *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		char *line = strndup(at, (size_t)(end - at));
		assert_matches(line, HEAD "INFO:  thread [0-9]+ end$");
		free(line);
		n++;
	}
	cr_assert_eq(n, 800);
	cr_assert_eq(log_count(LOG_LEVEL_INFO), 800);
}

Test(log_limit, passes_once_an_interval)
{
	struct log_limit limit = { .interval_ms = 100 };
	uint64_t suppressed = 99;
	clock_set_for_test(UINT64_C(5000000000));
	cr_assert(log_limit_pass(&limit, &suppressed));
	cr_assert_eq(suppressed, 0);
	cr_assert_not(log_limit_pass(&limit, &suppressed));
	cr_assert_not(log_limit_pass(&limit, &suppressed));
	clock_set_for_test(UINT64_C(5100000000));
	cr_assert(log_limit_pass(&limit, &suppressed));
	cr_assert_eq(suppressed, 2);
	clock_set_for_test(0);
}

static int fails(int r)
{
	return error_trace(r);
}

Test(error, names_the_place_once, .init = capture)
{
	clock_set_for_test(UINT64_C(50000000000));
	cr_assert_eq(fails(0), 0);
	cr_assert_eq(fails(3), 3);
	cr_assert_str_empty(captured());
	cr_assert_eq(fails(-ENOSPC), -ENOSPC);
	assert_matches(captured(),
		       "unexpected error ENOSPC in fails \\(test_log\\.c:[0-9]+\\)\n$");
	fails(-ENOSPC);
	cr_assert_str_empty(captured(), "not again so soon");
	clock_set_for_test(UINT64_C(61000000000));
	fails(-EIO);
	assert_matches(captured(), "EIO");
	clock_set_for_test(0);
	cr_assert_str_eq(error_name(-ENOMEM), "ENOMEM");
	cr_assert_str_eq(error_name(-99999), "EUNKNOWN");
}

enum {
	ST_A,
	ST_B,
	ST_END
};
static const struct machine_state states[] = {
	[ST_A] = { "a", MACHINE_BIT(ST_B) | MACHINE_BIT(ST_END) },
	[ST_B] = { "b", MACHINE_BIT(ST_END) },
	[ST_END] = { "end", 0 },
};

Test(machine, allowed_moves)
{
	unsigned state = ST_A;
	state = machine_move(states, ARRAY_LEN(states), state, ST_B);
	cr_assert_eq(state, ST_B);
	cr_assert(machine_is_in(state, MACHINE_BIT(ST_A) | MACHINE_BIT(ST_B)));
	cr_assert_not(machine_is_in(state, MACHINE_BIT(ST_END)));
	cr_assert_eq(machine_move(states, ARRAY_LEN(states), state, ST_END), ST_END);
}

Test(machine, other_moves_end_the_process, .signal = SIGABRT)
{
	machine_move(states, ARRAY_LEN(states), ST_B, ST_A);
}

Test(machine, unknown_states_end_the_process, .signal = SIGABRT)
{
	machine_move(states, ARRAY_LEN(states), ST_A, 7);
}
