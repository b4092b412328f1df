/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "cache/key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

void key_init(struct key *key, size_t max_bytes)
{
	buf_init(&key->bytes, max_bytes);
	key->hash = 0;
}

void key_fini(struct key *key)
{
	buf_fini(&key->bytes);
}

void key_begin(struct key *key, uint64_t context_id, uint8_t kind, struct span text)
{
	buf_reset(&key->bytes);
	key->hash = 0;
	buf_append_u64(&key->bytes, context_id);
	buf_append_u8(&key->bytes, kind);
	key_add(key, text);
}

void key_add(struct key *key, struct span part)
{
	if (part.n > UINT32_MAX) {
		key->bytes.failed = true;
		return;
	}
	buf_append_u32(&key->bytes, (uint32_t)part.n);
	buf_append_span(&key->bytes, part);
}

bool key_finish(struct key *key)
{
	if (!buf_ok(&key->bytes)) {
		return false;
	}
	key->hash = XXH3_64bits(key->bytes.data, key->bytes.len);
	return true;
}
