#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A request to cancel what a backend runs.  It travels on a connection of its own, so
 * it may arrive after the query has ended and hit the next one: only when the server
 * has closed that connection has the signal been sent.  Whoever cancels keeps the
 * backend from others until then. */

#include "base/check.h"

struct cancel_key;
struct loop;
struct server_socket;

/* From libpq 17 on the request is encrypted when the connection is, and checks the
 * server in the same way; older ones send it in plain text, as PostgreSQL's own
 * programs do: it holds nothing but the process id and the key, which are void with the
 * connection. */

/* A copy, which works after the server_socket is gone.  NULL without memory, or when
 * the server sent no key. */
struct cancel_key *server_socket_cancel_key(const struct server_socket *socket);
/* Also while a request is under way.  NULL is fine. */
void cancel_key_free(struct cancel_key *key);
/* Sends it on libuv's thread pool, because libpq's call blocks.  DONE(ARG) on the loop
 * when the server has closed the cancel connection, or it failed: an unreachable server
 * is given up by the kernel's connect time-out or keepalive, in about two minutes.  KEY
 * stays the caller's.  -EBUSY: eight requests of this key are under way. */
int cancel_send(struct loop *loop, struct cancel_key *key, void (*done)(void *arg),
		void *arg) MUST_CHECK;
