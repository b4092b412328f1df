#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* `pgrecall serve`: everything put together, until a signal ends it. */

struct options;

/* Returns the exit status. */
int serve_run(const struct options *options, char *const *environment);
