#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the open transaction of a session has written, as facts (relation, column,
 * value), and what becomes of them when it commits: tags of the version table that are
 * in flight from before the commit leaves until its answer has arrived.
 *
 * Why this is right: an entry depends on tags that every write to its rows moves
 * (ARCHITECTURE.md, "Versions").  Facts only ever make the set of tags smaller than
 * "the whole relation"; a fact that is missing, too long or not canonical makes it
 * larger. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "cache/versions.h"
#include "sql/plan.h"

struct constant;
struct message_bind;

#define WRITES_MAX_BYTES                                                            \
	65536		     /* of facts in one transaction; more: everything moves \
			      */
#define COMMIT_MAX_TAGS 1000 /* of one commit; more: everything moves */

struct writes {
	struct buf rows; /* struct write_row with its values, one behind the other */
	bool all;	 /* any relation of the database may have been written */
	bool ddl;	 /* the catalogue may have been changed */
	bool reshapes;	 /* it has been, by a statement whose business that is */
	bool any;	 /* something was written at all */
	uint32_t catalog_version; /* that the facts were found with, when any */
};

/* Where an operand's value comes from. */
struct operands {
	const struct constant *consts;
	size_t n_consts;
	const struct message_bind *bind; /* NULL: simple protocol, or values unknown */
	struct span types;		 /* declared parameter types: u32 each */
};

/* Hash of the operand's canonical value.  False: unknown.  *IS_NULL: SQL NULL. */
bool operand_hash(const struct operand *operand, enum canon canon,
		  const struct operands *from, uint64_t *hash_out, bool *is_null);

/* Nothing written yet; allocates nothing. */
void writes_init(struct writes *writes);
void writes_fini(struct writes *writes);
/* The transaction is over: as after writes_init(). */
void writes_reset(struct writes *writes);
/* Adds what one execution of PLAN writes. */
void writes_add(struct writes *writes, const struct plan *plan,
		const struct operands *from);

/* Of a commit's `cap`: for the database's own tag, and for names of it that are found
 * later. */
#define COMMIT_ROOM 8

/* Tags in flight for one commit; owned by the item whose answer decides it. */
struct commit {
	struct database *database;
	uint32_t
	    catalog_version; /* that its tags were found with; 0: none was needed */
	bool ddl;
	bool reshapes;	  /* see struct writes */
	bool has_db;	  /* the database's own tag is among them */
	bool partial;	  /* a failure does not tell that nothing was committed */
	bool prepares;	  /* PREPARE TRANSACTION: stay in flight under gid */
	bool tokens_done; /* fresh tokens are in Redis, or it was given up */
	char *gid;	  /* owned, or NULL */
	bool was_placed;  /* this and the next: of the database when it was begun */
	size_t n_aliases;
	size_t n;
	size_t cap;
	uint64_t tags[];
};

/* Begins every tag that WRITES touches and gives the commit; NULL when there is nothing
 * or no memory (then *FAILED is set, and the statement must not be sent). */
struct commit *commit_begin(const struct writes *writes, struct database *database,
			    struct versions *versions, struct key_columns *columns,
			    bool *failed);
/* The answer is here: adds the database's own tag when the catalogue has changed since
 * the facts were found, and those of names of the database that were not known.  Before
 * the tokens are written. */
void commit_recheck(struct commit *commit, struct versions *versions);
/* The connection to the server process PID (0: not known) was lost before the answer
 * came: the tags stay in flight until it is gone; frees.  NULL is fine. */
void commit_lost(struct commit *commit, uint32_t pid);
/* The answer is here and nobody has been told: ends the tags and frees. */
void commit_end(struct commit *commit, struct versions *versions, bool moved);
