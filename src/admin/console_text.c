/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "admin/console_text.h"

#include <stdbool.h>
#include <string.h>

enum argument {
	ARGUMENT_NONE,
	ARGUMENT_MAYBE,
	ARGUMENT_MUST,
	ARGUMENT_REST,
};

static const struct {
	const char *words;
	enum argument argument;
} console_rows[] = {
#define CONSOLE_COMMAND(id, words, argument, access, object, help) \
	{ words, ARGUMENT_##argument },
#include "tbl/console_commands.h"
#undef CONSOLE_COMMAND
};

static bool console_is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool console_is_word(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '$' || c >= 0x80;
}

/* Behind white space and comments. */
static struct span console_skip(struct span in)
{
	for (;;) {
		if (in.n > 0 && console_is_space(in.p[0])) {
			in = span_skip(in, 1);
		} else if (in.n >= 2 && in.p[0] == '-' && in.p[1] == '-') {
			const uint8_t *end = memchr(in.p, '\n', in.n);
			in = span_skip(in, end ? (size_t)(end - in.p) : in.n);
		} else if (in.n >= 2 && in.p[0] == '/' && in.p[1] == '*') {
			const uint8_t *end = memmem(in.p + 2, in.n - 2, "*/", 2);
			in = span_skip(in, end ? (size_t)(end + 2 - in.p) : in.n);
		} else {
			return in;
		}
	}
}

static struct span console_word(struct span *in)
{
	*in = console_skip(*in);
	size_t n = 0;
	while (n < in->n && console_is_word(in->p[n])) {
		n++;
	}
	struct span word = span_make(in->p, n);
	*in = span_skip(*in, n);
	return word;
}

/* Whether TEXT begins with WORDS; *REST is behind them. */
static bool console_begins(struct span text, const char *words, struct span *rest)
{
	*rest = text;
	while (*words != 0) {
		const char *end = strchr(words, ' ');
		size_t n = end ? (size_t)(end - words) : strlen(words);
		struct span word = console_word(rest);
		bool is_show = n == 4 && memcmp(words, "SHOW", 4) == 0 &&
			       span_ieq(word, SPAN_LIT("SELECT"));
		if (!is_show && !span_ieq(word, span_make(words, n))) {
			return false;
		}
		words += end ? n + 1 : n;
	}
	return true;
}

/* The command of most words. */
static bool console_find(struct span text, enum console_id *id, struct span *rest)
{
	size_t best = 0;
	for (size_t i = 0; i < ARRAY_LEN(console_rows); i++) {
		struct span behind;
		size_t n = strlen(console_rows[i].words);
		if (n > best && console_begins(text, console_rows[i].words, &behind)) {
			best = n;
			*id = (enum console_id)i;
			*rest = behind;
		}
	}
	return best > 0;
}

/* A name in quotes: a doubled quote stands for one. */
static bool console_quoted(struct span *in, struct console_text *out)
{
	uint8_t quote = in->p[0];
	size_t n = 0;
	struct span s = span_skip(*in, 1);
	for (;;) {
		if (s.n == 0 || n == CONSOLE_NAME_MAX) {
			return false;
		}
		if (s.p[0] == quote) {
			s = span_skip(s, 1);
			if (s.n == 0 || s.p[0] != quote) {
				break;
			}
		}
		out->argument[n++] = (char)s.p[0];
		s = span_skip(s, 1);
	}
	*in = s;
	return n > 0 && memchr(out->argument, 0, n) == NULL;
}

static void console_fold(struct span word, struct console_text *out)
{
	for (size_t i = 0; i < word.n; i++) {
		uint8_t c = word.p[i];
		out->argument[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
}

static bool console_argument(struct span *in, struct console_text *out)
{
	if (in->p[0] == '"' || in->p[0] == '\'') {
		return console_quoted(in, out);
	}
	struct span word = console_word(in);
	if (word.n == 0 || word.n > CONSOLE_NAME_MAX) {
		return false;
	}
	console_fold(word, out);
	return true;
}

static struct span console_no_semicolons(struct span in)
{
	in = console_skip(in);
	while (in.n > 0 && in.p[0] == ';') {
		in = console_skip(span_skip(in, 1));
	}
	return in;
}

int console_read(struct span text, struct console_text *out)
{
	struct span in = console_no_semicolons(text);
	*out = (struct console_text){ 0 };
	if (in.n == 0) {
		return CONSOLE_E_EMPTY;
	}
	struct span rest;
	if (!console_find(in, &out->id, &rest)) {
		return CONSOLE_E_UNKNOWN;
	}
	enum argument wanted = console_rows[out->id].argument;
	if (wanted == ARGUMENT_REST) {
		struct span word = console_word(&rest); /* the setting that SET names */
		if (word.n <= CONSOLE_NAME_MAX) {
			console_fold(word, out);
		}
		return 0;
	}
	rest = console_skip(rest);
	bool is_there = rest.n > 0 && rest.p[0] != ';';
	if (is_there && wanted == ARGUMENT_NONE) {
		/* SHOW with a word that is no row is unknown rather than too long */
		return out->id == CONSOLE_SHOW ? CONSOLE_E_UNKNOWN : CONSOLE_E_ARGUMENT;
	}
	if (is_there && !console_argument(&rest, out)) {
		return CONSOLE_E_ARGUMENT;
	}
	if (!is_there && wanted == ARGUMENT_MUST) {
		return CONSOLE_E_ARGUMENT;
	}
	return console_no_semicolons(rest).n > 0 ? CONSOLE_E_ARGUMENT : 0;
}
