/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Functions, operators and casts: may the same call give another answer while no
 * relation has changed, and may it change one? */

#include <string.h>

#include "classify_priv.h"

/* Time with time zone: its text means another moment in summer than in winter, and
 * which it is now decides. */
#define TIMETZ_NAME "timetz"

/* STABLE functions of pg_catalog that depend on their arguments, on settings that are
 * in the cache key and on the catalogue, and on nothing else.  In order, for bsearch.
 */
static const char *const classify_stable[] = {
	"array_to_json",
	"array_to_string",
	"concat",
	"concat_ws",
	"convert",
	"convert_from",
	"convert_to",
	"current_database",
	"current_schema",
	"current_user",
	"date",
	"date_part",
	"date_trunc",
	"enum_first",
	"enum_last",
	"enum_range",
	"extract",
	"format",
	"generate_series",
	"json_agg",
	"json_build_array",
	"json_build_object",
	"json_object_agg",
	"json_to_tsvector",
	"jsonb_agg",
	"jsonb_build_array",
	"jsonb_build_object",
	"jsonb_object_agg",
	"jsonb_to_tsvector",
	"length",
	"make_timestamptz",
	"numeric",
	"overlaps",
	"phraseto_tsquery",
	"plainto_tsquery",
	"quote_literal",
	"quote_nullable",
	"row_to_json",
	"session_user",
	"string_agg",
	"time",
	"timestamp",
	"timestamptz",
	"timezone",
	"to_char",
	"to_date",
	"to_json",
	"to_jsonb",
	"to_number",
	"to_timestamp",
	"to_tsquery",
	"to_tsvector",
	"ts_headline",
	"websearch_to_tsquery",
};

/* Functions of pg_catalog that run a text as SQL, or write what others can read. */
static const char *const classify_runs_sql[] = {
	"cursor_to_xml",
	"cursor_to_xmlschema",
	"database_to_xml",
	"lowrite",
	"query_to_xml",
	"query_to_xml_and_xmlschema",
	"query_to_xmlschema",
	"ts_rewrite",
	"ts_stat",
};

/* Functions that give a date or time of their own making: casting it reads no text. */
static const char *const classify_gives_time[] = {
	"date",		  "date_trunc",	      "generate_series", "make_date",
	"make_timestamp", "make_timestamptz", "timestamp",	 "timestamptz",
	"timezone",	  "to_date",	      "to_timestamp",
};

static bool classify_in(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(name, list[i]) == 0) {
			return true;
		}
	}
	return false;
}

#define CLASSIFY_IN(name, list) classify_in(name, list, ARRAY_LEN(list))

static bool classify_is_system_name(struct sql_name name)
{
	return !name.has_catalog &&
	       (*name.schema == '\0' || strcmp(name.schema, "pg_catalog") == 0);
}

/* Session locks end with the session, not with the transaction. */
static bool classify_is_advisory(const char *name)
{
	return (strncmp(name, "pg_advisory_lock", 16) == 0 ||
		strncmp(name, "pg_try_advisory_lock", 20) == 0);
}

static void classify_advisory(struct classify *c, const char *name)
{
	if (classify_is_advisory(name)) {
		c->draft->pins |= PIN_ADVISORY;
	} else if (strncmp(name, "pg_advisory_unlock", 18) == 0) {
		c->draft->ends |= PIN_ADVISORY;
	}
}

/* What a session did with a sequence stays in its backend. */
static void classify_sequence(struct classify *c, const char *name)
{
	c->draft->moves_sequence |=
	    strcmp(name, "nextval") == 0 || strcmp(name, "setval") == 0;
	c->draft->asks_sequence |=
	    strcmp(name, "currval") == 0 || strcmp(name, "lastval") == 0;
}

/* Some relation of the statement has a column of that name. */
static bool classify_is_column(const struct classify *c, const char *name)
{
	for (size_t i = 0; c->refs != NULL && i < c->st->n_refs; i++) {
		if (c->refs[i] != NULL &&
		    relation_column(c->refs[i], span_str(name)) != NULL) {
			return true;
		}
	}
	return false;
}

