/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "wire/messages.h"

Test(wire_messages, types)
{
	cr_assert_str_eq(message_type(MESSAGE_FRONTEND, 'D')->name, "Describe");
	cr_assert_str_eq(message_type(MESSAGE_BACKEND, 'D')->name, "DataRow");
	cr_assert_null(message_type(MESSAGE_FRONTEND, 'T'));
	cr_assert_null(message_type(MESSAGE_FRONTEND, 0));
	cr_assert_null(message_type(MESSAGE_FRONTEND, 0xff));
	cr_assert_null(message_type(MESSAGE_BACKEND, 'Q'));
	cr_assert_str_eq(message_name(MESSAGE_BACKEND, 'Q'), "unknown");
	cr_assert_eq(message_type(MESSAGE_FRONTEND, FRONTEND_SYNC)->max_len, 4);
	/* T-18: passwords of 64 KiB */
	cr_assert(message_type(MESSAGE_FRONTEND, 'p')->max_len >= 65536 + 5);
	for (unsigned byte = 0; byte < 256; byte++) {
		const struct message_type *f =
		    message_type(MESSAGE_FRONTEND, (uint8_t)byte);
		const struct message_type *b =
		    message_type(MESSAGE_BACKEND, (uint8_t)byte);
		cr_assert(f == NULL || (f->byte == byte && f->min_len >= 4 &&
					f->min_len <= f->max_len));
		cr_assert(b == NULL || (b->byte == byte && b->min_len >= 4 &&
					b->min_len <= b->max_len));
	}
}

struct string_case {
	struct span in;
	int error;
	const char *text;
};

static const struct string_case strings[] = {
	{ SPAN_LIT("select 1\0"), 0, "select 1" },
	{ SPAN_LIT("\0"), 0, "" },
	{ SPAN_LIT(""), MESSAGE_E_MALFORMED, NULL },
	{ SPAN_LIT("select"), MESSAGE_E_MALFORMED, NULL },
	{ SPAN_LIT("a\0b\0"), MESSAGE_E_MALFORMED, NULL },
};

Test(wire_messages, query_and_password)
{
	for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
		const struct string_case *c = &strings[i];
		struct span text;
		cr_assert_eq(message_read_query(c->in, &text), c->error, "%zu", i);
		cr_assert(c->error != 0 || span_eq_str(text, c->text), "%zu", i);
		cr_assert_eq(message_read_password(c->in, &text), c->error, "%zu", i);
		cr_assert(c->error != 0 || span_eq_str(text, c->text), "%zu", i);
	}
}

/* Of a good body every shorter one is bad, and a longer one, too. */
#define ASSERT_EXACT(good, read)                                                   \
	do {                                                                       \
		uint8_t longer_[256];                                              \
		struct span good_ = (good);                                        \
		memcpy(longer_, good_.p, good_.n);                                 \
		longer_[good_.n] = 0;                                              \
		for (size_t n_ = 0; n_ <= good_.n + 1; n_++) {                     \
			struct span body = span_make(longer_, n_);                 \
			cr_assert_eq((read) == 0, n_ == good_.n, "%zu bytes", n_); \
		}                                                                  \
	} while (0)

Test(wire_messages, parse)
{
	const struct span in = SPAN_LIT("s1\0select $1\0\0\2\0\0\0\x17\1\2\3\4");
	struct message_parse m;
	cr_assert_eq(message_read_parse(in, &m), 0);
	cr_assert(span_eq_str(m.name, "s1") && span_eq_str(m.text, "select $1"));
	cr_assert_eq(m.n_types, 2);
	cr_assert_eq(m.types.n, 8);
	cr_assert(span_eq(m.counted_types, SPAN_LIT("\0\2\0\0\0\x17\1\2\3\4")));
	cr_assert_eq(message_parse_type(&m, 0), 23);
	cr_assert_eq(message_parse_type(&m, 1), 0x01020304);
	cr_assert_eq(message_parse_type(&m, 2), 0);
	cr_assert_eq(m.rest.n, in.n - 3);
	ASSERT_EXACT(in, message_read_parse(body, &m));
	cr_assert_neq(message_read_parse(SPAN_LIT("\0\0\xff\xff"), &m), 0);
}

Test(wire_messages, bind)
{
	const struct span in = SPAN_LIT("p\0s1\0"
					"\0\3\0\0\0\1\0\0"
					"\0\3\0\0\0\2ab\xff\xff\xff\xff\0\0\0\0"
					"\0\1\0\1");
	struct message_bind m;
	cr_assert_eq(message_read_bind(in, &m), 0);
	cr_assert(span_eq_str(m.portal, "p") && span_eq_str(m.statement, "s1"));
	cr_assert_eq(m.rest.n, in.n - 5);
	cr_assert_eq(m.n_values, 3);
	struct reader values = reader_make(m.values);
	cr_assert(span_eq_str(message_bind_value(&values), "ab"));
	cr_assert(message_bind_value(&values).p == NULL);
	struct span empty = message_bind_value(&values);
	cr_assert(empty.p != NULL && empty.n == 0);
	cr_assert(reader_at_end(&values));
	cr_assert_eq(message_bind_format(&m, 0), 0);
	cr_assert_eq(message_bind_format(&m, 1), 1);
	cr_assert_eq(message_bind_format(&m, 2), 0);
	cr_assert_eq(message_bind_format(&m, 3), 0);
	cr_assert_eq(m.n_result_formats, 1);
	cr_assert(span_eq(m.result_formats, SPAN_LIT("\0\1")));
	ASSERT_EXACT(in, message_read_bind(body, &m));
}

struct bind_case {
	const char *label;
	struct span in;
	int error;
	uint16_t second_format;
};

