/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What only the whole configuration can tell: values that the lines left open, settings
 * that do not go together, a configuration that nobody could use. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/config_build.h"
#include "base/config_errors.h"
#include "base/config_tls.h"
#include "base/config_value.h"

/* The bit of `given` for a row of [databases] or [users]. */
static uint32_t check_bit(const struct config_option *keys, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(keys[i].name, name) == 0) {
			return UINT32_C(1) << i;
		}
	}
	check_failed("the table has the row", __FILE__, __LINE__);
}

static bool check_is_set(const struct config_build *build, const char *section,
			 const char *name)
{
	const struct config_option *option = config_find_option(section, name);
	require(option != NULL);
	return build->is_set[config_option_index(option)];
}

static void check_database(struct config_build *build, struct config_database *db)
{
	const struct config *config = build->config;
	size_t n;
	const struct config_option *keys = config_database_keys(&n);
	db->has_pool_size = (db->given & check_bit(keys, n, "pool_size")) != 0;
	db->has_pool_mode = (db->given & check_bit(keys, n, "pool_mode")) != 0;
	bool has_min = (db->given & check_bit(keys, n, "min_pool_size")) != 0;
	if (!db->has_pool_size) {
		db->pool_size = config->default_pool_size;
	}
	db->has_reserve_pool_size =
	    (db->given & (check_bit(keys, n, "reserve_pool_size") |
			  check_bit(keys, n, "reserve_pool"))) != 0;
	if (!db->has_reserve_pool_size) {
		db->reserve_pool_size = config->reserve_pool_size;
	}
	if (!has_min) {
		db->min_pool_size = config->min_pool_size;
	}
	if (db->min_pool_size > db->pool_size) {
		if (has_min && db->has_pool_size) {
			config_build_warning(build,
					     "database %s: min_pool_size is more than "
					     "pool_size, which is used for both",
					     db->name);
		}
		db->min_pool_size = db->pool_size;
	}
	if (!db->has_pool_mode) {
		db->pool_mode = config->pool_mode;
	}
	if (!(db->given & check_bit(keys, n, "max_db_connections"))) {
		db->max_db_connections = config->max_db_connections;
	}
	if (!(db->given & check_bit(keys, n, "max_db_client_connections"))) {
		db->max_db_client_connections = config->max_db_client_connections;
	}
	if (!(db->given & check_bit(keys, n, "query_wait_timeout"))) {
		db->query_wait_timeout_ms = config->query_wait_timeout_ms;
	}
	if (!(db->given & check_bit(keys, n, "server_lifetime"))) {
		db->server_lifetime_ms = config->server_lifetime_ms;
	}
	if (!(db->given & check_bit(keys, n, "sslmode"))) {
		db->sslmode = config->server_tls_sslmode;
	}
	if (!(db->given & check_bit(keys, n, "cache"))) {
		/* several servers may have different rows, or some of them later */
		db->cache = !config_has_hosts(db);
	}
	config_build_database_tls(build, db);
	bool is_wildcard = strcmp(db->name, "*") == 0;
	if (db->dbname == NULL && !is_wildcard) {
		db->dbname = db->name;
	}
}

static void check_user(struct config_build *build, struct config_user *user)
{
	const struct config *config = build->config;
	size_t n;
	const struct config_option *keys = config_user_keys(&n);
	user->has_pool_mode = (user->given & check_bit(keys, n, "pool_mode")) != 0;
	user->has_query_wait_timeout =
	    (user->given & check_bit(keys, n, "query_wait_timeout")) != 0;
	if (!user->has_pool_mode) {
		user->pool_mode = config->pool_mode;
	}
	user->has_reserve_pool_size =
	    (user->given & check_bit(keys, n, "reserve_pool_size")) != 0;
	if (!(user->given & check_bit(keys, n, "max_user_client_connections"))) {
		user->max_user_client_connections = config->max_user_client_connections;
	}
	if (!(user->given & check_bit(keys, n, "max_user_connections"))) {
		user->max_user_connections = config->max_user_connections;
	}
	if (!(user->given & check_bit(keys, n, "query_timeout"))) {
		user->query_timeout_ms = config->query_timeout_ms;
	}
	if (!user->has_query_wait_timeout) {
		user->query_wait_timeout_ms = config->query_wait_timeout_ms;
	}
	if (!(user->given & check_bit(keys, n, "idle_transaction_timeout"))) {
		user->idle_transaction_timeout_ms = config->idle_transaction_timeout_ms;
	}
	if (!(user->given & check_bit(keys, n, "transaction_timeout"))) {
		user->transaction_timeout_ms = config->transaction_timeout_ms;
	}
	if (!(user->given & check_bit(keys, n, "client_idle_timeout"))) {
		user->client_idle_timeout_ms = config->client_idle_timeout_ms;
	}
}

