#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Tokens, and the names of keys in Redis.  A token is a 64-bit number other than zero,
 * written as sixteen hex digits. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

#define TOKEN_LEN	 16
#define TOKEN_MAX_PREFIX 128

/* Makes fresh tokens; one per worker. */
struct token_source {
	uint64_t state;
};

struct token_name {
	char text[TOKEN_MAX_PREFIX + 48];
	size_t n; /* bytes */
};

/* Seeds from the kernel; -errno. */
int token_source_init(struct token_source *source) MUST_CHECK;
uint64_t token_fresh(struct token_source *source);
/* Writes the TOKEN_LEN digits. */
void token_write(uint64_t token, char *out);
/* False when TEXT is not a token. */
bool token_parse(struct span text, uint64_t *out);
/* PREFIX, KIND, then N (at most 2) numbers as sixteen hex digits each. */
void token_name_set(struct token_name *name, const char *prefix, const char *kind,
		    const uint64_t *numbers, size_t n);

static inline struct span token_name_span(const struct token_name *name)
{
	return span_make(name->text, name->n);
}
