#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A text of the client's with statements of ours between its own: which answers are
 * ours, and where in its text an error is.  PostgreSQL answers each statement of a text
 * with one CommandComplete, in order. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "upstream/owed.h"

struct added_place {
	uint32_t part; /* behind this statement of the client's, from 0 */
	uint32_t n;    /* statements of ours, at least one */
	uint32_t at;   /* characters of the client's text before them */
	uint32_t len;  /* characters of ours */
};

/* One block; owed_item_fini() frees it. */
struct added {
	uint32_t next; /* place that the answers have not come to */
	uint32_t left; /* statements of ours that are answered next */
	uint32_t n;
	struct added_place places[];
};

/* What the server sends now for ITEM is not the client's: we asked. */
static inline bool added_swallows(const struct owed *item)
{
	return (item->flags & OWED_SWALLOW) ||
	       (item->added != NULL && item->added->left > 0);
}

/* The statement at hand is answered; N_DONE of the client's are then. */
void added_answered(struct added *added, uint32_t n_done);
/* An error or notice (TYPE E or N) with BODY tells a place in the text as it was sent:
 * appends the message with the place in the client's own.  False: it is right as it is,
 * and nothing was appended. */
bool added_correct(const struct added *added, uint8_t type, struct span body,
		   struct buf *out);
