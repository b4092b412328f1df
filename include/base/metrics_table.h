#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The rows of tbl/metrics.h as data: where a family's numbers are in a shard and how
 * they are named.  For the sum, the page and whatever else walks over all families. */

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_MAXIMUM,
	METRIC_HISTOGRAM,
};

enum metric_scope {
	METRIC_PROCESS,
	METRIC_REDIS,
	METRIC_DATABASE,
	METRIC_POOL,
	METRIC_RULE,
};

enum metric_unit {
	METRIC_UNIT_NONE,
	METRIC_UNIT_BYTES,
	METRIC_UNIT_SECONDS, /* held in nanoseconds */
	METRIC_UNIT_AGE,     /* the same, with an entry's buckets */
	METRIC_UNIT_WHEN,    /* nanoseconds since 1970 */
};

/* The values of one label that are known in advance. */
struct metric_labels {
	const char *name;	   /* NULL: no label */
	const char *const *values; /* n of them */
	size_t n;		   /* 1 without a label */
};

struct metric_row {
	const char *name;
	const char *help;
	enum metric_type type;
	enum metric_scope scope;
	enum metric_unit unit;
	size_t offset; /* in struct metrics, metrics_db or metrics_rule, by scope */
	const struct metric_labels *labels[2];
};

/* The rows in the order of the page; *N_OUT of them. */
const struct metric_row *metrics_rows(size_t *n_out);
/* Numbers (8 bytes each) that the row has in its struct. */
size_t metric_row_words(const struct metric_row *row);
