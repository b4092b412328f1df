/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/userlist.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/buf.h"
#include "wire/md5_password.h"
#include "wire/reader.h"

struct userlist_row {
	struct userlist_entry entry; /* spans into the list's text */
	size_t line;		     /* the order among rows of one name */
};

struct userlist {
	struct buf
	    text; /* names and secrets without quotes; allocated once, never moves */
	struct userlist_row *rows; /* sorted by name; owned */
	size_t n;
	size_t cap;
};

/* Where in the file we are. */
struct userlist_cursor {
	struct reader r;
	size_t line; /* from 1 */
};

static int userlist_refuse(struct userlist_error *error, size_t line, const char *text)
{
	*error = (struct userlist_error){ .line = line, .text = text };
	return USERLIST_E_SYNTAX;
}

static void userlist_skip_line(struct userlist_cursor *c)
{
	while (c->r.left > 0 && c->r.next[0] != '\n') {
		(void)reader_u8(&c->r);
	}
}

static bool userlist_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static void userlist_skip_blanks(struct userlist_cursor *c)
{
	while (c->r.left > 0 && userlist_is_blank(c->r.next[0])) {
		(void)reader_u8(&c->r);
	}
}

/* Appends what is between two quotes to TEXT and gives it back as OUT.  Neither a
 * line's end nor a zero can be part of it. */
static int userlist_read_quoted(struct userlist_cursor *c, struct buf *text, size_t max,
				struct span *out, struct userlist_error *error)
{
	if (c->r.left == 0 || c->r.next[0] != '"') {
		return userlist_refuse(error, c->line, "a quote (\") is missing");
	}
	(void)reader_u8(&c->r);
	const uint8_t *start = text->data + text->len;
	size_t n = 0;
	while (c->r.left > 0) {
		uint8_t byte = reader_u8(&c->r);
		if (byte == '"' && (c->r.left == 0 || c->r.next[0] != '"')) {
			*out = span_make(start, n);
			return 0;
		}
		if (byte == '"') {
			(void)reader_u8(&c->r);
		}
		if (byte == '\n' || byte == 0) {
			break;
		}
		if (n == max) {
			return userlist_refuse(error, c->line,
					       "a name or secret is too long");
		}
		buf_append_u8(text, byte);
		n++;
	}
	return userlist_refuse(error, c->line, "the closing quote (\") is missing");
}

static int userlist_grow(struct userlist *list)
{
	if (list->n < list->cap) {
		return 0;
	}
	/* a row takes six bytes of the file, whose limit bounds this, too */
	size_t cap = list->cap == 0 ? 16 : list->cap * 2;
	struct userlist_row *rows = calloc(cap, sizeof(*rows));
	if (rows == NULL) {
		return -ENOMEM;
	}
	if (list->n > 0) {
		memcpy(rows, list->rows, list->n * sizeof(*rows));
		OPENSSL_cleanse(list->rows, list->n * sizeof(*rows));
	}
	free(list->rows);
	list->rows = rows;
	list->cap = cap;
	return 0;
}

int userlist_classify(struct span secret, enum userlist_kind *kind,
		      struct scram_secret *scram)
{
	struct span prefix = SPAN_LIT(SCRAM_MECHANISM "$");
	if (md5_password_is(secret)) {
		*kind = USERLIST_MD5;
	} else if (secret.n >= prefix.n && memcmp(secret.p, prefix.p, prefix.n) == 0) {
		*kind = USERLIST_SCRAM;
		return scram_secret_parse(secret, scram) != 0 ? USERLIST_E_SYNTAX : 0;
	} else {
		*kind = USERLIST_PLAIN;
	}
	return 0;
}

