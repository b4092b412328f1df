/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/sqlstate.h"

/* clang-format off */
#define SQLSTATE(IDENT, code, condition) \
	const char SQLSTATE_##IDENT[SQLSTATE_SIZE] = code;
#include "tbl/sqlstates.h"
#undef SQLSTATE
/* clang-format on */
