/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/notify.h"

/* What is true with and without systemd. */
Test(notify, harmless_without_systemd)
{
	struct notify_socket sockets[2];
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("LISTEN_FDS");
	notify_ready();
	notify_reloading();
	notify_status("%d clients", 3);
	notify_watchdog();
	notify_stopping();
	cr_expect_eq(notify_watchdog_ms(), 0);
	cr_expect_eq(notify_sockets(sockets, 2), 0);
}

#if HAVE_SYSTEMD

/* A socket in systemd's place. */
struct manager {
	int fd;
	char dir[64];
	struct sockaddr_un address;
};

static void manager_start(struct manager *manager)
{
	snprintf(manager->dir, sizeof(manager->dir), "/tmp/pgrecall-notify-XXXXXX");
	cr_assert_not_null(mkdtemp(manager->dir));
	manager->address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(manager->address.sun_path, sizeof(manager->address.sun_path), "%s/s",
		 manager->dir);
	manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(manager->fd, (struct sockaddr *)&manager->address,
			  sizeof(manager->address)),
		     0);
	setenv("NOTIFY_SOCKET", manager->address.sun_path, 1);
}

static void manager_stop(struct manager *manager)
{
	unsetenv("NOTIFY_SOCKET");
	close(manager->fd);
	unlink(manager->address.sun_path);
	rmdir(manager->dir);
}

static void expect_heard(struct manager *manager, const char *want)
{
	char got[512];
	ssize_t n = recv(manager->fd, got, sizeof(got) - 1, MSG_DONTWAIT);
	cr_assert_geq(n, 0, "nothing instead of %s", want);
	got[n] = '\0';
	cr_expect_eq(strncmp(got, want, strlen(want)), 0, "%s instead of %s", got,
		     want);
	cr_expect_leq(n, 7 + 250);
}

Test(notify, tells_systemd)
{
	struct manager manager;
	char longest[600];
	manager_start(&manager);
	notify_ready();
	expect_heard(&manager, "READY=1");
	notify_reloading();
	expect_heard(&manager, "RELOADING=1\nMONOTONIC_USEC=");
	notify_status("%d clients\nREADY=1", 3);
	expect_heard(&manager, "STATUS=3 clients READY=1");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	notify_status("%s", longest);
	expect_heard(&manager, "STATUS=xxx");
	notify_watchdog();
	expect_heard(&manager, "WATCHDOG=1");
	notify_stopping();
	expect_heard(&manager, "STOPPING=1");
	manager_stop(&manager);
}

Test(notify, watchdog_interval)
{
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "30000000", 1);
	cr_expect_eq(notify_watchdog_ms(), 15000);
	setenv("WATCHDOG_USEC", "1", 1);
	cr_expect_eq(notify_watchdog_ms(), 1);
	setenv("WATCHDOG_PID", "1", 1);
	cr_expect_eq(notify_watchdog_ms(), 0, "meant for another process");
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
}

static int listening_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(listen(fd, 1), 0);
	return fd;
}

/* In a child, whose low descriptors are ours to place: 0, or what was wrong. */
static int take_sockets(void)
{
	struct notify_socket sockets[2];
	char pid[16];
	int fds[4] = { listening_socket(), listening_socket(),
		       socket(AF_INET, SOCK_STREAM, 0), listening_socket() };
	for (int i = 0; i < 4; i++) { /* out of the way first */
		fds[i] = fcntl(fds[i], F_DUPFD, 50);
	}
	for (int i = 0; i < 4; i++) {
		dup2(fds[i], 3 + i);
	}
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "4", 1);
	setenv("LISTEN_FDNAMES", "pgrecall:http:dead:more", 1);
	if (notify_sockets(sockets, 2) != 2) {
		return 1;
	}
	if (sockets[0].fd != 3 || sockets[0].is_admin || sockets[1].fd != 4 ||
	    !sockets[1].is_admin) {
		return 2;
	}
	if ((fcntl(3, F_GETFD) & FD_CLOEXEC) == 0 || fcntl(5, F_GETFD) != -1 ||
	    fcntl(6, F_GETFD) != -1) {
		return 3;
	}
	return getenv("LISTEN_FDS") == NULL ? 0 : 4;
}

Test(notify, takes_sockets_that_listen)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		_exit(take_sockets());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0, "status %x", status);
}

#endif
