#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The settings of TLS: what can be told of them without OpenSSL. */

#include <stdbool.h>

#include "base/check.h"

struct config_build;
struct config_database;

/* Bits of the versions that may be spoken. */
#define TLS_1_0 1U
#define TLS_1_1 2U
#define TLS_1_2 4U
#define TLS_1_3 8U

/* Reads `tlsv1.2,tlsv1.3`, with PgBouncer's words all, secure, default and legacy, and
 * ! in front of what is taken away.  False: not such a list, or nothing is left. */
bool config_tls_protocols(const char *text, unsigned *bits_out) MUST_CHECK;
/* How libpq calls the oldest and the newest of BITS; NULL for the newest where there is
 * no limit. */
void config_tls_range(unsigned bits, const char **oldest, const char **newest);
/* Checks the settings against each other, and that the files can be read. */
void config_build_tls(struct config_build *build);
/* The same for one database, whose files are the global ones where it names none. */
void config_build_database_tls(struct config_build *build, struct config_database *db);
