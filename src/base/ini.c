/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/config_errors.h"

#define INI_MAX_NAME 512 /* section, key: bytes */

struct ini_reader {
	ini_fn fn;
	void *arg;
	struct config_errors *errors;
	const char *file;
	unsigned line;
	unsigned depth;
	unsigned n_files;
	bool no_include;
	struct buf section; /* of the line being read; goes on into an included file */
	struct buf key;	    /* unquoted */
};

static int ini_read_included(struct ini_reader *reader, const char *path);

static bool ini_is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static struct span ini_trim(struct span s)
{
	while (s.n > 0 && ini_is_space(s.p[0])) {
		s = span_skip(s, 1);
	}
	while (s.n > 0 && ini_is_space(s.p[s.n - 1])) {
		s.n--;
	}
	return s;
}

static void ini_error(struct ini_reader *reader, const char *text)
{
	config_errors_add(reader->errors, false, reader->file, reader->line, "%s",
			  text);
}

static void ini_emit(struct ini_reader *reader, bool is_section, struct span value)
{
	struct ini_entry entry = {
		.file = reader->file,
		.line = reader->line,
		.is_section = is_section,
		.section = buf_span(&reader->section),
		.key = is_section ? span_make(NULL, 0) : buf_span(&reader->key),
		.value = value,
	};
	reader->fn(reader->arg, &entry);
}

static void ini_section(struct ini_reader *reader, struct span line)
{
	buf_reset(&reader->section);
	if (line.p[line.n - 1] != ']') {
		ini_error(reader, "a section ends with ]");
		return;
	}
	buf_append_span(&reader->section, ini_trim(span_make(line.p + 1, line.n - 2)));
	if (!buf_ok(&reader->section) || reader->section.len == 0) {
		buf_reset(&reader->section);
		ini_error(reader, "the name of a section is empty or too long");
		return;
	}
	ini_emit(reader, true, span_make(NULL, 0));
}

/* Unquotes the key at the begin of LINE into reader->key; what is left of the line, or
 * a span without bytes when the quote does not end. */
static struct span ini_quoted_key(struct ini_reader *reader, struct span line)
{
	size_t i = 1;
	while (i < line.n) {
		if (line.p[i] != '"') {
			buf_append_u8(&reader->key, line.p[i++]);
		} else if (line.n - i > 1 && line.p[i + 1] == '"') {
			buf_append_u8(&reader->key, '"');
			i += 2;
		} else {
			return ini_trim(span_skip(line, i + 1));
		}
	}
	return span_make(NULL, 0);
}

static void ini_setting(struct ini_reader *reader, struct span line)
{
	buf_reset(&reader->key);
	struct span rest;
	if (line.p[0] == '"') {
		rest = ini_quoted_key(reader, line);
	} else {
		const uint8_t *eq = memchr(line.p, '=', line.n);
		size_t n = eq != NULL ? (size_t)(eq - line.p) : line.n;
		buf_append_span(&reader->key, ini_trim(span_make(line.p, n)));
		rest = span_skip(line, n);
	}
	if (rest.n == 0 || rest.p[0] != '=') {
		ini_error(reader, "neither a [section], a comment nor `name = value`");
	} else if (!buf_ok(&reader->key) || reader->key.len == 0) {
		ini_error(reader, "the name before = is empty or too long");
	} else if (reader->section.len == 0) {
		ini_error(reader, "a setting before the first [section]");
	} else {
		ini_emit(reader, false, ini_trim(span_skip(rest, 1)));
	}
}

static int ini_directive(struct ini_reader *reader, struct span line)
{
	static const struct span include = SPAN_LIT("%include");
	if (line.n <= include.n || memcmp(line.p, include.p, include.n) != 0 ||
	    !ini_is_space(line.p[include.n])) {
		ini_error(reader, "after % comes `include FILE`");
		return 0;
	}
	if (reader->no_include) {
		ini_error(reader, "%include is not allowed here");
		return 0;
	}
	struct span path = ini_trim(span_skip(line, include.n));
	char *name = strndup((const char *)path.p, path.n);
	if (name == NULL) {
		return -ENOMEM;
	}
	int r = ini_read_included(reader, name);
	free(name);
	return r;
}

