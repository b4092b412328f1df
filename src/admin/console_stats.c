/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* SHOW STATS and its parts, SHOW TOTALS, SHOW CACHE: what /metrics counts, under
 * PgBouncer's names; times in microseconds.  Averages are over the last full
 * stats_period: the main thread takes a sample at its end. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/sqlstate.h"
#include "cache/store.h"
#include "console_priv.h"

/* In the order of the columns. */
enum stat {
	STAT_ASSIGNMENTS,
	STAT_XACTS,
	STAT_QUERIES,
	STAT_RECEIVED,
	STAT_SENT,
	STAT_XACT_TIME,
	STAT_QUERY_TIME,
	STAT_WAIT_TIME,
	STAT_CLIENT_PARSES,
	STAT_SERVER_PARSES,
	STAT_BINDS,
	STAT_LOGINS,
	STAT_N,
};

#define STATS_DATABASES (METRICS_MAX_DATABASES + 1)

struct console_sample {
	uint64_t at_ns; /* 0: none was taken */
	uint64_t of[STATS_DATABASES][STAT_N];
};

struct console_stats {
	pthread_mutex_t lock;
	struct console_sample older;
	struct console_sample newer;
};

struct console_stats *console_stats_new(void)
{
	struct console_stats *stats = calloc(1, sizeof(*stats));
	if (stats != NULL) {
		pthread_mutex_init(&stats->lock, NULL);
	}
	return stats;
}

void console_stats_free(struct console_stats *stats)
{
	if (stats != NULL) {
		pthread_mutex_destroy(&stats->lock);
		free(stats);
	}
}

struct metrics *console_sum(const struct console *console)
{
	const struct proxy *proxy = console->proxy;
	struct metrics *sum = metrics_new();
	if (sum != NULL) {
		metrics_sum((const struct metrics *const *)proxy->metrics,
			    proxy->n_workers + 1, sum);
	}
	return sum;
}

static uint64_t console_add_up(const _Atomic uint64_t *at, size_t n)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++) {
		sum += metric_get(&at[i]);
	}
	return sum;
}

static void console_stat_row(const struct metrics_db *db, uint64_t out[STAT_N])
{
	uint64_t query_ns = 0;
	for (size_t i = 0; i < METRIC_N_ROUTE; i++) {
		query_ns += metric_get(&db->query_duration[i].sum_ns);
	}
	out[STAT_ASSIGNMENTS] = metric_get(&db->pool_checkouts);
	out[STAT_XACTS] = console_add_up(db->transactions, METRIC_N_OUTCOME);
	out[STAT_QUERIES] = console_add_up(db->queries, METRIC_N_ROUTE);
	out[STAT_RECEIVED] = metric_get(&db->client_received);
	out[STAT_SENT] = metric_get(&db->client_sent);
	out[STAT_XACT_TIME] = metric_get(&db->transaction_duration.sum_ns) / 1000;
	out[STAT_QUERY_TIME] = query_ns / 1000;
	out[STAT_WAIT_TIME] = metric_get(&db->pool_wait.sum_ns) / 1000;
	out[STAT_CLIENT_PARSES] = metric_get(&db->prepared_parses[METRIC_SIDE_CLIENT]);
	out[STAT_SERVER_PARSES] = metric_get(&db->prepared_parses[METRIC_SIDE_SERVER]);
	out[STAT_BINDS] = metric_get(&db->binds);
	out[STAT_LOGINS] = metric_get(&db->client_accepted);
}

static void console_stats_of(const struct metrics *sum,
			     uint64_t out[STATS_DATABASES][STAT_N])
{
	for (size_t i = 0; i < STATS_DATABASES; i++) {
		console_stat_row(&sum->dbs[i], out[i]);
	}
}

