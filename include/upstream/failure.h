#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Why a connection could not be made, read out of libpq's text: there is no result
 * object to ask for a connection that failed.  The text is of verbosity VERBOSE, where
 * the SQLSTATE follows the severity:
 *
 *   connection to server at "h", port 5432 failed: FATAL:  28P01: password ... failed
 */

#include <stdbool.h>

#include "base/check.h"
#include "base/sqlstate.h"

struct failure {
	const char *reason; /* metric label: refused timeout auth tls dns fatal */
	char sqlstate[SQLSTATE_SIZE]; /* the server's, or one of ours */
	char message[256];	      /* one line; the server's words when it spoke */
};

/* Reads libpq's TEXT. */
void failure_read(struct failure *failure, const char *text);
/* A failure of our own. */
void failure_set(struct failure *failure, const char *reason, const char *sqlstate,
		 const char *fmt, ...) PRINTF_LIKE(4, 5);
/* True when another address of the same name may do better. */
bool failure_is_of_address(const struct failure *failure);
