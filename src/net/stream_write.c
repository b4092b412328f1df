/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What a stream sends: gathered pieces, and what the socket did not take of them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/stream.h"
#include "stream_priv.h"

/* A blocked piece of at least this size is kept where it lies instead of copied. */
#define STREAM_LATE_MIN ((size_t)16 << 10)
/* Pieces of at most so many bytes together are copied into one. */
#define STREAM_JOIN_MAX 1024U

void stream_break(struct stream *stream)
{
	/* the poll set reports the dead socket; ended() is called from there */
	stream->broken = true;
	stream->stopped = false;
	shutdown(stream->fd, SHUT_RDWR);
	buf_reset(&stream->out);
	stream->out_sent = 0;
	late_fini(&stream->late);
	stream_interest(stream);
}

static void stream_mark(struct stream *stream)
{
	if (stream_blocked(stream) > stream->group->out_high) {
		stream->above = true;
	}
}

/* Keeps bytes the socket did not take.  The ceiling is a backstop far above the
 * watermark: the owner stops feeding when stream_is_full(). */
static void stream_keep(struct stream *stream, struct span bytes)
{
	bool ok;
	if (dlist_is_empty(&stream->late.list)) {
		buf_append_span(&stream->out, bytes);
		ok = buf_ok(&stream->out);
	} else {
		ok = bytes.n <= STREAM_OUT_MAX && late_add_copy(&stream->late, bytes);
	}
	if (!ok) {
		stream_break(stream);
		return;
	}
	stream_mark(stream);
}

/* The same with bytes that stay where they are; RELEASE is called in the end. */
static void stream_keep_owned(struct stream *stream, struct span bytes, void *owner,
			      void (*release)(void *owner))
{
	if (bytes.n < STREAM_LATE_MIN) {
		stream_keep(stream, bytes);
		release(owner);
	} else if (late_add_owned(&stream->late, bytes, owner, release)) {
		stream_mark(stream);
	} else {
		stream_break(stream);
		release(owner);
	}
}

void gather_release(struct stream_group *group, struct gather *gather)
{
	for (unsigned i = 0; i < gather->n; i++) {
		if (gather->piece[i].release != NULL) {
			gather->piece[i].release(gather->piece[i].owner);
		}
	}
	if (group->spare == NULL) {
		group->spare = gather;
	} else {
		free(gather);
	}
}

/* Keeps what writev left, from byte SENT on. */
SELDOM static void stream_keep_rest(struct stream *stream, struct gather *gather,
				    size_t sent)
{
	for (unsigned i = 0; i < gather->n && !stream->broken; i++) {
		const struct iovec *v = &gather->iov[i];
		if (sent >= v->iov_len) {
			sent -= v->iov_len;
			continue;
		}
		struct span rest =
		    span_make((const uint8_t *)v->iov_base + sent, v->iov_len - sent);
		struct piece *piece = &gather->piece[i];
		if (piece->release != NULL) {
			stream_keep_owned(stream, rest, piece->owner,
					  steal(&piece->release));
		} else {
			stream_keep(stream, rest);
		}
		sent = 0;
	}
	if (!stream->broken) {
		stream_interest(stream);
	}
}

/* Little is cheaper to copy into one run of bytes than to name in pieces, whose list
 * the kernel has to copy and check first. */
static ssize_t stream_send(struct stream *stream, const struct gather *gather,
			   size_t total)
{
	uint8_t joined[STREAM_JOIN_MAX];
	struct span bytes = span_make(gather->iov[0].iov_base, gather->iov[0].iov_len);
	if (gather->n > 1 && total <= sizeof(joined)) {
		size_t n = 0;
		for (unsigned i = 0; i < gather->n; i++) {
			const struct iovec *v = &gather->iov[i];
			memcpy(joined + n, v->iov_base, v->iov_len);
			n += v->iov_len;
		}
		bytes = span_make(joined, n);
	}
	if (bytes.n == total) {
		return send(stream->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
	}
	/* sendmsg() does not write through the pointers */
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)gather->iov,
			      .msg_iovlen = gather->n };
	return sendmsg(stream->fd, &msg, MSG_NOSIGNAL);
}

static void stream_send_pieces(struct stream *stream, struct gather *gather)
{
	size_t total = 0;
	for (unsigned i = 0; i < gather->n; i++) {
		total += gather->iov[i].iov_len;
	}
	ssize_t n;
	do {
		n = stream_send(stream, gather, total);
	} while (n < 0 && errno == EINTR);
	if (n >= 0) {
		stream->n_sent += (uint64_t)n;
		if ((size_t)n < total) {
			stream_keep_rest(stream, gather, (size_t)n);
		}
	} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
		stream_keep_rest(stream, gather, 0);
	} else {
		stream_break(stream);
	}
}

void stream_flush(struct stream *stream)
{
	struct gather *gather = steal(&stream->gather);
	dlist_remove(&stream->dirty);
	if (gather == NULL) {
		return;
	}
	if (stream->broken) {
		/* nobody reads it */
	} else if (UNLIKELY(stream->tls != NULL)) {
		stream_tls_send(stream, gather);
	} else {
		stream_send_pieces(stream, gather);
	}
	gather_release(stream->group, gather);
}

