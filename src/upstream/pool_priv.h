#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the files of upstream/pool share. */

#include <stdbool.h>
#include <stdint.h>

#include "base/dlist.h"

struct connect;
struct metrics_db;
struct pool;
struct pool_error;
struct server;

struct pool_attempt { /* one connect under way */
	struct dlist link;
	struct pool *pool;
	struct connect *connect;
	uint64_t begun_ns;
	uint64_t target;
	unsigned n_reconnects;
};

/* The database's counters in the worker's shard. */
struct metrics_db *pool_metrics(struct pool *pool);
/* Hands a connection to the client that has waited longest. */
void pool_grant(struct pool *pool, struct server *server);
/* Gives up all who wait. */
void pool_refuse_all(struct pool *pool, const struct pool_error *error);

/* pool_grow.c: one connect for each waiting client that has none coming, as far as the
 * limits go. */
void pool_grow(struct pool *pool);
/* Another server is meant from here on: what the old one said, and its backoff, do not
 * count. */
void pool_forget_failures(struct pool *pool);
/* A new connection is fit for use: no more backoff. */
void pool_succeeded(struct pool *pool);
/* Begins one connect; false: limits, backoff or memory forbid it. */
bool pool_try_connect(struct pool *pool);
