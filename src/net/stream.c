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
	free(steal(&group->spare));
}

/* The read interest is on unless the stream is paused *and* more bytes came meanwhile:
 * a short pause costs no system call. */
void stream_interest(struct stream *stream)
{
	int events = !stream->stopped		   ? WATCH_READ
		     : stream->events->ends_paused ? WATCH_HANGUP
						   : 0;
	if (!stream_has_sent_all(stream)) {
		events |= WATCH_WRITE;
	}
	watch_set(stream->watch, events);
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
	uint8_t unread[4096];
	for (size_t n = 0; n < STREAM_SLACK / sizeof(unread); n++) {
		if (recv(fd, unread, sizeof(unread), MSG_DONTWAIT) <= 0) {
			break;
		}
	}
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
		gather_release(group, steal(&stream->gather));
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