/* clang-format off */
static const struct bind_case binds[] = {
	{ "nothing", SPAN_LIT("\0\0\0\0\0\0\0\0"), 0, 0 },
	{ "one format for all", SPAN_LIT("\0\0\0\1\0\1\0\2\0\0\0\0\0\0\0\0\0\0"), 0, 1 },
	{ "two formats, one value", SPAN_LIT("\0\0\0\2\0\1\0\1\0\1\0\0\0\0\0\0"), MESSAGE_E_MALFORMED, 0 },
	{ "length -2", SPAN_LIT("\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"), MESSAGE_E_MALFORMED, 0 },
	{ "T-40 gigantic length", SPAN_LIT("\0\0\0\0\0\1\x7f\xff\xff\xff" "abc\0\0"), MESSAGE_E_MALFORMED, 0 },
	{ "more values than bytes", SPAN_LIT("\0\0\0\0\xff\xff\0\0\0\0"), MESSAGE_E_MALFORMED, 0 },
	{ "more formats than bytes", SPAN_LIT("\0\0\xff\xff\0\0\0\0"), MESSAGE_E_MALFORMED, 0 },
	{ "no end of the name", SPAN_LIT("abcdef"), MESSAGE_E_MALFORMED, 0 },
};
/* clang-format on */

Test(wire_messages, bind_cases)
{
	for (size_t i = 0; i < ARRAY_LEN(binds); i++) {
		struct message_bind m;
		cr_assert_eq(message_read_bind(binds[i].in, &m), binds[i].error, "%s",
			     binds[i].label);
		cr_assert(binds[i].error != 0 ||
			      message_bind_format(&m, 1) == binds[i].second_format,
			  "%s", binds[i].label);
	}
}

/* The names can be had before the values have arrived. */
Test(wire_messages, bind_names)
{
	struct message_bind m;
	cr_assert_neq(message_read_bind_names(SPAN_LIT("p\0s"), &m), 0);
	cr_assert_eq(message_read_bind_names(SPAN_LIT("p\0s\0\0"), &m), 0);
	cr_assert(span_eq_str(m.portal, "p") && span_eq_str(m.statement, "s"));
	cr_assert_eq(m.rest.n, 1);
}

Test(wire_messages, describe_and_close)
{
	struct message_target m;
	cr_assert_eq(message_read_target(SPAN_LIT("Ss1\0"), &m), 0);
	cr_assert(m.kind == 'S' && span_eq_str(m.name, "s1"));
	ASSERT_EXACT(SPAN_LIT("P\0"), message_read_target(body, &m));
	cr_assert_neq(message_read_target(SPAN_LIT("X\0"), &m), 0);
}

Test(wire_messages, execute)
{
	struct message_execute m;
	cr_assert_eq(message_read_execute(SPAN_LIT("p\0\0\0\1\0"), &m), 0);
	cr_assert(span_eq_str(m.portal, "p"));
	cr_assert_eq(m.max_rows, 256);
	cr_assert_eq(message_read_execute(SPAN_LIT("\0\xff\xff\xff\xff"), &m), 0);
	cr_assert_eq(m.max_rows, 0, "negative is all");
	ASSERT_EXACT(SPAN_LIT("p\0\0\0\1\0"), message_read_execute(body, &m));
}

Test(wire_messages, function_call)
{
	const struct span in =
	    SPAN_LIT("\0\0\1\0\0\1\0\1\0\2\0\0\0\1x\xff\xff\xff\xff\0\1");
	struct message_function_call m;
	cr_assert_eq(message_read_function_call(in, &m), 0);
	cr_assert(m.oid == 256 && m.n_formats == 1 && m.n_args == 2);
	ASSERT_EXACT(in, message_read_function_call(body, &m));
	cr_assert_neq(message_read_function_call(SPAN_LIT("\0\0\1\0\0\0\0\0\0\2"), &m),
		      0);
}

struct sasl_case {
	struct span in;
	int error;
	bool has_response;
	const char *response;
};

static const struct sasl_case sasls[] = {
	{ SPAN_LIT("M\0\0\0\0\3n,,"), 0, true, "n,," },
	{ SPAN_LIT("M\0\0\0\0\0"), 0, true, "" },
	{ SPAN_LIT("M\0\xff\xff\xff\xff"), 0, false, "" },
	{ SPAN_LIT("M\0\xff\xff\xff\xfe"), MESSAGE_E_MALFORMED, false, "" },
	{ SPAN_LIT("M\0\0\0\0\4n,,"), MESSAGE_E_MALFORMED, false, "" },
	{ SPAN_LIT("M\0\0\0\0\2n,,"), MESSAGE_E_MALFORMED, false, "" },
	/* T-17: CVE-2026-6664 */
	{ SPAN_LIT("M\0\x7f\xff\xff\xffn,,"), MESSAGE_E_MALFORMED, false, "" },
	{ SPAN_LIT("M"), MESSAGE_E_MALFORMED, false, "" },
	{ SPAN_LIT(""), MESSAGE_E_MALFORMED, false, "" },
};

Test(wire_messages, sasl_initial)
{
	for (size_t i = 0; i < ARRAY_LEN(sasls); i++) {
		struct message_sasl_initial m;
		cr_assert_eq(message_read_sasl_initial(sasls[i].in, &m), sasls[i].error,
			     "%zu", i);
		if (sasls[i].error == 0) {
			cr_assert(span_eq_str(m.mechanism, "M"));
			cr_assert_eq(m.has_response, sasls[i].has_response, "%zu", i);
			cr_assert(span_eq_str(m.response, sasls[i].response), "%zu", i);
		}
	}
}
