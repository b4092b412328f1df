/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What a line of [databases] says of its servers: which they are, and how sessions on
 * them begin. */

#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/config_build.h"
#include "base/config_value.h"
#include "base/map.h"

#define SERVERS_MAX_OPTIONS 4096 /* bytes */

size_t config_list_count(const char *list)
{
	size_t n = 0;
	struct span item;
	while (config_next_item(&list, &item)) {
		n++;
	}
	return n;
}

struct span config_list_item(const char *list, size_t i)
{
	struct span item = { 0 };
	struct span found = { 0 };
	while (config_next_item(&list, &item)) {
		found = item;
		if (i-- == 0) {
			break;
		}
	}
	return found;
}

bool config_has_hosts(const struct config_database *db)
{
	require(db != NULL);
	return db->host != NULL && strchr(db->host, ',') != NULL;
}

/* ---- hosts and ports --------------------------------------------------------------
 */

/* False: noted. */
static bool servers_read_port(struct config_build *build,
			      const struct config_database *db, struct span text,
			      uint16_t *out)
{
	uint64_t port;
	if (!config_parse_uint(text, &port) || port == 0 || port > 65535) {
		config_build_error(
		    build, "%s: port = %.*s: must be a number from 1 to 65535",
		    db->name, (int)(text.n < 100 ? text.n : 100), (const char *)text.p);
		return false;
	}
	*out = (uint16_t)port;
	return true;
}

static void servers_read_ports(struct config_build *build, struct config_database *db,
			       size_t n_hosts)
{
	const char *at = db->ports;
	size_t n = 0;
	struct span text;
	while (config_next_item(&at, &text)) {
		uint16_t port;
		if (!servers_read_port(build, db, text, &port)) {
			return;
		}
		db->port = n++ == 0 ? port : db->port;
	}
	if (n != 1 && n != n_hosts) {
		config_build_error(build,
				   "%s: %zu ports for %zu hosts: one, or one for each",
				   db->name, n, n_hosts);
	}
}

static void servers_read_hosts(struct config_build *build, struct config_database *db)
{
	if (db->host != NULL && db->host[0] == 0) {
		db->host = NULL;
	}
	size_t n = db->host != NULL ? config_list_count(db->host) : 1;
	if (n == 0 || n > CONFIG_MAX_HOSTS) {
		config_build_error(build, "%s: host must name 1 to %d servers",
				   db->name, CONFIG_MAX_HOSTS);
	}
	db->port = 5432;
	if (db->ports != NULL) {
		servers_read_ports(build, db, n);
	}
}

/* ---- how sessions begin -----------------------------------------------------------
 */

/* As it has to stand on a server's command line. */
static void servers_append_option(struct buf *out, const char *name, const char *value)
{
	if (value == NULL || value[0] == 0) {
		return;
	}
	buf_printf(out, "%s-c %s=", out->len > 0 ? " " : "", name);
	for (; *value != 0; value++) {
		if (*value == ' ' || *value == '\t' || *value == '\\') {
			buf_append_u8(out, '\\');
		}
		buf_append_u8(out, (uint8_t)*value);
	}
}

static void servers_make_options(struct config_build *build, struct config_database *db)
{
	struct buf out;
	buf_init(&out, SERVERS_MAX_OPTIONS);
	servers_append_option(&out, "client_encoding", db->client_encoding);
	servers_append_option(&out, "datestyle", db->datestyle);
	servers_append_option(&out, "timezone", db->timezone);
	build->no_memory |= !buf_ok(&out); /* the values are short */
	db->options = out.len > 0 ? config_build_string(build, buf_span(&out)) : NULL;
	buf_fini(&out);
}

void config_build_servers(struct config_build *build, struct config_database *db)
{
	servers_read_hosts(build, db);
	servers_make_options(build, db);
	if (db->connect_query != NULL && db->connect_query[0] == 0) {
		db->connect_query = NULL;
	}
}

/* ---- several ways to one server ---------------------------------------------------
 */

/* `host:port` of server I, as a string of the configuration; p NULL without memory. */
static struct span servers_key(struct config_build *build,
			       const struct config_database *db, size_t i)
{
	struct span host =
	    db->host != NULL ? config_list_item(db->host, i) : (struct span){ 0 };
	struct span port =
	    db->ports != NULL ? config_list_item(db->ports, i) : SPAN_LIT("5432");
	struct buf key;
	buf_init(&key, 2048);
	buf_append_span(&key, host);
	buf_append_u8(&key, ':');
	buf_append_span(&key, port);
	build->no_memory |= !buf_ok(&key);
	const char *copy = config_build_string(build, buf_span(&key));
	buf_fini(&key);
	return copy != NULL ? span_str(copy) : (struct span){ 0 };
}

static bool servers_are_same(const struct config_database *a,
			     const struct config_database *b)
{
	return a->host != NULL && b->host != NULL && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->ports != NULL ? a->ports : "",
		      b->ports != NULL ? b->ports : "") == 0;
}

static void servers_cache_off(struct config_build *build, struct config_database *db,
			      const struct config_database *other)
{
	if (db->cache) {
		db->cache = false;
		config_build_warning(build,
				     "database %s is not cached: database %s has one "
				     "of its servers, too, in another list of hosts",
				     db->name, other->name);
	}
}

/* Calls for each server of DB that an earlier line with a list has, too. */
static void servers_compare(struct config_build *build, struct map *map,
			    struct config_database *db, bool adds)
{
	size_t n = db->host != NULL ? config_list_count(db->host) : 1;
	for (size_t i = 0; i < n && !build->no_memory; i++) {
		struct span key = servers_key(build, db, i);
		struct config_database *other = key.p ? map_get(map, key) : NULL;
		if (other != NULL && other != db && !servers_are_same(db, other)) {
			servers_cache_off(build, db, other);
			servers_cache_off(build, other, db);
		}
		if (other == NULL && adds && key.p != NULL) {
			build->no_memory |= map_put(map, key, db) != 0;
		}
	}
}

/* What a write makes invalid is told by the server's name, which for a list is the
 * whole list (proxy/database.c): a write that comes through one line would not be seen
 * by another line that knows the same server by another name.  So neither is cached. */
void config_build_server_lists(struct config_build *build)
{
	struct config_database *all = build->private->databases;
	size_t n = build->config->n_databases;
	struct map lists;
	map_init(&lists, CONFIG_MAX_DATABASES * CONFIG_MAX_HOSTS);
	for (size_t i = 0; i < n; i++) {
		if (config_has_hosts(&all[i])) {
			servers_compare(build, &lists, &all[i], true);
		}
	}
	for (size_t i = 0; i < n && lists.n > 0; i++) {
		servers_compare(build, &lists, &all[i], false);
	}
	map_fini(&lists);
}
