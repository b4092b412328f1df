#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the files of proxy/session share. */

struct context;
struct session;

/* The client's settings, and those of its server connection, are to become these when
 * the transaction commits; takes the references.  NULL, without memory: the session is
 * not trusted any more. */
void session_pend(struct session *session, struct context *fresh,
		  struct context *fresh_server);
