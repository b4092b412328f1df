#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A connected socket, client's or server's.  Reading: into the loop's shared receive
 * buffer, handed to the owner in place; what the owner does not consume (part of a
 * message) is held in `in`, so an idle connection holds no buffer.  Writing: pieces are
 * gathered and leave in one writev at the end of the turn; what the socket does not take is
 * copied into `out` and leaves when it can, with high and low watermarks.
 *
 *   recv ──> [held | scratch] ──bytes()──> owner ──stream_put*()──> pieces ──writev──> peer
 *                                                          └─ blocked ──> out ──┘
 *
 * Invariant: pieces are gathered only while `out` is empty; otherwise they go to `out`. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/dlist.h"
#include "base/span.h"
#include "net/loop.h"

struct gather;
struct stream;
struct watch;

struct stream_events {
	/* New bytes, with those held before in front.  Returns how many were consumed; the
	 * rest is held.  May close the stream (then the result is ignored). */
	size_t (*bytes)(struct stream *stream, struct span in);
	/* `out` fell below the low watermark after having been above the high one. */
	void (*drained)(struct stream *stream);
	/* The peer closed (0) or failed (-errno); bytes held were delivered before. */
	void (*ended)(struct stream *stream, int err);
};

struct stream_limits {
	size_t hold_max; /* bytes of a partial message */
	size_t out_high; /* stop reading the other side above this */
	size_t out_low;
};

struct stream {
	struct loop *loop;
	const struct stream_events *events;
	const struct stream_limits *limits; /* outlives the stream */
	struct watch *watch;   /* owned */
	struct gather *gather; /* pieces of this turn; borrowed from the loop's spare ones */
	struct buf in;         /* bytes held for the next call of bytes() */
	struct buf out;        /* bytes the socket did not take; out_sent of them are gone */
	size_t out_sent;
	uint64_t n_received; /* bytes, for the metrics */
	uint64_t n_sent;
	struct loop_task flush;
	int fd;         /* owned; -1: closed */
	int err;        /* a write failed: -errno, reported by ended() */
	bool paused;    /* bytes() is not called until stream_resume() */
	bool in_bytes;  /* bytes() is running */
	bool above;     /* `out` went over the high watermark */
	bool eof;       /* the peer has closed its half */
};

/* Takes FD (non-blocking) and begins to read.  -errno leaves FD with the caller. */
int stream_open(struct stream *stream, struct loop *loop, int fd,
		const struct stream_events *events,
		const struct stream_limits *limits) MUST_CHECK;
/* Drops what is queued and closes the descriptor.  Safe in any callback, and twice. */
void stream_close(struct stream *stream);
/* Takes the descriptor away from the stream without closing it, for another loop; nothing
 * may be held or queued. */
int stream_detach(struct stream *stream);

/* Queue bytes.  _static: valid for ever.  _borrow: valid until the end of this turn's
 * flush (they lie in the scratch buffer).  Plain: copied now.  _owned: RELEASE(OWNER) is
 * called once when the bytes are no longer needed.  A write error shows up in ended(). */
void stream_put(struct stream *stream, struct span bytes);
void stream_put_static(struct stream *stream, struct span bytes);
void stream_put_borrow(struct stream *stream, struct span bytes);
void stream_put_owned(struct stream *stream, struct span bytes, void *owner,
		      void (*release)(void *owner));
/* Sends what is gathered now; normally left to the end of the turn. */
void stream_flush(struct stream *stream);

/* Bytes queued and not yet taken by the kernel. */
size_t stream_queued(const struct stream *stream);
/* No more calls of bytes(); reading stops when more arrives. */
void stream_pause(struct stream *stream);
/* Calls bytes() again with what is held, then goes on reading. */
void stream_resume(struct stream *stream);
/* True while the stream is usable. */
static inline bool stream_is_open(const struct stream *stream)
{
	return stream->fd >= 0;
}
/* Peeks at an idle socket: true when the peer has closed it or sent bytes unasked. */
bool stream_is_stirred(const struct stream *stream);
