/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/config_errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define NEAREST_MAX_LEN 64 /* longer names are not compared */

void config_errors_init(struct config_errors *errors)
{
	require(errors != NULL);
	*errors = (struct config_errors){ 0 };
}

void config_errors_fini(struct config_errors *errors)
{
	require(errors != NULL);
	for (size_t i = 0; i < errors->n; i++) {
		free(errors->items[i].file);
		free(errors->items[i].text);
	}
	free(errors->items);
	config_errors_init(errors);
}

/* Foreign text in a message: no control characters in what an operator reads. */
static void config_errors_clean(char *text)
{
	for (char *p = text; *p != 0; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			*p = '?';
		}
	}
}

void config_errors_add(struct config_errors *errors, bool is_warning, const char *file,
		       unsigned line, const char *fmt, ...)
{
	require(errors != NULL && fmt != NULL);
	*(is_warning ? &errors->n_warnings : &errors->n_errors) += 1;
	if (errors->n >= CONFIG_MAX_ERRORS) {
		return;
	}
	struct config_error *items =
	    realloc(errors->items, (errors->n + 1) * sizeof(*items));
	if (items == NULL) {
		return; /* still counted */
	}
	errors->items = items;
	char *text = NULL;
	va_list args;
	va_start(args, fmt);
	int n = vasprintf(&text, fmt, args);
	va_end(args);
	char *copy = strdup(file != NULL ? file : "pgrecall");
	if (n < 0 || copy == NULL) {
		free(n < 0 ? NULL : text);
		free(copy);
		return;
	}
	config_errors_clean(text);
	items[errors->n++] = (struct config_error){
		.file = copy, .line = line, .is_warning = is_warning, .text = text
	};
}

void config_errors_text(const struct config_errors *errors, struct buf *out)
{
	require(errors != NULL && out != NULL);
	for (size_t i = 0; i < errors->n; i++) {
		const struct config_error *e = &errors->items[i];
		buf_append_str(out, e->file);
		if (e->line > 0) {
			buf_printf(out, ":%u", e->line);
		}
		buf_printf(out, ": %s: %s\n", e->is_warning ? "warning" : "error",
			   e->text);
	}
	size_t all = errors->n_errors + errors->n_warnings;
	if (all > errors->n) {
		buf_printf(out, "... and %zu more\n", all - errors->n);
	}
}

/* Edit distance (Levenshtein, a swap of neighbours counts as one), case folded. */
static size_t config_distance(const char *a, const char *b)
{
	size_t rows[3][NEAREST_MAX_LEN + 1];
	size_t la = strlen(a);
	size_t lb = strlen(b);
	for (size_t j = 0; j <= lb; j++) {
		rows[0][j] = j;
	}
	for (size_t i = 1; i <= la; i++) {
		size_t *now = rows[i % 3];
		const size_t *up = rows[(i + 2) % 3];
		const size_t *up2 = rows[(i + 1) % 3];
		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t same = (a[i - 1] | 0x20) == (b[j - 1] | 0x20) ? 0 : 1;
			size_t d = up[j - 1] + same;
			d = up[j] + 1 < d ? up[j] + 1 : d;
			d = now[j - 1] + 1 < d ? now[j - 1] + 1 : d;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && up2[j - 2] + 1 < d) {
				d = up2[j - 2] + 1;
			}
			now[j] = d;
		}
	}
	return rows[la % 3][lb];
}

const char *config_nearest(const char *name, const char *const *names, size_t n)
{
	require(name != NULL && (names != NULL || n == 0));
	size_t len = strlen(name);
	const char *best = NULL;
	/* a third of the letters may be wrong: beyond it a suggestion only confuses */
	size_t best_distance = len / 3 + 2;
	if (len == 0 || len > NEAREST_MAX_LEN) {
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		if (strlen(names[i]) > NEAREST_MAX_LEN) {
			continue;
		}
		size_t d = config_distance(name, names[i]);
		if (d < best_distance && d < strlen(names[i])) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}
