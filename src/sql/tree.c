/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "sql/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<pg_query/pg_query.pb-c.h>)
#include <pg_query/pg_query.pb-c.h>
#else /* as upstream installs it */
#include <protobuf/pg_query.pb-c.h>
#endif

/* A struct node is a ProtobufCMessage by another name. */
struct tree {
	PgQuery__ParseResult *result; /* owned */
};

static const ProtobufCMessage *node_message(const struct node *node)
{
	return (const void *)node;
}

static const struct node *node_wrap(const ProtobufCMessage *m)
{
	return (const void *)m;
}

int tree_parse(const char *text, struct tree **tree_out)
{
	PgQueryProtobufParseResult r = pg_query_parse_protobuf(text);
	if (r.error != NULL) {
		pg_query_free_protobuf_parse_result(r);
		return TREE_E_SYNTAX;
	}
	struct tree *tree = calloc(1, sizeof(*tree));
	if (tree != NULL) {
		tree->result = pg_query__parse_result__unpack(
		    NULL, r.parse_tree.len, (const uint8_t *)r.parse_tree.data);
	}
	pg_query_free_protobuf_parse_result(r);
	if (tree == NULL || tree->result == NULL) {
		free(tree);
		return -ENOMEM;
	}
	*tree_out = tree;
	return 0;
}

void tree_free(struct tree *tree)
{
	if (tree != NULL) {
		pg_query__parse_result__free_unpacked(tree->result, NULL);
		free(tree);
	}
}

uint64_t tree_fingerprint(const char *text)
{
	PgQueryFingerprintResult r = pg_query_fingerprint(text);
	uint64_t fingerprint = r.error == NULL ? r.fingerprint : 0;
	pg_query_free_fingerprint_result(r);
	return fingerprint;
}

size_t tree_n_statements(const struct tree *tree)
{
	return tree->result->n_stmts;
}

const struct node *tree_statement(const struct tree *tree, size_t i)
{
	require(i < tree->result->n_stmts);
	return node_get(node_wrap(&tree->result->stmts[i]->base), "stmt");
}

void tree_statement_span(const struct tree *tree, size_t i, size_t *at_out,
			 size_t *len_out)
{
	require(i < tree->result->n_stmts);
	const PgQuery__RawStmt *raw = tree->result->stmts[i];
	*at_out = raw->stmt_location > 0 ? (size_t)raw->stmt_location : 0;
	*len_out = raw->stmt_len > 0 ? (size_t)raw->stmt_len : 0;
}

/* The member of a field in the message's C struct. */
static const void *node_member(const struct node *node, unsigned offset)
{
	return (const char *)(const void *)node + offset;
}

static uint32_t node_quantifier(const struct node *node,
				const ProtobufCFieldDescriptor *f)
{
	uint32_t n;
	memcpy(&n, node_member(node, f->quantifier_offset), sizeof(n));
	return n;
}

/* Whether a field holds something; oneofs share their place. */
static bool node_is_set(const struct node *node, const ProtobufCFieldDescriptor *f)
{
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		return node_quantifier(node, f) == f->id;
	}
	return true;
}

static const ProtobufCFieldDescriptor *node_field(const struct node *node,
						  const char *name)
{
	if (node == NULL) {
		return NULL;
	}
	const ProtobufCFieldDescriptor *f =
	    protobuf_c_message_descriptor_get_field_by_name(
		node_message(node)->descriptor, name);
	return f != NULL && node_is_set(node, f) ? f : NULL;
}

/* Goes through the Node wrapper to the message in it. */
static const struct node *node_unwrap(const ProtobufCMessage *m)
{
	if (m == NULL || m->descriptor != &pg_query__node__descriptor) {
		return node_wrap(m);
	}
	const PgQuery__Node *wrapper = (const void *)m;
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(
	    m->descriptor, (unsigned)wrapper->node_case);
	if (f == NULL) {
		return NULL;
	}
	const ProtobufCMessage *inner;
	memcpy(&inner, node_member(node_wrap(m), f->offset), sizeof(inner));
	return node_wrap(inner);
}

const char *node_type(const struct node *node)
{
	/* The short name has no underscores (AConst): take the full one. */
	static const char package[] = "pg_query.";
	const char *name = node == NULL ? "" : node_message(node)->descriptor->name;
	return strncmp(name, package, sizeof(package) - 1) == 0
		   ? name + sizeof(package) - 1
		   : name;
}

bool node_is(const struct node *node, const char *type)
{
	return strcmp(node_type(node), type) == 0;
}

const struct node *node_get(const struct node *node, const char *field)
{
	const ProtobufCFieldDescriptor *f = node_field(node, field);
	if (f == NULL || f->type != PROTOBUF_C_TYPE_MESSAGE ||
	    f->label == PROTOBUF_C_LABEL_REPEATED) {
		return NULL;
	}
	const ProtobufCMessage *m;
	memcpy(&m, node_member(node, f->offset), sizeof(m));
	return node_unwrap(m);
}

size_t node_count(const struct node *node, const char *field)
{
	const ProtobufCFieldDescriptor *f = node_field(node, field);
	if (f == NULL || f->label != PROTOBUF_C_LABEL_REPEATED) {
		return 0;
	}
	size_t n;
	memcpy(&n, node_member(node, f->quantifier_offset), sizeof(n));
	return n;
}

