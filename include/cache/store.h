#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The one door to the cache: L1 (memory) shared by all workers and L2 (Redis), one
 * connection per worker.  Proxy code calls nothing else under cache/ but keys, versions
 * and entries.
 *
 * Life of a look-up:
 *   store_get()     L1 only, synchronous: the hit path
 *   store_fetch()   L2, asynchronous: one MGET of the entry and its tokens; a hit is
 * also put into L1.  What the tokens were is kept in the store_fill store_put()     the
 * answer of PostgreSQL, into L1 and (when tokens are known) L2 Life of a commit:
 *   versions_begin() each tag; send; answer arrives; store_tokens() when Redis is in
 * use writes new tokens; when it calls back (or gives up after the time-out)
 * versions_end() and the client is told. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"
#include "cache/key.h"
#include "cache/versions.h"

struct config;
struct entry;
struct loop;
struct memory;
struct metrics;
struct store;
struct store_shared;

/* What one miss carries from its look-up to its fill.  Embedded in the query; filled by
 * the caller up to `notes`, the rest by store_fetch(). */
struct store_fill {
	uint64_t hash;
	uint64_t tokens[VERSIONS_MAX_WORDS]; /* per note, from the MGET; 0 missing */
	uint64_t epoch;			     /* from the MGET, with the tokens */
	struct version_notes
	    notes; /* words noted before the query (and the MGET) was sent */
	uint32_t ttl_s;
	uint32_t n_rows;
	uint64_t max_size; /* bytes */
	uint64_t server_ns;
	int16_t rule;
	uint8_t klass;
	bool has_tokens; /* an MGET was answered: may be stored in L2 */
	bool may_store;	 /* no word was in flight when they were noted */
};

/* HIT is NULL on a miss, a failure, a time-out or while Redis is skipped; it carries a
 * reference for the callee.  Called once, never from inside store_fetch(). */
typedef void (*store_fetch_fn)(void *arg, struct entry *hit);
typedef void (*store_tokens_fn)(void *arg);

/* Shared part: made once by main before the workers. */
int store_shared_new(const struct config *config, struct store_shared **out) MUST_CHECK;
void store_shared_free(struct store_shared *shared);
struct memory *store_shared_memory(struct store_shared *shared);
struct versions *store_shared_versions(struct store_shared *shared);
struct key_columns *store_shared_key_columns(struct store_shared *shared);
/* A new configuration was swapped in: the size of L1.  On the main thread. */
void store_shared_reload(struct store_shared *shared, const struct config *config);
/* Something was changed in the database and no token was written for it (a commit with
 * an unknown outcome, DDL done elsewhere): nothing in L2 may be believed any more.
 * Before versions_end(); any thread. */
void store_shared_lose(struct store_shared *shared);
/* Before a scrape: sets what is known of L1 as a whole in the main thread's shard. */
void store_shared_collect(struct store_shared *shared, struct metrics *metrics);

/* Per-worker part: METRICS is the worker's shard, LOOP its loop. */
int store_new(struct store_shared *shared, struct loop *loop,
	      const struct config *config, struct metrics *metrics,
	      struct store **out) MUST_CHECK;
/* Closes the Redis connection; calls back everything that waits with a miss; then DONE.
 */
void store_close(struct store *store, void (*done)(void *arg), void *arg);
/* A new configuration was swapped in: [redis] settings that may change at run time. */
void store_reload(struct store *store, const struct config *config);

/* L1 hit, with a reference for the caller; NULL: miss. */
struct entry *store_get(struct store *store, const struct key *key, uint64_t now_ns);
/* True when store_fetch() would ask Redis (configured, connected, circuit closed). */
bool store_has_redis(const struct store *store);
/* L2 look-up, for at most [redis] timeout.  CONTEXT is the text of the key's context
 * (instead of its id).  KEY is copied.  FILL->notes must have been noted before the
 * call.  Returns a handle for store_fetch_cancel(), or NULL when Redis is skipped, and
 * then CALLBACK is not called. */
void *store_fetch(struct store *store, const struct key *key, struct span context,
		  struct store_fill *fill, store_fetch_fn callback, void *arg);
/* The asker is gone: its callback will not be called, FILL is not touched again. */
void store_fetch_cancel(struct store *store, void *handle);
/* Stores what PostgreSQL answered.  KEY and VALUE are copied.  Nothing is stored when
 * may_store is false, the value is over max_size, or a word has moved meanwhile. */
void store_put(struct store *store, struct span key, struct span context,
	       const struct store_fill *fill, struct span value);
/* Writes a fresh token for each tag, then calls back; at once (false, no callback) when
 * Redis is not configured or not to be reached.  In the second case, and after a
 * failure or time-out, the epoch is lost: L2 is not used again until a new epoch token
 * is written, so that no entry from before can come back.  Either way the caller goes
 * on with versions_end(). */
bool store_tokens(struct store *store, const uint64_t *tags, size_t n,
		  store_tokens_fn callback, void *arg);
/* A commit's tokens cannot be written at all (no memory): the epoch is lost. */
void store_tokens_lost(struct store *store);
