/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "fixture_plan.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "fixture_catalog.h"

const char fixture_path[] = "\"$user\", public";

#define VIEW(oid, name)		   ROW(relations, oid, "2200", name, "v", "p", "-1", "f")
#define SYSTEM(name, rank)	   ROW(functions, "11", name, rank, "f", "f", "f", "f", "f")
#define USER(name, rank, wr)	   ROW(functions, "2200", name, rank, wr, "t", "f", "f", "f")
#define OPERATOR(name, rank)	   ROW(operators, "11", name, rank, "f")
#define BASE_TYPE(oid, name, rank) ROW(types, oid, "11", name, "b", "0", "0", "0", rank)

/* Columns with a default, with an estimate of values, generated. */
#define COLUMN_DEFAULT(oid, number, name, type) \
	ROW(columns, oid, number, name, type, "t", "t", "f", "f", NULL)
#define COLUMN_VALUES(oid, number, name, type, values) \
	ROW(columns, oid, number, name, type, "t", "f", "f", "f", values)
#define COLUMN_GENERATED(oid, number, name, type) \
	ROW(columns, oid, number, name, type, "t", "t", "t", "f", NULL)

static const struct fixture_row database[] = {
	TABLE("100", "channels"),
	COLUMN_DEFAULT("100", "1", "id", "23"),
	COLUMN("100", "2", "name", "25"),
	COLUMN("100", "3", "slug", "1043"),
	COLUMN("100", "4", "owner", "2950"),
	COLUMN("100", "5", "flag", "16"),
	COLUMN("100", "6", "code", "1042"),
	TABLE("101", "messages"),
	COLUMN_DEFAULT("101", "1", "id", "20"),
	COLUMN_VALUES("101", "2", "channel_id", "23", "1000"),
	COLUMN_VALUES("101", "3", "author_id", "2950", "10"),
	COLUMN("101", "4", "body", "25"),
	COLUMN_DEFAULT("101", "5", "created_at", "1184"),
	COLUMN_GENERATED("101", "6", "upper_body", "25"),
	TABLE("102", "plain"),
	COLUMN("102", "1", "a", "23"),
	COLUMN("102", "2", "b", "23"),
	COLUMN("102", "3", "c", "25"),
	COLUMN("102", "4", "d", "1114"),
	VIEW("103", "v_msg"),
	ROW(views, "103",
	    " SELECT m.id, m.channel_id, c.name\n   FROM public.messages m\n"
	    "     JOIN public.channels c ON c.id = m.channel_id\n  WHERE c.flag;"),
	COLUMN("103", "1", "id", "20"),
	COLUMN("103", "2", "channel_id", "23"),
	VIEW("104", "v_now"),
	ROW(views, "104", " SELECT plain.a FROM public.plain WHERE plain.d > now();"),
	VIEW("105", "v_five"),
	ROW(views, "105", " SELECT plain.a FROM public.plain WHERE plain.a = 5;"),
	VIEW("106", "v_text"),
	ROW(views, "106",
	    " SELECT plain.a FROM public.plain WHERE plain.d > 'today'::text::date;"),
	VIEW("107", "v_vol"),
	ROW(views, "107", " SELECT public.vol(plain.a) AS vol FROM public.plain;"),
	VIEW("108", "v_hidden"),
	ROW(relations, "110", "2200", "secured", "r", "p", "-1", "t"),
	TABLE("111", "stamped"),
	COLUMN("111", "1", "a", "23"),
	COLUMN("111", "2", "b", "25"),
	ROW(trigger_functions, "900", "stamp", "f",
	    "begin new.b := 'x'; return new; end"),
	ROW(triggers, "111", "23", "900"),
	TABLE("112", "audited"),
	COLUMN("112", "1", "a", "23"),
	ROW(trigger_functions, "901", "audit", "f",
	    "begin insert into x values (1); end"),
	ROW(triggers, "112", "5", "901"),
	ROW(relations, "113", "2200", "parted", "p", "p", "-1", "f"),
	COLUMN("113", "1", "id", "23"),
	COLUMN("113", "2", "region", "25"),
	ROW(relations, "114", "2200", "parted_eu", "r", "p", "-1", "f"),
	COLUMN("114", "1", "region", "25"),
	COLUMN("114", "2", "id", "23"),
	ROW(parents, "114", "113"),
	ROW(relations, "115", "2200", "fleeting", "r", "u", "-1", "f"),
	ROW(relations, "116", "2200", "counter", "S", "p", "1", "f"),
	ROW(relations, "117", "2200", "matter", "m", "p", "-1", "f"),
	ROW(relations, "118", "2200", "faraway", "f", "p", "-1", "f"),
	TABLE("119", "ruled"),
	COLUMN("119", "1", "a", "23"),
	ROW(rules, "119", "f"),
	TABLE("120", "zoned"),
	COLUMN("120", "1", "t", "1266"),
	TABLE("121", "vectors"),
	COLUMN("121", "1", "id", "23"),
	COLUMN("121", "2", "embedding", "400"),
	ROW(relations, "122", "11", "pg_class", "r", "p", "300", "f"),
	ROW(foreign_keys, "100", "101", "c", "a", "1"),
	SYSTEM("now", "1"),
	SYSTEM("random", "2"),
	SYSTEM("nextval", "2"),
	SYSTEM("setval", "2"),
	SYSTEM("currval", "2"),
	SYSTEM("lastval", "2"),
	SYSTEM("lower", "0"),
	SYSTEM("count", "0"),
	SYSTEM("max", "0"),
	SYSTEM("to_char", "1"),
	SYSTEM("date_trunc", "1"),
	SYSTEM("date", "1"),
	SYSTEM("pg_typeof", "1"),
	SYSTEM("generate_series", "1"),
	SYSTEM("json_agg", "1"),
	SYSTEM("query_to_xml", "2"),
	SYSTEM("pg_advisory_lock", "2"),
	SYSTEM("pg_advisory_xact_lock", "2"),
	SYSTEM("pg_notify", "2"),
	SYSTEM("pg_reload_conf", "2"),
	SYSTEM("set_config", "2"),
	SYSTEM("current_setting", "1"),
	SYSTEM("timezone", "1"),
	USER("vol", "2", "t"),
	USER("uuid_generate_v4", "2", "f"),
	USER("stab", "1", "f"),
	USER("immu", "0", "f"),
	OPERATOR("=", "1"),
	OPERATOR("<", "1"),
	OPERATOR(">", "1"),
	OPERATOR("<=", "1"),
	OPERATOR(">=", "1"),
	OPERATOR("<>", "1"),
	OPERATOR("+", "1"),
	OPERATOR("-", "1"),
	OPERATOR("||", "1"),
	OPERATOR("~~", "0"),
	ROW(operators, "2200", "=", "0", "t"),
	ROW(operators, "2200", "<->", "0", "t"),
	ROW(operators, "2200", "<=>", "0", "t"),
	ROW(operators, "2200", "@@@", "1", "f"),
	BASE_TYPE("16", "bool", "0"),
	BASE_TYPE("20", "int8", "0"),
	BASE_TYPE("21", "int2", "0"),
	BASE_TYPE("23", "int4", "0"),
	BASE_TYPE("25", "text", "0"),
	BASE_TYPE("1043", "varchar", "0"),
	BASE_TYPE("1042", "bpchar", "0"),
	BASE_TYPE("1700", "numeric", "0"),
	BASE_TYPE("2950", "uuid", "0"),
	BASE_TYPE("1082", "date", "1"),
	BASE_TYPE("1114", "timestamp", "1"),
	BASE_TYPE("1184", "timestamptz", "1"),
	BASE_TYPE("1266", "timetz", "1"),
	BASE_TYPE("1186", "interval", "1"),
	BASE_TYPE("2205", "regclass", "1"),
	ROW(types, "400", "2200", "vector", "b", "0", "0", "0", "0"),
	ROW(types, "401", "2200", "mood", "e", "0", "0", "0", "1"),
	ROW(types, "402", "2200", "positive", "d", "0", "23", "0", "1"),
};

