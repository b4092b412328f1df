/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "sql/trigger_source.h"

#include <ctype.h>
#include <string.h>

#include "tbl/setting_words.h"

#define MAX_NAME 63 /* NAMEDATALEN - 1; longer names are cut off by PostgreSQL */

/* Words that begin a statement of SQL, or that let one in.  An expression of PL/pgSQL
 * needs none of them. */
/* clang-format off */
static const char *const dangerous_words[] = {
	"alter", "call", "cluster", "comment", "commit", "copy", "create", "cursor",
	"delete", "discard", "do", "drop", "execute", "explain", "grant", "import",
	"insert", "load", "lock", "merge", "move", "prepare", "query", "reassign",
	"refresh", "reindex", "reset", "revoke", "rollback", "security", "select", "set",
	"table", "truncate", "update", "values",
};

/* Functions of PostgreSQL that write tables or run statements given as text. */
static const char *const dangerous_functions[] = {
	"cursor_to_xml", "cursor_to_xmlschema", "database_to_xml", "loread", "lowrite",
	"query_to_xml", "query_to_xml_and_xmlschema", "query_to_xmlschema",
	"schema_to_xml", "set_config", "table_to_xml", "ts_rewrite", "ts_stat",
};
/* clang-format on */

#define COMMA ,
static const char *const setting_words[] = { SETTING_WORDS(COMMA) };
static const char *const setting_anywhere[] = { SETTING_ANYWHERE(COMMA) };
static const char *const opening_words[] = { SETTING_OPENERS(COMMA) };
#undef COMMA

enum trigger_token {
	TOKEN_END,
	TOKEN_WORD,   /* folded to lower case, in name */
	TOKEN_QUOTED, /* an identifier in double quotes, in name */
	TOKEN_BYTE,   /* any other byte, a number or a whole string: last_byte */
	TOKEN_BAD,
};

struct trigger_scan {
	struct span left;
	char name[MAX_NAME + 1];
	size_t n_name;
	uint8_t byte; /* of TOKEN_BYTE; ' for a string */
};

static bool is_word_start(uint8_t c)
{
	return isalpha(c) || c == '_' || c >= 0x80;
}

static bool is_word(uint8_t c)
{
	return is_word_start(c) || isdigit(c) || c == '$';
}

static bool begins(struct span s, const char *with)
{
	size_t n = strlen(with);
	return s.n >= n && memcmp(s.p, with, n) == 0;
}

/* Past a comment that begins the text; false when it does not end. */
static bool trigger_skip_comment(struct span *s)
{
	if (begins(*s, "--")) {
		const uint8_t *end = memchr(s->p, '\n', s->n);
		*s = span_skip(*s, end == NULL ? s->n : (size_t)(end - s->p));
		return true;
	}
	size_t depth = 0;
	do {
		if (begins(*s, "/*")) {
			depth++;
			*s = span_skip(*s, 2);
		} else if (begins(*s, "*/")) {
			depth--;
			*s = span_skip(*s, 2);
		} else if (s->n > 0) {
			*s = span_skip(*s, 1);
		} else {
			return false;
		}
	} while (depth > 0);
	return true;
}

/* Past the string that begins with a quote.  Whether a backslash escapes depends on a
 * setting unless HAS_ESCAPES; then one before a quote makes the string unreadable. */
static bool trigger_skip_string(struct span *s, bool has_escapes)
{
	*s = span_skip(*s, 1);
	while (s->n > 0) {
		if (s->p[0] == '\\' && s->n > 1) {
			if (!has_escapes && s->p[1] == '\'') {
				return false;
			}
			*s = span_skip(*s, has_escapes ? 2 : 1);
		} else if (begins(*s, "''")) {
			*s = span_skip(*s, 2);
		} else if (s->p[0] == '\'') {
			*s = span_skip(*s, 1);
			return true;
		} else {
			*s = span_skip(*s, 1);
		}
	}
	return false;
}

/* Past $tag$...$tag$; false when it is none or does not end. */
static bool trigger_skip_dollar(struct span *s)
{
	size_t n = 1;
	while (n < s->n && is_word(s->p[n]) && s->p[n] != '$') {
		n++;
	}
	if (n == s->n || s->p[n] != '$') {
		return false;
	}
	n++;
	const uint8_t *end = memmem(s->p + n, s->n - n, s->p, n);
	if (end == NULL) {
		return false;
	}
	*s = span_skip(*s, (size_t)(end - s->p) + n);
	return true;
}

static enum trigger_token trigger_quoted(struct trigger_scan *scan)
{
	struct span *s = &scan->left;
	*s = span_skip(*s, 1);
	scan->n_name = 0;
	while (s->n > 0) {
		size_t n = 1;
		if (s->p[0] == '"') {
			if (!begins(*s, "\"\"")) {
				*s = span_skip(*s, 1);
				scan->name[scan->n_name] = 0;
				return TOKEN_QUOTED;
			}
			n = 2;
		}
		if (scan->n_name == MAX_NAME) {
			return TOKEN_BAD;
		}
		scan->name[scan->n_name++] = (char)s->p[0];
		*s = span_skip(*s, n);
	}
	return TOKEN_BAD;
}

