/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/auth_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/dlist.h"
#include "base/map.h"
#include "proxy/users.h"

struct auth_answer {
	atomic_uint refs;
	bool has_user;
	struct user user;
};

struct auth_entry {
	struct dlist link; /* in cache->recent */
	struct span key;   /* owned */
	struct auth_answer
	    *answer;	   /* a reference; NULL: forgotten, which bars older answers */
	uint64_t since_ns; /* asked for, or forgotten */
};

struct auth_cache {
	atomic_bool has_scram; /* this and the next two: of the last user */
	atomic_bool has_plain;
	atomic_uint iterations; /* 0: not known */
	pthread_mutex_t lock;	/* of what follows */
	uint32_t epoch;
	uint64_t cleared_ns;
	struct map map;	     /* struct auth_entry by key */
	struct dlist recent; /* the same, used last first; owned */
};

/* Answers */

int auth_answer_new(struct span name, struct span secret,
		    const uint8_t salt_key[SCRAM_KEY_LEN], uint32_t iterations,
		    struct auth_answer **out)
{
	require(out != NULL);
	struct auth_answer *answer = calloc(1, sizeof(*answer));
	if (answer == NULL) {
		return -ENOMEM;
	}
	atomic_init(&answer->refs, 1);
	answer->has_user = secret.p != NULL;
	int r = 0;
	if (answer->has_user) {
		r = user_init(&answer->user, name, secret, salt_key, iterations);
	}
	if (r != 0) {
		auth_answer_unref(answer);
		return r;
	}
	*out = answer;
	return 0;
}

struct auth_answer *auth_answer_ref(struct auth_answer *answer)
{
	unsigned before = atomic_fetch_add(&answer->refs, 1);
	require(before > 0);
	return answer;
}

void auth_answer_unref(struct auth_answer *answer)
{
	if (answer == NULL || atomic_fetch_sub(&answer->refs, 1) != 1) {
		return;
	}
	if (answer->has_user) {
		user_fini(&answer->user);
	}
	free(answer);
}

const struct user *auth_answer_user(const struct auth_answer *answer)
{
	require(answer != NULL);
	return answer->has_user ? &answer->user : NULL;
}

/* Entries; the caller holds the lock. */

static void entry_drop(struct auth_cache *cache, struct auth_entry *entry)
{
	dlist_remove(&entry->link);
	(void)map_remove(&cache->map, entry->key);
	auth_answer_unref(entry->answer);
	free((void *)(uintptr_t)entry->key.p);
	free(entry);
}

/* Nothing that was asked for until NOW_NS is kept any more. */
static void cache_bar(struct auth_cache *cache, uint64_t now_ns)
{
	cache->cleared_ns = now_ns > cache->cleared_ns ? now_ns : cache->cleared_ns;
}

static void cache_evict(struct auth_cache *cache)
{
	struct auth_entry *entry =
	    container_of(cache->recent.prev, struct auth_entry, link);
	if (entry->answer == NULL) {
		cache_bar(cache, entry->since_ns);
	}
	entry_drop(cache, entry);
}

static struct auth_entry *entry_new(struct auth_cache *cache, struct span key)
{
	if (cache->map.n == cache->map.max) {
		cache_evict(cache);
	}
	struct auth_entry *entry = calloc(1, sizeof(*entry));
	uint8_t *copy = malloc(key.n);
	if (entry == NULL || copy == NULL) {
		free(entry);
		free(copy);
		return NULL;
	}
	memcpy(copy, key.p, key.n);
	entry->key = span_make(copy, key.n);
	dlist_push_head(&cache->recent, &entry->link);
	if (map_put(&cache->map, entry->key, entry) != 0) {
		entry_drop(cache, entry);
		return NULL;
	}
	return entry;
}

/* ANSWER NULL: forgets. */
static void cache_set(struct auth_cache *cache, struct span key,
		      struct auth_answer *answer, uint64_t since_ns)
{
	struct auth_entry *entry = map_get(&cache->map, key);
	if (entry == NULL) {
		entry = entry_new(cache, key);
	}
	if (entry == NULL && answer == NULL) {
		cache_bar(cache, since_ns);
	}
	if (entry == NULL || since_ns <= entry->since_ns) {
		return;
	}
	auth_answer_unref(entry->answer);
	entry->answer = answer != NULL ? auth_answer_ref(answer) : NULL;
	entry->since_ns = since_ns;
}

