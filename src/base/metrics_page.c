/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The page of /metrics: a loop over the rows, and for each row over its databases or
 * rules and the values of its labels.  Every label set that is known in advance is
 * written, zeros too, because alerts need them. */

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/metrics.h"
#include "base/metrics_table.h"
#include "revision.h"

#define NS_PER_S   1e9
#define MAX_LABELS 5 /* two of the scope, two of the row, and le */

struct metric_label {
	const char *name;
	const char *value;
};

/* One line's worth of labels, while the loops go down. */
struct metrics_page {
	struct buf *out;
	const struct config *config;
	const struct metric_row *row;
	bool openmetrics;
	struct metric_label labels[MAX_LABELS];
	size_t n_labels;
};

static void page_push(struct metrics_page *page, const char *name, const char *value)
{
	require(page->n_labels < MAX_LABELS);
	page->labels[page->n_labels++] = (struct metric_label){ name, value };
}

static void page_pop(struct metrics_page *page, size_t n)
{
	require(page->n_labels >= n);
	while (n-- > 0) {
		page->labels[--page->n_labels] = (struct metric_label){ 0 };
	}
}

static void page_escaped(struct buf *out, const char *text)
{
	for (const char *p = text; *p != 0; p++) {
		if (*p == '\n') {
			buf_append_str(out, "\\n");
		} else {
			if (*p == '\\' || *p == '"') {
				buf_append_u8(out, '\\');
			}
			buf_append_u8(out, (uint8_t)*p);
		}
	}
}

/* `name_suffix{a="b"} `, up to where the number goes. */
static void page_series(struct metrics_page *page, const char *suffix)
{
	buf_append_str(page->out, page->row->name);
	buf_append_str(page->out, suffix);
	for (size_t i = 0; i < page->n_labels; i++) {
		buf_append_u8(page->out, i == 0 ? '{' : ',');
		buf_append_str(page->out, page->labels[i].name);
		buf_append_str(page->out, "=\"");
		page_escaped(page->out, page->labels[i].value);
		buf_append_u8(page->out, '"');
	}
	buf_append_str(page->out, page->n_labels ? "} " : " ");
}

static void page_number(struct metrics_page *page, uint64_t v)
{
	switch (page->row->unit) {
	case METRIC_UNIT_SECONDS:
	case METRIC_UNIT_AGE:
	case METRIC_UNIT_WHEN:
		buf_printf(page->out, "%llu.%09llu\n",
			   (unsigned long long)(v / 1000000000U),
			   (unsigned long long)(v % 1000000000U));
		break;
	case METRIC_UNIT_NONE:
	case METRIC_UNIT_BYTES:
		/* A gauge is read from shards that move meanwhile: an object that goes
		 * from one to another may be counted in neither, and show as -1. */
		if (page->row->type == METRIC_GAUGE) {
			buf_printf(page->out, "%lld\n", (long long)v);
		} else {
			buf_printf(page->out, "%llu\n", (unsigned long long)v);
		}
		break;
	}
}

/* The bound as a number of seconds; OpenMetrics wants a fraction even when it is whole.
 */
static void page_bound(char *le, size_t size, uint64_t bound_ns, bool openmetrics)
{
	bool whole = bound_ns % 1000000000U == 0;
	snprintf(le, size, openmetrics && whole ? "%.1f" : "%.9g",
		 (double)bound_ns / NS_PER_S);
}

static void page_histogram(struct metrics_page *page, const struct histogram *h)
{
	const uint64_t *bounds = page->row->unit == METRIC_UNIT_AGE
				     ? histogram_age_bounds
				     : histogram_latency_bounds;
	uint64_t count = 0;
	bool last = false;
	for (size_t i = 0; !last; i++) {
		char le[32] = "+Inf";
		last = bounds[i] == UINT64_MAX;
		if (!last) {
			page_bound(le, sizeof(le), bounds[i], page->openmetrics);
		}
		count += metric_get(&h->buckets[i]);
		page_push(page, "le", le);
		page_series(page, "_bucket");
		buf_printf(page->out, "%llu\n", (unsigned long long)count);
		page_pop(page, 1);
	}
	page_series(page, "_sum");
	page_number(page, metric_get(&h->sum_ns));
	page_series(page, "_count");
	buf_printf(page->out, "%llu\n", (unsigned long long)count);
}

