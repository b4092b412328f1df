/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/ident.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "wire/hba_lines.h"

struct ident_row {
	struct ident_row *next;
	const char *map;
	const char *system_user;
	const regex_t *system_regex; /* instead of system_user, or NULL */
	const char *user;
	const regex_t *user_regex; /* instead of user, or NULL */
	bool is_all;		   /* any user */
};

struct ident {
	struct hba_lines lines; /* the rows live in its arena */
	struct ident_row *rows;
};

/* The I-th field's only word, or NULL. */
static const struct hba_word *ident_word(const struct hba_line *line, unsigned i)
{
	const struct hba_field *field = line->fields;
	while (field != NULL && i-- > 0) {
		field = field->next;
	}
	return field == NULL || field->words == NULL || field->words->next != NULL
		   ? NULL
		   : field->words;
}

static int ident_read_row(struct ident *ident, const struct hba_line *line,
			  struct ident_row *row)
{
	struct hba_lines *lines = &ident->lines;
	const struct hba_word *map = ident_word(line, 0);
	const struct hba_word *system_user = ident_word(line, 1);
	const struct hba_word *user = ident_word(line, 2);
	if (line->n_fields != 3 || map == NULL || system_user == NULL || user == NULL) {
		return hba_lines_refuse(lines, line,
					"must be a map, a system user and a user");
	}
	row->map = map->text;
	row->system_user = system_user->text;
	row->user = user->text;
	int r = 0;
	if (system_user->text[0] == '/') {
		r = hba_lines_regex(lines, line, system_user->text + 1,
				    &row->system_regex);
	}
	if (r != 0) {
		return r;
	}
	if (user->text[0] == '/') {
		return hba_lines_regex(lines, line, user->text + 1, &row->user_regex);
	}
	if (user->text[0] == '+' && !user->is_quoted) {
		return hba_lines_refuse(lines, line, "groups (%.64s) are not supported",
					user->text);
	}
	if (row->system_regex != NULL && strstr(user->text, "\\1") != NULL &&
	    row->system_regex->re_nsub < 1) {
		return hba_lines_refuse(
		    lines, line,
		    "%.64s refers to parentheses that \"%.64s\" does not have",
		    user->text, system_user->text);
	}
	row->is_all = !user->is_quoted && strcmp(user->text, "all") == 0;
	return 0;
}

static int ident_read(struct ident *ident)
{
	struct ident_row **tail = &ident->rows;
	for (const struct hba_line *l = ident->lines.first; l != NULL; l = l->next) {
		struct ident_row *row = arena_alloc(&ident->lines.arena, sizeof(*row));
		if (row == NULL) {
			return hba_lines_refuse(&ident->lines, l,
						"the files are too large");
		}
		int r = ident_read_row(ident, l, row);
		if (r != 0) {
			return r;
		}
		*tail = row;
		tail = &row->next;
	}
	return 0;
}

int ident_new(const struct hba_source *source, const char *path, struct ident **out,
	      struct hba_error *error)
{
	*out = NULL;
	struct ident *ident = calloc(1, sizeof(*ident));
	if (ident == NULL) {
		return -ENOMEM;
	}
	int r = hba_lines_init(&ident->lines, source, path, error);
	if (r == 0) {
		r = ident_read(ident);
	}
	if (r != 0) {
		ident_free(ident);
		return r;
	}
	*out = ident;
	return 0;
}

void ident_free(struct ident *ident)
{
	if (ident != NULL) {
		hba_lines_fini(&ident->lines);
		free(ident);
	}
}

/* Whether USER is the row's, with what the parentheses have matched for its first \1.
 */
static bool ident_is_expanded(const struct ident_row *row, const char *system_user,
			      const regmatch_t *match, const char *user)
{
	const char *at = strstr(row->user, "\\1");
	size_t before = (size_t)(at - row->user);
	size_t n = match->rm_so < 0 ? 0 : (size_t)(match->rm_eo - match->rm_so);
	size_t behind = strlen(at + 2);
	return match->rm_so >= 0 && strlen(user) == before + n + behind &&
	       memcmp(user, row->user, before) == 0 &&
	       memcmp(user + before, system_user + match->rm_so, n) == 0 &&
	       memcmp(user + before + n, at + 2, behind) == 0;
}

static bool ident_row_allows(const struct ident_row *row, const char *system_user,
			     const char *user)
{
	regmatch_t matches[2] = { { .rm_so = -1 }, { .rm_so = -1 } };
	if (row->system_regex != NULL) {
		if (regexec(row->system_regex, system_user, 2, matches, 0) != 0) {
			return false;
		}
		if (row->user_regex == NULL && strstr(row->user, "\\1") != NULL) {
			return ident_is_expanded(row, system_user, &matches[1], user);
		}
	} else if (strcmp(row->system_user, system_user) != 0) {
		return false;
	}
	if (row->user_regex != NULL) {
		return regexec(row->user_regex, user, 0, NULL, 0) == 0;
	}
	return row->is_all || strcmp(row->user, user) == 0;
}

bool ident_allows(const struct ident *ident, const char *map, const char *system_user,
		  const char *user)
{
	if (map == NULL) {
		return strcmp(system_user, user) == 0;
	}
	const struct ident_row *row = ident == NULL ? NULL : ident->rows;
	for (; row != NULL; row = row->next) {
		if (strcmp(row->map, map) == 0 &&
		    ident_row_allows(row, system_user, user)) {
			return true;
		}
	}
	return false;
}
