/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * SET, RESET, DISCARD and set_config(): the setting's name and its value as
 * set_config() takes it, so that it can be set again on another server connection. */

#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "parse_priv.h"

#define PARSE_MAX_SETTING 65536 /* bytes of one value */
#define PARSE_MAX_SHOWN	  200	/* bytes of a name that is kept for SHOW */

/* Words that PostgreSQL quotes in a list of names: all but the unreserved ones. */
static const char *const parse_keywords[] = {
	"all",
	"analyse",
	"analyze",
	"and",
	"any",
	"array",
	"as",
	"asc",
	"asymmetric",
	"authorization",
	"between",
	"bigint",
	"binary",
	"bit",
	"boolean",
	"both",
	"case",
	"cast",
	"char",
	"character",
	"check",
	"coalesce",
	"collate",
	"collation",
	"column",
	"concurrently",
	"constraint",
	"create",
	"cross",
	"current_catalog",
	"current_date",
	"current_role",
	"current_schema",
	"current_time",
	"current_timestamp",
	"current_user",
	"dec",
	"decimal",
	"default",
	"deferrable",
	"desc",
	"distinct",
	"do",
	"else",
	"end",
	"except",
	"exists",
	"extract",
	"false",
	"fetch",
	"float",
	"for",
	"foreign",
	"freeze",
	"from",
	"full",
	"grant",
	"greatest",
	"group",
	"grouping",
	"having",
	"ilike",
	"in",
	"initially",
	"inner",
	"inout",
	"int",
	"integer",
	"intersect",
	"interval",
	"into",
	"is",
	"isnull",
	"join",
	"lateral",
	"leading",
	"least",
	"left",
	"like",
	"limit",
	"localtime",
	"localtimestamp",
	"national",
	"natural",
	"nchar",
	"none",
	"normalize",
	"not",
	"notnull",
	"null",
	"nullif",
	"numeric",
	"offset",
	"on",
	"only",
	"or",
	"order",
	"out",
	"outer",
	"overlaps",
	"overlay",
	"placing",
	"position",
	"precision",
	"primary",
	"real",
	"references",
	"returning",
	"right",
	"row",
	"select",
	"session_user",
	"setof",
	"similar",
	"smallint",
	"some",
	"substring",
	"symmetric",
	"table",
	"tablesample",
	"then",
	"time",
	"timestamp",
	"to",
	"trailing",
	"treat",
	"trim",
	"true",
	"union",
	"unique",
	"user",
	"using",
	"values",
	"varchar",
	"variadic",
	"verbose",
	"when",
	"where",
	"window",
	"with",
	"xmlattributes",
	"xmlconcat",
	"xmlelement",
	"xmlexists",
	"xmlforest",
	"xmlnamespaces",
	"xmlparse",
	"xmlpi",
	"xmlroot",
	"xmlserialize",
	"xmltable",
};

/* Settings whose value is a list of names (GUC_LIST_QUOTE). */
static bool parse_is_name_list(const char *setting)
{
	static const char *const lists[] = { "search_path", "temp_tablespaces",
					     "local_preload_libraries",
					     "session_preload_libraries" };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (strcmp(lists[i], setting) == 0) {
			return true;
		}
	}
	return false;
}

static bool parse_needs_quotes(const char *name)
{
	if (!((*name >= 'a' && *name <= 'z') || *name == '_')) {
		return true;
	}
	for (const char *p = name; *p != '\0'; p++) {
		bool plain =
		    (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_';
		if (!plain) {
			return true;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(parse_keywords); i++) {
		if (strcmp(parse_keywords[i], name) == 0) {
			return true;
		}
	}
	return false;
}

static void parse_append_name(struct buf *buf, const char *name)
{
	if (!parse_needs_quotes(name)) {
		buf_append_str(buf, name);
		return;
	}
	buf_append_u8(buf, '"');
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '"') {
			buf_append_u8(buf, '"');
		}
		buf_append_u8(buf, (uint8_t)*p);
	}
	buf_append_u8(buf, '"');
}

static const char *parse_lower(struct parse *parse, const char *name)
{
	size_t n = strlen(name);
	char *lower = parse_alloc(parse, n + 1);
	for (size_t i = 0; lower != NULL && i < n; i++) {
		lower[i] = (char)tolower((unsigned char)name[i]);
	}
	return lower;
}

/* A setting that changes in a way that cannot be followed. */
static void parse_unreadable(struct parse *parse)
{
	parse->st->set_kind = SET_UNREADABLE;
	parse->st->pins |= PIN_SETTING;
	parse->st->set_value = NULL;
}

/* The arguments of SET as one text; NULL when one is not a plain constant. */
static const char *parse_flatten(struct parse *parse, const struct node *node,
				 const char *setting)
{
	bool names = parse_is_name_list(setting);
	char number[32];
	struct buf buf;
	buf_init(&buf, PARSE_MAX_SETTING);
	size_t n = node_count(node, "args");
	bool readable = n > 0;
	for (size_t i = 0; i < n && readable; i++) {
		const struct node *arg = node_at(node, "args", i);
		enum node_const_kind kind = node_const_kind(arg);
		readable = kind == NODE_CONST_STRING || kind == NODE_CONST_NUMBER;
		const char *text =
		    readable ? node_const_text(arg, number, sizeof(number)) : "";
		if (i > 0) {
			buf_append_str(&buf, ", ");
		}
		if (names && kind == NODE_CONST_STRING) {
			parse_append_name(&buf, text);
		} else {
			buf_append_str(&buf, text);
		}
	}
	char *value = NULL;
	if (readable && buf_ok(&buf)) {
		value = parse_alloc(parse, buf.len + 1);
		if (value != NULL && buf.len > 0) {
			memcpy(value, buf.data, buf.len);
		}
	}
	buf_fini(&buf);
	return value;
}

