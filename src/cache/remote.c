/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Why an entry from Redis is right.
 *
 * Tokens and epochs are fresh 64-bit random numbers, so a value is in Redis during one
 * unbroken stretch of time: from when it was written until something else was, or until
 * it was evicted, expired or wiped.  It can come back only if Redis goes back to an
 * older state (restart from a snapshot, failover), and then connections break: epoch.h.
 *
 * Let C be a commit that touches tag t, and E an entry on t.
 *   C:  answer of PostgreSQL (C is visible), SET t := fresh, its answer, client is
 * told. E:  M the MGET that reads t's token (or its SET NX, answered), then the query,
 * then SET E with that token.  The token is never taken from after the query was sent.
 *
 * M before C's SET t: the token that E carries is not in Redis after C's SET, for good,
 * whenever SET E itself arrives.  A look-up after C was acknowledged finds another
 * token, or none.  M after C's SET t: the query was sent after C was visible; E has its
 * rows. SET t writes only where a token exists (XX): without one nothing can be valid
 * on t, and one that is created afterwards (NX) belongs to a query that is sent later
 * still.
 *
 * When C's SET t fails, times out or cannot be sent, its outcome does not matter:
 * before the client is told, and before the words of L1 move, a loss is counted
 * (epoch_lose).
 *   - A look-up noted its words before its MGET and compares them after: one that began
 *     before C's versions_begin() and is answered after it is a miss, one answered
 * before it may be a hit, because nobody knows of C yet.
 *   - A look-up that notes its words after C's versions_end() sees the loss, and asks
 * again only when an epoch that was sent after the loss is in Redis.  E carries an
 * older one.  A SET t that arrives late after all only makes a miss.
 *   - An epoch that arrives late, after its time-out, was carried by nobody before;
 * what is filled under it was read after it arrived.
 *   - Commands left in the input of a connection we gave up may be executed later than
 *     those of its successor: a SET E carries the old epoch, a SET t or SET NX makes
 * misses.
 *
 * Between two workers: both compare with the one `value` in struct epoch, so a worker
 * whose connection leads to a Redis that is not in use any more gets misses, and its
 * commits count as lost, until it is confirmed. */

#include "cache/remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "cache/epoch.h"
#include "cache/memory.h"
#include "cache/redis_value.h"
#include "cache/token.h"
#include "remote_priv.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAX_TOKENS 1024		       /* tags of one commit */
#define KEEP_BYTES ((size_t)256 << 10) /* of the buffer for values */

/* One commit's tokens. */
struct commit {
	struct remote *remote;
	store_tokens_fn callback;
	void *arg;
	size_t n_left;
	bool has_failed;
	uint64_t links;
};

void remote_token_name(const struct remote *remote, uint64_t tag,
		       struct token_name *name)
{
	token_name_set(name, remote->prefix, "t:", &tag, 1);
}

bool remote_is_usable(struct remote *remote)
{
	return keeper_is_usable(&remote->keeper);
}

/* Names */

bool remote_material(struct remote *remote, struct span key, struct span context)
{
	require(key.n >= KEY_CONTEXT_LEN);
	buf_reset(&remote->material);
	buf_append_u32(&remote->material, (uint32_t)context.n);
	buf_append_span(&remote->material, context);
	buf_append_span(&remote->material, span_skip(key, KEY_CONTEXT_LEN));
	return buf_ok(&remote->material);
}

void remote_entry_name(const struct remote *remote, struct token_name *name)
{
	XXH128_hash_t h = XXH3_128bits(remote->material.data, remote->material.len);
	uint64_t both[2] = { h.high64, h.low64 };
	token_name_set(name, remote->prefix, "e:", both, 2);
}

/* Storing */

static void remote_on_stored(void *arg, const struct redis_answer *answer)
{
	struct remote *remote = arg;
	struct metrics *metrics = remote->metrics;
	if (answer == NULL) {
		metric_add(&metrics->cache_fill_failures[METRIC_CACHE_REDIS]
							[METRIC_FILL_TIMEOUT],
			   1);
	} else if (answer->kind == REDIS_ANSWER_ERROR) {
		metric_add(&metrics->cache_fill_failures[METRIC_CACHE_REDIS]
							[METRIC_FILL_REDIS_ERROR],
			   1);
	} else {
		metric_add(&metrics->cache_fills[METRIC_CACHE_REDIS], 1);
	}
}

