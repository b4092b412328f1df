/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "sql/scan.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "scan_priv.h"

/* clang-format off */
const uint8_t scan_class[256] = {
	['\t'] = C_SPACE, ['\n'] = C_SPACE, ['\r'] = C_SPACE, ['\f'] = C_SPACE, [' '] = C_SPACE,
	['a' ... 'z'] = C_WORD, ['A' ... 'Z'] = C_WORD, ['_'] = C_WORD, [0x80 ... 0xff] = C_WORD,
	['0' ... '9'] = C_DIGIT,
	['\''] = C_QUOTE, ['"'] = C_DQUOTE, ['$'] = C_DOLLAR, ['.'] = C_DOT,
	['('] = C_SELF, [')'] = C_SELF, ['['] = C_SELF, [']'] = C_SELF, [','] = C_SELF,
	[';'] = C_SELF, [':'] = C_SELF,
	['~'] = C_OP, ['!'] = C_OP, ['@'] = C_OP, ['#'] = C_OP, ['^'] = C_OP, ['&'] = C_OP,
	['|'] = C_OP, ['`'] = C_OP, ['?'] = C_OP, ['+'] = C_OP, ['-'] = C_OP, ['*'] = C_OP,
	['/'] = C_OP, ['%'] = C_OP, ['<'] = C_OP, ['>'] = C_OP, ['='] = C_OP,
};
/* clang-format on */

void scan_init(struct scan *scan, size_t max_text)
{
	require(scan != NULL);
	*scan = (struct scan){ 0 };
	buf_init(&scan->shape, max_text * 3 + 1);
}

void scan_fini(struct scan *scan)
{
	buf_fini(&scan->shape);
}

static void scan_count(struct walk *w)
{
	w->levels[w->n_levels].tokens++;
}

static uint32_t scan_level_depth(const struct level *l)
{
	uint32_t now = l->tokens + l->inner;
	return now > l->most ? now : l->most;
}

const uint8_t *scan_line_end(const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p != '\n' && *p != '\r') {
		p++;
	}
	return p;
}

/* Statements whose plan depends on the value of a constant. */
static bool scan_needs_values(struct span word)
{
	static const struct span words[] = {
		SPAN_LIT("set"),      SPAN_LIT("prepare"), SPAN_LIT("commit"),
		SPAN_LIT("rollback"), SPAN_LIT("end"),	   SPAN_LIT("abort"),
		SPAN_LIT("reset"),    SPAN_LIT("start"),   SPAN_LIT("begin"),
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (span_ieq(word, words[i])) {
			return true;
		}
	}
	return false;
}

/* The prefix of a string that begins at the walk, as its length; 0: none. */
static size_t scan_prefix(const struct walk *w, enum scan_kind *kind)
{
	size_t left = (size_t)(w->end - w->p);
	if (left >= 2 && w->p[1] == '\'') {
		switch (w->p[0] | 0x20) {
		case 'e':
			*kind = SCAN_ESCAPE;
			return 1;
		case 'b':
			*kind = SCAN_BITS;
			return 1;
		case 'x':
			*kind = SCAN_HEX;
			return 1;
		case 'n':
			*kind = SCAN_NATIONAL;
			return 1;
		default:
			return 0;
		}
	}
	if (left >= 3 && (w->p[0] | 0x20) == 'u' && w->p[1] == '&' && w->p[2] == '\'') {
		*kind = SCAN_UNICODE;
		return 2;
	}
	return 0;
}

static int scan_quoted_name(struct walk *w, const uint8_t *start)
{
	const uint8_t *body = w->p + 1;
	const uint8_t *p = body;
	for (;;) {
		const uint8_t *q = memchr(p, '"', (size_t)(w->end - p));
		if (q == NULL) {
			return SCAN_E_BAD;
		}
		p = q + 1;
		if (p < w->end && *p == '"') {
			p++;
			continue;
		}
		if (span_ieq(span_make(body, (size_t)(q - body)),
			     SPAN_LIT("set_config"))) {
			w->scan->exact = true;
		}
		w->p = p;
		scan_emit(w, start, (size_t)(p - start));
		w->value_next = false;
		w->after_dot = false;
		return 0;
	}
}

