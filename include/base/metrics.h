#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The numbers of /metrics.  Every thread has a shard of its own, the main thread too; a
 * scrape adds them up.  The families are rows of tbl/metrics.h: members, sums and pages
 * are loops over it.  Code is
 *
 *   metric_add(&metrics->cache_hits[METRIC_CACHE_L1], 1);
 *   struct metrics_db *db = metrics_database(metrics, database->index);
 *   histogram_observe(&db->query_duration[METRIC_ROUTE_MISS], ns);
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/histogram.h"

struct buf;
struct config;

#define METRICS_MAX_DATABASES 50 /* more fold into database="other" */
#define METRICS_MAX_RULES     50 /* more fold into rule="other" */

#define METRIC_ENUM(id, text) METRIC_##id,
#define METRIC_LABELS(set, label, values)          \
	enum {                                     \
		values(METRIC_ENUM) METRIC_N_##set \
	};
#include "tbl/metric_labels.h"
#undef METRIC_LABELS
#undef METRIC_ENUM

/* cache_bypasses is indexed by enum bypass_reason, log_messages by enum log_level. */
enum {
#define BYPASS_REASON(id, label, text) METRIC_BYPASS_##id,
#include "tbl/bypass_reasons.h"
#undef BYPASS_REASON
	METRIC_N_BYPASS,
};
enum {
#define LOG_LEVEL(id, name, tag, priority) METRIC_LEVEL_##id,
#include "tbl/log_levels.h"
#undef LOG_LEVEL
	METRIC_N_LEVEL,
};

#define METRIC_TYPE_COUNTER   _Atomic uint64_t
#define METRIC_TYPE_GAUGE     _Atomic uint64_t
#define METRIC_TYPE_MAXIMUM   _Atomic uint64_t
#define METRIC_TYPE_HISTOGRAM struct histogram

#define METRIC_DIM_NONE
#define METRIC_DIM_ROUTE	   [METRIC_N_ROUTE]
#define METRIC_DIM_CLIENT_STATE	   [METRIC_N_CLIENT_STATE]
#define METRIC_DIM_CLOSED	   [METRIC_N_CLOSED]
#define METRIC_DIM_REJECTED	   [METRIC_N_REJECTED]
#define METRIC_DIM_PIN		   [METRIC_N_PIN]
#define METRIC_DIM_POOL_STATE	   [METRIC_N_POOL_STATE]
#define METRIC_DIM_CONNECT_FAILURE [METRIC_N_CONNECT_FAILURE]
#define METRIC_DIM_DISCONNECT	   [METRIC_N_DISCONNECT]
#define METRIC_DIM_SQLSTATE	   [METRIC_N_SQLSTATE]
#define METRIC_DIM_OUTCOME	   [METRIC_N_OUTCOME]
#define METRIC_DIM_RELAY	   [METRIC_N_RELAY]
#define METRIC_DIM_SIDE		   [METRIC_N_SIDE]
#define METRIC_DIM_CACHE	   [METRIC_N_CACHE]
#define METRIC_DIM_MEMORY	   [METRIC_N_MEMORY]
#define METRIC_DIM_FILL_FAILURE	   [METRIC_N_FILL_FAILURE]
#define METRIC_DIM_CAUSE	   [METRIC_N_CAUSE]
#define METRIC_DIM_COMMAND	   [METRIC_N_COMMAND]
#define METRIC_DIM_REDIS_FAILURE   [METRIC_N_REDIS_FAILURE]
#define METRIC_DIM_MATCH	   [METRIC_N_MATCH]
#define METRIC_DIM_RELOAD	   [METRIC_N_RELOAD]
#define METRIC_DIM_AUTH		   [METRIC_N_AUTH]
#define METRIC_DIM_BYPASS	   [METRIC_N_BYPASS]
#define METRIC_DIM_LEVEL	   [METRIC_N_LEVEL]