struct catalog *fixture_database(void)
{
	return fixture_catalog(database, ARRAY_LEN(database));
}

static const char *relation_name(uint32_t oid)
{
	for (size_t i = 0; i < ARRAY_LEN(database); i++) {
		if (database[i].question == CATALOG_Q_relations &&
		    strtoul(database[i].values[0], NULL, 10) == oid) {
			return database[i].values[2];
		}
	}
	return "?";
}

static void describe_ops(struct buf *out, const struct planned *planned,
			 const struct operand *ops, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_append_str(out, i > 0 ? "|" : "=");
		if (ops[i].kind == OPERAND_CONST) {
			cr_assert_lt(ops[i].index, planned->n_consts);
			buf_append_span(out, planned->consts[ops[i].index].raw);
		} else if (ops[i].kind == OPERAND_PARAM) {
			buf_printf(out, "$%u", ops[i].index + 1U);
		} else {
			cr_assert_eq(ops[i].kind, OPERAND_NULL);
			buf_append_str(out, "null");
		}
	}
}

static void describe_write(struct buf *out, const struct planned *planned,
			   const struct plan_write *w)
{
	buf_printf(out, " %s(", relation_name(w->rel));
	if (w->unreadable) {
		cr_assert_eq((size_t)w->n_rows * w->n_facts, 0);
		buf_append_str(out, "?");
	}
	for (size_t row = 0; row < w->n_rows; row++) {
		buf_append_str(out, row > 0 ? "; " : "");
		for (size_t i = 0; i < w->n_facts; i++) {
			const struct plan_fact *f = &w->facts[row * w->n_facts + i];
			buf_printf(out, "%s%d", i > 0 ? " " : "", f->attnum);
			describe_ops(out, planned, f->ops, f->n_ops);
		}
	}
	buf_append_str(out, ")");
}

