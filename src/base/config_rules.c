/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The sections [rule NAME]. */

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/config_build.h"
#include "base/config_errors.h"
#include "base/config_value.h"

#define LIST_MAX_ITEMS 1000 /* of one key */

static const char *const rule_classes[] = {
#define CONFIG_ENUM(id, text) text,
#define CONFIG_ENUM_RULE_CLASS
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_RULE_CLASS
#undef CONFIG_ENUM
};

static struct config_rule *rule_find(struct config_build *build, struct span name)
{
	/* from the last: it is the section that is being read */
	for (size_t i = build->config->n_rules; i > 0; i--) {
		if (span_eq_str(name, build->private->rules[i - 1].name)) {
			return &build->private->rules[i - 1];
		}
	}
	return NULL;
}

void config_build_rule(struct config_build *build, struct span name)
{
	struct config *config = build->config;
	if (name.n == 0) {
		config_build_error(build, "a rule needs a name: [rule NAME]");
		return;
	}
	if (rule_find(build, name) != NULL) {
		return;
	}
	if (config->n_rules >= CONFIG_MAX_RULES) {
		config_build_error(build, "more than %d rules", CONFIG_MAX_RULES);
		return;
	}
	struct config_rule *array = config_build_grow(build, build->private->rules,
						      config->n_rules, sizeof(*array));
	if (array == NULL) {
		return;
	}
	build->private->rules = array;
	config->rules = array;
	const char *copy = config_build_string(build, name);
	if (copy != NULL) {
		array[config->n_rules++] =
		    (struct config_rule){ .name = copy, .enabled = true, .ttl_ms = -1 };
	}
}

static size_t rule_count_items(const char *list)
{
	struct span item;
	size_t n = 0;
	while (config_next_item(&list, &item)) {
		n++;
	}
	return n;
}

/* Memory for the items of LIST, or NULL when there are none, too many, or no room. */
static void *rule_items(struct config_build *build, const char *list, size_t size)
{
	size_t n = rule_count_items(list);
	if (n == 0 || n > LIST_MAX_ITEMS) {
		config_build_error(build, "expected a list of 1 to %d items",
				   LIST_MAX_ITEMS);
		return NULL;
	}
	void *items = arena_alloc(&build->private->strings, n * size);
	if (items == NULL) {
		build->no_memory = true;
	}
	return items;
}

static void rule_fingerprints(struct config_build *build, struct config_rule *rule,
			      const char *list)
{
	uint64_t *items = rule_items(build, list, sizeof(*items));
	struct span item;
	size_t n = 0;
	while (items != NULL && config_next_item(&list, &item)) {
		if (!config_parse_hex(item, &items[n++])) {
			config_build_error(build,
					   "fingerprint %.*s: must be 1 to 16 "
					   "hexadecimal digits",
					   (int)(item.n < 40 ? item.n : 40),
					   (const char *)item.p);
		}
	}
	rule->fingerprints = items;
	rule->n_fingerprints = n;
}

static void rule_tables(struct config_build *build, struct config_rule *rule,
			const char *list)
{
	const char **items = rule_items(build, list, sizeof(*items));
	struct span item;
	size_t n = 0;
	while (items != NULL && config_next_item(&list, &item)) {
		const char *name = config_build_string(build, item);
		items[n++] = name != NULL ? name : "";
	}
	rule->tables = items;
	rule->n_tables = n;
}

static void rule_class(struct config_build *build, struct config_rule *rule,
		       const char *list)
{
	struct span item;
	rule->classes = 0;
	while (config_next_item(&list, &item)) {
		uint32_t bit = 0;
		for (unsigned i = 0; i < ARRAY_LEN(rule_classes); i++) {
			bit |= span_eq_str(item, rule_classes[i]) ? 1U << i : 0;
		}
		if (bit == 0) {
			config_build_error(
			    build,
			    "class %.*s: must be recent, vector, context "
			    "or default",
			    (int)(item.n < 40 ? item.n : 40), (const char *)item.p);
		}
		rule->classes |= bit;
	}
}

