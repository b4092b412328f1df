#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What a server's answer says of a commit: it happened, it did not, or nobody knows. */

#include <stdbool.h>

struct commit;
struct owed;
struct server;

/* The commit of the item HEAD, if it has one, is decided by the frame at hand, and
 * nobody has been told.  SUCCEEDED: it was not an error or a roll-back.  With Redis,
 * fresh tokens go there first, so that no other process (and not this one after a
 * restart) can use an L2 entry from before.  False: come again with the same frame when
 * Redis has answered. */
bool server_commit_decide(struct server *server, struct owed *head, bool succeeded);
/* The connection is lost: COMMIT (NULL is fine) stays in flight until the server
 * process is gone (proxy/database.h).  Frees it. */
void server_commit_lost(struct server *server, struct commit *commit);
/* Nobody waits for tokens any more. */
void server_commit_forget(struct server *server);
