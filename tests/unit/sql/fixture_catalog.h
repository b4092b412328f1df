#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A catalogue snapshot made by hand: rows of the questions in tbl/catalog_questions.h,
 * in any order, beside the rows that every fixture has: the schemas pg_catalog (oid
 * 11), information_schema (12), public (2200) and hidden (2201, of role app alone), and
 * the roles postgres (super), app and other. */

#include <stddef.h>

#include "sql/catalog_build.h"

struct fixture_row {
	size_t question;
	const char *values[10];
	size_t n;
};

#define FIXTURE_VALUES(...) ((const char *const[]){ __VA_ARGS__ })
/* ROW(relations, "100", ...) */
#define ROW(question, ...)                                 \
	{                                                  \
		CATALOG_Q_##question, { __VA_ARGS__ },     \
		    ARRAY_LEN(FIXTURE_VALUES(__VA_ARGS__)) \
	}
/* An ordinary table of public, and a column without anything special. */
#define TABLE(oid, name) ROW(relations, oid, "2200", name, "r", "p", "-1", "f")
#define COLUMN(oid, number, name, type) \
	ROW(columns, oid, number, name, type, "t", "f", "f", "f", NULL)

/* The snapshot, for the caller to unref; a row that is refused fails the test. */
struct catalog *fixture_catalog(const struct fixture_row *rows, size_t n);
