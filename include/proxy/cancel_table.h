#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The cancel keys of all clients of the process, and whose they are.  A key is found
 * without a search: a process id of ours says where it is, a true one is looked up.
 * Any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

struct cancel_table;
struct client;
struct worker;

/* A client, which may be gone by the time that its worker is asked: see
 * cancel_table_at(). */
struct cancel_target {
	struct worker *worker;
	uint32_t slot;
	uint64_t client_id;
};

/* For at most MAX clients.  0 or -ENOMEM. */
int cancel_table_new(unsigned max, struct cancel_table **out) MUST_CHECK;
/* NULL is fine. */
void cancel_table_free(struct cancel_table *table);
/* Puts the client of TARGET in, with a random key of KEY_LEN bytes (at most
 * STARTUP_OUR_KEY_MAX) and the process id *PID, or one that no process can have when
 * that is 0.  Sets target->slot, *PID and KEY.  False when the table is full or there
 * is no randomness. */
bool cancel_table_add(struct cancel_table *table, struct client *client,
		      struct cancel_target *target, uint32_t *pid, uint8_t *key,
		      size_t key_len);
/* SLOT is that of a client which is in. */
void cancel_table_remove(struct cancel_table *table, uint32_t slot);
/* False: nobody has this key. */
bool cancel_table_find(struct cancel_table *table, uint32_t pid, struct span key,
		       struct cancel_target *out);
/* The client of TARGET, on its worker; NULL: it is gone. */
struct client *cancel_table_at(struct cancel_table *table,
			       const struct cancel_target *target);
