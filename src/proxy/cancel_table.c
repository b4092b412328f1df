/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/cancel_table.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "wire/startup.h"

/* Beyond the process ids of any system: pg_terminate_backend() of such a one hits
 * nobody. */
#define CANCEL_FIRST_PID (1U << 24)

struct cancel_slot {
	struct client *client; /* NULL: free */
	struct worker *worker;
	uint64_t client_id;
	uint32_t pid;  /* as the client was told */
	uint32_t next; /* of the free list, or of those with the same hash */
	bool is_true;  /* pid is a server's: servers of several machines may have
			  told more than one client the same */
	uint8_t key_len;
	uint8_t key[STARTUP_OUR_KEY_MAX];
};

struct cancel_table {
	pthread_mutex_t lock;
	uint32_t n;
	uint32_t free;	  /* index, n at the end */
	uint32_t *by_pid; /* n heads, of true process ids; owned */
	struct cancel_slot slots[];
};

int cancel_table_new(unsigned max, struct cancel_table **out)
{
	require(max > 0);
	struct cancel_table *table =
	    calloc(1, sizeof(*table) + max * sizeof(table->slots[0]));
	if (table == NULL) {
		return -ENOMEM;
	}
	table->by_pid = calloc(max, sizeof(table->by_pid[0]));
	if (table->by_pid == NULL) {
		free(table);
		return -ENOMEM;
	}
	pthread_mutex_init(&table->lock, NULL);
	table->n = max;
	for (uint32_t i = 0; i < max; i++) {
		table->slots[i].next = i + 1;
		table->by_pid[i] = max;
	}
	*out = table;
	return 0;
}

void cancel_table_free(struct cancel_table *table)
{
	if (table != NULL) {
		pthread_mutex_destroy(&table->lock);
		free(table->by_pid);
		free(table);
	}
}

static uint32_t *cancel_bucket(struct cancel_table *table, uint32_t pid)
{
	return &table->by_pid[pid % table->n];
}

static void cancel_fill(struct cancel_table *table, uint32_t i, uint32_t pid)
{
	struct cancel_slot *slot = &table->slots[i];
	slot->is_true = pid != 0;
	slot->pid = pid != 0 ? pid : CANCEL_FIRST_PID + i;
	if (slot->is_true) {
		slot->next = *cancel_bucket(table, pid);
		*cancel_bucket(table, pid) = i;
	}
}

bool cancel_table_add(struct cancel_table *table, struct client *client,
		      struct cancel_target *target, uint32_t *pid, uint8_t *key,
		      size_t key_len)
{
	require(client != NULL && key_len <= STARTUP_OUR_KEY_MAX);
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
		slot->worker = target->worker;
		slot->client_id = target->client_id;
		slot->key_len = (uint8_t)key_len;
		memcpy(slot->key, key, key_len);
		cancel_fill(table, i, *pid);
		target->slot = i;
		*pid = slot->pid;
	}
	pthread_mutex_unlock(&table->lock);
	return ok;
}

void cancel_table_remove(struct cancel_table *table, uint32_t slot)
{
	pthread_mutex_lock(&table->lock);
	struct cancel_slot *gone = &table->slots[slot];
	require(slot < table->n && gone->client != NULL);
	if (gone->is_true) {
		uint32_t *at = cancel_bucket(table, gone->pid);
		while (*at != slot) {
			at = &table->slots[*at].next;
		}
		*at = gone->next;
	}
	gone->client = NULL;
	gone->next = table->free;
	table->free = slot;
	pthread_mutex_unlock(&table->lock);
}

static bool cancel_matches(const struct cancel_slot *slot, uint32_t pid,
			   struct span key)
{
	return slot->client != NULL && slot->pid == pid && slot->key_len == key.n &&
	       CRYPTO_memcmp(slot->key, key.p, key.n) == 0;
}

bool cancel_table_find(struct cancel_table *table, uint32_t pid, struct span key,
		       struct cancel_target *out)
{
	pthread_mutex_lock(&table->lock);
	uint32_t i = pid - CANCEL_FIRST_PID;
	if (pid < CANCEL_FIRST_PID || i >= table->n ||
	    !cancel_matches(&table->slots[i], pid, key)) {
		i = *cancel_bucket(table, pid);
		while (i < table->n && !cancel_matches(&table->slots[i], pid, key)) {
			i = table->slots[i].next;
		}
	}
	if (i < table->n) {
		*out = (struct cancel_target){ table->slots[i].worker, i,
					       table->slots[i].client_id };
	}
	pthread_mutex_unlock(&table->lock);
	return i < table->n;
}

struct client *cancel_table_at(struct cancel_table *table,
			       const struct cancel_target *target)
{
	pthread_mutex_lock(&table->lock);
	const struct cancel_slot *slot = &table->slots[target->slot];
	struct client *client =
	    slot->client_id == target->client_id ? slot->client : NULL;
	pthread_mutex_unlock(&table->lock);
	return client;
}
