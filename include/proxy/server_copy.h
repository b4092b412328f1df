#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* COPY FROM STDIN: where the data of the client belongs.  A client need not wait for
 * CopyInResponse, so the end of the data may be sent before the server has begun; and a
 * Sync that is sent before the end of the data is ignored by the server (T-71).  So
 * each statement counts the COPYs it has begun and the ends that were sent for it. */

#include <stdbool.h>
#include <stdint.h>

struct server;

/* The server has said CopyInResponse for the head of the queue. */
void server_copy_begins(struct server *server);
/* The client has sent CopyDone or CopyFail. */
void server_copy_ends(struct server *server);
/* The server reads the client's data, or will when the COPY that was sent last has not
 * failed. */
bool server_may_copy(struct server *server);
/* How many it has sent for the statement sent last. */
uint8_t server_copies_ended(struct server *server);
