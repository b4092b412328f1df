#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The SQLSTATEs that we send ourselves; see the table. */

/* clang-format off */
#define SQLSTATE(IDENT, code, text) SQLSTATE_##IDENT,
enum sqlstate {
#include "tbl/sqlstates.h"
	SQLSTATE_COUNT,
};
#undef SQLSTATE
/* clang-format on */

/* Five characters: "08P01". */
const char *sqlstate_code(enum sqlstate sqlstate);
/* PostgreSQL's condition name: "protocol_violation". */
const char *sqlstate_name(enum sqlstate sqlstate);
