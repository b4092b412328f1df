/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/added.h"

/* abc; [12345;] de; f; [123;45;] gh */
static struct added *make(void)
{
	struct added *added = calloc(1, sizeof(*added) + 2 * sizeof(added->places[0]));
	cr_assert(added != NULL);
	added->n = 2;
	added->places[0] = (struct added_place){ .part = 0, .n = 1, .at = 4, .len = 6 };
	added->places[1] =
	    (struct added_place){ .part = 2, .n = 2, .at = 10, .len = 7 };
	return added;
}

Test(added, answers)
{
	static const char want[] = "c.cc..c";
	struct added *added = make();
	uint32_t n_done = 0;
	for (size_t i = 0; i < sizeof(want) - 1; i++) {
		struct owed item = { .kind = 'Q', .added = added };
		bool is_ours = added_swallows(&item);
		cr_expect_eq(is_ours, want[i] == '.', "answer %zu", i);
		added_answered(added, is_ours ? n_done : ++n_done);
	}
	free(added);
}

static const struct {
	const char *sent;
	const char *own; /* NULL: it stays */
} places[] = {
	{ "1", NULL },
	{ "4", NULL },
	{ "5", NULL }, /* where the first of ours begins */
	{ "8", "5" },
	{ "11", "5" }, /* the first character behind it */
	{ "12", "6" },
	{ "17", "11" },
	{ "20", "11" },
	{ "24", "11" },
	{ "25", "12" },
	{ "", NULL },
	{ "x", NULL },
	{ "-3", NULL },
	{ "99999999999999999999", NULL },
};

static size_t error_with(uint8_t *body, const char *place)
{
	struct buf buf;
	buf_init(&buf, 256);
	buf_append_cstr(&buf, "SERROR");
	buf_append_str(&buf, "P");
	buf_append_cstr(&buf, place);
	buf_append_cstr(&buf, "Mwhat P12");
	buf_append_u8(&buf, 0);
	memcpy(body, buf.data, buf.len);
	size_t n = buf.len;
	buf_fini(&buf);
	return n;
}

Test(added, places_of_errors)
{
	struct added *added = make();
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		uint8_t body[256];
		uint8_t want[256];
		struct buf out;
		buf_init(&out, 256);
		size_t n = error_with(body, places[i].sent);
		bool is_other = added_correct(added, 'E', span_make(body, n), &out);
		cr_expect_eq(is_other, places[i].own != NULL, "%s", places[i].sent);
		if (is_other && places[i].own != NULL) {
			size_t n_want = error_with(want, places[i].own);
			cr_expect_eq(out.len, n_want + 5, "%s", places[i].sent);
			cr_expect_arr_eq(out.data + 5, want, n_want, "%s",
					 places[i].sent);
		}
		buf_fini(&out);
		/* cut off anywhere it is no message */
		for (size_t k = 0; k + 1 < n; k++) {
			uint8_t *cut = malloc(k > 0 ? k : 1);
			cr_assert(cut != NULL);
			memcpy(cut, body, k);
			cr_expect_not(
			    added_correct(added, 'E', span_make(cut, k), &out));
			free(cut);
		}
		buf_fini(&out);
	}
	free(added);
}
