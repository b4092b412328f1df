/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "tests/lib/private_postgres.h"

#include <libpq-fe.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENV_DIR	   "PRIVATE_POSTGRES_DIR"
#define ENV_PORT   "PRIVATE_POSTGRES_PORT"
#define ENV_SOCKET "PRIVATE_POSTGRES_SOCKET"

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "private_postgres: cannot %s\n", what);
	exit(2);
}

static void run(const char *const *argv)
{
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	int status = 0;
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		die(argv[1]);
	}
}

static uint16_t free_port(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(addr);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0) {
		die("find a free port");
	}
	close(fd);
	return ntohs(addr.sin_port);
}

static void write_hba(const char *path)
{
	FILE *file = fopen(path, "w");
	if (file == NULL) {
		die("write pg_hba.conf");
	}
	(void)fputs("local all all trust\n"
		    "host all scram 127.0.0.1/32 scram-sha-256\n"
		    "host all all 127.0.0.1/32 trust\n",
		    file);
	(void)fclose(file);
	(void)chmod(path, 0644);
}

static void create_users(void)
{
	char conninfo[256];
	(void)snprintf(
	    conninfo, sizeof(conninfo), "host=%s port=%u user=postgres dbname=postgres",
	    private_postgres_socket_dir(), (unsigned)private_postgres_port());
	PGconn *conn = PQconnectdb(conninfo);
	PGresult *result = PQexec(conn, "CREATE ROLE scram LOGIN PASSWORD 'secret'");
	if (PQresultStatus(result) != PGRES_COMMAND_OK) {
		die(PQerrorMessage(conn));
	}
	PQclear(result);
	PQfinish(conn);
}

void private_postgres_start(void)
{
	char dir[] = "/tmp/private-postgres-XXXXXX";
	if (mkdtemp(dir) == NULL || chmod(dir, 0711) < 0) {
		die("make a directory");
	}
	char data[64];
	char port[8];
	char hba[96];
	char sockets[96];
	(void)snprintf(data, sizeof(data), "%s/data", dir);
	(void)snprintf(port, sizeof(port), "%u", (unsigned)free_port());
	(void)snprintf(hba, sizeof(hba), "hba_file='%s/hba'", dir);
	(void)snprintf(sockets, sizeof(sockets), "unix_socket_directories='%s'", data);
	char hba_path[64];
	(void)snprintf(hba_path, sizeof(hba_path), "%s/hba", dir);
	write_hba(hba_path);
	setenv(ENV_DIR, dir, 1);
	setenv(ENV_PORT, port, 1);
	setenv(ENV_SOCKET, data, 1);
	const char *const argv[] = { PRIVATE_POSTGRES, "start", data, port, hba,
				     sockets,	       NULL };
	run(argv);
	create_users();
}

void private_postgres_stop(void)
{
	const char *dir = getenv(ENV_DIR);
	if (dir == NULL) {
		return;
	}
	const char *const stop[] = { PRIVATE_POSTGRES, "stop", getenv(ENV_SOCKET),
				     "immediate", NULL };
	run(stop);
	const char *const rm[] = { "rm", "-rf", dir, NULL };
	run(rm);
	unsetenv(ENV_DIR);
}

uint16_t private_postgres_port(void)
{
	const char *port = getenv(ENV_PORT);
	return port != NULL ? (uint16_t)strtoul(port, NULL, 10) : 0;
}

const char *private_postgres_socket_dir(void)
{
	return getenv(ENV_SOCKET);
}
