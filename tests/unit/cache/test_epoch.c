/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <string.h>

#include "cache/epoch.h"
#include "cache/token.h"

Test(epoch, begins_lost_and_is_known_when_written)
{
	struct epoch e;
	struct epoch_view view;
	epoch_init(&e);
	cr_assert_not(epoch_view(&e).is_known);
	uint64_t link = epoch_add_link(&e);
	cr_assert(epoch_claim(&e, link, 0, &view));
	cr_assert_not(epoch_claim(&e, link, 0, &view), "one writer at a time");
	cr_assert_not(epoch_view(&e).is_known, "not before the answer");
	cr_assert(epoch_wrote(&e, true, 5, view.lost));
	cr_assert(epoch_view(&e).is_known);
	cr_assert_eq(epoch_view(&e).value, 5);
	cr_assert_not(epoch_claim(&e, link, link, &view), "nothing to do");
	epoch_fini(&e);
}

Test(epoch, a_loss_while_it_is_written_needs_another)
{
	struct epoch e;
	struct epoch_view view;
	epoch_init(&e);
	uint64_t link = epoch_add_link(&e);
	cr_assert(epoch_claim(&e, link, 0, &view));
	epoch_lose(&e);
	cr_assert_not(epoch_wrote(&e, true, 5, view.lost));
	cr_assert_not(epoch_view(&e).is_known);
	cr_assert(epoch_claim(&e, link, 0, &view));
	cr_assert(epoch_wrote(&e, true, 6, view.lost));
	epoch_fini(&e);
}

Test(epoch, a_failed_write_leaves_it_lost)
{
	struct epoch e;
	struct epoch_view view;
	epoch_init(&e);
	uint64_t link = epoch_add_link(&e);
	cr_assert(epoch_claim(&e, link, 0, &view));
	cr_assert_not(epoch_wrote(&e, false, 0, 0));
	cr_assert(epoch_claim(&e, link, 0, &view), "free for the next try");
	cr_assert(epoch_wrote(&e, true, 5, view.lost));
	epoch_fini(&e);
}

/* Connection 1 may lead to a Redis that is not in use any more. */
Test(epoch, an_older_connection_waits_for_the_newest)
{
	struct epoch e;
	struct epoch_view view;
	epoch_init(&e);
	uint64_t first = epoch_add_link(&e);
	cr_assert(epoch_claim(&e, first, 0, &view));
	cr_assert(epoch_wrote(&e, true, 5, view.lost));
	uint64_t confirmed = epoch_view(&e).links;
	uint64_t second = epoch_add_link(&e);
	cr_assert_not(epoch_view(&e).is_known, "a connection is a loss");
	cr_assert_not(epoch_claim(&e, first, confirmed, &view));
	cr_assert_not(epoch_adopt(&e, second, 9),
		      "not before an epoch of ours is there");
	cr_assert(epoch_claim(&e, second, 0, &view));
	cr_assert_not(epoch_adopt(&e, second, 9));
	cr_assert(epoch_wrote(&e, true, 6, view.lost));
	cr_assert_not(epoch_adopt(&e, first, 5));
	cr_assert_eq(epoch_view(&e).value, 6);
	cr_assert(epoch_adopt(&e, second, 7), "another process wrote one");
	cr_assert_eq(epoch_view(&e).value, 7);
	/* once confirmed, the first may write again */
	epoch_lose(&e);
	cr_assert(epoch_claim(&e, first, epoch_view(&e).links, &view));
	cr_assert(epoch_wrote(&e, true, 8, view.lost));
	epoch_fini(&e);
}

Test(token, text)
{
	static const struct {
		const char *text;
		uint64_t value; /* 0: not a token */
	} rows[] = {
		{ "0000000000000001", 1 },
		{ "ffffffffffffffff", UINT64_MAX },
		{ "0123456789abcdef", UINT64_C(0x0123456789abcdef) },
		{ "0000000000000000", 0 },
		{ "000000000000001", 0 },
		{ "00000000000000001", 0 },
		{ "000000000000000G", 0 },
		{ "000000000000000A", 0 },
		{ "               1", 0 },
		{ "", 0 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t v = 0;
		bool ok = token_parse(span_str(rows[i].text), &v);
		cr_expect_eq(ok, rows[i].value != 0, "%s", rows[i].text);
		if (ok) {
			char text[TOKEN_LEN];
			token_write(v, text);
			cr_expect_eq(v, rows[i].value);
			cr_expect_arr_eq(text, rows[i].text, TOKEN_LEN);
		}
	}
}

Test(token, names)
{
	static const uint64_t two[] = { 1, UINT64_C(0xabcdef0000000000) };
	char prefix[TOKEN_MAX_PREFIX + 1];
	struct token_name name;
	token_name_set(&name, "pgrecall:", "epoch", NULL, 0);
	cr_assert(span_eq_str(token_name_span(&name), "pgrecall:epoch"));
	token_name_set(&name, "p:", "e:", two, 2);
	cr_assert(span_eq_str(token_name_span(&name),
			      "p:e:0000000000000001abcdef0000000000"));
	memset(prefix, 'x', TOKEN_MAX_PREFIX);
	prefix[TOKEN_MAX_PREFIX] = '\0';
	token_name_set(&name, prefix, "e:", two, 2);
	cr_assert_eq(name.n, TOKEN_MAX_PREFIX + 2 + 32);
}

Test(token, fresh_ones_differ)
{
	struct token_source a, b;
	cr_assert_eq(token_source_init(&a), 0);
	cr_assert_eq(token_source_init(&b), 0);
	uint64_t last = 0;
	for (int i = 0; i < 1000; i++) {
		uint64_t x = token_fresh(&a);
		cr_assert_neq(x, 0);
		cr_assert_neq(x, last);
		cr_assert_neq(x, token_fresh(&b));
		last = x;
	}
}
