/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/config_errors.h"
#include "cache/rules.h"
#include "sql/plan.h"

#define HEAD "[databases]\ndb = host=127.0.0.1\n[pgrecall]\nauth_type = trust\n"

struct row {
	const char *what;
	const char *config; /* behind HEAD */
	/* the statement; a row that leaves them out is a context read of public.t */
	uint8_t klass;
	uint64_t fingerprint;
	const char *normalized;
	const char *tables[3];
	int32_t hint_ttl_s; /* 0 here: none; -1 stands for ttl=0 */
	bool hint_off;
	/* what becomes of it */
	int bypass;
	int rule;
	uint32_t ttl_s;
	uint64_t max_size; /* 0: the default, a megabyte */
};

#define RULE(body) "[rule r]\n" body "\n"

static const struct row rows[] = {
	/* classes */
	{ "recent is on", "", .klass = PLAN_CLASS_RECENT, .rule = -1, .ttl_s = 300 },
	{ "vector is on", "", .klass = PLAN_CLASS_VECTOR, .rule = -1, .ttl_s = 3600 },
	{ "context is off", "", .bypass = BYPASS_NO_RULE, .rule = -1 },
	{ "default is off", "", .klass = PLAN_CLASS_DEFAULT, .bypass = BYPASS_NO_RULE,
	  .rule = -1 },
	{ "default = on, context", "[cache]\ndefault = on\nttl_context = 7s\n",
	  .rule = -1, .ttl_s = 7 },
	{ "default = on, default", "[cache]\ndefault = on\nttl_default = 8s\n",
	  .klass = PLAN_CLASS_DEFAULT, .rule = -1, .ttl_s = 8 },
	{ "recent = off", "[cache]\nrecent = off\n", .klass = PLAN_CLASS_RECENT,
	  .bypass = BYPASS_NO_RULE, .rule = -1 },
	{ "vector = off", "[cache]\nvector = off\n", .klass = PLAN_CLASS_VECTOR,
	  .bypass = BYPASS_NO_RULE, .rule = -1 },
	{ "enabled = off", "[cache]\nenabled = off\n", .klass = PLAN_CLASS_RECENT,
	  .bypass = BYPASS_DISABLED, .rule = -1 },
	{ "max_result_size", "[cache]\nmax_result_size = 5kB\n",
	  .klass = PLAN_CLASS_RECENT, .rule = -1, .ttl_s = 300, .max_size = 5120 },
	/* rules */
	{ "by table", RULE("table = public.t"), .rule = 0, .ttl_s = 300 },
	{ "by another table", RULE("table = public.u"), .bypass = BYPASS_NO_RULE,
	  .rule = -1 },
	{ "by the second table read", RULE("table = public.u"),
	  .tables = { "public.t", "public.u" }, .rule = 0, .ttl_s = 300 },
	{ "by fingerprint", RULE("fingerprint = 00000000000000ff"), .fingerprint = 255,
	  .rule = 0, .ttl_s = 300 },
	{ "by another fingerprint", RULE("fingerprint = ff"), .fingerprint = 254,
	  .bypass = BYPASS_NO_RULE, .rule = -1 },
	{ "by text", RULE("query = select $1"), .normalized = "select $1", .rule = 0,
	  .ttl_s = 300 },
	{ "by another text", RULE("query = select $1"), .normalized = "select $1, $2",
	  .bypass = BYPASS_NO_RULE, .rule = -1 },
	{ "by expression", RULE("query = ~^select .* from t"),
	  .normalized = "select a from t where b = $1", .rule = 0, .ttl_s = 300 },
	{ "by class", RULE("class = context"), .rule = 0, .ttl_s = 300 },
	{ "by another class", RULE("class = default, vector"), .bypass = BYPASS_NO_RULE,
	  .rule = -1 },
	{ "all criteria must match", RULE("table = public.t\nclass = default"),
	  .bypass = BYPASS_NO_RULE, .rule = -1 },
	{ "ttl and size of a rule", RULE("table = public.t\nttl = 5s\nmax_size = 1kB"),
	  .rule = 0, .ttl_s = 5, .max_size = 1024 },
	{ "a part of a second counts as one", RULE("table = public.t\nttl = 1500ms"),
	  .rule = 0, .ttl_s = 2 },
	{ "a rule forbids", RULE("table = public.t\nenabled = off"),
	  .klass = PLAN_CLASS_RECENT, .bypass = BYPASS_RULE_OFF, .rule = 0 },
	{ "the first that matches wins",
	  "[rule a]\ntable = public.u\nttl = 1s\n[rule b]\ntable = public.t\nttl = 2s\n"
	  "[rule c]\ntable = public.t\nttl = 3s\n",
	  .rule = 1, .ttl_s = 2 },
	/* hints */
	{ "a hint changes the ttl", "", .klass = PLAN_CLASS_RECENT, .hint_ttl_s = 9,
	  .rule = -1, .ttl_s = 9 },
	{ "a hint is stronger than a rule's ttl", RULE("table = public.t\nttl = 5s"),
	  .hint_ttl_s = 9, .rule = 0, .ttl_s = 9 },
	{ "a hint switches on", "", .hint_ttl_s = 9, .rule = -1, .ttl_s = 9 },
	{ "but not against a rule", RULE("table = public.t\nenabled = off"),
	  .hint_ttl_s = 9, .bypass = BYPASS_RULE_OFF, .rule = 0 },
	{ "nor against the configuration", "[cache]\nenabled = off\n", .hint_ttl_s = 9,
	  .bypass = BYPASS_DISABLED, .rule = -1 },
	{ "a hint switches off", "", .klass = PLAN_CLASS_RECENT, .hint_off = true,
	  .bypass = BYPASS_HINT, .rule = -1 },
	{ "ttl=0 switches off", "", .klass = PLAN_CLASS_RECENT, .hint_ttl_s = -1,
	  .bypass = BYPASS_HINT, .rule = -1 },
};