static void remote_fill_failed(struct remote *remote, unsigned reason)
{
	metric_add(&remote->metrics->cache_fill_failures[METRIC_CACHE_REDIS][reason],
		   1);
}

static void remote_value(struct remote *remote, const struct store_fill *fill,
			 struct span value)
{
	struct redis_value v = {
		.epoch = fill->epoch,
		.created_ms = clock_wall_us() / 1000,
		.server_ns = fill->server_ns,
		.n_tokens = fill->notes.n,
		.n_rows = fill->n_rows,
		.ttl_s = fill->ttl_s,
		.klass = fill->klass,
		.key = buf_span(&remote->material),
		.value = value,
	};
	for (uint32_t i = 0; i < fill->notes.n; i++) {
		v.tokens[i] =
		    (struct redis_token){ fill->notes.at[i].tag, fill->tokens[i] };
	}
	buf_reset(&remote->value);
	redis_value_write(&v, remote->options.compress_min, &remote->value);
}

void remote_put(struct remote *remote, struct span key, struct span context,
		const struct store_fill *fill, struct span value)
{
	struct epoch_view view = epoch_view(remote->epoch);
	if (!fill->has_tokens || !keeper_is_right(&remote->keeper, &view) ||
	    fill->epoch != view.value) {
		return;
	}
	if (value.n > remote->options.max_value ||
	    !remote_material(remote, key, context)) {
		remote_fill_failed(remote, METRIC_FILL_TOO_LARGE);
		return;
	}
	remote_value(remote, fill, value);
	struct token_name name;
	char ttl[24];
	remote_entry_name(remote, &name);
	int ttl_len =
	    snprintf(ttl, sizeof(ttl), "%llu", (unsigned long long)fill->ttl_s * 1000);
	struct span args[5] = { SPAN_LIT("SET"), token_name_span(&name),
				buf_span(&remote->value), SPAN_LIT("PX"),
				span_make(ttl, (size_t)ttl_len) };
	struct redis_call call = { .command = REDIS_COMMAND_SET,
				   .fn = remote_on_stored,
				   .arg = remote };
	if (!buf_ok(&remote->value) ||
	    !redis_send(remote->redis, args, ARRAY_LEN(args), &call)) {
		remote_fill_failed(remote, METRIC_FILL_REDIS_ERROR);
	}
	if (remote->value.cap > KEEP_BYTES) {
		buf_fini(&remote->value);
	}
}

/* Commits */

static void commit_on_answer(void *arg, const struct redis_answer *answer)
{
	struct commit *c = arg;
	if (answer == NULL ||
	    (answer->kind != REDIS_ANSWER_TEXT && answer->kind != REDIS_ANSWER_NIL)) {
		c->has_failed = true;
	}
	if (--c->n_left > 0) {
		return;
	}
	struct epoch *epoch = c->remote->epoch;
	if (c->has_failed || epoch_view(epoch).links != c->links) {
		epoch_lose(epoch);
	}
	c->callback(c->arg);
	free(c);
}

static bool commit_send(struct commit *c, uint64_t tag, struct span ttl)
{
	struct remote *remote = c->remote;
	struct token_name name;
	char text[TOKEN_LEN];
	remote_token_name(remote, tag, &name);
	token_write(token_fresh(&remote->tokens), text);
	struct span args[6] = {
		SPAN_LIT("SET"), token_name_span(&name), span_make(text, sizeof(text)),
		SPAN_LIT("XX"),	 SPAN_LIT("PX"),	 ttl
	};
	struct redis_call call = { .command = REDIS_COMMAND_SET,
				   .fn = commit_on_answer,
				   .arg = c };
	return redis_send(remote->redis, args, ARRAY_LEN(args), &call);
}

