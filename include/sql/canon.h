#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Canonical values of key columns: every spelling of the same value gives the same
 * bytes, whether it came as a constant of the text, a text parameter or a binary
 * parameter. */

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "sql/plan.h"

/* Hash of the canonical value.  RAW is a constant as written in the text ('abc', 42,
 * -7, true, E'..', cast sources).  False: no canonical form, the value is unknown. */
bool canon_hash_const(enum canon canon, struct span raw, uint64_t *out);
/* The same for a protocol parameter: FORMAT 0 text, 1 binary; OID is its declared type,
 * 0 when undeclared.  A text that PostgreSQL would trim or fold (' 42 ', 'T') is
 * folded. */
bool canon_hash_param(enum canon canon, struct span value, int format, uint32_t oid,
		      uint64_t *out);
/* True when a text value may mean the current time for a date or time type: it has now,
 * today, tomorrow or yesterday in it as a word, in any case. */
bool canon_may_be_now(struct span value);
