#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The syntax tree as libpg_query gives it, read by the names of its node types and
 * fields (SelectStmt, where_clause), so that one source works with libpg_query 13
 * to 17.  A field that this release does not have reads as absent.  src/sql/tree.c is
 * the only file that knows the library. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct node;
struct tree;

enum {
	TREE_E_SYNTAX = 1, /* the library refused the text */
};

/* Parses TEXT, zero-terminated, and takes its fingerprint.  0, TREE_E_SYNTAX, -ENOMEM.
 * Recurses: the text must have passed the scanner's depth limit. */
int tree_parse(const char *text, struct tree **tree_out) MUST_CHECK;
/* Frees the tree and with it all nodes and strings; NULL is fine. */
void tree_free(struct tree *tree);

size_t tree_n_statements(const struct tree *tree);
/* The I-th statement's node. */
const struct node *tree_statement(const struct tree *tree, size_t i);
/* The I-th statement's place in the text: bytes before it and its length, 0: to the
 * end. */
void tree_statement_span(const struct tree *tree, size_t i, size_t *at_out,
			 size_t *len_out);

/* libpg_query's fingerprint of TEXT; 0 when it has none. */
uint64_t tree_fingerprint(const char *text);

/* "SelectStmt", "A_Expr"...; "" for NULL. */
const char *node_type(const struct node *node);
bool node_is(const struct node *node, const char *type);
/* The child message in FIELD, out of its Node wrapper; NULL when absent.  NULL nodes
 * give NULL, so chains need no checks. */
const struct node *node_get(const struct node *node, const char *field);
size_t node_count(const struct node *node, const char *field);
const struct node *node_at(const struct node *node, const char *field, size_t i);
/* A string field, "" when absent. */
const char *node_str(const struct node *node, const char *field);
int64_t node_int(const struct node *node, const char *field);
bool node_bool(const struct node *node, const char *field);
/* The name of an enum field's value ("AEXPR_OP"), "" when absent or unset. */
const char *node_enum(const struct node *node, const char *field);
bool node_enum_is(const struct node *node, const char *field, const char *value);
/* The value of a String node; NULL when NODE is something else. */
const char *node_string(const struct node *node);

/* Calls FN for each child message, with the field it is in, in order. */
typedef void (*node_child_fn)(void *arg, const struct node *child, const char *field);
void node_children(const struct node *node, node_child_fn fn, void *arg);

enum node_const_kind {
	NODE_CONST_NONE, /* not an A_Const */
	NODE_CONST_NULL,
	NODE_CONST_STRING,
	NODE_CONST_NUMBER,
	NODE_CONST_BOOL,
	NODE_CONST_BITS,
};
enum node_const_kind node_const_kind(const struct node *node);
/* The text of a string or float constant, the decimal text of an integer (in BUF). */
const char *node_const_text(const struct node *node, char *buf, size_t buf_size);
