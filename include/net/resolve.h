#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Names to addresses on libuv's thread pool, because getaddrinfo() blocks. */

#include <stddef.h>

#include "base/check.h"

struct loop;
struct resolve;

/* ADDRESSES: numeric, comma-separated, as libpq's hostaddr wants a list; NULL on error,
 * with ERROR saying why. */
typedef void (*resolve_fn)(void *arg, const char *addresses, const char *error);

/* A numeric HOST or a path calls back too (on a later turn), with itself. */
int resolve_start(struct loop *loop, const char *host, resolve_fn fn, void *arg,
		  struct resolve **out) MUST_CHECK;
/* The callback will not come. */
void resolve_cancel(struct resolve *resolve);
