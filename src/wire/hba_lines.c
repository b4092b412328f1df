/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/hba_lines.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/span.h"

/* A logical line while it is taken apart. */
struct hba_cursor {
	struct hba_lines *lines;
	const struct hba_line *line; /* for errors, and whose file @words are beside */
	struct span left;
	unsigned depth;
};

static int hba_read_file(struct hba_lines *lines, const struct hba_line *from,
			 const char *path, unsigned depth);

int hba_lines_refuse(struct hba_lines *lines, const struct hba_line *line,
		     const char *fmt, ...)
{
	char *text = lines->error->text;
	size_t size = sizeof(lines->error->text);
	int n = snprintf(text, size, "%.200s:%u: ", line->file, line->line);
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text + n, size - (size_t)n, fmt, args);
	va_end(args);
	return HBA_E_INVALID;
}

static int hba_full(struct hba_lines *lines, const struct hba_line *line)
{
	return hba_lines_refuse(lines, line, "the files are too large");
}

/* Words */

static bool hba_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* What next_word() found. */
struct hba_found {
	bool is_word;
	bool has_comma; /* another word of the field follows */
	bool is_quoted;
	size_t n;
};

/* Takes the next word off the line; as PostgreSQL's next_token(). */
static int hba_next_word(struct hba_cursor *c, char word[HBA_MAX_WORD + 1],
			 struct hba_found *found)
{
	*found = (struct hba_found){ 0 };
	bool in_quote = false;
	bool saw_quote = false;
	while (c->left.n > 0 && (hba_is_blank(c->left.p[0]) || c->left.p[0] == ',')) {
		c->left = span_skip(c->left, 1);
	}
	while (c->left.n > 0 && (in_quote || !hba_is_blank(c->left.p[0]))) {
		uint8_t b = c->left.p[0];
		if (!in_quote && b == '#') {
			c->left = span_make(NULL, 0);
			break;
		}
		c->left = span_skip(c->left, 1);
		if (!in_quote && b == ',') {
			found->has_comma = true;
			break;
		}
		bool is_double =
		    b == '"' && in_quote && c->left.n > 0 && c->left.p[0] == '"';
		if (is_double) {
			c->left = span_skip(c->left, 1);
		} else if (b == '"') {
			found->is_quoted =
			    found->is_quoted || (!saw_quote && found->n == 0);
			saw_quote = true;
			in_quote = !in_quote;
			continue;
		}
		if (found->n == HBA_MAX_WORD) {
			return hba_lines_refuse(c->lines, c->line,
						"a word is too long");
		}
		word[found->n++] = (char)b;
	}
	if (in_quote) {
		return hba_lines_refuse(c->lines, c->line,
					"a quote (\") is not closed");
	}
	word[found->n] = '\0';
	found->is_word = found->n > 0 || saw_quote;
	return 0;
}

static int hba_add_word(struct hba_cursor *c, struct hba_word ***tail, struct span text,
			bool is_quoted)
{
	struct hba_word *word = arena_alloc(&c->lines->arena, sizeof(*word));
	char *copy = arena_copy(&c->lines->arena, text);
	if (word == NULL || copy == NULL) {
		return hba_full(c->lines, c->line);
	}
	word->text = copy;
	word->is_quoted = is_quoted;
	**tail = word;
	*tail = &word->next;
	return 0;
}

/* PATH as it is named in the file of LINE: relative names are beside that file. */
static const char *hba_beside(struct hba_lines *lines, const struct hba_line *line,
			      const char *path)
{
	const char *slash = strrchr(line->file, '/');
	size_t n =
	    path[0] == '/' || slash == NULL ? 0 : (size_t)(slash - line->file) + 1;
	size_t len = strlen(path);
	char *out = arena_alloc(&lines->arena, n + len + 1);
	if (out != NULL) {
		memcpy(out, line->file, n);
		memcpy(out + n, path, len + 1);
	}
	return out;
}

/* The text of a file, at most HBA_MAX_FILES of them.  MISSING_OK: not there is not
 * wrong, *OUT stays empty. */
