/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "net/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/config.h"
#include "net/watch.h"
#include "stream_priv.h"

/* Over the largest message that is kept whole there must be room for one receive. */
#define STREAM_SLACK ((size_t)1 << 20)
/* Backstop of what waits for a blocked socket: the watermark stops the source long
 * before. */
#define STREAM_OUT_MAX ((size_t)64 << 20)
/* A blocked piece of at least this size is kept where it lies instead of copied. */
#define STREAM_LATE_MIN ((size_t)16 << 10)

static void stream_group_task(struct loop_task *task)
{
	stream_group_run(container_of(task, struct stream_group, task));
}

void stream_group_limit(struct stream_group *group, size_t hold_max, size_t out_high)
{
	require(out_high > 0);
	group->hold_max = hold_max;
	group->out_high = out_high;
	group->out_low = out_high / 4;
}

void stream_group_init(struct stream_group *group, struct loop *loop, size_t hold_max,
		       size_t out_high)
{
	require(group != NULL && loop != NULL);
	*group = (struct stream_group){
		.loop = loop,
	};
	stream_group_limit(group, hold_max, out_high);
	dlist_init(&group->dirty);
	dlist_init(&group->resumed);
	loop_task_init(&group->task, stream_group_task);
}

void stream_group_fini(struct stream_group *group)
{
	stream_crypt_free(steal(&group->crypt));
}

/* The read interest is on unless the stream is paused *and* more bytes came meanwhile:
 * a short pause costs no system call. */
static void stream_interest(struct stream *stream)
{
	int events = !stream->stopped		   ? WATCH_READ
		     : stream->events->ends_paused ? WATCH_HANGUP
						   : 0;
	if (!stream_has_sent_all(stream)) {
		events |= WATCH_WRITE;
	}
	watch_set(stream->watch, events);
}

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

static void gather_release(struct gather *gather)
{
	for (unsigned i = 0; i < gather->n; i++) {
		if (gather->piece[i].release != NULL) {
			gather->piece[i].release(gather->piece[i].owner);
		}
	}
	free(gather);
}

/* Keeps what writev left, from byte SENT on. */
static void stream_keep_rest(struct stream *stream, struct gather *gather, size_t sent)
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

static ssize_t stream_send(struct stream *stream, struct gather *gather)
{
	if (gather->n == 1) {
		return send(stream->fd, gather->iov[0].iov_base, gather->iov[0].iov_len,
			    MSG_NOSIGNAL);
	}
	struct msghdr msg = { .msg_iov = gather->iov, .msg_iovlen = gather->n };
	return sendmsg(stream->fd, &msg, MSG_NOSIGNAL);
}

