#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A piece of text with several owners, of one thread. */

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct text {
	uint32_t refs;
	size_t n;
	char s[]; /* zero-terminated */
};

/* A copy of S with one reference.  NULL without memory. */
struct text *text_new(struct span s);
/* Another reference; NULL is fine. */
struct text *text_ref(struct text *text);
/* Frees it with the last reference; NULL is fine. */
void text_unref(struct text *text);
