/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/metrics.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics_table.h"

#define CACHE_LINE 64
#define NS_PER_S   UINT64_C(1000000000)

_Static_assert(sizeof(_Atomic uint64_t) == sizeof(uint64_t),
	       "rows are walked by words");
_Static_assert(sizeof(struct histogram) == sizeof(uint64_t) * (HISTOGRAM_BUCKETS + 1),
	       "a histogram is its words");

struct metrics *metrics_new(void)
{
	size_t size =
	    (sizeof(struct metrics) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	struct metrics *metrics = aligned_alloc(CACHE_LINE, size);
	if (metrics != NULL) {
		memset(metrics, 0, size);
	}
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	free(metrics);
}

unsigned metrics_sqlstate(const char *sqlstate)
{
	static const char *const classes[] = { "08", "22", "23", "25",
					       "40", "42", "53", "57" };
	require(sqlstate != NULL);
	for (unsigned i = 0; i < ARRAY_LEN(classes); i++) {
		if (strncmp(sqlstate, classes[i], 2) == 0) {
			return i;
		}
	}
	return METRIC_SQLSTATE_OTHER;
}

unsigned metrics_connect_failure(const char *reason)
{
#define METRIC_TEXT(id, text) text,
	static const char *const reasons[] = { METRIC_CONNECT_FAILURE_VALUES(
	    METRIC_TEXT) };
#undef METRIC_TEXT
	require(reason != NULL);
	for (unsigned i = 0; i < ARRAY_LEN(reasons); i++) {
		if (strcmp(reason, reasons[i]) == 0) {
			return i;
		}
	}
	return METRIC_CONNECT_FATAL;
}

/* Adds the row's numbers in FROM to those in TO: both begin the struct of its scope. */
static void metrics_add_row(const struct metric_row *row, void *to, const void *from)
{
	_Atomic uint64_t *sum = (void *)((char *)to + row->offset);
	const _Atomic uint64_t *part = (const void *)((const char *)from + row->offset);
	size_t n = metric_row_words(row);
	for (size_t i = 0; i < n; i++) {
		uint64_t v = metric_get(&part[i]);
		if (row->type != METRIC_MAXIMUM) {
			metric_add(&sum[i], v);
		} else if (v > metric_get(&sum[i])) {
			metric_set(&sum[i], v);
		}
	}
}

static void metrics_add_shard(const struct metric_row *row, struct metrics *to,
			      const struct metrics *from)
{
	switch (row->scope) {
	case METRIC_PROCESS:
	case METRIC_REDIS:
		metrics_add_row(row, to, from);
		break;
	case METRIC_DATABASE:
	case METRIC_POOL:
		for (size_t i = 0; i < ARRAY_LEN(to->dbs); i++) {
			metrics_add_row(row, &to->dbs[i], &from->dbs[i]);
		}
		break;
	case METRIC_RULE:
		for (size_t i = 0; i < ARRAY_LEN(to->rules); i++) {
			metrics_add_row(row, &to->rules[i], &from->rules[i]);
		}
		break;
	}
}

void metrics_sum(const struct metrics *const *shards, size_t n, struct metrics *out)
{
	require(shards != NULL && out != NULL);
	memset(out, 0, sizeof(*out));
	size_t n_rows;
	const struct metric_row *rows = metrics_rows(&n_rows);
	for (size_t r = 0; r < n_rows; r++) {
		for (size_t i = 0; i < n; i++) {
			metrics_add_shard(&rows[r], out, shards[i]);
		}
	}
}

/* A small file of /proc, whole and with a zero behind it; its length, or 0. */
static size_t metrics_read_proc(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return 0;
	}
	ssize_t n = read(fd, text, size - 1);
	close(fd);
	size_t len = n < 0 ? 0 : (size_t)n;
	text[len] = 0;
	return len;
}

/* Start time of this process, nanoseconds since 1970: the kernel counts it from boot.
 */
static uint64_t metrics_process_start(const char *stat)
{
	/* field 22; the name in field 2 may hold spaces, so counting begins behind it
	 */
	const char *at = strrchr(stat, ')');
	for (int field = 2; at != NULL && field < 22; field++) {
		at = strchr(at + 1, ' ');
	}
	if (at == NULL) {
		return 0;
	}
	uint64_t ticks = strtoull(at, NULL, 10);
	struct timespec boot;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	uint64_t up_ns = (uint64_t)boot.tv_sec * NS_PER_S + (uint64_t)boot.tv_nsec;
	uint64_t since_boot_ns = ticks * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
	return clock_wall_us() * 1000U - up_ns + since_boot_ns;
}

static uint64_t metrics_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	if (dir == NULL) {
		return 0;
	}
	uint64_t n = 0;
	while (readdir(dir) != NULL) {
		n++;
	}
	closedir(dir);
	/* without `.`, `..` and the directory itself */
	return n >= 3 ? n - 3 : 0;
}

static void metrics_collect_process(struct metrics *metrics)
{
	char text[2048];
	struct rusage usage;
	struct rlimit limit;
	if (getrusage(RUSAGE_SELF, &usage) == 0) {
		uint64_t s = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
		uint64_t us =
		    (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
		metric_set(&metrics->cpu_time, s * NS_PER_S + us * 1000U);
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		metric_set(&metrics->max_fds, limit.rlim_cur);
	}
	if (metrics_read_proc("/proc/self/statm", text, sizeof(text)) > 0) {
		char *rest = NULL;
		uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
		metric_set(&metrics->virtual_memory, strtoull(text, &rest, 10) * page);
		metric_set(&metrics->resident_memory, strtoull(rest, NULL, 10) * page);
	}
	if (metric_get(&metrics->process_start_time) == 0 &&
	    metrics_read_proc("/proc/self/stat", text, sizeof(text)) > 0) {
		metric_set(&metrics->process_start_time, metrics_process_start(text));
	}
	metric_set(&metrics->open_fds, metrics_open_fds());
}

void metrics_collect(struct metrics *metrics, const struct config *config)
{
	require(metrics != NULL && config != NULL);
	metrics_collect_process(metrics);
	for (unsigned level = 0; level < LOG_LEVEL_COUNT; level++) {
		metric_set(&metrics->log_messages[level], log_count(level));
	}
	metric_set(&metrics->client_connections_max, config->max_client_conn);
	metric_set(&metrics->cache_memory_max[METRIC_MEMORY_L1], config->l1_size);
	for (size_t i = 0; i < config->n_databases; i++) {
		const struct config_database *db = &config->databases[i];
		struct metrics_db *to = metrics_database(metrics, db->index);
		metric_set(&to->pool_connections_max, db->pool_size);
		metric_set(&to->pool_connections_min, db->min_pool_size);
	}
}
