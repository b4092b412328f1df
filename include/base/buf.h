#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A growing byte buffer that is born with a ceiling.  The first append that would pass
 * the ceiling, or that finds no memory, latches `failed`: nothing more is written, and
 * whoever filled the buffer asks buf_ok() once at the end. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

struct buf {
	uint8_t *data; /* owned; NULL until the first append */
	size_t len;    /* bytes written */
	size_t cap;    /* bytes allocated */
	size_t max;    /* ceiling of len, bytes */
	bool failed;   /* an append did not fit or found no memory */
};

/* Makes an empty buffer; allocates nothing.  MAX is the ceiling in bytes. */
void buf_init(struct buf *buf, size_t max);
/* Frees the bytes and leaves an empty buffer with the same ceiling. */
void buf_fini(struct buf *buf);
/* Forgets the content and the failure; keeps the memory. */
void buf_reset(struct buf *buf);
/* Makes room for N more bytes and returns where they go, or NULL (and `failed`).  The
 * caller writes them and adds what it wrote to len. */
uint8_t *buf_reserve(struct buf *buf, size_t n);

void buf_append(struct buf *buf, const void *p, size_t n);
void buf_append_span(struct buf *buf, struct span s);
/* The string with its terminating zero, as the protocol wants it. */
void buf_append_cstr(struct buf *buf, const char *s);
/* The string without its zero. */
void buf_append_str(struct buf *buf, const char *s);
void buf_append_u8(struct buf *buf, uint8_t v);
/* Integers in network byte order. */
void buf_append_u16(struct buf *buf, uint16_t v);
void buf_append_u32(struct buf *buf, uint32_t v);
void buf_append_u64(struct buf *buf, uint64_t v);
/* Formatted text, without a zero. */
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Writes V in network byte order over the four bytes at OFFSET, which must exist. */
void buf_put_u32(struct buf *buf, size_t offset, uint32_t v);
/* Drops the first N bytes and moves the rest down. */
void buf_consume(struct buf *buf, size_t n);

static inline bool buf_ok(const struct buf *buf)
{
	return !buf->failed;
}

static inline struct span buf_span(const struct buf *buf)
{
	return span_make(buf->data, buf->len);
}