/* Bytes that the socket took now; 0: none, or the stream is broken. */
static size_t stream_try_send(struct stream *stream, struct span bytes)
{
	ssize_t n;
	do {
		n = send(stream->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
		stream_break(stream);
	}
	n = n < 0 ? 0 : n;
	stream->n_sent += (uint64_t)n;
	return (size_t)n;
}

void stream_transmit(struct stream *stream, struct span bytes)
{
	if (stream_has_sent_all(stream)) {
		bytes = span_skip(bytes, stream_try_send(stream, bytes));
	}
	if (bytes.n > 0 && !stream->broken) {
		stream_keep(stream, bytes);
	}
	if (!stream->broken) {
		stream_interest(stream);
	}
}

/* A free piece of this turn's gather; NULL when the bytes must go to `out` (the socket
 * is blocked) or nowhere (broken, no memory). */
static struct gather *stream_gather(struct stream *stream)
{
	if (stream->fd < 0 || stream->broken) {
		return NULL;
	}
	if (stream->gather != NULL && stream->gather->n == GATHER_PIECES) {
		stream_flush(stream);
	}
	/* encrypted bytes go behind what is blocked at the end of the turn, so that
	 * small pieces still become one record */
	if ((!stream_has_sent_all(stream) && stream->tls == NULL) || stream->broken) {
		return NULL;
	}
	if (stream->gather == NULL) {
		stream->gather = stream->group->spare != NULL
				     ? steal(&stream->group->spare)
				     : malloc(sizeof(*stream->gather));
		if (stream->gather == NULL) {
			stream_break(stream);
			return NULL;
		}
		stream->gather->n = 0;
		stream->gather->staged = 0;
		dlist_push_tail(&stream->group->dirty, &stream->dirty);
		loop_task_add(stream->group->loop, &stream->group->task);
	}
	return stream->gather;
}

static void gather_add(struct gather *gather, struct span bytes, void *owner,
		       void (*release)(void *))
{
	unsigned n = gather->n;
	if (n > 0 && release == NULL && gather->piece[n - 1].release == NULL) {
		struct iovec *last = &gather->iov[n - 1];
		if ((const uint8_t *)last->iov_base + last->iov_len == bytes.p) {
			last->iov_len += bytes.n;
			return;
		}
	}
	/* writev does not write through the pointer */
	gather->iov[n].iov_base = (void *)(uintptr_t)bytes.p;
	gather->iov[n].iov_len = bytes.n;
	gather->piece[n] = (struct piece){ owner, release };
	gather->n = n + 1;
}

/* Not gathered: either behind what is already blocked, or dropped with a dead socket.
 */
static void stream_put_late(struct stream *stream, struct span bytes)
{
	if (stream->fd >= 0 && !stream->broken) {
		stream_keep(stream, bytes);
	}
}

void stream_put_owned(struct stream *stream, struct span bytes, void *owner,
		      void (*release)(void *owner))
{
	struct gather *gather = stream_gather(stream);
	if (gather != NULL) {
		gather_add(gather, bytes, owner, release);
		if (bytes.n > stream->group->out_high) {
			stream_flush(stream); /* now it shows whether there is room */
		}
	} else if (stream->fd >= 0 && !stream->broken) {
		stream_keep_owned(stream, bytes, owner, release);
	} else {
		release(owner);
	}
}

void stream_put_borrow(struct stream *stream, struct span bytes)
{
	if (bytes.n == 0) {
		return;
	}
	struct gather *gather = stream_gather(stream);
	if (gather != NULL) {
		gather_add(gather, bytes, NULL, NULL);
	} else {
		stream_put_late(stream, bytes);
	}
}

void stream_put_static(struct stream *stream, struct span bytes)
{
	stream_put_borrow(stream, bytes);
}

void stream_put(struct stream *stream, struct span bytes)
{
	if (bytes.n == 0) {
		return;
	}
	struct gather *gather = stream_gather(stream);
	if (gather == NULL) {
		stream_put_late(stream, bytes);
		return;
	}
	if (bytes.n <= GATHER_STAGING - gather->staged) {
		uint8_t *to = gather->staging + gather->staged;
		memcpy(to, bytes.p, bytes.n);
		gather->staged += (unsigned)bytes.n;
		gather_add(gather, span_make(to, bytes.n), NULL, NULL);
		return;
	}
	uint8_t *copy = malloc(bytes.n);
	if (copy == NULL) {
		stream_break(stream);
		return;
	}
	memcpy(copy, bytes.p, bytes.n);
	gather_add(gather, span_make(copy, bytes.n), copy, free);
}

size_t stream_queued(const struct stream *stream)
{
	size_t n = stream_blocked(stream);
	for (unsigned i = 0; stream->gather != NULL && i < stream->gather->n; i++) {
		n += stream->gather->iov[i].iov_len;
	}
	return n;
}

/* Sends from `out` and then from `late`; true when all of it is gone. */
static bool stream_send_kept(struct stream *stream)
{
	while (stream->out.len > stream->out_sent) {
		size_t n = stream_try_send(
		    stream, span_skip(buf_span(&stream->out), stream->out_sent));
		if (n == 0) {
			return false;
		}
		stream->out_sent += n;
	}
	stream->out_sent = 0;
	buf_fini(&stream->out); /* an idle connection holds no buffer */
	while (stream->late.bytes > 0) {
		size_t n = stream_try_send(stream, late_head(&stream->late));
		if (n == 0) {
			return false;
		}
		late_sent(&stream->late, n);
	}
	return true;
}

void stream_writable(struct stream *stream)
{
	bool all = stream_send_kept(stream);
	if (stream->broken) {
		return;
	}
	if (!all && stream->out_sent > stream->out.len - stream->out_sent) {
		buf_consume(&stream->out, stream->out_sent);
		stream->out_sent = 0;
	}
	stream_interest(stream);
	if (stream->above && stream_blocked(stream) <= stream->group->out_low) {
		stream->above = false;
		if (stream->events->drained != NULL) {
			stream->events->drained(stream);
		}
	}
}
