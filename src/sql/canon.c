/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * A value has a canonical form only when every way to write it is certain to give the
 * same one.  In doubt there is none:
 * - text that is not ASCII, because its bytes depend on the session's client_encoding;
 * - text that ends in a space, because varchar(n) cuts spaces that are too many;
 * - numbers that newer releases read and older ones do not (0x1F, 1_000). */

#include "sql/canon.h"

#include <ctype.h>
#include <endian.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"

#define CANON_MAX_TEXT 1024 /* bytes of a text that may be a key */

/* pg_type.oid of parameters that are of a column's own family. */
enum {
	OID_BOOL = 16,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_TEXT = 25,
	OID_UNKNOWN = 705,
	OID_VARCHAR = 1043,
	OID_UUID = 2950,
};

static void canon_hash(enum canon canon, const void *p, size_t n, uint64_t *out)
{
	*out = XXH3_64bits_withSeed(p, n, (XXH64_hash_t)canon);
}

static struct span canon_trim(struct span s)
{
	while (s.n > 0 && isspace(s.p[0])) {
		s = span_skip(s, 1);
	}
	while (s.n > 0 && isspace(s.p[s.n - 1])) {
		s.n--;
	}
	return s;
}

static bool canon_hash_int(int64_t v, uint64_t *out)
{
	uint64_t wire = htobe64((uint64_t)v);
	canon_hash(CANON_INT, &wire, sizeof(wire), out);
	return true;
}

static bool canon_int(struct span s, uint64_t *out)
{
	s = canon_trim(s);
	bool negative = s.n > 0 && s.p[0] == '-';
	if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
		s = span_skip(s, 1);
	}
	if (s.n == 0) {
		return false;
	}
	int64_t v = 0; /* kept negative: there is one more of these */
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9') {
			return false;
		}
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_sub_overflow(v, s.p[i] - '0', &v)) {
			return false;
		}
	}
	if (!negative && v == INT64_MIN) {
		return false;
	}
	return canon_hash_int(negative ? v : -v, out);
}

static int canon_hex(uint8_t c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As uuid_in: braces around, and a hyphen after any group of four digits. */
static bool canon_uuid(struct span s, uint64_t *out)
{
	uint8_t uuid[16];
	if (s.n >= 2 && s.p[0] == '{') {
		if (s.p[s.n - 1] != '}') {
			return false;
		}
		s = span_make(s.p + 1, s.n - 2);
	}
	size_t at = 0;
	for (size_t i = 0; i < sizeof(uuid); i++) {
		if (s.n - at < 2 || canon_hex(s.p[at]) < 0 ||
		    canon_hex(s.p[at + 1]) < 0) {
			return false;
		}
		uuid[i] = (uint8_t)(canon_hex(s.p[at]) * 16 + canon_hex(s.p[at + 1]));
		at += 2;
		if (at < s.n && s.p[at] == '-' && i % 2 == 1 && i < sizeof(uuid) - 1) {
			at++;
		}
	}
	if (at != s.n) {
		return false;
	}
	canon_hash(CANON_UUID, uuid, sizeof(uuid), out);
	return true;
}

static bool canon_is_prefix(struct span s, const char *word, size_t least)
{
	return s.n >= least && s.n <= strlen(word) &&
	       strncasecmp((const char *)s.p, word, s.n) == 0;
}

static bool canon_bool(struct span s, uint64_t *out)
{
	s = canon_trim(s);
	uint8_t v;
	if (canon_is_prefix(s, "true", 1) || canon_is_prefix(s, "yes", 1) ||
	    canon_is_prefix(s, "on", 2) || canon_is_prefix(s, "1", 1)) {
		v = 1;
	} else if (canon_is_prefix(s, "false", 1) || canon_is_prefix(s, "no", 1) ||
		   canon_is_prefix(s, "off", 2) || canon_is_prefix(s, "0", 1)) {
		v = 0;
	} else {
		return false;
	}
	canon_hash(CANON_BOOL, &v, sizeof(v), out);
	return true;
}

static bool canon_text(struct span s, uint64_t *out)
{
	if (s.n > CANON_MAX_TEXT || (s.n > 0 && s.p[s.n - 1] == ' ')) {
		return false;
	}
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] >= 0x80 || s.p[i] == 0) {
			return false;
		}
	}
	canon_hash(CANON_TEXT, s.n > 0 ? s.p : (const uint8_t *)"", s.n, out);
	return true;
}

