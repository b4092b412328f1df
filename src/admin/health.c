/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "admin/health.h"

#include <jansson.h>

#define TEXT_MAX 512 /* bytes of a foreign text that are shown */

/* A text that may be foreign (a server's message): JSON wants UTF-8. */
static json_t *text(const char *s)
{
	char copy[TEXT_MAX];
	size_t n = 0;
	json_t *value = json_string(s);
	if (value != NULL) {
		return value;
	}
	for (; s[n] != '\0' && n < sizeof(copy); n++) {
		copy[n] = (char)((unsigned char)s[n] < 0x80 ? s[n] : '?');
	}
	return json_stringn(copy, n);
}

static const char *status_of(const struct health *health)
{
	if (health->stopping) {
		return "stopping";
	}
	if (!health->ready) {
		return "unavailable";
	}
	for (size_t i = 0; i < health->n_databases; i++) {
		if (health->databases[i].known && !health->databases[i].up) {
			return "degraded";
		}
	}
	return "ok";
}

/* Members whose value could not be made (NULL) make the setter fail: the caller sees it
 * in the result. */
static json_t *database_json(const struct health_database *db)
{
	const char *state = "unknown";
	if (db->known) {
		state = db->up ? "up" : "down";
	}
	json_t *o = json_object();
	int r = json_object_set_new(o, "name", text(db->name));
	r |= json_object_set_new(o, "server", text(db->server));
	r |= json_object_set_new(o, "state", json_string(state));
	if (db->error != NULL) {
		r |= json_object_set_new(o, "error", text(db->error));
	}
	r |= json_object_set_new(o, "active", json_integer(db->active));
	r |= json_object_set_new(o, "idle", json_integer(db->idle));
	r |= json_object_set_new(o, "waiting", json_integer(db->waiting));
	if (r != 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *health_json(const struct health *health)
{
	json_t *databases = json_array();
	int r = 0;
	for (size_t i = 0; i < health->n_databases; i++) {
		r |= json_array_append_new(databases,
					   database_json(&health->databases[i]));
	}
	json_t *o = json_object();
	r |= json_object_set_new(o, "status", json_string(status_of(health)));
	r |= json_object_set_new(o, "version", json_string(PGRECALL_VERSION));
	r |= json_object_set_new(o, "uptime_seconds",
				 json_integer((json_int_t)health->uptime_s));
	if (health->redis != NULL) {
		r |= json_object_set_new(o, "redis", json_string(health->redis));
	}
	r |= json_object_set_new(o, "databases", databases);
	if (r != 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int page_append(const char *p, size_t n, void *arg)
{
	struct buf *page = arg;
	buf_append(page, p, n);
	return buf_ok(page) ? 0 : -1;
}

void health_render(const struct health *health, struct buf *page)
{
	require(health != NULL && page != NULL);
	require(health->n_databases == 0 || health->databases != NULL);
	json_t *o = health_json(health);
	if (o == NULL ||
	    json_dump_callback(o, page_append, page, JSON_INDENT(2)) != 0) {
		page->failed = true;
	}
	json_decref(o);
	buf_append_str(page, "\n");
}
