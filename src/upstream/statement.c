/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/statement.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sql/plan.h"

#define STATEMENT_FIRST_BUCKETS 64U

struct statement_table {
	struct dlist *buckets; /* owned */
	uint32_t n_buckets;    /* power of two */
	uint32_t n;	       /* with the unused ones */
	uint32_t n_unused;
	struct dlist unused; /* oldest first */
	size_t max_bytes;    /* of all tables together */
};

/* Unique in the process: a server connection may change workers. */
static _Atomic uint64_t statement_last_id;
static _Atomic uint64_t statement_last_parse_id;
static _Atomic size_t statement_bytes; /* of all statements of the process */

static struct dlist *statement_buckets_new(uint32_t n)
{
	struct dlist *buckets = malloc(n * sizeof(*buckets));
	for (uint32_t i = 0; buckets != NULL && i < n; i++) {
		dlist_init(&buckets[i]);
	}
	return buckets;
}

int statement_table_new(struct statement_table **out)
{
	struct statement_table *table = calloc(1, sizeof(*table));
	if (table == NULL) {
		return -ENOMEM;
	}
	table->n_buckets = STATEMENT_FIRST_BUCKETS;
	table->max_bytes = SIZE_MAX;
	dlist_init(&table->unused);
	table->buckets = statement_buckets_new(table->n_buckets);
	if (table->buckets == NULL) {
		free(table);
		return -ENOMEM;
	}
	*out = table;
	return 0;
}

static size_t statement_size(const struct statement *s)
{
	return sizeof(*s) + s->text_len + 1 + s->types_len;
}

/* Frees the one that has been without a reference for longest. */
static void statement_drop_unused(struct statement_table *table)
{
	struct dlist *oldest = dlist_pop_head(&table->unused);
	require(oldest != NULL);
	struct statement *s = container_of(oldest, struct statement, unused);
	require(s->refs == 0);
	table->n_unused--;
	table->n--;
	dlist_remove(&s->link);
	atomic_fetch_sub(&statement_bytes, statement_size(s));
	free(s->told_types);
	free(s);
}

void statement_table_limit(struct statement_table *table, size_t max_bytes)
{
	table->max_bytes = max_bytes;
}

bool statement_is_surplus(struct statement_table *table, size_t size)
{
	size += sizeof(struct statement) + 1;
	while (table->n_unused > 0 &&
	       atomic_load(&statement_bytes) + size > table->max_bytes) {
		statement_drop_unused(table);
	}
	return atomic_load(&statement_bytes) + size > table->max_bytes;
}

void statement_table_free(struct statement_table *table)
{
	if (table == NULL) {
		return;
	}
	while (table->n_unused > 0) {
		statement_drop_unused(table);
	}
	require(table->n == 0);
	free(table->buckets);
	free(table);
}

/* Without memory the table only becomes slower. */
SELDOM static void statement_table_grow(struct statement_table *table)
{
	uint32_t n = table->n_buckets * 2;
	struct dlist *buckets = statement_buckets_new(n);
	if (buckets == NULL) {
		return;
	}
	for (uint32_t i = 0; i < table->n_buckets; i++) {
		struct dlist *l;
		while ((l = dlist_pop_head(&table->buckets[i])) != NULL) {
			struct statement *s = container_of(l, struct statement, link);
			dlist_push_tail(&buckets[s->hash & (n - 1)], l);
		}
	}
	free(table->buckets);
	table->buckets = buckets;
	table->n_buckets = n;
}

static struct statement *statement_new(struct span text, struct span types,
				       uint64_t hash)
{
	struct statement *s = calloc(1, sizeof(*s) + text.n + 1 + types.n);
	if (s == NULL) {
		return NULL;
	}
	s->id = atomic_fetch_add(&statement_last_id, 1) + 1;
	s->hash = hash;
	s->refs = 1;
	s->text_len = (uint32_t)text.n;
	s->types_len = (uint32_t)types.n;
	if (text.n > 0) {
		memcpy(s->bytes, text.p, text.n);
	}
	if (types.n > 0) {
		memcpy(s->bytes + text.n + 1, types.p, types.n);
	}
	snprintf(s->name, sizeof(s->name), STATEMENT_NAME_FORMAT,
		 (unsigned long long)s->id);
	return s;
}

