#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The lexical form of pg_hba.conf and pg_ident.conf (PostgreSQL 16): lines of fields,
 * fields of one or more words with commas between them, "quotes" (two for one inside),
 * # comments, a backslash at the end of a line to go on in the next, @file for words
 * from a file, and include, include_if_exists and include_dir.  No I/O: a source gives
 * the texts. */

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/check.h"

struct buf;

#define HBA_MAX_FILE	 (1U << 20) /* bytes of one file */
#define HBA_MAX_MEMORY	 (8U << 20) /* bytes that all the lines may take */
#define HBA_MAX_FILES	 100	    /* read in all */
#define HBA_MAX_DEPTH	 10	    /* of includes in includes, PostgreSQL's limit */
#define HBA_MAX_WORD	 1024	    /* bytes */
#define HBA_MAX_REGEXES	 1000
#define HBA_MAX_REGEX	 256 /* bytes of one regular expression */
#define HBA_MAX_REPEATED 8   /* groups with a + behind them in one of them */

#define HBA_E_INVALID 1

struct hba_error {
	char text[512]; /* "file:line: what" */
};

/* Where the texts come from.  Paths are absolute or as the first one was given. */
struct hba_source {
	void *arg;
	/* Appends the text of the file.  0 or -errno. */
	int (*read)(void *arg, const char *path, struct buf *out);
	/* Appends the names in the directory, a zero behind each.  0 or -errno. */
	int (*list)(void *arg, const char *path, struct buf *out);
};

struct hba_word {
	struct hba_word *next;
	const char *text;
	bool is_quoted; /* began with a quote: no keyword */
};

struct hba_field {
	struct hba_field *next;
	struct hba_word *words; /* at least one, but from an empty @file */
};

struct hba_line {
	struct hba_line *next;
	const char *file;
	unsigned line; /* from 1; where it begins */
	struct hba_field *fields;
	unsigned n_fields; /* at least one */
};

/* All of it lives in the arena, the compiled expressions beside it. */
struct hba_lines {
	struct arena arena;
	struct hba_line *first;
	struct hba_line *last;
	unsigned n_files;
	regex_t **regexes; /* owned */
	size_t n_regexes;
	const struct hba_source *source; /* while reading */
	struct hba_error *error;
};

/* Reads PATH and what it includes.  0, HBA_E_INVALID and *ERROR, or -ENOMEM; in each
 * case the caller ends it with hba_lines_fini(). */
int hba_lines_init(struct hba_lines *lines, const struct hba_source *source,
		   const char *path, struct hba_error *error) MUST_CHECK;
void hba_lines_fini(struct hba_lines *lines);

/* Notes what is wrong with LINE; returns HBA_E_INVALID. */
int hba_lines_refuse(struct hba_lines *lines, const struct hba_line *line,
		     const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Compiles an extended regular expression that lives as long as the lines. PostgreSQL's
 * expressions say more than POSIX's: what would not mean the same is refused.  0,
 * HBA_E_INVALID or -ENOMEM. */
int hba_lines_regex(struct hba_lines *lines, const struct hba_line *line,
		    const char *pattern, const regex_t **out) MUST_CHECK;
