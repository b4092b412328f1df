/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/server_cancel.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "proxy/cancel.h"
#include "proxy/server_steps.h"
#include "upstream/cancel.h"
#include "upstream/pool.h"
#include "upstream/server.h"

struct cancel_flight {
	void (*landed)(void *owner);
	void *owner; /* NULL: closed meanwhile */
	struct cancel_key *key;
	struct dlist orders; /* struct cancel_order, done with this request */
	bool is_again;	     /* another was asked for meanwhile */
	struct dlist next;   /* by these */
	uint64_t until;	     /* for what is answered up to this position */
	uint64_t since_ns;
};

static void cancel_flight_done(void *arg)
{
	struct cancel_flight *flight = arg;
	cancel_orders_done(&flight->orders);
	if (flight->owner != NULL) {
		flight->landed(flight->owner);
	}
	cancel_orders_done(&flight->next);
	cancel_key_free(flight->key);
	free(flight);
}

struct cancel_flight *cancel_flight_new(struct loop *loop,
					const struct server_socket *socket,
					void (*landed)(void *owner), void *owner)
{
	struct cancel_flight *flight = calloc(1, sizeof(*flight));
	if (flight == NULL) {
		return NULL;
	}
	dlist_init(&flight->orders);
	dlist_init(&flight->next);
	flight->landed = landed;
	flight->owner = owner;
	flight->since_ns = clock_now_ns();
	flight->key = server_socket_cancel_key(socket);
	if (flight->key == NULL ||
	    cancel_send(loop, flight->key, cancel_flight_done, flight) < 0) {
		cancel_key_free(flight->key);
		free(flight);
		return NULL;
	}
	return flight;
}

void cancel_flight_add(struct cancel_flight *flight, struct dlist *orders,
		       bool is_again)
{
	flight->is_again = flight->is_again || is_again;
	if (orders != NULL) {
		cancel_orders_move(orders, is_again ? &flight->next : &flight->orders);
	}
}

struct dlist *cancel_flight_next(struct cancel_flight *flight)
{
	return flight->is_again ? &flight->next : NULL;
}

static void cancel_flight_answer(struct cancel_flight *flight)
{
	cancel_orders_done(&flight->orders);
	cancel_orders_done(&flight->next);
}

void cancel_flight_forget(struct cancel_flight *flight)
{
	if (flight != NULL) {
		flight->owner = NULL;
		cancel_flight_answer(flight);
	}
}

/* Of a server connection */

static void server_cancel_landed(void *arg)
{
	struct server *server = arg;
	struct cancel_flight *flight = steal(&server->cancel);
	struct dlist *next = cancel_flight_next(flight);
	if (next != NULL && server->owed.n > 0 &&
	    server->owed.n_popped <= flight->until) {
		server_cancel(server, next);
	}
	if (server->cancel == NULL && server->state == SERVER_RESET) {
		server_reset(server);
	}
}

void server_cancel(struct server *server, struct dlist *orders)
{
	struct upstream *up = server->pool->upstream;
	require(server->owed.n > 0);
	if (server->cancel != NULL) {
		server->cancel->until =
		    server->owed.n_popped + owed_group_end(&server->owed);
		cancel_flight_add(server->cancel, orders, true);
		return;
	}
	server->cancel =
	    cancel_flight_new(up->loop, server->socket, server_cancel_landed, server);
	if (server->cancel == NULL) {
		return;
	}
	cancel_flight_add(server->cancel, orders, false);
	metric_add(&metrics_database(up->metrics, server->pool->shared->db_index)
			->query_cancels,
		   1);
}

void server_cancel_forget(struct server *server)
{
	cancel_flight_forget(steal(&server->cancel));
}

unsigned server_cancel_orders(const struct server *server)
{
	return server->cancel != NULL ? cancel_orders_count(&server->cancel->orders)
				      : 0;
}

unsigned server_cancel_orders_next(const struct server *server)
{
	return server->cancel != NULL ? cancel_orders_count(&server->cancel->next) : 0;
}

void server_cancel_tick(struct server *server, uint64_t limit_ns)
{
	if (server->cancel != NULL &&
	    clock_now_ns() - server->cancel->since_ns > limit_ns) {
		cancel_flight_answer(server->cancel);
	}
}
