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
#include "base/dlist.h"
#include "base/metrics.h"
#include "cache/entry.h"
#include "cache/epoch.h"
#include "cache/keeper.h"
#include "cache/memory.h"
#include "cache/redis_value.h"
#include "cache/token.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAX_TOKENS 1024 /* tags of one commit */
#define NS_PER_MS  UINT64_C(1000000)
#define KEEP_BYTES ((size_t)256 << 10) /* of the buffer for values */

struct remote {
	struct redis *redis; /* owned */
	struct epoch *epoch;
	const struct versions *versions;
	struct memory *memory;
	struct metrics *metrics;
	struct remote_options options;
	struct keeper keeper;
	struct token_source tokens;
	struct dlist fetches; /* without an answer */
	struct buf material;  /* full key of the call that runs */
	struct buf value;     /* value being written */
	char prefix[TOKEN_MAX_PREFIX + 1];
	void (*done)(void *arg);
	void *done_arg;
};

/* One look-up: its MGET, and the SETs of tokens that were missing. */
struct fetch {
	struct dlist link;
	struct remote *remote;
	struct store_fill *fill; /* NULL: cancelled */
	store_fetch_fn callback;
	void *arg;
	uint64_t sent_ns;
	uint64_t deadline_ns;
	uint64_t links; /* epoch.links when it was sent */
	uint64_t hash;	/* of the local key */
	size_t key_len;
	size_t material_len;
	size_t n_creating; /* SETs without an answer */
	bool has_failed;   /* one of them was not the first */
	uint8_t bytes[];   /* the local key, then the material */
};

/* One commit's tokens. */
struct commit {
	struct remote *remote;
	store_tokens_fn callback;
	void *arg;
	size_t n_left;
	bool has_failed;
	uint64_t links;
};

static void remote_token_name(const struct remote *remote, uint64_t tag,
			      struct token_name *name)
{
	token_name_set(name, remote->prefix, "t:", &tag, 1);
}

bool remote_is_usable(struct remote *remote)
{
	return keeper_is_usable(&remote->keeper);
}

/* Looking up */

static void fetch_end(struct fetch *f, struct entry *hit)
{
	dlist_remove(&f->link);
	struct remote *remote = f->remote;
	if (hit != NULL) {
		metric_add(&remote->metrics->cache_hits[METRIC_CACHE_REDIS], 1);
		metric_add(&remote->metrics->cache_saved, hit->server_ns);
		if (memory_put(remote->memory, hit)) {
			metric_add(&remote->metrics->cache_fills[METRIC_CACHE_L1], 1);
		}
	}
	if (f->fill != NULL) {
		f->callback(f->arg, hit);
	} else {
		entry_unref(hit);
	}
	free(f);
}

static void fetch_on_created(void *arg, const struct redis_answer *answer)
{
	struct fetch *f = arg;
	if (answer == NULL || answer->kind != REDIS_ANSWER_TEXT) {
		f->has_failed =
		    true; /* nil: somebody else was first; his token is unknown */
	}
	if (--f->n_creating == 0) {
		if (f->fill != NULL) {
			f->fill->has_tokens = !f->has_failed;
		}
		fetch_end(f, NULL);
	}
}

static bool fetch_create_token(struct fetch *f, size_t i)
{
	struct remote *remote = f->remote;
	struct token_name name;
	char text[TOKEN_LEN];
	char ttl[24];
	f->fill->tokens[i] = token_fresh(&remote->tokens);
	remote_token_name(remote, f->fill->notes.at[i].tag, &name);
	token_write(f->fill->tokens[i], text);
	int ttl_len = snprintf(ttl, sizeof(ttl), "%llu",
			       (unsigned long long)remote->options.token_ttl_ms);
	struct span args[6] = {
		SPAN_LIT("SET"), token_name_span(&name), span_make(text, sizeof(text)),
		SPAN_LIT("NX"),	 SPAN_LIT("PX"),	 span_make(ttl, (size_t)ttl_len)
	};
	struct redis_call call = { .command = REDIS_COMMAND_SET,
				   .deadline_ns = f->deadline_ns,
				   .fn = fetch_on_created,
				   .arg = f };
	return redis_send(remote->redis, args, ARRAY_LEN(args), &call);
}

