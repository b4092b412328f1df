#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Values of settings as text: numbers, switches, durations, sizes.  The parsers take
 * the whole span or nothing; they do not depend on the locale. */

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

struct buf;

/* on off true false yes no 1 0, any case. */
bool config_parse_bool(struct span s, bool *out);
/* Decimal digits. */
bool config_parse_uint(struct span s, uint64_t *out);
/* Octal digits. */
bool config_parse_octal(struct span s, uint64_t *out);
/* Hexadecimal digits, 1 to 16 of them, with or without 0x. */
bool config_parse_hex(struct span s, uint64_t *out);
/* A number (fraction allowed) and us, ms, s, min, h or d; without one it is in units of
 * UNIT_MS milliseconds.  A duration above zero is never rounded down to it. */
bool config_parse_duration(struct span s, uint64_t unit_ms, uint64_t *ms_out);
/* A number and B, kB, MB, GB or KiB, MiB, GiB, all powers of 1024. */
bool config_parse_size(struct span s, uint64_t *bytes_out);

/* The shortest text that parses to the same value. */
void config_format_duration(uint64_t ms, struct buf *out);
void config_format_size(uint64_t bytes, struct buf *out);
