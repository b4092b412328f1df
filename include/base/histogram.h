#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Numbers that one thread writes and others read: a counter and a histogram of
 * durations. There is a single writer, so an addition is a relaxed load and a relaxed
 * store, as cheap as a plain one, and no reader sees a torn word. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS 17 /* the last one is +Inf */

struct histogram {
	_Atomic uint64_t
	    buckets[HISTOGRAM_BUCKETS]; /* observations in each, not cumulated */
	_Atomic uint64_t sum_ns;
};

/* Upper bounds in nanoseconds, UINT64_MAX from the +Inf bucket on. */
extern const uint64_t histogram_latency_bounds[HISTOGRAM_BUCKETS];
extern const uint64_t histogram_age_bounds[HISTOGRAM_BUCKETS];

static inline uint64_t metric_get(const _Atomic uint64_t *metric)
{
	return atomic_load_explicit(metric, memory_order_relaxed);
}

static inline void metric_set(_Atomic uint64_t *metric, uint64_t v)
{
	atomic_store_explicit(metric, v, memory_order_relaxed);
}

static inline void metric_add(_Atomic uint64_t *metric, uint64_t n)
{
	metric_set(metric, metric_get(metric) + n);
}

/* For gauges.  One shard may go below zero when its object ends on another worker: only
 * the sum over the shards means something. */
static inline void metric_sub(_Atomic uint64_t *metric, uint64_t n)
{
	metric_set(metric, metric_get(metric) - n);
}

static inline void histogram_add(struct histogram *h, const uint64_t *bounds,
				 uint64_t ns)
{
	size_t i = 0;
	while (ns > bounds[i]) {
		i++;
	}
	metric_add(&h->buckets[i], 1);
	metric_add(&h->sum_ns, ns);
}

/* A duration, nanoseconds. */
static inline void histogram_observe(struct histogram *h, uint64_t ns)
{
	histogram_add(h, histogram_latency_bounds, ns);
}

/* The age of an entry, nanoseconds. */
static inline void histogram_observe_age(struct histogram *h, uint64_t ns)
{
	histogram_add(h, histogram_age_bounds, ns);
}
