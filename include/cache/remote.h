#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* L2: what the commands to Redis mean.  One per worker; store.h is the only user.
 *
 *   PREFIX e:<32 hex>   an entry, see redis_value.h; named by the hash of its key
 *   PREFIX t:<16 hex>   the token of a tag: 16 hex digits, fresh after each commit
 *   PREFIX epoch        the epoch, see epoch.h: 16 hex digits */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"
#include "cache/redis.h"
#include "cache/store.h"

struct epoch;
struct loop;
struct memory;
struct metrics;
struct remote;
struct versions;

struct remote_options {
	struct redis_options redis;
	uint64_t token_ttl_ms;
	size_t max_value;    /* bytes of a value, unpacked */
	size_t max_key;	     /* bytes of a key, context included */
	size_t compress_min; /* bytes */
};

struct remote_setup {
	struct loop *loop;
	const char *url;
	const char *prefix; /* copied; at most 128 bytes */
	struct epoch *epoch;
	const struct versions *versions;
	struct memory *memory; /* gets what was found */
	struct metrics *metrics;
};

/* 0, -ENOMEM, or -EINVAL for a bad URL or prefix. */
int remote_new(const struct remote_setup *setup, const struct remote_options *options,
	       struct remote **out) MUST_CHECK;
/* Calls back what waits with a miss, then, on a later turn, DONE. */
void remote_close(struct remote *remote, void (*done)(void *arg), void *arg);
void remote_configure(struct remote *remote, const struct remote_options *options);
/* True when a fetch would ask Redis. */
bool remote_is_usable(struct remote *remote);
/* See store_fetch(). */
void *remote_fetch(struct remote *remote, const struct key *key, struct span context,
		   struct store_fill *fill, store_fetch_fn callback, void *arg);
void remote_fetch_cancel(struct remote *remote, void *handle);
/* Stores VALUE under KEY with the tokens of FILL; nobody waits for it. */
void remote_put(struct remote *remote, struct span key, struct span context,
		const struct store_fill *fill, struct span value);
/* See store_tokens(). */
bool remote_tokens(struct remote *remote, const uint64_t *tags, size_t n,
		   store_tokens_fn callback, void *arg);
/* A commit's tokens cannot be written: the epoch is lost. */
void remote_lose(struct remote *remote);