static void page_value(struct metrics_page *page, const void *base, size_t index)
{
	const char *field = (const char *)base + page->row->offset;
	if (page->row->type == METRIC_HISTOGRAM) {
		page_histogram(page,
			       (const struct histogram *)(const void *)field + index);
	} else {
		page_series(page, "");
		page_number(
		    page,
		    metric_get((const _Atomic uint64_t *)(const void *)field + index));
	}
}

/* Every combination of the row's own labels; BASE is the struct of its scope. */
static void page_values(struct metrics_page *page, const void *base)
{
	const struct metric_labels *a = page->row->labels[0];
	const struct metric_labels *b = page->row->labels[1];
	for (size_t i = 0; i < a->n * b->n; i++) {
		size_t outer = i / b->n;
		size_t n = page->n_labels;
		if (a->name != NULL && strcmp(a->values[outer], "none") == 0) {
			continue; /* the row that stands for no reason at all */
		}
		if (a->name != NULL) {
			page_push(page, a->name, a->values[outer]);
		}
		if (b->name != NULL) {
			page_push(page, b->name, b->values[i % b->n]);
		}
		page_value(page, base, i);
		page_pop(page, page->n_labels - n);
	}
}

/* `host:port`, or the directory of a Unix socket. */
static void page_server_name(const struct config_database *db, struct buf *out)
{
	const char *host = db->host != NULL ? db->host : "local";
	buf_append_str(out, host);
	buf_printf(out, ":%u", db->port);
	buf_append_u8(out, 0);
}

static void page_database(struct metrics_page *page, const struct metrics_db *numbers,
			  const char *name, const struct config_database *db)
{
	struct buf server;
	buf_init(&server, 1024);
	page_push(page, "database", name);
	if (page->row->scope == METRIC_POOL) {
		if (db != NULL) {
			page_server_name(db, &server);
		}
		page_push(page, "server",
			  db != NULL && buf_ok(&server) ? (char *)server.data
							: "other");
	}
	page_values(page, numbers);
	page_pop(page, page->row->scope == METRIC_POOL ? 2 : 1);
	buf_fini(&server);
}

static void page_databases(struct metrics_page *page, const struct metrics *sum)
{
	const struct config *config = page->config;
	bool has_other = false;
	for (size_t i = 0; i < config->n_databases; i++) {
		const struct config_database *db = &config->databases[i];
		if (db->index < METRICS_MAX_DATABASES) {
			page_database(page, &sum->dbs[db->index], db->name, db);
		} else {
			has_other = true;
		}
	}
	/* clients that had no database yet, and those past the budget */
	if (page->row->scope == METRIC_DATABASE || has_other) {
		page_database(page, &sum->dbs[METRICS_MAX_DATABASES], "other", NULL);
	}
}

static void page_rules(struct metrics_page *page, const struct metrics *sum)
{
	const struct config *config = page->config;
	bool has_other = false;
	for (size_t i = 0; i < config->n_rules; i++) {
		const struct config_rule *rule = &config->rules[i];
		if (rule->index >= METRICS_MAX_RULES) {
			has_other = true;
			continue;
		}
		page_push(page, "rule", rule->name);
		page_values(page, &sum->rules[rule->index]);
		page_pop(page, 1);
	}
	if (has_other) {
		page_push(page, "rule", "other");
		page_values(page, &sum->rules[METRICS_MAX_RULES]);
		page_pop(page, 1);
	}
}

/* The Redis without its credentials: what follows `//` and an `@`, up to the next
 * slash. */
