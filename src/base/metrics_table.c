/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/metrics_table.h"

#include "base/metrics.h"

/* One array of values and one struct metric_labels, labels_<SET>, for each set. */
#define METRIC_TEXT(id, text) text,
#define METRIC_LABELS(set, label, list)                                         \
	static const char *const values_##set[] = { list(METRIC_TEXT) };        \
	static const struct metric_labels labels_##set = { label, values_##set, \
							   ARRAY_LEN(values_##set) };
#include "tbl/metric_labels.h"
#undef METRIC_LABELS
#undef METRIC_TEXT

static const char *const bypass_values[] = {
#define BYPASS_REASON(id, label, text) label,
#include "tbl/bypass_reasons.h"
#undef BYPASS_REASON
};
static const struct metric_labels labels_BYPASS = { "reason", bypass_values,
						    METRIC_N_BYPASS };

static const char *const level_values[] = {
#define LOG_LEVEL(id, name, tag, priority) name,
#include "tbl/log_levels.h"
#undef LOG_LEVEL
};
static const struct metric_labels labels_LEVEL = { "level", level_values,
						   METRIC_N_LEVEL };

static const struct metric_labels labels_NONE = { NULL, NULL, 1 };

#define STRUCT_PROCESS	struct metrics
#define STRUCT_REDIS	struct metrics
#define STRUCT_DATABASE struct metrics_db
#define STRUCT_POOL	struct metrics_db
#define STRUCT_RULE	struct metrics_rule

static const struct metric_row rows[] = {
#define METRIC(type_, scope_, field_, l1, l2, unit_, name_, help_) \
	{ .name = (name_),                                         \
	  .help = (help_),                                         \
	  .type = METRIC_##type_,                                  \
	  .scope = METRIC_##scope_,                                \
	  .unit = METRIC_UNIT_##unit_,                             \
	  .offset = offsetof(STRUCT_##scope_, field_),             \
	  .labels = { &labels_##l1, &labels_##l2 } },
#include "tbl/metrics.h"
#undef METRIC
};

const struct metric_row *metrics_rows(size_t *n_out)
{
	require(n_out != NULL);
	*n_out = ARRAY_LEN(rows);
	return rows;
}

size_t metric_row_words(const struct metric_row *row)
{
	require(row != NULL);
	size_t each = row->type == METRIC_HISTOGRAM ? HISTOGRAM_BUCKETS + 1 : 1;
	return row->labels[0]->n * row->labels[1]->n * each;
}
