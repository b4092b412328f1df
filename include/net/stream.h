#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A connected socket, client's or server's.  Reading: into the loop's shared receive
 * buffer, handed to the owner in place; what the owner does not consume (part of a
 * message) is held in `in`, so an idle connection holds no buffer.  Writing: pieces are
 * gathered and leave in one writev when the callback that queued them is over; what the
 * socket does not take is copied into `out`, or kept where it lies in `late` when it is
 * large and owned, with high and low watermarks.
 *
 *   recv ─> [held | scratch] ─bytes()─> owner ─stream_put*()─> pieces ─writev─> peer
 *                                                      blocked │             ^
 *                                                              └─> out, late ┘
 *
 * With TLS the bytes are decrypted between recv() and bytes(), and encrypted between
 * the pieces and the socket; the owner sees no difference (src/net/stream_priv.h).
 *
 * Invariants: pieces are gathered only while nothing is blocked; otherwise they go to
 * `out`, or to `late` as soon as there is anything in it, because `late` comes behind.
 * A stream never calls its owner from inside a stream_ function. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/dlist.h"
#include "base/span.h"
#include "net/late.h"
#include "net/loop.h"

struct config;
struct gather;
struct stream;
struct stream_crypt;
struct stream_tls;
struct tls;
struct watch;

struct stream_events {
	/* New bytes, with those held before in front.  Returns how many were consumed;
	 * the rest is held.  May close the stream (then the result is ignored). */
	size_t (*bytes)(struct stream *stream, struct span in);
	/* `out` fell below the low watermark after having been above the high one;
	 * NULL: not wanted. */
	void (*drained)(struct stream *stream);
	/* The peer closed (0) or failed (-errno; -EPROTO: see stream_tls_error());
	 * bytes held were delivered before. */
	void (*ended)(struct stream *stream, int err);
	/* A peer that leaves ends a paused stream, too: what it had sent is lost.  Else
	 * nobody hears of it before stream_resume(), and its bytes come first. */
	bool ends_paused;
};

/* What the streams of one loop share; outlives them. */
struct stream_group {
	struct loop *loop;
	size_t hold_max; /* bytes of a partial message; over it the stream ends,
			    -EMSGSIZE */
	size_t out_high; /* stop reading the other side above this; bytes */
	size_t out_low;
	struct dlist dirty;   /* streams with gathered pieces */
	struct dlist resumed; /* streams to deliver held bytes to */
	struct loop_task task;
	struct gather *spare;	    /* owned; the last one that was sent, or NULL */
	struct stream_crypt *crypt; /* owned; NULL until one of them begins TLS */
};

struct stream {
	struct stream_group *group;
	const struct stream_events *events;
	struct watch *watch;	/* owned */
	struct stream_tls *tls; /* owned; NULL: plain */
	struct gather
	    *gather;	/* pieces of this turn; owned, NULL when there are none */
	struct buf in;	/* bytes held for the next call of bytes() */
	struct buf out; /* bytes the socket did not take; out_sent of them are gone */
	size_t out_sent;
	struct late late;    /* what comes behind `out` */
	uint64_t n_received; /* bytes on the wire, for the metrics */
	uint64_t n_sent;
	struct dlist dirty;   /* in group->dirty while gather != NULL */
	struct dlist resumed; /* in group->resumed after stream_resume() */
	int fd;		      /* owned; -1: closed */
	bool paused;	      /* bytes() is not called until stream_resume() */
	bool stopped;	      /* read interest is off */
	bool above;	      /* `out` went over the high watermark */
	bool broken;	      /* a write failed; ended() follows */
};

/* The streams of LOOP.  HOLD_MAX: bytes of a message that a stream holds at most;
 * OUT_HIGH: where `out` is too full. */
void stream_group_init(struct stream_group *group, struct loop *loop, size_t hold_max,
		       size_t out_high);
