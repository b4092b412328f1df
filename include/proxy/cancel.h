#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Cancel keys: what a client was told at login leads, from any worker, to the client
 * and to what it runs now.  A request never reaches another client: it is checked on
 * the client's own worker, against the server connection bound at that moment, which is
 * not given to anybody else until PostgreSQL has closed the cancel connection (T-76).
 *
 * Who asks is answered (by the end of its connection) when that is done, as PostgreSQL
 * does: a pooler in front of us may give its connection to somebody else then.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dlist.h"
#include "base/span.h"

/* Requests that one server connection, or one client, keeps waiting; more are answered
 * at once.  They are for the same query, so nothing is cancelled less. */
#define CANCEL_MAX_ORDERS 64

struct cancel_order;
struct client;
struct worker;

/* Gives the client a random key of KEY_LEN bytes (at most STARTUP_OUR_KEY_MAX), and a
 * process id when PID is 0 (one that no process can have); false when the table is full
 * or there is no randomness. */
bool cancel_register(struct client *client, uint32_t pid, uint8_t *key, size_t key_len);
/* The client's key means nothing from here on. */
void cancel_forget(struct client *client);
/* ASKER has sent a cancel request; it is closed when that is done.  Wrong keys are
 * ignored. */
void cancel_request(struct client *asker, uint32_t pid, struct span key);
/* ASKER, or whoever else, closes: nobody is to be answered. */
void cancel_asker_gone(struct client *asker);
/* The members of ORDERS (struct cancel_order) are done, all of them. */
void cancel_orders_done(struct dlist *orders);
/* Moves the members of FROM to the end of TO; those that do not fit there stay. */
void cancel_orders_move(struct dlist *from, struct dlist *to);
/* How many there are. */
unsigned cancel_orders_count(const struct dlist *orders);
/* A question of ours on the client's server connection has been answered: what was
 * asked to be cancelled meanwhile is what the client waits for now. */
void cancel_settled(struct client *client);
