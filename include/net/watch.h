#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A descriptor on the loop: tells when it can be read or written.  The descriptor stays
 * the caller's, who closes it after watch_close().  Changing the interest costs a
 * system call at the loop's next turn only when it really changed. */

#include "base/check.h"

struct loop;
struct watch;

#define WATCH_READ  1
#define WATCH_WRITE 2
#define WATCH_HANGUP \
	4 /* the peer has closed, or will send no more; with bytes unread */

/* EVENTS: WATCH_ bits; ERR 0 or -errno.  With an ERR the watch has stopped (interest 0)
 * and EVENTS is what was asked for: the next recv() or send() finds the real cause. */
typedef void (*watch_fn)(void *arg, int events, int err);

/* Watches FD, which the caller owns and keeps open until watch_close(); no events yet.
 * 0, -ENOMEM, or -errno for a descriptor that cannot be polled. */
int watch_new(struct loop *loop, int fd, watch_fn fn, void *arg,
	      struct watch **out) MUST_CHECK;
/* EVENTS 0 stops it.  No effect when the interest is already EVENTS. */
void watch_set(struct watch *watch, int events);
/* Stops at once and takes the descriptor out of the poll set (it may be closed, or
 * watched by another loop, right after); frees itself later.  NULL is fine. */
void watch_close(struct watch *watch);
