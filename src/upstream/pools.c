/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/pools.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/config.h"
#include "upstream/context.h"
#include "upstream/gates.h"
#include "upstream/pool.h"
#include "upstream/welcome.h"

void pools_limits(struct pool_shared *shared, const struct config *config)
{
	const struct config_database *db =
	    config_find_database(config, span_str(shared->database));
	if (db == NULL) {
		atomic_store(&shared->min, 0);
		return;
	}
	const struct config_user *user =
	    config_find_user(config, span_str(shared->user));
	unsigned max = db->pool_size;
	if (user != NULL && user->pool_size != 0 && !db->has_pool_size) {
		max = user->pool_size;
	}
	unsigned reserve = db->reserve_pool_size;
	if (user != NULL && user->has_reserve_pool_size && !db->has_reserve_pool_size) {
		reserve = user->reserve_pool_size;
	}
	atomic_store(&shared->reserve, reserve);
	unsigned min = db->min_pool_size < max ? db->min_pool_size : max;
	atomic_store(&shared->max, max);
	atomic_store(&shared->min, min);
}

uint64_t pools_target(const struct config *config, const struct pool_shared *shared)
{
	const struct config_database *db =
	    config_find_database(config, span_str(shared->database));
	if (db == NULL) {
		return 0;
	}
	const char *const parts[] = { db->host,	       db->ports,
				      db->options,     db->connect_query,
				      db->dbname,      db->user,
				      db->sslrootcert, db->sslcert,
				      db->sslkey,      config->server_tls_protocols };
	uint64_t hash = db->port | (uint64_t)db->sslmode << 16 |
			(uint64_t)db->channel_binding << 20;
	hash += (uint64_t)atomic_load(&shared->n_reconnects) << 24;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const char *part = parts[i] ? parts[i] : "";
		hash = XXH3_64bits_withSeed(part, strlen(part) + 1, hash);
	}
	return hash;
}

void pools_init(struct pools *pools, unsigned max)
{
	*pools = (struct pools){ .max = max };
	pthread_mutex_init(&pools->lock, NULL);
	dlist_init(&pools->all);
	dlist_init(&pools->gates);
}

static void pool_shared_free(struct pool_shared *shared)
{
	pthread_mutex_destroy(&shared->lock);
	welcome_unref(shared->welcome);
	context_unref(shared->base);
	free(shared->database);
	free(shared->user);
	free(shared->password);
	free(shared);
}

void pools_fini(struct pools *pools)
{
	struct dlist *l;
	while ((l = dlist_pop_head(&pools->all)) != NULL) {
		pool_shared_free(container_of(l, struct pool_shared, link));
	}
	gates_fini(pools);
	pthread_mutex_destroy(&pools->lock);
}

static struct pool_shared *pool_shared_new(const struct config *config,
					   struct span database, struct span user)
{
	const struct config_database *db = config_find_database(config, database);
	if (db == NULL) {
		return NULL;
	}
	struct pool_shared *shared = aligned_alloc(64, sizeof(*shared));
	if (shared == NULL) {
		return NULL;
	}
	memset(shared, 0, sizeof(*shared));
	pthread_mutex_init(&shared->lock, NULL);
	shared->database = strndup((const char *)database.p, database.n);
	shared->user = strndup((const char *)user.p, user.n);
	shared->db_index = (uint16_t)db->index;
	dlist_init(&shared->link);
	if (shared->database == NULL || shared->user == NULL) {
		pool_shared_free(shared);
		return NULL;
	}
	pools_limits(shared, config);
	return shared;
}

static void pool_set_password(struct pool_shared *shared, const char *password)
{
	pthread_mutex_lock(&shared->lock);
	if (password != NULL &&
	    (shared->password == NULL || strcmp(shared->password, password) != 0)) {
		char *copy = strdup(password);
		if (copy != NULL) {
			free(shared->password);
			shared->password = copy;
		}
	}
	pthread_mutex_unlock(&shared->lock);
}

struct pool_shared *pools_get(struct pools *pools, const struct config *config,
			      struct span database, struct span user,
			      const char *password)
{
	struct pool_shared *found = NULL;
	pthread_mutex_lock(&pools->lock);
	dlist_each (l, tmp, &pools->all) {
		struct pool_shared *shared = container_of(l, struct pool_shared, link);
		if (span_eq_str(database, shared->database) &&
		    span_eq_str(user, shared->user)) {
			found = shared;
			break;
		}
	}
	if (found == NULL && pools->n < pools->max) {
		found = pool_shared_new(config, database, user);
		if (found != NULL) {
			atomic_store(&found->gates, gates_of_locked(pools, database));
			dlist_push_tail(&pools->all, &found->link);
			pools->n++;
		}
	}
	if (found != NULL) {
		found->n_parts++;
	}
	pthread_mutex_unlock(&pools->lock);
	if (found != NULL) {
		pool_set_password(found, password);
	}
	return found;
}

void pools_leave(struct pools *pools, struct pool_shared *shared)
{
	pthread_mutex_lock(&pools->lock);
	require(shared->n_parts > 0);
	bool is_last = --shared->n_parts == 0;
	if (is_last) {
		dlist_remove(&shared->link);
		pools->n--;
	}
	pthread_mutex_unlock(&pools->lock);
	if (is_last) {
		require(atomic_load(&shared->n_servers) == 0 &&
			atomic_load(&shared->n_clients) == 0);
		pool_shared_free(shared);
	}
}

bool pools_has(struct pools *pools, struct span database)
{
	bool found = false;
	pthread_mutex_lock(&pools->lock);
	for (struct dlist *l = pools->all.next; l != &pools->all && !found;
	     l = l->next) {
		found = span_eq_str(
		    database, container_of(l, struct pool_shared, link)->database);
	}
	pthread_mutex_unlock(&pools->lock);
	return found;
}

enum pools_admission pools_admit(struct pools *pools, struct pool_shared *shared,
				 const struct config *config)
{
	const struct config_database *db =
	    config_find_database(config, span_str(shared->database));
	const struct config_user *user =
	    config_find_user(config, span_str(shared->user));
	unsigned max_db =
	    db ? db->max_db_client_connections : config->max_db_client_connections;
	unsigned max_user = user ? user->max_user_client_connections
				 : config->max_user_client_connections;
	if (max_db == 0 && max_user == 0) {
		atomic_fetch_add(&shared->n_clients, 1);
		return POOLS_ADMITTED;
	}
	unsigned n_db = 0;
	unsigned n_user = 0;
	pthread_mutex_lock(&pools->lock);
	dlist_each (l, tmp, &pools->all) {
		struct pool_shared *other = container_of(l, struct pool_shared, link);
		unsigned n = atomic_load(&other->n_clients);
		n_db += strcmp(other->database, shared->database) == 0 ? n : 0;
		n_user += strcmp(other->user, shared->user) == 0 ? n : 0;
	}
	enum pools_admission verdict =
	    max_db != 0 && n_db >= max_db	  ? POOLS_OVER_DATABASE
	    : max_user != 0 && n_user >= max_user ? POOLS_OVER_USER
						  : POOLS_ADMITTED;
	if (verdict == POOLS_ADMITTED) {
		atomic_fetch_add(&shared->n_clients, 1);
	}
	pthread_mutex_unlock(&pools->lock);
	return verdict;
}
