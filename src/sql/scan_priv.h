#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the files of sql/scan share: scan.c (words, operators, structure) and
 * scan_constants.c (strings, numbers, parameters). */

#include <string.h>

#include "sql/scan.h"

/* What a byte may begin outside quotes. */
enum {
	C_BAD, /* control bytes, backslash, a closing brace... */
	C_SPACE,
	C_WORD,
	C_DIGIT,
	C_QUOTE,
	C_DQUOTE,
	C_DOLLAR,
	C_OP,
	C_SELF,
	C_DOT,
};

extern const uint8_t scan_class[256];

/* One level of parentheses: how deep the tree under it may be. */
struct level {
	uint32_t tokens; /* since the last comma */
	uint32_t inner;	 /* deepest group closed since the last comma */
	uint32_t most;	 /* deepest element before the last comma */
	uint8_t open;	 /* '(' or '[' */
};

/* A scan on its way. */
struct walk {
	struct scan *scan;
	const uint8_t *p;
	const uint8_t *end;
	bool space;	 /* white space since the last token */
	bool value_next; /* the last token was ( , or = */
	bool after_dot;
	bool in_statement; /* a token was seen since the last semicolon */
	uint32_t n_levels;
	struct level levels[SCAN_MAX_PARENS];
};

static inline bool scan_is_word(uint8_t c)
{
	return scan_class[c] == C_WORD || scan_class[c] == C_DIGIT || c == '$';
}

/* Puts a token into the shape, which has room for it: see scan_text(). */
static inline void scan_emit(struct walk *w, const void *p, size_t n)
{
	struct buf *shape = &w->scan->shape;
	uint8_t *to = shape->data + shape->len;
	if (w->space && shape->len > 0) {
		*to++ = ' ';
	}
	w->space = false;
	memcpy(to, p, n);
	shape->len = (size_t)(to + n - shape->data);
	if (!w->in_statement) {
		w->in_statement = true;
		w->scan->n_statements++;
	}
}

/* Behind a "--": the end of the line, or of the text. */
const uint8_t *scan_line_end(const uint8_t *p, const uint8_t *end);

/* scan_constants.c.  Each takes one token at the walk; 0, or SCAN_E_BAD. */

/* A quoted constant; PREFIX bytes (E, U& and so on) come before its quote. */
int scan_quoted(struct walk *w, size_t prefix, enum scan_kind kind);
/* $tag$ ... $tag$, or a parameter. */
int scan_dollar(struct walk *w);
/* 12  1_000  0x1F  1.5  .5  5.  1e-3; a sign at START is part of it. */
void scan_number(struct walk *w, const uint8_t *start);