/* Whether every address of listen_addr is of this machine only. */
static bool check_is_loopback(const struct config *config)
{
	const char *at = config->listen_addr;
	struct span item;
	while (config_next_item(&at, &item)) {
		bool is_local = span_eq_str(item, "localhost") ||
				span_eq_str(item, "::1") ||
				(item.n >= 4 && memcmp(item.p, "127.", 4) == 0);
		if (!is_local) {
			return false;
		}
	}
	return true;
}

static bool check_has_password(const struct config *config)
{
	for (size_t i = 0; i < config->n_users; i++) {
		if (config->users[i].password != NULL) {
			return true;
		}
	}
	return false;
}

#define CONFIG_ENUM(id, text) [id] = text,
#define CONFIG_ENUM_AUTH_TYPE
static const char *const check_auth_types[] = {
#include "tbl/config_enums.h"
};
#undef CONFIG_ENUM_AUTH_TYPE
#undef CONFIG_ENUM

static bool check_needs_secrets(enum auth_type type)
{
	switch (type) {
	case AUTH_TYPE_TRUST:
	case AUTH_TYPE_ANY:
	case AUTH_TYPE_CERT:
	case AUTH_TYPE_PEER:
	case AUTH_TYPE_HBA:
		return false;
	case AUTH_TYPE_PLAIN:
	case AUTH_TYPE_PASSWORD:
	case AUTH_TYPE_MD5:
	case AUTH_TYPE_SCRAM:
		break;
	}
	return true;
}

/* With auth_type any the client's name says nothing. */
static void check_any(struct config_build *build)
{
	const struct config *config = build->config;
	for (size_t i = 0; i < config->n_databases; i++) {
		if (config->databases[i].user == NULL) {
			config_build_error(build,
					   "auth_type is any and database %s has no "
					   "user, as which clients would log in",
					   config->databases[i].name);
		}
	}
}

/* Whether users are looked up with auth_query for any database. */
static bool check_asks(const struct config *config)
{
	bool asks = config->auth_user[0] != 0;
	for (size_t i = 0; i < config->n_databases && !asks; i++) {
		const char *user = config->databases[i].auth_user;
		asks = user != NULL && user[0] != 0;
	}
	return asks;
}

static void check_auth_dbname(struct config_build *build, const char *where,
			      const char *name)
{
	if (name[0] != 0 &&
	    config_find_database(build->config, span_str(name)) == NULL) {
		config_build_error(build,
				   "%s%sauth_dbname = %s: not a name in [databases]",
				   where, where[0] != 0 ? ": " : "", name);
	}
}

static void check_auth_query(struct config_build *build)
{
	const struct config *config = build->config;
	check_auth_dbname(build, "", config->auth_dbname);
	for (size_t i = 0; i < config->n_databases; i++) {
		const struct config_database *db = &config->databases[i];
		if (db->auth_dbname != NULL) {
			check_auth_dbname(build, db->name, db->auth_dbname);
		}
	}
	bool has_query =
	    check_is_set(build, "pgrecall", "auth_query") && config->auth_query[0] != 0;
	if (!check_asks(config) && (has_query || config->auth_dbname[0] != 0)) {
		config_build_warning(build, "auth_query and auth_dbname mean nothing "
					    "without auth_user");
	}
}

