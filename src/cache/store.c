/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* L1 and L2 behind one door.  What makes an answer right is elsewhere: versions.c for
 * L1, remote.c for L2. */

#include "cache/store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/dlist.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache/entry.h"
#include "cache/epoch.h"
#include "cache/memory.h"
#include "cache/remote.h"
#include "net/loop.h"

#define NS_PER_S	  UINT64_C(1000000000)
#define MAX_KEY_RELATIONS 65536
/* Context text and lengths, on top of max_key_size. */
#define MAX_CONTEXT ((size_t)64 << 10)

struct store_shared {
	struct memory *memory;
	struct versions *versions;
	struct key_columns *key_columns;
	struct epoch epoch;
	uint64_t l1_size; /* bytes; main thread */
};

struct store {
	struct memory *memory; /* the shared parts */
	struct versions *versions;
	struct remote *remote; /* NULL: no Redis is configured */
	struct metrics *metrics;
	struct loop *loop;
	struct loop_task end; /* calls DONE when there is no Redis to wait for */
	void (*done)(void *arg);
	void *done_arg;
};

/* The largest power of two up to N. */
static unsigned power_of_two(unsigned n)
{
	unsigned p = 1;
	while (p <= n / 2) {
		p *= 2;
	}
	return p;
}

int store_shared_new(const struct config *config, struct store_shared **out)
{
	struct store_shared *shared = calloc(1, sizeof(*shared));
	if (shared == NULL) {
		return -ENOMEM;
	}
	epoch_init(&shared->epoch);
	shared->l1_size = config->l1_size;
	int r = memory_new(config->l1_size, power_of_two(config->l1_shards),
			   &shared->memory);
	if (r == 0) {
		r = versions_new(config->version_bits, &shared->versions);
	}
	if (r == 0) {
		r = key_columns_new(MAX_KEY_RELATIONS, &shared->key_columns);
	}
	if (r < 0) {
		store_shared_free(shared);
		return r;
	}
	*out = shared;
	return 0;
}

void store_shared_free(struct store_shared *shared)
{
	if (shared == NULL) {
		return;
	}
	memory_free(shared->memory);
	versions_free(shared->versions);
	key_columns_free(shared->key_columns);
	epoch_fini(&shared->epoch);
	free(shared);
}

struct memory *store_shared_memory(struct store_shared *shared)
{
	return shared->memory;
}

struct versions *store_shared_versions(struct store_shared *shared)
{
	return shared->versions;
}

struct key_columns *store_shared_key_columns(struct store_shared *shared)
{
	return shared->key_columns;
}

void store_shared_lose(struct store_shared *shared)
{
	epoch_lose(&shared->epoch);
}

void store_shared_reload(struct store_shared *shared, const struct config *config)
{
	if (config->l1_size != shared->l1_size) {
		shared->l1_size = config->l1_size;
		memory_resize(shared->memory, config->l1_size);
	}
}

void store_shared_collect(struct store_shared *shared, struct metrics *metrics)
{
	struct memory_counts counts;
	memory_counts(shared->memory, &counts);
	metric_set(&metrics->cache_entries[METRIC_MEMORY_L1], counts.entries);
	metric_set(&metrics->cache_memory[METRIC_MEMORY_L1], counts.bytes);
	metric_set(&metrics->cache_memory_max[METRIC_MEMORY_L1], shared->l1_size);
	metric_set(&metrics->cache_evictions[METRIC_MEMORY_L1], counts.evictions);
	metric_set(&metrics->cache_expirations[METRIC_CACHE_L1], counts.expirations);
	metric_set(&metrics->cache_entries_invalidated[METRIC_CAUSE_VERSION],
		   counts.invalidated);
}

/* A token must outlive the entries that carry it, or they would be lost early. */
static uint64_t longest_ttl_ms(const struct config *config)
{
	uint64_t longest = config->ttl_recent_ms;
	const uint64_t others[] = { config->ttl_vector_ms, config->ttl_context_ms,
				    config->ttl_default_ms };
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		longest = others[i] > longest ? others[i] : longest;
	}
	for (size_t i = 0; i < config->n_rules; i++) {
		int64_t ttl = config->rules[i].ttl_ms;
		longest = ttl > 0 && (uint64_t)ttl > longest ? (uint64_t)ttl : longest;
	}
	return longest;
}

static struct remote_options remote_options(const struct config *config)
{
	struct remote_options options = {
		.redis = { .timeout_ms = config->redis_timeout_ms,
			   .retry_ms = config->redis_retry_ms,
			   .max_pending = config->redis_max_pending },
		.token_ttl_ms = 2 * longest_ttl_ms(config),
		.max_value = config->redis_max_value_size,
		.max_key = config->max_key_size + MAX_CONTEXT,
		.compress_min = config->redis_compress_min,
	};
	options.redis.max_reply = options.max_value + 2 * options.max_key;
	return options;
}

static void store_on_end(struct loop_task *task)
{
	struct store *store = container_of(task, struct store, end);
	void (*done)(void *arg) = store->done;
	void *done_arg = store->done_arg;
	free(store);
	if (done != NULL) {
		done(done_arg);
	}
}

