#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A prepared statement as the servers know it: text, parameter types, the settings
 * under which it is read (T-37) and the shape of the database it was first prepared in,
 * shared by all clients of a worker that prepare the same, with one name on every
 * server connection.  DDL gives the database another shape, so who prepares a text
 * after it never gets a statement from before, whose result may be of other types
 * (T-65). Names are never used again (T-63).  Statements that nobody has are kept for
 * whoever prepares the same, while there is room: servers have them still.
 * Reference-counted; not shared between threads, but the id is unique in the process.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/dlist.h"
#include "base/span.h"

struct constant;
struct plan;
struct statement_table;

#define STATEMENT_MAX_UNUSED  1024 /* that nobody has, of one worker */
#define STATEMENT_NAME_MAX    32
#define STATEMENT_NAME_FORMAT "pgrecall_%llu"

struct statement {
	uint64_t id;
	uint64_t hash;
	uint64_t
	    parse_id;	/* the settings': context->parse_id, or a number of its own */
	uint64_t shape; /* the database's, or a transaction's with DDL in it */
	struct dlist link;   /* in the table's bucket */
	struct dlist unused; /* in the table's list of those without a reference */
	uint32_t refs;
	uint32_t text_len;
	uint32_t types_len; /* bytes: n_types as u16, then u32 each, as in Parse */
	/* the plan last made for it, and for what */
	struct plan *plan; /* a reference, or NULL */
	uint64_t plan_path_id;
	uint32_t plan_catalog;
	uint32_t plan_epoch;	 /* the configuration's */
	struct constant *consts; /* constants of the text; owned, NULL when none */
	uint8_t *told_types; /* parameter types as the server has told a client, laid
			      * out like `types`; owned, or NULL */
	uint32_t n_consts;
	struct statement_table *table;
	char name[STATEMENT_NAME_MAX]; /* on the servers, in transaction mode */
	uint8_t bytes[];	       /* text, a zero, types */
};

/* Without a limit.  0 or -ENOMEM. */
int statement_table_new(struct statement_table **out) MUST_CHECK;
/* How many bytes statements may take in the whole process (T-67). */
void statement_table_limit(struct statement_table *table, size_t max_bytes);
/* Every statement must have been given back. */
void statement_table_free(struct statement_table *table);
/* The statement of TEXT and TYPES (as in Parse, with the count) under the settings
 * PARSE_ID in a database of SHAPE, a new reference; NULL without memory, or over the
 * limit. */
struct statement *statement_intern(struct statement_table *table, struct span text,
				   struct span types, uint64_t parse_id,
				   uint64_t shape);
/* The same statement as it is under the settings PARSE_ID, a new reference, whatever
 * the limit; NULL without memory. */
SELDOM struct statement *statement_reread(struct statement *statement,
					  uint64_t parse_id);
/* Whether a statement of SIZE bytes is over the limit. */
bool statement_is_surplus(struct statement_table *table, size_t size);
/* The body of a ParameterDescription for the statement: when it is prepared again its
 * parameters stay what clients believe them to be.  The first one counts. */
void statement_told(struct statement *statement, struct span body);
/* That body again; empty: nobody was told. */
struct span statement_told_types(const struct statement *statement);
/* The parameter types to prepare it with, without their count. */
struct span statement_parse_types(const struct statement *statement);
/* A number for settings that are nobody else's. */
uint64_t statement_own_parse_id(void);
/* Of a statement that somebody has. */
struct statement *statement_ref(struct statement *statement);
/* NULL is fine. */
void statement_unref(struct statement *statement);

static inline struct span statement_text(const struct statement *s)
{
	return span_make(s->bytes, s->text_len);
}

static inline struct span statement_types(const struct statement *s)
{
	return span_make(s->bytes + s->text_len + 1, s->types_len);
}
