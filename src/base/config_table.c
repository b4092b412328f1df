/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The tables of settings as data, and what can be done to any row: parse a text into
 * its member, write the member as text. */

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/config_build.h"
#include "base/config_errors.h"
#include "base/config_value.h"

/* clang-format off */
#define CONFIG_ENUM(id, text) text,
static const char *const words_pool_mode[] = {
#define CONFIG_ENUM_POOL_MODE
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_POOL_MODE
};
static const char *const words_auth_type[] = {
#define CONFIG_ENUM_AUTH_TYPE
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_AUTH_TYPE
};
static const char *const words_sslmode[] = {
#define CONFIG_ENUM_SSLMODE
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_SSLMODE
};
static const char *const words_channel_binding[] = {
#define CONFIG_ENUM_CHANNEL_BINDING
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_CHANNEL_BINDING
};
static const char *const words_load_balance[] = {
#define CONFIG_ENUM_LOAD_BALANCE
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_LOAD_BALANCE
};
static const char *const words_log_format[] = {
#define CONFIG_ENUM_LOG_FORMAT
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_LOG_FORMAT
};
#undef CONFIG_ENUM
static const char *const words_log_level[] = {
#define LOG_LEVEL(id, name, tag, priority) name,
#include "tbl/log_levels.h"
#undef LOG_LEVEL
};
/* clang-format on */

const char *config_pool_mode_word(enum pool_mode mode)
{
	return words_pool_mode[mode];
}

const char *config_load_balance_word(enum load_balance balance)
{
	return words_load_balance[balance];
}

#define WORDS(unit) words_##unit, ARRAY_LEN(words_##unit), 0
static const struct config_unit unit_of_pool_mode = { WORDS(pool_mode) };
static const struct config_unit unit_of_sslmode = { WORDS(sslmode) };
static const struct config_unit unit_of_channel_binding = { WORDS(channel_binding) };
static const struct config_unit unit_of_load_balance = { WORDS(load_balance) };
static const struct config_unit unit_of_auth_type = { WORDS(auth_type) };
static const struct config_unit unit_of_log_format = { WORDS(log_format) };
static const struct config_unit unit_of_log_level = { WORDS(log_level) };
static const struct config_unit unit_of_NONE = { NULL, 0, 1 };
static const struct config_unit unit_of_MS = { NULL, 0, 1 };
static const struct config_unit unit_of_S = { NULL, 0, 1000 };

static const struct config_option options[] = {
#define CONFIG(type_, section_, name_, field_, def_, min_, max_, unit_, flags_, help_) \
	{ .section = (section_),                                                       \
	  .name = (name_),                                                             \
	  .type = CONFIG_TYPE_##type_,                                                 \
	  .offset = offsetof(struct config, field_),                                   \
	  .def = (def_),                                                               \
	  .min = (min_),                                                               \
	  .max = (max_),                                                               \
	  .unit = &unit_of_##unit_,                                                    \
	  .flags = (flags_),                                                           \
	  .help = (help_) },
#include "tbl/config.h"
#undef CONFIG
};

_Static_assert(ARRAY_LEN(options) <= CONFIG_MAX_OPTIONS, "raise CONFIG_MAX_OPTIONS");