void console_stats_tick(struct console *console)
{
	struct console_stats *stats = console->stats;
	struct config *config = proxy_config(console->proxy);
	uint64_t period = config->stats_period_ms * 1000000U;
	uint64_t now = clock_now_ns();
	config_unref(config);
	if (stats->newer.at_ns != 0 && now - stats->newer.at_ns < period) {
		return; /* only this thread writes */
	}
	struct metrics *sum = console_sum(console);
	if (sum == NULL) {
		return;
	}
	pthread_mutex_lock(&stats->lock);
	stats->older = stats->newer;
	stats->newer.at_ns = now;
	console_stats_of(sum, stats->newer.of);
	pthread_mutex_unlock(&stats->lock);
	metrics_free(sum);
}

/* What PgBouncer averages: counts and bytes by second, times by what they are times of.
 */
static void console_averages(struct console *console,
			     uint64_t out[STATS_DATABASES][STAT_N])
{
	struct console_stats *stats = console->stats;
	memset(out, 0, sizeof(uint64_t) * STATS_DATABASES * STAT_N);
	pthread_mutex_lock(&stats->lock);
	uint64_t ms = (stats->newer.at_ns - stats->older.at_ns) / 1000000;
	for (size_t i = 0; i < STATS_DATABASES && stats->older.at_ns != 0 && ms != 0;
	     i++) {
		uint64_t d[STAT_N];
		for (size_t k = 0; k < STAT_N; k++) {
			d[k] = stats->newer.of[i][k] - stats->older.of[i][k];
			out[i][k] = d[k] * 1000 / ms;
		}
		out[i][STAT_XACT_TIME] =
		    d[STAT_XACTS] ? d[STAT_XACT_TIME] / d[STAT_XACTS] : 0;
		out[i][STAT_QUERY_TIME] =
		    d[STAT_QUERIES] ? d[STAT_QUERY_TIME] / d[STAT_QUERIES] : 0;
	}
	pthread_mutex_unlock(&stats->lock);
}

static void console_stat_values(struct console_rows *rows, const uint64_t of[STAT_N])
{
	for (size_t i = 0; i < STAT_N; i++) {
		console_number(rows, of[i]);
	}
}

struct console_stats_view {
	uint64_t totals[STATS_DATABASES][STAT_N];
	uint64_t averages[STATS_DATABASES][STAT_N];
};

static void console_stats_line(struct console_rows *rows, const char *name,
			       const uint64_t *totals, const uint64_t *averages)
{
	console_row(rows);
	console_text(rows, name);
	if (totals != NULL) {
		console_stat_values(rows, totals);
	}
	if (averages != NULL) {
		console_stat_values(rows, averages);
	}
	console_row_end(rows);
}

/* A row for each line of the file, as /metrics has them, and one for what is beyond its
 * limit of databases. */
static enum console_outcome console_stats_show(struct console_job *job, bool has_totals,
					       bool has_averages)
{
	struct console_stats_view *view = malloc(sizeof(*view));
	struct metrics *sum = console_sum(job->console);
	if (view == NULL || sum == NULL) {
		console_fail(job, SQLSTATE_OUT_OF_MEMORY, "out of memory");
	} else {
		console_stats_of(sum, view->totals);
		console_averages(job->console, view->averages);
		struct config *config = proxy_config(job->console->proxy);
		for (size_t i = 0; i < config->n_databases; i++) {
			uint32_t at = config->databases[i].index;
			at = at < METRICS_MAX_DATABASES ? at : METRICS_MAX_DATABASES;
			console_stats_line(&job->rows, config->databases[i].name,
					   has_totals ? view->totals[at] : NULL,
					   has_averages ? view->averages[at] : NULL);
		}
		config_unref(config);
	}
	free(view);
	metrics_free(sum);
	return CONSOLE_DONE;
}

static enum console_outcome console_stats_finish(struct console_job *job)
{
	return console_stats_show(job, true, true);
}

static enum console_outcome console_stats_totals_finish(struct console_job *job)
{
	return console_stats_show(job, true, false);
}