static void rule_query(struct config_build *build, struct config_rule *rule,
		       const char *text)
{
	if (rule->regex != NULL) {
		regfree(rule->regex);
		free(rule->regex);
		rule->regex = NULL;
	}
	rule->query = text;
	if (text[0] != '~') {
		return;
	}
	const char *pattern = text + 1 + strspn(text + 1, " \t");
	regex_t *regex = malloc(sizeof(*regex));
	if (regex == NULL) {
		build->no_memory = true;
		return;
	}
	int r = regcomp(regex, pattern, REG_EXTENDED | REG_NOSUB);
	if (r != 0) {
		char why[200];
		regerror(r, regex, why, sizeof(why));
		config_build_error(build, "query: %s", why);
		free(regex);
		return;
	}
	rule->regex = regex;
}

static void rule_ttl(struct config_build *build, struct config_rule *rule,
		     struct span value)
{
	uint64_t ms;
	if (!config_parse_duration(value, CONFIG_SEC, &ms) || ms > CONFIG_YEAR ||
	    (ms > 0 && ms < CONFIG_SEC)) {
		config_build_error(build,
				   "ttl: must be 0 or a duration from 1s to 365d");
	} else {
		rule->ttl_ms = (int64_t)ms;
	}
}

static void rule_max_size(struct config_build *build, struct config_rule *rule,
			  struct span value)
{
	if (!config_parse_size(value, &rule->max_size) || rule->max_size == 0 ||
	    rule->max_size > CONFIG_MAX_RESULT) {
		config_build_error(build, "max_size: must be a size from 1 to 32MB");
	}
}

void config_build_rule_key(struct config_build *build, struct span rule_name,
			   struct span key, struct span value)
{
	static const char *const keys[] = { "fingerprint", "table", "query",
					    "class",	   "ttl",   "enabled",
					    "max_size" };
	struct config_rule *rule = rule_find(build, rule_name);
	const char *text = config_build_string(build, value);
	if (rule == NULL || text == NULL) {
		return;
	}
	if (span_eq_str(key, "fingerprint")) {
		rule_fingerprints(build, rule, text);
	} else if (span_eq_str(key, "table")) {
		rule_tables(build, rule, text);
	} else if (span_eq_str(key, "query")) {
		rule_query(build, rule, text);
	} else if (span_eq_str(key, "class")) {
		rule_class(build, rule, text);
	} else if (span_eq_str(key, "ttl")) {
		rule_ttl(build, rule, value);
	} else if (span_eq_str(key, "max_size")) {
		rule_max_size(build, rule, value);
	} else if (!span_eq_str(key, "enabled")) {
		const char *name = config_build_string(build, key);
		const char *near =
		    name ? config_nearest(name, keys, ARRAY_LEN(keys)) : NULL;
		config_build_error(build, "rule %s: unknown key \"%s\"%s%s%s",
				   rule->name, name ? name : "",
				   near ? "; did you mean \"" : "", near ? near : "",
				   near ? "\"?" : "");
	} else if (!config_parse_bool(value, &rule->enabled)) {
		config_build_error(build, "enabled = %.60s: must be on or off", text);
	}
}

bool config_rule_matches_query(const struct config_rule *rule, const char *normalized)
{
	require(rule != NULL && normalized != NULL);
	if (rule->query == NULL) {
		return true;
	}
	if (rule->regex != NULL) {
		return regexec(rule->regex, normalized, 0, NULL, 0) == 0;
	}
	return strcmp(rule->query, normalized) == 0;
}

bool config_rule_matches_table(const struct config_rule *rule, const char *table)
{
	require(rule != NULL && table != NULL);
	const char *dot = strrchr(table, '.');
	for (size_t i = 0; i < rule->n_tables; i++) {
		const char *name = rule->tables[i];
		if (strcmp(name, table) == 0 ||
		    (dot != NULL && strcmp(name, dot + 1) == 0)) {
			return true;
		}
	}
	return rule->n_tables == 0;
}
