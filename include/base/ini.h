#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The lines of a configuration file in PgBouncer's syntax:
 *
 *   ; or # a comment, on a line of its own
 *   [section]
 *   key = value            everything behind the first = ; no quotes at this level
 *   "odd ""key""" = value  SQL's quotes, for names of databases
 *   %include file          relative to the working directory, as PgBouncer does
 *
 * libini_config was tried first and cannot do this: it knows no %include, takes a line
 * that begins with a space for the rest of the value before it, and stops short of
 * telling all errors of a file with their lines when one of them is in an included
 * file. */

#include "base/check.h"
#include "base/span.h"

struct config_errors;

#define INI_MAX_FILE  (8U << 20) /* bytes */
#define INI_MAX_DEPTH 10	 /* of %include */
#define INI_MAX_FILES 1000	 /* included in all */

/* One line.  A line that opens a section has key.n == 0 and is_section.  The spans are
 * good during the call only. */
struct ini_entry {
	const char *file;
	unsigned line;
	bool is_section;
	struct span section;
	struct span key; /* unquoted */
	struct span value;
};

typedef void (*ini_fn)(void *arg, const struct ini_entry *entry);

/* Calls FN for every line of the file; what cannot be read becomes an error.  0 or
 * -ENOMEM. */
int ini_read_file(const char *path, ini_fn fn, void *arg,
		  struct config_errors *errors) MUST_CHECK;
/* The same for TEXT; NAME stands for the file in entries and errors.  With no_include a
 * %include is an error. */
int ini_read_text(const char *name, struct span text, bool no_include, ini_fn fn,
		  void *arg, struct config_errors *errors) MUST_CHECK;