#define KEY(section_, struct_, type_, name_, field_, min_, max_, unit_) \
	{ .section = (section_),                                        \
	  .name = (name_),                                              \
	  .type = CONFIG_TYPE_##type_,                                  \
	  .offset = offsetof(struct struct_, field_),                   \
	  .min = (min_),                                                \
	  .max = (max_),                                                \
	  .unit = &unit_of_##unit_ },

static const struct config_option database_keys[] = {
#define DATABASE_KEY(...) KEY("databases", config_database, __VA_ARGS__)
#include "tbl/config_keys.h"
#undef DATABASE_KEY
};

static const struct config_option user_keys[] = {
#define USER_KEY(...) KEY("users", config_user, __VA_ARGS__)
#include "tbl/config_keys.h"
#undef USER_KEY
};

_Static_assert(ARRAY_LEN(database_keys) <= 32 && ARRAY_LEN(user_keys) <= 32,
	       "one bit of `given` for each");

/* A setting that is also known under a second name. */
static const struct {
	const char *section;
	const char *name;
	const char *real_section;
	const char *real_name;
} aliases[] = {
	{ "log", "slow_query_threshold", "pgrecall", "slow_query_threshold" },
};

struct config_foreign {
	const char *section;
	const char *name;
	bool is_refused;
	const char *harmless;
	const char *why;
};

static const struct config_foreign foreign[] = {
#define CONFIG_FOREIGN(section, name, is_refused, harmless, why) \
	{ section, name, is_refused, harmless, why },
#include "tbl/config_foreign.h"
#undef CONFIG_FOREIGN
};

size_t config_n_options(void)
{
	return ARRAY_LEN(options);
}

size_t config_option_index(const struct config_option *option)
{
	require(option >= options && option < options + ARRAY_LEN(options));
	return (size_t)(option - options);
}

const struct config_option *config_option(size_t i)
{
	return i < ARRAY_LEN(options) ? &options[i] : NULL;
}

const char *config_option_section(const struct config_option *option)
{
	require(option != NULL);
	return option->section;
}

const char *config_option_name(const struct config_option *option)
{
	require(option != NULL);
	return option->name;
}

const char *config_option_default(const struct config_option *option)
{
	require(option != NULL);
	return option->def;
}

const char *config_option_help(const struct config_option *option)
{
	require(option != NULL);
	return option->help;
}

bool config_option_is_reloadable(const struct config_option *option)
{
	require(option != NULL);
	return (option->flags & CF_RELOAD) != 0;
}

const struct config_option *config_find_option(const char *section, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
		if (strcmp(aliases[i].section, section) == 0 &&
		    strcmp(aliases[i].name, name) == 0) {
			section = aliases[i].real_section;
			name = aliases[i].real_name;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (strcmp(options[i].section, section) == 0 &&
		    strcmp(options[i].name, name) == 0) {
			return &options[i];
		}
	}
	return NULL;
}

const struct config_option *config_database_keys(size_t *n_out)
{
	*n_out = ARRAY_LEN(database_keys);
	return database_keys;
}

const struct config_option *config_user_keys(size_t *n_out)
{
	*n_out = ARRAY_LEN(user_keys);
	return user_keys;
}

static bool option_is_string(const struct config_option *option)
{
	return option->type == CONFIG_TYPE_STRING ||
	       option->type == CONFIG_TYPE_CSTRING;
}

/* The text as a number in the member's unit. */
static bool option_parse_number(const struct config_option *option, struct span text,
				uint64_t *out)
{
	bool on;
	switch (option->type) {
	case CONFIG_TYPE_BOOL:
		if (!config_parse_bool(text, &on)) {
			return false;
		}
		*out = on;
		return true;
	case CONFIG_TYPE_INT:
		return config_parse_uint(text, out);
	case CONFIG_TYPE_DURATION:
		return config_parse_duration(text, option->unit->bare_ms, out);
	case CONFIG_TYPE_SIZE:
		return config_parse_size(text, out);
	case CONFIG_TYPE_MODE:
		return config_parse_octal(text, out);
	case CONFIG_TYPE_ENUM:
		for (size_t i = 0; i < option->unit->n_words; i++) {
			if (span_ieq(text, span_str(option->unit->words[i]))) {
				*out = i;
				return true;
			}
		}
		return false;
	case CONFIG_TYPE_STRING:
	case CONFIG_TYPE_CSTRING:
		break;
	}
	return false;
}

static void option_store(const struct config_option *option, uint64_t v, void *object)
{
	void *member = (char *)object + option->offset;
	switch (option->type) {
	case CONFIG_TYPE_BOOL:
		*(bool *)member = v != 0;
		break;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_MODE:
	case CONFIG_TYPE_ENUM: /* every enum of ours is an unsigned int to the compiler
				*/
		*(uint32_t *)member = (uint32_t)v;
		break;
	case CONFIG_TYPE_DURATION:
	case CONFIG_TYPE_SIZE:
		*(uint64_t *)member = v;
		break;
	case CONFIG_TYPE_STRING:
	case CONFIG_TYPE_CSTRING:
		check_failed("the row holds a number", __FILE__, __LINE__);
	}
}

static uint64_t option_load(const struct config_option *option, const void *object)
{
	const void *member = (const char *)object + option->offset;
	switch (option->type) {
	case CONFIG_TYPE_BOOL:
		return *(const bool *)member;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_MODE:
	case CONFIG_TYPE_ENUM:
		return *(const uint32_t *)member;
	case CONFIG_TYPE_DURATION:
	case CONFIG_TYPE_SIZE:
		return *(const uint64_t *)member;
	case CONFIG_TYPE_STRING:
	case CONFIG_TYPE_CSTRING:
		break;
	}
	return 0;
}

/* Appends V, a value in the member's unit. */
static void option_format_number(const struct config_option *option, uint64_t v,
				 struct buf *out)
{
	switch (option->type) {
	case CONFIG_TYPE_BOOL:
		buf_append_str(out, v ? "on" : "off");
		break;
	case CONFIG_TYPE_DURATION:
		config_format_duration(v, out);
		break;
	case CONFIG_TYPE_SIZE:
		config_format_size(v, out);
		break;
	case CONFIG_TYPE_ENUM:
		require(v < option->unit->n_words);
		buf_append_str(out, option->unit->words[v]);
		break;
	case CONFIG_TYPE_MODE:
		buf_printf(out, "%04llo", (unsigned long long)v);
		break;
	case CONFIG_TYPE_INT:
		buf_printf(out, "%llu", (unsigned long long)v);
		break;
	case CONFIG_TYPE_STRING:
	case CONFIG_TYPE_CSTRING:
		break;
	}
}

/* What the row takes, in words: `must be on or off`. */
static void option_expect(const struct config_option *option, struct buf *out)
{
	switch (option->type) {
	case CONFIG_TYPE_BOOL:
		buf_append_str(out, "must be on or off");
		return;
	case CONFIG_TYPE_ENUM:
		buf_append_str(out, "must be one of");
		for (size_t i = 0; i < option->unit->n_words; i++) {
			buf_printf(out, "%s %s", i == 0 ? "" : ",",
				   option->unit->words[i]);
		}
		return;
	case CONFIG_TYPE_STRING:
	case CONFIG_TYPE_CSTRING:
		buf_printf(out, "must have %llu to %llu bytes",
			   (unsigned long long)option->min,
			   (unsigned long long)option->max);
		return;
	case CONFIG_TYPE_DURATION:
		buf_append_str(out, "must be a duration (us, ms, s, min, h, d) from ");
		break;
	case CONFIG_TYPE_SIZE:
		buf_append_str(out, "must be a size (B, kB, MB, GB) from ");
		break;
	case CONFIG_TYPE_MODE:
		buf_append_str(out, "must be an octal number from ");
		break;
	case CONFIG_TYPE_INT:
		buf_append_str(out, "must be a number from ");
		break;
	}
	option_format_number(option, option->min, out);
	buf_append_str(out, " to ");
	option_format_number(option, option->max, out);
}

static bool option_has_range(const struct config_option *option)
{
	return option->type != CONFIG_TYPE_BOOL && option->type != CONFIG_TYPE_ENUM;
}

bool config_option_parse(struct config_build *build, const struct config_option *option,
			 const char *where, struct span text, void *object)
{
	uint64_t v = text.n;
	bool ok = option_is_string(option) || option_parse_number(option, text, &v);
	if (ok && option_has_range(option)) {
		ok = v >= option->min && v <= option->max;
	}
	if (!ok) {
		struct buf expect;
		buf_init(&expect, 1024);
		option_expect(option, &expect);
		buf_append_u8(&expect, 0);
		const char *what = buf_ok(&expect) ? (char *)expect.data : "is wrong";
		if (option_is_string(option)) {
			config_build_error(build, "%s %s", where, what);
		} else {
			config_build_error(build, "%s = %.*s: %s", where,
					   (int)(text.n < 100 ? text.n : 100),
					   (const char *)text.p, what);
		}
		buf_fini(&expect);
	} else if (option_is_string(option)) {
		const char *s = config_build_string(build, text);
		*(const char **)(void *)((char *)object + option->offset) =
		    s != NULL ? s : "";
	} else {
		option_store(option, v, object);
	}
	return ok;
}

void config_option_defaults(struct config_build *build)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		bool ok = config_option_parse(build, &options[i], options[i].name,
					      span_str(options[i].def), build->config);
		require(ok);
	}
}

