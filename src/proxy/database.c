/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Databases by name, who asks them, and what is due: about ten times a second the main
 * thread looks at each, and at once when a worker wants something.  The readings of the
 * catalogue, lost commits and prepared transactions have files of their own. */

#include "proxy/database.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "base/sqlstate.h"
#include "cache/store.h"
#include "database_priv.h"
#include "net/loop.h"
#include "proxy/auth_cache.h"
#include "proxy/proxy.h"
#include "sql/catalog.h"
#include "upstream/asker.h"

#define DATABASE_TIMEOUT_MS 30000 /* of one question */
#define DATABASE_LOG_MS	    60000
/* The least time that a connection for questions has to prove its worth. */
#define DATABASE_ASKER_NS (5 * DATABASE_RETRY_NS)
#define DATABASE_MAX_KEY  8192 /* bytes: host, port, name */

/* The workers' questions */

uint64_t database_tag(const struct database *database)
{
	return database->tag;
}

struct catalog *database_catalog(struct database *database)
{
	pthread_mutex_lock(&database->lock);
	struct catalog *catalog =
	    database->catalog != NULL ? catalog_ref(database->catalog) : NULL;
	pthread_mutex_unlock(&database->lock);
	return catalog;
}

uint32_t database_catalog_version(const struct database *database)
{
	return atomic_load(&database->version);
}

uint64_t database_shape(const struct database *database)
{
	return atomic_load(&database->shape);
}

void database_reshape(struct database *database)
{
	atomic_store(&database->shape,
		     atomic_fetch_add(&database->databases->last_shape, 1) + 1);
}

bool database_is_up(const struct database *database)
{
	return atomic_load(&database->is_up);
}

void database_changed(struct database *database)
{
	require(database != NULL);
	uint64_t now_ns = clock_now_ns();
	pthread_mutex_lock(&database->lock);
	database->n_ends++;
	database->changed_ns = now_ns;
	if (database->unread_ns == 0) {
		database->unread_ns = now_ns;
	}
	pthread_mutex_unlock(&database->lock);
	/* it may have been about roles */
	auth_cache_clear(database->databases->proxy->auth_cache, now_ns);
	databases_wake(database->databases);
}

/* The connection that asks */

/* The same in every process that is configured alike: host, port and name on the
 * server; of a list of hosts all of it, so no other line has the same one
 * (base/config_servers.c).  A host that is not given is libpq's business. */
static int database_make_tag(const struct config_database *line, struct span name,
			     uint64_t *tag_out)
{
	struct buf key;
	buf_init(&key, DATABASE_MAX_KEY);
	buf_append_cstr(&key, line->host != NULL ? line->host : "");
	buf_append_u16(&key, line->port);
	if (config_has_hosts(line)) {
		buf_append_cstr(&key, line->ports != NULL ? line->ports : "");
	}
	buf_append_span(&key, line->dbname != NULL ? span_str(line->dbname) : name);
	bool ok = buf_ok(&key);
	if (ok) {
		*tag_out = XXH3_64bits(key.data, key.len);
	}
	buf_fini(&key);
	return ok ? 0 : -ENOMEM;
}

