#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A cached answer as bytes in Redis (big-endian):
 *
 *   magic "PGRC"  version u8  flags u8  n_tokens u8  class u8
 *   checksum u64         XXH3 of everything else
 *   raw_len u32  key_len u32  n_rows u32  ttl_s u32
 *   created_ms u64       wall clock of the fill
 *   server_ns u64  epoch u64
 *   n_tokens times: tag u64, token u64
 *   key                  full key material, the context as text
 *   value                raw_len bytes, or one LZ4 block of them
 *
 * Whoever can write to the Redis can write anything, so reading is bounded and checked.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"
#include "cache/versions.h"

struct buf;

/* One tag that the answer depends on and the token it had when the query was sent. */
struct redis_token {
	uint64_t tag;
	uint64_t token;
};

struct redis_value {
	struct redis_token tokens[VERSIONS_MAX_WORDS];
	uint64_t epoch;
	uint64_t created_ms; /* milliseconds since 1970 */
	uint64_t server_ns;
	uint32_t n_tokens;
	uint32_t n_rows;
	uint32_t ttl_s;
	uint32_t raw_len; /* bytes of the value when it is unpacked */
	uint8_t klass;	  /* enum plan_class */
	bool is_packed;	  /* value is an LZ4 block */
	struct span key;
	struct span value;
};

/* Appends V, whose value is unpacked (raw_len and is_packed are ignored); it is packed
 * when it has at least COMPRESS_MIN bytes and gets smaller.  A failure is latched in
 * OUT. */
void redis_value_write(const struct redis_value *v, size_t compress_min,
		       struct buf *out);
/* Reads IN, whose bytes OUT's spans point into.  False when it is not what
 * redis_value_write() wrote or would unpack to more than MAX_RAW bytes. */
bool redis_value_read(struct span in, size_t max_raw,
		      struct redis_value *out) MUST_CHECK;
/* Writes the raw_len bytes of the value to TO; false when they are not that many. */
bool redis_value_unpack(const struct redis_value *v, uint8_t *to) MUST_CHECK;
