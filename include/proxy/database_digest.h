#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Whether a catalogue that was read again says anything new.  Rows come in no
 * particular order, so their hashes are added up.  Two sums: the shape, of everything
 * that is not an estimate, and the estimates, rounded so roughly that only growth
 * shows.
 *
 * Temporary tables come and go with sessions and are never cached: their rows do not
 * count.  */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct digest_oids {
	uint32_t *at; /* owned; sorted when `is_sorted` */
	size_t n;
	size_t cap;
	bool is_sorted;
};

struct database_digest {
	uint64_t shape[2];
	uint64_t estimates;
	struct digest_oids temp_schemas;
	struct digest_oids temp_relations;
};

/* Of no rows; the end frees what it took to read them. */
void database_digest_init(struct database_digest *digest);
void database_digest_fini(struct database_digest *digest);
/* One row of an answer to question QUESTION of tbl/catalog_questions.h; the questions
 * come in their order.  Without memory a temporary table may count after all. */
void database_digest_row(struct database_digest *digest, size_t question,
			 const char *const *values, size_t n);
/* Whether the relations, functions and types of A and B are the same. */
bool database_digest_has_shape(const struct database_digest *a,
			       const struct database_digest *b);
bool database_digest_is_equal(const struct database_digest *a,
			      const struct database_digest *b);