static struct config *load(const struct row *row)
{
	char text[1024];
	struct config *config = NULL;
	struct config_errors errors;
	snprintf(text, sizeof(text), "%s%s", HEAD, row->config);
	config_errors_init(&errors);
	int r = config_load_text(span_str(text), NULL, &config, &errors);
	cr_assert_eq(r, 0, "%s: %s", row->what,
		     errors.n > 0 ? errors.items[0].text : "");
	config_errors_fini(&errors);
	return config;
}

static struct plan plan_of(const struct row *row)
{
	struct plan plan = {
		.kind = PLAN_READ,
		.klass =
		    row->klass == PLAN_CLASS_NONE ? PLAN_CLASS_CONTEXT : row->klass,
		.fingerprint = row->fingerprint,
		.normalized = row->normalized == NULL ? "select" : row->normalized,
		.hint_off = row->hint_off,
		.hint_ttl_s = -1,
		.rule = -1,
	};
	if (row->hint_ttl_s != 0) {
		plan.hint_ttl_s = row->hint_ttl_s < 0 ? 0 : row->hint_ttl_s;
	}
	return plan;
}

Test(rules, apply)
{
	static const char *const usual[] = { "public.t", NULL };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct config *config = load(row);
		struct plan plan = plan_of(row);
		const char *const *tables =
		    row->tables[0] == NULL ? usual : row->tables;
		size_t n = tables[1] == NULL ? 1 : 2;
		rules_apply(config, &plan, tables, n);
		cr_expect_eq(plan.bypass, row->bypass, "%s: bypass %d", row->what,
			     plan.bypass);
		cr_expect_eq(plan.rule, row->rule, "%s: rule %d", row->what, plan.rule);
		cr_expect_eq(plan.ttl_s, row->ttl_s, "%s: ttl %u", row->what,
			     plan.ttl_s);
		cr_expect_eq(plan.max_size,
			     row->max_size == 0 ? 1 << 20 : row->max_size, "%s",
			     row->what);
		config_unref(config);
	}
}

Test(rules, leave_a_plan_alone_that_has_a_reason)
{
	struct row row = { "", RULE("ttl = 5s"), .klass = PLAN_CLASS_RECENT };
	struct config *config = load(&row);
	struct plan plan = plan_of(&row);
	plan.bypass = BYPASS_FOR_UPDATE;
	rules_apply(config, &plan, NULL, 0);
	cr_assert_eq(plan.bypass, BYPASS_FOR_UPDATE);
	cr_assert_eq(plan.rule, -1);
	cr_assert_eq(plan.ttl_s, 0);
	config_unref(config);
}
