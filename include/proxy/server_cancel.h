#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Cancel requests to PostgreSQL, one at a time for each server connection.  What is
 * asked for while one is under way is remembered with what it was meant for: when that
 * still runs once the first is done (it came too early, or was for what ran before),
 * another follows.  So two requests in a row reach two queries in a row, as with
 * PostgreSQL, and none reaches what was sent after it. */

#include <stdint.h>

#include "base/dlist.h"

struct loop;
struct cancel_flight;
struct server;
struct server_socket;

/* Asks PostgreSQL to cancel what the connection runs; something must be owed.  It is
 * not used for anybody else until the request is done.  ORDERS (proxy/cancel.h) are
 * taken out of their list, as far as there is room, and done then; NULL: nobody waits.
 */
void server_cancel(struct server *server, struct dlist *orders);
/* The connection closes: a request under way forgets it. */
void server_cancel_forget(struct server *server);
/* How many orders wait for what is under way, and for what follows it. */
unsigned server_cancel_orders(const struct server *server);
unsigned server_cancel_orders_next(const struct server *server);
/* Orders whose request has been under way for longer than LIMIT_NS are done, whatever
 * becomes of it. */
void server_cancel_tick(struct server *server, uint64_t limit_ns);

/* The same for a connection that is no struct server. */

/* Sends a request; NULL when that is not possible.  LANDED(OWNER) when it is done: the
 * owner forgets it, and takes what came meanwhile. */
struct cancel_flight *cancel_flight_new(struct loop *loop,
					const struct server_socket *socket,
					void (*landed)(void *owner), void *owner);
/* ORDERS are done with it; or with the next one, when IS_AGAIN. */
void cancel_flight_add(struct cancel_flight *flight, struct dlist *orders,
		       bool is_again);
/* What cancel_flight_add() was given for the next one, or NULL when it was not called
 * so. */
struct dlist *cancel_flight_next(struct cancel_flight *flight);
/* Its owner closes.  NULL is fine. */
void cancel_flight_forget(struct cancel_flight *flight);