static void classify_system_function(struct classify *c, const char *name,
				     const struct function_info *info)
{
	classify_advisory(c, name);
	c->draft->has_listen |= strcmp(name, "pg_notify") == 0;
	c->draft->reloads |= strcmp(name, "pg_reload_conf") == 0;
	classify_sequence(c, name);
	if (CLASSIFY_IN(name, classify_runs_sql) || strncmp(name, "lo_", 3) == 0) {
		classify_danger(c);
	} else if (info->volatility == VOLATILITY_VOLATILE ||
		   (info->volatility == VOLATILITY_STABLE &&
		    !CLASSIFY_IN(name, classify_stable))) {
		classify_bypass(c, BYPASS_VOLATILE_FUNCTION);
	}
}

/* x.name, which is a function call when there is no such column. */
static void classify_field(struct classify *c, const char *name)
{
	struct function_info info;
	if (classify_is_column(c, name) ||
	    !relations_function(c->source->catalog, c->path, span_make(NULL, 0),
				span_str(name), &info)) {
		return;
	}
	c->draft->calls_users |= !info.is_system;
	c->draft->suspect |= info.sets;
	if (info.may_write) {
		classify_danger(c);
	} else if (info.is_system ? strncmp(name, "pg_", 3) == 0
				  : info.volatility != VOLATILITY_IMMUTABLE) {
		classify_bypass(c, BYPASS_VOLATILE_FUNCTION);
	}
}

static void classify_function(struct classify *c, const struct sql_function *f)
{
	if (f->is_field) {
		classify_field(c, f->name.name);
		return;
	}
	struct function_info info;
	struct type_info type;
	if (f->name.has_catalog) {
		classify_danger(c);
	} else if (relations_function(c->source->catalog, c->path,
				      span_str(f->name.schema), span_str(f->name.name),
				      &info)) {
		c->draft->calls_users |= !info.is_system;
		c->draft->suspect |= info.sets;
		if (info.may_write) {
			classify_danger(c);
		} else if (!info.is_system && info.volatility != VOLATILITY_IMMUTABLE) {
			classify_bypass(c, BYPASS_VOLATILE_FUNCTION);
		}
		classify_system_function(c, f->name.name, &info);
	} else if (relations_type(c->source->catalog, c->path, span_str(f->name.schema),
				  span_str(f->name.name), &type)) {
		/* text(x): a cast by another name, of something that we did not look
		 * at. */
		if (!type.is_system || type.input_volatility != VOLATILITY_IMMUTABLE) {
			classify_bypass(c, BYPASS_VOLATILE_FUNCTION);
		}
	} else {
		classify_danger(c);
	}
}

/* Operators of pg_catalog that have STABLE members (timestamptz with date, and so on):
 * for these the worst does not tell what a user's own are. */
static bool classify_stable_operator(const char *name)
{
	static const char *const names[] = { "+", "-", "<",  "<=", "<>",
					     "=", ">", ">=", "@@", "||" };
	return CLASSIFY_IN(name, names);
}

static void classify_operator(struct classify *c, const struct sql_operator *o)
{
	struct operator_info info;
	if (!relations_operator(c->source->catalog, span_str(o->name.name), &info)) {
		classify_bypass(c, BYPASS_VOLATILE_FUNCTION);
		return;
	}
	c->has_vector |= info.is_vector;
	if (info.volatility == VOLATILITY_VOLATILE) {
		classify_danger(c);
	} else if (info.volatility == VOLATILITY_STABLE && !info.is_system &&
		   !classify_stable_operator(o->name.name)) {
		classify_bypass(c, BYPASS_VOLATILE_FUNCTION);
	}
}