/* Creates the tokens that are missing, and waits for them: the query may only be sent
 * when they are known to be in Redis. */
static void fetch_create_tokens(struct fetch *f)
{
	const struct store_fill *fill = f->fill;
	bool is_late = clock_now_ns() - f->sent_ns > (f->deadline_ns - f->sent_ns) / 2;
	for (size_t i = 0; i < fill->notes.n && !is_late; i++) {
		if (fill->tokens[i] == 0) {
			bool sent = fetch_create_token(f, i);
			f->n_creating += sent ? 1 : 0;
			f->has_failed = f->has_failed || !sent;
		}
	}
	if (f->n_creating == 0) {
		fetch_end(f, NULL);
	}
}

static bool value_has_token(const struct redis_value *v, uint64_t tag, uint64_t token)
{
	for (uint32_t i = 0; i < v->n_tokens; i++) {
		if (v->tokens[i].tag == tag) {
			return v->tokens[i].token == token;
		}
	}
	return false;
}

/* Whether the value found under our key's hash answers our query, now. */
static bool fetch_matches(const struct fetch *f, const struct redis_value *v)
{
	const struct store_fill *fill = f->fill;
	struct span material = span_make(f->bytes + f->key_len, f->material_len);
	if (!span_eq(v->key, material) || v->epoch != fill->epoch ||
	    v->n_tokens != fill->notes.n) {
		return false;
	}
	for (uint32_t i = 0; i < fill->notes.n; i++) {
		if (!value_has_token(v, fill->notes.at[i].tag, fill->tokens[i])) {
			return false;
		}
	}
	return versions_are_current(f->remote->versions, &fill->notes);
}

static struct entry *fetch_entry(const struct fetch *f, struct span bytes)
{
	struct redis_value v;
	if (!redis_value_read(bytes, f->remote->options.max_value, &v) ||
	    !fetch_matches(f, &v)) {
		return NULL;
	}
	uint64_t wall_ms = clock_wall_us() / 1000;
	uint64_t age_ms = wall_ms > v.created_ms ? wall_ms - v.created_ms : 0;
	uint64_t ttl_ms = (uint64_t)v.ttl_s * 1000;
	if (age_ms >= ttl_ms) {
		metric_add(&f->remote->metrics->cache_expirations[METRIC_CACHE_REDIS],
			   1);
		return NULL;
	}
	uint8_t *to = NULL;
	struct entry *e =
	    entry_new_room(span_make(f->bytes, f->key_len), v.raw_len, f->hash, &to);
	if (e == NULL || !redis_value_unpack(&v, to)) {
		entry_unref(e);
		return NULL;
	}
	uint64_t now = clock_now_ns();
	e->created_ns = now > age_ms * NS_PER_MS ? now - age_ms * NS_PER_MS : 0;
	e->expires_ns = now + (ttl_ms - age_ms) * NS_PER_MS;
	e->server_ns = v.server_ns;
	e->n_rows = v.n_rows;
	e->rule = f->fill->rule;
	e->klass = f->fill->klass;
	e->notes = f->fill->notes;
	histogram_observe_age(&f->remote->metrics->cache_entry_age[METRIC_CACHE_REDIS],
			      age_ms * NS_PER_MS);
	return e;
}

/* Reads the tokens into the fill; false when one is not readable. */
static bool fetch_read_tokens(struct fetch *f, const struct span *list,
			      bool *missing_out)
{
	*missing_out = false;
	for (uint32_t i = 0; i < f->fill->notes.n; i++) {
		f->fill->tokens[i] = 0;
		if (list[i].p == NULL) {
			*missing_out = true;
		} else if (!token_parse(list[i], &f->fill->tokens[i])) {
			return false;
		}
	}
	return true;
}

