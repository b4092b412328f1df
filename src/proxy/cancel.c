/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/cancel.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "net/loop.h"
#include "proxy/cancel_table.h"
#include "proxy/client.h"
#include "proxy/client_acquire.h"
#include "proxy/client_find.h"
#include "proxy/client_listen.h"
#include "proxy/client_steps.h"
#include "proxy/proxy.h"
#include "proxy/relay.h"
#include "proxy/server_cancel.h"
#include "proxy/worker.h"
#include "upstream/server.h"

bool cancel_register(struct client *client, uint32_t pid, uint8_t *key, size_t key_len)
{
	struct cancel_target target = { .worker = client->worker,
					.client_id = client->id };
	client->has_cancel = cancel_table_add(client->worker->proxy->cancels, client,
					      &target, &pid, key, key_len);
	client->cancel_pid = pid;
	client->cancel_slot = target.slot;
	return client->has_cancel;
}

void cancel_forget(struct client *client)
{
	if (client->has_cancel) {
		client->has_cancel = false;
		cancel_table_remove(client->worker->proxy->cancels,
				    client->cancel_slot);
	}
}

/* Orders: a request on its way to the client's worker, there, and on its way back */

struct cancel_order {
	struct dlist link; /* what it waits for; of the client's worker */
	atomic_uint refs;  /* of the asker, and of the way */
	struct worker *from;
	struct client *asker; /* on FROM only; NULL: gone */
	struct cancel_target to;
};

static void cancel_order_unref(struct cancel_order *order)
{
	if (atomic_fetch_sub(&order->refs, 1) == 1) {
		free(order);
	}
}

/* On the asker's worker. */
static void cancel_answers(void *arg)
{
	struct cancel_order *order = arg;
	if (order->asker != NULL) {
		client_close(order->asker, CLIENT_CLOSE_CANCEL_DONE);
	}
	cancel_order_unref(order);
}

/* When it cannot be told the asker waits until client_login_timeout.  At the end of the
 * program its loop may be gone, and itself as well. */
static void cancel_order_done(struct cancel_order *order)
{
	dlist_remove(&order->link);
	if (order->to.worker->proxy->is_ending ||
	    loop_post(order->from->loop, cancel_answers, order) < 0) {
		cancel_order_unref(order);
	}
}

void cancel_orders_done(struct dlist *orders)
{
	struct dlist *l;
	while ((l = dlist_head(orders)) != NULL) {
		cancel_order_done(container_of(l, struct cancel_order, link));
	}
}

void cancel_orders_move(struct dlist *from, struct dlist *to)
{
	struct dlist *l;
	unsigned n = cancel_orders_count(to);
	while (n++ < CANCEL_MAX_ORDERS && (l = dlist_pop_head(from)) != NULL) {
		dlist_push_tail(to, l);
	}
}

unsigned cancel_orders_count(const struct dlist *orders)
{
	unsigned n = 0;
	dlist_each (l, tmp, orders) {
		n++;
	}
	return n;
}

void cancel_asker_gone(struct client *asker)
{
	struct cancel_order *order = steal(&asker->cancel_order);
	if (order != NULL) {
		order->asker = NULL;
		cancel_order_unref(order);
	}
}

/* What is cancelled */

/* Index of the first item that is not a question of ours; owed->n: there is none. */
static uint32_t cancel_first_of_client(struct owed_queue *owed)
{
	uint32_t i = 0;
	while (i < owed->n && (owed_at(owed, i)->kind == OWED_VOID ||
			       (owed_at(owed, i)->flags & OWED_SWALLOW))) {
		i++;
	}
	return i;
}

/* A message has come that waits for its turn, so the client waits for its answer. */
static bool cancel_has_message(const struct client *client)
{
	return client->listen_wait || (client->blocked && client->stream.in.len > 0);
}

/* While the server answers a question of ours (the client's settings, what pins it)
 * what the client waits for is not there yet: that is cancelled, as soon as its turn
 * has come (T-27). */
static void cancel_bound(struct client *client, struct dlist *orders)
{
	struct server *server = client->server;
	bool has_message = cancel_has_message(client);
	if (server == NULL || server->owed.n == 0) {
		if (has_message) {
			client_cancel_next(client);
			client_listen_go_on(client);
		}
		return;
	}
	uint32_t first = cancel_first_of_client(&server->owed);
	if (first <= owed_group_end(&server->owed)) {
		server_cancel(server, orders);
	} else if (first < server->owed.n || has_message) {
		cancel_orders_move(orders, &client->late_cancels);
	}
}

void cancel_settled(struct client *client)
{
	struct dlist orders;
	dlist_init(&orders);
	cancel_orders_move(&client->late_cancels, &orders);
	cancel_bound(client, &orders);
	cancel_orders_done(&orders);
}

/* Between two queries of the client the request has come too late, and does nothing.
 * What is left in ORDERS is done. */
static void cancel_client(struct client *client, struct dlist *orders)
{
	if (client->console != NULL) {
		client->worker->proxy->console->cancelled(client);
	} else if (client->relay != NULL) {
		relay_cancel(client->relay, orders);
	} else if (client->state == CLIENT_WAIT) {
		client_wait_cancelled(client);
	} else if (client->state == CLIENT_LOOKUP) {
		client_lookup_cancelled(client);
	} else {
		cancel_bound(client, orders);
	}
}

/* On the client's own worker; the client may be gone by now. */
static void cancel_arrives(void *arg)
{
	struct cancel_order *order = arg;
	struct client *client =
	    cancel_table_at(order->to.worker->proxy->cancels, &order->to);
	struct dlist orders;
	dlist_init(&orders);
	dlist_push_tail(&orders, &order->link);
	if (client != NULL) {
		cancel_client(client, &orders);
	}
	cancel_orders_done(&orders);
}

void cancel_request(struct client *asker, uint32_t pid, struct span key)
{
	struct cancel_target to;
	bool found = cancel_table_find(asker->worker->proxy->cancels, pid, key, &to);
	struct cancel_order *order = found ? calloc(1, sizeof(*order)) : NULL;
	if (order == NULL) {
		client_close(asker, CLIENT_CLOSE_CANCEL_DONE);
		return;
	}
	dlist_init(&order->link);
	order->from = asker->worker;
	order->asker = asker;
	order->to = to;
	atomic_init(&order->refs, 2);
	if (loop_post(to.worker->loop, cancel_arrives, order) < 0) {
		free(order);
		client_close(asker, CLIENT_CLOSE_CANCEL_DONE);
		return;
	}
	asker->cancel_order = order;
	stream_pause(&asker->stream);
}
