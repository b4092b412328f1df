/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The lines of [databases] and [users]. */

#include "base/config_lists.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/config_build.h"
#include "base/config_errors.h"

/* ---- key=value pairs --------------------------------------------------------------
 */

static bool pair_is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span pair_skip_space(struct span s)
{
	while (s.n > 0 && pair_is_space(s.p[0])) {
		s = span_skip(s, 1);
	}
	return s;
}

/* Takes the value at the begin of *S into SCRATCH, without its quotes. */
static const char *pair_take_value(struct span *s, bool backslash, struct buf *scratch)
{
	bool quoted = s->n > 0 && s->p[0] == '\'';
	if (quoted) {
		*s = span_skip(*s, 1);
	}
	while (s->n > 0) {
		uint8_t c = s->p[0];
		if (!quoted && pair_is_space(c)) {
			return NULL;
		}
		*s = span_skip(*s, 1);
		if (c == '\\' && backslash && s->n > 0) {
			c = s->p[0];
			*s = span_skip(*s, 1);
		} else if (c == '\'' && quoted) {
			if (backslash || s->n == 0 || s->p[0] != '\'') {
				return NULL;
			}
			*s = span_skip(*s, 1);
		}
		buf_append_u8(scratch, c);
	}
	return quoted ? "a quote does not end" : NULL;
}

const char *config_split_pairs(struct span text, bool backslash, struct buf *scratch,
			       config_pair_fn fn, void *arg)
{
	require(scratch != NULL && fn != NULL);
	struct span s = pair_skip_space(text);
	while (s.n > 0) {
		struct span key = s;
		while (s.n > 0 && s.p[0] != '=' && !pair_is_space(s.p[0])) {
			s = span_skip(s, 1);
		}
		key.n -= s.n;
		s = pair_skip_space(s);
		if (s.n == 0 || s.p[0] != '=' || key.n == 0) {
			return "expected key=value pairs";
		}
		s = pair_skip_space(span_skip(s, 1));
		buf_reset(scratch);
		const char *wrong = pair_take_value(&s, backslash, scratch);
		if (wrong != NULL) {
			return wrong;
		}
		if (!buf_ok(scratch)) {
			return "a value is too long";
		}
		fn(arg, key, buf_span(scratch));
		s = pair_skip_space(s);
	}
	return NULL;
}

/* ---- databases and users ----------------------------------------------------------
 */

/* A line that is being read: its object, and the rows that may be on it. */
struct list_line {
	struct config_build *build;
	const struct config_option *keys;
	size_t n_keys;
	const char *name; /* of the entry */
	void *object;
	uint32_t *given; /* bits of the rows that were on the line */
};

static void list_unknown_key(struct list_line *line, const char *key)
{
	const char *names[32];
	for (size_t i = 0; i < line->n_keys; i++) {
		names[i] = line->keys[i].name;
	}
	const char *near = config_nearest(key, names, line->n_keys);
	config_build_error(line->build, "%s: unknown key \"%s\"%s%s%s", line->name, key,
			   near ? "; did you mean \"" : "", near ? near : "",
			   near ? "\"?" : "");
}

static void list_pair(void *arg, struct span key_span, struct span value)
{
	struct list_line *line = arg;
	const char *key = config_build_string(line->build, key_span);
	if (key == NULL) {
		return;
	}
	for (size_t i = 0; i < line->n_keys; i++) {
		if (strcmp(line->keys[i].name, key) != 0) {
			continue;
		}
		if (config_option_parse(line->build, &line->keys[i], key, value,
					line->object)) {
			*line->given |= UINT32_C(1) << i;
		}
		return;
	}
	if (!config_build_foreign(line->build, line->keys[0].section, key, value)) {
		list_unknown_key(line, key);
	}
}

static void list_read(struct list_line *line, struct span text)
{
	struct buf scratch;
	buf_init(&scratch, 64U << 10);
	const char *wrong = config_split_pairs(text, false, &scratch, list_pair, line);
	if (wrong != NULL) {
		config_build_error(line->build, "%s: %s", line->name, wrong);
	}
	buf_fini(&scratch);
}

void *config_build_grow(struct config_build *build, void *array, size_t n, size_t size)
{
	if (n != 0 && (n & (n - 1)) != 0) {
		return array;
	}
	void *bigger = reallocarray(array, n == 0 ? 1 : n * 2, size);
	if (bigger == NULL) {
		build->no_memory = true;
	}
	return bigger;
}

/* Notes that NAME (a string of the configuration) is the entry at position AT.  The
 * maps hold positions, because the arrays move while they grow. */
static bool list_note_position(struct config_build *build, struct map *map,
			       const char *name, size_t at)
{
	size_t *position = arena_alloc(&build->private->strings, sizeof(*position));
	if (position == NULL || map_put(map, span_str(name), position) != 0) {
		build->no_memory = true;
		return false;
	}
	*position = at;
	return true;
}

struct config_database *config_build_database_slot(struct config_build *build,
						   struct span name)
{
	struct config *config = build->config;
	const size_t *at = map_get(&build->private->database_map, name);
	if (at != NULL) {
		return &build->private->databases[*at];
	}
	if (config->n_databases >= CONFIG_MAX_DATABASES) {
		config_build_error(build, "more than %d databases",
				   CONFIG_MAX_DATABASES);
		return NULL;
	}
	struct config_database *array = config_build_grow(
	    build, build->private->databases, config->n_databases, sizeof(*array));
	if (array == NULL) {
		return NULL;
	}
	build->private->databases = array;
	config->databases = array;
	const char *copy = config_build_string(build, name);
	if (copy == NULL || !list_note_position(build, &build->private->database_map,
						copy, config->n_databases)) {
		return NULL;
	}
	struct config_database *db = &array[config->n_databases++];
	*db = (struct config_database){ .name = copy };
	return db;
}

struct config_user *config_build_user_slot(struct config_build *build, struct span name)
{
	struct config *config = build->config;
	const size_t *at = map_get(&build->private->user_map, name);
	if (at != NULL) {
		return &build->private->users[*at];
	}
	if (config->n_users >= CONFIG_MAX_USERS) {
		config_build_error(build, "more than %d users", CONFIG_MAX_USERS);
		return NULL;
	}
	struct config_user *array = config_build_grow(build, build->private->users,
						      config->n_users, sizeof(*array));
	if (array == NULL) {
		return NULL;
	}
	build->private->users = array;
	config->users = array;
	const char *copy = config_build_string(build, name);
	if (copy == NULL || !list_note_position(build, &build->private->user_map, copy,
						config->n_users)) {
		return NULL;
	}
	struct config_user *user = &array[config->n_users++];
	*user = (struct config_user){ .name = copy };
	return user;
}

void config_build_database(struct config_build *build, struct span name,
			   struct span value)
{
	struct config_database *db = config_build_database_slot(build, name);
	if (db == NULL) {
		return;
	}
	/* a second line for the same name replaces the first, as in PgBouncer */
	*db = (struct config_database){ .name = db->name };
	struct list_line line = {
		.build = build, .name = db->name, .object = db, .given = &db->given
	};
	line.keys = config_database_keys(&line.n_keys);
	list_read(&line, value);
	config_build_servers(build, db);
}

void config_build_user(struct config_build *build, struct span name, struct span value)
{
	struct config_user *user = config_build_user_slot(build, name);
	if (user == NULL) {
		return;
	}
	*user = (struct config_user){ .name = user->name };
	struct list_line line = { .build = build,
				  .name = user->name,
				  .object = user,
				  .given = &user->given };
	line.keys = config_user_keys(&line.n_keys);
	list_read(&line, value);
}