static int hba_read_text(struct hba_lines *lines, const struct hba_line *from,
			 const char *path, bool missing_ok, struct buf *out)
{
	buf_init(out, HBA_MAX_FILE);
	if (lines->n_files++ == HBA_MAX_FILES) {
		return hba_lines_refuse(lines, from, "more than %d files",
					HBA_MAX_FILES);
	}
	int r = lines->source->read(lines->source->arg, path, out);
	if (r == -ENOENT && missing_ok) {
		return 0;
	}
	if (r < 0) {
		return hba_lines_refuse(lines, from, "cannot read %.200s: %s", path,
					strerror(-r));
	}
	if (out->len > 0 && memchr(out->data, 0, out->len) != NULL) {
		return hba_lines_refuse(lines, from, "%.200s has a zero byte", path);
	}
	return 0;
}

static int hba_add_file_words(struct hba_cursor *c, struct hba_word ***tail,
			      const char *path);

/* Words up to one without a comma behind it. */
static int hba_read_words(struct hba_cursor *c, struct hba_word ***tail, bool *any)
{
	char word[HBA_MAX_WORD + 1];
	struct hba_found found;
	*any = false;
	do {
		int r = hba_next_word(c, word, &found);
		if (r != 0 || !found.is_word) {
			return r;
		}
		*any = true;
		if (word[0] == '@' && !found.is_quoted && found.n > 1) {
			r = hba_add_file_words(c, tail, word + 1);
		} else {
			r = hba_add_word(c, tail, span_make(word, found.n),
					 found.is_quoted);
		}
		if (r != 0) {
			return r;
		}
	} while (found.has_comma);
	return 0;
}

/* Takes the next line, without its end, off *TEXT; true while there are some. */
static bool hba_next_line(struct span *text, struct span *line)
{
	if (text->n == 0) {
		return false;
	}
	const uint8_t *end = memchr(text->p, '\n', text->n);
	size_t n = end == NULL ? text->n : (size_t)(end - text->p);
	*line = span_make(text->p, n);
	*text = span_skip(*text, end == NULL ? n : n + 1);
	if (line->n > 0 && line->p[line->n - 1] == '\r') {
		line->n--;
	}
	return true;
}

/* @path: every word of the file, of all its lines. */
static int hba_add_file_words(struct hba_cursor *c, struct hba_word ***tail,
			      const char *path)
{
	struct buf text;
	const char *beside = hba_beside(c->lines, c->line, path);
	if (beside == NULL) {
		return hba_full(c->lines, c->line);
	}
	if (c->depth == HBA_MAX_DEPTH) {
		return hba_lines_refuse(c->lines, c->line,
					"files are nested too deeply");
	}
	int r = hba_read_text(c->lines, c->line, beside, false, &text);
	struct hba_line here = { .file = beside };
	struct hba_cursor inner = { .lines = c->lines,
				    .line = &here,
				    .depth = c->depth + 1 };
	struct span left = buf_span(&text);
	while (r == 0 && hba_next_line(&left, &inner.left)) {
		bool any = true;
		here.line++;
		while (r == 0 && any) {
			r = hba_read_words(&inner, tail, &any);
		}
	}
	buf_fini(&text);
	return r;
}

/* Lines */

static int hba_read_fields(struct hba_cursor *c, struct hba_line *line)
{
	struct hba_field **tail = &line->fields;
	for (;;) {
		struct hba_word *words = NULL;
		struct hba_word **words_tail = &words;
		bool any;
		int r = hba_read_words(c, &words_tail, &any);
		if (r != 0 || !any) {
			return r;
		}
		struct hba_field *field = arena_alloc(&c->lines->arena, sizeof(*field));
		if (field == NULL) {
			return hba_full(c->lines, line);
		}
		field->words = words;
		*tail = field;
		tail = &field->next;
		line->n_fields++;
	}
}

static int hba_compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Whether include_dir takes the file: *.conf, none that is hidden. */
static bool hba_is_conf(const char *name)
{
	size_t n = strlen(name);
	return n > 5 && name[0] != '.' && strcmp(name + n - 5, ".conf") == 0;
}

/* The files of NAMES (zeros behind each), in the order of their names. */
static int hba_include_names(struct hba_lines *lines, const struct hba_line *line,
			     const char *path, struct span names, unsigned depth)
{
	const char *sorted[HBA_MAX_FILES];
	size_t n = 0;
	for (size_t at = 0; at < names.n;) {
		const char *name = (const char *)names.p + at;
		at += strlen(name) + 1;
		if (!hba_is_conf(name)) {
			continue;
		}
		if (n == HBA_MAX_FILES) {
			return hba_lines_refuse(lines, line, "more than %d files",
						HBA_MAX_FILES);
		}
		sorted[n++] = name;
	}
	qsort(sorted, n, sizeof(sorted[0]), hba_compare_names);
	for (size_t i = 0; i < n; i++) {
		char file[2048];
		snprintf(file, sizeof(file), "%.1023s/%.1000s", path, sorted[i]);
		int r = hba_read_file(lines, line, file, depth + 1);
		if (r != 0) {
			return r;
		}
	}
	return 0;
}

