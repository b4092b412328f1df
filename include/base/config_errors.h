#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What is wrong with a configuration: all of it at once, with file, line and, for a
 * name that is nearly right, the right one. */

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct buf;

#define CONFIG_MAX_ERRORS 100 /* more are counted, not kept */

struct config_error {
	char *file;    /* or "environment"; owned */
	unsigned line; /* from 1; 0: none */
	bool is_warning;
	char *text; /* one line; owned */
};

struct config_errors {
	struct config_error *items; /* owned */
	size_t n;		    /* kept */
	size_t n_errors;	    /* all, kept or not */
	size_t n_warnings;
};

void config_errors_init(struct config_errors *errors);
void config_errors_fini(struct config_errors *errors);
void config_errors_add(struct config_errors *errors, bool is_warning, const char *file,
		       unsigned line, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Appends `file:line: error: text` lines. */
void config_errors_text(const struct config_errors *errors, struct buf *out);
/* The one of the N names that differs from NAME by least, or NULL when none is near. */
const char *config_nearest(const char *name, const char *const *names, size_t n);
