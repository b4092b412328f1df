/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/cancel.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "net/loop.h"
#include "proxy/client.h"
#include "proxy/client_steps.h"
#include "proxy/proxy.h"
#include "proxy/relay.h"
#include "proxy/server_steps.h"
#include "proxy/worker.h"
#include "upstream/server.h"
#include "wire/startup.h"

/* Beyond the process ids of any system: pg_terminate_backend() of such a one hits
 * nobody. */
#define CANCEL_FIRST_PID (1U << 24)

struct cancel_slot {
	struct client *client; /* NULL: free */
	struct worker *worker;
	uint64_t client_id;
	uint32_t pid;  /* as the client was told */
	uint32_t next; /* free list */
	uint8_t key[STARTUP_OUR_KEY_MAX];
	uint8_t key_len;
};

struct cancel_table {
	pthread_mutex_t lock;
	uint32_t n;
	uint32_t free; /* index, n at the end */
	struct cancel_slot slots[];
};

int cancel_table_new(unsigned max, struct cancel_table **out)
{
	struct cancel_table *table =
	    calloc(1, sizeof(*table) + max * sizeof(table->slots[0]));
	if (table == NULL) {
		return -ENOMEM;
	}
	pthread_mutex_init(&table->lock, NULL);
	table->n = max;
	for (uint32_t i = 0; i < max; i++) {
		table->slots[i].next = i + 1;
	}
	*out = table;
	return 0;
}

void cancel_table_free(struct cancel_table *table)
{
	if (table != NULL) {
		pthread_mutex_destroy(&table->lock);
		free(table);
	}
}

bool cancel_register(struct client *client, uint32_t pid, uint8_t *key, size_t key_len)
{
	struct cancel_table *table = client->worker->proxy->cancels;
	require(key_len <= STARTUP_OUR_KEY_MAX);
	if (RAND_bytes(key, (int)key_len) != 1) {
		return false;
	}
	pthread_mutex_lock(&table->lock);
	uint32_t i = table->free;
	bool ok = i < table->n;
	if (ok) {
		struct cancel_slot *slot = &table->slots[i];
		table->free = slot->next;
		slot->client = client;
		slot->worker = client->worker;
		slot->client_id = client->id;
		memcpy(slot->key, key, key_len);
		slot->key_len = (uint8_t)key_len;
		slot->pid = pid ? pid : CANCEL_FIRST_PID + i;
		client->cancel_pid = slot->pid;
		client->cancel_slot = i;
		client->has_cancel = true;
	}
	pthread_mutex_unlock(&table->lock);
	return ok;
}

void cancel_forget(struct client *client)
{
	if (!client->has_cancel) {
		return;
	}
	struct cancel_table *table = client->worker->proxy->cancels;
	uint32_t i = client->cancel_slot;
	client->has_cancel = false;
	pthread_mutex_lock(&table->lock);
	table->slots[i].client = NULL;
	table->slots[i].next = table->free;
	table->free = i;
	pthread_mutex_unlock(&table->lock);
}

struct cancel_order { /* on its way to the client's worker */
	struct worker *worker;
	uint32_t slot;
	uint64_t client_id;
};

/* While the server takes the client's settings its query is not there yet: that is what
 * is cancelled, as soon as they are in force (T-27). */
static void cancel_bound(struct client *client)
{
	if (owed_head(&client->server->owed)->flags & OWED_SETTINGS) {
		client->cancel_late = true;
	} else {
		server_cancel(client->server);
	}
}

/* On the client's own worker: the client may be gone by now, or do something else; then
 * the request has come too late and does nothing. */
static void cancel_arrives(void *arg)
{
	struct cancel_order order = *(struct cancel_order *)arg;
	free(arg);
	struct cancel_table *table = order.worker->proxy->cancels;
	pthread_mutex_lock(&table->lock);
	struct cancel_slot *slot = &table->slots[order.slot];
	struct client *client = slot->client;
	bool same = client != NULL && slot->client_id == order.client_id;
	pthread_mutex_unlock(&table->lock);
	if (!same) {
		return;
	}
	if (client->console != NULL) {
		client->worker->proxy->console->cancelled(client);
	} else if (client->relay != NULL) {
		relay_cancel(client->relay);
	} else if (client->state == CLIENT_WAIT) {
		client_wait_cancelled(client);
	} else if (client->server != NULL && client->server->owed.n > 0) {
		cancel_bound(client);
	}
}

/* Our own process ids say where to look; true ones are looked for, and more than one
 * client may have been told the same one, by servers on several machines. */
static struct cancel_slot *cancel_find(struct cancel_table *table, uint32_t pid,
				       struct span key)
{
	uint32_t from = pid >= CANCEL_FIRST_PID ? pid - CANCEL_FIRST_PID : 0;
	uint32_t to = pid >= CANCEL_FIRST_PID ? from + 1 : table->n;
	for (uint32_t i = from; i < to && i < table->n; i++) {
		struct cancel_slot *slot = &table->slots[i];
		if (slot->client != NULL && slot->pid == pid &&
		    slot->key_len == key.n &&
		    CRYPTO_memcmp(slot->key, key.p, key.n) == 0) {
			return slot;
		}
	}
	return NULL;
}

void cancel_request(struct worker *worker, uint32_t pid, struct span key)
{
	struct cancel_table *table = worker->proxy->cancels;
	struct cancel_order *order = malloc(sizeof(*order));
	if (order == NULL) {
		return;
	}
	pthread_mutex_lock(&table->lock);
	struct cancel_slot *slot = cancel_find(table, pid, key);
	if (slot != NULL) {
		*order = (struct cancel_order){ slot->worker,
						(uint32_t)(slot - table->slots),
						slot->client_id };
	}
	pthread_mutex_unlock(&table->lock);
	if (slot == NULL || loop_post(order->worker->loop, cancel_arrives, order) < 0) {
		free(order);
	}
}
