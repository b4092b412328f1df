/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/writer.h"

#include <string.h>

#include "wire/messages.h"

/* PostgreSQL allocates messages as strings of less than this. */
#define WRITER_MAX_LEN 0x3fffffffU

size_t writer_begin(struct buf *buf, uint8_t type)
{
	size_t start = buf->len;
	buf_append_u8(buf, type);
	buf_append_u32(buf, 0);
	return start;
}

void writer_end(struct buf *buf, size_t start)
{
	if (!buf_ok(buf)) {
		return;
	}
	require(start < buf->len && buf->len - start >= 5);
	size_t len = buf->len - start - 1;
	if (len > WRITER_MAX_LEN) {
		buf->failed = true;
		return;
	}
	buf_put_u32(buf, start + 1, (uint32_t)len);
}

void writer_string(struct buf *buf, struct span s)
{
	if (s.n > 0 && memchr(s.p, 0, s.n) != NULL) {
		buf->failed = true;
		return;
	}
	buf_append_span(buf, s);
	buf_append_u8(buf, 0);
}

static void writer_field(struct buf *buf, uint8_t code, const char *text)
{
	if (text != NULL) {
		buf_append_u8(buf, code);
		buf_append_cstr(buf, text);
	}
}

static void writer_fields(struct buf *buf, uint8_t type,
			  const struct writer_notice *notice)
{
	require(notice->severity != NULL && notice->message != NULL);
	size_t start = writer_begin(buf, type);
	writer_field(buf, 'S', notice->severity);
	writer_field(buf, 'V', notice->severity);
	writer_field(buf, 'C', notice->sqlstate);
	writer_field(buf, 'M', notice->message);
	writer_field(buf, 'D', notice->detail);
	writer_field(buf, 'H', notice->hint);
	buf_append_u8(buf, 0);
	writer_end(buf, start);
}

void writer_error(struct buf *buf, const struct writer_notice *error)
{
	writer_fields(buf, BACKEND_ERROR, error);
}

void writer_notice(struct buf *buf, const struct writer_notice *notice)
{
	writer_fields(buf, BACKEND_NOTICE, notice);
}

/* The kinds of Authentication message that we send. */
enum writer_auth {
	WRITER_AUTH_PASSWORD = 3,
	WRITER_AUTH_MD5 = 5,
	WRITER_AUTH_SASL = 10,
	WRITER_AUTH_SASL_CONTINUE = 11,
	WRITER_AUTH_SASL_FINAL = 12,
};

void writer_auth_sasl(struct buf *buf, const char *const *mechanisms)
{
	size_t start = writer_begin(buf, BACKEND_AUTHENTICATION);
	buf_append_u32(buf, WRITER_AUTH_SASL);
	for (const char *const *m = mechanisms; *m != NULL; m++) {
		buf_append_cstr(buf, *m);
	}
	buf_append_u8(buf, 0);
	writer_end(buf, start);
}

static void writer_auth(struct buf *buf, enum writer_auth kind, struct span message)
{
	size_t start = writer_begin(buf, BACKEND_AUTHENTICATION);
	buf_append_u32(buf, kind);
	buf_append_span(buf, message);
	writer_end(buf, start);
}

void writer_auth_password(struct buf *buf)
{
	writer_auth(buf, WRITER_AUTH_PASSWORD, span_make(NULL, 0));
}

void writer_auth_md5(struct buf *buf, const uint8_t salt[4])
{
	writer_auth(buf, WRITER_AUTH_MD5, span_make(salt, 4));
}

void writer_auth_sasl_continue(struct buf *buf, struct span message)
{
	writer_auth(buf, WRITER_AUTH_SASL_CONTINUE, message);
}

void writer_auth_sasl_final(struct buf *buf, struct span message)
{
	writer_auth(buf, WRITER_AUTH_SASL_FINAL, message);
}

void writer_auth_ok(struct buf *buf)
{
	buf_append_span(buf, WIRE_AUTH_OK);
}

void writer_negotiate_version(struct buf *buf, uint16_t minor, const struct span *names,
			      size_t n_names)
{
	size_t start = writer_begin(buf, BACKEND_NEGOTIATE_VERSION);
	/* the whole version: libpq compares it with the one it asked for */
	buf_append_u32(buf, (3U << 16) | minor);
	buf_append_u32(buf, (uint32_t)n_names);
	for (size_t i = 0; i < n_names; i++) {
		writer_string(buf, names[i]);
	}
	writer_end(buf, start);
}

void writer_parameter_status(struct buf *buf, struct span name, struct span value)
{
	size_t start = writer_begin(buf, BACKEND_PARAMETER_STATUS);
	writer_string(buf, name);
	writer_string(buf, value);
	writer_end(buf, start);
}

void writer_notification(struct buf *buf, uint32_t pid, struct span channel,
			 struct span payload)
{
	size_t start = writer_begin(buf, BACKEND_NOTIFICATION);
	buf_append_u32(buf, pid);
	writer_string(buf, channel);
	writer_string(buf, payload);
	writer_end(buf, start);
}