/* The source of a cast is a column that is itself a date or time. */
static bool classify_is_time_column(const struct classify *c, const struct sql_type *t)
{
	const struct sql_column *column = &t->column;
	bool found = false;
	if (*column->qualifier == '\0' && c->st->merged_columns) {
		return false;
	}
	for (const struct sql_ref *ref = c->st->refs; ref != NULL; ref = ref->next) {
		const struct relation *rel =
		    c->refs != NULL ? c->refs[ref->index] : NULL;
		const char *alias = *ref->alias != '\0' ? ref->alias : ref->name.name;
		if (ref->block != t->block || (*column->qualifier != '\0' &&
					       strcmp(alias, column->qualifier) != 0)) {
			continue;
		}
		const struct relation_column *col =
		    rel != NULL ? relation_column(rel, span_str(column->name)) : NULL;
		struct type_info type;
		if (col == NULL) {
			continue;
		}
		if (ref->renamed ||
		    !relations_type_by_oid(c->source->catalog, col->type, &type) ||
		    !type.is_datetime || type.is_domain) {
			return false;
		}
		found = true;
	}
	return found;
}

/* A text such as 'now' may become a date here.  Constants and parameters are looked at
 * before each execution (needs_now_check); other texts cannot be. */
static bool classify_time_is_fixed(const struct classify *c, const struct sql_type *t)
{
	switch (t->source) {
	case SQL_CAST_LITERAL:
		return true;
	case SQL_CAST_COLUMN:
		return classify_is_time_column(c, t);
	case SQL_CAST_FUNCTION:
		return classify_is_system_name(t->function) &&
		       CLASSIFY_IN(t->function.name, classify_gives_time);
	case SQL_CAST_OTHER:
		break;
	}
	return false;
}

static void classify_type(struct classify *c, const struct sql_type *t)
{
	struct type_info type;
	if (t->name.has_catalog ||
	    !relations_type(c->source->catalog, c->path, span_str(t->name.schema),
			    span_str(t->name.name), &type)) {
		/* A table's row type, or a type of this minute. */
		classify_bypass(c, BYPASS_VOLATILE_FUNCTION);
		return;
	}
	if (type.is_reg || type.is_domain || strcmp(t->name.name, "xml") == 0 ||
	    strcmp(t->name.name, "record") == 0) {
		classify_bypass(c, BYPASS_VOLATILE_FUNCTION);
	} else if (type.is_datetime) {
		if (strstr(t->name.name, TIMETZ_NAME) != NULL ||
		    !classify_time_is_fixed(c, t)) {
			classify_bypass(c, BYPASS_CURRENT_TIME);
		}
	} else if (!type.is_system && type.input_volatility != VOLATILITY_IMMUTABLE) {
		classify_bypass(c, BYPASS_VOLATILE_FUNCTION);
	}
}

/* Without a catalogue only names that a user hardly defines again are taken for
 * granted. */
static void classify_unknown_names(struct classify *c)
{
	static const char *const plain[] = {
		"avg", "coalesce", "count", "current_setting", "lower",	  "max",
		"min", "now",	   "sum",   "upper",	       "version", "set_config"
	};
	for (const struct sql_function *f = c->st->functions; f != NULL; f = f->next) {
		const char *name = f->name.name;
		bool known =
		    f->is_field ||
		    (classify_is_system_name(f->name) &&
		     !CLASSIFY_IN(name, classify_runs_sql) &&
		     (CLASSIFY_IN(name, plain) || CLASSIFY_IN(name, classify_stable) ||
		      strncmp(name, "pg_", 3) == 0 || strcmp(f->name.schema, "") != 0));
		if (known) {
			classify_advisory(c, name);
			c->draft->reloads |= strcmp(name, "pg_reload_conf") == 0;
		}
		classify_sequence(c, name);
		if (!known) {
			classify_danger(c);
		}
	}
}

void classify_names(struct classify *c)
{
	if (c->source->catalog == NULL) {
		classify_unknown_names(c);
		return;
	}
	for (const struct sql_function *f = c->st->functions; f != NULL; f = f->next) {
		classify_function(c, f);
	}
	for (const struct sql_operator *o = c->st->operators; o != NULL; o = o->next) {
		classify_operator(c, o);
	}
	for (const struct sql_type *t = c->st->types; t != NULL; t = t->next) {
		classify_type(c, t);
	}
}