static enum trigger_token trigger_word(struct trigger_scan *scan)
{
	struct span *s = &scan->left;
	scan->n_name = 0;
	while (s->n > 0 && is_word(s->p[0])) {
		if (scan->n_name == MAX_NAME) {
			return TOKEN_BAD;
		}
		scan->name[scan->n_name++] = (char)tolower(s->p[0]);
		*s = span_skip(*s, 1);
	}
	scan->name[scan->n_name] = 0;
	/* U&'..' and U&".." spell characters by number: not worth reading. */
	if (strcmp(scan->name, "u") == 0 && begins(*s, "&")) {
		return TOKEN_BAD;
	}
	if (scan->n_name == 1 && begins(*s, "'") && strchr("ebxn", scan->name[0])) {
		scan->byte = '\'';
		return trigger_skip_string(s, scan->name[0] == 'e') ? TOKEN_BYTE
								    : TOKEN_BAD;
	}
	return TOKEN_WORD;
}

static enum trigger_token trigger_next(struct trigger_scan *scan)
{
	struct span *s = &scan->left;
	while (s->n > 0) {
		uint8_t c = s->p[0];
		scan->byte = c;
		if (isspace(c)) {
			*s = span_skip(*s, 1);
			continue;
		}
		if (begins(*s, "--") || begins(*s, "/*")) {
			if (!trigger_skip_comment(s)) {
				return TOKEN_BAD;
			}
			continue;
		}
		if (c == '\'') {
			return trigger_skip_string(s, false) ? TOKEN_BYTE : TOKEN_BAD;
		}
		if (c == '"') {
			return trigger_quoted(scan);
		}
		if (is_word_start(c)) {
			return trigger_word(scan);
		}
		if (c == '$' && s->n > 1 && !isdigit(s->p[1])) {
			return trigger_skip_dollar(s) ? TOKEN_BYTE : TOKEN_BAD;
		}
		/* A number, so that the e of 1e5 is no word. */
		do {
			*s = span_skip(*s, 1);
		} while (isdigit(c) && s->n > 0 && is_word(s->p[0]));
		return TOKEN_BYTE;
	}
	return TOKEN_END;
}

static bool is_in(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(name, list[i]) == 0) {
			return true;
		}
	}
	return false;
}

/* PERFORM is a SELECT; only notifications are let through. */
static bool trigger_performs_notify(struct trigger_scan *scan)
{
	enum trigger_token token = trigger_next(scan);
	if (token == TOKEN_WORD && strcmp(scan->name, "pg_catalog") == 0) {
		token = trigger_next(scan);
		if (token != TOKEN_BYTE || scan->byte != '.') {
			return false;
		}
		token = trigger_next(scan);
	}
	return token == TOKEN_WORD && strcmp(scan->name, "pg_notify") == 0;
}

enum trigger_danger trigger_source_danger(struct span source,
					  trigger_source_is_function_fn is_function,
					  const void *arg)
{
	struct trigger_scan scan = { .left = source };
	enum trigger_token token;
	size_t depth = 0;	  /* of parentheses */
	bool is_field = false;	  /* after a dot: no key word */
	bool is_distinct = false; /* after DISTINCT */

	while ((token = trigger_next(&scan)) != TOKEN_END) {
		bool was_distinct = is_distinct;
		bool was_field = is_field;
		is_distinct = is_field = false;
		if (token == TOKEN_BAD) {
			return TRIGGER_DANGEROUS;
		}
		if (token == TOKEN_BYTE) {
			is_field = scan.byte == '.';
			depth += scan.byte == '(';
			depth -= scan.byte == ')' && depth > 0;
			continue;
		}
		if (strncmp(scan.name, "lo_", 3) == 0 ||
		    is_in(scan.name, dangerous_functions,
			  ARRAY_LEN(dangerous_functions)) ||
		    is_function(arg, span_make(scan.name, scan.n_name))) {
			return TRIGGER_DANGEROUS;
		}
		if (token == TOKEN_QUOTED || was_field) {
			continue;
		}
		/* `n := count(*) FROM view` is an expression to PL/pgSQL.  In
		 * parentheses it would need SELECT, so there FROM belongs to extract()
		 * and the like. */
		bool is_from = strcmp(scan.name, "from") == 0;
		if ((is_from && depth == 0 && !was_distinct) ||
		    is_in(scan.name, dangerous_words, ARRAY_LEN(dangerous_words)) ||
		    (strcmp(scan.name, "perform") == 0 &&
		     !trigger_performs_notify(&scan))) {
			return TRIGGER_DANGEROUS;
		}
		is_distinct = strcmp(scan.name, "distinct") == 0;
	}
	return TRIGGER_HARMLESS;
}

bool trigger_source_sets(struct span source)
{
	struct trigger_scan scan = { .left = source };
	enum trigger_token token;
	bool is_start = true;
	while ((token = trigger_next(&scan)) != TOKEN_END) {
		bool was_start = is_start;
		if (token == TOKEN_BYTE) {
			is_start = scan.byte == ';' || scan.byte == '>'; /* a label */
			continue;
		}
		if (token == TOKEN_BAD ||
		    is_in(scan.name, setting_anywhere, ARRAY_LEN(setting_anywhere)) ||
		    is_in(scan.name, dangerous_functions,
			  ARRAY_LEN(dangerous_functions)) ||
		    (was_start && token == TOKEN_WORD &&
		     is_in(scan.name, setting_words, ARRAY_LEN(setting_words)))) {
			return true;
		}
		is_start = token == TOKEN_WORD &&
			   is_in(scan.name, opening_words, ARRAY_LEN(opening_words));
	}
	return false;
}

bool trigger_source_calls(struct span source, trigger_source_is_function_fn is_function,
			  const void *arg)
{
	struct trigger_scan scan = { .left = source };
	enum trigger_token token;
	while ((token = trigger_next(&scan)) != TOKEN_END) {
		if (token == TOKEN_BAD ||
		    (token != TOKEN_BYTE &&
		     is_function(arg, span_make(scan.name, scan.n_name)))) {
			return true;
		}
	}
	return false;
}
