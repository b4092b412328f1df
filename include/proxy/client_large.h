#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Messages of the extended protocol that are too large to be kept whole: only the
 * beginning is there, and the rest passes as it arrives. */

#include <stddef.h>

#include "base/span.h"

struct client;
struct frame;

/* A step, as those of proxy/client_extended.h. */
size_t client_large_extended(struct client *client, struct span in,
			     const struct frame *frame);