bool config_build_foreign(struct config_build *build, const char *section,
			  const char *name, struct span value)
{
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		const struct config_foreign *f = &foreign[i];
		if (strcmp(f->section, section) != 0 || strcmp(f->name, name) != 0) {
			continue;
		}
		if (value.n == 0 || config_has_item(f->harmless, value)) {
			return true;
		}
		if (f->is_refused) {
			config_build_error(build, "%s is not supported yet: %s", name,
					   f->why);
		} else {
			config_build_warning(build,
					     "%s is not supported yet, ignored: %s",
					     name, f->why);
		}
		return true;
	}
	return false;
}

/* NAME is not a setting of SECTION: says where it belongs, or what was meant. */
static void option_unknown(struct config_build *build, const char *section,
			   const char *name)
{
	const char *names[ARRAY_LEN(options)];
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (strcmp(options[i].section, section) == 0) {
			names[n++] = options[i].name;
		} else if (strcmp(options[i].name, name) == 0) {
			config_build_error(build, "%s belongs into section [%s]", name,
					   options[i].section);
			return;
		}
	}
	const char *near = config_nearest(name, names, n);
	config_build_error(build, "unknown setting \"%s\" in [%s]%s%s%s", name, section,
			   near ? "; did you mean \"" : "", near ? near : "",
			   near ? "\"?" : "");
}

