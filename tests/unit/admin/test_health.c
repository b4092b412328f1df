/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "admin/health.h"

static json_t *render(const struct health *health)
{
	struct buf page;
	json_error_t error;
	buf_init(&page, 1 << 20);
	health_render(health, &page);
	cr_assert(buf_ok(&page));
	cr_assert_eq(page.data[page.len - 1], '\n');
	json_t *o = json_loadb((const char *)page.data, page.len, 0, &error);
	cr_assert_not_null(o, "%s", error.text);
	buf_fini(&page);
	return o;
}

static const char *member(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));
	return s != NULL ? s : "";
}

struct status_case {
	bool ready;
	bool stopping;
	bool known;
	bool up;
	const char *status;
	const char *state;
};

static const struct status_case cases[] = {
	{ true, false, true, true, "ok", "up" },
	{ true, false, false, false, "ok", "unknown" },
	{ true, false, true, false, "degraded", "down" },
	{ false, false, true, false, "unavailable", "down" },
	{ false, false, true, true, "unavailable", "up" },
	{ true, true, true, true, "stopping", "up" },
};

Test(health, status)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct status_case *c = &cases[i];
		struct health_database db = { .name = "app",
					      .server = "h:5432",
					      .known = c->known,
					      .up = c->up };
		struct health health = {
			.ready = c->ready,
			.stopping = c->stopping,
			.n_databases = 1,
			.databases = &db,
		};
		json_t *o = render(&health);
		json_t *first = json_array_get(json_object_get(o, "databases"), 0);
		cr_expect_str_eq(member(o, "status"), c->status, "case %zu", i);
		cr_expect_str_eq(member(first, "state"), c->state, "case %zu", i);
		json_decref(o);
	}
}

Test(health, numbers_and_foreign_text)
{
	struct health_database db = {
		.name = "d\"\\\n",
		.server = "/run/postgresql",
		.known = true,
		.error = "FATAL: \xff\xfe wrong",
		.active = 1,
		.idle = 2,
		.waiting = 3,
	};
	struct health health = {
		.uptime_s = 77, .redis = "up", .n_databases = 1, .databases = &db
	};
	json_t *o = render(&health);
	json_t *first = json_array_get(json_object_get(o, "databases"), 0);
	cr_expect_eq(json_integer_value(json_object_get(o, "uptime_seconds")), 77);
	cr_expect_str_eq(member(o, "redis"), "up");
	cr_expect_str_eq(member(first, "name"), "d\"\\\n");
	cr_expect_str_eq(member(first, "error"), "FATAL: ?? wrong");
	cr_expect_eq(json_integer_value(json_object_get(first, "active")), 1);
	cr_expect_eq(json_integer_value(json_object_get(first, "idle")), 2);
	cr_expect_eq(json_integer_value(json_object_get(first, "waiting")), 3);
	json_decref(o);
}

Test(health, without_databases_or_redis)
{
	struct health health = { .ready = true };
	json_t *o = render(&health);
	cr_expect_eq(json_array_size(json_object_get(o, "databases")), 0);
	cr_expect_null(json_object_get(o, "redis"));
	json_decref(o);
}

Test(health, over_the_buffers_ceiling)
{
	struct health health = { .ready = true };
	struct buf page;
	buf_init(&page, 10);
	health_render(&health, &page);
	cr_expect_not(buf_ok(&page));
	buf_fini(&page);
}
