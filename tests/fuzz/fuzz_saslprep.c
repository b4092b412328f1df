/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* SASLprep: ASCII stays, what comes out is never empty for something, and has a bound.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "wire/saslprep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make(data, size);
	struct span out;
	void *owned;
	bool is_ascii = true;
	for (size_t i = 0; i < size; i++) {
		is_ascii = is_ascii && data[i] < 0x80;
	}
	require(saslprep(in, &out, &owned) == 0);
	require((owned == NULL) == (out.p == in.p));
	require(owned == NULL || !is_ascii);
	require((out.n == 0) == (in.n == 0));
	require(out.n <= in.n * 11); /* U+FDFA: 33 bytes of 3 */
	require(owned == NULL || memchr(out.p, 0, out.n) == NULL);
	free(owned);
	return 0;
}
