/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A configuration as text: as a file that would give the same one, and as the list of
 * what differs between two. */

#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/config_build.h"

#define DUMP_MAX_LINE (64U << 10) /* bytes */

static const char *const rule_classes[] = {
#define CONFIG_ENUM(id, text) text,
#define CONFIG_ENUM_RULE_CLASS
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_RULE_CLASS
#undef CONFIG_ENUM
};

/* ' key=value', quoted as the line needs it. */
static void dump_pair(struct buf *out, const char *key, struct span value)
{
	buf_printf(out, " %s=", key);
	bool quote = value.n == 0;
	for (size_t i = 0; i < value.n; i++) {
		quote = quote || value.p[i] <= ' ' || value.p[i] == '\'';
	}
	if (!quote) {
		buf_append_span(out, value);
		return;
	}
	buf_append_u8(out, '\'');
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\'') {
			buf_append_u8(out, '\'');
		}
		buf_append_u8(out, value.p[i]);
	}
	buf_append_u8(out, '\'');
}

/* The rows that were given on the line, with the values they have. */
static void dump_keys(const struct config_option *keys, size_t n, uint32_t given,
		      const void *object, bool mask, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (!(given & (UINT32_C(1) << i))) {
			continue;
		}
		struct buf value;
		buf_init(&value, DUMP_MAX_LINE);
		config_option_format(&keys[i], object, mask, &value);
		bool is_secret = mask && strcmp(keys[i].name, "password") == 0;
		dump_pair(out, keys[i].name,
			  is_secret ? SPAN_LIT("***") : buf_span(&value));
		buf_fini(&value);
	}
}

void config_database_text(const struct config_database *db, bool mask, struct buf *out)
{
	size_t n;
	const struct config_option *keys = config_database_keys(&n);
	dump_keys(keys, n, db->given, db, mask, out);
}

void config_user_text(const struct config_user *user, struct buf *out)
{
	size_t n;
	const struct config_option *keys = config_user_keys(&n);
	dump_keys(keys, n, user->given, user, true, out);
}

void config_rule_text(const struct config_rule *rule, struct buf *out)
{
	for (size_t i = 0; i < rule->n_fingerprints; i++) {
		buf_printf(out, "%s%016llx", i == 0 ? "fingerprint = " : ", ",
			   (unsigned long long)rule->fingerprints[i]);
	}
	buf_append_str(out, rule->n_fingerprints ? "\n" : "");
	for (size_t i = 0; i < rule->n_tables; i++) {
		buf_printf(out, "%s%s", i == 0 ? "table = " : ", ", rule->tables[i]);
	}
	buf_append_str(out, rule->n_tables ? "\n" : "");
	if (rule->query != NULL) {
		buf_printf(out, "query = %s\n", rule->query);
	}
	bool first = true;
	for (unsigned i = 0; i < ARRAY_LEN(rule_classes); i++) {
		if (rule->classes & (1U << i)) {
			buf_printf(out, "%s%s", first ? "class = " : ", ",
				   rule_classes[i]);
			first = false;
		}
	}
	buf_append_str(out, first ? "" : "\n");
	if (rule->ttl_ms >= 0) {
		buf_printf(out, "ttl = %lldms\n", (long long)rule->ttl_ms);
	}
	if (rule->max_size > 0) {
		buf_printf(out, "max_size = %llu\n",
			   (unsigned long long)rule->max_size);
	}
	buf_printf(out, "enabled = %s\n", rule->enabled ? "on" : "off");
}

