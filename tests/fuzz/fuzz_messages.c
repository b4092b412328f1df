/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Every message reader on the same body; and what was read, written again, must be read
 * the same. */

#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The body of the one message in BUF. */
static struct span written_body(const struct buf *buf, uint8_t type)
{
	struct frame frame;
	require(buf_ok(buf));
	require(frame_next(buf_span(buf), UINT32_MAX, &frame) == FRAME_OK);
	require(frame.complete && frame.size == buf->len && frame.type == type);
	return frame.body;
}

static void check_parse(struct span body, struct buf *buf)
{
	struct message_parse parse, again;
	if (message_read_parse(body, &parse) != 0) {
		return;
	}
	for (size_t i = 0; i <= parse.n_types; i++) {
		(void)message_parse_type(&parse, i);
	}
	buf_reset(buf);
	writer_parse_head(buf, SPAN_LIT("other"), parse.rest.n);
	buf_append_span(buf, parse.rest);
	require(message_read_parse(written_body(buf, FRONTEND_PARSE), &again) == 0);
	require(span_eq_str(again.name, "other") && span_eq(again.text, parse.text));
	require(span_eq(again.types, parse.types));
	buf_reset(buf);
	writer_parse(buf, parse.name, parse.text, parse.types);
	require(span_eq(written_body(buf, FRONTEND_PARSE), body));
}

static void check_bind(struct span body, struct buf *buf)
{
	struct message_bind bind, again;
	if (message_read_bind(body, &bind) != 0) {
		return;
	}
	struct reader values = reader_make(bind.values);
	for (size_t i = 0; i < bind.n_values; i++) {
		(void)message_bind_value(&values);
		(void)message_bind_format(&bind, i);
	}
	require(reader_at_end(&values));
	buf_reset(buf);
	writer_bind_head(buf, bind.portal, SPAN_LIT("other"), bind.rest.n);
	buf_append_span(buf, bind.rest);
	require(message_read_bind(written_body(buf, FRONTEND_BIND), &again) == 0);
	require(span_eq(again.portal, bind.portal) &&
		span_eq(again.values, bind.values));
	require(span_eq(again.result_formats, bind.result_formats));
	require(span_eq_str(again.statement, "other"));
}

static void check_small_frontend(struct span body, struct buf *buf)
{
	struct message_target target;
	struct message_execute execute;
	struct message_function_call call;
	struct message_sasl_initial sasl;
	struct span text;
	buf_reset(buf);
	if (message_read_target(body, &target) == 0) {
		writer_describe(buf, target.kind, target.name);
		require(span_eq(written_body(buf, FRONTEND_DESCRIBE), body));
	}
	if (message_read_execute(body, &execute) == 0) {
		require(execute.max_rows <= INT32_MAX);
	}
	if (message_read_sasl_initial(body, &sasl) == 0) {
		require(sasl.has_response || sasl.response.n == 0);
	}
	if (message_read_query(body, &text) == 0) {
		require(text.n + 1 == body.n);
	}
	(void)message_read_function_call(body, &call);
	(void)message_read_password(body, &text);
}

static void check_notification(struct span body, struct buf *buf)
{
	struct message_notification m;
	buf_reset(buf);
	if (message_read_notification(body, &m) == 0) {
		writer_notification(buf, m.pid, m.channel, m.payload);
		require(span_eq(written_body(buf, BACKEND_NOTIFICATION), body));
	}
}

static void check_backend(struct span body)
{
	struct message_error error;
	struct message_parameter parameter;
	struct message_key_data key;
	struct span tag;
	uint16_t n;
	uint8_t status;
	(void)message_read_error(body, &error);
	(void)message_read_parameter_status(body, &parameter);
	(void)message_read_ready(body, &status);
	(void)message_read_row_description(body, &n);
	(void)message_read_key_data(body, &key);
	if (message_read_command_complete(body, &tag) == 0) {
		struct message_command command = message_parse_tag(tag);
		require(command.verb.n <= tag.n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span body = span_make(data, size);
	struct buf buf;
	buf_init(&buf, size + 64);
	check_parse(body, &buf);
	check_bind(body, &buf);
	check_small_frontend(body, &buf);
	check_backend(body);
	check_notification(body, &buf);
	buf_fini(&buf);
	return 0;
}