void config_build_setting(struct config_build *build, const char *section,
			  struct span name_span, struct span value)
{
	const char *name = config_build_string(build, name_span);
	if (name == NULL) {
		return;
	}
	const struct config_option *option = config_find_option(section, name);
	if (option != NULL) {
		if (config_option_parse(build, option, name, value, build->config)) {
			build->is_set[config_option_index(option)] = true;
		}
	} else if (!config_build_foreign(build, section, name, value)) {
		option_unknown(build, section, name);
	}
}

/* A URL without what stands between // (or the first colon) and @. */
static void option_format_masked(const char *s, struct buf *out)
{
	const char *at = strrchr(s, '@');
	const char *slashes = strstr(s, "//");
	if (at == NULL || slashes == NULL || slashes > at) {
		buf_append_str(out, s);
		return;
	}
	buf_append(out, s, (size_t)(slashes + 2 - s));
	buf_append_str(out, "***");
	buf_append_str(out, at);
}

void config_option_format(const struct config_option *option, const void *object,
			  bool mask, struct buf *out)
{
	require(option != NULL && object != NULL && out != NULL);
	if (option_is_string(option)) {
		const char *s =
		    *(const char *const *)(const void *)((const char *)object +
							 option->offset);
		if (s != NULL && mask && (option->flags & CF_SECRET)) {
			option_format_masked(s, out);
		} else if (s != NULL) {
			buf_append_str(out, s);
		}
	} else {
		option_format_number(option, option_load(option, object), out);
	}
}

void config_option_text(const struct config_option *option, const struct config *config,
			struct buf *out)
{
	config_option_format(option, config, true, out);
}