/* True when at least one SET is under way. */
static bool commit_start(struct commit *c, const uint64_t *tags, size_t n)
{
	char ttl[24];
	int ttl_len = snprintf(ttl, sizeof(ttl), "%llu",
			       (unsigned long long)c->remote->options.token_ttl_ms);
	for (size_t i = 0; i < n && !c->has_failed; i++) {
		if (commit_send(c, tags[i], span_make(ttl, (size_t)ttl_len))) {
			c->n_left++;
		} else {
			c->has_failed =
			    true; /* counted as a loss when the others are in */
		}
	}
	return c->n_left > 0;
}

bool remote_tokens(struct remote *remote, const uint64_t *tags, size_t n,
		   store_tokens_fn callback, void *arg)
{
	if (n == 0) {
		return false;
	}
	struct epoch_view view = epoch_view(remote->epoch);
	struct commit *c = NULL;
	if (redis_is_ready(remote->redis) && remote->keeper.confirmed == view.links &&
	    n <= MAX_TOKENS) {
		c = malloc(sizeof(*c));
	}
	if (c != NULL) {
		*c = (struct commit){ .remote = remote,
				      .callback = callback,
				      .arg = arg,
				      .links = view.links };
		if (commit_start(c, tags, n)) {
			return true;
		}
		free(c);
	}
	epoch_lose(remote->epoch);
	return false;
}

void remote_lose(struct remote *remote)
{
	epoch_lose(remote->epoch);
}

/* Life */

static void remote_on_ready(void *arg, bool is_new_link)
{
	struct remote *remote = arg;
	keeper_ready(&remote->keeper, is_new_link);
}

static const struct redis_events redis_events = { .ready = remote_on_ready };

static void remote_free(struct remote *remote)
{
	keeper_fini(&remote->keeper);
	buf_fini(&remote->material);
	buf_fini(&remote->value);
	free(remote);
}

static int remote_open(struct remote *remote, const struct remote_setup *setup)
{
	size_t prefix_len = strlen(setup->prefix);
	if (prefix_len > TOKEN_MAX_PREFIX) {
		return -EINVAL;
	}
	memcpy(remote->prefix, setup->prefix, prefix_len + 1);
	int r = token_source_init(&remote->tokens);
	if (r < 0) {
		return r;
	}
	remote->keeper = (struct keeper){ .epoch = setup->epoch,
					  .tokens = &remote->tokens,
					  .prefix = remote->prefix };
	r = keeper_init(&remote->keeper, setup->loop);
	if (r < 0) {
		return r;
	}
	struct redis_setup redis_setup = { .loop = setup->loop,
					   .url = setup->url,
					   .events = &redis_events,
					   .arg = remote,
					   .metrics = setup->metrics };
	r = redis_new(&redis_setup, &remote->options.redis, &remote->redis);
	remote->keeper.redis = remote->redis;
	return r;
}

int remote_new(const struct remote_setup *setup, const struct remote_options *options,
	       struct remote **out)
{
	struct remote *remote = calloc(1, sizeof(*remote));
	if (remote == NULL) {
		return -ENOMEM;
	}
	remote->epoch = setup->epoch;
	remote->versions = setup->versions;
	remote->memory = setup->memory;
	remote->metrics = setup->metrics;
	remote->options = *options;
	dlist_init(&remote->fetches);
	buf_init(&remote->material, options->max_key);
	buf_init(&remote->value, options->max_value + 2 * options->max_key);
	int r = remote_open(remote, setup);
	if (r < 0) {
		remote_free(remote);
		return r;
	}
	remote_configure(remote, options);
	*out = remote;
	return 0;
}

void remote_configure(struct remote *remote, const struct remote_options *options)
{
	remote->options = *options;
	remote->material.max = options->max_key;
	remote->value.max = options->max_value + 2 * options->max_key;
	redis_configure(remote->redis, &options->redis);
	keeper_start(&remote->keeper, options->redis.retry_ms);
}

static void remote_on_closed(void *arg)
{
	struct remote *remote = arg;
	void (*done)(void *arg) = remote->done;
	void *done_arg = remote->done_arg;
	require(dlist_is_empty(&remote->fetches));
	remote_free(remote);
	if (done != NULL) {
		done(done_arg);
	}
}

void remote_close(struct remote *remote, void (*done)(void *arg), void *arg)
{
	keeper_stop(&remote->keeper);
	remote->done = done;
	remote->done_arg = arg;
	redis_close(remote->redis, remote_on_closed, remote);
}
