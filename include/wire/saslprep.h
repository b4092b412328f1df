#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* SASLprep (RFC 4013) of a password, exactly as PostgreSQL and libpq do it before they
 * derive SCRAM keys: spaces become U+0020, what is invisible goes, compatibility forms
 * become what they stand for (NFKC).
 *
 * A password that cannot be prepared (no UTF-8; prohibited, unassigned or wrongly mixed
 * right-to-left characters; nothing left) counts as its bytes.  PostgreSQL looks for
 * such characters before it normalises, where the RFC says after: so do we, or clients
 * would derive other keys.
 *
 * libidn normalises by Unicode 3.2, the RFC's, and PostgreSQL by its own: they differ
 * in five CJK compatibility ideographs (U+2F868, U+2F874, U+2F91F, U+2F95F, U+2F9BF)
 * and in Hangul syllables with a mark between their parts. */

#include "base/check.h"
#include "base/span.h"

/* Bytes.  Longer ones count as their bytes, too, because normalising takes the square
 * of a length that a stranger chooses.  A userlist has none that is longer. */
#define SASLPREP_MAX 2048

/* Gives *PREPARED, either PASSWORD itself, with *OWNED NULL, or text that is in *OWNED,
 * to be wiped and freed by the caller.  0 or -ENOMEM. */
int saslprep(struct span password, struct span *prepared, void **owned) MUST_CHECK;