/* After the last of its streams was closed. */
void stream_group_fini(struct stream_group *group);
/* New limits; what is held already may stay. */
void stream_group_limit(struct stream_group *group, size_t hold_max, size_t out_high);
/* Sends what is gathered and delivers what is held for resumed streams; runs by itself
 * at the end of each turn. */
void stream_group_run(struct stream_group *group);

/* Takes FD (non-blocking) and begins to read.  -errno leaves FD with the caller. */
int stream_open(struct stream *stream, struct stream_group *group, int fd,
		const struct stream_events *events) MUST_CHECK;
/* Begins a TLS handshake as its server; with EARLY, the peer's bytes that have arrived
 * already (copied).  IS_DIRECT: without SSLRequest before, so the peer has to name the
 * protocol (ALPN).  What was put before is sent unencrypted; what is put before the
 * handshake is over is dropped.  bytes() then gets what is decrypted.  -ENOMEM: the
 * stream can only be closed. */
int stream_start_tls(struct stream *stream, struct tls *tls, struct span early,
		     bool is_direct) MUST_CHECK;
/* Goes on with SSL (OpenSSL's, connected), which stays its owner's; stream_detach()
 * gives it back.  -ENOMEM: the stream can only be closed. */
int stream_borrow_tls(struct stream *stream, void *ssl) MUST_CHECK;
/* Why TLS has failed, once ended() was told -EPROTO; else NULL. */
const char *stream_tls_error(const struct stream *stream);
/* Sets keepalive, and how long sent bytes may stay unacknowledged, as CONFIG says.  A
 * Unix socket ignores it, and does not need it. */
void stream_tune(struct stream *stream, const struct config *config);
/* Sends what the socket takes at once, drops the rest and closes the descriptor.  Safe
 * in any callback, and twice. */
void stream_close(struct stream *stream);
/* Takes the descriptor away from the stream without closing it.  Sends what the socket
 * takes at once; what it does not, and what is held, is lost: see stream_is_empty().
 * The stream may be opened again, but not before bytes() has returned. */
int stream_detach(struct stream *stream);

/* Queue bytes.  _static: valid for ever.  _borrow: valid until bytes() returns (they
 * lie in the span it was given).  Plain: copied now.  _owned: RELEASE(OWNER) is called
 * once when the bytes are no longer needed.  A write error shows up in ended(). */
void stream_put(struct stream *stream, struct span bytes);
void stream_put_static(struct stream *stream, struct span bytes);
void stream_put_borrow(struct stream *stream, struct span bytes);
void stream_put_owned(struct stream *stream, struct span bytes, void *owner,
		      void (*release)(void *owner));

/* Bytes queued and not yet taken by the kernel. */
size_t stream_queued(const struct stream *stream);
/* True while the other side should not be read for this one. */
static inline bool stream_is_full(const struct stream *stream)
{
	return stream->above;
}
/* Bytes that the socket did not take yet. */
static inline size_t stream_blocked(const struct stream *stream)
{
	return stream->out.len - stream->out_sent + stream->late.bytes;
}
/* True when the socket is not blocked. */
static inline bool stream_has_sent_all(const struct stream *stream)
{
	return stream->out.len == 0 && stream->late.bytes == 0;
}
/* True when nothing is held and nothing blocked: another loop may go on with it. */
static inline bool stream_is_empty(const struct stream *stream)
{
	return stream->in.len == 0 && stream_has_sent_all(stream);
}
/* No more calls of bytes(); the descriptor leaves the poll set when more arrives. */
void stream_pause(struct stream *stream);
/* Calls bytes() again with what is held, later in this turn, then goes on reading. */
void stream_resume(struct stream *stream);
static inline bool stream_is_open(const struct stream *stream)
{
	return stream->fd >= 0;
}
/* Peeks at an idle socket: true when the peer has closed it or sent bytes unasked. With
 * TLS these may be no more than a new ticket; nobody can tell, so they count. */
bool stream_is_stirred(const struct stream *stream);
