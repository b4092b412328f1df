/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/histogram.h"

#define MS UINT64_C(1000000) /* nanoseconds */
#define S  (1000 * MS)

/* An L1 hit takes tens of microseconds, a slow query seconds. */
const uint64_t histogram_latency_bounds[HISTOGRAM_BUCKETS] = {
	MS / 10, MS / 4,    MS / 2,  MS,       5 * MS / 2, 5 * MS,
	10 * MS, 25 * MS,   50 * MS, 100 * MS, 250 * MS,   500 * MS,
	S,	 5 * S / 2, 5 * S,   10 * S,   UINT64_MAX,
};

const uint64_t histogram_age_bounds[HISTOGRAM_BUCKETS] = {
	S,	    5 * S,	15 * S,	    30 * S,	60 * S,	    120 * S,
	300 * S,    600 * S,	1800 * S,   3600 * S,	UINT64_MAX, UINT64_MAX,
	UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
};
