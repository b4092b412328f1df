/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/sqlstate.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

/* Compares with what was written and empties the buffer. */
static void assert_bytes(struct buf *buf, struct span expected, int line)
{
	cr_assert(buf_ok(buf), "line %d", line);
	cr_assert(span_eq(buf_span(buf), expected), "line %d", line);
	struct frame frame;
	cr_assert_eq(frame_next(buf_span(buf), INT32_MAX, &frame), FRAME_OK, "line %d",
		     line);
	cr_assert(frame.complete && frame.size == buf->len, "line %d", line);
	buf_reset(buf);
}
#define ASSERT_BYTES(literal) assert_bytes(&buf, SPAN_LIT(literal), __LINE__)

Test(wire_writer, to_clients)
{
	struct buf buf;
	buf_init(&buf, 1000);
	const char *const mechanisms[] = { "SCRAM-SHA-256", NULL };
	writer_auth_sasl(&buf, mechanisms);
	ASSERT_BYTES("R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0");
	writer_auth_sasl_continue(&buf, SPAN_LIT("r=x"));
	ASSERT_BYTES("R\0\0\0\x0b\0\0\0\x0br=x");
	writer_auth_sasl_final(&buf, SPAN_LIT("v=x"));
	ASSERT_BYTES("R\0\0\0\x0b\0\0\0\x0cv=x");
	writer_auth_password(&buf);
	ASSERT_BYTES("R\0\0\0\x8\0\0\0\3");
	writer_auth_md5(&buf, (const uint8_t *)"\1\2\0\4");
	ASSERT_BYTES("R\0\0\0\x0c\0\0\0\5\1\2\0\4");
	writer_auth_ok(&buf);
	ASSERT_BYTES("R\0\0\0\x8\0\0\0\0");
	const struct span names[] = { SPAN_LIT("_pq_.a"), SPAN_LIT("_pq_.b") };
	writer_negotiate_version(&buf, 0, names, 2);
	ASSERT_BYTES("v\0\0\0\x1a\0\3\0\0\0\0\0\2_pq_.a\0_pq_.b\0");
	writer_parameter_status(&buf, SPAN_LIT("a"), SPAN_LIT(""));
	ASSERT_BYTES("S\0\0\0\7a\0\0");
	writer_key_data(&buf, 7, SPAN_LIT("\1\2\3\4"));
	ASSERT_BYTES("K\0\0\0\x0c\0\0\0\7\1\2\3\4");
	writer_ready(&buf, 'T');
	ASSERT_BYTES("Z\0\0\0\5T");
	writer_empty_query(&buf);
	ASSERT_BYTES("I\0\0\0\4");
	writer_command_complete(&buf, "BEGIN");
	ASSERT_BYTES("C\0\0\0\x0a"
		     "BEGIN\0");
	buf_fini(&buf);
}

Test(wire_writer, errors)
{
	struct buf buf;
	buf_init(&buf, 1000);
	struct writer_notice notice = {
		.severity = "FATAL",
		.sqlstate = SQLSTATE_TOO_MANY_CONNECTIONS,
		.message = "no",
	};
	writer_error(&buf, &notice);
	ASSERT_BYTES("E\0\0\0\x1e"
		     "SFATAL\0VFATAL\0C53300\0Mno\0\0");
	notice.detail = "d";
	notice.hint = "h";
	writer_notice(&buf, &notice);
	ASSERT_BYTES("N\0\0\0\x24SFATAL\0VFATAL\0C53300\0Mno\0Dd\0Hh\0\0");
	buf_fini(&buf);
}

Test(wire_writer, rows)
{
	struct buf buf;
	buf_init(&buf, 1000);
	const struct writer_column columns[] = {
		{ "a", WRITER_TEXT_OID, -1 },
		{ "b", WRITER_INT8_OID, 8 },
	};
	writer_row_description(&buf, columns, 2);
	ASSERT_BYTES("T\0\0\0\x2e\0\2"
		     "a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
		     "b\0\0\0\0\0\0\0\0\0\0\x14\0\x8\xff\xff\xff\xff\0\0");
	const struct span values[] = { SPAN_LIT("xy"), SPAN_LIT(""), { NULL, 0 } };
	writer_data_row(&buf, values, 3);
	ASSERT_BYTES("D\0\0\0\x14\0\3\0\0\0\2xy\0\0\0\0\xff\xff\xff\xff");
	buf_fini(&buf);
}

