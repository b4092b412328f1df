#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A unit of the extended protocol (proxy/unit.h) that has arrived whole: answered from
 * the cache, or forwarded with one query that collects its answer. */

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct client;

/* Tries the message at the front of IN as the beginning of a unit.  *TAKEN as the
 * steps' result; false: take it alone. */
bool client_try_unit(struct client *client, struct span in, size_t *taken);
