/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/base64.h"

#include <string.h>

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(struct span in, uint8_t *out)
{
	uint8_t *to = out;
	while (in.n > 0) {
		size_t take = in.n < 3 ? in.n : 3;
		uint8_t group[3] = { 0 };
		memcpy(group, in.p, take);
		uint32_t bits =
		    (uint32_t)group[0] << 16 | (uint32_t)group[1] << 8 | group[2];
		for (size_t i = 0; i < 4; i++) {
			uint8_t c = (uint8_t)base64_alphabet[bits >> (18 - 6 * i) & 63];
			*to++ = i <= take ? c : '=';
		}
		in = span_skip(in, take);
	}
	return (size_t)(to - out);
}

/* The six bits of a character, or -1. */
static int base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z') {
		return c - 'A';
	}
	if (c >= 'a' && c <= 'z') {
		return c - 'a' + 26;
	}
	if (c >= '0' && c <= '9') {
		return c - '0' + 52;
	}
	if (c == '+') {
		return 62;
	}
	return c == '/' ? 63 : -1;
}

/* One group of four characters to *N bytes (3, 2 or 1 by its padding); 1 when it is
 * none.
 */
static int base64_decode_group(const uint8_t text[4], uint8_t out[3], size_t *n)
{
	size_t chars = 4;
	while (chars > 2 && text[chars - 1] == '=') {
		chars--;
	}
	uint32_t bits = 0;
	for (size_t i = 0; i < 4; i++) {
		int value = i < chars ? base64_value(text[i]) : 0;
		if (value < 0) {
			return 1;
		}
		bits = bits << 6 | (uint32_t)value;
	}
	out[0] = (uint8_t)(bits >> 16);
	out[1] = (uint8_t)(bits >> 8);
	out[2] = (uint8_t)bits;
	*n = chars - 1;
	/* what the padding cuts off has to be zero, or two texts would mean the same */
	bool cut = (chars < 4 && out[2] != 0) || (chars < 3 && out[1] != 0);
	return cut ? 1 : 0;
}

int base64_decode(struct span text, uint8_t *out, size_t cap, size_t *n)
{
	*n = 0;
	if (text.n % 4 != 0) {
		return 1;
	}
	for (size_t i = 0; i < text.n; i += 4) {
		uint8_t group[3];
		size_t got;
		if (base64_decode_group(text.p + i, group, &got) != 0) {
			return 1;
		}
		/* a short group is the last one */
		if ((got < 3 && i + 4 != text.n) || got > cap - *n) {
			return 1;
		}
		memcpy(out + *n, group, got);
		*n += got;
	}
	return 0;
}
