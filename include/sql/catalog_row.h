#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The columns of one row of a catalogue answer, as text, read one after the other.  The
 * first one that is not what it should be latches `failed`; ask row_end() at the end.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

struct catalog_builder;
struct catalog_relation;

struct row {
	struct catalog_builder *builder;
	const char *const *next; /* the caller knows that there are enough */
	bool failed;
};

static inline struct row row_begin(struct catalog_builder *builder,
				   const char *const *values)
{
	return (struct row){ .builder = builder, .next = values };
}

/* 0, -EPROTO after a column that was wrong, or what the builder failed with. */
int row_end(const struct row *row) MUST_CHECK;
/* Not NULL; valid as long as the row. */
const char *row_text(struct row *row);
/* The text, kept in the snapshot. */
const char *row_name(struct row *row);
bool row_bool(struct row *row);
/* A text of one byte. */
char row_char(struct row *row);
uint32_t row_number(struct row *row, uint32_t max);
uint32_t row_oid(struct row *row);
/* enum volatility */
uint8_t row_volatility(struct row *row);
/* NULL gives 0. */
double row_double(struct row *row);
/* Index of the schema with that oid; CATALOG_NONE when it is not known. */
uint32_t row_schema(struct row *row);
/* The relation with that oid; NULL when it is not known. */
struct catalog_relation *row_relation(struct row *row);
