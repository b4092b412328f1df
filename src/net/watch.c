/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "net/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#include "net/loop.h"

_Static_assert(WATCH_READ == UV_READABLE && WATCH_WRITE == UV_WRITABLE &&
		   WATCH_HANGUP == UV_DISCONNECT,
	       "the bits are passed through");

struct watch {
	uv_poll_t poll;
	struct loop *loop;
	watch_fn fn;
	void *arg;
	int events; /* the interest libuv knows */
};

int watch_new(struct loop *loop, int fd, watch_fn fn, void *arg, struct watch **out)
{
	require(loop != NULL && fd >= 0 && fn != NULL && out != NULL);
	struct watch *watch = calloc(1, sizeof(*watch));
	if (watch == NULL) {
		return -ENOMEM;
	}
	watch->loop = loop;
	watch->fn = fn;
	watch->arg = arg;
	int err = uv_poll_init(loop_uv(loop), &watch->poll, fd);
	if (err < 0) {
		free(watch);
		return err;
	}
	*out = watch;
	return 0;
}

/* On an error condition of the socket libuv stops polling and names no cause.  The
 * owner sees the events it asked for, so that its next recv() or send() finds the real
 * errno. */
static void watch_on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = container_of(poll, struct watch, poll);
	if (status < 0) {
		events = watch->events;
		watch->events = 0;
	}
	struct loop *loop = watch->loop; /* who is called may close the watch */
	loop_event_begin(loop);
	watch->fn(watch->arg, events, status);
	loop_event_end(loop);
}

void watch_set(struct watch *watch, int events)
{
	require(watch != NULL &&
		(events & ~(WATCH_READ | WATCH_WRITE | WATCH_HANGUP)) == 0);
	if (watch->events == events) {
		return;
	}
	watch->events = events;
	int err = events == 0 ? uv_poll_stop(&watch->poll)
			      : uv_poll_start(&watch->poll, events, watch_on_poll);
	require(err == 0);
}

static void watch_on_closed(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)(void *)handle, struct watch, poll));
}

void watch_close(struct watch *watch)
{
	if (watch == NULL) {
		return;
	}
	require(!uv_is_closing((uv_handle_t *)&watch->poll));
	uv_close((uv_handle_t *)&watch->poll, watch_on_closed);
}
