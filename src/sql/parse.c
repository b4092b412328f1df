/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * What kind of statement it is.  The table lists the statements that are known to leave
 * the catalogue alone; every other one counts as DDL. */

#include "sql/parse.h"

#include <errno.h>
#include <string.h>

#include "parse_priv.h"

/* DECLARE ... WITH HOLD in DeclareCursorStmt.options, as in PostgreSQL's parsenodes.h.
 */
#define PARSE_CURSOR_HOLD 0x0020

void *parse_alloc(struct parse *parse, size_t n)
{
	void *p = arena_alloc(parse->arena, n > 0 ? n : 1);
	parse->failed |= p == NULL;
	return p;
}

static void parse_top(struct parse *parse, const struct node *node);

/* The query whose FROM and ORDER BY say what is asked: SELECT * FROM (SELECT ... ORDER
 * BY time DESC LIMIT n) x ORDER BY time is the inner one. */
static const struct node *parse_asking_select(const struct node *select)
{
	while (node_count(select, "from_clause") == 1 &&
	       node_is(node_at(select, "from_clause", 0), "RangeSubselect")) {
		const struct node *inner =
		    node_get(node_at(select, "from_clause", 0), "subquery");
		if (!node_is(inner, "SelectStmt")) {
			break;
		}
		select = inner;
	}
	return select;
}

static void parse_order(struct statement *st, const struct node *select)
{
	const struct node *first = node_at(select, "sort_clause", 0);
	struct sql_column column;
	st->sorted_desc = node_enum_is(first, "sortby_dir", "SORTBY_DESC") &&
			  parse_column(node_get(first, "node"), &column);
	const struct node *limit = node_get(select, "limit_count");
	st->has_limit = limit != NULL && node_const_kind(limit) != NODE_CONST_NULL;
}

/* Temporary objects live in the session. */
static bool parse_is_temp(const struct node *range)
{
	return strcmp(node_str(range, "relpersistence"), "t") == 0 ||
	       strncmp(node_str(range, "schemaname"), "pg_temp", 7) == 0;
}

static void parse_create(struct statement *st, const struct node *range)
{
	st->kind = parse_is_temp(range) ? PLAN_SESSION : PLAN_DDL;
	st->pins |= parse_is_temp(range) ? PIN_TEMP : 0;
}

static void parse_top_select(struct parse *parse, const struct node *node)
{
	struct statement *st = parse->st;
	if (parse_set_config(parse, node)) {
		return;
	}
	if (node_enum_is(node, "op", "SETOP_NONE")) {
		parse->asking = parse_asking_select(node);
		parse_order(st, parse->asking);
	}
	parse_select(parse, node);
	const struct node *into = NULL;
	for (const struct node *s = node; s != NULL && into == NULL;
	     s = node_get(s, "larg")) {
		into = node_get(s, "into_clause");
	}
	if (into != NULL) {
		parse_create(st, node_get(into, "rel"));
		return;
	}
	st->kind = st->writes != NULL || st->writes_all ? PLAN_WRITE : PLAN_READ;
	st->is_select = st->kind == PLAN_READ;
}

static void parse_top_write(struct parse *parse, const struct node *node)
{
	parse->st->kind = PLAN_WRITE;
	(void)parse_write(parse, node);
}

/* The isolation level among a transaction's options; NULL: not given. */
static const char *parse_isolation(const struct node *node)
{
	size_t n = node_count(node, "options");
	for (size_t i = 0; i < n; i++) {
		const struct node *option = node_at(node, "options", i);
		if (strcmp(node_str(option, "defname"), "transaction_isolation") == 0) {
			return node_const_text(node_get(option, "arg"), NULL, 0);
		}
	}
	return NULL;
}

static void parse_transaction(struct parse *parse, const struct node *node)
{
	struct statement *st = parse->st;
	static const struct {
		const char *name;
		enum plan_kind kind;
	} kinds[] = {
		{ "TRANS_STMT_BEGIN", PLAN_BEGIN },
		{ "TRANS_STMT_START", PLAN_BEGIN },
		{ "TRANS_STMT_COMMIT", PLAN_COMMIT },
		{ "TRANS_STMT_ROLLBACK", PLAN_ROLLBACK },
		{ "TRANS_STMT_SAVEPOINT", PLAN_SAVEPOINT },
		{ "TRANS_STMT_RELEASE", PLAN_SAVEPOINT },
		{ "TRANS_STMT_ROLLBACK_TO", PLAN_SAVEPOINT },
		{ "TRANS_STMT_PREPARE", PLAN_PREPARE_TX },
		{ "TRANS_STMT_COMMIT_PREPARED", PLAN_COMMIT_PREPARED },
		{ "TRANS_STMT_ROLLBACK_PREPARED", PLAN_ROLLBACK_PREPARED },
	};
	st->kind = PLAN_UNPARSED;
	st->writes_all = true;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (node_enum_is(node, "kind", kinds[i].name)) {
			st->kind = kinds[i].kind;
			st->writes_all = false;
		}
	}
	const char *isolation = parse_isolation(node);
	/* PostgreSQL runs READ UNCOMMITTED as READ COMMITTED. */
	st->begin_plain =
	    st->kind == PLAN_BEGIN &&
	    (isolation == NULL || strcmp(isolation, "read committed") == 0 ||
	     strcmp(isolation, "read uncommitted") == 0);
	st->is_rollback_to = node_enum_is(node, "kind", "TRANS_STMT_ROLLBACK_TO");
	st->is_release = node_enum_is(node, "kind", "TRANS_STMT_RELEASE");
	st->commit_chain = node_bool(node, "chain");
	static const char *const names[] = { "gid", "savepoint_name" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (*node_str(node, names[i]) != '\0') {
			st->set_name = node_str(node, names[i]);
		}
	}
}

