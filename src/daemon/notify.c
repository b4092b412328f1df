/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "daemon/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#if HAVE_SYSTEMD

#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"

#define STATUS_MAX 250

/* Whoever listens may have gone; there is nothing to do about it. */
static void tell(const char *state)
{
	(void)sd_notify(0, state);
}

void notify_ready(void)
{
	tell("READY=1");
}

void notify_reloading(void)
{
	char state[64];
	/* systemd 253 and later pair the two messages by the time */
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 clock_now_ns() / 1000);
	tell(state);
}

void notify_stopping(void)
{
	tell("STOPPING=1");
}

void notify_status(const char *fmt, ...)
{
	static const char key[] = "STATUS=";
	char state[sizeof(key) + STATUS_MAX];
	va_list args;
	memcpy(state, key, sizeof(key));
	va_start(args, fmt);
	vsnprintf(state + sizeof(key) - 1, STATUS_MAX + 1, fmt, args);
	va_end(args);
	/* a line break would begin another assignment */
	for (char *p = state; *p != '\0'; p++) {
		if (*p == '\n') {
			*p = ' ';
		}
	}
	tell(state);
}

void notify_watchdog(void)
{
	tell("WATCHDOG=1");
}

uint64_t notify_watchdog_ms(void)
{
	uint64_t us = 0;
	if (sd_watchdog_enabled(0, &us) <= 0) {
		return 0;
	}
	/* a watchdog of less than two milliseconds is still a watchdog */
	return us / 2000 > 0 ? us / 2000 : 1;
}

/* NAMES is sd_listen_fds_with_names()'s: every string and the list are ours. */
static void names_free(char **names)
{
	for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
		free(names[i]);
	}
	free(names);
}

size_t notify_sockets(struct notify_socket *out, size_t n)
{
	char **names = NULL;
	size_t taken = 0;
	require(out != NULL && n > 0);
	int given = sd_listen_fds_with_names(1, &names);
	for (int i = 0; i < given; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		const char *name = names != NULL ? names[i] : "";
		if (taken == n || sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
			log_warning(NULL, "socket \"%s\" from systemd is not usable",
				    name);
			close(fd);
			continue;
		}
		out[taken].fd = fd;
		out[taken].is_admin = strcmp(name, "http") == 0;
		taken++;
	}
	names_free(names);
	return taken;
}

#else /* no systemd */

void notify_ready(void)
{
}

void notify_reloading(void)
{
}

void notify_stopping(void)
{
}

void notify_status(const char *fmt, ...)
{
}

void notify_watchdog(void)
{
}

uint64_t notify_watchdog_ms(void)
{
	return 0;
}

size_t notify_sockets(struct notify_socket *out, size_t n)
{
	require(out != NULL && n > 0);
	return 0;
}

#endif
