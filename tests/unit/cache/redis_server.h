#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A private redis-server on a Unix socket in a directory of its own, for one test. */

#include <stdbool.h>
#include <sys/types.h>

struct redis_server {
	char dir[64];
	char socket[96];
	char url[128];	      /* unix:SOCKET */
	const char *password; /* NULL: none */
	pid_t pid;	      /* 0: not running */
};

/* False when this machine has no redis-server: skip the test. */
bool redis_server_exists(void);
/* Starts it and waits until it answers. */
void redis_server_start(struct redis_server *server, const char *password);
/* Starts it again with the data it has on disk. */
void redis_server_restart(struct redis_server *server);
void redis_server_signal(struct redis_server *server, int signal);
/* SIGKILL, and waits for its end. */
void redis_server_kill(struct redis_server *server);
/* Kills it and removes its directory. */
void redis_server_end(struct redis_server *server);
/* Runs one command without spaces in its words; the answer's first bytes are in OUT. */
void redis_server_ask(struct redis_server *server, const char *command, char *out,
		      int size);
