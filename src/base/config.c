/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/config.h"

#include <errno.h>
#include <regex.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_build.h"
#include "base/config_errors.h"
#include "base/ini.h"

#define CONFIG_MAX_AUTO_WORKERS 4

/* ---- building ---------------------------------------------------------------------
 */

PRINTF_LIKE(3, 0)
static void config_note(struct config_build *build, bool is_warning, const char *fmt,
			va_list args)
{
	char text[2048];
	vsnprintf(text, sizeof(text), fmt, args);
	config_errors_add(build->errors, is_warning, build->file, build->line, "%s",
			  text);
}

void config_build_error(struct config_build *build, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	config_note(build, false, fmt, args);
	va_end(args);
}

void config_build_warning(struct config_build *build, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	config_note(build, true, fmt, args);
	va_end(args);
}

char *config_build_string(struct config_build *build, struct span s)
{
	char *copy = arena_copy(&build->private->strings, s);
	if (copy == NULL) {
		build->no_memory = true;
	}
	return copy;
}

static const char *const config_sections[] = {
	"pgrecall", "pgbouncer", "cache",     "redis", "http",
	"log",	    "monitor",	 "databases", "users", "rule",
};

/* The name of a rule when S is `rule NAME`. */
static bool config_is_rule(struct span s, struct span *name_out)
{
	if (s.n < 4 || memcmp(s.p, "rule", 4) != 0 ||
	    (s.n > 4 && s.p[4] != ' ' && s.p[4] != '\t')) {
		return false;
	}
	s = span_skip(s, 4);
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s = span_skip(s, 1);
	}
	*name_out = s;
	return true;
}

static void config_section(struct config_build *build, struct span section)
{
	struct span rule;
	build->section_is_unknown = false;
	if (config_is_rule(section, &rule)) {
		config_build_rule(build, rule);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(config_sections); i++) {
		if (span_eq_str(section, config_sections[i])) {
			return;
		}
	}
	build->section_is_unknown = true;
	if (span_eq_str(section, "peers")) {
		config_build_error(build,
				   "[peers] is not supported yet: cancel requests "
				   "would get lost between processes");
		return;
	}
	const char *name = config_build_string(build, section);
	const char *near = name != NULL ? config_nearest(name, config_sections,
							 ARRAY_LEN(config_sections))
					: NULL;
	config_build_error(build, "unknown section [%s]%s%s%s",
			   name != NULL ? name : "", near ? "; did you mean [" : "",
			   near ? near : "", near ? "]?" : "");
}

static void config_line(void *arg, const struct ini_entry *entry)
{
	struct config_build *build = arg;
	struct span rule;
	build->file = entry->file;
	build->line = entry->line;
	if (entry->is_section) {
		config_section(build, entry->section);
	} else if (build->section_is_unknown) {
		return;
	} else if (span_eq_str(entry->section, "databases")) {
		config_build_database(build, entry->key, entry->value);
	} else if (span_eq_str(entry->section, "users")) {
		config_build_user(build, entry->key, entry->value);
	} else if (config_is_rule(entry->section, &rule)) {
		config_build_rule_key(build, rule, entry->key, entry->value);
	} else if (span_eq_str(entry->section, "pgbouncer")) {
		config_build_setting(build, "pgrecall", entry->key, entry->value);
	} else {
		const char *section = config_build_string(build, entry->section);
		if (section != NULL) {
			config_build_setting(build, section, entry->key, entry->value);
		}
	}
}

static int config_build_begin(struct config_build *build, struct config_errors *errors)
{
	*build = (struct config_build){ .errors = errors };
	build->config = calloc(1, sizeof(*build->config));
	build->private = calloc(1, sizeof(*build->private));
	if (build->config == NULL || build->private == NULL) {
		free(steal(&build->config));
		free(steal(&build->private));
		return -ENOMEM;
	}
	build->config->private = build->private;
	atomic_init(&build->private->refs, 1);
	arena_init(&build->private->strings, CONFIG_MAX_STRINGS);
	map_init(&build->private->database_map, CONFIG_MAX_DATABASES);
	map_init(&build->private->user_map, CONFIG_MAX_USERS);
	config_option_defaults(build);
	return build->no_memory ? -ENOMEM : 0;
}

static int config_build_whole(struct config_build *build, const char *path,
			      const struct span *text, char *const *environment)
{
	int r = 0;
	if (path != NULL) {
		build->config->path = config_build_string(build, span_str(path));
		r = ini_read_file(path, config_line, build, build->errors);
	} else if (text != NULL) {
		r = ini_read_text("configuration", *text, true, config_line, build,
				  build->errors);
	}
	if (r == 0 && !build->no_memory && environment != NULL) {
		config_build_environment(build, environment);
	}
	if (r == 0 && !build->no_memory) {
		config_build_finish(build);
	}
	return build->no_memory ? -ENOMEM : r;
}