void writer_key_data(struct buf *buf, uint32_t pid, struct span key)
{
	require(key.n >= 4 && key.n <= 256);
	size_t start = writer_begin(buf, BACKEND_KEY_DATA);
	buf_append_u32(buf, pid);
	buf_append_span(buf, key);
	writer_end(buf, start);
}

void writer_ready(struct buf *buf, uint8_t status)
{
	require(status == 'I' || status == 'T' || status == 'E');
	size_t start = writer_begin(buf, BACKEND_READY);
	buf_append_u8(buf, status);
	writer_end(buf, start);
}

void writer_empty_query(struct buf *buf)
{
	buf_append_span(buf, WIRE_EMPTY_QUERY);
}

void writer_command_complete(struct buf *buf, const char *tag)
{
	size_t start = writer_begin(buf, BACKEND_COMMAND_COMPLETE);
	buf_append_cstr(buf, tag);
	writer_end(buf, start);
}

void writer_row_description(struct buf *buf, const struct writer_column *columns,
			    size_t n_columns)
{
	require(n_columns <= INT16_MAX);
	size_t start = writer_begin(buf, BACKEND_ROW_DESCRIPTION);
	buf_append_u16(buf, (uint16_t)n_columns);
	for (size_t i = 0; i < n_columns; i++) {
		buf_append_cstr(buf, columns[i].name);
		buf_append_u32(buf, 0); /* of no table */
		buf_append_u16(buf, 0); /* and none of its columns */
		buf_append_u32(buf, columns[i].type_oid);
		buf_append_u16(buf, (uint16_t)columns[i].type_len);
		buf_append_u32(buf, UINT32_MAX); /* no type modifier */
		buf_append_u16(buf, 0);		 /* text */
	}
	writer_end(buf, start);
}

void writer_data_row(struct buf *buf, const struct span *values, size_t n_values)
{
	require(n_values <= INT16_MAX);
	size_t start = writer_begin(buf, BACKEND_DATA_ROW);
	buf_append_u16(buf, (uint16_t)n_values);
	for (size_t i = 0; i < n_values; i++) {
		if (values[i].p == NULL) {
			buf_append_u32(buf, UINT32_MAX);
			continue;
		}
		/* a length cut here does not get out: writer_end() refuses the message
		 */
		buf_append_u32(buf, (uint32_t)values[i].n);
		buf_append_span(buf, values[i]);
	}
	writer_end(buf, start);
}

void writer_query(struct buf *buf, struct span text)
{
	size_t start = writer_begin(buf, FRONTEND_QUERY);
	writer_string(buf, text);
	writer_end(buf, start);
}

void writer_parse(struct buf *buf, struct span name, struct span text,
		  struct span types)
{
	require(types.n % 4 == 0 && types.n / 4 <= UINT16_MAX);
	size_t start = writer_begin(buf, FRONTEND_PARSE);
	writer_string(buf, name);
	writer_string(buf, text);
	buf_append_u16(buf, (uint16_t)(types.n / 4));
	buf_append_span(buf, types);
	writer_end(buf, start);
}

/* As writer_end(), for a message of which REST_LEN bytes are still to come. */
static void writer_end_head(struct buf *buf, size_t start, size_t rest_len)
{
	writer_end(buf, start);
	if (!buf_ok(buf)) {
		return;
	}
	size_t len = buf->len - start - 1;
	if (rest_len > WRITER_MAX_LEN - len) {
		buf->failed = true;
		return;
	}
	buf_put_u32(buf, start + 1, (uint32_t)(len + rest_len));
}

void writer_parse_head(struct buf *buf, struct span name, size_t rest_len)
{
	size_t start = writer_begin(buf, FRONTEND_PARSE);
	writer_string(buf, name);
	writer_end_head(buf, start, rest_len);
}

void writer_bind_head(struct buf *buf, struct span portal, struct span statement,
		      size_t rest_len)
{
	size_t start = writer_begin(buf, FRONTEND_BIND);
	writer_string(buf, portal);
	writer_string(buf, statement);
	writer_end_head(buf, start, rest_len);
}

static void writer_target(struct buf *buf, uint8_t type, uint8_t kind, struct span name)
{
	require(kind == 'S' || kind == 'P');
	size_t start = writer_begin(buf, type);
	buf_append_u8(buf, kind);
	writer_string(buf, name);
	writer_end(buf, start);
}

void writer_describe(struct buf *buf, uint8_t kind, struct span name)
{
	writer_target(buf, FRONTEND_DESCRIBE, kind, name);
}

void writer_close(struct buf *buf, uint8_t kind, struct span name)
{
	writer_target(buf, FRONTEND_CLOSE, kind, name);
}

void writer_execute(struct buf *buf, struct span portal, uint32_t max_rows)
{
	size_t start = writer_begin(buf, FRONTEND_EXECUTE);
	writer_string(buf, portal);
	buf_append_u32(buf, max_rows);
	writer_end(buf, start);
}

void writer_sync(struct buf *buf)
{
	buf_append_span(buf, WIRE_SYNC);
}

void writer_flush(struct buf *buf)
{
	buf_append_span(buf, WIRE_FLUSH);
}

void writer_terminate(struct buf *buf)
{
	buf_append_span(buf, WIRE_TERMINATE);
}
