/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What a line of [databases] says of servers; what is refused is in test_config.c. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/config_errors.h"

#define TRUST "[pgrecall]\nauth_type = trust\n"

static struct config *load(const char *text)
{
	struct config *config = NULL;
	struct config_errors errors;
	config_errors_init(&errors);
	int r = config_load_text(span_str(text), NULL, &config, &errors);
	cr_assert_eq(r, 0, "%s", errors.n ? errors.items[0].text : "no memory");
	config_errors_fini(&errors);
	return config;
}

Test(config_servers, lists_of_hosts)
{
	struct config *c =
	    load(TRUST "[databases]\n"
		       "one = host=a port=7\n"
		       "many = host=a,b,/run/c port=1,2,3 load_balance_hosts=disable\n"
		       "same = host='d, e' port=9 cache=on\n"
		       "local =\n");
	const struct config_database *one = config_find_database(c, SPAN_LIT("one"));
	const struct config_database *many = config_find_database(c, SPAN_LIT("many"));
	const struct config_database *same = config_find_database(c, SPAN_LIT("same"));
	const struct config_database *local =
	    config_find_database(c, SPAN_LIT("local"));
	cr_assert(!config_has_hosts(one) && config_has_hosts(many));
	cr_assert(!config_has_hosts(local));
	cr_assert(one->cache && !many->cache && same->cache && local->cache);
	cr_assert_eq(one->port, 7);
	cr_assert_eq(many->port, 1);
	cr_assert_eq(local->port, 5432);
	cr_assert_eq(many->load_balance_hosts, LOAD_BALANCE_DISABLE);
	cr_assert_eq(same->load_balance_hosts, LOAD_BALANCE_ROUND_ROBIN);
	cr_assert_eq(config_list_count(many->host), 3);
	cr_assert_eq(config_list_count(same->host), 2);
	cr_assert(span_eq_str(config_list_item(many->host, 2), "/run/c"));
	cr_assert(span_eq_str(config_list_item(same->host, 1), "e"));
	cr_assert(span_eq_str(config_list_item(same->ports, 1), "9"), "the last one");
	cr_assert_null(config_list_item("", 0).p);
	config_unref(c);
}

/* Which of some lines are cached: all that have no server in common with another list,
 * whatever they say themselves. */
Test(config_servers, lists_of_hosts_and_the_cache)
{
	static const struct {
		const char *lines;
		const char *cached;
	} cases[] = {
		{ "a = host=x\nb = host=x,y\n", "-" },
		{ "b = host=x,y\na = host=x\n", "-" },
		{ "a = host=x port=1\nb = host=x,y\n", "a" },
		{ "a = host=y port=2\nb = host=x,y port=1,2\n", "-" },
		{ "a = host=x port=2\nb = host=x,y port=1,2\n", "a" },
		{ "a = host=x\nb = host=x,y cache=on\n", "-" },
		{ "a = host=x,y cache=on\nb = host=y,x cache=on\n", "-" },
		{ "a = host=x,y cache=on\nb = host=x,y cache=on dbname=c\n", "ab" },
		{ "a = host=x,y cache=on\nb = host=z\n", "ab" },
		{ "a = host=x cache=off\nb = host=x\n", "b" },
		{ "a =\nb = host=x,y\n", "a" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[512];
		static const char *const names[] = { "a", "b" };
		char cached[4] = "";
		snprintf(text, sizeof(text), TRUST "[databases]\n%s", cases[i].lines);
		struct config *c = load(text);
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			size_t n = strlen(cached);
			if (config_find_database(c, span_str(names[k]))->cache) {
				snprintf(cached + n, sizeof(cached) - n, "%s",
					 names[k]);
			}
		}
		cr_assert_str_eq(cached[0] ? cached : "-", cases[i].cached, "%s",
				 cases[i].lines);
		config_unref(c);
	}
}

Test(config_servers, how_sessions_begin)
{
	struct config *c = load(
	    TRUST "[databases]\n"
		  "a = datestyle='German, DMY' timezone='a\\b' client_encoding=LATIN1 "
		  "connect_query='SET x = ''y''; SELECT 1'\n"
		  "b = timezone='' connect_query=''\n");
	const struct config_database *a = config_find_database(c, SPAN_LIT("a"));
	const struct config_database *b = config_find_database(c, SPAN_LIT("b"));
	cr_assert_str_eq(a->options, "-c client_encoding=LATIN1 "
				     "-c datestyle=German,\\ DMY -c timezone=a\\\\b");
	cr_assert_str_eq(a->connect_query, "SET x = 'y'; SELECT 1");
	cr_assert_null(b->options);
	cr_assert_null(b->connect_query);
	config_unref(c);
}