/* The value's text, out of whatever it was wrapped in. */
static bool canon_value(enum canon canon, struct span s, uint64_t *out)
{
	switch (canon) {
	case CANON_INT:
		return canon_int(s, out);
	case CANON_UUID:
		return canon_uuid(s, out);
	case CANON_BOOL:
		return canon_bool(s, out);
	case CANON_TEXT:
		return canon_text(s, out);
	case CANON_NONE:
		break;
	}
	return false;
}

/* One byte of E'' behind a backslash; false: a number, which we leave alone. */
static bool canon_escape(uint8_t c, uint8_t *out)
{
	switch (c) {
	case 'b':
		*out = '\b';
		return true;
	case 'f':
		*out = '\f';
		return true;
	case 'n':
		*out = '\n';
		return true;
	case 'r':
		*out = '\r';
		return true;
	case 't':
		*out = '\t';
		return true;
	default:
		*out = c;
		return c < 0x80 && !isalnum(c);
	}
}

/* What is between the quotes of '...' or, with ESCAPES, of E'...'.  A quote that is not
 * doubled is the seam of a string in several pieces: not ours. */
static bool canon_unquote(struct span body, bool escapes, uint8_t *out, size_t *n_out)
{
	size_t n = 0;
	for (size_t i = 0; i < body.n; i++) {
		if (n >= CANON_MAX_TEXT) {
			return false;
		}
		uint8_t c = body.p[i];
		if (c == '\'') {
			if (++i >= body.n || body.p[i] != '\'') {
				return false;
			}
		} else if (c == '\\' && escapes) {
			if (++i >= body.n || !canon_escape(body.p[i], &c)) {
				return false;
			}
		}
		out[n++] = c;
	}
	*n_out = n;
	return true;
}

static bool canon_hash_dollar(enum canon canon, struct span raw, uint64_t *out)
{
	const uint8_t *end = memchr(raw.p + 1, '$', raw.n - 1);
	size_t tag = end == NULL ? raw.n : (size_t)(end + 1 - raw.p);
	if (tag > raw.n / 2) {
		return false;
	}
	return canon_value(canon, span_make(raw.p + tag, raw.n - 2 * tag), out);
}

bool canon_hash_const(enum canon canon, struct span raw, uint64_t *out)
{
	require(out != NULL);
	uint8_t text[CANON_MAX_TEXT];
	size_t n;
	bool escapes = raw.n > 0 && (raw.p[0] == 'e' || raw.p[0] == 'E');
	struct span quoted = escapes ? span_skip(raw, 1) : raw;
	if (quoted.n >= 2 && quoted.p[0] == '\'' && quoted.p[quoted.n - 1] == '\'') {
		return canon_unquote(span_make(quoted.p + 1, quoted.n - 2), escapes,
				     text, &n) &&
		       canon_value(canon, span_make(text, n), out);
	}
	if (raw.n >= 4 && raw.p[0] == '$') {
		return canon_hash_dollar(canon, raw, out);
	}
	/* A bare word or number. */
	if (canon == CANON_BOOL) {
		return (span_ieq(raw, SPAN_LIT("true")) ||
			span_ieq(raw, SPAN_LIT("false"))) &&
		       canon_bool(raw, out);
	}
	return canon == CANON_INT && canon_int(raw, out);
}

/* Binary integers; without a declared type the length tells which. */
static bool canon_binary_int(struct span v, uint32_t oid, uint64_t *out)
{
	size_t size = oid == OID_INT2	? 2
		      : oid == OID_INT4 ? 4
		      : oid == OID_INT8 ? 8
					: v.n;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;
	if (v.n != size) {
		return false;
	}
	switch (v.n) {
	case sizeof(v16):
		memcpy(&v16, v.p, sizeof(v16));
		return canon_hash_int((int16_t)be16toh(v16), out);
	case sizeof(v32):
		memcpy(&v32, v.p, sizeof(v32));
		return canon_hash_int((int32_t)be32toh(v32), out);
	case sizeof(v64):
		memcpy(&v64, v.p, sizeof(v64));
		return canon_hash_int((int64_t)be64toh(v64), out);
	default:
		return false;
	}
}

