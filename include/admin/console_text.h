#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A command of the console as text: which row of tbl/console_commands.h, and its
 * argument.  Knows nothing of the rest. */

#include "base/check.h"
#include "base/span.h"

#define CONSOLE_NAME_MAX 127 /* bytes of an argument */

#define CONSOLE_COMMAND(id, words, argument, access, object, help) CONSOLE_##id,
enum console_id {
#include "tbl/console_commands.h"
	CONSOLE_N_COMMANDS,
};
#undef CONSOLE_COMMAND

#define CONSOLE_E_EMPTY	   1 /* no command at all */
#define CONSOLE_E_UNKNOWN  2
#define CONSOLE_E_ARGUMENT 3 /* one too many, missing, or malformed */

struct console_text {
	enum console_id id;
	char argument[CONSOLE_NAME_MAX + 1]; /* "": none; folded as SQL names are;
					     of REST its first word */
};

/* Reads TEXT: words in any case, white space and comments between them, "quoted" and
 * 'quoted' arguments, semicolons at the end.  SELECT instead of SHOW is understood. 0
 * or CONSOLE_E_. */
int console_read(struct span text, struct console_text *out) MUST_CHECK;
