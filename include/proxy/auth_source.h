#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Where the configuration says that a user without a line in auth_file is asked for:
 * the server, the user who asks (auth_user), and the question (auth_query). */

#include "base/buf.h"
#include "base/span.h"
#include "proxy/auth_query.h"
#include "upstream/connect.h"

struct worker;

/* Bytes: three names of the configuration and a user. */
#define AUTH_SOURCE_MAX_KEY 2048

/* Its strings are the configuration's of now, unless a comment says another thing. */
struct auth_source {
	struct connect_options options;
	const char *query;
	char *database; /* owned */
	struct buf key; /* of the answer in the cache */
};

/* For USER as a client of DATABASE.  AUTH_WAITING: it can be asked; AUTH_NOT_ASKED: the
 * configuration has no such question; AUTH_FAILED: no memory.  To be ended in any case.
 */
enum auth_found auth_source_init(struct auth_source *source,
				 const struct worker *worker, struct span database,
				 struct span user);
void auth_source_fini(struct auth_source *source);