#define METRIC_MEMBER(type, field, l1, l2) \
	METRIC_TYPE_##type field METRIC_DIM_##l1 METRIC_DIM_##l2;

/* Which struct a scope's members are in. */
#define METRIC_IN_DB_PROCESS(...)
#define METRIC_IN_DB_REDIS(...)
#define METRIC_IN_DB_RULE(...)
#define METRIC_IN_DB_DATABASE(...) METRIC_MEMBER(__VA_ARGS__)
#define METRIC_IN_DB_POOL(...)	   METRIC_MEMBER(__VA_ARGS__)
#define METRIC_IN_RULE_PROCESS(...)
#define METRIC_IN_RULE_REDIS(...)
#define METRIC_IN_RULE_RULE(...) METRIC_MEMBER(__VA_ARGS__)
#define METRIC_IN_RULE_DATABASE(...)
#define METRIC_IN_RULE_POOL(...)
#define METRIC_IN_PROCESS_PROCESS(...) METRIC_MEMBER(__VA_ARGS__)
#define METRIC_IN_PROCESS_REDIS(...)   METRIC_MEMBER(__VA_ARGS__)
#define METRIC_IN_PROCESS_RULE(...)
#define METRIC_IN_PROCESS_DATABASE(...)
#define METRIC_IN_PROCESS_POOL(...)

struct metrics_db {
#define METRIC(type, scope, field, l1, l2, unit, name, help) \
	METRIC_IN_DB_##scope(type, field, l1, l2)
#include "tbl/metrics.h"
#undef METRIC
};

struct metrics_rule {
#define METRIC(type, scope, field, l1, l2, unit, name, help) \
	METRIC_IN_RULE_##scope(type, field, l1, l2)
#include "tbl/metrics.h"
#undef METRIC
};

/* One thread's shard: written by that thread only. */
struct metrics {
#define METRIC(type, scope, field, l1, l2, unit, name, help) \
	METRIC_IN_PROCESS_##scope(type, field, l1, l2)
#include "tbl/metrics.h"
#undef METRIC
	struct metrics_rule rules[METRICS_MAX_RULES + 1]; /* the last one is "other" */
	struct metrics_db dbs[METRICS_MAX_DATABASES + 1]; /* the last one is "other" */
};

/* A shard of zeros on cache lines of its own; NULL without memory. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* The part for a database; INDEX is config_database.index.  Clients whose database is
 * not known yet (or does not exist) count as METRICS_MAX_DATABASES. */
static inline struct metrics_db *metrics_database(struct metrics *metrics,
						  uint32_t index)
{
	return &metrics->dbs[index < METRICS_MAX_DATABASES ? index
							   : METRICS_MAX_DATABASES];
}

/* The part for a rule; INDEX is config_rule.index. */
static inline struct metrics_rule *metrics_rule(struct metrics *metrics, uint32_t index)
{
	return &metrics->rules[index < METRICS_MAX_RULES ? index : METRICS_MAX_RULES];
}

/* Which METRIC_SQLSTATE_ a five-letter SQLSTATE counts as. */
unsigned metrics_sqlstate(const char *sqlstate);
/* Which METRIC_CONNECT_ a struct connect_error's reason counts as. */
unsigned metrics_connect_failure(const char *reason);

/* Sets *OUT to the sum of N shards (the maximum, for rows of type MAXIMUM). */
void metrics_sum(const struct metrics *const *shards, size_t n, struct metrics *out);
/* Sets what the process itself knows: CPU, memory, descriptors, log lines, and what the
 * configuration says.  Into the main thread's shard, before a scrape. */
void metrics_collect(struct metrics *metrics, const struct config *config);
/* Appends the page.  CONFIG has the names of databases, servers, rules and of the
 * Redis. OPENMETRICS: 1.0 instead of Prometheus text 0.0.4. */
void metrics_render(const struct metrics *sum, const struct config *config,
		    bool openmetrics, struct buf *out);
/* The Content-Type of the page. */
const char *metrics_content_type(bool openmetrics);
