/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Shards, sums and the page, which promtool must accept. */

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/close_reason.h"
#include "base/config.h"
#include "base/config_errors.h"
#include "base/metrics.h"
#include "base/metrics_table.h"

static struct config *load(const char *text)
{
	struct config *config = NULL;
	struct config_errors errors;
	config_errors_init(&errors);
	cr_assert_eq(config_load_text(span_str(text), NULL, &config, &errors), 0);
	config_errors_fini(&errors);
	return config;
}

static struct config *sample(void)
{
	return load("[pgrecall]\nauth_type = trust\n[redis]\n"
		    "url = redis://user:secret@cache.example:6380/2\n"
		    "[databases]\nchat = host=db.example port=5433\n"
		    "\"odd \\name\" = host=/run/pg\n"
		    "[rule hot]\ntable = messages\n");
}

/* The page as a string, to be freed. */
static char *render(const struct metrics *sum, const struct config *config, bool open)
{
	struct buf out;
	buf_init(&out, 8U << 20);
	metrics_render(sum, config, open, &out);
	buf_append_u8(&out, 0);
	cr_assert(buf_ok(&out));
	return (char *)out.data;
}

static void assert_line(const char *page, const char *line)
{
	size_t n = strlen(line);
	const char *at = page;
	while ((at = strstr(at, line)) != NULL) {
		if ((at == page || at[-1] == '\n') && at[n] == '\n') {
			return;
		}
		at++;
	}
	cr_assert_fail("no line %s", line);
}