static const struct node *node_element(const struct node *node,
				       const ProtobufCFieldDescriptor *f, size_t i)
{
	ProtobufCMessage *const *array;
	memcpy(&array, node_member(node, f->offset), sizeof(array));
	return node_unwrap(array[i]);
}

const struct node *node_at(const struct node *node, const char *field, size_t i)
{
	if (i >= node_count(node, field)) {
		return NULL;
	}
	const ProtobufCFieldDescriptor *f = node_field(node, field);
	return f != NULL && f->type == PROTOBUF_C_TYPE_MESSAGE
		   ? node_element(node, f, i)
		   : NULL;
}

const char *node_str(const struct node *node, const char *field)
{
	const ProtobufCFieldDescriptor *f = node_field(node, field);
	if (f == NULL || f->type != PROTOBUF_C_TYPE_STRING ||
	    f->label == PROTOBUF_C_LABEL_REPEATED) {
		return "";
	}
	const char *s;
	memcpy(&s, node_member(node, f->offset), sizeof(s));
	return s == NULL ? "" : s;
}

int64_t node_int(const struct node *node, const char *field)
{
	const ProtobufCFieldDescriptor *f = node_field(node, field);
	if (f == NULL || f->label == PROTOBUF_C_LABEL_REPEATED) {
		return 0;
	}
	const void *at = node_member(node, f->offset);
	int32_t i32;
	int64_t i64;
	switch ((int)f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_ENUM:
		memcpy(&i32, at, sizeof(i32));
		return i32;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		memcpy(&i64, at, sizeof(i64));
		return i64;
	default:
		return 0;
	}
}

bool node_bool(const struct node *node, const char *field)
{
	const ProtobufCFieldDescriptor *f = node_field(node, field);
	if (f == NULL || f->type != PROTOBUF_C_TYPE_BOOL ||
	    f->label == PROTOBUF_C_LABEL_REPEATED) {
		return false;
	}
	protobuf_c_boolean b;
	memcpy(&b, node_member(node, f->offset), sizeof(b));
	return b != 0;
}

const char *node_enum(const struct node *node, const char *field)
{
	const ProtobufCFieldDescriptor *f = node_field(node, field);
	if (f == NULL || f->type != PROTOBUF_C_TYPE_ENUM) {
		return "";
	}
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(
	    f->descriptor, (int)node_int(node, field));
	return v == NULL ? "" : v->name;
}

bool node_enum_is(const struct node *node, const char *field, const char *value)
{
	return strcmp(node_enum(node, field), value) == 0;
}

const char *node_string(const struct node *node)
{
	if (!node_is(node, "String")) {
		return NULL;
	}
	const char *s = node_str(node, "sval"); /* 15 and later */
	return *s != '\0' ? s : node_str(node, "str");
}

void node_children(const struct node *node, node_child_fn fn, void *arg)
{
	if (node == NULL) {
		return;
	}
	const ProtobufCMessageDescriptor *d = node_message(node)->descriptor;
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		if (f->type != PROTOBUF_C_TYPE_MESSAGE || !node_is_set(node, f)) {
			continue;
		}
		if (f->label != PROTOBUF_C_LABEL_REPEATED) {
			const struct node *child = node_get(node, f->name);
			if (child != NULL) {
				fn(arg, child, f->name);
			}
			continue;
		}
		size_t n = node_count(node, f->name);
		for (size_t k = 0; k < n; k++) {
			const struct node *child = node_element(node, f, k);
			if (child != NULL) {
				fn(arg, child, f->name);
			}
		}
	}
}

/* The value inside an A_Const: a oneof since 15, a Node called val before. */
static const struct node *node_const_value(const struct node *node)
{
	static const char *const fields[] = { "val",	 "ival", "fval",
					      "boolval", "sval", "bsval" };
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct node *v = node_get(node, fields[i]);
		if (v != NULL) {
			return v;
		}
	}
	return NULL;
}

enum node_const_kind node_const_kind(const struct node *node)
{
	if (!node_is(node, "A_Const")) {
		return NODE_CONST_NONE;
	}
	if (node_bool(node, "isnull")) {
		return NODE_CONST_NULL;
	}
	const char *type = node_type(node_const_value(node));
	if (strcmp(type, "String") == 0) {
		return NODE_CONST_STRING;
	}
	if (strcmp(type, "Integer") == 0 || strcmp(type, "Float") == 0) {
		return NODE_CONST_NUMBER;
	}
	if (strcmp(type, "Boolean") == 0) {
		return NODE_CONST_BOOL;
	}
	return strcmp(type, "Null") == 0 ? NODE_CONST_NULL : NODE_CONST_BITS;
}

const char *node_const_text(const struct node *node, char *buf, size_t buf_size)
{
	const struct node *v = node_const_value(node);
	if (node_is(v, "Integer")) {
		(void)snprintf(buf, buf_size, "%" PRId64, node_int(v, "ival"));
		return buf;
	}
	if (node_is(v, "Float")) {
		const char *s = node_str(v, "fval");
		return *s != '\0' ? s : node_str(v, "str");
	}
	if (node_is(v, "Boolean")) {
		return node_bool(v, "boolval") ? "true" : "false";
	}
	const char *s = node_string(v);
	return s == NULL ? "" : s;
}
