/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "console_priv.h"
#include "wire/writer.h"

static const struct {
	uint32_t oid;
	int16_t len;
} console_types[] = {
	[CONSOLE_TEXT] = { WRITER_TEXT_OID, -1 },
	[CONSOLE_INT4] = { 23, 4 },
	[CONSOLE_INT8] = { WRITER_INT8_OID, 8 },
	[CONSOLE_NUMERIC] = { 1700, -1 },
};

#define CONSOLE_COLUMN(type, name) { CONSOLE_##type, name },
#define CONSOLE_TABLE(id, ...) \
	static const struct console_column console_columns_##id[] = { __VA_ARGS__ };
#include "tbl/console_tables.h"
#undef CONSOLE_TABLE
#undef CONSOLE_COLUMN

static const struct {
	const struct console_column *columns;
	size_t n;
} console_tables[] = {
	[CONSOLE_NO_TABLE] = { NULL, 0 },
#define CONSOLE_COLUMN(type, name)
#define CONSOLE_TABLE(id, ...) \
	[CONSOLE_TABLE_##      \
	    id] = { console_columns_##id, ARRAY_LEN(console_columns_##id) },
#include "tbl/console_tables.h"
#undef CONSOLE_TABLE
#undef CONSOLE_COLUMN
};

void console_rows_init(struct console_rows *rows, enum console_table_id table)
{
	*rows = (struct console_rows){ .columns = console_tables[table].columns,
				       .n_columns = console_tables[table].n };
	require(rows->n_columns <= CONSOLE_MAX_COLUMNS);
	buf_init(&rows->bytes, CONSOLE_MAX_ROWS);
}

void console_rows_fini(struct console_rows *rows)
{
	buf_fini(&rows->bytes);
}

bool console_rows_formats(struct console_rows *rows, const struct span formats,
			  size_t n)
{
	if (n > 1 && n != rows->n_columns) {
		return false;
	}
	for (size_t i = 0; i < rows->n_columns && n > 0; i++) {
		size_t at = n == 1 ? 0 : i;
		rows->is_binary[i] = formats.p[at * 2 + 1] != 0;
	}
	return true;
}

void console_rows_describe(const struct console_rows *rows, struct buf *out)
{
	if (rows->columns == NULL) {
		buf_append_span(out, WIRE_NO_DATA);
		return;
	}
	size_t start = writer_begin(out, 'T');
	buf_append_u16(out, (uint16_t)rows->n_columns);
	for (size_t i = 0; i < rows->n_columns; i++) {
		const struct console_column *column = &rows->columns[i];
		buf_append_cstr(out, column->name);
		buf_append_u32(out, 0); /* of no table */
		buf_append_u16(out, 0);
		buf_append_u32(out, console_types[column->type].oid);
		buf_append_u16(out, (uint16_t)console_types[column->type].len);
		buf_append_u32(out, UINT32_MAX);
		buf_append_u16(out, rows->is_binary[i] ? 1 : 0);
	}
	writer_end(out, start);
}

void console_row(struct console_rows *rows)
{
	rows->start = writer_begin(&rows->bytes, 'D');
	rows->column = 0;
	buf_append_u16(&rows->bytes, (uint16_t)rows->n_columns);
}

static void console_value(struct console_rows *rows, struct span value)
{
	buf_append_u32(&rows->bytes, (uint32_t)value.n);
	buf_append_span(&rows->bytes, value);
}

void console_text(struct console_rows *rows, const char *text)
{
	require(rows->column < rows->n_columns);
	rows->column++;
	if (text == NULL) {
		buf_append_u32(&rows->bytes, UINT32_MAX);
	} else {
		console_value(rows, span_str(text));
	}
}

/* PostgreSQL's numeric: digits to the base of 10,000, the highest first; see
 * numeric_send() in its source. */
static void console_numeric(struct console_rows *rows, uint64_t value)
{
	uint16_t digits[5];
	size_t n = 0;
	for (; value != 0; value /= 10000) {
		digits[n++] = (uint16_t)(value % 10000);
	}
	buf_append_u32(&rows->bytes, (uint32_t)(8 + 2 * n));
	buf_append_u16(&rows->bytes, (uint16_t)n);
	buf_append_u16(&rows->bytes, (uint16_t)(n > 0 ? n - 1 : 0)); /* weight */
	buf_append_u16(&rows->bytes, 0);			     /* sign */
	buf_append_u16(&rows->bytes, 0); /* digits behind the point */
	while (n > 0) {
		buf_append_u16(&rows->bytes, digits[--n]);
	}
}

void console_number(struct console_rows *rows, uint64_t value)
{
	require(rows->column < rows->n_columns);
	enum console_type type = rows->columns[rows->column].type;
	bool is_binary = rows->is_binary[rows->column++];
	if (type == CONSOLE_INT4 && value > INT32_MAX) {
		value = INT32_MAX;
	}
	if (!is_binary || type == CONSOLE_TEXT) {
		char text[24];
		int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
		console_value(rows, span_make(text, (size_t)n));
	} else if (type == CONSOLE_NUMERIC) {
		console_numeric(rows, value);
	} else if (type == CONSOLE_INT4) {
		buf_append_u32(&rows->bytes, 4);
		buf_append_u32(&rows->bytes, (uint32_t)value);
	} else {
		buf_append_u32(&rows->bytes, 8);
		buf_append_u64(&rows->bytes, value);
	}
}

void console_row_end(struct console_rows *rows)
{
	require(rows->column == rows->n_columns);
	writer_end(&rows->bytes, rows->start);
	rows->n++;
}

void console_named_number(struct console_rows *rows, const char *name, uint64_t n)
{
	console_row(rows);
	console_text(rows, name);
	console_number(rows, n);
	console_row_end(rows);
}
