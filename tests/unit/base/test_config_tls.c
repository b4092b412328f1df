/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <string.h>

#include "base/config.h"
#include "base/config_errors.h"
#include "base/config_tls.h"

Test(config_tls, settings_of_database_url)
{
	const char *env[] = {
		"DATABASE_URL=postgres://h/d?sslmode=require&sslcert=/dev/null"
		"&channel_binding=require",
		NULL
	};
	static const char text[] = "[databases]\ne = sslkey=/dev/zero\n"
				   "[pgrecall]\nauth_type = trust\n"
				   "server_tls_sslmode = allow\n"
				   "server_tls_ca_file = /dev/null\n";
	struct config *c;
	struct config_errors errors;
	config_errors_init(&errors);
	cr_assert_eq(config_load_text(span_str(text), (char *const *)(uintptr_t)env, &c,
				      &errors),
		     0);
	config_errors_fini(&errors);
	const struct config_database *d = config_find_database(c, SPAN_LIT("d"));
	cr_assert_eq(d->sslmode, SSLMODE_REQUIRE);
	cr_assert_eq(d->channel_binding, CHANNEL_BINDING_REQUIRE);
	cr_assert_str_eq(d->sslcert, "/dev/null");
	cr_assert_null(d->sslkey);
	const struct config_database *e = config_find_database(c, SPAN_LIT("e"));
	cr_assert_eq(e->sslmode, SSLMODE_ALLOW);
	cr_assert_str_eq(e->sslkey, "/dev/zero");
	cr_assert_str_eq(e->sslrootcert, "/dev/null", "the global one");
	config_unref(c);
}

Test(config_tls, lists_of_versions)
{
	static const struct {
		const char *text;
		unsigned bits;
		const char *oldest;
		const char *newest;
	} cases[] = {
		{ "secure", TLS_1_2 | TLS_1_3, "TLSv1.2", NULL },
		{ "all", TLS_1_0 | TLS_1_1 | TLS_1_2 | TLS_1_3, "TLSv1", NULL },
		{ "tlsv1.2", TLS_1_2, "TLSv1.2", "TLSv1.2" },
		{ " TLSv1.1 , tlsv1.2", TLS_1_1 | TLS_1_2, "TLSv1.1", "TLSv1.2" },
		{ "all,!tlsv1.3:!tlsv1.0", TLS_1_1 | TLS_1_2, "TLSv1.1", "TLSv1.2" },
		{ "!tlsv1.3", TLS_1_0 | TLS_1_1 | TLS_1_2, "TLSv1", "TLSv1.2" },
		{ "", 0, NULL, NULL },
		{ "tlsv1.4", 0, NULL, NULL },
		{ "tlsv1.2,x", 0, NULL, NULL },
		{ "!all", 0, NULL, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned bits = 0;
		const char *oldest;
		const char *newest;
		bool ok = config_tls_protocols(cases[i].text, &bits);
		cr_assert_eq(ok, cases[i].bits != 0, "%s", cases[i].text);
		if (ok) {
			cr_assert_eq(bits, cases[i].bits, "%s", cases[i].text);
			config_tls_range(bits, &oldest, &newest);
			cr_assert_str_eq(oldest, cases[i].oldest);
			cr_assert(newest == NULL
				      ? cases[i].newest == NULL
				      : strcmp(newest, cases[i].newest) == 0);
		}
	}
}
