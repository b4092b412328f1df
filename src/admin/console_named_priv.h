#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The extended protocol of the console: prepared statements and portals, each with the
 * rows that are left of its answer.  The message functions send what is to be answered;
 * false: the message is malformed. */

#include <stdbool.h>

#include "base/span.h"

struct console_job;
struct console_named;
struct console_session;

bool console_parse(struct console_session *session, struct span body);
bool console_bind(struct console_session *session, struct span body);
bool console_describe(struct console_session *session, struct span body);
bool console_execute(struct console_session *session, struct span body);
bool console_close_named(struct console_session *session, struct span body);
/* Answers Sync; no portal outlives its transaction. */
void console_sync(struct console_session *session);
/* The job that PORTAL waited for is done: takes its rows and sends the first. */
void console_portal_fill(struct console_session *session, struct console_named *portal,
			 struct console_job *job);
/* The session ends. */
void console_forget_all(struct console_session *session);
