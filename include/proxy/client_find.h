#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One look-up for a request: L1 at once, Redis with a wait. */

#include <stdint.h>

#include "base/span.h"
#include "cache/store.h"
#include "sql/plan.h"

struct client;
struct entry;
struct request;

enum found {
	FOUND_HIT,   /* *entry is the caller's reference */
	FOUND_MISS,  /* a bypass as well; may be stored when fill->may_store */
	FOUND_WAITS, /* asks Redis: the message comes again */
};

/* ROUTE tells L1 from Redis on a hit, and misses from bypasses and writes otherwise. */
enum found client_find(struct client *client, struct request *request,
		       struct entry **entry, struct store_fill *fill, uint8_t *route);
/* Forgets a look-up that nobody will ask for again. */
void client_find_cancel(struct client *client);
/* Queues the entry's bytes; takes the reference. */
void client_reply_entry(struct client *client, struct entry *entry);