static void page_redis(struct metrics_page *page, const struct metrics *sum)
{
	char node[300];
	const char *url = page->config->redis_url;
	if (*url == 0) {
		return;
	}
	const char *host = strstr(url, "//");
	host = host != NULL ? host + 2 : url;
	size_t len = strncmp(url, "unix:", 5) == 0 ? strlen(host) : strcspn(host, "/?");
	const char *at = memrchr(host, '@', len);
	if (at != NULL) {
		len -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	snprintf(node, sizeof(node), "%.*s", (int)(len < 256 ? len : 256), host);
	page_push(page, "node", node);
	page_values(page, sum);
	page_pop(page, 1);
}

static bool page_has_series(const struct metrics_page *page)
{
	return !(page->row->scope == METRIC_REDIS && *page->config->redis_url == 0) &&
	       !(page->row->scope == METRIC_RULE && page->config->n_rules == 0);
}

static const char *page_type(enum metric_type type)
{
	switch (type) {
	case METRIC_COUNTER:
		return "counter";
	case METRIC_HISTOGRAM:
		return "histogram";
	case METRIC_GAUGE:
	case METRIC_MAXIMUM:
		break;
	}
	return "gauge";
}

static const char *page_unit(enum metric_unit unit)
{
	switch (unit) {
	case METRIC_UNIT_BYTES:
		return "bytes";
	case METRIC_UNIT_SECONDS:
	case METRIC_UNIT_AGE:
	case METRIC_UNIT_WHEN:
		return "seconds";
	case METRIC_UNIT_NONE:
		break;
	}
	return NULL;
}

static void page_head(struct metrics_page *page)
{
	const struct metric_row *row = page->row;
	/* in OpenMetrics the family of a counter has no _total, only its samples do */
	size_t len = strlen(row->name);
	if (page->openmetrics && row->type == METRIC_COUNTER) {
		len -= strlen("_total");
	}
	int n = (int)len;
	if (!page->openmetrics) {
		buf_printf(page->out, "# HELP %.*s %s\n", n, row->name, row->help);
	}
	buf_printf(page->out, "# TYPE %.*s %s\n", n, row->name, page_type(row->type));
	if (page->openmetrics) {
		const char *unit = page_unit(row->unit);
		if (unit != NULL) {
			buf_printf(page->out, "# UNIT %.*s %s\n", n, row->name, unit);
		}
		buf_printf(page->out, "# HELP %.*s %s\n", n, row->name, row->help);
	}
}

static void page_build_info(struct metrics_page *page)
{
	static const struct metric_row build_info = {
		.name = "pgrecall_build_info",
		.help =
		    "Constant 1, labelled by version, source revision and compiler.",
		.type = METRIC_GAUGE,
	};
	page->row = &build_info;
	page_head(page);
	page_push(page, "version", PGRECALL_VERSION);
	page_push(page, "revision", PGRECALL_REVISION);
	page_push(page, "cc", __VERSION__);
	page_series(page, "");
	page_number(page, 1);
	page_pop(page, 3);
}

static void page_family(struct metrics_page *page, const struct metrics *sum)
{
	if (!page_has_series(page)) {
		return;
	}
	page_head(page);
	switch (page->row->scope) {
	case METRIC_PROCESS:
		page_values(page, sum);
		break;
	case METRIC_REDIS:
		page_redis(page, sum);
		break;
	case METRIC_DATABASE:
	case METRIC_POOL:
		page_databases(page, sum);
		break;
	case METRIC_RULE:
		page_rules(page, sum);
		break;
	}
}

void metrics_render(const struct metrics *sum, const struct config *config,
		    bool openmetrics, struct buf *out)
{
	require(sum != NULL && config != NULL && out != NULL);
	struct metrics_page page = { .out = out,
				     .config = config,
				     .openmetrics = openmetrics };
	size_t n;
	const struct metric_row *rows = metrics_rows(&n);
	page_build_info(&page);
	for (size_t i = 0; i < n; i++) {
		page.row = &rows[i];
		page_family(&page, sum);
	}
	if (openmetrics) {
		buf_append_str(out, "# EOF\n");
	}
}

const char *metrics_content_type(bool openmetrics)
{
	return openmetrics
		   ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		   : "text/plain; version=0.0.4; charset=utf-8";
}