static void check_auth(struct config_build *build)
{
	struct config *config = build->config;
	bool has_file = config->auth_file[0] != 0;
	bool asks = check_asks(config);
	if (build->has_url && !build->url_has_password && !has_file && !asks &&
	    !check_is_set(build, "pgrecall", "auth_type")) {
		/* there is nothing that a client's password could be compared with */
		config->auth_type = AUTH_TYPE_TRUST;
	}
	if (has_file && access(config->auth_file, R_OK) < 0) {
		config_build_error(build, "auth_file: cannot read %s: %s",
				   config->auth_file, strerror(errno));
	}
	bool is_open =
	    config->auth_type == AUTH_TYPE_TRUST || config->auth_type == AUTH_TYPE_ANY;
	const char *name = check_auth_types[config->auth_type];
	if (is_open && !check_is_loopback(config)) {
		config_build_warning(build,
				     "auth_type is %s and listen_addr is not loopback: "
				     "whoever can connect is let in",
				     name);
	}
	if (check_needs_secrets(config->auth_type) && !has_file &&
	    !check_has_password(config) && !asks) {
		config_build_error(build,
				   "auth_type is %s and nobody has a password: set "
				   "auth_file or auth_user, or auth_type = trust",
				   name);
	}
	if (config->auth_type == AUTH_TYPE_ANY) {
		check_any(build);
	}
	if (config->auth_type == AUTH_TYPE_CERT &&
	    config->client_tls_sslmode < SSLMODE_VERIFY_CA) {
		config_build_error(build, "auth_type is cert: set client_tls_sslmode = "
					  "verify-ca or verify-full");
	}
	if (config->auth_type == AUTH_TYPE_PEER && config->unix_socket_dir[0] == 0) {
		config_build_error(build, "auth_type is peer and unix_socket_dir is "
					  "not set: nobody could log in");
	}
	if (config->auth_type == AUTH_TYPE_HBA && config->auth_hba_file[0] == 0) {
		config_build_error(build,
				   "auth_type is hba and auth_hba_file is not set");
	}
	if (config->auth_type != AUTH_TYPE_HBA && config->auth_hba_file[0] != 0) {
		config_build_warning(
		    build, "auth_hba_file is not used: auth_type is %s", name);
	}
}

static void check_redis(struct config_build *build)
{
	const char *url = build->config->redis_url;
	if (strncmp(url, "rediss://", 9) == 0) {
		config_build_error(build, "redis url: TLS is not supported yet");
	} else if (url[0] != 0 && strncmp(url, "redis://", 8) != 0 &&
		   strncmp(url, "unix:", 5) != 0) {
		config_build_error(build,
				   "redis url: must begin with redis:// or unix:");
	}
}

/* `host:port`, `[::1]:port`, `:port` or `*:port`. */
static void check_http(struct config_build *build)
{
	const char *listen = build->config->http_listen;
	const char *colon = strrchr(listen, ':');
	uint64_t port;
	if (listen[0] == 0) {
		return;
	}
	if (colon == NULL || !config_parse_uint(span_str(colon + 1), &port) ||
	    port == 0 || port > 65535) {
		config_build_error(build, "http listen = %.80s: must be host:port",
				   listen);
	}
}

static void check_listen(struct config_build *build)
{
	const struct config *config = build->config;
	const char *at = config->listen_addr;
	struct span item;
	if (!config_next_item(&at, &item) && config->unix_socket_dir[0] == 0) {
		config_build_error(build,
				   "neither listen_addr nor unix_socket_dir is set: "
				   "no client could connect");
	}
}

static void check_rules(struct config_build *build)
{
	for (size_t i = 0; i < build->config->n_rules; i++) {
		struct config_rule *rule = &build->private->rules[i];
		rule->index = (uint32_t)i;
		if (rule->n_fingerprints == 0 && rule->n_tables == 0 &&
		    rule->query == NULL && rule->classes == 0) {
			config_build_warning(
			    build,
			    "rule %s says nothing about what it is for: "
			    "it holds for every read",
			    rule->name);
		}
	}
	build->private->next_rule_index = (uint32_t)build->config->n_rules;
}

void config_build_finish(struct config_build *build)
{
	struct config *config = build->config;
	build->file = config->path;
	build->line = 0;
	for (size_t i = 0; i < config->n_databases; i++) {
		check_database(build, &build->private->databases[i]);
		build->private->databases[i].index = (uint32_t)i;
	}
	build->private->next_database_index = (uint32_t)config->n_databases;
	config_build_server_lists(build);
	for (size_t i = 0; i < config->n_users; i++) {
		check_user(build, &build->private->users[i]);
	}
	if (config->n_databases == 0) {
		config_build_error(build,
				   "no database: [databases] is empty and DATABASE_URL "
				   "is not set");
	}
	if (config->l1_shards & (config->l1_shards - 1)) {
		config_build_error(build, "l1_shards = %u: must be a power of two",
				   config->l1_shards);
	}
	if (config->server_login_retry_max_ms < config->server_login_retry_ms) {
		config->server_login_retry_max_ms = config->server_login_retry_ms;
	}
	check_listen(build);
	check_auth(build);
	check_auth_query(build);
	config_build_tls(build);
	check_redis(build);
	check_http(build);
	check_rules(build);
}