Test(wire_writer, to_servers)
{
	struct buf buf;
	buf_init(&buf, 1000);
	writer_query(&buf, SPAN_LIT("select 1"));
	ASSERT_BYTES("Q\0\0\0\x0dselect 1\0");
	writer_parse(&buf, SPAN_LIT("s"), SPAN_LIT("q"), SPAN_LIT("\0\0\0\x17"));
	ASSERT_BYTES("P\0\0\0\x0es\0q\0\0\1\0\0\0\x17");
	writer_describe(&buf, 'S', SPAN_LIT("s"));
	ASSERT_BYTES("D\0\0\0\7Ss\0");
	writer_close(&buf, 'P', SPAN_LIT(""));
	ASSERT_BYTES("C\0\0\0\6P\0");
	writer_execute(&buf, SPAN_LIT("p"), 5);
	ASSERT_BYTES("E\0\0\0\x0ap\0\0\0\0\5");
	writer_sync(&buf);
	ASSERT_BYTES("S\0\0\0\4");
	writer_flush(&buf);
	ASSERT_BYTES("H\0\0\0\4");
	writer_terminate(&buf);
	ASSERT_BYTES("X\0\0\0\4");
	buf_fini(&buf);
}

/* The length counts bytes that somebody else will append. */
Test(wire_writer, heads)
{
	struct buf buf;
	buf_init(&buf, 1000);
	writer_bind_head(&buf, SPAN_LIT("p"), SPAN_LIT("new"), 6);
	buf_append_span(&buf, SPAN_LIT("\0\0\0\0\0\0"));
	ASSERT_BYTES("B\0\0\0\x10p\0new\0\0\0\0\0\0\0");
	writer_parse_head(&buf, SPAN_LIT("new"), 4);
	buf_append_span(&buf, SPAN_LIT("q\0\0\0"));
	ASSERT_BYTES("P\0\0\0\x0cnew\0q\0\0\0");
	writer_parse_head(&buf, SPAN_LIT("new"), 0x3fffffff - 8);
	cr_assert(buf_ok(&buf), "the longest");
	buf_reset(&buf);
	writer_parse_head(&buf, SPAN_LIT("new"), 0x3fffffff - 7);
	cr_assert_not(buf_ok(&buf), "one byte more");
	buf_reset(&buf);
	writer_bind_head(&buf, SPAN_LIT(""), SPAN_LIT(""), SIZE_MAX);
	cr_assert_not(buf_ok(&buf));
	buf_fini(&buf);
}

/* A second message begins where the first one ended. */
Test(wire_writer, one_behind_the_other)
{
	struct buf buf;
	buf_init(&buf, 1000);
	writer_ready(&buf, 'I');
	writer_command_complete(&buf, "A");
	cr_assert(span_eq(buf_span(&buf), SPAN_LIT("Z\0\0\0\5IC\0\0\0\6A\0")));
	buf_fini(&buf);
}

Test(wire_writer, zero_in_a_string)
{
	struct buf buf;
	buf_init(&buf, 1000);
	writer_query(&buf, SPAN_LIT("select 1\0; drop"));
	cr_assert_not(buf_ok(&buf));
	buf_fini(&buf);
}

/* Whatever the ceiling, the failure is latched and nothing is written past it. */
Test(wire_writer, every_ceiling)
{
	for (size_t max = 0; max < 60; max++) {
		struct buf buf;
		buf_init(&buf, max);
		writer_bind_head(&buf, SPAN_LIT("p"), SPAN_LIT("s"), 10);
		writer_error(&buf,
			     &(struct writer_notice){ "ERROR", SQLSTATE_SYNTAX_ERROR,
						      "no", NULL, NULL });
		writer_ready(&buf, 'I');
		cr_assert_eq(buf_ok(&buf), max >= 9 + 31 + 6, "%zu", max);
		cr_assert(buf.len <= max);
		buf_fini(&buf);
	}
}

Test(wire_writer, ready_made)
{
	const struct span all[] = {
		WIRE_PARSE_COMPLETE, WIRE_BIND_COMPLETE, WIRE_CLOSE_COMPLETE,
		WIRE_NO_DATA,	     WIRE_EMPTY_QUERY,	 WIRE_PORTAL_SUSPENDED,
		WIRE_READY_IDLE,     WIRE_READY_FAILED,	 WIRE_READY_IN_TRANSACTION,
		WIRE_AUTH_OK,
	};
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct frame frame;
		cr_assert_eq(frame_next(all[i], 100, &frame), FRAME_OK, "%zu", i);
		cr_assert(frame.complete && frame.size == all[i].n, "%zu", i);
		const struct message_type *type =
		    message_type(MESSAGE_BACKEND, frame.type);
		cr_assert(type != NULL && frame.size - 1 >= type->min_len, "%zu", i);
	}
}
