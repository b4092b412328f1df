#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The rows of pg_hba.conf, which hba.c reads and hba_match.c compares. */

#include "wire/hba.h"
#include "wire/hba_lines.h"

enum hba_type {
	HBA_LOCAL,
	HBA_HOST, /* hostnogssenc, too: there is no GSS encryption */
	HBA_HOSTSSL,
	HBA_HOSTNOSSL,
	HBA_HOSTGSSENC, /* fits nobody */
};

enum hba_name_kind {
	HBA_NAME_EXACT,
	HBA_NAME_ALL,
	HBA_NAME_SAMEUSER,
	HBA_NAME_REPLICATION, /* who streams the WAL */
	HBA_NAME_REGEX,
};

struct hba_name {
	struct hba_name *next;
	enum hba_name_kind kind;
	const char *text;
	const regex_t *regex;
};

enum hba_scope {
	HBA_SCOPE_ALL,
	HBA_SCOPE_NETWORK,
	HBA_SCOPE_SAMEHOST,
	HBA_SCOPE_SAMENET,
};

struct hba_row {
	struct hba_row *next;
	enum hba_type type;
	struct hba_name *databases;
	struct hba_name *users;
	enum hba_scope scope;
	struct hba_address address;
	uint8_t mask[16];
	struct hba_verdict verdict;
};

struct hba {
	struct hba_lines lines; /* the rows live in its arena */
	struct hba_row *rows;
};