static bool canon_is_own_type(enum canon canon, uint32_t oid)
{
	if (oid == 0 || oid == OID_UNKNOWN) {
		return true;
	}
	switch (canon) {
	case CANON_INT:
		return oid == OID_INT2 || oid == OID_INT4 || oid == OID_INT8;
	case CANON_UUID:
		return oid == OID_UUID;
	case CANON_BOOL:
		return oid == OID_BOOL;
	case CANON_TEXT:
		return oid == OID_TEXT || oid == OID_VARCHAR;
	case CANON_NONE:
		break;
	}
	return false;
}

bool canon_hash_param(enum canon canon, struct span value, int format, uint32_t oid,
		      uint64_t *out)
{
	require(out != NULL);
	if (!canon_is_own_type(canon, oid)) {
		return false;
	}
	if (format == 0) {
		return canon_value(canon, value, out);
	}
	switch (canon) {
	case CANON_INT:
		return oid != OID_UNKNOWN && canon_binary_int(value, oid, out);
	case CANON_UUID:
		if (value.n != 16) {
			return false;
		}
		canon_hash(canon, value.p, value.n, out);
		return true;
	case CANON_BOOL:
		if (value.n != 1 || value.p[0] > 1) {
			return false;
		}
		canon_hash(canon, value.p, value.n, out);
		return true;
	case CANON_TEXT:
		return canon_text(value, out);
	case CANON_NONE:
		break;
	}
	return false;
}

static bool canon_is_letter(uint8_t c)
{
	return (uint8_t)((c | 0x20) - 'a') < 26;
}

/* One of the words at I, with no letter before or behind. */
static bool canon_now_at(struct span v, size_t i)
{
	static const char *const words[] = { "now", "today", "tomorrow", "yesterday" };
	if (i > 0 && canon_is_letter(v.p[i - 1])) {
		return false;
	}
	for (size_t k = 0; k < ARRAY_LEN(words); k++) {
		size_t n = strlen(words[k]);
		if (v.n - i >= n &&
		    strncasecmp((const char *)v.p + i, words[k], n) == 0 &&
		    (v.n - i == n || !canon_is_letter(v.p[i + n]))) {
			return true;
		}
	}
	return false;
}

/* A constant as written whose letters may be spelt as escapes or cut in pieces. */
static bool canon_is_veiled(struct span v)
{
	if (v.n < 2) {
		return false;
	}
	bool unicode =
	    v.n > 3 && (v.p[0] | 0x20) == 'u' && v.p[1] == '&' && v.p[2] == '\'';
	bool escape = (v.p[0] | 0x20) == 'e' && v.p[1] == '\'';
	if ((unicode || escape) && memchr(v.p, '\\', v.n) != NULL) {
		return true;
	}
	if (v.p[0] != '\'' && !unicode && !escape) {
		return false;
	}
	if (unicode) {
		return true; /* UESCAPE may make any letter the escape */
	}
	const uint8_t *end = v.p + v.n - 1; /* where the closing quote should be */
	const uint8_t *p = v.p + (escape ? 2 : 1);
	while (p < end && (p = memchr(p, '\'', (size_t)(end - p))) != NULL) {
		if (p[1] != '\'') {
			return true;
		}
		p += 2;
	}
	return false;
}

/* All four words have a w or a y in them; a long vector of numbers has none.  The
 * compiler makes this loop look at many bytes at once. */
static bool canon_has_w_or_y(struct span v)
{
	uint8_t found = 0;
	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = v.p[i] | 0x20;
		found |= (uint8_t)((c == 'w') | (c == 'y'));
	}
	return found != 0;
}

bool canon_may_be_now(struct span value)
{
	size_t n = canon_has_w_or_y(value) ? value.n : 0;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = value.p[i] | 0x20;
		if ((c == 'n' || c == 't' || c == 'y') && canon_now_at(value, i)) {
			return true;
		}
	}
	return canon_is_veiled(value);
}
