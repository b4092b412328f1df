/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/proxy.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache/memory.h"
#include "cache/store.h"
#include "net/tls.h"
#include "proxy/auth_cache.h"
#include "proxy/cancel_table.h"
#include "proxy/database.h"
#include "proxy/login_tls.h"
#include "proxy/users.h"
#include "proxy/worker.h"
#include "upstream/context.h"
#include "upstream/pools.h"

/* Descriptors: one a client, one a server connection, and some of our own. */
static void proxy_raise_descriptors(const struct config *config)
{
	struct rlimit limit;
	rlim_t want = config->max_client_conn + 2U * config->default_pool_size + 256;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
		return;
	}
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur < want) {
		log_warning(
		    NULL,
		    "only %llu file descriptors are allowed; max_client_conn and "
		    "the pools may need %llu",
		    (unsigned long long)limit.rlim_cur, (unsigned long long)want);
	}
}

/* What logins count on.  As users_load(). */
static int proxy_load(struct proxy *proxy, char *error, size_t error_size)
{
	if (RAND_bytes(proxy->salt_key, sizeof(proxy->salt_key)) != 1) {
		snprintf(error, error_size, "the crypto library gives no random bytes");
		return -EIO;
	}
	int r = users_load(proxy->config, proxy->salt_key, &proxy->users, error,
			   error_size);
	return r != 0 ? r
		      : login_tls_load(proxy->config, &proxy->tls, error, error_size);
}

static int proxy_init(struct proxy *proxy)
{
	unsigned n = proxy->n_workers;
	proxy->metrics = calloc(n + 1, sizeof(struct metrics *));
	proxy->workers = calloc(n, sizeof(struct worker *));
	proxy->upstreams = calloc(n, sizeof(struct upstream *));
	if (proxy->metrics == NULL || proxy->workers == NULL ||
	    proxy->upstreams == NULL) {
		return -ENOMEM;
	}
	for (unsigned i = 0; i <= n; i++) {
		proxy->metrics[i] = metrics_new();
		if (proxy->metrics[i] == NULL) {
			return -ENOMEM;
		}
	}
	int r = store_shared_new(proxy->config, &proxy->store);
	if (r == 0) {
		r = databases_new(proxy, &proxy->databases);
	}
	if (r == 0) {
		r = cancel_table_new(proxy->config->max_client_conn * 2 + 64,
				     &proxy->cancels);
	}
	if (r == 0) {
		r = auth_cache_new(PROXY_MAX_AUTH_CACHE, &proxy->auth_cache);
	}
	for (unsigned i = 0; i < n && r == 0; i++) {
		r = worker_new(proxy, i, &proxy->workers[i]);
	}
	return r;
}

int proxy_new(struct config *config, struct loop *main_loop, struct proxy **out)
{
	char error[512];
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	if (proxy == NULL) {
		return -ENOMEM;
	}
	proxy->config = config;
	proxy->main_loop = main_loop;
	proxy->n_workers = config_n_workers(config);
	pthread_mutex_init(&proxy->lock, NULL);
	pools_init(&proxy->pools, PROXY_MAX_POOLS);
	proxy_raise_descriptors(config);
	int r = proxy_load(proxy, error, sizeof(error));
	if (r != 0) {
		log_fatal(NULL, "%s", error);
		return r < 0 ? r : -EINVAL;
	}
	r = proxy_init(proxy);
	if (r < 0) {
		return r; /* start-up: the process ends */
	}
	*out = proxy;
	return 0;
}

void proxy_free(struct proxy *proxy)
{
	if (proxy == NULL) {
		return;
	}
	proxy->is_ending = true;
	for (unsigned i = 0; i < proxy->n_workers; i++) {
		worker_free(proxy->workers[i]);
	}
	pools_fini(&proxy->pools);
	databases_free(proxy->databases);
	cancel_table_free(proxy->cancels);
	auth_cache_free(proxy->auth_cache);
	store_shared_free(proxy->store);
	for (unsigned i = 0; i <= proxy->n_workers; i++) {
		metrics_free(proxy->metrics[i]);
	}
	free(proxy->metrics);
	free(proxy->workers);
	free(proxy->upstreams);
	users_unref(proxy->users);
	tls_unref(proxy->tls);
	config_unref(proxy->config);
	pthread_mutex_destroy(&proxy->lock);
	free(proxy);
}

struct config *proxy_config(struct proxy *proxy)
{
	pthread_mutex_lock(&proxy->lock);
	struct config *config = config_ref(proxy->config);
	pthread_mutex_unlock(&proxy->lock);
	return config;
}

struct users *proxy_users(struct proxy *proxy)
{
	pthread_mutex_lock(&proxy->lock);
	struct users *users = users_ref(proxy->users);
	pthread_mutex_unlock(&proxy->lock);
	return users;
}

struct tls *proxy_tls(struct proxy *proxy)
{
	pthread_mutex_lock(&proxy->lock);
	struct tls *tls = tls_ref(proxy->tls);
	pthread_mutex_unlock(&proxy->lock);
	return tls;
}

void proxy_poke(struct proxy *proxy)
{
	for (unsigned i = 0; i < proxy->n_workers; i++) {
		/* without memory it comes with the next one, or with the worker's tick
		 */
		if (worker_poke(proxy->workers[i]) < 0) {
			log_warning(NULL, "worker %u could not be told", i);
		}
	}
}

void proxy_reload(struct proxy *proxy, struct config *config, struct users *users,
		  struct tls *tls)
{
	pthread_mutex_lock(&proxy->lock);
	struct config *old = proxy->config;
	struct users *old_users = proxy->users;
	struct tls *old_tls = proxy->tls;
	proxy->config = config;
	proxy->users = users;
	proxy->tls = tls;
	pthread_mutex_unlock(&proxy->lock);
	auth_cache_reload(proxy->auth_cache,
			  atomic_fetch_add(&proxy->config_epoch, 1) + 1);
	store_shared_reload(proxy->store, config);
	/* rules may have changed: an entry that they forbid now must not be served */
	memory_clear(store_shared_memory(proxy->store));
	proxy_poke(proxy);
	config_unref(old);
	users_unref(old_users);
	tls_unref(old_tls);
}

void proxy_set_phase(struct proxy *proxy, enum proxy_phase phase)
{
	int now = atomic_load(&proxy->phase);
	if (now < (int)phase) {
		atomic_store(&proxy->phase, (int)phase);
		proxy_poke(proxy);
	}
}
