#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The extended protocol: Parse, Bind, Describe, Execute, Close, Flush, Sync.  A whole
 * unit (Parse, Bind, Describe of the portal, Execute) that has arrived together may be
 * a cache hit; everything else is forwarded message by message. */

#include <stddef.h>

#include "base/span.h"

struct client;
struct frame;

/* Steps: IN begins with the complete message FRAME.  They return the bytes consumed, 0
 * when the message must come again (the client waits, or more of its unit must arrive).
 */
size_t client_parse(struct client *client, struct span in, const struct frame *frame);
size_t client_bind_portal(struct client *client, struct span in,
			  const struct frame *frame);
size_t client_describe(struct client *client, struct span in,
		       const struct frame *frame);
size_t client_execute(struct client *client, struct span in, const struct frame *frame);
size_t client_close_target(struct client *client, struct span in,
			   const struct frame *frame);
size_t client_flush(struct client *client, struct span in, const struct frame *frame);
size_t client_sync(struct client *client, struct span in, const struct frame *frame);
