#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the parser has to say of one statement, before names are resolved: which
 * relations, functions, operators and types it names and where, which columns are fixed
 * by equality, which rows it writes.  Everything lives in the arena that it was parsed
 * into. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/span.h"
#include "sql/plan.h"

#define STATEMENT_MAX_VALUES 8	  /* constants in an IN list that may be a key */
#define STATEMENT_MAX_ROWS   100  /* rows of INSERT ... VALUES that are looked at */
#define STATEMENT_MAX_REFS   1000 /* relation references in one statement */

struct node;

/* A name with at most one qualifier; "" when absent. */
struct sql_name {
	const char *schema;
	const char *name;
	bool has_catalog; /* three parts: database.schema.name */
};

enum sql_value_kind {
	SQL_VALUE_OTHER, /* an expression */
	SQL_VALUE_CONST,
	SQL_VALUE_PARAM,
	SQL_VALUE_NULL,
	SQL_VALUE_DEFAULT,
};

/* A value as it stands in the text: a constant or a parameter, perhaps with one cast.
 */
struct sql_value {
	enum sql_value_kind kind;
	uint16_t index; /* of the constant or the parameter, 0-based */
	bool is_string; /* a quoted constant */
	bool has_cast;
	bool cast_modified; /* varchar(3), text[]: the cast may change the value */
	struct sql_name cast;
};

/* A relation that is read or written, in FROM or as a target. */
struct sql_ref {
	struct sql_ref *next;
	struct sql_name name;
	const char *alias; /* "" without one */
	uint16_t index;
	uint16_t block;
	bool renamed;	/* its columns may go by other names */
	bool is_target; /* of INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY FROM */
};

struct sql_column {
	const char *qualifier; /* "" without one */
	const char *name;
};

/* column = value, or column IN (values), that every row of the block must satisfy. */
struct sql_equal {
	struct sql_equal *next;
	struct sql_column column;
	uint16_t block;
	uint16_t
	    ref_lo; /* the column belongs to one of the references lo <= index < hi */
	uint16_t ref_hi;
	uint16_t n_values;
	struct sql_value *values;
};

enum sql_write_op {
	SQL_INSERT,
	SQL_UPDATE,
	SQL_DELETE,
	SQL_MERGE,
	SQL_TRUNCATE,
	SQL_COPY,
};

/* SET column = value. */
struct sql_set {
	struct sql_set *next;
	const char *column;
	struct sql_value value;
};

enum sql_conflict {
	SQL_CONFLICT_NONE, /* also DO NOTHING: such a row is not written */
	SQL_CONFLICT_UPDATE,
};

struct sql_write {
	struct sql_write *next;
	enum sql_write_op op;
	const struct sql_ref *target;
	bool cascade;	  /* TRUNCATE ... CASCADE */
	bool from_values; /* INSERT: rows are known */
	bool has_columns; /* INSERT: a column list was given */
	uint16_t n_columns;
	const char **columns; /* NULL for a part of a column */
	uint16_t n_rows;
	uint16_t n_values;	  /* per row; rows that differ are not from_values */
	struct sql_value *values; /* n_rows * n_values */
	struct sql_set *sets;	  /* UPDATE, and DO UPDATE */
	enum sql_conflict conflict;
	uint16_t n_infer;
	const char **infer; /* columns of ON CONFLICT (..); 0: not known */
};

struct sql_function {
	struct sql_function *next;
	struct sql_name name;
	bool is_field; /* x.name: a column, or a function in attribute notation */
};

struct sql_operator {
	struct sql_operator *next;
	struct sql_name name;
	bool in_filter; /* in WHERE, ON, HAVING or ORDER BY */
};

enum sql_cast_source {
	SQL_CAST_LITERAL, /* of a constant or a parameter */
	SQL_CAST_COLUMN,
	SQL_CAST_FUNCTION, /* of a function's result */
	SQL_CAST_OTHER,
};

struct sql_type {
	struct sql_type *next;
	struct sql_name name;
	uint16_t block;
	enum sql_cast_source source;
	struct sql_column column; /* SQL_CAST_COLUMN */
	struct sql_name function; /* SQL_CAST_FUNCTION */
};

/* A string constant; kept only when asked for, for the definitions of views. */
struct sql_string {
	struct sql_string *next;
	const char *text;
};

struct statement {
	enum plan_kind kind;
	bool is_select; /* READ by SELECT, VALUES or TABLE: may be cached */
	bool locks_rows;
	bool has_sample;
	bool has_time;		/* CURRENT_TIMESTAMP and its like */
	bool has_system_column; /* ctid, xmin...: change without a write */
	bool has_unknown;	/* a node of the tree that we do not know */
	bool has_params;
	bool has_strings;
	bool has_set_config; /* set_config() somewhere in an expression */
	bool merged_columns; /* a join by USING or NATURAL */
	bool over_limit;
	bool writes_all;
	bool suspect;
	bool is_rollback_to;
	bool is_release;
	bool begin_plain;
	bool commit_chain;
	bool has_listen;
	bool deallocate_all;
	bool unpins;
	bool copy_in;
	bool executes;
	bool shows_custom;
	uint8_t pins;
	uint8_t ends; /* pins whose causes it may end */
	enum plan_set_kind set_kind;
	bool set_local;
	const char *set_name;  /* NULL: none */
	const char *set_value; /* NULL: none */
	bool sorted_desc;      /* the outer query: ORDER BY column DESC */
	bool has_limit;
	uint16_t top_block; /* block of the outer query's FROM */
	uint16_t n_blocks;
	uint16_t n_refs;
	struct sql_ref *refs;
	struct sql_equal *equals;
	struct sql_write *writes;
	struct sql_function *functions;
	struct sql_operator *operators;
	struct sql_type *types;
	struct sql_string *strings;
	uint16_t *param_uses; /* by parameter: how often it stands in the statement */
	uint32_t n_params;    /* highest parameter of the text */
};
