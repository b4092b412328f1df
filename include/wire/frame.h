#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Where one message ends and the next begins.  A frame may be looked at before its body
 * has arrived: the caller learns the type and the size, passes on what is there and
 * skips the rest as it comes.  Nothing is allocated and no length is believed before it
 * has been compared with a limit.  Inlined: it runs once for every message of every
 * result. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

#define FRAME_HEADER	5     /* type byte and length word */
#define STARTUP_MIN_LEN 8     /* length word of an untyped packet, itself included */
#define STARTUP_MAX_LEN 10000 /* PostgreSQL's limit */

enum frame_result {
	FRAME_OK,   /* the header is there; see complete */
	FRAME_NEED, /* fewer bytes than a header (startup: than a packet) */
	FRAME_BAD,  /* a length no message has, or one over the limit */
};

struct frame {
	uint8_t type;
	bool complete;	  /* the whole body is in */
	size_t size;	  /* bytes of the whole message, header included */
	struct span body; /* behind the header, as far as it has arrived */
};

static inline uint32_t frame_load_u32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

/* Looks at the message at the start of IN.  MAX_LEN is the greatest length word
 * allowed. OUT is written on FRAME_OK only; its body points into IN. */
static inline enum frame_result frame_next(struct span in, uint32_t max_len,
					   struct frame *out)
{
	if (in.n < FRAME_HEADER) {
		return FRAME_NEED;
	}
	uint32_t len = frame_load_u32(in.p + 1);
	if (UNLIKELY(len < 4 || len > max_len)) {
		return FRAME_BAD;
	}
	size_t body = len - 4;
	size_t left = in.n - FRAME_HEADER;
	out->type = in.p[0];
	out->complete = body <= left;
	out->size = body + FRAME_HEADER;
	out->body = span_make(in.p + FRAME_HEADER, body <= left ? body : left);
	return FRAME_OK;
}

/* The message with its header, as far as it has arrived. */
static inline struct span frame_bytes(const struct frame *frame)
{
	return span_make(frame->body.p - FRAME_HEADER, frame->body.n + FRAME_HEADER);
}

/* The untyped packet at the start of a connection.  PACKET is written on FRAME_OK only:
 * the bytes behind the length word; the packet took PACKET->n + 4 bytes of IN.  A wrong
 * length is told as soon as its four bytes are there. */
static inline enum frame_result frame_startup(struct span in, struct span *packet)
{
	if (in.n < 4) {
		return FRAME_NEED;
	}
	uint32_t len = frame_load_u32(in.p);
	if (len < STARTUP_MIN_LEN || len > STARTUP_MAX_LEN) {
		return FRAME_BAD;
	}
	if (in.n < len) {
		return FRAME_NEED;
	}
	*packet = span_make(in.p + 4, len - 4);
	return FRAME_OK;
}

/* Whether the peer begins with a TLS record instead of a packet. */
static inline bool frame_is_tls(struct span in)
{
	return in.n > 0 && in.p[0] == 0x16;
}
