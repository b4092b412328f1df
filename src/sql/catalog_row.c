/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "sql/catalog_row.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sql/catalog_build.h"

int row_end(const struct row *row)
{
	return row->builder->error != 0 ? row->builder->error
	       : row->failed		? -EPROTO
					: 0;
}

const char *row_text(struct row *row)
{
	const char *text = *row->next++;
	if (text == NULL) {
		row->failed = true;
		return "";
	}
	return text;
}

const char *row_name(struct row *row)
{
	struct catalog_name *name =
	    catalog_builder_keep(row->builder, span_str(row_text(row)));
	return name == NULL ? "" : name->text;
}

bool row_bool(struct row *row)
{
	const char *text = row_text(row);
	bool is_true = strcmp(text, "t") == 0;
	row->failed |= !is_true && strcmp(text, "f") != 0;
	return is_true;
}

char row_char(struct row *row)
{
	const char *text = row_text(row);
	row->failed |= strlen(text) != 1;
	return text[0];
}

uint32_t row_number(struct row *row, uint32_t max)
{
	const char *text = row_text(row);
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != 0 || errno != 0 || v > max) {
		row->failed = true;
		return 0;
	}
	return (uint32_t)v;
}

uint32_t row_oid(struct row *row)
{
	return row_number(row, UINT32_MAX);
}

uint8_t row_volatility(struct row *row)
{
	return (uint8_t)row_number(row, VOLATILITY_VOLATILE);
}

double row_double(struct row *row)
{
	const char *text = *row->next++;
	if (text == NULL) {
		return 0;
	}
	char *end;
	double v = strtod(text, &end);
	if (end == text || *end != 0 || !isfinite(v)) {
		row->failed = true;
		return 0;
	}
	return v;
}

uint32_t row_schema(struct row *row)
{
	return catalog_schema_index(row->builder->catalog, row_oid(row));
}

struct catalog_relation *row_relation(struct row *row)
{
	struct catalog *catalog = row->builder->catalog;
	uint32_t i = catalog_relation_index(catalog, row_oid(row));
	return i == CATALOG_NONE ? NULL : &catalog->relations.items[i];
}
