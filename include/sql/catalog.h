#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* An immutable, reference-counted snapshot of what the database's catalogue says about
 * relations, functions, operators and types.  This module has the questions (SQL texts)
 * and takes the answers row by row; upstream/ asks them with libpq.  Resolution follows
 * a search path as PostgreSQL does: pg_temp first (unknown here, see temp tables), then
 * pg_catalog unless listed, then the path. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

struct catalog;
struct catalog_builder;

/* One question: run with search_path = '' (so that view definitions come qualified);
 * its rows, all columns as text, go to catalog_builder_row() with the question's index.
 */
struct catalog_question {
	const char *name;
	const char *sql;
};
const struct catalog_question *catalog_questions(size_t *n_out);

/* VERSION is copied into every plan made against the snapshot; DB_TAG identifies the
 * database for version tags (same number in every process: hash of its oid and name).
 */
int catalog_builder_new(uint32_t version, uint64_t db_tag, size_t max_bytes,
			struct catalog_builder **out) MUST_CHECK;
void catalog_builder_free(struct catalog_builder *builder);
/* One row of question QUESTION: N columns, NULLs as NULL.  Questions come in their
 * order, best in one REPEATABLE READ transaction.  0; -EPROTO for a row that does not
 * fit its question; -ENOBUFS above max_bytes; or -ENOMEM.  A failed builder stays
 * failed. */
int catalog_builder_row(struct catalog_builder *builder, size_t question,
			const char *const *values, size_t n) MUST_CHECK;
/* Closes the snapshot (trees of partitions, foreign keys) with one reference for the
 * caller; the builder stays and must be freed, and takes no more rows. */
int catalog_builder_finish(struct catalog_builder *builder,
			   struct catalog **out) MUST_CHECK;

struct catalog *catalog_ref(struct catalog *catalog);
void catalog_unref(struct catalog *catalog);
uint32_t catalog_version(const struct catalog *catalog);
uint64_t catalog_db_tag(const struct catalog *catalog);
/* Those of users; system relations are not counted. */
size_t catalog_n_relations(const struct catalog *catalog);
