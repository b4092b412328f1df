#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Which user of the system (of a certificate) may be which user of the database:
 * pg_ident.conf, in the syntax of PostgreSQL 16.  Lines of map, system user (or
 * /expression) and database user (a name, in which \1 is what the first parentheses
 * matched; all; or /expression).  Immutable once made; threads may share it.  No I/O.
 */

#include <stdbool.h>

#include "base/check.h"
#include "base/span.h"

struct hba_error;
struct hba_source;
struct ident;

/* As hba_new(). */
int ident_new(const struct hba_source *source, const char *path, struct ident **out,
	      struct hba_error *error) MUST_CHECK;
/* NULL is fine. */
void ident_free(struct ident *ident);
/* Whether SYSTEM_USER may log in as USER.  MAP NULL: when they are equal.  IDENT NULL:
 * no maps. */
bool ident_allows(const struct ident *ident, const char *map, const char *system_user,
		  const char *user);
