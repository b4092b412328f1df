/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/sqlstate.h"

#include "base/check.h"

static const struct sqlstate_row {
	const char code[6];
	const char *name;
} sqlstate_rows[] = {
/* clang-format off */
#define SQLSTATE(IDENT, code, name) [SQLSTATE_##IDENT] = { code, name },
#include "tbl/sqlstates.h"
#undef SQLSTATE
	/* clang-format on */
};

const char *sqlstate_code(enum sqlstate sqlstate)
{
	require((unsigned)sqlstate < SQLSTATE_COUNT);
	return sqlstate_rows[sqlstate].code;
}

const char *sqlstate_name(enum sqlstate sqlstate)
{
	require((unsigned)sqlstate < SQLSTATE_COUNT);
	return sqlstate_rows[sqlstate].name;
}
