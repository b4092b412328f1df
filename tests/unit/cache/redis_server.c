/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "redis_server.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

bool redis_server_exists(void)
{
	return access("/usr/bin/redis-server", X_OK) == 0;
}

static int server_connect(const struct redis_server *server)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->socket);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void server_run(const struct redis_server *server)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int null = open("/dev/null", O_RDWR);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	const char *argv[20] = { "redis-server",
				 "--port",
				 "0",
				 "--unixsocket",
				 server->socket,
				 "--dir",
				 server->dir,
				 "--save",
				 "",
				 "--appendonly",
				 "no" };
	size_t n = 11;
	if (server->password != NULL) {
		argv[n++] = "--requirepass";
		argv[n++] = server->password;
	}
	execv("/usr/bin/redis-server", (char *const *)(uintptr_t)argv);
	_exit(127);
}

void redis_server_restart(struct redis_server *server)
{
	cr_assert_eq(server->pid, 0);
	unlink(server->socket);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		server_run(server);
	}
	server->pid = pid;
	for (int i = 0; i < 500; i++) {
		char answer[8] = "";
		int fd = server_connect(server);
		if (fd >= 0) {
			close(fd);
			redis_server_ask(server, "PING", answer, sizeof(answer));
			if (answer[0] == '+' || strncmp(answer, "-NOAUTH", 7) == 0) {
				return;
			}
		}
		usleep(10000);
	}
	cr_assert_fail("redis-server did not start");
}

void redis_server_start(struct redis_server *server, const char *password)
{
	*server = (struct redis_server){ .password = password };
	snprintf(server->dir, sizeof(server->dir), "/tmp/pgrecall-redis-XXXXXX");
	cr_assert_not_null(mkdtemp(server->dir));
	snprintf(server->socket, sizeof(server->socket), "%s/r.sock", server->dir);
	snprintf(server->url, sizeof(server->url), "unix:%s", server->socket);
	redis_server_restart(server);
}

void redis_server_signal(struct redis_server *server, int signal)
{
	cr_assert_eq(kill(server->pid, signal), 0);
}

void redis_server_kill(struct redis_server *server)
{
	if (server->pid > 0) {
		redis_server_signal(server, SIGKILL);
		waitpid(server->pid, NULL, 0);
		server->pid = 0;
	}
}

void redis_server_end(struct redis_server *server)
{
	char path[128];
	redis_server_kill(server);
	unlink(server->socket);
	snprintf(path, sizeof(path), "%s/dump.rdb", server->dir);
	unlink(path);
	rmdir(server->dir);
}

void redis_server_ask(struct redis_server *server, const char *command, char *out,
		      int size)
{
	int fd = server_connect(server);
	cr_assert_geq(fd, 0);
	dprintf(fd, "%s\r\n", command);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = poll(&p, 1, 2000) == 1 ? read(fd, out, (size_t)size - 1) : 0;
	out[n > 0 ? n : 0] = '\0';
	close(fd);
}
