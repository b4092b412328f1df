/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Commands of the console: what is understood is a row, and its argument a string. */

#include <stdint.h>
#include <string.h>

#include "admin/console_text.h"
#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct console_text text;
	int r = console_read(span_make(data, size), &text);
	require(r >= 0 && r <= CONSOLE_E_ARGUMENT);
	if (r == 0) {
		require(text.id < CONSOLE_N_COMMANDS);
		require(strnlen(text.argument, sizeof(text.argument)) <=
			CONSOLE_NAME_MAX);
	}
	return 0;
}
