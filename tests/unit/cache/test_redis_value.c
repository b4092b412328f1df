/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/buf.h"
#include "cache/redis_value.h"

#define MAX_RAW 100000

static struct redis_value sample(struct span value)
{
	struct redis_value v = { .epoch = 11,
				 .created_ms = 1700000000000,
				 .server_ns = 123456,
				 .n_tokens = 2,
				 .n_rows = 3,
				 .ttl_s = 300,
				 .klass = 2,
				 .key = SPAN_LIT("the\0key"),
				 .value = value };
	v.tokens[0] = (struct redis_token){ 1, 2 };
	v.tokens[1] = (struct redis_token){ 3, UINT64_MAX };
	return v;
}

static struct buf written(struct span value, size_t compress_min)
{
	struct buf buf;
	struct redis_value v = sample(value);
	buf_init(&buf, 1 << 20);
	redis_value_write(&v, compress_min, &buf);
	cr_assert(buf_ok(&buf));
	return buf;
}

static void check(const struct buf *buf, struct span value, bool packed)
{
	struct redis_value v;
	cr_assert(redis_value_read(buf_span(buf), MAX_RAW, &v));
	cr_assert_eq(v.epoch, 11);
	cr_assert_eq(v.created_ms, 1700000000000);
	cr_assert_eq(v.server_ns, 123456);
	cr_assert_eq(v.n_tokens, 2);
	cr_assert_eq(v.tokens[0].tag, 1);
	cr_assert_eq(v.tokens[0].token, 2);
	cr_assert_eq(v.tokens[1].tag, 3);
	cr_assert_eq(v.tokens[1].token, UINT64_MAX);
	cr_assert_eq(v.n_rows, 3);
	cr_assert_eq(v.ttl_s, 300);
	cr_assert_eq(v.klass, 2);
	cr_assert(span_eq(v.key, SPAN_LIT("the\0key")));
	cr_assert_eq(v.raw_len, value.n);
	cr_assert_eq(v.is_packed, packed);
	uint8_t *raw = malloc(v.raw_len + 1);
	cr_assert(redis_value_unpack(&v, raw));
	cr_assert(span_eq(span_make(raw, v.raw_len), value));
	free(raw);
}

Test(redis_value, round_trips)
{
	uint8_t zeros[50000] = { 0 };
	uint8_t noise[5000];
	srandom(3);
	for (size_t i = 0; i < sizeof(noise); i++) {
		noise[i] = (uint8_t)random();
	}
	const struct {
		struct span value;
		size_t compress_min;
		bool packed;
	} rows[] = {
		{ SPAN_LIT("rows"), 1024, false },
		{ span_make(NULL, 0), 0, false },
		{ span_make(zeros, 1), 0, false },
		{ span_make(zeros, sizeof(zeros)), 1024, true },
		{ span_make(zeros, 1024), 1024, true },
		{ span_make(zeros, 1023), 1024, false },
		{ span_make(noise, sizeof(noise)), 0, false }, /* does not pay */
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf buf = written(rows[i].value, rows[i].compress_min);
		check(&buf, rows[i].value, rows[i].packed);
		buf_fini(&buf);
	}
}

Test(redis_value, every_cut_and_every_flipped_bit_is_refused)
{
	uint8_t zeros[2000] = { 0 };
	struct buf buf = written(span_make(zeros, sizeof(zeros)), 100);
	struct redis_value v;
	for (size_t n = 0; n < buf.len; n++) {
		cr_assert_not(redis_value_read(span_make(buf.data, n), MAX_RAW, &v),
			      "%zu", n);
	}
	for (size_t i = 0; i < buf.len * 8; i++) {
		buf.data[i / 8] ^= (uint8_t)(1U << i % 8);
		cr_assert_not(redis_value_read(buf_span(&buf), MAX_RAW, &v), "bit %zu",
			      i);
		buf.data[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	cr_assert(redis_value_read(buf_span(&buf), MAX_RAW, &v));
	buf_append_u8(&buf, 0);
	cr_assert_not(redis_value_read(buf_span(&buf), MAX_RAW, &v));
	buf_fini(&buf);
}

/* Someone who can compute the checksum, too. */
static void reseal(struct buf *buf)
{
	uint64_t seed = 0;
	for (int i = 0; i < 8; i++) {
		seed = seed << 8 | buf->data[i];
	}
	uint64_t sum = XXH3_64bits_withSeed(buf->data + 16, buf->len - 16, seed);
	buf_put_u32(buf, 8, (uint32_t)(sum >> 32));
	buf_put_u32(buf, 12, (uint32_t)sum);
}

Test(redis_value, lies_with_a_right_checksum_are_bounded)
{
	enum {
		RAW_LEN = 16,
		KEY_LEN = 20,
		N_TOKENS = 6,
		FLAGS = 5
	};
	uint8_t zeros[2000] = { 0 };
	struct redis_value v;
	uint8_t *raw = malloc(MAX_RAW);
	static const uint32_t lengths[] = {
		0, 1, 1999, 2001, MAX_RAW, MAX_RAW + 1, INT32_MAX, UINT32_MAX
	};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct buf buf = written(span_make(zeros, sizeof(zeros)), 100);
		buf_put_u32(&buf, RAW_LEN, lengths[i]);
		reseal(&buf);
		cr_assert(!redis_value_read(buf_span(&buf), MAX_RAW, &v) ||
			      !redis_value_unpack(&v, raw),
			  "raw length %u", lengths[i]);
		buf_fini(&buf);
		buf = written(span_make(zeros, sizeof(zeros)), 100);
		buf_put_u32(&buf, KEY_LEN, lengths[i]);
		reseal(&buf);
		cr_assert(!redis_value_read(buf_span(&buf), MAX_RAW, &v) ||
			      !redis_value_unpack(&v, raw),
			  "key length %u", lengths[i]);
		buf_fini(&buf);
	}
	struct buf buf = written(SPAN_LIT("x"), 100);
	buf.data[N_TOKENS] = VERSIONS_MAX_WORDS + 1;
	reseal(&buf);
	cr_assert_not(redis_value_read(buf_span(&buf), MAX_RAW, &v));
	buf.data[N_TOKENS] = 16; /* more than there are bytes for */
	reseal(&buf);
	cr_assert_not(redis_value_read(buf_span(&buf), MAX_RAW, &v));
	buf.data[N_TOKENS] = 2;
	buf.data[FLAGS] = 2;
	reseal(&buf);
	cr_assert_not(redis_value_read(buf_span(&buf), MAX_RAW, &v));
	buf_fini(&buf);
	free(raw);
}

Test(redis_value, a_buffer_that_is_too_small_fails)
{
	struct redis_value v = sample(SPAN_LIT("value"));
	for (size_t max = 0; max < 90; max += 10) {
		struct buf buf;
		buf_init(&buf, max);
		redis_value_write(&v, 0, &buf);
		cr_assert_not(buf_ok(&buf));
		buf_fini(&buf);
	}
}
