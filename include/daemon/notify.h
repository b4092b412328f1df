#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the daemon and systemd tell each other: readiness, status, the watchdog, and
 * sockets that systemd has opened for us.  Built without systemd, or run without it,
 * every function is harmless. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

#define NOTIFY_MAX_SOCKETS 64

/* A socket given by systemd, in the order of the unit's Listen lines. */
struct notify_socket {
	int fd; /* listening; close-on-exec */
	bool
	    is_admin; /* FileDescriptorName=http: for the HTTP endpoint, else clients */
};

/* Clients can be served. */
void notify_ready(void);
/* A reload begins; notify_ready() ends it. */
void notify_reloading(void);
void notify_stopping(void);
/* A sentence for `systemctl status`; at most 250 bytes of it are kept. */
void notify_status(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Still alive. */
void notify_watchdog(void);
/* How often notify_watchdog() is to be called: half of WatchdogSec, in milliseconds; 0:
 * there is no watchdog. */
uint64_t notify_watchdog_ms(void);

/* Fills OUT with at most N sockets (more are closed) and says how many.  Sockets that
 * do not listen are closed.  To be called once, before there are threads: it clears the
 * variables, so that children do not think the sockets theirs. */
size_t notify_sockets(struct notify_socket *out, size_t n);