static int scan_word(struct walk *w)
{
	enum scan_kind kind;
	size_t prefix = scan_prefix(w, &kind);
	if (prefix > 0) {
		return scan_quoted(w, prefix, kind);
	}
	const uint8_t *start = w->p;
	if (w->end - start >= 3 && (start[0] | 0x20) == 'u' && start[1] == '&' &&
	    start[2] == '"') {
		/* Its meaning depends on the constant behind UESCAPE. */
		w->scan->exact = true;
		w->p += 2;
		return scan_quoted_name(w, start);
	}
	while (w->p < w->end && scan_is_word(*w->p)) {
		w->p++;
	}
	struct span word = span_make(start, (size_t)(w->p - start));
	if (!w->in_statement ? scan_needs_values(word)
			     : span_ieq(word, SPAN_LIT("set_config"))) {
		w->scan->exact = true;
	}
	if (!w->after_dot) {
		scan_count(w);
	}
	scan_emit(w, start, word.n);
	w->value_next = false;
	w->after_dot = false;
	return 0;
}

/* The inside of a comment; a hint is pgrecall( ... ) behind the plus sign. */
static void scan_hint(struct walk *w, const uint8_t *p, const uint8_t *end)
{
	static const struct span name = SPAN_LIT("pgrecall");
	if (p >= end || *p != '+') {
		return;
	}
	p++;
	while (p < end && scan_class[*p] == C_SPACE) {
		p++;
	}
	if ((size_t)(end - p) <= name.n || memcmp(p, name.p, name.n) != 0) {
		return;
	}
	p += name.n;
	const uint8_t *close = memchr(p, ')', (size_t)(end - p));
	if (*p == '(' && close != NULL) {
		w->scan->hint = span_make(p + 1, (size_t)(close - p - 1));
	}
}

/* The walk is at a slash and a star; comments nest. */
static int scan_comment(struct walk *w)
{
	const uint8_t *start = w->p + 2;
	const uint8_t *p = start;
	size_t open = 1;
	while (w->end - p >= 2) {
		if (p[0] == '*' && p[1] == '/') {
			p += 2;
			if (--open == 0) {
				scan_hint(w, start, p - 2);
				w->p = p;
				w->space = true;
				return 0;
			}
		} else if (p[0] == '/' && p[1] == '*') {
			open++;
			p += 2;
		} else {
			p++;
		}
	}
	return SCAN_E_BAD;
}

/* An operator's length by PostgreSQL's rules: comments end it, and a sign at its end
 * belongs to what follows unless one of ~ ! @ # ^ & | ` ? % is in it. */
static size_t scan_operator_length(const uint8_t *p, const uint8_t *end)
{
	size_t n = 0;
	bool special = false;
	while (p + n < end && scan_class[p[n]] == C_OP) {
		if (n > 0 && p + n + 1 < end &&
		    ((p[n] == '-' && p[n + 1] == '-') ||
		     (p[n] == '/' && p[n + 1] == '*'))) {
			break;
		}
		special = special || memchr("~!@#^&|`?%", p[n], 10) != NULL;
		n++;
	}
	while (!special && n > 1 && (p[n - 1] == '+' || p[n - 1] == '-')) {
		n--;
	}
	return n;
}

static int scan_operator(struct walk *w)
{
	const uint8_t *p = w->p;
	if (w->end - p >= 2 && p[0] == '-' && p[1] == '-') {
		w->p = scan_line_end(p, w->end);
		w->space = true;
		return 0;
	}
	if (w->end - p >= 2 && p[0] == '/' && p[1] == '*') {
		return scan_comment(w);
	}
	size_t n = scan_operator_length(p, w->end);
	if (n == 1 && *p == '-' && w->value_next && w->end - p > 1 &&
	    scan_class[p[1]] == C_DIGIT) {
		w->p++;
		scan_number(w, p);
		return 0;
	}
	w->p += n;
	scan_count(w);
	scan_emit(w, p, n);
	w->value_next = n == 1 && *p == '=';
	w->after_dot = false;
	return 0;
}