static void stream_send_pieces(struct stream *stream, struct gather *gather)
{
	ssize_t n;
	do {
		n = stream_send(stream, gather);
	} while (n < 0 && errno == EINTR);
	size_t total = 0;
	for (unsigned i = 0; i < gather->n; i++) {
		total += gather->iov[i].iov_len;
	}
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
	gather_release(gather);
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
	if (stream->out.len == 0) {
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
		stream->gather = malloc(sizeof(*stream->gather));
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

static void stream_writable(struct stream *stream)
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

/* Delivers IN and keeps what was not consumed.  IN lies in the scratch buffer, or in
 * `in` itself. */
static void stream_deliver(struct stream *stream, struct span in, bool in_held)
{
	struct stream_group *group = stream->group;
	size_t used = stream->events->bytes(stream, in);
	/* before the span is overwritten: others may have borrowed from it */
	while (!dlist_is_empty(&group->dirty)) {
		stream_flush(container_of(group->dirty.next, struct stream, dirty));
	}
	if (stream->fd < 0) {
		return;
	}
	require(used <= in.n);
	if (in_held) {
		buf_consume(&stream->in, used);
		if (stream->in.len == 0) {
			buf_fini(&stream->in);
		}
		return;
	}
	buf_reset(&stream->in);
	if (used == in.n) {
		if (stream->in.data != NULL) {
			buf_fini(&stream->in);
		}
		return;
	}
	buf_append(&stream->in, in.p + used, in.n - used);
	if (!buf_ok(&stream->in)) {
		stream->events->ended(stream, -EMSGSIZE);
	}
}

uint8_t *stream_room(struct stream *stream, uint8_t *shared, size_t *size)
{
	size_t hold_max = stream->group->hold_max + STREAM_SLACK;
	if (stream->in.max < hold_max) {
		stream->in.max = hold_max; /* raised by a reload */
	}
	size_t held = stream->in.len;
	if (held > *size / 2) {
		return buf_reserve(&stream->in, *size);
	}
	if (held > 0) {
		memcpy(shared, stream->in.data, held);
	}
	*size -= held;
	return shared + held;
}

void stream_put_in(struct stream *stream, uint8_t *to, size_t n)
{
	size_t held = stream->in.len;
	if (held > 0 && to == stream->in.data + held) {
		stream->in.len += n;
		stream_deliver(stream, buf_span(&stream->in), true);
	} else {
		stream_deliver(stream, span_make(to - held, held + n), false);
	}
}

static void stream_readable(struct stream *stream)
{
	if (stream->broken) { /* paused or not: nobody would ever resume it */
		stream->events->ended(stream, -EPIPE);
		return;
	}
	if (stream->paused) {
		stream->stopped = true;
		stream_interest(stream);
		return;
	}
	size_t size;
	uint8_t *shared = loop_scratch(stream->group->loop, &size);
	uint8_t *to = shared;
	if (LIKELY(stream->tls == NULL)) {
		to = stream_room(stream, shared, &size);
		if (to == NULL) {
			stream->events->ended(stream, -EMSGSIZE);
			return;
		}
	}
	ssize_t n = recv(stream->fd, to, size, 0);
	if (n > 0) {
		stream->n_received += (uint64_t)n;
		if (LIKELY(stream->tls == NULL)) {
			stream_put_in(stream, to, (size_t)n);
		} else {
			stream_tls_input(stream, span_make(to, (size_t)n));
		}
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
		return;
	}
	stream->events->ended(stream, n < 0 ? -errno : 0);
}

static void stream_on_watch(void *arg, int events, int err)
{
	struct stream *stream = arg;
	if (err < 0) {
		stream->events->ended(stream, err);
		return;
	}
	if (events & WATCH_WRITE) {
		stream_writable(stream);
	}
	if ((events & WATCH_READ) && stream->fd >= 0) {
		stream_readable(stream);
	}
	if ((events & WATCH_HANGUP) && stream->fd >= 0 && stream->paused) {
		stream->events->ended(stream, 0);
	}
}

static void stream_redeliver(struct stream *stream)
{
	if (stream->fd < 0 || stream->paused) {
		return;
	}
	if (stream->in.len > 0) {
		stream_deliver(stream, buf_span(&stream->in), true);
	}
	if (stream->fd >= 0 && stream->tls != NULL && !stream->paused) {
		stream_tls_resume(stream);
	}
	if (stream->fd >= 0 && stream->stopped && !stream->paused) {
		stream->stopped = false;
		stream_interest(stream);
	}
}

void stream_group_run(struct stream_group *group)
{
	while (!dlist_is_empty(&group->dirty) || !dlist_is_empty(&group->resumed)) {
		while (!dlist_is_empty(&group->dirty)) {
			stream_flush(
			    container_of(group->dirty.next, struct stream, dirty));
		}
		struct dlist *l = dlist_pop_head(&group->resumed);
		if (l != NULL) {
			stream_redeliver(container_of(l, struct stream, resumed));
		}
	}
}

int stream_open(struct stream *stream, struct stream_group *group, int fd,
		const struct stream_events *events)
{
	require(stream != NULL && group != NULL && fd >= 0 && events != NULL);
	*stream = (struct stream){ .group = group, .events = events, .fd = fd };
	dlist_init(&stream->dirty);
	dlist_init(&stream->resumed);
	buf_init(&stream->in, group->hold_max + STREAM_SLACK);
	buf_init(&stream->out, STREAM_OUT_MAX);
	late_init(&stream->late);
	int r = watch_new(group->loop, fd, stream_on_watch, stream, &stream->watch);
	if (r < 0) {
		stream->fd = -1;
		return r;
	}
	watch_set(stream->watch, WATCH_READ);
	return 0;
}

static void stream_set_tcp(struct stream *stream, int name, uint64_t value)
{
	int v = (int)value;
	if (v > 0) {
		(void)setsockopt(stream->fd, IPPROTO_TCP, name, &v, sizeof(v));
	}
}

void stream_tune(struct stream *stream, const struct config *config)
{
	require(stream->fd >= 0);
	int on = config->tcp_keepalive ? 1 : 0;
	(void)setsockopt(stream->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	/* seconds, and at least one */
	stream_set_tcp(stream, TCP_KEEPIDLE, (config->tcp_keepidle_ms + 999) / 1000);
	stream_set_tcp(stream, TCP_KEEPINTVL, (config->tcp_keepintvl_ms + 999) / 1000);
	stream_set_tcp(stream, TCP_KEEPCNT, config->tcp_keepcnt);
	stream_set_tcp(stream, TCP_USER_TIMEOUT, config->tcp_user_timeout_ms);
}

void stream_close(struct stream *stream)
{
	if (stream->fd < 0) {
		return;
	}
	int fd = stream_detach(stream);
	/* what the peer has sent and nobody will read would make the kernel answer with
	 * a reset, which may overtake the last words (T-95) */
	(void)recv(fd, NULL, STREAM_SLACK, MSG_TRUNC | MSG_DONTWAIT);
	close(fd);
}

int stream_detach(struct stream *stream)
{
	require(stream->fd >= 0);
	/* pieces of other streams may have been borrowed from what is held here */
	struct stream_group *group = stream->group;
	while (!dlist_is_empty(&group->dirty)) {
		stream_flush(container_of(group->dirty.next, struct stream, dirty));
	}
	if (stream->tls != NULL) {
		stream_tls_fini(stream);
	}
	int fd = stream->fd;
	stream->fd = -1;
	watch_close(steal(&stream->watch));
	if (stream->gather != NULL) {
		gather_release(steal(&stream->gather));
	}
	dlist_remove(&stream->dirty);
	dlist_remove(&stream->resumed);
	buf_fini(&stream->in);
	buf_fini(&stream->out);
	stream->out_sent = 0;
	late_fini(&stream->late);
	return fd;
}

void stream_pause(struct stream *stream)
{
	stream->paused = true;
	dlist_remove(&stream->resumed);
}

void stream_resume(struct stream *stream)
{
	if (!stream->paused || stream->fd < 0) {
		return;
	}
	stream->paused = false;
	stream_revisit(stream);
}

void stream_revisit(struct stream *stream)
{
	dlist_remove(&stream->resumed);
	dlist_push_tail(&stream->group->resumed, &stream->resumed);
	loop_task_add(stream->group->loop, &stream->group->task);
}

bool stream_is_stirred(const struct stream *stream)
{
	uint8_t byte;
	ssize_t n = recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}
