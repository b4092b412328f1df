#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Shared by the classify*.c files only. */

#include "sql/catalog.h"
#include "sql/classify.h"
#include "sql/relations.h"

/* One statement, or one view's definition, on its way to a plan. */
struct classify {
	const struct classify_source *source;
	const struct search_path *path; /* the session's, or empty inside a view */
	const struct statement *st;
	const struct relation **refs; /* by sql_ref.index; NULL: not found */
	struct plan *draft;
	struct classify_tables *tables;
	unsigned depth; /* views above */
	bool in_view;
	bool has_vector;     /* an operator of pgvector is used */
	bool is_first_keyed; /* the first relation of the outer query is keyed */
	bool has_danger;     /* a user's volatile function: may write anything */
	bool failed;	     /* no memory */
};

/* The first reason stays. */
void classify_bypass(struct classify *c, enum bypass_reason reason);
/* A user's code may run: it may write anything and change the session. */
void classify_danger(struct classify *c);
void *classify_alloc(struct classify *c, size_t n);
/* Resolves all references of the statement into c->refs. */
void classify_resolve(struct classify *c);

/* Functions, operators and casts. */
void classify_names(struct classify *c);

/* The relations that are read, with their keys. */
void classify_reads(struct classify *c);
/* A view's definition, as part of what C reads. */
void classify_view(struct classify *c, const struct relation *view);
/* The column of REF that COLUMN means, or NULL when it is not certain. */
const struct relation_column *classify_column(const struct classify *c,
					      const struct sql_ref *ref,
					      const struct sql_equal *equal);
/* Whether the value, compared with or assigned to the column, keeps its canonical form.
 */
bool classify_value_fits(const struct classify *c, const struct relation_column *column,
			 const struct sql_value *v);
struct operand classify_operand(const struct sql_value *v);

/* The relations that are written, with what is known of their rows. */
void classify_writes(struct classify *c);
