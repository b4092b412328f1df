/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "net/loop.h"
#include "net/resolve.h"

struct answer {
	struct loop *loop;
	int n;
	char addresses[256];
	char error[256];
};

static void on_resolved(void *arg, const char *addresses, const char *error)
{
	struct answer *answer = arg;
	answer->n++;
	(void)snprintf(answer->addresses, sizeof(answer->addresses), "%s",
		       addresses != NULL ? addresses : "");
	(void)snprintf(answer->error, sizeof(answer->error), "%s",
		       error != NULL ? error : "");
	loop_stop(answer->loop);
}

static void ask(struct answer *answer, const char *host)
{
	*answer = (struct answer){ .loop = NULL };
	cr_assert_eq(loop_new(64, &answer->loop), 0);
	struct resolve *resolve = NULL;
	cr_assert_eq(resolve_start(answer->loop, host, on_resolved, answer, &resolve),
		     0);
	cr_assert_eq(answer->n, 0, "%s: not inside the call", host);
	loop_run(answer->loop);
	loop_free(answer->loop);
	cr_assert_eq(answer->n, 1);
}

Test(resolve, numbers_and_paths_are_themselves, .timeout = 20)
{
	static const char *const hosts[] = { "127.0.0.1",	"::1",
					     "2001:db8::7",	"fe80::1%lo",
					     "/run/postgresql", "@name" };
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct answer answer;
		ask(&answer, hosts[i]);
		cr_assert_str_eq(answer.addresses, hosts[i]);
	}
}

Test(resolve, localhost_has_an_address, .timeout = 20)
{
	struct answer answer;
	ask(&answer, "localhost");
	cr_assert(strstr(answer.addresses, "127.0.0.1") != NULL ||
		      strstr(answer.addresses, "::1") != NULL,
		  "%s", answer.addresses);
}

/* RFC 6761: the name never exists. */
Test(resolve, an_unknown_name_is_an_error, .timeout = 60)
{
	struct answer answer;
	ask(&answer, "nowhere.invalid");
	cr_assert_str_eq(answer.addresses, "");
	cr_assert_str_neq(answer.error, "");
}

Test(resolve, cancelled_does_not_call_back, .timeout = 60)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost" };
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct answer answer = { .n = 0 };
		cr_assert_eq(loop_new(64, &answer.loop), 0);
		struct resolve *resolve = NULL;
		cr_assert_eq(resolve_start(answer.loop, hosts[i], on_resolved, &answer,
					   &resolve),
			     0);
		resolve_cancel(resolve);
		loop_free(answer.loop);
		cr_assert_eq(answer.n, 0);
	}
}