static void cache_empty(struct auth_cache *cache)
{
	struct dlist *l;
	while ((l = dlist_head(&cache->recent)) != NULL) {
		entry_drop(cache, container_of(l, struct auth_entry, link));
	}
}

/* The cache */

int auth_cache_new(size_t max, struct auth_cache **out)
{
	require(max > 0 && out != NULL);
	struct auth_cache *cache = calloc(1, sizeof(*cache));
	if (cache == NULL) {
		return -ENOMEM;
	}
	atomic_init(&cache->has_scram, true); /* what PostgreSQL makes by default */
	pthread_mutex_init(&cache->lock, NULL);
	map_init(&cache->map, max);
	dlist_init(&cache->recent);
	*out = cache;
	return 0;
}

void auth_cache_free(struct auth_cache *cache)
{
	if (cache == NULL) {
		return;
	}
	cache_empty(cache);
	map_fini(&cache->map);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

struct auth_answer *auth_cache_find(struct auth_cache *cache, uint32_t epoch,
				    struct span key, uint64_t oldest_ns)
{
	require(cache != NULL && key.n > 0);
	struct auth_answer *answer = NULL;
	pthread_mutex_lock(&cache->lock);
	struct auth_entry *entry =
	    epoch == cache->epoch ? map_get(&cache->map, key) : NULL;
	if (entry != NULL && entry->answer != NULL && entry->since_ns >= oldest_ns) {
		answer = auth_answer_ref(entry->answer);
		dlist_remove(&entry->link);
		dlist_push_head(&cache->recent, &entry->link);
	}
	pthread_mutex_unlock(&cache->lock);
	return answer;
}

void auth_cache_put(struct auth_cache *cache, uint32_t epoch, struct span key,
		    struct auth_answer *answer, uint64_t asked_ns)
{
	require(cache != NULL && key.n > 0 && answer != NULL);
	if (answer->has_user && (answer->user.has_secret || answer->user.has_md5)) {
		const struct user *user = &answer->user;
		atomic_store(&cache->has_scram, !user->has_md5);
		atomic_store(&cache->has_plain, user->password != NULL);
		if (user->has_secret) {
			atomic_store(&cache->iterations, user->secret.iterations);
		}
	}
	pthread_mutex_lock(&cache->lock);
	if (epoch == cache->epoch && asked_ns > cache->cleared_ns) {
		cache_set(cache, key, answer, asked_ns);
	}
	pthread_mutex_unlock(&cache->lock);
}

void auth_cache_forget(struct auth_cache *cache, struct span key, uint64_t now_ns)
{
	require(cache != NULL && key.n > 0);
	pthread_mutex_lock(&cache->lock);
	cache_set(cache, key, NULL, now_ns);
	pthread_mutex_unlock(&cache->lock);
}

void auth_cache_clear(struct auth_cache *cache, uint64_t now_ns)
{
	require(cache != NULL);
	pthread_mutex_lock(&cache->lock);
	cache_bar(cache, now_ns);
	cache_empty(cache);
	pthread_mutex_unlock(&cache->lock);
}

void auth_cache_reload(struct auth_cache *cache, uint32_t epoch)
{
	require(cache != NULL);
	pthread_mutex_lock(&cache->lock);
	cache->epoch = epoch;
	cache_empty(cache);
	pthread_mutex_unlock(&cache->lock);
}

bool auth_cache_has_scram(const struct auth_cache *cache)
{
	require(cache != NULL);
	return atomic_load(&cache->has_scram);
}

uint32_t auth_cache_iterations(const struct auth_cache *cache, uint32_t otherwise)
{
	require(cache != NULL);
	unsigned iterations = atomic_load(&cache->iterations);
	return iterations != 0 ? iterations : otherwise;
}

bool auth_cache_has_plain(const struct auth_cache *cache)
{
	require(cache != NULL);
	return atomic_load(&cache->has_plain);
}