static int hba_include_dir(struct hba_lines *lines, const struct hba_line *line,
			   const char *path, unsigned depth)
{
	struct buf names;
	buf_init(&names, HBA_MAX_FILE);
	int r = lines->source->list(lines->source->arg, path, &names);
	if (r < 0) {
		r = hba_lines_refuse(lines, line, "cannot read %.200s: %s", path,
				     strerror(-r));
	} else if (names.len > 0 && names.data[names.len - 1] == 0) {
		r = hba_include_names(lines, line, path, buf_span(&names), depth);
	}
	buf_fini(&names);
	return r;
}

static int hba_read_lines(struct hba_lines *lines, const char *file, struct span text,
			  unsigned depth);

static int hba_include(struct hba_lines *lines, const struct hba_line *line,
		       const char *what, unsigned depth)
{
	const struct hba_field *second = line->fields->next;
	if (line->n_fields != 2 || second->words == NULL ||
	    second->words->next != NULL) {
		return hba_lines_refuse(lines, line, "%s wants one name", what);
	}
	const char *path = hba_beside(lines, line, second->words->text);
	if (path == NULL) {
		return hba_full(lines, line);
	}
	if (depth == HBA_MAX_DEPTH) {
		return hba_lines_refuse(lines, line, "files are nested too deeply");
	}
	if (strcmp(what, "include_dir") == 0) {
		return hba_include_dir(lines, line, path, depth);
	}
	if (strcmp(what, "include") == 0) {
		return hba_read_file(lines, line, path, depth + 1);
	}
	struct buf text;
	int r = hba_read_text(lines, line, path, true, &text);
	if (r == 0) {
		r = hba_read_lines(lines, path, buf_span(&text), depth + 1);
	}
	buf_fini(&text);
	return r;
}

/* One logical line. */
static int hba_read_line(struct hba_lines *lines, struct hba_line *line,
			 struct span text, unsigned depth)
{
	static const char *const includes[] = { "include", "include_if_exists",
						"include_dir" };
	struct hba_cursor c = {
		.lines = lines, .line = line, .left = text, .depth = depth
	};
	int r = hba_read_fields(&c, line);
	if (r != 0 || line->n_fields == 0) {
		return r;
	}
	const struct hba_word *first = line->fields->words;
	for (size_t i = 0; first != NULL && i < ARRAY_LEN(includes); i++) {
		if (strcmp(first->text, includes[i]) == 0) {
			return hba_include(lines, line, includes[i], depth);
		}
	}
	struct hba_line *kept = arena_alloc(&lines->arena, sizeof(*kept));
	if (kept == NULL) {
		return hba_full(lines, line);
	}
	*kept = *line;
	if (lines->last == NULL) {
		lines->first = kept;
	} else {
		lines->last->next = kept;
	}
	lines->last = kept;
	return 0;
}

static int hba_read_lines(struct hba_lines *lines, const char *file, struct span text,
			  unsigned depth)
{
	struct hba_line line = { .file = arena_copy(&lines->arena, span_str(file)) };
	struct buf joined;
	struct span part;
	unsigned at = 0;
	int r = 0;
	if (line.file == NULL) {
		line.file = file;
		return hba_full(lines, &line);
	}
	buf_init(&joined, HBA_MAX_FILE);
	while (r == 0 && hba_next_line(&text, &part)) {
		line.line = ++at;
		buf_reset(&joined);
		while (part.n > 0 && part.p[part.n - 1] == '\\') {
			buf_append(&joined, part.p, part.n - 1);
			part = span_make(NULL, 0);
			at += hba_next_line(&text, &part);
		}
		if (part.n > 0) {
			buf_append_span(&joined, part);
		}
		line.fields = NULL;
		line.n_fields = 0;
		r = buf_ok(&joined)
			? hba_read_line(lines, &line, buf_span(&joined), depth)
			: hba_full(lines, &line);
	}
	buf_fini(&joined);
	return r;
}

