/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "cache/token.h"

#include <errno.h>
#include <sys/random.h>

int token_source_init(struct token_source *source)
{
	ssize_t n = getrandom(&source->state, sizeof(source->state), 0);
	if (n < 0) {
		return -errno;
	}
	return n == (ssize_t)sizeof(source->state) ? 0 : -EIO;
}

/* splitmix64: no value comes twice from one source, and that of another comes with the
 * chance of any 64-bit number. */
uint64_t token_fresh(struct token_source *source)
{
	uint64_t z;
	do {
		z = source->state += UINT64_C(0x9e3779b97f4a7c15);
		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		z ^= z >> 31;
	} while (z == 0);
	return z;
}

void token_write(uint64_t token, char *out)
{
	static const char digits[] = "0123456789abcdef";
	for (int i = TOKEN_LEN - 1; i >= 0; i--, token >>= 4) {
		out[i] = digits[token & 15];
	}
}

static bool read_digit(uint8_t c, unsigned *out)
{
	if (c >= '0' && c <= '9') {
		*out = c - (unsigned)'0';
		return true;
	}
	*out = c - (unsigned)'a' + 10;
	return c >= 'a' && c <= 'f';
}

bool token_parse(struct span text, uint64_t *out)
{
	uint64_t v = 0;
	if (text.n != TOKEN_LEN) {
		return false;
	}
	for (size_t i = 0; i < TOKEN_LEN; i++) {
		unsigned digit;
		if (!read_digit(text.p[i], &digit)) {
			return false;
		}
		v = v << 4 | digit;
	}
	*out = v;
	return v != 0;
}

void token_name_set(struct token_name *name, const char *prefix, const char *kind,
		    const uint64_t *numbers, size_t n)
{
	size_t prefix_len = strlen(prefix);
	size_t kind_len = strlen(kind);
	require(prefix_len <= TOKEN_MAX_PREFIX && kind_len <= 8 && n <= 2);
	memcpy(name->text, prefix, prefix_len);
	memcpy(name->text + prefix_len, kind, kind_len);
	name->n = prefix_len + kind_len;
	for (size_t i = 0; i < n; i++) {
		token_write(numbers[i], name->text + name->n);
		name->n += TOKEN_LEN;
	}
}
