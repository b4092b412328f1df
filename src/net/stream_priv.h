#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What stream.c, stream_write.c and stream_tls.c share.
 *
 *   plain  recv ──────────────> bytes()      pieces ──────────────> writev
 *   TLS    recv ── SSL_read ──> bytes()      pieces ── SSL_write ──> send
 *
 * OpenSSL never touches the socket: it reads from the bytes that were received and
 * writes into a buffer.  So it never waits for the socket (no WANT_WRITE, and WANT_READ
 * only when a record is incomplete), `out` holds what the wire is to get in both cases,
 * and everything that can be decrypted has been delivered when a turn ends: there is
 * nothing pending that needs another event. */

#include <sys/uio.h>

#include "base/check.h"
#include "base/span.h"
#include "net/stream.h"

#define GATHER_PIECES  24
#define GATHER_STAGING 192

struct piece {
	void *owner;
	void (*release)(void *owner); /* NULL: nobody to tell */
};

struct gather {
	unsigned n;
	unsigned staged; /* bytes of staging in use */
	struct iovec iov[GATHER_PIECES];
	struct piece piece[GATHER_PIECES];
	uint8_t staging[GATHER_STAGING];
};

/* Backstop of what waits for a blocked socket: the watermark stops the source long
 * before. */
#define STREAM_OUT_MAX ((size_t)64 << 20)

/* stream.c */

/* Tells the poll set what is wanted now. */
void stream_interest(struct stream *stream);
/* Where the next bytes are put, behind those held: in SHARED (*SIZE bytes), or in `in`
 * when it holds much.  *SIZE becomes the room there; NULL: over the limit. */
uint8_t *stream_room(struct stream *stream, uint8_t *shared, size_t *size);
/* Delivers the N bytes that were put at TO. */
void stream_put_in(struct stream *stream, uint8_t *to, size_t n);
/* Delivers what is held, or was received early, later in this turn. */
void stream_revisit(struct stream *stream);

/* stream_write.c */

/* Nothing can be sent any more: ended() follows. */
SELDOM void stream_break(struct stream *stream);
/* Sends what is gathered. */
void stream_flush(struct stream *stream);
/* Sends BYTES behind what is blocked; what the socket does not take is copied. */
void stream_transmit(struct stream *stream, struct span bytes);
/* The socket takes bytes again. */
void stream_writable(struct stream *stream);
/* Frees the pieces; GROUP keeps the rest for the next turn. */
void gather_release(struct stream_group *group, struct gather *gather);

/* stream_tls.c */

/* NULL is fine. */
void stream_crypt_free(struct stream_crypt *crypt);
/* Decrypts what has been received and delivers it. */
void stream_tls_input(struct stream *stream, struct span cipher);
/* The same with what was received before TLS began, or by libpq. */
void stream_tls_resume(struct stream *stream);
/* Encrypts the pieces and sends them. */
void stream_tls_send(struct stream *stream, const struct gather *gather);
/* Says goodbye when the SSL is ours, gives it back when it is libpq's. */
void stream_tls_fini(struct stream *stream);