/* The answer of the MGET: entry, epoch, tokens. */
static void fetch_on_answer(void *arg, const struct redis_answer *answer)
{
	struct fetch *f = arg;
	struct remote *remote = f->remote;
	if (f->fill == NULL || answer == NULL || answer->kind != REDIS_ANSWER_LIST ||
	    answer->n_list != f->fill->notes.n + 2) {
		fetch_end(f, NULL);
		return;
	}
	struct epoch_view view = epoch_view(remote->epoch);
	uint64_t epoch = 0;
	bool is_missing = !token_parse(answer->list[1], &epoch);
	bool is_right =
	    keeper_is_right(&remote->keeper, &view) && view.links == f->links;
	if (!is_right || is_missing || epoch != view.value) {
		if (is_right) {
			keeper_tend(&remote->keeper,
				    true); /* finds out what happened */
		}
		fetch_end(f, NULL);
		return;
	}
	f->fill->epoch = epoch;
	bool missing = false;
	if (!fetch_read_tokens(f, answer->list + 2, &missing)) {
		fetch_end(f, NULL);
		return;
	}
	if (missing) {
		fetch_create_tokens(f);
		return;
	}
	f->fill->has_tokens = true;
	struct entry *hit = NULL;
	if (answer->list[0].p != NULL) {
		hit = fetch_entry(f, answer->list[0]);
	}
	fetch_end(f, hit);
}

/* Builds the full key: the context's text instead of its id.  False over the limit. */
static bool remote_material(struct remote *remote, struct span key, struct span context)
{
	require(key.n >= KEY_CONTEXT_LEN);
	buf_reset(&remote->material);
	buf_append_u32(&remote->material, (uint32_t)context.n);
	buf_append_span(&remote->material, context);
	buf_append_span(&remote->material, span_skip(key, KEY_CONTEXT_LEN));
	return buf_ok(&remote->material);
}

static void remote_entry_name(struct remote *remote, struct token_name *name)
{
	XXH128_hash_t h = XXH3_128bits(remote->material.data, remote->material.len);
	uint64_t both[2] = { h.high64, h.low64 };
	token_name_set(name, remote->prefix, "e:", both, 2);
}

static bool fetch_send(struct fetch *f)
{
	struct remote *remote = f->remote;
	const struct version_notes *notes = &f->fill->notes;
	struct token_name names[VERSIONS_MAX_WORDS + 2];
	struct span args[VERSIONS_MAX_WORDS + 3] = { SPAN_LIT("MGET") };
	remote_entry_name(remote, &names[0]);
	token_name_set(&names[1], remote->prefix, "epoch", NULL, 0);
	for (uint32_t i = 0; i < notes->n; i++) {
		remote_token_name(remote, notes->at[i].tag, &names[i + 2]);
	}
	for (uint32_t i = 0; i < notes->n + 2; i++) {
		args[i + 1] = token_name_span(&names[i]);
	}
	struct redis_call call = { .command = REDIS_COMMAND_GET,
				   .deadline_ns = f->deadline_ns,
				   .fn = fetch_on_answer,
				   .arg = f };
	return redis_send(remote->redis, args, notes->n + 3, &call);
}

void *remote_fetch(struct remote *remote, const struct key *key, struct span context,
		   struct store_fill *fill, store_fetch_fn callback, void *arg)
{
	struct span local = buf_span(&key->bytes);
	fill->has_tokens = false;
	if (!remote_is_usable(remote) || !remote_material(remote, local, context)) {
		return NULL;
	}
	size_t material_len = remote->material.len;
	struct fetch *f =
	    malloc(FLEX_SIZE(struct fetch, bytes, local.n + material_len));
	if (f == NULL) {
		return NULL;
	}
	*f = (struct fetch){ .remote = remote,
			     .fill = fill,
			     .callback = callback,
			     .arg = arg,
			     .sent_ns = clock_now_ns(),
			     .links = remote->keeper.confirmed,
			     .hash = key->hash,
			     .key_len = local.n,
			     .material_len = material_len };
	f->deadline_ns = f->sent_ns + remote->options.redis.timeout_ms * NS_PER_MS;
	memcpy(f->bytes, local.p, local.n);
	memcpy(f->bytes + local.n, remote->material.data, material_len);
	dlist_init(&f->link);
	if (!fetch_send(f)) {
		free(f);
		return NULL;
	}
	dlist_push_tail(&remote->fetches, &f->link);
	metric_add(&remote->metrics->cache_lookups[METRIC_CACHE_REDIS], 1);
	return f;
}

void remote_fetch_cancel(struct remote *remote, void *handle)
{
	struct fetch *f = handle;
	require(f->remote == remote && f->fill != NULL);
	f->fill = NULL;
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
