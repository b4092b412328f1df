#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What each message of a server connection means for the client it is bound to. */

#include "upstream/pool.h"

struct server;

/* For struct upstream. */
extern const struct upstream_ops server_ops;

/* Nobody is bound any more: finishes what is under way (Sync, ROLLBACK,
 * server_reset_query when the session is suspect, a cancel request) and gives the
 * connection to its pool; closes it when that takes longer than cancel_wait_timeout. */
void server_reset(struct server *server);
/* Goes on reading after the client was too slow. */
void server_resume_reading(struct server *server);
