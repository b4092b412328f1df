#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The command line, and every command but `serve`, which is main's. */

#include "base/check.h"

struct buf;

enum options_command {
	OPTIONS_SERVE,
	OPTIONS_CHECK_CONFIG,
	OPTIONS_DUMP_CONFIG,
	OPTIONS_VERSION,
	OPTIONS_HELP,
};

struct options {
	enum options_command command;
	const char *config_path; /* argv's; NULL: none given */
};

#define OPTIONS_E_USAGE 1 /* the command line makes no sense */

/* Exit statuses. */
#define OPTIONS_EXIT_OK	     0
#define OPTIONS_EXIT_INVALID 1 /* the configuration has errors */
#define OPTIONS_EXIT_USAGE   2 /* the command line has */

/* Reads the command line; the order of ARGV may change.  0; or OPTIONS_E_USAGE, with a
 * line for the user appended to MESSAGE. */
int options_parse(int argc, char *const *argv, struct options *out,
		  struct buf *message) MUST_CHECK;

/* Does a command that is not OPTIONS_SERVE: appends to OUT what belongs on standard
 * output and to MESSAGE what belongs on standard error.  ENVIRONMENT overrides the
 * file, as it does when serving.  Returns the exit status. */
int options_run(const struct options *options, char *const *environment,
		struct buf *out, struct buf *message) MUST_CHECK;