/* SET TRANSACTION and SET SESSION CHARACTERISTICS: the isolation level, when it is
 * given, is the value. */
static void parse_set_transaction(struct parse *parse, const struct node *node)
{
	struct statement *st = parse->st;
	bool session = strcmp(node_str(node, "name"), "SESSION CHARACTERISTICS") == 0;
	st->set_kind = session ? SET_CHARACTERISTICS : SET_TRANSACTION;
	st->set_name = "transaction_isolation";
	size_t n = node_count(node, "args");
	for (size_t i = 0; i < n; i++) {
		const struct node *arg = node_at(node, "args", i);
		if (strcmp(node_str(arg, "defname"), "transaction_isolation") == 0) {
			st->set_value = node_const_text(node_get(arg, "arg"), NULL, 0);
		}
	}
}

void parse_set(struct parse *parse, const struct node *node)
{
	struct statement *st = parse->st;
	st->kind = PLAN_SET;
	st->set_local = node_bool(node, "is_local");
	st->set_name = parse_lower(parse, node_str(node, "name"));
	if (node_enum_is(node, "kind", "VAR_RESET_ALL")) {
		st->set_kind = SET_RESET_ALL;
		st->set_name = NULL;
	} else if (node_enum_is(node, "kind", "VAR_SET_MULTI")) {
		parse_set_transaction(parse, node);
	} else if (node_enum_is(node, "kind", "VAR_SET_DEFAULT") ||
		   node_enum_is(node, "kind", "VAR_RESET")) {
		st->set_kind = SET_DEFAULT;
	} else if (node_enum_is(node, "kind", "VAR_SET_VALUE") &&
		   st->set_name != NULL && parse->source->values_matter) {
		st->set_kind = SET_VALUE;
		st->set_value = parse_flatten(parse, node, st->set_name);
	}
	if (st->set_kind == SET_NONE ||
	    (st->set_kind == SET_VALUE && st->set_value == NULL)) {
		parse_unreadable(parse);
	}
}

/* Its name matters when it has a dot, and is as PostgreSQL would repeat it. */
void parse_show(struct parse *parse, const struct node *node)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789_.";
	const char *name = node_str(node, "name");
	size_t n = strlen(name);
	parse->st->kind = PLAN_OTHER;
	if (strchr(name, '.') != NULL && n <= PARSE_MAX_SHOWN &&
	    strspn(name, plain) == n) {
		parse->st->set_name = name;
		parse->st->shows_custom = true;
	}
}

void parse_discard(struct parse *parse, const struct node *node)
{
	struct statement *st = parse->st;
	st->kind = PLAN_SET;
	st->set_kind = SET_DISCARD;
	st->ends = PIN_TEMP;
	if (node_enum_is(node, "target", "DISCARD_ALL")) {
		st->set_kind = SET_DISCARD_ALL;
		st->deallocate_all = true;
		st->unpins = true;
	}
}

/* The third argument of set_config(). */
static bool parse_bool(const struct node *node, bool *out)
{
	if (node_is(node, "TypeCast")) { /* TRUE before 15 */
		node = node_get(node, "arg");
	}
	enum node_const_kind kind = node_const_kind(node);
	if (kind != NODE_CONST_BOOL && kind != NODE_CONST_STRING) {
		return false;
	}
	const char *text = node_const_text(node, NULL, 0);
	*out = strcmp(text, "t") == 0 || strcmp(text, "true") == 0;
	return *out || strcmp(text, "f") == 0 || strcmp(text, "false") == 0;
}

/* Nothing but a list of one target. */
static bool parse_is_bare_select(const struct node *select)
{
	static const char *const lists[] = { "from_clause",    "group_clause",
					     "window_clause",  "values_lists",
					     "sort_clause",    "locking_clause",
					     "distinct_clause" };
	static const char *const nodes[] = { "where_clause", "having_clause",
					     "limit_count",  "limit_offset",
					     "with_clause",  "into_clause" };
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (node_count(select, lists[i]) > 0) {
			return false;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		if (node_get(select, nodes[i]) != NULL) {
			return false;
		}
	}
	return node_enum_is(select, "op", "SETOP_NONE") &&
	       node_count(select, "target_list") == 1;
}

bool parse_set_config(struct parse *parse, const struct node *select)
{
	if (!parse->source->values_matter || !parse_is_bare_select(select)) {
		return false;
	}
	const struct node *call = node_get(node_at(select, "target_list", 0), "val");
	struct sql_name name = parse_name(call, "funcname");
	if (!node_is(call, "FuncCall") || strcmp(name.name, "set_config") != 0 ||
	    (*name.schema != '\0' && strcmp(name.schema, "pg_catalog") != 0) ||
	    node_count(call, "args") != 3 || node_bool(call, "func_variadic")) {
		return false;
	}
	const struct node *setting = node_at(call, "args", 0);
	const struct node *value = node_at(call, "args", 1);
	bool local;
	if (node_const_kind(setting) != NODE_CONST_STRING ||
	    (node_const_kind(value) != NODE_CONST_STRING &&
	     node_const_kind(value) != NODE_CONST_NULL) ||
	    !parse_bool(node_at(call, "args", 2), &local)) {
		return false;
	}
	struct statement *st = parse->st;
	st->kind = PLAN_SET;
	st->set_kind = SET_VALUE;
	st->set_local = local;
	st->set_name = parse_lower(parse, node_const_text(setting, NULL, 0));
	st->set_value = node_const_text(value, NULL, 0);
	if (node_const_kind(value) == NODE_CONST_NULL) {
		st->set_kind = SET_DEFAULT;
		st->set_value = NULL;
	}
	return true;
}
