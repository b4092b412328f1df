/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Simple queries of replication clients.  What is called a command must be one of the
 * server's words, whatever stands around it: else SQL could write a table unseen. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "wire/replication.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The words, told in another way than the code does. */
static bool is_command(const char *text)
{
	static const char *const words[] = {
		"alter_replication_slot", "base_backup",      "create_replication_slot",
		"drop_replication_slot",  "identify_system",  "read_replication_slot",
		"start_replication",	  "timeline_history", "upload_manifest"
	};
	text += strspn(text, " \t\n\v\f\r");
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strncasecmp(text, words[i], strlen(words[i])) == 0) {
			return true;
		}
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum replication_command whole = replication_command(span_make(data, size));
	char *text = malloc(size + 1);
	require(text != NULL);
	if (size > 0) {
		memcpy(text, data, size);
	}
	text[size] = 0;
	require(whole == REPLICATION_SQL || is_command(text));
	free(text);
	/* a text that is cut off is what it is whole, or SQL */
	for (size_t n = 0; n < size && n < 256; n++) {
		enum replication_command part = replication_command(span_make(data, n));
		require(part == whole || part == REPLICATION_SQL);
	}
	return 0;
}