Test(histogram, values_fall_into_their_buckets)
{
	static const struct {
		uint64_t ns;
		size_t latency;
		size_t age;
	} cases[] = {
		{ 0, 0, 0 },
		{ 100000, 0, 0 },
		{ 100001, 1, 0 },
		{ UINT64_C(1000000000), 12, 0 },
		{ UINT64_C(1000000001), 13, 1 },
		{ UINT64_C(10000000000), 15, 2 },
		{ UINT64_C(3600000000000), 16, 9 },
		{ UINT64_C(3600000000001), 16, 10 },
		{ UINT64_MAX, 16, 10 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct histogram latency = { 0 };
		struct histogram age = { 0 };
		histogram_observe(&latency, cases[i].ns);
		histogram_observe_age(&age, cases[i].ns);
		cr_assert_eq(metric_get(&latency.buckets[cases[i].latency]), 1);
		cr_assert_eq(metric_get(&age.buckets[cases[i].age]), 1);
		cr_assert_eq(metric_get(&latency.sum_ns), cases[i].ns);
	}
}

Test(metrics, shards_add_up_and_maxima_do_not)
{
	struct metrics *shards[3];
	const struct metrics *all[3];
	struct metrics *sum = metrics_new();
	for (unsigned i = 0; i < 3; i++) {
		shards[i] = metrics_new();
		all[i] = shards[i];
		cr_assert_eq((uintptr_t)shards[i] % 64, 0);
		struct metrics_db *db = metrics_database(shards[i], 7);
		metric_add(&shards[i]->cache_hits[METRIC_CACHE_REDIS], 10 + i);
		metric_add(&shards[i]->cache_fill_failures[1][METRIC_FILL_TIMEOUT], 1);
		metric_set(&db->pool_oldest_wait, i == 1 ? 500 : 3);
		histogram_observe(&db->query_duration[METRIC_ROUTE_MISS], 1000);
		metric_add(&metrics_rule(shards[i], 1000)->rule_hits, 2);
	}
	/* an object that began on one worker and ended on another */
	metric_add(&metrics_database(shards[0], 7)->pool_connections[METRIC_POOL_IDLE],
		   2);
	metric_sub(&metrics_database(shards[1], 7)->pool_connections[METRIC_POOL_IDLE],
		   1);
	metrics_sum(all, 3, sum);
	cr_assert_eq(metric_get(&sum->cache_hits[METRIC_CACHE_REDIS]), 33);
	cr_assert_eq(metric_get(&sum->cache_fill_failures[1][METRIC_FILL_TIMEOUT]), 3);
	cr_assert_eq(metric_get(&sum->dbs[7].pool_oldest_wait), 500);
	cr_assert_eq(metric_get(&sum->dbs[7].pool_connections[METRIC_POOL_IDLE]), 1);
	cr_assert_eq(
	    metric_get(&sum->dbs[7].query_duration[METRIC_ROUTE_MISS].buckets[0]), 3);
	cr_assert_eq(metric_get(&sum->rules[METRICS_MAX_RULES].rule_hits), 6);
	for (unsigned i = 0; i < 3; i++) {
		metrics_free(shards[i]);
	}
	metrics_free(sum);
}

Test(metrics, rows_cover_the_structs)
{
	size_t n;
	size_t words[3] = { 0 };
	const struct metric_row *rows = metrics_rows(&n);
	for (size_t i = 0; i < n; i++) {
		size_t which =
		    rows[i].scope == METRIC_RULE ? 2
		    : rows[i].scope == METRIC_DATABASE || rows[i].scope == METRIC_POOL
			? 1
			: 0;
		words[which] += metric_row_words(&rows[i]);
		for (size_t j = 0; j < i; j++) {
			cr_assert_str_neq(rows[i].name, rows[j].name);
		}
	}
	cr_assert_eq(words[0] * 8, offsetof(struct metrics, rules));
	cr_assert_eq(words[1] * 8, sizeof(struct metrics_db));
	cr_assert_eq(words[2] * 8, sizeof(struct metrics_rule));
}

Test(metrics, page_has_what_was_counted)
{
	struct config *config = sample();
	struct metrics *m = metrics_new();
	struct metrics_db *db = metrics_database(m, config->databases[0].index);
	metrics_collect(m, config);
	metric_add(&db->queries[METRIC_ROUTE_L1_HIT], 5);
	metric_add(&m->cache_bypasses[METRIC_BYPASS_WRITE], 4);
	metric_add(&m->redis_commands[METRIC_COMMAND_GET], 9);
	metric_add(&m->rules[0].rule_hits, 8);
	metric_set(&m->start_time, UINT64_C(1700000000123456789));
	histogram_observe(&db->query_duration[METRIC_ROUTE_L1_HIT], 50000);
	histogram_observe(&db->query_duration[METRIC_ROUTE_L1_HIT],
			  UINT64_C(20000000000));
	server_close_row(SERVER_CLOSE_LIFETIME);
	char *page = render(m, config, false);
	assert_line(page,
		    "pgrecall_queries_total{database=\"chat\",route=\"l1_hit\"} 5");
	assert_line(page, "pgrecall_queries_total{database=\"chat\",route=\"miss\"} 0");
	assert_line(page, "pgrecall_cache_bypasses_total{reason=\"write\"} 4");
	assert_line(page, "pgrecall_redis_commands_total{node=\"cache.example:6380\","
			  "command=\"get\"} 9");
	assert_line(page, "pgrecall_cache_rule_hits_total{rule=\"hot\"} 8");
	assert_line(page, "pgrecall_start_time_seconds 1700000000.123456789");
	assert_line(page, "pgrecall_client_connections_max 5000");
	assert_line(page, "pgrecall_pool_connections_max{database=\"chat\","
			  "server=\"db.example:5433\"} 50");
	assert_line(page, "pgrecall_pool_connections_min{database=\"odd \\\\name\","
			  "server=\"/run/pg:5432\"} 10");
	assert_line(page, "pgrecall_query_duration_seconds_bucket{database=\"chat\","
			  "route=\"l1_hit\",le=\"0.0001\"} 1");
	assert_line(page, "pgrecall_query_duration_seconds_bucket{database=\"chat\","
			  "route=\"l1_hit\",le=\"10\"} 1");
	assert_line(page, "pgrecall_query_duration_seconds_bucket{database=\"chat\","
			  "route=\"l1_hit\",le=\"+Inf\"} 2");
	assert_line(page, "pgrecall_query_duration_seconds_count{database=\"chat\","
			  "route=\"l1_hit\"} 2");
	assert_line(page, "pgrecall_query_duration_seconds_sum{database=\"chat\","
			  "route=\"l1_hit\"} 20.000050000");
	assert_line(page, "# TYPE pgrecall_queries_total counter");
	cr_assert_null(strstr(page, "secret"), "no credentials on the page");
	cr_assert_null(strstr(page, "reason=\"none\""));
	cr_assert_null(strstr(page, "process_resident_memory_bytes 0\n"));
	free(page);
	metrics_free(m);
	config_unref(config);
}

Test(metrics, without_redis_and_rules_they_are_not_shown)
{
	struct config *config = load("[pgrecall]\nauth_type=trust\n[databases]\na=\n");
	struct metrics *m = metrics_new();
	char *page = render(m, config, false);
	cr_assert_null(strstr(page, "pgrecall_redis_up"));
	cr_assert_null(strstr(page, "cache_rule_hits"));
	free(page);
	metrics_free(m);
	config_unref(config);
}

Test(metrics, databases_past_the_budget_fold)
{
	struct buf text;
	buf_init(&text, 1 << 20);
	buf_append_str(&text, "[pgrecall]\nauth_type=trust\n[databases]\n");
	for (int i = 0; i < METRICS_MAX_DATABASES + 3; i++) {
		buf_printf(&text, "d%d =\n", i);
	}
	buf_append_u8(&text, 0);
	struct config *config = load((char *)text.data);
	struct metrics *m = metrics_new();
	metric_add(&metrics_database(m, 51)->client_accepted, 1);
	metric_add(&metrics_database(m, 52)->client_accepted, 1);
	char *page = render(m, config, false);
	assert_line(page,
		    "pgrecall_client_connections_accepted_total{database=\"other\"} 2");
	assert_line(page,
		    "pgrecall_client_connections_accepted_total{database=\"d49\"} 0");
	cr_assert_null(strstr(page, "\"d50\""));
	free(page);
	buf_fini(&text);
	metrics_free(m);
	config_unref(config);
}

Test(metrics, openmetrics_page)
{
	struct config *config = sample();
	struct metrics *m = metrics_new();
	char *page = render(m, config, true);
	assert_line(page, "# TYPE pgrecall_queries counter");
	assert_line(page, "# UNIT pgrecall_client_received_bytes bytes");
	assert_line(page, "pgrecall_queries_total{database=\"chat\",route=\"miss\"} 0");
	cr_assert_not_null(strstr(page, "le=\"10.0\""));
	cr_assert_null(strstr(page, "le=\"10\""));
	cr_assert_null(strstr(page, "\n\n"));
	cr_assert_str_eq(page + strlen(page) - 6, "# EOF\n");
	cr_assert_str_eq(metrics_content_type(true),
			 "application/openmetrics-text; version=1.0.0; charset=utf-8");
	cr_assert_str_eq(metrics_content_type(false),
			 "text/plain; version=0.0.4; charset=utf-8");
	free(page);
	metrics_free(m);
	config_unref(config);
}

Test(metrics, promtool_accepts_the_page)
{
	if (system("command -v promtool >/dev/null") != 0) {
		cr_skip_test("promtool is not installed");
	}
	struct config *config = sample();
	struct metrics *m = metrics_new();
	metrics_collect(m, config);
	char *page = render(m, config, false);
	FILE *promtool = popen("promtool check metrics", "w");
	cr_assert_not_null(promtool);
	cr_assert_eq(fwrite(page, strlen(page), 1, promtool), 1);
	cr_assert_eq(pclose(promtool), 0);
	free(page);
	metrics_free(m);
	config_unref(config);
}

Test(metrics, texts_to_labels)
{
	cr_assert_eq(metrics_sqlstate("42P01"), METRIC_SQLSTATE_42);
	cr_assert_eq(metrics_sqlstate("08006"), METRIC_SQLSTATE_08);
	cr_assert_eq(metrics_sqlstate("XX000"), METRIC_SQLSTATE_OTHER);
	cr_assert_eq(metrics_sqlstate(""), METRIC_SQLSTATE_OTHER);
	cr_assert_eq(metrics_connect_failure("dns"), METRIC_CONNECT_DNS);
	cr_assert_eq(metrics_connect_failure("timeout"), METRIC_CONNECT_TIMEOUT);
	cr_assert_eq(metrics_connect_failure("?"), METRIC_CONNECT_FATAL);
}

static void *count(void *arg)
{
	struct metrics *m = arg;
	for (int i = 0; i < 100000; i++) {
		metric_add(&m->eventloop_iterations, 1);
	}
	return NULL;
}

Test(metrics, is_read_while_written)
{
	struct metrics *m = metrics_new();
	struct metrics *sum = metrics_new();
	const struct metrics *all[] = { m };
	pthread_t thread;
	uint64_t last = 0;
	pthread_create(&thread, NULL, count, m);
	for (int i = 0; i < 20; i++) {
		metrics_sum(all, 1, sum);
		uint64_t now = metric_get(&sum->eventloop_iterations);
		cr_assert_geq(now, last);
		last = now;
	}
	pthread_join(thread, NULL);
	metrics_sum(all, 1, sum);
	cr_assert_eq(metric_get(&sum->eventloop_iterations), 100000);
	metrics_free(m);
	metrics_free(sum);
}

Test(close_reason, rows)
{
	const struct close_reason *row =
	    client_close_row(CLIENT_CLOSE_TOO_MANY_CLIENTS);
	cr_assert_str_eq(row->sqlstate, "53300");
	cr_assert(row->is_rejection);
	cr_assert_eq(row->label, METRIC_REJECTED_MAX_CLIENT_CONN);
	for (unsigned i = 0; i < CLIENT_CLOSE_COUNT; i++) {
		row = client_close_row(i);
		cr_assert(row->sqlstate == NULL || strlen(row->sqlstate) == 5);
		cr_assert_lt(row->label,
			     row->is_rejection ? METRIC_N_REJECTED : METRIC_N_CLOSED);
	}
	for (unsigned i = 0; i < SERVER_CLOSE_COUNT; i++) {
		cr_assert_lt(server_close_row(i)->label, METRIC_N_DISCONNECT);
	}
}
