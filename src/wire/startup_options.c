/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The `options` of a startup packet: words as pg_split_opts() makes them, settings as
 * PostgreSQL's command line reads them.  The header is wire/startup.h. */

#include "wire/frame.h"
#include "wire/reader.h"
#include "wire/startup.h"

static bool options_is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Copies the next word without its escapes to WORD, which has room for all that is
 * left; false at the end. */
static bool options_next_word(struct reader *r, uint8_t *word, size_t *n)
{
	while (r->left > 0 && options_is_space(r->next[0])) {
		(void)reader_u8(r);
	}
	if (r->left == 0) {
		return false;
	}
	*n = 0;
	while (r->left > 0 && !options_is_space(r->next[0])) {
		uint8_t c = reader_u8(r);
		if (c == '\\' && r->left > 0) {
			c = reader_u8(r);
		} else if (c == '\\') {
			break; /* a lone one at the end is dropped */
		}
		word[(*n)++] = c;
	}
	return true;
}

/* `name=value`; without `=` the word goes out as it is, under no name. */
static int options_give(uint8_t *setting, size_t n, struct span word,
			startup_option_fn *fn, void *arg)
{
	uint8_t *equal = n == 0 ? NULL : memchr(setting, '=', n);
	if (equal == NULL || equal == setting) {
		return fn(arg, span_make(NULL, 0), word);
	}
	for (uint8_t *c = setting; c < equal; c++) {
		if (*c == '-') {
			*c = '_';
		}
	}
	size_t name = (size_t)(equal - setting);
	return fn(arg, span_make(setting, name), span_make(equal + 1, n - name - 1));
}

int startup_split_options(struct span options, startup_option_fn *fn, void *arg)
{
	if (options.n > STARTUP_MAX_LEN) {
		return STARTUP_E_MALFORMED;
	}
	uint8_t word[STARTUP_MAX_LEN] = { 0 };
	size_t n;
	struct reader r = reader_make(options);
	while (options_next_word(&r, word, &n)) {
		int e;
		if (n == 2 && memcmp(word, "-c", 2) == 0) {
			if (!options_next_word(&r, word, &n)) {
				return fn(arg, span_make(NULL, 0), SPAN_LIT("-c"));
			}
			e = options_give(word, n, span_make(word, n), fn, arg);
		} else if (n > 2 &&
			   (memcmp(word, "-c", 2) == 0 || memcmp(word, "--", 2) == 0)) {
			e = options_give(word + 2, n - 2, span_make(word, n), fn, arg);
		} else {
			e = fn(arg, span_make(NULL, 0), span_make(word, n));
		}
		if (e != 0) {
			return e;
		}
	}
	return 0;
}
