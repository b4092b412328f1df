#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Base64 (RFC 4648, with padding), strictly: no white space, no bytes behind the
 * padding, no bits that the padding cuts off. */

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

/* Characters that N bytes take. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Writes BASE64_LEN(in.n) characters to OUT, without a zero; returns their number. */
size_t base64_encode(struct span in, uint8_t *out);
/* Writes at most CAP bytes to OUT and their number to *N.  0, or 1 when TEXT is not
 * base64 or does not fit. */
int base64_decode(struct span text, uint8_t *out, size_t cap, size_t *n) MUST_CHECK;
