/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/database_digest.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"

#define DIGEST_MAX_OIDS ((size_t)1 << 20)

enum digest_question {
#define CATALOG_QUESTION(name, n_columns, ...) DIGEST_##name,
#include "tbl/catalog_questions.h"
#undef CATALOG_QUESTION
	DIGEST_N_QUESTIONS,
};

/* Columns are counted from 1; 0: the question has no such column. */
struct digest_rule {
	uint8_t schema;	  /* oid: rows of temporary schemas do not count */
	uint8_t relation; /* oid: rows of temporary relations do not count */
	uint8_t estimate; /* changes with every ANALYZE */
};

/* clang-format off */
static const struct digest_rule digest_rules[DIGEST_N_QUESTIONS] = {
	[DIGEST_relations]    = { .schema = 2, .estimate = 6 },
	[DIGEST_columns]      = { .relation = 1, .estimate = 9 },
	[DIGEST_parents]      = { .relation = 2 }, /* children of others count */
	[DIGEST_foreign_keys] = { .relation = 1 },
	[DIGEST_functions]    = { .schema = 1 },
	[DIGEST_setters]      = { .schema = 1 },
	[DIGEST_operators]    = { .schema = 1 },
	[DIGEST_types]        = { .schema = 2 },
	[DIGEST_code]         = { .relation = 1 },
	[DIGEST_triggers]     = { .relation = 1 },
	[DIGEST_rules]        = { .relation = 1 },
	[DIGEST_views]        = { .relation = 1 },
};
/* clang-format on */

/* Sets of oids */

static uint32_t digest_oid(const char *text)
{
	return text != NULL ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

static void digest_oids_add(struct digest_oids *oids, uint32_t oid)
{
	if (oids->n == oids->cap) {
		size_t cap = oids->cap ? oids->cap * 2 : 64;
		uint32_t *at = cap <= DIGEST_MAX_OIDS
				   ? realloc(oids->at, cap * sizeof(*at))
				   : NULL;
		if (at == NULL) {
			return;
		}
		oids->at = at;
		oids->cap = cap;
	}
	oids->at[oids->n++] = oid;
	oids->is_sorted = false;
}

static int digest_compare_oids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static bool digest_oids_has(struct digest_oids *oids, const char *text)
{
	if (oids->n == 0) {
		return false;
	}
	if (!oids->is_sorted) {
		qsort(oids->at, oids->n, sizeof(*oids->at), digest_compare_oids);
		oids->is_sorted = true;
	}
	uint32_t oid = digest_oid(text);
	return bsearch(&oid, oids->at, oids->n, sizeof(*oids->at),
		       digest_compare_oids) != NULL;
}

/* Rows */

static bool digest_is_temp(struct database_digest *digest, size_t question,
			   const char *const *values, size_t n)
{
	static const char temp[] = "pg_temp_";
	const struct digest_rule *rule = &digest_rules[question];
	if (question == DIGEST_schemas && n > 1 && values[1] != NULL &&
	    strncmp(values[1], temp, sizeof(temp) - 1) == 0) {
		digest_oids_add(&digest->temp_schemas, digest_oid(values[0]));
		return true;
	}
	if (rule->relation > 0 && rule->relation <= n &&
	    digest_oids_has(&digest->temp_relations, values[rule->relation - 1])) {
		return true;
	}
	if (rule->schema == 0 || rule->schema > n ||
	    !digest_oids_has(&digest->temp_schemas, values[rule->schema - 1])) {
		return false;
	}
	if (question == DIGEST_relations) {
		digest_oids_add(&digest->temp_relations, digest_oid(values[0]));
	}
	return true;
}

/* The same for estimates that differ by less than about eight times.  Below zero they
 * are parts of a whole. */
static int32_t digest_round(const char *text)
{
	double v = text != NULL ? strtod(text, NULL) : 0;
	bool is_part = v < 0;
	v = is_part ? v * -1000 : v;
	if (!(v > 0)) {
		return 0;
	}
	int32_t size = 1;
	while (v >= 8 && size < 100) {
		v /= 8;
		size++;
	}
	return is_part ? -size : size;
}

static XXH128_hash_t digest_hash(size_t question, const char *const *values, size_t n)
{
	const struct digest_rule *rule = &digest_rules[question];
	XXH3_state_t state;
	uint64_t first = question;
	(void)XXH3_128bits_reset(&state);
	(void)XXH3_128bits_update(&state, &first, sizeof(first));
	for (size_t i = 0; i < n; i++) {
		if (i + 1 == rule->estimate) {
			continue;
		}
		/* a length that no text has stands for NULL */
		uint64_t len = values[i] != NULL ? strlen(values[i]) : UINT64_MAX;
		(void)XXH3_128bits_update(&state, &len, sizeof(len));
		if (values[i] != NULL) {
			(void)XXH3_128bits_update(&state, values[i], (size_t)len);
		}
	}
	return XXH3_128bits_digest(&state);
}

void database_digest_row(struct database_digest *digest, size_t question,
			 const char *const *values, size_t n)
{
	require(question < DIGEST_N_QUESTIONS);
	if (digest_is_temp(digest, question, values, n)) {
		return;
	}
	XXH128_hash_t hash = digest_hash(question, values, n);
	digest->shape[0] += hash.low64;
	digest->shape[1] += hash.high64;
	size_t estimate = digest_rules[question].estimate;
	if (estimate > 0 && estimate <= n) {
		int32_t size = digest_round(values[estimate - 1]);
		digest->estimates +=
		    XXH3_64bits_withSeed(&size, sizeof(size), hash.low64);
	}
}

/* Life */

void database_digest_init(struct database_digest *digest)
{
	*digest = (struct database_digest){ 0 };
}

void database_digest_fini(struct database_digest *digest)
{
	free(digest->temp_schemas.at);
	free(digest->temp_relations.at);
	database_digest_init(digest);
}

bool database_digest_has_shape(const struct database_digest *a,
			       const struct database_digest *b)
{
	return a->shape[0] == b->shape[0] && a->shape[1] == b->shape[1];
}

bool database_digest_is_equal(const struct database_digest *a,
			      const struct database_digest *b)
{
	return database_digest_has_shape(a, b) && a->estimates == b->estimates;
}
