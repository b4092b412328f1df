/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "sql/catalog_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sql/catalog_sql.h"

static const struct catalog_question question_texts[] = {
#define CATALOG_QUESTION(name, n_columns, ...) { #name, __VA_ARGS__ },
#include "tbl/catalog_questions.h"
#undef CATALOG_QUESTION
};

static const uint8_t question_columns[] = {
#define CATALOG_QUESTION(name, n_columns, ...) n_columns,
#include "tbl/catalog_questions.h"
#undef CATALOG_QUESTION
};

typedef int catalog_take_fn(struct catalog_builder *builder, const char *const *values);
static catalog_take_fn *const question_takers[] = {
#define CATALOG_QUESTION(name, n_columns, ...) catalog_take_##name,
#include "tbl/catalog_questions.h"
#undef CATALOG_QUESTION
};

const struct catalog_question *catalog_questions(size_t *n_out)
{
	*n_out = ARRAY_LEN(question_texts);
	return question_texts;
}

int catalog_builder_new(uint32_t version, uint64_t db_tag, size_t max_bytes,
			struct catalog_builder **out)
{
	struct catalog_builder *builder = calloc(1, sizeof(*builder));
	struct catalog *catalog = calloc(1, sizeof(*catalog));
	if (builder == NULL || catalog == NULL) {
		free(builder);
		free(catalog);
		return -ENOMEM;
	}
	atomic_init(&catalog->refs, 1);
	catalog->version = version;
	catalog->db_tag = db_tag;
	arena_init(&catalog->arena, max_bytes);
	builder->catalog = catalog;
	builder->max_bytes = max_bytes;
	builder->column_relation = CATALOG_NONE;
	*out = builder;
	return 0;
}

void catalog_builder_free(struct catalog_builder *builder)
{
	if (builder == NULL) {
		return;
	}
	catalog_unref(builder->catalog);
	free(builder->names.items);
	name_index_fini(&builder->name_index);
	free(builder->fks.items);
	free(builder->trigger_functions.items);
	free(builder->columns);
	free(builder);
}

void *catalog_builder_push(struct catalog_builder *builder, void **items, uint32_t *n,
			   uint32_t *cap, size_t size)
{
	if (*n == *cap) {
		uint32_t more = *cap < 16 ? 16 : *cap / 2;
		if (*cap > CATALOG_MAX_ITEMS || more * size > builder->max_bytes ||
		    builder->list_bytes > builder->max_bytes - more * size) {
			builder->error = -ENOBUFS;
			return NULL;
		}
		void *grown = reallocarray(*items, (size_t)*cap + more, size);
		if (grown == NULL) {
			builder->error = -ENOMEM;
			return NULL;
		}
		*items = grown;
		*cap += more;
		builder->list_bytes += more * size;
	}
	void *item = (char *)*items + *n * size;
	++*n;
	return memset(item, 0, size);
}

struct catalog_name *catalog_builder_kept(const struct catalog_builder *builder,
					  struct span text)
{
	uint32_t hash = name_index_hash(0, text);
	uint32_t item;
	uint32_t at = 0;
	while ((item = name_index_next(&builder->name_index, hash, &at)) !=
	       NAME_INDEX_END) {
		if (span_eq_str(text, builder->names.items[item].text)) {
			return &builder->names.items[item];
		}
	}
	return NULL;
}

struct catalog_name *catalog_builder_keep(struct catalog_builder *builder,
					  struct span text)
{
	struct catalog_name *name = catalog_builder_kept(builder, text);
	if (name != NULL) {
		return name;
	}
	const char *copy = arena_copy(&builder->catalog->arena, text);
	if (copy == NULL) {
		builder->error = -ENOBUFS;
		return NULL;
	}
	name = CATALOG_PUSH(builder, &builder->names);
	if (name == NULL) {
		return NULL;
	}
	name->text = copy;
	int r = name_index_add(&builder->name_index, name_index_hash(0, text),
			       builder->names.n - 1);
	if (r < 0) {
		builder->error = r;
		return NULL;
	}
	return name;
}

/* Everything that grows with the rows, roughly: an index has two slots an item. */
static size_t catalog_builder_bytes(const struct catalog_builder *builder)
{
	const struct catalog *catalog = builder->catalog;
	size_t n_indexed = (size_t)builder->names.n + catalog->relations.n +
			   catalog->functions.n + catalog->operators.n +
			   catalog->types.n + catalog->usage.n;
	return builder->list_bytes + catalog->arena.used +
	       2 * sizeof(struct name_slot) * n_indexed;
}

/* What the next questions need of the one whose rows have all come. */
static int catalog_builder_leave(struct catalog_builder *builder)
{
	switch (builder->question) {
	case CATALOG_Q_schemas:
		return catalog_leave_schemas(builder);
	case CATALOG_Q_relations:
		return catalog_leave_relations(builder);
	case CATALOG_Q_columns:
		return catalog_leave_columns(builder);
	case CATALOG_Q_types:
		return catalog_leave_types(builder);
	case CATALOG_Q_trigger_functions:
		return catalog_leave_trigger_functions(builder);
	default:
		return 0;
	}
}

static int catalog_builder_reach(struct catalog_builder *builder, size_t question)
{
	while (builder->question < question) {
		int r = catalog_builder_leave(builder);
		if (r < 0) {
			return r;
		}
		builder->question++;
	}
	return 0;
}

int catalog_builder_row(struct catalog_builder *builder, size_t question,
			const char *const *values, size_t n)
{
	require(builder->catalog != NULL);
	if (question >= CATALOG_N_QUESTIONS || question < builder->question ||
	    n != question_columns[question]) {
		return -EPROTO;
	}
	if (builder->error != 0) {
		return builder->error;
	}
	int r = catalog_builder_reach(builder, question);
	if (r == 0) {
		r = question_takers[question](builder, values);
	}
	if (r == 0 && catalog_builder_bytes(builder) > builder->max_bytes) {
		r = -ENOBUFS;
	}
	if (r < 0) {
		builder->error = r;
	}
	return r;
}

int catalog_builder_finish(struct catalog_builder *builder, struct catalog **out)
{
	require(builder->catalog != NULL);
	int r = builder->error;
	if (r == 0) {
		r = catalog_builder_reach(builder, CATALOG_N_QUESTIONS);
	}
	if (r == 0) {
		catalog_trees_close(builder);
		r = catalog_fks_close(builder);
	}
	if (r == 0 && catalog_builder_bytes(builder) > builder->max_bytes) {
		r = -ENOBUFS;
	}
	if (r < 0) {
		builder->error = r;
		return r;
	}
	*out = steal(&builder->catalog);
	return 0;
}
