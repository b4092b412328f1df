#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Makes the n-th allocation fail.  A program that uses it is linked with
 * FAULTY_ALLOC_FLAGS of tests/lib (-Wl,--wrap=malloc and its relatives), so that the
 * calls of our own code come here; those inside other libraries do not.  One thread. */

#include <stddef.h>

/* From now on the N-th allocation (from 1) fails, and all others succeed; 0: none
 * fails. */
void faulty_alloc_fail_at(size_t n);
/* Allocations since the last faulty_alloc_fail_at(). */
size_t faulty_alloc_count(void);