/* One `"name" "secret"`; the cursor is at the first quote. */
static int userlist_read_row(struct userlist *list, struct userlist_cursor *c,
			     struct userlist_error *error)
{
	int r = userlist_grow(list);
	if (r != 0) {
		return r;
	}
	struct userlist_row *row = &list->rows[list->n];
	*row = (struct userlist_row){ .line = c->line };
	r = userlist_read_quoted(c, &list->text, USERLIST_MAX_NAME, &row->entry.name,
				 error);
	if (r != 0) {
		return r;
	}
	if (row->entry.name.n == 0) {
		return userlist_refuse(error, c->line, "the name is empty");
	}
	userlist_skip_blanks(c);
	r = userlist_read_quoted(c, &list->text, USERLIST_MAX_SECRET,
				 &row->entry.secret, error);
	if (r != 0) {
		return r;
	}
	if (userlist_classify(row->entry.secret, &row->entry.kind, &row->entry.scram) !=
	    0) {
		return userlist_refuse(error, row->line,
				       "the SCRAM secret is malformed");
	}
	list->n++;
	return 0;
}

static int userlist_read(struct userlist *list, struct span text,
			 struct userlist_error *error)
{
	struct userlist_cursor c = { .r = reader_make(text), .line = 1 };
	while (c.r.left > 0) {
		userlist_skip_blanks(&c);
		if (c.r.left > 0 && c.r.next[0] != '\n' && c.r.next[0] != ';') {
			int r = userlist_read_row(list, &c, error);
			if (r != 0) {
				return r;
			}
		}
		userlist_skip_line(&c);
		if (c.r.left > 0) {
			(void)reader_u8(&c.r);
			c.line++;
		}
	}
	return 0;
}

static int userlist_compare_names(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n == 0 ? 0 : memcmp(a.p, b.p, n);
	if (order != 0) {
		return order;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

static int userlist_compare_rows(const void *a, const void *b)
{
	const struct userlist_row *left = a;
	const struct userlist_row *right = b;
	int order = userlist_compare_names(left->entry.name, right->entry.name);
	if (order != 0) {
		return order;
	}
	return left->line < right->line ? -1 : left->line > right->line;
}

/* Sorts the rows and keeps the last of each name. */
static void userlist_settle(struct userlist *list)
{
	require(buf_ok(&list->text));
	if (list->n > 1) {
		qsort(list->rows, list->n, sizeof(*list->rows), userlist_compare_rows);
	}
	size_t kept = 0;
	for (size_t i = 0; i < list->n; i++) {
		if (kept > 0 && span_eq(list->rows[kept - 1].entry.name,
					list->rows[i].entry.name)) {
			kept--;
		}
		list->rows[kept++] = list->rows[i];
	}
	list->n = kept;
}

int userlist_new(struct span text, struct userlist **out, struct userlist_error *error)
{
	*out = NULL;
	*error = (struct userlist_error){ 0 };
	if (text.n > USERLIST_MAX_SIZE) {
		return userlist_refuse(error, 1, "the file is too large");
	}
	struct userlist *list = calloc(1, sizeof(*list));
	if (list == NULL) {
		return -ENOMEM;
	}
	/* without its quotes the text is shorter than the file; allocated once, so that
	 * no secret is left in memory that a larger buffer has replaced */
	buf_init(&list->text, text.n + 1);
	int r = buf_reserve(&list->text, text.n + 1) == NULL ? -ENOMEM : 0;
	if (r == 0) {
		r = userlist_read(list, text, error);
	}
	if (r != 0) {
		userlist_free(list);
		return r;
	}
	userlist_settle(list);
	*out = list;
	return 0;
}

void userlist_free(struct userlist *list)
{
	if (list == NULL) {
		return;
	}
	if (list->text.data != NULL) {
		OPENSSL_cleanse(list->text.data, list->text.len);
	}
	buf_fini(&list->text);
	if (list->rows != NULL) {
		OPENSSL_cleanse(list->rows, list->cap * sizeof(*list->rows));
	}
	free(list->rows);
	free(list);
}

const struct userlist_entry *userlist_find(const struct userlist *list,
					   struct span name)
{
	size_t low = 0;
	size_t high = list->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct userlist_entry *entry = &list->rows[middle].entry;
		int order = userlist_compare_names(entry->name, name);
		if (order == 0) {
			return entry;
		}
		if (order < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return NULL;
}

size_t userlist_count(const struct userlist *list)
{
	return list->n;
}

const struct userlist_entry *userlist_at(const struct userlist *list, size_t i)
{
	require(i < list->n);
	return &list->rows[i].entry;
}
