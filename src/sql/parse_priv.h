#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Shared by the parse_*.c files only. */

#include "sql/parse.h"
#include "sql/tree.h"

/* A common table expression in scope. */
struct scope {
	const struct scope *outer;
	const char *name;
};

/* A walk over one statement. */
struct parse {
	struct arena *arena;
	const struct parse_source *source;
	struct statement *st;
	const struct scope *scope; /* common table expressions visible here */
	uint16_t block;		   /* the query whose FROM names are innermost */
	const struct node *asking; /* the SELECT whose block is statement.top_block */
	bool in_filter;
	bool failed; /* no memory */
};

/* N zeroed bytes of the arena; NULL latches `failed`. */
void *parse_alloc(struct parse *parse, size_t n);
#define PARSE_NEW(parse, type) ((type *)parse_alloc(parse, sizeof(type)))

/* The name in a list of String nodes. */
struct sql_name parse_name(const struct node *node, const char *field);
struct sql_name parse_range_name(const struct node *range);
/* A constant, a parameter, NULL or DEFAULT, with at most one cast. */
struct sql_value parse_value(const struct parse *parse, const struct node *node);
/* COLUMN or QUALIFIER.COLUMN; false for anything else. */
bool parse_column(const struct node *node, struct sql_column *out);

/* Walks an expression or a query: collects names, opens blocks, finds writes. */
void parse_visit(struct parse *parse, const struct node *node);
void parse_visit_list(struct parse *parse, const struct node *node, const char *field);
void parse_select(struct parse *parse, const struct node *select);
void parse_with(struct parse *parse, const struct node *statement);
void parse_from(struct parse *parse, const struct node *item);
/* Keeps the equalities of a conjunction over the references lo <= index < hi. */
void parse_conjuncts(struct parse *parse, const struct node *expr, uint16_t lo,
		     uint16_t hi);
/* NULL past STATEMENT_MAX_REFS or without memory. */
struct sql_ref *parse_add_ref(struct parse *parse, const struct node *range,
			      bool is_target);
uint16_t parse_open_block(struct parse *parse);
void parse_add_function(struct parse *parse, struct sql_name name, bool is_field);

/* INSERT, UPDATE, DELETE, MERGE; false when NODE is none of them. */
bool parse_write(struct parse *parse, const struct node *node);
void parse_truncate(struct parse *parse, const struct node *node);
void parse_copy(struct parse *parse, const struct node *node);

/* SET, RESET, SHOW, DISCARD; and set_config() as the whole of a SELECT. */
void parse_set(struct parse *parse, const struct node *node);
void parse_show(struct parse *parse, const struct node *node);
void parse_discard(struct parse *parse, const struct node *node);
bool parse_set_config(struct parse *parse, const struct node *select);