static int scan_open(struct walk *w, uint8_t c)
{
	scan_count(w);
	if (w->n_levels + 1 >= SCAN_MAX_PARENS) {
		return SCAN_E_DEEP;
	}
	w->levels[++w->n_levels] = (struct level){ .open = c };
	return 0;
}

static int scan_close(struct walk *w, uint8_t c)
{
	if (w->n_levels == 0 || w->levels[w->n_levels].open != (c == ')' ? '(' : '[')) {
		return SCAN_E_BAD;
	}
	uint32_t depth = scan_level_depth(&w->levels[w->n_levels]);
	struct level *outer = &w->levels[--w->n_levels];
	if (depth > outer->inner) {
		outer->inner = depth;
	}
	return depth > SCAN_MAX_DEPTH ? SCAN_E_DEEP : 0;
}

/* A comma or semicolon: what comes next is not under what was before. */
static int scan_next_element(struct walk *w)
{
	struct level *l = &w->levels[w->n_levels];
	l->most = scan_level_depth(l);
	l->tokens = 0;
	l->inner = 0;
	return l->most > SCAN_MAX_DEPTH ? SCAN_E_DEEP : 0;
}

static int scan_self(struct walk *w)
{
	const uint8_t *p = w->p++;
	int r = 0;
	switch (*p) {
	case '(':
	case '[':
		r = scan_open(w, *p);
		break;
	case ')':
	case ']':
		r = scan_close(w, *p);
		break;
	case ',':
	case ';':
		r = scan_next_element(w);
		break;
	default: /* : and :: and := */
		scan_count(w);
		break;
	}
	if (*p == ';' && !w->in_statement) {
		/* An empty statement: no token of its own. */
		w->scan->shape.data[w->scan->shape.len++] = ';';
		return r;
	}
	scan_emit(w, p, 1);
	w->value_next = *p == '(' || *p == ',';
	w->after_dot = false;
	if (*p == ';' && w->n_levels == 0) {
		w->in_statement = false;
	}
	return r;
}

static int scan_token(struct walk *w)
{
	switch (scan_class[*w->p]) {
	case C_SPACE:
		w->space = true;
		w->p++;
		return 0;
	case C_WORD:
		return scan_word(w);
	case C_DIGIT:
		scan_number(w, w->p);
		return 0;
	case C_QUOTE:
		return scan_quoted(w, 0, SCAN_STRING);
	case C_DQUOTE:
		return scan_quoted_name(w, w->p);
	case C_DOLLAR:
		return scan_dollar(w);
	case C_OP:
		return scan_operator(w);
	case C_SELF:
		return scan_self(w);
	case C_DOT:
		if (w->end - w->p > 1 && scan_class[w->p[1]] == C_DIGIT) {
			scan_number(w, w->p);
			return 0;
		}
		scan_emit(w, w->p++, 1);
		w->value_next = false;
		w->after_dot = true;
		return 0;
	default:
		return SCAN_E_BAD;
	}
}

int scan_text(struct scan *scan, struct span text)
{
	require(scan != NULL);
	buf_reset(&scan->shape);
	/* A token gives at most its own length, two for a constant, and a space. */
	if (buf_reserve(&scan->shape, text.n * 3 + 1) == NULL) {
		return -ENOMEM;
	}
	scan->n_consts = scan->n_seen = 0;
	scan->hint = span_make(NULL, 0);
	scan->n_statements = scan->max_param = 0;
	scan->exact = scan->has_strings = false;

	struct walk w;
	w.scan = scan;
	w.p = text.p;
	w.end = text.n == 0 ? text.p : text.p + text.n;
	w.space = w.value_next = w.after_dot = w.in_statement = false;
	w.n_levels = 0;
	w.levels[0] = (struct level){ 0 };
	while (w.p < w.end) {
		int r = scan_token(&w);
		if (r != 0) {
			return r;
		}
	}
	if (w.n_levels != 0) {
		return SCAN_E_BAD;
	}
	if (scan_level_depth(&w.levels[0]) > SCAN_MAX_DEPTH) {
		return SCAN_E_DEEP;
	}
	return 0;
}