/* A name before = : as it is, or in double quotes. */
static void dump_name(const char *name, struct buf *out)
{
	static const char plain[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789_-.*";
	if (*name != 0 && name[strspn(name, plain)] == 0) {
		buf_append_str(out, name);
		return;
	}
	buf_append_u8(out, '"');
	for (const char *p = name; *p != 0; p++) {
		if (*p == '"') {
			buf_append_u8(out, '"');
		}
		buf_append_u8(out, (uint8_t)*p);
	}
	buf_append_u8(out, '"');
}

static void dump_options(const struct config *config, struct buf *out)
{
	const char *section = "";
	const struct config_option *option;
	for (size_t i = 0; (option = config_option(i)) != NULL; i++) {
		if (strcmp(section, option->section) != 0) {
			buf_printf(out, "%s[%s]\n", *section ? "\n" : "",
				   option->section);
			section = option->section;
		}
		buf_printf(out, "%s = ", option->name);
		config_option_format(option, config, true, out);
		buf_append_u8(out, '\n');
	}
}

void config_dump(const struct config *config, struct buf *out)
{
	require(config != NULL && out != NULL);
	dump_options(config, out);
	buf_append_str(out, "\n[databases]\n");
	for (size_t i = 0; i < config->n_databases; i++) {
		dump_name(config->databases[i].name, out);
		buf_append_str(out, " =");
		config_database_text(&config->databases[i], true, out);
		buf_append_u8(out, '\n');
	}
	buf_append_str(out, "\n[users]\n");
	for (size_t i = 0; i < config->n_users; i++) {
		dump_name(config->users[i].name, out);
		buf_append_str(out, " =");
		config_user_text(&config->users[i], out);
		buf_append_u8(out, '\n');
	}
	for (size_t i = 0; i < config->n_rules; i++) {
		buf_printf(out, "\n[rule %s]\n", config->rules[i].name);
		config_rule_text(&config->rules[i], out);
	}
}

/* ---- what differs -----------------------------------------------------------------
 */

/* One comparison: four texts, of which two are shown and two (secrets in clear)
 * compared. */
struct diff {
	config_diff_fn fn;
	void *arg;
	struct buf name;
	struct buf shown[2]; /* old, new */
	struct buf clear[2];
};

static void diff_reset(struct diff *diff, const char *section, const char *name)
{
	buf_reset(&diff->name);
	for (size_t i = 0; i < 2; i++) {
		buf_reset(&diff->shown[i]);
		buf_reset(&diff->clear[i]);
	}
	buf_append_str(&diff->name, section);
	buf_append_u8(&diff->name, '.');
	buf_append_cstr(&diff->name, name);
}

/* Tells when the clear texts differ; HAS_x: whether the thing exists. */
static void diff_tell(struct diff *diff, bool has_old, bool has_new, bool needs_restart)
{
	if (has_old && has_new &&
	    span_eq(buf_span(&diff->clear[0]), buf_span(&diff->clear[1]))) {
		return;
	}
	if (has_old && has_new &&
	    span_eq(buf_span(&diff->shown[0]), buf_span(&diff->shown[1]))) {
		buf_append_str(&diff->shown[1], " (another password)");
	}
	bool ok = buf_ok(&diff->name);
	for (size_t i = 0; i < 2; i++) {
		for (uint8_t *p = diff->shown[i].data;
		     p != NULL && p < diff->shown[i].data + diff->shown[i].len; p++) {
			*p = *p == '\n' ? ';' : *p;
		}
		buf_append_u8(&diff->shown[i], 0);
		ok = ok && buf_ok(&diff->shown[i]);
	}
	if (ok) {
		diff->fn(diff->arg, (char *)diff->name.data,
			 has_old ? (char *)diff->shown[0].data : NULL,
			 has_new ? (char *)diff->shown[1].data : NULL, needs_restart);
	}
}

static void diff_options(struct diff *diff, const struct config *old,
			 const struct config *fresh)
{
	const struct config *both[2] = { old, fresh };
	const struct config_option *option;
	for (size_t i = 0; (option = config_option(i)) != NULL; i++) {
		diff_reset(diff, option->section, option->name);
		for (size_t j = 0; j < 2; j++) {
			config_option_format(option, both[j], true, &diff->shown[j]);
			config_option_format(option, both[j], false, &diff->clear[j]);
		}
		diff_tell(diff, true, true, !(option->flags & CF_RELOAD));
	}
}

static const struct config_database *diff_database(const struct config *config,
						   const char *name)
{
	const struct config_database *db = config_find_database(config, span_str(name));
	/* not the one for "*" that stands in for it */
	return db != NULL && strcmp(db->name, name) == 0 ? db : NULL;
}

static void diff_one_database(struct diff *diff, const struct config_database *old,
			      const struct config_database *fresh)
{
	const struct config_database *both[2] = { old, fresh };
	diff_reset(diff, "databases", old != NULL ? old->name : fresh->name);
	for (size_t i = 0; i < 2; i++) {
		if (both[i] == NULL) {
			continue;
		}
		config_database_text(both[i], true, &diff->shown[i]);
		config_database_text(both[i], false, &diff->clear[i]);
		if (diff->shown[i].len > 0) {
			buf_consume(&diff->shown[i], 1); /* the space in front */
		}
	}
	diff_tell(diff, old != NULL, fresh != NULL, false);
}

static void diff_databases(struct diff *diff, const struct config *old,
			   const struct config *fresh)
{
	for (size_t i = 0; i < old->n_databases; i++) {
		const struct config_database *db = &old->databases[i];
		diff_one_database(diff, db, diff_database(fresh, db->name));
	}
	for (size_t i = 0; i < fresh->n_databases; i++) {
		if (diff_database(old, fresh->databases[i].name) == NULL) {
			diff_one_database(diff, NULL, &fresh->databases[i]);
		}
	}
}

static void diff_one_user(struct diff *diff, const struct config_user *old,
			  const struct config_user *fresh)
{
	const struct config_user *both[2] = { old, fresh };
	diff_reset(diff, "users", old != NULL ? old->name : fresh->name);
	for (size_t i = 0; i < 2; i++) {
		if (both[i] == NULL) {
			continue;
		}
		config_user_text(both[i], &diff->shown[i]);
		if (diff->shown[i].len > 0) {
			buf_consume(&diff->shown[i], 1);
		}
		buf_append_span(&diff->clear[i], buf_span(&diff->shown[i]));
		buf_append_str(&diff->clear[i],
			       both[i]->password != NULL ? both[i]->password : "");
	}
	diff_tell(diff, old != NULL, fresh != NULL, false);
}

static void diff_users(struct diff *diff, const struct config *old,
		       const struct config *fresh)
{
	for (size_t i = 0; i < old->n_users; i++) {
		const struct config_user *user = &old->users[i];
		diff_one_user(diff, user,
			      config_find_user(fresh, span_str(user->name)));
	}
	for (size_t i = 0; i < fresh->n_users; i++) {
		const struct config_user *user = &fresh->users[i];
		if (config_find_user(old, span_str(user->name)) == NULL) {
			diff_one_user(diff, NULL, user);
		}
	}
}

static const struct config_rule *diff_rule(const struct config *config,
					   const char *name, size_t *at_out)
{
	for (size_t i = 0; i < config->n_rules; i++) {
		if (strcmp(config->rules[i].name, name) == 0) {
			*at_out = i;
			return &config->rules[i];
		}
	}
	return NULL;
}

static void diff_one_rule(struct diff *diff, const struct config *old,
			  const struct config *fresh, const char *name)
{
	const struct config *both[2] = { old, fresh };
	bool has[2];
	diff_reset(diff, "rule", name);
	for (size_t i = 0; i < 2; i++) {
		size_t at = 0;
		const struct config_rule *rule = diff_rule(both[i], name, &at);
		has[i] = rule != NULL;
		if (has[i]) {
			/* the place counts: the first rule that matches wins */
			buf_printf(&diff->shown[i], "place %zu\n", at + 1);
			config_rule_text(rule, &diff->shown[i]);
			diff->shown[i].len -= diff->shown[i].len > 0;
			buf_append_span(&diff->clear[i], buf_span(&diff->shown[i]));
		}
	}
	diff_tell(diff, has[0], has[1], false);
}

static void diff_rules(struct diff *diff, const struct config *old,
		       const struct config *fresh)
{
	size_t at;
	for (size_t i = 0; i < old->n_rules; i++) {
		diff_one_rule(diff, old, fresh, old->rules[i].name);
	}
	for (size_t i = 0; i < fresh->n_rules; i++) {
		if (diff_rule(old, fresh->rules[i].name, &at) == NULL) {
			diff_one_rule(diff, old, fresh, fresh->rules[i].name);
		}
	}
}

void config_diff(const struct config *old, const struct config *fresh,
		 config_diff_fn fn, void *arg)
{
	require(old != NULL && fresh != NULL && fn != NULL);
	struct diff diff = { .fn = fn, .arg = arg };
	buf_init(&diff.name, 2048);
	for (size_t i = 0; i < 2; i++) {
		buf_init(&diff.shown[i], DUMP_MAX_LINE);
		buf_init(&diff.clear[i], DUMP_MAX_LINE);
	}
	diff_options(&diff, old, fresh);
	diff_databases(&diff, old, fresh);
	diff_users(&diff, old, fresh);
	diff_rules(&diff, old, fresh);
	buf_fini(&diff.name);
	for (size_t i = 0; i < 2; i++) {
		buf_fini(&diff.shown[i]);
		buf_fini(&diff.clear[i]);
	}
}
