/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_CAP 256

void buf_init(struct buf *buf, size_t max)
{
	require(buf != NULL);
	*buf = (struct buf){ .max = max };
}

void buf_fini(struct buf *buf)
{
	require(buf != NULL);
	free(buf->data);
	buf_init(buf, buf->max);
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}

/* Doubles the memory up to the ceiling, so that many small appends stay linear. */
static bool buf_grow(struct buf *buf, size_t need)
{
	size_t cap = buf->cap ? buf->cap : BUF_FIRST_CAP;
	while (cap < need) {
		cap = cap > buf->max / 2 ? buf->max : cap * 2;
	}
	uint8_t *data = realloc(buf->data, cap);
	if (data == NULL) {
		return false;
	}
	buf->data = data;
	buf->cap = cap;
	return true;
}

uint8_t *buf_reserve(struct buf *buf, size_t n)
{
	require(buf->len <= buf->max);
	if (buf->failed || n > buf->max - buf->len) {
		buf->failed = true;
		return NULL;
	}
	if (n > buf->cap - buf->len || buf->data == NULL) {
		if (!buf_grow(buf, buf->len + n)) {
			buf->failed = true;
			return NULL;
		}
	}
	return buf->data + buf->len;
}

void buf_append(struct buf *buf, const void *p, size_t n)
{
	if (n == 0) {
		return;
	}
	uint8_t *to = buf_reserve(buf, n);
	if (to != NULL) {
		memcpy(to, p, n);
		buf->len += n;
	}
}

void buf_append_span(struct buf *buf, struct span s)
{
	buf_append(buf, s.p, s.n);
}

void buf_append_cstr(struct buf *buf, const char *s)
{
	buf_append(buf, s, strlen(s) + 1);
}

void buf_append_str(struct buf *buf, const char *s)
{
	buf_append(buf, s, strlen(s));
}

void buf_append_u8(struct buf *buf, uint8_t v)
{
	buf_append(buf, &v, 1);
}

void buf_append_u16(struct buf *buf, uint16_t v)
{
	uint16_t be = __builtin_bswap16(v);
	buf_append(buf, &be, sizeof(be));
}

void buf_append_u32(struct buf *buf, uint32_t v)
{
	uint32_t be = __builtin_bswap32(v);
	buf_append(buf, &be, sizeof(be));
}

void buf_append_u64(struct buf *buf, uint64_t v)
{
	uint64_t be = __builtin_bswap64(v);
	buf_append(buf, &be, sizeof(be));
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n >= 0) {
		/* vsnprintf writes a zero behind the text: room for it, not counted */
		uint8_t *to = buf_reserve(buf, (size_t)n + 1);
		if (to != NULL) {
			vsnprintf((char *)to, (size_t)n + 1, fmt, again);
			buf->len += (size_t)n;
		}
	}
	va_end(again);
}

void buf_put_u32(struct buf *buf, size_t offset, uint32_t v)
{
	require(buf->len >= 4 && offset <= buf->len - 4);
	uint32_t be = __builtin_bswap32(v);
	memcpy(buf->data + offset, &be, sizeof(be));
}

void buf_consume(struct buf *buf, size_t n)
{
	require(n <= buf->len);
	if (n == 0) {
		return;
	}
	memmove(buf->data, buf->data + n, buf->len - n);
	buf->len -= n;
}
