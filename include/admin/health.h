#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The page of /healthz: what the daemon knows of itself and of each database's server,
 * as one JSON object. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct health_database {
	const char *name;   /* as clients ask for it */
	const char *server; /* "host:port" or a path */
	bool known;	    /* a connection was tried; without one `up` says nothing */
	bool up;	    /* the last attempt or check succeeded */
	const char *error;  /* the last failure's text; NULL when there is none */
	unsigned active;    /* server connections in use */
	unsigned idle;	    /* server connections waiting for work */
	unsigned waiting;   /* clients waiting for one */
};

/* All strings are the caller's, UTF-8 or not: bytes that are not become '?'. */
struct health {
	bool ready;	   /* as /readyz says */
	bool stopping;	   /* shutting down */
	uint64_t uptime_s; /* seconds */
	const char *redis; /* "up", "down"; NULL when there is none */
	size_t n_databases;
	const struct health_database *databases;
};

/* Appends the object and a newline; without memory the buffer fails. */
void health_render(const struct health *health, struct buf *page);