static void describe_set(struct buf *out, const struct plan *p)
{
	static const char *const kinds[] = {
		[SET_NONE] = "",
		[SET_VALUE] = "value",
		[SET_DEFAULT] = "default",
		[SET_RESET_ALL] = "reset_all",
		[SET_DISCARD_ALL] = "discard_all",
		[SET_DISCARD] = "discard",
		[SET_TRANSACTION] = "transaction",
		[SET_CHARACTERISTICS] = "characteristics",
		[SET_UNREADABLE] = "unreadable",
	};
	if (p->set_kind != SET_NONE) {
		buf_printf(out, " %s%s", p->set_local ? "local:" : "",
			   kinds[p->set_kind]);
	}
	if (p->set_name != NULL) {
		buf_printf(out, " %s", p->set_name);
	}
	if (p->set_value != NULL) {
		buf_printf(out, "<%s>", p->set_value);
	}
}

static void describe_flags(struct buf *out, const struct plan *p)
{
	static const char *const pins[] = { "temp",	"listen",  "prepare", "hold",
					    "advisory", "setting", "load",    "large" };
	const struct {
		bool on;
		const char *name;
	} flags[] = {
		{ p->writes_all, "all" },	  { p->suspect, "suspect" },
		{ p->is_rollback_to, "back_to" }, { p->begin_plain, "plain" },
		{ p->commit_chain, "chain" },	  { p->has_listen, "notifies" },
		{ p->deallocate_all, "dealloc" }, { p->unpins, "unpins" },
		{ p->copy_in, "copy_in" },	  { p->executes, "executes" },
		{ p->moves_sequence, "moves" },	  { p->asks_sequence, "asks" },
		{ p->is_release, "release" },	  { p->reloads, "reloads" },
		{ p->shows_custom, "shows" },
	};
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if (flags[i].on) {
			buf_printf(out, " %s", flags[i].name);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(pins); i++) {
		if (p->pins & (1U << i)) {
			buf_printf(out, " pin:%s", pins[i]);
		}
	}
}

static void describe(struct buf *out, const struct planned *planned,
		     const struct plan *p)
{
	static const char *const kinds[] = {
		"READ",
		"WRITE",
		"BEGIN",
		"COMMIT",
		"ROLLBACK",
		"SAVEPOINT",
		"PREPARE_TX",
		"COMMIT_PREPARED",
		"ROLLBACK_PREPARED",
		"SET",
		"LISTEN",
		"UNLISTEN",
		"SESSION",
		"COPY",
		"DDL",
		"MULTI",
		"OTHER",
		"UNPARSED",
	};
	static const char *const classes[] = { "", " RECENT", " VECTOR", " CONTEXT",
					       " DEFAULT" };
	static const char *const reasons[] = {
#define BYPASS_REASON(id, label, text) #id,
#include "tbl/bypass_reasons.h"
#undef BYPASS_REASON
	};
	buf_printf(out, "%s%s", kinds[p->kind], classes[p->klass]);
	if (p->bypass != BYPASS_NONE) {
		buf_printf(out, " !%s", reasons[p->bypass]);
		cr_assert_eq(p->klass, PLAN_CLASS_NONE);
	}
	for (size_t i = 0; i < p->n_reads && p->bypass == BYPASS_NONE; i++) {
		buf_printf(out, " %s", relation_name(p->reads[i].rel));
		if (p->reads[i].attnum != 0) {
			buf_printf(out, ".%d", p->reads[i].attnum);
			describe_ops(out, planned, p->reads[i].ops, p->reads[i].n_ops);
		}
	}
	for (size_t i = 0; i < p->n_writes; i++) {
		describe_write(out, planned, &p->writes[i]);
	}
	describe_set(out, p);
	describe_flags(out, p);
	for (size_t i = 0; i < p->n_parts; i++) {
		buf_append_str(out, " / ");
		describe(out, planned, p->parts[i]);
	}
}

const char *fixture_describe(const struct planned *planned)
{
	static struct buf out;
	buf_fini(&out);
	buf_init(&out, 1U << 20);
	describe(&out, planned, planned->plan);
	buf_append_u8(&out, 0);
	cr_assert(buf_ok(&out));
	return (const char *)out.data;
}

void fixture_plans(struct catalog *catalog, const struct plan_case *cases, size_t n)
{
	struct planner *planner;
	struct planner_session session = {
		.catalog = catalog,
		.path_id = 1,
		.search_path = span_str(fixture_path),
		.user = span_str("app"),
	};
	cr_assert_eq(planner_new(1000, 1U << 20, NULL, NULL, &planner), 0);
	for (size_t i = 0; i < n; i++) {
		struct planned planned;
		planner_plan(planner, span_str(cases[i].text), &session, &planned);
		cr_expect_str_eq(fixture_describe(&planned), cases[i].plan,
				 "%s\n  is   %s\n  not  %s", cases[i].text,
				 fixture_describe(&planned), cases[i].plan);
	}
	planner_free(planner);
}
