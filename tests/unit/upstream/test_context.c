/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "upstream/context.h"

#define BASE "TimeZone=UTC\nrole=none"

/* The context of "name=value name=value ..." */
static struct context *context_of(const char *settings)
{
	struct context *context =
	    context_base(SPAN_LIT("db"), SPAN_LIT("user"), SPAN_LIT(BASE));
	char name[64];
	char value[64];
	int n = 0;
	while (sscanf(settings, " %63[^=]=%63[^ ]%n", name, value, &n) == 2) {
		struct context *next = context_with(context, name, value);
		cr_assert_not_null(next);
		context_unref(context);
		context = next;
		settings += n;
	}
	return context;
}

/* clang-format off */
static const struct {
	const char *from;
	const char *to;
	const char *sql;
} diffs[] = {
	{ "", "", "" },
	{ "a=1", "a=1", "" },
	{ "a=1", "a=2", "S a 2" },
	{ "a=1 b=2", "b=2", "R a" },
	{ "a=1", "b=2", "R a S b 2" },
	/* the login user changes settings; the role goes first and comes last */
	{ "", "role=r zero=1", "S zero 1 S role r" },
	{ "", "a=1 role=r session_authorization=s",
	  "S a 1 S session_authorization s S role r" },
	{ "role=r session_authorization=s zero=1", "a=1",
	  "R role R session R zero S a 1" },
	{ "role=r", "role=r zero=1", "R role S zero 1 S role r" },
};
/* clang-format on */

/* "S name value" and "R name" of the statements, which end with an empty one. */
static void summarize(const char *sql, char *out, size_t size)
{
	char name[64];
	char value[64];
	size_t at = 0;
	out[0] = 0;
	for (; *sql != 0; sql += strlen(sql) + 1) {
		const char *gap = at > 0 ? " " : "";
		int n = 0;
		if (sscanf(
			sql,
			"SELECT pg_catalog.set_config( '%63[^']', '%63[^']',false)%n",
			name, value, &n) == 2 &&
		    n > 0) {
			at += (size_t)snprintf(out + at, size - at, "%sS %s %s", gap,
					       name, value);
		} else if (sscanf(sql, "RESET \"%63[^\"]\"%n", name, &n) == 1 &&
			   n > 0) {
			at +=
			    (size_t)snprintf(out + at, size - at, "%sR %s", gap, name);
		} else {
			static const char session[] = "RESET SESSION AUTHORIZATION";
			cr_assert_str_eq(sql, session);
			at += (size_t)snprintf(out + at, size - at, "%sR session", gap);
			n = sizeof(session) - 1;
		}
		cr_assert_eq(sql[n], 0, "%s", sql);
	}
}

Test(context, differences)
{
	for (size_t i = 0; i < ARRAY_LEN(diffs); i++) {
		struct context *from = context_of(diffs[i].from);
		struct context *to = context_of(diffs[i].to);
		struct buf sql;
		char got[512];
		buf_init(&sql, 4096);
		context_diff(from, to, &sql);
		buf_append_u8(&sql, 0);
		cr_assert(buf_ok(&sql));
		summarize((const char *)sql.data, got, sizeof(got));
		cr_expect_str_eq(got, diffs[i].sql, "%s -> %s", diffs[i].from,
				 diffs[i].to);
		buf_fini(&sql);
		context_unref(from);
		context_unref(to);
	}
}

/* What was cached for a session is there for the next one of the same kind. */
Test(context, lasts_longer_than_its_sessions)
{
	struct context *context = context_of("datestyle=german application_name=one");
	uint64_t id = context->id;
	uint64_t cache_id = context->cache->id;
	cr_assert_neq(id, cache_id);
	context_unref(context);
	context = context_of("datestyle=german application_name=one");
	cr_assert_eq(context->id, id);
	cr_assert_eq(context->cache->id, cache_id);
	struct context *other = context_of("datestyle=german application_name=two");
	cr_assert_eq(other->cache, context->cache);
	context_unref(other);
	context_unref(context);
}

Test(context, keeps_so_many)
{
	struct context *context = context_of("a=first");
	uint64_t id = context->id;
	context_unref(context);
	for (int i = 0; i < CONTEXT_MAX_UNUSED; i++) {
		char settings[32];
		(void)snprintf(settings, sizeof(settings), "a=%d", i);
		context_unref(context_of(settings));
	}
	context = context_of("a=first");
	cr_assert_neq(context->id, id);
	context_unref(context);
}
