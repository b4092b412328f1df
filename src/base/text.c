/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

struct text *text_new(struct span s)
{
	struct text *text = malloc(FLEX_SIZE(struct text, s, s.n + 1));
	if (text == NULL) {
		return NULL;
	}
	text->refs = 1;
	text->n = s.n;
	if (s.n > 0) {
		memcpy(text->s, s.p, s.n);
	}
	text->s[s.n] = 0;
	return text;
}

struct text *text_ref(struct text *text)
{
	if (text != NULL) {
		text->refs++;
	}
	return text;
}

void text_unref(struct text *text)
{
	if (text != NULL && --text->refs == 0) {
		free(text);
	}
}