static enum console_outcome console_stats_averages_finish(struct console_job *job)
{
	return console_stats_show(job, false, true);
}

/* SHOW TOTALS: the columns of SHOW STATS as rows, over all databases. */

static enum console_outcome console_totals_finish(struct console_job *job)
{
	struct metrics *sum = console_sum(job->console);
	if (sum == NULL) {
		console_fail(job, SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return CONSOLE_DONE;
	}
	uint64_t total[STAT_N] = { 0 };
	for (size_t i = 0; i < STATS_DATABASES; i++) {
		uint64_t of[STAT_N];
		console_stat_row(&sum->dbs[i], of);
		for (size_t k = 0; k < STAT_N; k++) {
			total[k] += of[k];
		}
	}
	struct console_rows stats;
	console_rows_init(&stats, CONSOLE_TABLE_STATS);
	for (size_t k = 0; k < STAT_N; k++) {
		console_named_number(&job->rows, stats.columns[k + 1].name, total[k]);
	}
	console_rows_fini(&stats);
	metrics_free(sum);
	return CONSOLE_DONE;
}

/* The cache */

static enum console_outcome console_cache_finish(struct console_job *job)
{
	struct console_rows *rows = &job->rows;
	struct metrics *sum = console_sum(job->console);
	if (sum == NULL) {
		console_fail(job, SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return CONSOLE_DONE;
	}
	store_shared_collect(job->console->proxy->store, sum);
	static const struct {
		const char *name;
		unsigned tier;
	} tiers[] = { { "l1", METRIC_CACHE_L1 }, { "redis", METRIC_CACHE_REDIS } };
	console_named_number(rows, "entries",
			     metric_get(&sum->cache_entries[METRIC_MEMORY_L1]));
	console_named_number(rows, "bytes",
			     metric_get(&sum->cache_memory[METRIC_MEMORY_L1]));
	console_named_number(rows, "bytes_max",
			     metric_get(&sum->cache_memory_max[METRIC_MEMORY_L1]));
	for (size_t i = 0; i < ARRAY_LEN(tiers); i++) {
		char name[32];
		snprintf(name, sizeof(name), "%s_lookups", tiers[i].name);
		console_named_number(rows, name,
				     metric_get(&sum->cache_lookups[tiers[i].tier]));
		snprintf(name, sizeof(name), "%s_hits", tiers[i].name);
		console_named_number(rows, name,
				     metric_get(&sum->cache_hits[tiers[i].tier]));
		snprintf(name, sizeof(name), "%s_fills", tiers[i].name);
		console_named_number(rows, name,
				     metric_get(&sum->cache_fills[tiers[i].tier]));
	}
	console_named_number(rows, "bypasses",
			     console_add_up(sum->cache_bypasses, METRIC_N_BYPASS));
	console_named_number(rows, "invalidations",
			     console_add_up(sum->cache_invalidations, METRIC_N_CAUSE));
	console_named_number(rows, "saved_us", metric_get(&sum->cache_saved) / 1000);
	metrics_free(sum);
	return CONSOLE_DONE;
}

const struct console_command console_show_stats = {
	.table = CONSOLE_TABLE_STATS,
	.tag = "SHOW",
	.finish = console_stats_finish,
};
const struct console_command console_show_stats_totals = {
	.table = CONSOLE_TABLE_STATS_TOTALS,
	.tag = "SHOW",
	.finish = console_stats_totals_finish,
};
const struct console_command console_show_stats_averages = {
	.table = CONSOLE_TABLE_STATS_AVERAGES,
	.tag = "SHOW",
	.finish = console_stats_averages_finish,
};
const struct console_command console_show_totals = {
	.table = CONSOLE_TABLE_TOTALS,
	.tag = "SHOW",
	.finish = console_totals_finish,
};
const struct console_command console_show_cache = {
	.table = CONSOLE_TABLE_CACHE,
	.tag = "SHOW",
	.finish = console_cache_finish,
};
