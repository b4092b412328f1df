#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Cancel keys: what a client was told at login leads, from any worker, to the client
 * and to what it runs now.  A request never reaches another client: it is checked on
 * the client's own worker, against the server connection bound at that moment, which is
 * not given to anybody else until PostgreSQL has closed the cancel connection (T-76).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

struct cancel_table;
struct client;
struct worker;

/* For at most MAX clients.  0 or -ENOMEM. */
int cancel_table_new(unsigned max, struct cancel_table **out) MUST_CHECK;
void cancel_table_free(struct cancel_table *table);
/* Gives the client a random key of KEY_LEN bytes (at most STARTUP_OUR_KEY_MAX), and a
 * process id when PID is 0 (one that no process can have); false when the table is full
 * or there is no randomness. */
bool cancel_register(struct client *client, uint32_t pid, uint8_t *key, size_t key_len);
/* The client's key means nothing from here on. */
void cancel_forget(struct client *client);
/* Somebody asks, on any worker.  Wrong keys are ignored. */
void cancel_request(struct worker *worker, uint32_t pid, struct span key);
