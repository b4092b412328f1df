/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "cache/redis_value.h"

#include <lz4.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/buf.h"

#define MAGIC	       UINT32_C(0x50475243) /* "PGRC" */
#define LAYOUT_VERSION 1
#define FLAG_PACKED    1
#define CHECKSUM_AT    8  /* bytes before the checksum */
#define CHECKED_AT     16 /* bytes up to its end */

/* Of the bytes behind the checksum, seeded with those before it. */
static uint64_t checksum(const uint8_t *p, size_t n)
{
	uint64_t seed = 0;
	for (size_t i = 0; i < CHECKSUM_AT; i++) {
		seed = seed << 8 | p[i];
	}
	return XXH3_64bits_withSeed(p + CHECKED_AT, n - CHECKED_AT, seed);
}

/* Appends VALUE as an LZ4 block; false when that would not be smaller. */
static bool append_packed(struct buf *out, struct span value)
{
	if (value.n > LZ4_MAX_INPUT_SIZE) {
		return false;
	}
	/* no room for more than the value: LZ4 gives up when packing does not pay */
	uint8_t *to = buf_reserve(out, value.n);
	if (to == NULL) {
		return false;
	}
	int n = LZ4_compress_default((const char *)value.p, (char *)to, (int)value.n,
				     (int)value.n - 1);
	if (n <= 0) {
		return false;
	}
	out->len += (size_t)n;
	return true;
}

void redis_value_write(const struct redis_value *v, size_t compress_min,
		       struct buf *out)
{
	require(v->n_tokens <= VERSIONS_MAX_WORDS);
	if (v->key.n > UINT32_MAX || v->value.n > UINT32_MAX) {
		out->failed = true;
		return;
	}
	size_t start = out->len;
	buf_append_u32(out, MAGIC);
	buf_append_u8(out, LAYOUT_VERSION);
	buf_append_u8(out, 0);
	buf_append_u8(out, (uint8_t)v->n_tokens);
	buf_append_u8(out, v->klass);
	buf_append_u64(out, 0);
	buf_append_u32(out, (uint32_t)v->value.n);
	buf_append_u32(out, (uint32_t)v->key.n);
	buf_append_u32(out, v->n_rows);
	buf_append_u32(out, v->ttl_s);
	buf_append_u64(out, v->created_ms);
	buf_append_u64(out, v->server_ns);
	buf_append_u64(out, v->epoch);
	for (uint32_t i = 0; i < v->n_tokens; i++) {
		buf_append_u64(out, v->tokens[i].tag);
		buf_append_u64(out, v->tokens[i].token);
	}
	buf_append_span(out, v->key);
	bool packed = v->value.n > 1 && v->value.n >= compress_min &&
		      append_packed(out, v->value);
	if (!packed) {
		buf_append_span(out, v->value);
	}
	if (!buf_ok(out)) {
		return;
	}
	out->data[start + 5] = packed ? FLAG_PACKED : 0;
	uint64_t sum = checksum(out->data + start, out->len - start);
	buf_put_u32(out, start + CHECKSUM_AT, (uint32_t)(sum >> 32));
	buf_put_u32(out, start + CHECKSUM_AT + 4, (uint32_t)sum);
}

/* A cursor that gives zeros after the first short read. */
struct cursor {
	struct span left;
	bool failed;
};

static uint64_t cursor_int(struct cursor *c, size_t n)
{
	if (c->failed || n > c->left.n) {
		c->failed = true;
		return 0;
	}
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++) {
		v = v << 8 | c->left.p[i];
	}
	c->left = span_skip(c->left, n);
	return v;
}

static uint32_t cursor_u32(struct cursor *c)
{
	return (uint32_t)cursor_int(c, 4);
}

static uint64_t cursor_u64(struct cursor *c)
{
	return cursor_int(c, 8);
}

static struct span cursor_bytes(struct cursor *c, size_t n)
{
	if (c->failed || n > c->left.n) {
		c->failed = true;
		return (struct span){ 0 };
	}
	struct span s = span_make(c->left.p, n);
	c->left = span_skip(c->left, n);
	return s;
}

/* The first sixteen bytes: what kind of thing this is, and whether it is whole. */
static bool read_preamble(struct cursor *c, struct span whole, struct redis_value *out)
{
	uint32_t magic = cursor_u32(c);
	uint64_t version = cursor_int(c, 1);
	uint64_t flags = cursor_int(c, 1);
	out->n_tokens = (uint32_t)cursor_int(c, 1);
	out->klass = (uint8_t)cursor_int(c, 1);
	uint64_t sum = cursor_u64(c);
	out->is_packed = (flags & FLAG_PACKED) != 0;
	return !c->failed && magic == MAGIC && version == LAYOUT_VERSION &&
	       (flags & ~(uint64_t)FLAG_PACKED) == 0 &&
	       out->n_tokens <= VERSIONS_MAX_WORDS && sum == checksum(whole.p, whole.n);
}

bool redis_value_read(struct span in, size_t max_raw, struct redis_value *out)
{
	struct cursor c = { .left = in };
	*out = (struct redis_value){ 0 };
	if (!read_preamble(&c, in, out)) {
		return false;
	}
	out->raw_len = cursor_u32(&c);
	uint32_t key_len = cursor_u32(&c);
	out->n_rows = cursor_u32(&c);
	out->ttl_s = cursor_u32(&c);
	out->created_ms = cursor_u64(&c);
	out->server_ns = cursor_u64(&c);
	out->epoch = cursor_u64(&c);
	for (uint32_t i = 0; i < out->n_tokens; i++) {
		out->tokens[i].tag = cursor_u64(&c);
		out->tokens[i].token = cursor_u64(&c);
	}
	out->key = cursor_bytes(&c, key_len);
	out->value = c.left;
	return !c.failed && out->raw_len <= max_raw &&
	       out->raw_len <= LZ4_MAX_INPUT_SIZE &&
	       out->value.n <= LZ4_MAX_INPUT_SIZE &&
	       (out->is_packed || out->value.n == out->raw_len);
}

bool redis_value_unpack(const struct redis_value *v, uint8_t *to)
{
	if (!v->is_packed) {
		require(v->value.n == v->raw_len);
		if (v->raw_len > 0) {
			memcpy(to, v->value.p, v->raw_len);
		}
		return true;
	}
	int n = LZ4_decompress_safe((const char *)v->value.p, (char *)to,
				    (int)v->value.n, (int)v->raw_len);
	return n >= 0 && (uint32_t)n == v->raw_len;
}
