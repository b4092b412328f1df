#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* How a catalogue snapshot is laid out and built: for catalog*.c and relations.c only.
 *
 * Rows come question by question, in the order of tbl/catalog_questions.h; what a
 * question needs of an earlier one is sorted when that one is left.  Relations are
 * sorted by oid and known by their index from then on.  Finishing spreads over each
 * tree what its members said, then follows the foreign keys. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/span.h"
#include "sql/catalog.h"
#include "sql/name_index.h"
#include "sql/plan.h"
#include "sql/relations.h"

#define CATALOG_NONE	    UINT32_MAX /* no index */
#define CATALOG_MAX_SCHEMAS 65535
#define CATALOG_MAX_COLUMNS 1664 /* more than PostgreSQL's 1600 */
#define CATALOG_MAX_ITEMS   ((uint32_t)1 << 28)

enum catalog_question_id {
#define CATALOG_QUESTION(name, n_columns, ...) CATALOG_Q_##name,
#include "tbl/catalog_questions.h"
#undef CATALOG_QUESTION
	CATALOG_N_QUESTIONS,
};

#define CATALOG_LIST(type)               \
	struct {                         \
		type *items; /* owned */ \
		uint32_t n;              \
		uint32_t cap;            \
	}

struct catalog_schema {
	const char *name;
	uint32_t oid;
	bool is_public; /* everybody may use it */
	bool is_system;
};

struct catalog_role {
	const char *name;
	bool is_super;
};

struct catalog_usage {
	uint32_t role;
	uint16_t schema;
};

struct catalog_relation {
	struct relation pub;
	struct relation_column *columns; /* pub.columns, to be filled in */
	double own_rows;
	uint32_t parent; /* index of the first one, or CATALOG_NONE */
	uint32_t tree; /* union-find: a member nearer to the lowest index of the tree */
	uint32_t root; /* index of the tree's root, when trees are closed */
	uint16_t schema;
	bool has_more_parents; /* than `parent` */
	bool any_referenced;   /* of a root: any UPDATE may set off foreign keys */
	bool moves_rows; /* partitioned: an UPDATE may delete here and insert there */
};

struct catalog_function {
	const char *name;
	struct function_info info;
	uint16_t schema;
};

struct catalog_operator {
	const char *name;
	struct operator_info info;
};

struct catalog_type {
	const char *name;
	struct type_info info;
	uint32_t base;	  /* of a domain: oid */
	uint32_t subtype; /* of a range: oid */
	uint16_t schema;
	char kind; /* pg_type.typtype */
	bool is_closed;
};

struct catalog {
	atomic_uint refs;
	uint32_t version;
	uint64_t db_tag;
	struct arena arena; /* names, columns, view definitions */
	CATALOG_LIST(struct catalog_schema) schemas; /* by oid */
	CATALOG_LIST(struct catalog_role) roles;
	CATALOG_LIST(struct catalog_usage) usage;
	CATALOG_LIST(struct catalog_relation) relations; /* by oid */
	CATALOG_LIST(struct catalog_function) functions;
	CATALOG_LIST(struct catalog_operator) operators;
	CATALOG_LIST(struct catalog_type) types; /* by oid */
	struct name_index schema_names;
	struct name_index role_names;
	struct name_index usage_names; /* space: schema; name: the role's */
	struct name_index
	    relation_names; /* this and the next ones: space is the schema */
	struct name_index function_names;
	struct name_index operator_names; /* space 0 */
	struct name_index type_names;
	uint32_t n_user_relations;
	bool has_hidden_volatile;
	bool has_setters;      /* functions, other than triggers' */
	bool has_setting_code; /* what runs with a write of some relation sets */
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

/* ITEMS have SIZE bytes each, with their oid at OFFSET. */
void catalog_sort_oids(void *items, size_t n, size_t size, size_t offset);
/* Index of the item with that oid, or CATALOG_NONE; the items are sorted. */
uint32_t catalog_oid_index(const void *items, uint32_t n, size_t size, size_t offset,
			   uint32_t oid);
uint32_t catalog_schema_index(const struct catalog *catalog, uint32_t oid);
uint32_t catalog_relation_index(const struct catalog *catalog, uint32_t oid);
uint32_t catalog_type_index(const struct catalog *catalog, uint32_t oid);
/* Index of the named schema or role, or CATALOG_NONE. */
uint32_t catalog_schema_named(const struct catalog *catalog, struct span name);
uint32_t catalog_role_named(const struct catalog *catalog, struct span name);
/* How values of the type are made canonical. */
enum canon catalog_canon(uint32_t type, bool is_deterministic);

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
