#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The SQLSTATEs that we send or look for, a string for each row of the table:
 * SQLSTATE_PROTOCOL_VIOLATION is 08P01. */

#define SQLSTATE_LEN  5
#define SQLSTATE_SIZE (SQLSTATE_LEN + 1) /* with its NUL */

/* clang-format off */
#define SQLSTATE(IDENT, code, condition) \
	extern const char SQLSTATE_##IDENT[SQLSTATE_SIZE];
#include "tbl/sqlstates.h"
#undef SQLSTATE
/* clang-format on */
