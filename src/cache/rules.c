/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "cache/rules.h"

#include <stdint.h>

#include "base/config.h"
#include "sql/plan.h"

/* What the configuration says of one class. */
struct class_default {
	bool is_on; /* without a rule */
	uint64_t ttl_ms;
	uint32_t bit; /* in config_rule.classes */
};

static struct class_default class_default(const struct config *config, unsigned klass)
{
	switch (klass) {
	case PLAN_CLASS_RECENT:
		return (struct class_default){ config->cache_recent,
					       config->ttl_recent_ms,
					       1U << RULE_CLASS_RECENT };
	case PLAN_CLASS_VECTOR:
		return (struct class_default){ config->cache_vector,
					       config->ttl_vector_ms,
					       1U << RULE_CLASS_VECTOR };
	case PLAN_CLASS_CONTEXT:
		return (struct class_default){ config->cache_default,
					       config->ttl_context_ms,
					       1U << RULE_CLASS_CONTEXT };
	default:
		return (struct class_default){ config->cache_default,
					       config->ttl_default_ms,
					       1U << RULE_CLASS_DEFAULT };
	}
}

static bool rule_has_fingerprint(const struct config_rule *rule, uint64_t fingerprint)
{
	for (size_t i = 0; i < rule->n_fingerprints; i++) {
		if (rule->fingerprints[i] == fingerprint) {
			return true;
		}
	}
	return rule->n_fingerprints == 0;
}

static bool rule_has_table(const struct config_rule *rule, const char *const *tables,
			   size_t n_tables)
{
	for (size_t i = 0; i < n_tables; i++) {
		if (config_rule_matches_table(rule, tables[i])) {
			return true;
		}
	}
	return rule->n_tables == 0;
}

/* The first rule of the file that matches, or -1. */
static int rules_find(const struct config *config, const struct plan *plan,
		      uint32_t class_bit, const char *const *tables, size_t n_tables)
{
	for (size_t i = 0; i < config->n_rules && i <= INT16_MAX; i++) {
		const struct config_rule *rule = &config->rules[i];
		if ((rule->classes == 0 || (rule->classes & class_bit) != 0) &&
		    rule_has_fingerprint(rule, plan->fingerprint) &&
		    rule_has_table(rule, tables, n_tables) &&
		    config_rule_matches_query(rule, plan->normalized)) {
			return (int)i;
		}
	}
	return -1;
}

/* Whole seconds, rounded up: 0 only for 0. */
static uint32_t ttl_seconds(uint64_t ms)
{
	uint64_t s = ms / 1000 + (ms % 1000 != 0);
	return s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

void rules_apply(const struct config *config, struct plan *plan,
		 const char *const *tables, size_t n_tables)
{
	if (plan->bypass != BYPASS_NONE) {
		return;
	}
	struct class_default def = class_default(config, plan->klass);
	bool is_on = def.is_on;
	plan->rule = (int16_t)rules_find(config, plan, def.bit, tables, n_tables);
	plan->ttl_s = ttl_seconds(def.ttl_ms);
	plan->max_size = config->max_result_size;
	if (plan->rule >= 0) {
		const struct config_rule *rule = &config->rules[plan->rule];
		is_on = true;
		if (rule->ttl_ms >= 0) {
			plan->ttl_s = ttl_seconds((uint64_t)rule->ttl_ms);
		}
		if (rule->max_size > 0) {
			plan->max_size = rule->max_size;
		}
		if (!rule->enabled || plan->ttl_s == 0) {
			plan->bypass = BYPASS_RULE_OFF;
		}
	}
	if (plan->hint_ttl_s >= 0) {
		/* who wrote the query asks for it; only a rule that forbids it is
		 * stronger */
		is_on = true;
		plan->ttl_s = (uint32_t)plan->hint_ttl_s;
	}
	if (!config->cache_enabled) {
		plan->bypass = BYPASS_DISABLED;
	} else if (plan->hint_off || plan->hint_ttl_s == 0) {
		plan->bypass = BYPASS_HINT;
	} else if (plan->bypass == BYPASS_NONE && !is_on) {
		plan->bypass = BYPASS_NO_RULE;
	}
	if (plan->bypass != BYPASS_NONE) {
		plan->ttl_s = 0;
	}
}
