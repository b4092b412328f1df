#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the files of cache/remote share: remote.c (storing, commits, life) and
 * remote_fetch.c (looking up).  Why an entry is right: remote.c. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/dlist.h"
#include "base/span.h"
#include "cache/keeper.h"
#include "cache/remote.h"
#include "cache/token.h"

struct epoch;
struct memory;
struct metrics;
struct redis;
struct versions;

#define NS_PER_MS UINT64_C(1000000)

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

/* The name of a tag's token in Redis. */
void remote_token_name(const struct remote *remote, uint64_t tag,
		       struct token_name *name);
/* Builds the full key in `material`: the context's text instead of its id.  False over
 * the limit. */
bool remote_material(struct remote *remote, struct span key, struct span context);
/* The entry's name in Redis, of the key in `material`. */
void remote_entry_name(const struct remote *remote, struct token_name *name);