static int ini_line(struct ini_reader *reader, struct span line)
{
	line = ini_trim(line);
	if (line.n == 0 || line.p[0] == ';' || line.p[0] == '#') {
		return 0;
	}
	if (memchr(line.p, 0, line.n) != NULL) {
		ini_error(reader, "the line holds a zero byte");
		return 0;
	}
	if (line.p[0] == '%') {
		return ini_directive(reader, line);
	}
	if (line.p[0] == '[') {
		ini_section(reader, line);
	} else {
		ini_setting(reader, line);
	}
	return 0;
}

static int ini_lines(struct ini_reader *reader, const char *file, struct span text)
{
	const char *outer_file = reader->file;
	unsigned outer_line = reader->line;
	int r = 0;
	reader->file = file;
	reader->line = 0;
	if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0) {
		text = span_skip(text, 3); /* a byte order mark, from an editor */
	}
	while (text.n > 0 && r == 0) {
		const uint8_t *end = memchr(text.p, '\n', text.n);
		size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
		reader->line++;
		r = ini_line(reader, span_make(text.p, n));
		text = span_skip(text, end != NULL ? n + 1 : n);
	}
	reader->file = outer_file;
	reader->line = outer_line;
	return r;
}

/* Reads a whole regular file; -errno, or -EFBIG when it is over the limit. */
static int ini_slurp(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		return -errno;
	}
	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : 0;
	while (r == 0) {
		uint8_t *to = buf_reserve(out, 4096);
		ssize_t n = to != NULL ? read(fd, to, 4096) : -1;
		if (n <= 0) {
			r = to == NULL ? -EFBIG : n < 0 ? -errno : 0;
			break;
		}
		out->len += (size_t)n;
	}
	close(fd);
	return r;
}

static int ini_read_included(struct ini_reader *reader, const char *path)
{
	if (reader->depth >= INI_MAX_DEPTH || reader->n_files >= INI_MAX_FILES) {
		ini_error(reader, "%include is nested too deeply, or includes itself");
		return 0;
	}
	struct buf text;
	buf_init(&text, INI_MAX_FILE);
	int r = ini_slurp(path, &text);
	if (r < 0) {
		config_errors_add(
		    reader->errors, false, reader->file != NULL ? reader->file : path,
		    reader->line, "cannot read %s: %s", path, strerror(-r));
		r = 0;
	} else {
		reader->depth++;
		reader->n_files++;
		r = ini_lines(reader, path, buf_span(&text));
		reader->depth--;
	}
	buf_fini(&text);
	return r;
}

static void ini_reader_init(struct ini_reader *reader, ini_fn fn, void *arg,
			    struct config_errors *errors)
{
	require(fn != NULL && errors != NULL);
	*reader = (struct ini_reader){ .fn = fn, .arg = arg, .errors = errors };
	buf_init(&reader->section, INI_MAX_NAME);
	buf_init(&reader->key, INI_MAX_NAME);
}

int ini_read_file(const char *path, ini_fn fn, void *arg, struct config_errors *errors)
{
	require(path != NULL);
	struct ini_reader reader;
	ini_reader_init(&reader, fn, arg, errors);
	int r = ini_read_included(&reader, path);
	buf_fini(&reader.section);
	buf_fini(&reader.key);
	return r;
}

int ini_read_text(const char *name, struct span text, bool no_include, ini_fn fn,
		  void *arg, struct config_errors *errors)
{
	require(name != NULL);
	struct ini_reader reader;
	ini_reader_init(&reader, fn, arg, errors);
	reader.no_include = no_include;
	int r = ini_lines(&reader, name, text);
	buf_fini(&reader.section);
	buf_fini(&reader.key);
	return r;
}
