/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "cache/entry.h"
#include "cache/epoch.h"
#include "cache/key.h"
#include "cache/memory.h"
#include "cache/redis_value.h"
#include "cache/remote.h"
#include "cache/store.h"
#include "cache/versions.h"
#include "remote_priv.h"

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
