/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/replication.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

/* The server takes a text as SQL only when it does not begin with a word of its
 * replication grammar, and these words begin no SQL. What is not here (SHOW, for one,
 * is in both grammars) counts as SQL. */
static const struct replication_row {
	const char *word;
	enum replication_command command;
} replication_rows[] = {
	{ "ALTER_REPLICATION_SLOT", REPLICATION_COMMAND },
	{ "BASE_BACKUP", REPLICATION_COMMAND },
	{ "CREATE_REPLICATION_SLOT", REPLICATION_COMMAND },
	{ "DROP_REPLICATION_SLOT", REPLICATION_COMMAND },
	{ "IDENTIFY_SYSTEM", REPLICATION_COMMAND },
	{ "READ_REPLICATION_SLOT", REPLICATION_COMMAND },
	{ "START_REPLICATION", REPLICATION_STREAM },
	{ "TIMELINE_HISTORY", REPLICATION_COMMAND },
	{ "UPLOAD_MANIFEST", REPLICATION_COMMAND },
};

static bool replication_is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool replication_is_word(uint8_t c)
{
	return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '$' || c >= 0x80;
}

enum replication_command replication_command(struct span text)
{
	size_t n = 0;
	while (text.n > 0 && replication_is_space(text.p[0])) {
		text = span_skip(text, 1);
	}
	while (n < text.n && replication_is_word(text.p[n])) {
		n++;
	}
	if (n == text.n) {
		return REPLICATION_SQL; /* the end of the word is not here */
	}
	for (size_t i = 0; i < ARRAY_LEN(replication_rows); i++) {
		if (span_ieq(span_make(text.p, n),
			     span_str(replication_rows[i].word))) {
			return replication_rows[i].command;
		}
	}
	return REPLICATION_SQL;
}
