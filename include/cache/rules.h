#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Whether a statement that could be cached shall be, and for how long: [rule NAME]
 * sections in the order of the file, then hints, then what the class has by default. */

#include <stddef.h>

struct config;
struct plan;

/* Sets rule, ttl_s and max_size of PLAN, and bypass when it shall not be cached. TABLES
 * are the relations that it reads, as "schema.name".  Does nothing to a plan that has a
 * reason against it already. */
void rules_apply(const struct config *config, struct plan *plan,
		 const char *const *tables, size_t n_tables);