static int hba_read_file(struct hba_lines *lines, const struct hba_line *from,
			 const char *path, unsigned depth)
{
	struct buf text;
	int r = hba_read_text(lines, from, path, false, &text);
	if (r == 0) {
		r = hba_read_lines(lines, path, buf_span(&text), depth);
	}
	buf_fini(&text);
	return r;
}

int hba_lines_init(struct hba_lines *lines, const struct hba_source *source,
		   const char *path, struct hba_error *error)
{
	*lines = (struct hba_lines){ .source = source, .error = error };
	error->text[0] = '\0';
	arena_init(&lines->arena, HBA_MAX_MEMORY);
	const struct hba_line from = { .file = path };
	return hba_read_file(lines, &from, path, 0);
}

void hba_lines_fini(struct hba_lines *lines)
{
	for (size_t i = 0; i < lines->n_regexes; i++) {
		regfree(lines->regexes[i]);
		free(lines->regexes[i]);
	}
	free(lines->regexes);
	arena_fini(&lines->arena);
}

/* Regular expressions */

/* What POSIX reads in another way than PostgreSQL, or what may take much memory: {},
 * and +, whose operand the C library keeps twice, so n of them around each other 2^n
 * times.  NULL: nothing. */
static const char *hba_regex_trouble(const char *pattern)
{
	bool in_brackets = false;
	unsigned n_repeated = 0;
	if (strlen(pattern) > HBA_MAX_REGEX) {
		return "is too long";
	}
	for (const char *p = pattern; *p != '\0'; p++) {
		bool alnum = (p[1] >= '0' && p[1] <= '9') ||
			     ((p[1] | 0x20) >= 'a' && (p[1] | 0x20) <= 'z');
		if (*p == '\\' && (in_brackets || alnum || p[1] == '\0')) {
			return "has an escape that POSIX does not have";
		}
		if (*p == '\\') {
			p++;
			continue;
		}
		if (in_brackets) {
			in_brackets =
			    *p != ']' || p[-1] == '[' || (p[-1] == '^' && p[-2] == '[');
			continue;
		}
		in_brackets = *p == '[';
		n_repeated += *p == ')' && p[1] == '+';
		if (n_repeated > HBA_MAX_REPEATED) {
			return "repeats too many groups with +";
		}
		if (*p == '{') {
			return "has a {}, which is not supported";
		}
		if (p[1] == '?' && strchr("?*+(", *p) != NULL) {
			return "has a construct that POSIX does not have";
		}
		if ((p[1] == '*' || p[1] == '+') && strchr("?*+", *p) != NULL) {
			return "has a quantifier behind a quantifier";
		}
	}
	return NULL;
}

static int hba_keep_regex(struct hba_lines *lines, const struct hba_line *line,
			  regex_t *regex)
{
	if (lines->n_regexes == HBA_MAX_REGEXES) {
		return hba_lines_refuse(lines, line, "more than %d regular expressions",
					HBA_MAX_REGEXES);
	}
	if (lines->regexes == NULL) {
		lines->regexes = calloc(HBA_MAX_REGEXES, sizeof(regex_t *));
	}
	if (lines->regexes == NULL) {
		return -ENOMEM;
	}
	lines->regexes[lines->n_regexes++] = regex;
	return 0;
}

int hba_lines_regex(struct hba_lines *lines, const struct hba_line *line,
		    const char *pattern, const regex_t **out)
{
	const char *trouble = strncmp(pattern, "***", 3) == 0
				  ? "has a director, which POSIX does not have"
				  : hba_regex_trouble(pattern);
	if (trouble != NULL) {
		return hba_lines_refuse(lines, line, "regular expression \"%.100s\" %s",
					pattern, trouble);
	}
	regex_t *regex = calloc(1, sizeof(*regex));
	if (regex == NULL) {
		return -ENOMEM;
	}
	int r = regcomp(regex, pattern, REG_EXTENDED);
	if (r != 0) {
		char why[128];
		regerror(r, regex, why, sizeof(why));
		free(regex);
		return hba_lines_refuse(
		    lines, line, "regular expression \"%.100s\": %s", pattern, why);
	}
	r = hba_keep_regex(lines, line, regex);
	if (r != 0) {
		regfree(regex);
		free(regex);
		return r;
	}
	*out = regex;
	return 0;
}