static int store_open_remote(struct store *store, struct store_shared *shared,
			     const struct config *config)
{
	struct remote_setup setup = { .loop = store->loop,
				      .url = config->redis_url,
				      .prefix = config->redis_prefix,
				      .epoch = &shared->epoch,
				      .versions = shared->versions,
				      .memory = shared->memory,
				      .metrics = store->metrics };
	struct remote_options options = remote_options(config);
	int r = remote_new(&setup, &options, &store->remote);
	if (r == -EINVAL) {
		log_write(LOG_LEVEL_ERROR, NULL,
			  "[redis] url is not readable: going on without Redis");
		return 0;
	}
	return r;
}

int store_new(struct store_shared *shared, struct loop *loop,
	      const struct config *config, struct metrics *metrics, struct store **out)
{
	struct store *store = calloc(1, sizeof(*store));
	if (store == NULL) {
		return -ENOMEM;
	}
	store->memory = shared->memory;
	store->versions = shared->versions;
	store->metrics = metrics;
	store->loop = loop;
	loop_task_init(&store->end, store_on_end);
	int r =
	    *config->redis_url == '\0' ? 0 : store_open_remote(store, shared, config);
	if (r < 0) {
		free(store);
		return r;
	}
	*out = store;
	return 0;
}

static void store_on_remote_closed(void *arg)
{
	struct store *store = arg;
	store->remote = NULL;
	store_on_end(&store->end);
}

void store_close(struct store *store, void (*done)(void *arg), void *arg)
{
	store->done = done;
	store->done_arg = arg;
	if (store->remote != NULL) {
		remote_close(store->remote, store_on_remote_closed, store);
	} else {
		loop_task_add(store->loop, &store->end);
	}
}

void store_reload(struct store *store, const struct config *config)
{
	if (store->remote != NULL) {
		struct remote_options options = remote_options(config);
		remote_configure(store->remote, &options);
	}
}

struct entry *store_get(struct store *store, const struct key *key, uint64_t now_ns)
{
	struct metrics *metrics = store->metrics;
	struct entry *e = memory_get(store->memory, store->versions, key->hash,
				     buf_span(&key->bytes), now_ns);
	metric_add(&metrics->cache_lookups[METRIC_CACHE_L1], 1);
	if (e != NULL) {
		uint64_t age_ns = now_ns > e->created_ns ? now_ns - e->created_ns : 0;
		metric_add(&metrics->cache_hits[METRIC_CACHE_L1], 1);
		histogram_observe_age(&metrics->cache_entry_age[METRIC_CACHE_L1],
				      age_ns);
		metric_add(&metrics->cache_saved, e->server_ns);
	}
	return e;
}

bool store_has_redis(const struct store *store)
{
	return store->remote != NULL && remote_is_usable(store->remote);
}

static void store_fill_failed(struct store *store, unsigned reason)
{
	metric_add(&store->metrics->cache_fill_failures[METRIC_CACHE_L1][reason], 1);
}

void *store_fetch(struct store *store, const struct key *key, struct span context,
		  struct store_fill *fill, store_fetch_fn callback, void *arg)
{
	fill->has_tokens = false;
	if (store->remote == NULL || !fill->may_store) {
		return NULL;
	}
	return remote_fetch(store->remote, key, context, fill, callback, arg);
}

void store_fetch_cancel(struct store *store, void *handle)
{
	remote_fetch_cancel(store->remote, handle);
}

static void store_put_memory(struct store *store, struct span key,
			     const struct store_fill *fill, struct span value)
{
	struct entry *e = entry_new(key, value, fill->hash);
	if (e == NULL) {
		store_fill_failed(store, METRIC_FILL_MEMORY);
		return;
	}
	e->created_ns = clock_now_ns();
	e->expires_ns = e->created_ns + fill->ttl_s * NS_PER_S;
	e->server_ns = fill->server_ns;
	e->n_rows = fill->n_rows;
	e->rule = fill->rule;
	e->klass = fill->klass;
	e->notes = fill->notes;
	if (memory_put(store->memory, e)) {
		metric_add(&store->metrics->cache_fills[METRIC_CACHE_L1], 1);
	} else {
		store_fill_failed(store, METRIC_FILL_TOO_LARGE);
	}
	entry_unref(e);
}

void store_put(struct store *store, struct span key, struct span context,
	       const struct store_fill *fill, struct span value)
{
	if (!fill->may_store || fill->ttl_s == 0) {
		return;
	}
	if (value.n > fill->max_size) {
		store_fill_failed(store, METRIC_FILL_TOO_LARGE);
		return;
	}
	/* not needed to be right, see versions.c: it saves the memory */
	if (!versions_are_current(store->versions, &fill->notes)) {
		store_fill_failed(store, METRIC_FILL_INVALIDATED);
		return;
	}
	store_put_memory(store, key, fill, value);
	if (store->remote != NULL) {
		remote_put(store->remote, key, context, fill, value);
	}
}

bool store_tokens(struct store *store, const uint64_t *tags, size_t n,
		  store_tokens_fn callback, void *arg)
{
	return store->remote != NULL &&
	       remote_tokens(store->remote, tags, n, callback, arg);
}

void store_tokens_lost(struct store *store)
{
	if (store->remote != NULL) {
		remote_lose(store->remote);
	}
}