static int config_make(const char *path, const struct span *text,
		       char *const *environment, struct config **out,
		       struct config_errors *errors)
{
	require(out != NULL && errors != NULL);
	struct config_build build;
	size_t before = errors->n_errors;
	int r = config_build_begin(&build, errors);
	if (r == 0) {
		r = config_build_whole(&build, path, text, environment);
	} else if (build.config == NULL) {
		return r;
	}
	if (r == 0 && errors->n_errors != before) {
		r = CONFIG_E_INVALID;
	}
	if (r != 0) {
		config_unref(build.config);
		return r;
	}
	*out = build.config;
	return 0;
}

int config_load(const char *path, char *const *environment, struct config **out,
		struct config_errors *errors)
{
	return config_make(path, NULL, environment, out, errors);
}

int config_load_text(struct span text, char *const *environment, struct config **out,
		     struct config_errors *errors)
{
	return config_make(NULL, &text, environment, out, errors);
}

/* ---- life -------------------------------------------------------------------------
 */

struct config *config_ref(struct config *config)
{
	require(config != NULL);
	unsigned before =
	    atomic_fetch_add_explicit(&config->private->refs, 1, memory_order_relaxed);
	require(before > 0);
	return config;
}

static void config_free(struct config *config)
{
	struct config_private *private = config->private;
	for (size_t i = 0; i < config->n_rules; i++) {
		if (private->rules[i].regex != NULL) {
			regfree(private->rules[i].regex);
			free(private->rules[i].regex);
		}
	}
	map_fini(&private->database_map);
	map_fini(&private->user_map);
	free(private->databases);
	free(private->users);
	free(private->rules);
	arena_fini(&private->strings);
	free(private);
	free(config);
}

void config_unref(struct config *config)
{
	if (config == NULL) {
		return;
	}
	/* what other threads did with it happened before it is freed */
	unsigned before =
	    atomic_fetch_sub_explicit(&config->private->refs, 1, memory_order_acq_rel);
	require(before > 0);
	if (before == 1) {
		config_free(config);
	}
}

void config_inherit(struct config *fresh, const struct config *old)
{
	require(fresh != NULL && old != NULL);
	struct config_private *private = fresh->private;
	private->next_database_index = old->private->next_database_index;
	private->next_rule_index = old->private->next_rule_index;
	for (size_t i = 0; i < fresh->n_databases; i++) {
		struct config_database *db = &private->databases[i];
		const size_t *at =
		    map_get(&old->private->database_map, span_str(db->name));
		db->index = at != NULL ? old->databases[*at].index
				       : private->next_database_index++;
	}
	for (size_t i = 0; i < fresh->n_rules; i++) {
		struct config_rule *rule = &private->rules[i];
		size_t j = 0;
		while (j < old->n_rules &&
		       strcmp(old->rules[j].name, rule->name) != 0) {
			j++;
		}
		rule->index =
		    j < old->n_rules ? old->rules[j].index : private->next_rule_index++;
	}
}

/* ---- look-ups ---------------------------------------------------------------------
 */

const struct config_database *config_find_database(const struct config *config,
						   struct span name)
{
	require(config != NULL);
	const struct map *map = &config->private->database_map;
	const size_t *at = map_get(map, name);
	if (at == NULL) {
		at = map_get(map, SPAN_LIT("*"));
	}
	return at != NULL ? &config->databases[*at] : NULL;
}

const struct config_user *config_find_user(const struct config *config,
					   struct span name)
{
	require(config != NULL);
	const size_t *at = map_get(&config->private->user_map, name);
	return at != NULL ? &config->users[*at] : NULL;
}

bool config_next_item(const char **at, struct span *item_out)
{
	static const char space[] = ", \t";
	require(at != NULL && *at != NULL && item_out != NULL);
	const char *begin = *at + strspn(*at, space);
	size_t n = strcspn(begin, ",");
	*at = begin + n;
	while (n > 0 && (begin[n - 1] == ' ' || begin[n - 1] == '\t')) {
		n--;
	}
	*item_out = span_make(begin, n);
	return n > 0;
}

bool config_has_item(const char *list, struct span item)
{
	struct span each;
	while (config_next_item(&list, &each)) {
		if (span_eq(each, item)) {
			return true;
		}
	}
	return false;
}

unsigned config_n_workers(const struct config *config)
{
	require(config != NULL);
	if (config->workers > 0) {
		return config->workers;
	}
	cpu_set_t cpus;
	int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
	return n < 1			     ? 1
	       : n > CONFIG_MAX_AUTO_WORKERS ? CONFIG_MAX_AUTO_WORKERS
					     : (unsigned)n;
}