uint64_t statement_own_parse_id(void)
{
	return atomic_fetch_add(&statement_last_parse_id, 1) + 1;
}

/* The identity of a statement, but for its text. */
struct statement_key {
	struct span types;
	uint64_t parse_id;
	uint64_t shape;
};

static struct statement *statement_find(struct statement_table *table, struct span text,
					const struct statement_key *key,
					bool is_limited)
{
	struct span types = key->types;
	uint64_t parse_id = key->parse_id;
	uint64_t shape = key->shape;
	if (text.n > UINT32_MAX / 2 || types.n > UINT32_MAX / 2) {
		return NULL;
	}
	uint64_t hash = XXH3_64bits_withSeed(
	    text.p, text.n, parse_id ^ shape << 32 ^ XXH3_64bits(types.p, types.n));
	struct dlist *bucket = &table->buckets[hash & (table->n_buckets - 1)];
	dlist_each (l, tmp, bucket) {
		struct statement *s = container_of(l, struct statement, link);
		if (s->hash == hash && s->parse_id == parse_id && s->shape == shape &&
		    span_eq(statement_text(s), text) &&
		    span_eq(statement_types(s), types)) {
			if (s->refs == 0) {
				dlist_remove(&s->unused);
				table->n_unused--;
			}
			s->refs++;
			return s;
		}
	}
	if (is_limited && statement_is_surplus(table, text.n + types.n)) {
		return NULL;
	}
	struct statement *s = statement_new(text, types, hash);
	if (s == NULL) {
		return NULL;
	}
	atomic_fetch_add(&statement_bytes, statement_size(s));
	dlist_init(&s->unused);
	s->table = table;
	s->parse_id = parse_id;
	s->shape = shape;
	dlist_push_head(bucket, &s->link);
	if (++table->n > table->n_buckets) {
		statement_table_grow(table);
	}
	return s;
}

struct statement *statement_intern(struct statement_table *table, struct span text,
				   struct span types, uint64_t parse_id, uint64_t shape)
{
	const struct statement_key key = { types, parse_id, shape };
	return statement_find(table, text, &key, true);
}

struct statement *statement_reread(struct statement *statement, uint64_t parse_id)
{
	const struct statement_key key = { statement_types(statement), parse_id,
					   statement->shape };
	struct statement *fresh =
	    statement_find(statement->table, statement_text(statement), &key, false);
	if (fresh != NULL && statement->told_types != NULL) {
		statement_told(fresh, statement_told_types(statement));
	}
	return fresh;
}

struct statement *statement_ref(struct statement *statement)
{
	require(statement->refs > 0);
	statement->refs++;
	return statement;
}

void statement_unref(struct statement *statement)
{
	if (statement == NULL) {
		return;
	}
	require(statement->refs > 0);
	if (--statement->refs > 0) {
		return;
	}
	struct statement_table *table = statement->table;
	plan_unref(steal(&statement->plan));
	free(steal(&statement->consts));
	statement->n_consts = 0;
	dlist_push_tail(&table->unused, &statement->unused);
	table->n_unused++;
	while (table->n_unused > STATEMENT_MAX_UNUSED ||
	       (table->n_unused > 0 &&
		atomic_load(&statement_bytes) > table->max_bytes / 4)) {
		statement_drop_unused(table);
	}
}

/* The parameter types in COUNTED, without their count. */
static struct span statement_uncounted(struct span counted)
{
	return counted.n >= 2 ? span_skip(counted, 2) : counted;
}

void statement_told(struct statement *statement, struct span body)
{
	size_t n = body.n >= 2 ? 2 + 4 * (size_t)(body.p[0] << 8 | body.p[1]) : 0;
	if (n == 0 || n != body.n || statement->told_types != NULL) {
		return;
	}
	statement->told_types = malloc(n);
	if (statement->told_types != NULL) {
		memcpy(statement->told_types, body.p, n);
	}
}

struct span statement_told_types(const struct statement *statement)
{
	const uint8_t *told = statement->told_types;
	return told == NULL ? span_make(NULL, 0)
			    : span_make(told, 2 + 4 * (size_t)(told[0] << 8 | told[1]));
}

struct span statement_parse_types(const struct statement *statement)
{
	return statement_uncounted(statement->told_types != NULL
				       ? statement_told_types(statement)
				       : statement_types(statement));
}
