/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/config_value.h"

#include "base/buf.h"

/* A unit and how many thousandths of the base unit it is worth: microseconds, or a
 * thousandth of a byte, so that one integer routine does both. */
struct value_unit {
	const char *name;
	uint64_t milli;
};

static const struct value_unit duration_units[] = {
	{ "us", 1 },
	{ "ms", 1000 },
	{ "s", UINT64_C(1000) * 1000 },
	{ "sec", UINT64_C(1000) * 1000 },
	{ "min", UINT64_C(60) * 1000 * 1000 },
	{ "h", UINT64_C(3600) * 1000 * 1000 },
	{ "d", UINT64_C(86400) * 1000 * 1000 },
};

static const struct value_unit size_units[] = {
	{ "B", 1000 },
	{ "kB", UINT64_C(1000) << 10 },
	{ "MB", UINT64_C(1000) << 20 },
	{ "GB", UINT64_C(1000) << 30 },
	{ "KiB", UINT64_C(1000) << 10 },
	{ "MiB", UINT64_C(1000) << 20 },
	{ "GiB", UINT64_C(1000) << 30 },
};

bool config_parse_bool(struct span s, bool *out)
{
	static const char *const on[] = { "1", "on", "true", "yes", "t", "y" };
	static const char *const off[] = { "0", "off", "false", "no", "f", "n" };
	for (size_t i = 0; i < ARRAY_LEN(on); i++) {
		if (span_ieq(s, span_str(on[i])) || span_ieq(s, span_str(off[i]))) {
			*out = span_ieq(s, span_str(on[i]));
			return true;
		}
	}
	return false;
}

static int value_digit(uint8_t c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

static bool value_parse_base(struct span s, unsigned base, uint64_t *out)
{
	uint64_t v = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)value_digit(s.p[i]);
		if (digit >= base || __builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, digit, &v)) {
			return false;
		}
	}
	*out = v;
	return s.n > 0;
}

bool config_parse_uint(struct span s, uint64_t *out)
{
	return value_parse_base(s, 10, out);
}

bool config_parse_octal(struct span s, uint64_t *out)
{
	return value_parse_base(s, 8, out);
}

bool config_parse_hex(struct span s, uint64_t *out)
{
	if (s.n > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x') {
		s = span_skip(s, 2);
	}
	return s.n <= 16 && value_parse_base(s, 16, out);
}

/* Takes `12.5` off the begin of *S: digits before the dot in *WHOLE, and up to nine
 * behind it as billionths in *NANO. */
static bool value_take_number(struct span *s, uint64_t *whole, uint64_t *nano)
{
	size_t n = 0;
	while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') {
		n++;
	}
	if (!config_parse_uint(span_make(s->p, n), whole)) {
		return false;
	}
	*s = span_skip(*s, n);
	*nano = 0;
	if (s->n > 0 && s->p[0] == '.') {
		uint64_t place = 100000000;
		*s = span_skip(*s, 1);
		if (s->n == 0 || value_digit(s->p[0]) > 9) {
			return false;
		}
		while (s->n > 0 && value_digit(s->p[0]) <= 9) {
			*nano += place * (uint64_t)value_digit(s->p[0]);
			place /= 10;
			*s = span_skip(*s, 1);
		}
	}
	return true;
}

/* (WHOLE + NANO / 1e9) units of MILLI, in whole base units, rounded up. */
static bool value_scale(uint64_t whole, uint64_t nano, uint64_t milli, uint64_t *out)
{
	uint64_t v;
	if (__builtin_mul_overflow(whole, milli, &v)) {
		return false;
	}
	/* milli is below 2^41 and nano below 2^30 */
	uint64_t fraction =
	    (uint64_t)(((unsigned __int128)nano * milli + 999999999U) / 1000000000U);
	if (__builtin_add_overflow(v, fraction, &v)) {
		return false;
	}
	*out = v / 1000 + (v % 1000 != 0);
	return true;
}

static bool value_parse_units(struct span s, const struct value_unit *units,
			      size_t n_units, uint64_t bare_milli, uint64_t *out)
{
	uint64_t whole;
	uint64_t nano;
	if (!value_take_number(&s, &whole, &nano)) {
		return false;
	}
	while (s.n > 0 && s.p[0] == ' ') {
		s = span_skip(s, 1);
	}
	if (s.n == 0) {
		return value_scale(whole, nano, bare_milli, out);
	}
	for (size_t i = 0; i < n_units; i++) {
		if (span_ieq(s, span_str(units[i].name))) {
			return value_scale(whole, nano, units[i].milli, out);
		}
	}
	return false;
}

bool config_parse_duration(struct span s, uint64_t unit_ms, uint64_t *ms_out)
{
	require(unit_ms > 0);
	return value_parse_units(s, duration_units, ARRAY_LEN(duration_units),
				 unit_ms * 1000, ms_out);
}

bool config_parse_size(struct span s, uint64_t *bytes_out)
{
	return value_parse_units(s, size_units, ARRAY_LEN(size_units), 1000, bytes_out);
}

void config_format_duration(uint64_t ms, struct buf *out)
{
	static const struct value_unit units[] = {
		{ "d", 86400000 }, { "h", 3600000 }, { "min", 60000 }, { "s", 1000 }
	};
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (ms > 0 && ms % units[i].milli == 0) {
			buf_printf(out, "%llu%s",
				   (unsigned long long)(ms / units[i].milli),
				   units[i].name);
			return;
		}
	}
	buf_printf(out, ms == 0 ? "%llu" : "%llums", (unsigned long long)ms);
}

void config_format_size(uint64_t bytes, struct buf *out)
{
	static const char *const names[] = { "GB", "MB", "kB" };
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		unsigned shift = 30 - 10 * i;
		if (bytes > 0 && (bytes & ((UINT64_C(1) << shift) - 1)) == 0) {
			buf_printf(out, "%llu%s", (unsigned long long)(bytes >> shift),
				   names[i]);
			return;
		}
	}
	buf_printf(out, "%llu", (unsigned long long)bytes);
}
