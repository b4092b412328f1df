#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A private PostgreSQL server for C tests, started by tests/lib/private-postgres in a
 * temporary directory: on 127.0.0.1 and on a Unix socket.  The superuser `postgres` is
 * trusted; the user `scram` has the password `secret` and must give it over TCP.  The
 * test processes find it through the environment. */

#include <stdint.h>

/* Starts it before the first test; ends the process when that fails. */
void private_postgres_start(void);
/* Stops it and removes its directory. */
void private_postgres_stop(void);
/* For the tests. */
uint16_t private_postgres_port(void);
const char *private_postgres_socket_dir(void);
