/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Values read from Redis.  The first byte says whether the checksum is repaired, so
 * that what lies behind it is reached as well. */

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "cache/redis_value.h"

#define MAX_RAW 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repair(uint8_t *p, size_t n)
{
	if (n < 16) {
		return;
	}
	uint64_t seed = 0;
	for (int i = 0; i < 8; i++) {
		seed = seed << 8 | p[i];
	}
	uint64_t sum = XXH3_64bits_withSeed(p + 16, n - 16, seed);
	for (int i = 0; i < 8; i++) {
		p[8 + i] = (uint8_t)(sum >> (56 - 8 * i));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1) {
		return 0;
	}
	/* a copy of its own, so that a read past its end is seen */
	size_t n = size - 1;
	uint8_t *copy = malloc(n > 0 ? n : 1);
	memcpy(copy, data + 1, n);
	if ((data[0] & 1) != 0) {
		repair(copy, n);
	}
	struct redis_value v;
	if (redis_value_read(span_make(copy, n), MAX_RAW, &v)) {
		require(v.raw_len <= MAX_RAW && v.n_tokens <= VERSIONS_MAX_WORDS);
		require(v.key.n + v.value.n <= n);
		uint8_t *raw = malloc(v.raw_len > 0 ? v.raw_len : 1);
		if (redis_value_unpack(&v, raw) && v.raw_len > 0) {
			/* every byte was written */
			volatile uint8_t last = raw[v.raw_len - 1];
			(void)last;
		}
		free(raw);
	}
	free(copy);
	return 0;
}
