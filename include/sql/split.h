#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Where the statements of one text end. */

#include <stddef.h>

#include "base/check.h"
#include "base/span.h"

enum {
	SPLIT_E_OTHER = 1, /* not a text of so many statements */
};

/* TEXT has N statements, as its plan says (plan->n_parts), N > 1: sets ENDS[i] to the
 * place behind the semicolon of the i-th, in bytes, and the last one's to the end of
 * the text.  0, SPLIT_E_OTHER, or -ENOMEM. */
int split_text(struct span text, size_t n, size_t *ends) MUST_CHECK;