/* EXPLAIN ANALYZE runs the statement.  ANALYZE false is taken for ANALYZE: its value
 * could be a constant that the shape does not show. */
static void parse_explain(struct parse *parse, const struct node *node)
{
	struct statement *st = parse->st;
	bool runs = false;
	size_t n = node_count(node, "options");
	for (size_t i = 0; i < n; i++) {
		const char *name = node_str(node_at(node, "options", i), "defname");
		runs = runs || strcmp(name, "analyze") == 0;
	}
	st->kind = PLAN_OTHER;
	if (!runs) {
		const struct node *query = node_get(node, "query");
		st->executes = node_is(query, "ExecuteStmt");
		st->set_name = st->executes ? node_str(query, "name") : NULL;
		return;
	}
	parse_top(parse, node_get(node, "query"));
	st->is_select = false;
	if (st->kind == PLAN_SET) { /* set_config() */
		st->pins |= PIN_SETTING;
		st->set_kind = SET_UNREADABLE;
		st->set_name = st->set_value = NULL;
		st->kind = PLAN_OTHER;
	} else if (st->kind == PLAN_READ) {
		st->kind = PLAN_OTHER;
	}
}

static void parse_declare(struct parse *parse, const struct node *node)
{
	struct statement *st = parse->st;
	parse_visit(parse, node_get(node, "query"));
	st->kind = PLAN_READ;
	if ((node_int(node, "options") & PARSE_CURSOR_HOLD) != 0) {
		st->kind = PLAN_SESSION;
		st->pins |= PIN_HOLD;
	}
}

static void parse_deallocate(struct parse *parse, const struct node *node)
{
	parse->st->kind = PLAN_SESSION;
	parse->st->ends = PIN_PREPARE | PIN_LARGE;
	parse->st->set_name = node_str(node, "name");
	parse->st->deallocate_all = *parse->st->set_name == '\0';
	if (parse->st->deallocate_all) {
		parse->st->set_name = NULL;
	}
}

static void parse_prepare(struct parse *parse, const struct node *node)
{
	(void)node;
	parse->st->kind = PLAN_SESSION;
	parse->st->pins |= PIN_PREPARE;
}

/* What was prepared is not known here. */
static void parse_execute(struct parse *parse, const struct node *node)
{
	parse->st->executes = true;
	parse->st->set_name = node_str(node, "name");
	parse->st->kind = PLAN_UNPARSED;
	parse->st->writes_all = true;
	parse->st->suspect = true;
}

static void parse_code(struct parse *parse, const struct node *node)
{
	(void)node;
	parse->st->kind = PLAN_WRITE;
	parse->st->writes_all = true;
	parse->st->suspect = true;
}

static void parse_listen(struct parse *parse, const struct node *node)
{
	struct statement *st = parse->st;
	const char *channel = node_str(node, "conditionname");
	bool is_listen = node_is(node, "ListenStmt");
	st->has_listen = true;
	st->kind = PLAN_OTHER;
	if (node_is(node, "NotifyStmt")) {
		return;
	}
	st->kind = is_listen ? PLAN_LISTEN : PLAN_UNLISTEN;
	st->pins |= is_listen ? PIN_LISTEN : 0;
	st->ends |= is_listen ? 0 : PIN_LISTEN;
	st->set_name = *channel != '\0' ? channel : NULL;
}

static void parse_load(struct parse *parse, const struct node *node)
{
	(void)node;
	parse->st->kind = PLAN_SESSION;
	parse->st->pins |= PIN_LOAD;
	parse->st->suspect = true;
}

static void parse_top_truncate(struct parse *parse, const struct node *node)
{
	parse->st->kind = PLAN_WRITE;
	parse_truncate(parse, node);
}

