#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What waits for a socket that takes no more, in order: large pieces where they lie
 * (so that many slow readers of one cached answer share it), small ones copied. */

#include <stdbool.h>
#include <stddef.h>

#include "base/dlist.h"
#include "base/span.h"

struct late {
	struct dlist list;
	size_t bytes; /* not sent yet */
};

/* Empty; allocates nothing. */
void late_init(struct late *late);
/* Releases what is left. */
void late_fini(struct late *late);
/* BYTES stay where they are until RELEASE(OWNER).  False without memory: not taken. */
bool late_add_owned(struct late *late, struct span bytes, void *owner,
		    void (*release)(void *owner));
/* The same with a copy of them. */
bool late_add_copy(struct late *late, struct span bytes);
/* The bytes to send next; empty when there are none. */
struct span late_head(const struct late *late);
/* The first N bytes of late_head() have been sent. */
void late_sent(struct late *late, size_t n);
