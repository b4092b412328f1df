/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <string.h>

#include "scan_priv.h"

/* A constant from START to where the walk is. */
static void scan_constant(struct walk *w, const uint8_t *start, enum scan_kind kind)
{
	struct scan *scan = w->scan;
	if (scan->n_consts < SCAN_MAX_CONSTS) {
		scan->consts[scan->n_consts++].raw =
		    span_make(start, (size_t)(w->p - start));
	}
	scan->n_seen++;
	uint8_t mark[2] = { SCAN_MARK, (uint8_t)kind };
	scan_emit(w, mark, sizeof(mark));
	w->value_next = false;
	w->after_dot = false;
}

/* After a closing quote: PostgreSQL joins strings that have only white space with at
 * least one newline, or line comments, between them.  Moves to behind the next opening
 * quote. */
static bool scan_string_goes_on(struct walk *w)
{
	bool newline = false;
	const uint8_t *p = w->p;
	while (p < w->end) {
		if (*p == '\n' || *p == '\r') {
			newline = true;
			p++;
		} else if (scan_class[*p] == C_SPACE) {
			p++;
		} else if (w->end - p >= 2 && p[0] == '-' && p[1] == '-') {
			p = scan_line_end(p, w->end);
		} else {
			break;
		}
	}
	if (!newline || p >= w->end || *p != '\'') {
		return false;
	}
	w->p = p + 1;
	return true;
}

/* The walk is behind the opening quote; moves behind the last closing one. */
static int scan_plain_string(struct walk *w)
{
	for (;;) {
		const uint8_t *q = memchr(w->p, '\'', (size_t)(w->end - w->p));
		if (q == NULL) {
			return SCAN_E_BAD;
		}
		w->p = q + 1;
		if (w->p < w->end && *w->p == '\'') {
			w->p++;
		} else if (!scan_string_goes_on(w)) {
			return 0;
		}
	}
}

/* The same for E'': a backslash takes the next byte with it. */
static int scan_escape_string(struct walk *w)
{
	const uint8_t *q = NULL;
	for (;;) {
		if (q == NULL || q < w->p) {
			q = memchr(w->p, '\'', (size_t)(w->end - w->p));
		}
		if (q == NULL) {
			return SCAN_E_BAD;
		}
		const uint8_t *b = memchr(w->p, '\\', (size_t)(q - w->p));
		if (b != NULL) {
			if (w->end - b < 2) {
				return SCAN_E_BAD;
			}
			w->p = b + 2;
			continue;
		}
		w->p = q + 1;
		if (w->p < w->end && *w->p == '\'') {
			w->p++;
		} else if (!scan_string_goes_on(w)) {
			return 0;
		}
	}
}

/* A quoted constant; PREFIX bytes (E, U& and so on) come before its quote. */
int scan_quoted(struct walk *w, size_t prefix, enum scan_kind kind)
{
	const uint8_t *start = w->p;
	w->p += prefix + 1;
	int r = kind == SCAN_ESCAPE ? scan_escape_string(w) : scan_plain_string(w);
	if (r == 0) {
		w->scan->has_strings = true;
		scan_constant(w, start, kind);
	}
	return r;
}

/* A $n parameter: goes into the shape as it stands. */
static int scan_param(struct walk *w)
{
	const uint8_t *start = w->p++;
	uint32_t n = 0;
	while (w->p < w->end && scan_class[*w->p] == C_DIGIT) {
		n = n * 10 + (uint32_t)(*w->p++ - '0');
		if (n > SCAN_MAX_PARAM) {
			return SCAN_E_BAD;
		}
	}
	if (w->p < w->end && scan_is_word(*w->p)) {
		return SCAN_E_BAD; /* $1a: releases differ */
	}
	if (n > w->scan->max_param) {
		w->scan->max_param = n;
	}
	scan_emit(w, start, (size_t)(w->p - start));
	w->value_next = false;
	w->after_dot = false;
	return 0;
}

/* $tag$ ... $tag$, or a parameter. */
int scan_dollar(struct walk *w)
{
	const uint8_t *tag_end = w->p + 1;
	if (tag_end < w->end && scan_class[*tag_end] == C_DIGIT) {
		return scan_param(w);
	}
	while (tag_end < w->end && *tag_end != '$' && scan_is_word(*tag_end)) {
		tag_end++;
	}
	if (tag_end >= w->end || *tag_end != '$') {
		return SCAN_E_BAD;
	}
	const uint8_t *start = w->p;
	size_t tag_len = (size_t)(tag_end + 1 - start);
	const uint8_t *p = tag_end + 1;
	while (p < w->end) {
		const uint8_t *q = memchr(p, '$', (size_t)(w->end - p));
		if (q == NULL || (size_t)(w->end - q) < tag_len) {
			break;
		}
		if (memcmp(q, start, tag_len) == 0) {
			w->p = q + tag_len;
			w->scan->has_strings = true;
			scan_constant(w, start, SCAN_DOLLAR);
			return 0;
		}
		p = q + 1;
	}
	return SCAN_E_BAD;
}

static const uint8_t *scan_digits(const uint8_t *p, const uint8_t *end)
{
	while (p < end && (scan_class[*p] == C_DIGIT ||
			   (*p == '_' && end - p > 1 && scan_class[p[1]] == C_DIGIT))) {
		p++;
	}
	return p;
}

/* Behind an exponent, or P itself when there is none. */
static const uint8_t *scan_exponent(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *e = p;
	if (end - e > 1 && (*e == 'e' || *e == 'E')) {
		e++;
		if (end - e > 1 && (*e == '+' || *e == '-')) {
			e++;
		}
		if (scan_class[*e] == C_DIGIT) {
			return scan_digits(e, end);
		}
	}
	return p;
}

/* 12  1_000  0x1F  1.5  .5  5.  1e-3; what follows is not looked at.  A sign at START
 * is part of it.  Spellings that only newer releases know have a kind of their own,
 * because the library and the server may disagree about them. */
void scan_number(struct walk *w, const uint8_t *start)
{
	const uint8_t *p = w->p;
	bool negative = start < p;
	enum scan_kind kind = negative ? SCAN_NEGATIVE : SCAN_INTEGER;
	if (w->end - p > 2 && p[0] == '0' && memchr("xXoObB", p[1], 6) != NULL) {
		kind = SCAN_RADIX;
		p += 2;
		while (p < w->end && *p != '$' && scan_is_word(*p)) {
			p++;
		}
	} else {
		p = scan_digits(p, w->end);
		const uint8_t *whole = p;
		/* 1..10 is an integer and two dots. */
		if (p < w->end && *p == '.' && !(w->end - p > 1 && p[1] == '.')) {
			p = scan_digits(p + 1, w->end);
		}
		p = scan_exponent(p, w->end);
		if (p != whole) {
			kind = negative ? SCAN_NEGATIVE_FLOAT : SCAN_FLOAT;
		}
		if (memchr(w->p, '_', (size_t)(p - w->p)) != NULL) {
			kind = SCAN_RADIX;
		}
	}
	w->p = p;
	scan_constant(w, start, kind);
}
