/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/messages.h"

/* Two arrays from one table: a row counts on its own side only. */
/* clang-format off */
#define MESSAGE(byte, side, IDENT, name, min, max) \
	MESSAGE_ROW_##side(byte, name, min, max)
#define MESSAGE_ROW(byte, name, min, max) [byte] = { byte, name, min, max },

static const struct message_type frontend_types[128] = {
#define MESSAGE_ROW_FRONTEND MESSAGE_ROW
#define MESSAGE_ROW_BACKEND(byte, name, min, max)
#include "tbl/messages.h"
#undef MESSAGE_ROW_FRONTEND
#undef MESSAGE_ROW_BACKEND
};

static const struct message_type backend_types[128] = {
#define MESSAGE_ROW_FRONTEND(byte, name, min, max)
#define MESSAGE_ROW_BACKEND MESSAGE_ROW
#include "tbl/messages.h"
#undef MESSAGE_ROW_FRONTEND
#undef MESSAGE_ROW_BACKEND
};

#undef MESSAGE_ROW
#undef MESSAGE
/* clang-format on */

const struct message_type *message_type(enum message_side side, uint8_t byte)
{
	if (byte >= ARRAY_LEN(frontend_types)) {
		return NULL;
	}
	const struct message_type *types =
	    side == MESSAGE_FRONTEND ? frontend_types : backend_types;
	return types[byte].name == NULL ? NULL : &types[byte];
}

const char *message_name(enum message_side side, uint8_t byte)
{
	const struct message_type *type = message_type(side, byte);
	return type == NULL ? "unknown" : type->name;
}

/* Every message but a few ends with its last field. */
static int message_end(const struct reader *r)
{
	return reader_at_end(r) ? 0 : MESSAGE_E_MALFORMED;
}

int message_read_query(struct span body, struct span *text)
{
	struct reader r = reader_make(body);
	*text = reader_cstr(&r);
	return message_end(&r);
}

int message_read_parse(struct span body, struct message_parse *out)
{
	struct reader r = reader_make(body);
	out->name = reader_cstr(&r);
	out->rest = span_make(r.next, r.left);
	out->text = reader_cstr(&r);
	out->counted_types = span_make(r.next, r.left);
	out->n_types = reader_u16(&r);
	out->types = reader_bytes(&r, (size_t)out->n_types * 4);
	return message_end(&r);
}

uint32_t message_parse_type(const struct message_parse *parse, size_t i)
{
	if (i >= parse->n_types) {
		return 0;
	}
	require(parse->types.n == (size_t)parse->n_types * 4);
	struct reader r = reader_make(span_skip(parse->types, i * 4));
	return reader_u32(&r);
}

int message_read_bind_names(struct span start, struct message_bind *out)
{
	struct reader r = reader_make(start);
	*out = (struct message_bind){ .portal = reader_cstr(&r) };
	out->statement = reader_cstr(&r);
	out->rest = span_make(r.next, r.left);
	return reader_ok(&r) ? 0 : MESSAGE_E_MALFORMED;
}

/* Zero codes mean text for all, one code is for all, else one each. */
static bool bind_formats_fit(uint16_t n_formats, uint16_t n)
{
	return n_formats <= 1 || n_formats == n;
}

struct span message_bind_value(struct reader *values)
{
	int32_t n = reader_i32(values);
	if (n < 0) {
		if (n != -1) {
			reader_fail(values);
		}
		return span_make(NULL, 0);
	}
	return reader_bytes(values, (size_t)n);
}

int message_read_bind(struct span body, struct message_bind *out)
{
	int r = message_read_bind_names(body, out);
	if (r != 0) {
		return r;
	}
	struct reader rest = reader_make(out->rest);
	out->n_formats = reader_u16(&rest);
	out->formats = reader_bytes(&rest, (size_t)out->n_formats * 2);
	out->n_values = reader_u16(&rest);
	const uint8_t *start = rest.next;
	size_t before = rest.left;
	for (size_t i = 0; i < out->n_values && reader_ok(&rest); i++) {
		(void)message_bind_value(&rest);
	}
	out->values = span_make(start, before - rest.left);
	out->n_result_formats = reader_u16(&rest);
	out->result_formats = reader_bytes(&rest, (size_t)out->n_result_formats * 2);
	if (!bind_formats_fit(out->n_formats, out->n_values)) {
		return MESSAGE_E_MALFORMED;
	}
	return message_end(&rest);
}

uint16_t message_bind_format(const struct message_bind *bind, size_t i)
{
	require(bind->formats.n == (size_t)bind->n_formats * 2);
	size_t at = bind->n_formats == 1 ? 0 : i;
	if (at >= bind->n_formats) {
		return 0;
	}
	struct reader r = reader_make(span_skip(bind->formats, at * 2));
	return reader_u16(&r);
}

int message_read_target(struct span body, struct message_target *out)
{
	struct reader r = reader_make(body);
	out->kind = reader_u8(&r);
	out->name = reader_cstr(&r);
	if (out->kind != 'S' && out->kind != 'P') {
		return MESSAGE_E_MALFORMED;
	}
	return message_end(&r);
}

int message_read_execute(struct span body, struct message_execute *out)
{
	struct reader r = reader_make(body);
	out->portal = reader_cstr(&r);
	/* PostgreSQL fetches all for zero and for what is negative */
	int32_t max_rows = reader_i32(&r);
	out->max_rows = max_rows < 0 ? 0 : (uint32_t)max_rows;
	return message_end(&r);
}

int message_read_function_call(struct span body, struct message_function_call *out)
{
	struct reader r = reader_make(body);
	out->oid = reader_u32(&r);
	out->n_formats = reader_u16(&r);
	(void)reader_bytes(&r, (size_t)out->n_formats * 2);
	out->n_args = reader_u16(&r);
	for (size_t i = 0; i < out->n_args && reader_ok(&r); i++) {
		(void)message_bind_value(&r);
	}
	uint16_t result_format = reader_u16(&r);
	if (!bind_formats_fit(out->n_formats, out->n_args) || result_format > 1) {
		return MESSAGE_E_MALFORMED;
	}
	return message_end(&r);
}

int message_read_password(struct span body, struct span *password)
{
	struct reader r = reader_make(body);
	*password = reader_cstr(&r);
	return message_end(&r);
}

int message_read_sasl_initial(struct span body, struct message_sasl_initial *out)
{
	struct reader r = reader_make(body);
	out->mechanism = reader_cstr(&r);
	int32_t n = reader_i32(&r);
	out->has_response = n != -1;
	out->response = span_make(NULL, 0);
	if (n < -1) {
		return MESSAGE_E_MALFORMED;
	}
	if (n >= 0) {
		out->response = reader_bytes(&r, (size_t)n);
	}
	return message_end(&r);
}
