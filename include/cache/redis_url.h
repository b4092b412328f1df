#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Where Redis is: redis://[user[:password]@]host[:port][/db], or unix:/path[?db=N].  A
 * name without a scheme is a host.  Parts are percent-decoded. */

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

struct redis_url {
	char *text;	      /* owned; the others point into it */
	const char *host;     /* without brackets; NULL for a Unix socket */
	const char *path;     /* of the Unix socket, or NULL */
	const char *user;     /* NULL: none */
	const char *password; /* NULL: none */
	uint32_t db;
	uint16_t port;
};

#define REDIS_URL_E_INVALID 1

/* 0, REDIS_URL_E_INVALID, or -ENOMEM; only after 0 there is something to fini. */
int redis_url_init(struct redis_url *url, const char *text) MUST_CHECK;
void redis_url_fini(struct redis_url *url);
