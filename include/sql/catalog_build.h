#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* How a catalogue snapshot is built: for catalog_*.c only.
 *
 * Rows come question by question, in the order of tbl/catalog_questions.h; what a
 * question needs of an earlier one is sorted when that one is left.  Relations are
 * sorted by oid and known by their index from then on.  Finishing spreads over each
 * tree what its members said, then follows the foreign keys. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"
#include "sql/catalog.h"
#include "sql/catalog_data.h"
#include "sql/name_index.h"
#include "sql/relations.h"

#define CATALOG_MAX_COLUMNS 1664 /* more than PostgreSQL's 1600 */
#define CATALOG_MAX_ITEMS   ((uint32_t)1 << 28)

enum catalog_question_id {
#define CATALOG_QUESTION(name, n_columns, ...) CATALOG_Q_##name,
#include "tbl/catalog_questions.h"
#undef CATALOG_QUESTION
	CATALOG_N_QUESTIONS,
};

/* A string that is kept once. */
struct catalog_name {
	const char *text;
	bool is_function; /* of a user's function that is not known to be harmless */
};

struct catalog_fk {
	uint32_t from;	/* index of the relation that is referred to */
	uint32_t to;	/* index of the one that refers, and that actions write */
	char on_delete; /* pg_constraint.confdeltype: a r c n d */
	char on_update;
};

struct catalog_trigger_function {
	uint32_t oid;
	enum trigger_danger danger;
	bool sets; /* see trigger_source_sets() */
};

struct catalog_builder {
	struct catalog *catalog; /* owned; NULL: handed out by finish */
	size_t max_bytes;
	size_t list_bytes; /* of all lists */
	size_t question;   /* whose rows come now */
	int error;	   /* the first failure of push or keep: -ENOMEM, -ENOBUFS */
	CATALOG_LIST(struct catalog_name) names;
	struct name_index name_index;
	CATALOG_LIST(struct catalog_fk) fks;
	CATALOG_LIST(struct catalog_trigger_function) trigger_functions; /* by oid */
	struct relation_column *columns; /* owned; of column_relation, so far */
	uint16_t n_columns;
	uint32_t column_relation; /* index, or CATALOG_NONE */
};

/* A zeroed item at the end of a list, or NULL with builder->error set. */
#define CATALOG_PUSH(builder, list)                                     \
	((__typeof__((list)->items))catalog_builder_push(               \
	    builder, (void **)&(list)->items, &(list)->n, &(list)->cap, \
	    sizeof(*(list)->items)))
void *catalog_builder_push(struct catalog_builder *builder, void **items, uint32_t *n,
			   uint32_t *cap, size_t size);
/* The string, kept once in the snapshot's arena; NULL with builder->error set. */
struct catalog_name *catalog_builder_keep(struct catalog_builder *builder,
					  struct span text);
/* The kept string, or NULL. */
struct catalog_name *catalog_builder_kept(const struct catalog_builder *builder,
					  struct span text);

/* catalog_rows.c, catalog_code.c: takes one row, which has as many columns as the table
 * says. */
#define CATALOG_QUESTION(name, n_columns, ...)                   \
	int catalog_take_##name(struct catalog_builder *builder, \
				const char *const *values) MUST_CHECK;
#include "tbl/catalog_questions.h"
#undef CATALOG_QUESTION
/* All rows of that question have come. */
int catalog_leave_schemas(struct catalog_builder *builder) MUST_CHECK;
int catalog_leave_relations(struct catalog_builder *builder) MUST_CHECK;
int catalog_leave_columns(struct catalog_builder *builder) MUST_CHECK;
int catalog_leave_types(struct catalog_builder *builder) MUST_CHECK;
int catalog_leave_trigger_functions(struct catalog_builder *builder) MUST_CHECK;

/* catalog_trees.c: every relation is a tree of its own. */
void catalog_trees_begin(struct catalog *catalog);
/* CHILD inherits from PARENT. */
void catalog_trees_link(struct catalog *catalog, struct catalog_relation *child,
			struct catalog_relation *parent);
/* Roots, what members share, columns. */
void catalog_trees_close(struct catalog_builder *builder);
/* catalog_fks.c: what foreign key actions reach; after the trees. */
int catalog_fks_close(struct catalog_builder *builder) MUST_CHECK;
