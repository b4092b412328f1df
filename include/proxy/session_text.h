#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Whether the scanner reads texts as the server does under a session's settings. */

#include <stdbool.h>

struct context;
struct plan;

/* Backslashes are not escapes, and what looks like ASCII is. */
bool session_is_readable(const struct context *context);
/* The same while a SET with PLAN is under way: in doubt not, until the next idle
 * moment.
 */
bool session_stays_readable(const struct plan *plan);
