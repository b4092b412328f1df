#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What servers said of users (proxy/auth_query.h): answers by key, each with the moment
 * at which it was asked for.  The newest question wins: an answer that was asked for
 * before something was forgotten, or before a newer answer, is not kept, however late
 * it comes.  So what is forgotten after a change is never brought back by an answer
 * from before it.
 *
 * At most a number of entries; the least recently used go first.  Shared by the
 * workers: any thread may call. */

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"
#include "wire/scram.h"

struct auth_answer;
struct auth_cache;
struct user;

/* What a server said of the user NAME: a SECRET in any form that auth_file knows, or
 * p NULL: there is no such user.  0 and one reference; 1 when the secret is malformed;
 * -ENOMEM or -EIO.  Derives from a plain password as user_init(): milliseconds. */
int auth_answer_new(struct span name, struct span secret,
		    const uint8_t salt_key[SCRAM_KEY_LEN], uint32_t iterations,
		    struct auth_answer **out) MUST_CHECK;
struct auth_answer *auth_answer_ref(struct auth_answer *answer);
/* Wipes the secrets with the last reference; NULL is fine. */
void auth_answer_unref(struct auth_answer *answer);
/* NULL: there is no such user.  Lives as long as the answer. */
const struct user *auth_answer_user(const struct auth_answer *answer);

/* MAX entries, at least 1. */
int auth_cache_new(size_t max, struct auth_cache **out) MUST_CHECK;
void auth_cache_free(struct auth_cache *cache);
/* The answer to KEY, a new reference, or NULL.  EPOCH: of the caller's configuration,
 * see auth_cache_reload(); OLDEST_NS: it must have been asked for at that time or
 * later. */
struct auth_answer *auth_cache_find(struct auth_cache *cache, uint32_t epoch,
				    struct span key, uint64_t oldest_ns);
/* Keeps the answer to a question asked at ASKED_NS (clock_now_ns()), when nothing newer
 * is known.  Takes a reference of its own.  Without memory it is not kept. */
void auth_cache_put(struct auth_cache *cache, uint32_t epoch, struct span key,
		    struct auth_answer *answer, uint64_t asked_ns);
/* At NOW_NS the answer to KEY is not to be trusted any more. */
void auth_cache_forget(struct auth_cache *cache, struct span key, uint64_t now_ns);
/* The same for all. */
void auth_cache_clear(struct auth_cache *cache, uint64_t now_ns);
/* Clears it for a configuration of another epoch.  Who still has another configuration
 * finds nothing and keeps nothing: the same key may mean another server. */
void auth_cache_reload(struct auth_cache *cache, uint32_t epoch);
/* Whether the last user that a server told of has a SCRAM secret only; before that: as
 * if. */
bool auth_cache_has_scram(const struct auth_cache *cache);
/* The iterations of the last SCRAM secret that a server told; OTHERWISE before that. */
uint32_t auth_cache_iterations(const struct auth_cache *cache, uint32_t otherwise);
/* Whether the last user that a server told of has a plain password, from which secrets
 * are derived. */
bool auth_cache_has_plain(const struct auth_cache *cache);