static void parse_create_table(struct parse *parse, const struct node *node)
{
	parse_create(parse->st, node_get(node, "relation"));
	if (node_count(node, "inh_relations") > 0) {
		/* A temporary child shows its rows through its parent. */
		parse->st->kind = PLAN_DDL;
	}
}

static void parse_create_as(struct parse *parse, const struct node *node)
{
	const struct node *query = node_get(node, "query");
	if (node_is(query, "ExecuteStmt")) {
		parse_execute(parse, query);
	} else {
		parse_visit(parse, query);
	}
	parse_create(parse->st, node_get(node_get(node, "into"), "rel"));
}

static void parse_create_view(struct parse *parse, const struct node *node)
{
	parse_create(parse->st, node_get(node, "view"));
}

static void parse_create_sequence(struct parse *parse, const struct node *node)
{
	parse_create(parse->st, node_get(node, "sequence"));
}

static void parse_close(struct parse *parse, const struct node *node)
{
	(void)node;
	parse->st->kind = PLAN_OTHER;
	parse->st->ends = PIN_HOLD;
}

static void parse_other(struct parse *parse, const struct node *node)
{
	(void)node;
	parse->st->kind = PLAN_OTHER;
}

/* clang-format off */
static const struct {
	const char *type;
	void (*read)(struct parse *parse, const struct node *node);
} parse_statements[] = {
	{ "SelectStmt",         parse_top_select },
	{ "InsertStmt",         parse_top_write },
	{ "UpdateStmt",         parse_top_write },
	{ "DeleteStmt",         parse_top_write },
	{ "MergeStmt",          parse_top_write },
	{ "TransactionStmt",    parse_transaction },
	{ "VariableSetStmt",    parse_set },
	{ "DiscardStmt",        parse_discard },
	{ "CopyStmt",           parse_copy },
	{ "TruncateStmt",       parse_top_truncate },
	{ "ExplainStmt",        parse_explain },
	{ "DeclareCursorStmt",  parse_declare },
	{ "DeallocateStmt",     parse_deallocate },
	{ "PrepareStmt",        parse_prepare },
	{ "ExecuteStmt",        parse_execute },
	{ "CallStmt",           parse_code },
	{ "DoStmt",             parse_code },
	{ "ListenStmt",         parse_listen },
	{ "UnlistenStmt",       parse_listen },
	{ "NotifyStmt",         parse_listen },
	{ "LoadStmt",           parse_load },
	{ "CreateStmt",         parse_create_table },
	{ "CreateTableAsStmt",  parse_create_as },
	{ "ViewStmt",           parse_create_view },
	{ "CreateSeqStmt",      parse_create_sequence },
	{ "VariableShowStmt",   parse_show },
	{ "FetchStmt",          parse_other },
	{ "ClosePortalStmt",    parse_close },
	{ "LockStmt",           parse_other },
	{ "VacuumStmt",         parse_other },
	{ "ReindexStmt",        parse_other },
	{ "ClusterStmt",        parse_other },
	{ "CheckPointStmt",     parse_other },
	{ "AlterSystemStmt",    parse_other },
	{ "ConstraintsSetStmt", parse_other },
};
/* clang-format on */

/* Functions, types, operators, statistics: anything may be made in pg_temp. */
static void parse_ddl(struct parse *parse, const struct node *node)
{
	static const char *const lists[] = { "funcname", "defnames", "type_name",
					     "domainname" };
	parse->st->kind = PLAN_DDL;
	bool is_temp = parse_is_temp(node_get(node, "typevar"));
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct sql_name name = parse_name(node, lists[i]);
		is_temp |= strncmp(name.schema, "pg_temp", 7) == 0;
	}
	parse->st->pins |= is_temp ? PIN_TEMP : 0;
	parse->st->ends |= PIN_TEMP; /* DROP */
}

static void parse_top(struct parse *parse, const struct node *node)
{
	for (size_t i = 0; i < ARRAY_LEN(parse_statements); i++) {
		if (node_is(node, parse_statements[i].type)) {
			parse_statements[i].read(parse, node);
			return;
		}
	}
	parse_ddl(parse, node);
}

int parse_statement(struct arena *arena, const struct parse_source *source,
		    const struct node *root, struct statement *out)
{
	require(arena != NULL && source != NULL && out != NULL);
	*out = (struct statement){ .kind = PLAN_DDL };
	struct parse parse = { .arena = arena, .source = source, .st = out };
	out->n_params = source->n_params;
	out->param_uses =
	    parse_alloc(&parse, source->n_params * sizeof(*out->param_uses));
	if (out->param_uses == NULL) {
		return -ENOMEM;
	}
	parse_top(&parse, root);
	out->writes_all |= out->over_limit;
	return parse.failed ? -ENOMEM : 0;
}
