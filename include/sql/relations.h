#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Looking things up in a catalogue snapshot (sql/catalog.h), by name and search path as
 * PostgreSQL does it: pg_catalog first unless the path lists it, then the path in
 * order. Temporary objects are not resolved here: a session that has some knows so
 * itself.
 *
 * Partitions and inheritance make trees.  Version tags are made for the root of a tree,
 * so everything that decides about a tree (triggers, rules, foreign keys) has been
 * spread over all its members, and columns carry the number of their namesake in the
 * root.
 *
 * Everything returned lives as long as the catalogue. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

struct catalog;

enum relation_kind {
	RELATION_TABLE,
	RELATION_PARTITIONED,
	RELATION_VIEW,
	RELATION_MATVIEW,
	RELATION_FOREIGN,
	RELATION_SEQUENCE,
	RELATION_OTHER,
};

enum relation_event {
	RELATION_INSERT,
	RELATION_UPDATE,
	RELATION_DELETE,
	RELATION_TRUNCATE,
	RELATION_EVENTS,
};

/* What the code that runs with a write may do: triggers, but also defaults and check
 * constraints that call a user's volatile function.  Foreign keys are not in it. */
enum trigger_danger {
	TRIGGER_NONE,
	TRIGGER_HARMLESS,  /* changes or drops the row at most */
	TRIGGER_DANGEROUS, /* may write anything */
};

enum volatility {
	VOLATILITY_IMMUTABLE,
	VOLATILITY_STABLE,
	VOLATILITY_VOLATILE,
};

struct relation_column {
	const char *name;
	double n_distinct;   /* estimated number of values; 0: unknown */
	uint32_t type;	     /* oid */
	int16_t attnum;	     /* > 0 */
	int16_t root_attnum; /* of the same name in the root; 0: the root lacks it */
	uint8_t canon;	     /* enum canon; NONE in a tree that has no_key */
	bool has_default;    /* a default, an identity, or its domain has one */
	bool is_generated;   /* GENERATED ALWAYS AS (...) */
	bool not_null;
	/* A foreign key with ON UPDATE CASCADE or SET refers to it: an UPDATE that sets
	 * no such column, of a relation without triggers[RELATION_UPDATE], leaves
	 * fk[RELATION_UPDATE] alone. */
	bool is_referenced;
};

#define RELATION_MAX_FK 64 /* roots in one relation_fk; more: is_dangerous */

/* What foreign key actions write beyond the relation, all steps included; the relation
 * itself is among them when it refers to itself.  For TRUNCATE it is what CASCADE would
 * empty. */
struct relation_fk {
	const uint32_t *roots; /* oids of root relations, each once */
	uint16_t n_roots;
	bool is_dangerous; /* a dangerous trigger or a rule on the way: may write
			      anything */
};

struct relation {
	uint32_t oid;
	uint32_t root; /* oid of the top of its tree; its own without one */
	const char *schema;
	const char *name;
	const char *view_definition; /* a view's query, qualified; NULL: not readable */
	const struct relation_column
	    *columns;  /* none for system relations, sequences */
	double n_rows; /* estimate, of the tree below */
	uint16_t n_columns;
	uint8_t kind;	       /* enum relation_kind */
	bool is_system;	       /* of pg_catalog or information_schema */
	bool is_temp;	       /* of some session: resolve as temporary */
	bool is_unlogged;      /* it or a member of its tree: emptied by a crash */
	bool has_row_security; /* its own; that of a child does not matter through it */
	bool has_rules; /* rules on INSERT, UPDATE or DELETE, anywhere in the tree */
	bool has_temp_member; /* a session's temporary child: rows differ by session */
	bool has_foreign_member; /* a foreign table in the tree: not ours to watch */
	bool no_key; /* a member has several parents: columns of the tree do not match
			up */
	bool trigger_sets; /* what runs with writes of the tree (a trigger, a rule, a
			    * default, a check) may change its session, or the catalogue
			    */
	uint8_t triggers[RELATION_EVENTS]; /* enum trigger_danger */
	struct relation_fk fk[RELATION_EVENTS];
};

/* Worst over everything that the name may mean. */
struct function_info {
	uint8_t volatility; /* enum volatility; of an aggregate, of its functions too */
	bool is_system;	    /* all in pg_catalog */
	/* A user's volatile function, other than those of extensions that are known to
	 * leave tables alone (uuid-ossp, pgcrypto and the like). */
	bool may_write;
	bool sets;	       /* may change its session for those that come later */
	bool is_set_returning; /* any of them */
	bool is_procedure;     /* any of them */
	bool is_aggregate;     /* any of them */
};

struct operator_info {
	uint8_t volatility; /* enum volatility, of the functions behind it */
	bool is_system;	    /* all in pg_catalog */
	bool is_vector;	    /* one of pgvector's distances */
};

struct type_info {
	uint32_t oid;
	uint32_t elem;		  /* an array's element type, else 0 */
	uint8_t input_volatility; /* enum volatility, of text to value */
	uint8_t canon;		  /* enum canon under the default collation */
	bool is_system;		  /* in pg_catalog */
	bool is_reg; /* regclass and its kin, or an array or so of them: reads names */
	bool is_domain; /* or has one inside */
	bool
	    is_datetime; /* or has one inside: text like 'now' means the current time */
};

#define SEARCH_PATH_MAX 64 /* schemas */

/* A search_path setting, resolved against one catalogue and one user. */
struct search_path {
	uint16_t schemas[SEARCH_PATH_MAX]; /* index into the catalogue's schemas */
	uint16_t n_schemas;
	bool has_temp; /* pg_temp is in it: its place is not as usual */
	/* Unreadable text, too long, or a user the catalogue does not know (so that its
	 * right to use schemas is unknown): nothing is found without a schema. */
	bool is_broken;
};

/* SETTING as current_setting('search_path') gives it; "$user" stands for USER, and
 * schemas that do not exist or that USER may not use are left out. */
void search_path_init(struct search_path *path, const struct catalog *catalog,
		      struct span setting, struct span user);

/* The relation that SCHEMA.NAME means, or NAME alone with an empty SCHEMA; NULL: none.
 * Names as the parser gives them (folded, unquoted).  SCHEMA pg_temp finds nothing. */
const struct relation *relations_find(const struct catalog *catalog,
				      const struct search_path *path,
				      struct span schema, struct span name);
const struct relation *relations_by_oid(const struct catalog *catalog, uint32_t oid);
/* The column of that name, or NULL. */
const struct relation_column *relation_column(const struct relation *relation,
					      struct span name);
/* The column with that number, or NULL. */
const struct relation_column *relation_column_at(const struct relation *relation,
						 int16_t attnum);

/* False when nothing of that name is visible. */
bool relations_function(const struct catalog *catalog, const struct search_path *path,
			struct span schema, struct span name,
			struct function_info *out);
/* Any operator of that name, in whatever schema; false: there is none. */
bool relations_operator(const struct catalog *catalog, struct span name,
			struct operator_info *out);
/* Types of tables' rows are not known here. */
bool relations_type(const struct catalog *catalog, const struct search_path *path,
		    struct span schema, struct span name, struct type_info *out);
bool relations_type_by_oid(const struct catalog *catalog, uint32_t oid,
			   struct type_info *out);
/* A user's volatile function may run where no statement names it: behind an operator, a
 * cast, a type's input or a domain's check. */
bool relations_has_hidden_volatile(const struct catalog *catalog);
/* Some relation is trigger_sets: a write that cannot be followed may come by it. */
bool relations_has_setting_code(const struct catalog *catalog);