static bool text_is_equal(const char *a, const char *b)
{
	return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

static char *text_copy(struct span text)
{
	return text.n > 0 ? strndup((const char *)text.p, text.n) : NULL;
}

static void secret_free(char *secret)
{
	if (secret != NULL) {
		explicit_bzero(secret, strlen(secret));
		free(secret);
	}
}

/* The caller holds the lock.  False: nothing has changed, or no memory. */
static bool database_set_login(struct database *database, struct span user,
			       const char *password)
{
	bool is_same = database->user != NULL && span_eq_str(user, database->user) &&
		       text_is_equal(database->password, password);
	if (user.n == 0 || is_same) {
		return false;
	}
	char *fresh_user = text_copy(user);
	char *fresh_password = password != NULL ? strdup(password) : NULL;
	if (fresh_user == NULL || (password != NULL && fresh_password == NULL)) {
		free(fresh_user);
		secret_free(fresh_password);
		return false;
	}
	free(database->user);
	secret_free(database->password);
	database->user = fresh_user;
	database->password = fresh_password;
	database->has_new_login = true;
	return true;
}

/* Makes the options of what the configuration and the clients say.  True when they are
 * others than before. */
static bool database_compose(struct database *database, const struct config *config)
{
	uint64_t tag = 0;
	const struct config_database *line =
	    config_find_database(config, span_str(database->name));
	bool is_here = line != NULL &&
		       database_make_tag(line, span_str(database->name), &tag) == 0 &&
		       tag == database->tag;
	atomic_store(&database->is_elsewhere, !is_here);
	if (!is_here) {
		return false;
	}
	database->is_guessed = strcmp(line->name, "*") == 0;
	atomic_store(&database->is_absent, false);
	pthread_mutex_lock(&database->lock);
	struct connect_options fresh = {
		.host = line->host,
		.ports = line->ports,
		.port = line->port,
		.dbname = line->dbname != NULL ? line->dbname : database->name,
		.user = line->user != NULL ? line->user : database->user,
		.password =
		    line->password != NULL ? line->password : database->password,
		.application_name = "pgrecall",
		.timeout_ms = (uint32_t)config->server_connect_timeout_ms,
	};
	connect_options_tls(&fresh, config, line);
	database->has_new_login = false;
	struct connect_options copy = { 0 };
	bool is_new = !connect_options_equal(&fresh, &database->options);
	if (is_new && error_trace(connect_options_copy(&copy, &fresh)) < 0) {
		database->has_new_login = true; /* again, later */
		is_new = false;
	}
	pthread_mutex_unlock(&database->lock);
	if (is_new) {
		connect_options_fini(&database->options);
		database->options = copy;
	}
	return is_new;
}

void database_close_asker(struct database *database)
{
	asker_close(steal(&database->asker));
	database->owes_rollback = false;
	database->retry_ns = database->limbo_ns = 0;
}

static void database_tend_asker(struct database *database, const struct config *config,
				bool is_reload, uint64_t now_ns)
{
	bool is_young = database->asker != NULL &&
			now_ns - database->asker_since_ns < DATABASE_ASKER_NS;
	bool is_fine = is_young || atomic_load(&database->is_up);
	pthread_mutex_lock(&database->lock);
	bool is_new = database->has_new_login && (database->asker == NULL || !is_fine);
	pthread_mutex_unlock(&database->lock);
	if ((is_reload || is_new) && database_compose(database, config)) {
		database_close_asker(database);
		database_listen_login(database);
	}
	if (database->asker != NULL || database->options.user == NULL) {
		return;
	}
	int r = asker_new(database->databases->proxy->main_loop, &database->options,
			  DATABASE_TIMEOUT_MS, &database->asker);
	database->asker_since_ns = now_ns;
	(void)error_trace(r);
}

/* Whether the server is there */

void database_asks(struct database *database)
{
	if (database->asked_ns == 0) {
		database->asked_ns = clock_now_ns();
	}
}

/* It is not asked again before the next login, or every name that anybody has made up
 * would be asked for for ever.  Who has logged in since the question was asked may know
 * of a database that was made meanwhile: then it is asked once more. */
static void database_is_not_there(struct database *database)
{
	struct databases *databases = database->databases;
	pthread_mutex_lock(&databases->lock);
	bool is_absent = atomic_load(&database->used_ns) < database->asked_ns;
	atomic_store(&database->is_absent, is_absent);
	pthread_mutex_unlock(&databases->lock);
}

void database_answered(struct database *database, const char *doing, const char *error)
{
	if (database->asker == NULL) {
		return; /* we hung up */
	}
	bool was_up = atomic_exchange(&database->is_up, error == NULL);
	uint64_t n = 0;
	database->answered_ns = clock_now_ns();
	if (error != NULL && database->is_guessed && database->read_ns == 0 &&
	    strcmp(asker_sqlstate(database->asker), SQLSTATE_UNKNOWN_DATABASE) == 0) {
		database_is_not_there(database);
	}
	database->asked_ns = 0;
	if (error != NULL && (was_up || log_limit_pass(&database->log_limit, &n))) {
		log_warning(NULL, "database %s: cannot %s: %s (%" PRIu64 " times more)",
			    database->name, doing, error, n);
	}
}

static void database_on_pong(void *arg, const char *error)
{
	struct database *database = arg;
	database->is_pinging = false;
	database_answered(database, "ask the server", error);
}

static void database_ping(struct database *database, const struct config *config,
			  uint64_t now_ns)
{
	uint64_t interval_ns = atomic_load(&database->is_up)
				   ? config->monitor_interval_ms * UINT64_C(1000000)
				   : DATABASE_RETRY_NS;
	if (database->asker == NULL || database->is_elsewhere || database->is_pinging ||
	    database->is_asking_limbo || database->reading != NULL ||
	    now_ns - database->answered_ns < interval_ns) {
		return;
	}
	const struct asker_question question = { .sql = "SELECT 1",
						 .done = database_on_pong,
						 .arg = database };
	database_asks(database);
	database->is_pinging = asker_ask(database->asker, &question) == 0;
}

/* What is due */

struct database *databases_next(struct databases *databases, struct database *database)
{
	pthread_mutex_lock(&databases->lock);
	struct dlist *at = database != NULL ? database->link.next : databases->all.next;
	pthread_mutex_unlock(&databases->lock);
	return at != &databases->all ? container_of(at, struct database, link) : NULL;
}

void databases_tick(struct databases *databases)
{
	require(databases != NULL);
	if (atomic_load(&databases->is_stopped)) {
		return;
	}
	/* first the number: a reload in between is noticed the next time */
	uint32_t epoch = atomic_load(&databases->proxy->config_epoch);
	struct config *config = proxy_config(databases->proxy);
	bool is_reload = epoch != databases->config_epoch;
	databases->config_epoch = epoch;
	for (struct database *database = databases_next(databases, NULL);
	     database != NULL; database = databases_next(databases, database)) {
		uint64_t now_ns = clock_now_ns();
		database_tend_asker(database, config, is_reload, now_ns);
		database_listen_tick(database, config, now_ns);
		database_limbo_ask(database, now_ns);
		if (atomic_load(&database->is_absent)) {
			continue;
		}
		database_read_if_due(database, config, now_ns);
		database_ask_conf(database, now_ns);
		database_ping(database, config, now_ns);
	}
	databases_forget(databases, config);
	config_unref(config);
}

void databases_unref(struct databases *databases)
{
	if (atomic_fetch_sub(&databases->n_refs, 1) == 1) {
		free(databases);
	}
}

static void databases_on_wake(void *arg)
{
	struct databases *databases = arg;
	atomic_store(&databases->is_posted, false);
	if (!atomic_load(&databases->is_stopped)) {
		databases_tick(databases);
	}
	databases_unref(databases);
}

void databases_wake(struct databases *databases)
{
	if (atomic_load(&databases->is_stopped) ||
	    atomic_exchange(&databases->is_posted, true)) {
		return;
	}
	atomic_fetch_add(&databases->n_refs, 1);
	if (loop_post(databases->proxy->main_loop, databases_on_wake, databases) < 0) {
		/* the next tick will do */
		atomic_store(&databases->is_posted, false);
		databases_unref(databases);
	}
}

/* By name */

void database_free(struct database *database)
{
	require(database->asker == NULL && database->reading == NULL);
	catalog_unref(database->catalog);
	database_limbo_fini(database);
	database_listen_fini(database);
	database_prepared_fini(database);
	database_digest_fini(&database->digest);
	connect_options_fini(&database->options);
	secret_free(database->password);
	free(database->user);
	free(database->name);
	pthread_mutex_destroy(&database->lock);
	free(database);
}

static struct database *database_new(struct databases *databases, struct span name,
				     uint64_t tag)
{
	struct database *database = calloc(1, sizeof(*database));
	if (database == NULL) {
		return NULL;
	}
	database->databases = databases;
	database_reshape(database);
	database->tag = tag;
	database->born_ns = clock_now_ns();
	database->log_limit.interval_ms = DATABASE_LOG_MS;
	database->has_new_login = true; /* the options are still to be made */
	pthread_mutex_init(&database->lock, NULL);
	dlist_init(&database->link);
	dlist_init(&database->dead);
	database_limbo_init(database);
	database_listen_init(database);
	database_prepared_init(database);
	database->name = strndup((const char *)name.p, name.n);
	if (database->name == NULL) {
		database_free(database);
		return NULL;
	}
	return database;
}

/* The caller holds the lock.  NULL without memory. */
static struct database *databases_add(struct databases *databases, struct span name,
				      uint64_t tag)
{
	if (databases->n >= PROXY_MAX_POOLS) {
		return NULL;
	}
	struct database *database = database_new(databases, name, tag);
	if (database == NULL) {
		return NULL;
	}
	(void)map_remove(&databases->by_name, name);
	if (map_put(&databases->by_name, span_str(database->name), database) != 0) {
		database_free(database);
		return NULL;
	}
	dlist_push_tail(&databases->all, &database->link);
	databases->n++;
	return database;
}

/* The caller holds the lock.  A reload may have brought an older one back. */
static struct database *databases_get(struct databases *databases, struct span name,
				      uint64_t tag)
{
	struct database *database = map_get(&databases->by_name, name);
	if (database == NULL || database->tag == tag) {
		return database;
	}
	dlist_each (it, tmp, &databases->all) {
		database = container_of(it, struct database, link);
		if (database->tag == tag && span_eq_str(name, database->name)) {
			return database;
		}
	}
	return NULL;
}

struct database *database_find(struct databases *databases, struct span name,
			       struct span user, const char *password)
{
	require(databases != NULL && name.n > 0);
	struct config *config = proxy_config(databases->proxy);
	const struct config_database *line = config_find_database(config, name);
	uint64_t tag = 0;
	int r = line != NULL ? database_make_tag(line, name, &tag) : -ENOENT;
	config_unref(config);
	if (r < 0) {
		return NULL;
	}
	pthread_mutex_lock(&databases->lock);
	struct database *database = databases_get(databases, name, tag);
	bool is_new = database == NULL;
	if (is_new) {
		database = databases_add(databases, name, tag);
	}
	if (database != NULL) {
		atomic_store(&database->used_ns, clock_now_ns());
	}
	pthread_mutex_unlock(&databases->lock);
	if (database == NULL) {
		return NULL;
	}
	/* while it cannot be asked, another login may do better */
	if (is_new || !atomic_load(&database->is_up)) {
		pthread_mutex_lock(&database->lock);
		bool has_login = database_set_login(database, user, password);
		pthread_mutex_unlock(&database->lock);
		bool was_absent = atomic_exchange(&database->is_absent, false);
		if (is_new || has_login || was_absent) {
			databases_wake(databases);
		}
	}
	return database;
}

size_t databases_state(struct databases *databases, struct database_state *out,
		       size_t max)
{
	require(databases != NULL && (out != NULL || max == 0));
	size_t n = 0;
	for (struct database *database = databases_next(databases, NULL);
	     database != NULL && n < max;
	     database = databases_next(databases, database)) {
		if (database->is_elsewhere) {
			continue;
		}
		struct catalog *catalog = database_catalog(database);
		out[n++] = (struct database_state){
			.name = database->name,
			.is_up = atomic_load(&database->is_up),
			.catalog_version = atomic_load(&database->version),
			.n_relations =
			    catalog != NULL ? catalog_n_relations(catalog) : 0,
			.n_limbo = atomic_load(&database->n_limbo),
		};
		catalog_unref(catalog);
	}
	return n;
}

/* Life */

int databases_new(struct proxy *proxy, struct databases **out)
{
	require(proxy != NULL && proxy->store != NULL && out != NULL);
	struct databases *databases = calloc(1, sizeof(*databases));
	if (databases == NULL) {
		return error_trace(-ENOMEM);
	}
	databases->proxy = proxy;
	databases->store = proxy->store;
	databases->versions = store_shared_versions(proxy->store);
	databases->config_epoch = atomic_load(&proxy->config_epoch);
	atomic_store(&databases->n_refs, 1);
	pthread_mutex_init(&databases->lock, NULL);
	map_init(&databases->by_name, PROXY_MAX_POOLS);
	dlist_init(&databases->all);
	dlist_init(&databases->forgotten);
	dlist_init(&databases->leaving);
	*out = databases;
	return 0;
}

void databases_stop(struct databases *databases)
{
	require(databases != NULL);
	atomic_store(&databases->is_stopped, true);
	for (struct database *database = databases_next(databases, NULL);
	     database != NULL; database = databases_next(databases, database)) {
		database_close_asker(database);
		database_listen_stop(database);
	}
}

/* A call that was posted may still come: it finds is_stopped, and frees the rest. */
void databases_free(struct databases *databases)
{
	if (databases == NULL) {
		return;
	}
	databases_stop(databases);
	map_fini(&databases->by_name);
	dlist_each (it, tmp, &databases->all) {
		database_free(container_of(it, struct database, link));
	}
	databases_forget_fini(databases);
	pthread_mutex_destroy(&databases->lock);
	databases_unref(databases);
}
