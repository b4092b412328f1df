/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <string.h>

#include "cache/redis_url.h"

static const struct {
	const char *text;
	const char *host;
	const char *path;
	const char *user;
	const char *password;
	unsigned port;
	unsigned db;
} good[] = {
	{ "redis://h", "h", NULL, NULL, NULL, 6379, 0 },
	{ "redis://h:1/2", "h", NULL, NULL, NULL, 1, 2 },
	{ "redis://h/", "h", NULL, NULL, NULL, 6379, 0 },
	{ "redis://:pw@h", "h", NULL, NULL, "pw", 6379, 0 },
	{ "redis://u:p%40%3a@h:65535/15", "h", NULL, "u", "p@:", 65535, 15 },
	{ "redis://u:p@q@h", "h", NULL, "u", "p@q", 6379, 0 },
	{ "redis://[::1]:7", "::1", NULL, NULL, NULL, 7, 0 },
	{ "redis://[fe80::1]/1", "fe80::1", NULL, NULL, NULL, 6379, 1 },
	{ "redis://", "127.0.0.1", NULL, NULL, NULL, 6379, 0 },
	{ "h:7", "h", NULL, NULL, NULL, 7, 0 },
	{ "unix:/run/r.sock", NULL, "/run/r.sock", NULL, NULL, 0, 0 },
	{ "unix:///run/r.sock?db=3", NULL, "/run/r.sock", NULL, NULL, 0, 3 },
};

static bool same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

Test(redis_url, reads)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct redis_url url;
		cr_assert_eq(redis_url_init(&url, good[i].text), 0, "%s", good[i].text);
		cr_expect(same(url.host, good[i].host), "%s: %s", good[i].text,
			  url.host);
		cr_expect(same(url.path, good[i].path), "%s: %s", good[i].text,
			  url.path);
		cr_expect(same(url.user, good[i].user), "%s: %s", good[i].text,
			  url.user);
		cr_expect(same(url.password, good[i].password), "%s: %s", good[i].text,
			  url.password);
		cr_expect_eq(url.port, good[i].port, "%s", good[i].text);
		cr_expect_eq(url.db, good[i].db, "%s", good[i].text);
		redis_url_fini(&url);
	}
}

static const char *const bad[] = {
	"",
	"http://h",
	"rediss://h",
	"redis://h:0",
	"redis://h:65536",
	"redis://h:x",
	"redis://h:1/x",
	"redis://h:1/-1",
	"redis://h/99999999999",
	"redis://[::1",
	"redis://[::1]x",
	"redis://u:%zz@h",
	"redis://u:%00@h",
	"redis://u:%4@h",
	"redis://h?x=1",
	"unix:",
	"unix:relative",
	"unix:/s?db=x",
	"unix:/s?x=1",
	"redis://h:",
};

Test(redis_url, refuses)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct redis_url url;
		cr_expect_eq(redis_url_init(&url, bad[i]), REDIS_URL_E_INVALID, "%s",
			     bad[i]);
	}
}
