#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the text of a simple Query is on a replication connection. */

#include "base/span.h"

enum replication_command {
	REPLICATION_SQL,     /* or nothing that is known: it may do anything */
	REPLICATION_COMMAND, /* of the replication grammar: writes no table, and ends */
	REPLICATION_STREAM,  /* the same, but goes on until one side ends it */
};

/* Bytes of a text that are enough to tell, unless it begins with more white space. */
#define REPLICATION_WORD_MAX 32

/* By the first word of TEXT; what begins it and is cut off counts as SQL. */
enum replication_command replication_command(struct span text);
