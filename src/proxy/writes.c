/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/writes.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/database.h"
#include "sql/canon.h"
#include "sql/planner.h"
#include "wire/messages.h"

struct write_value {
	uint64_t hash;
	int16_t attnum;
	bool is_null; /* the column is NULL in these rows: no keyed read finds them */
};

struct write_row {
	uint32_t rel;
	uint16_t n; /* values that follow */
	bool unreadable;
};

bool operand_hash(const struct operand *operand, enum canon canon,
		  const struct operands *from, uint64_t *hash_out, bool *is_null)
{
	*is_null = operand->kind == OPERAND_NULL;
	if (*is_null) {
		return true;
	}
	if (operand->kind == OPERAND_CONST) {
		return operand->index < from->n_consts &&
		       canon_hash_const(canon, from->consts[operand->index].raw,
					hash_out);
	}
	if (operand->kind != OPERAND_PARAM || from->bind == NULL ||
	    operand->index >= from->bind->n_values) {
		return false;
	}
	struct reader values = reader_make(from->bind->values);
	struct span value = message_bind_value(&values);
	for (unsigned i = 0; i < operand->index; i++) {
		value = message_bind_value(&values);
	}
	if (value.p == NULL) {
		*is_null = true;
		return true;
	}
	uint32_t oid = 0;
	if (from->types.n / 4 > operand->index) {
		struct reader r =
		    reader_make(span_skip(from->types, 4U * operand->index));
		oid = reader_u32(&r);
	}
	return canon_hash_param(canon, value,
				message_bind_format(from->bind, operand->index), oid,
				hash_out);
}

void writes_init(struct writes *writes)
{
	*writes = (struct writes){ 0 };
	buf_init(&writes->rows, WRITES_MAX_BYTES);
}

void writes_fini(struct writes *writes)
{
	buf_fini(&writes->rows);
}

void writes_reset(struct writes *writes)
{
	if (writes->any) {
		buf_fini(&writes->rows);
		writes->all = writes->ddl = writes->any = writes->reshapes = false;
	}
}

/* Adds one row's facts; a value without canonical form leaves its column unknown. */
static void writes_add_row(struct writes *writes, uint32_t rel,
			   const struct plan_fact *facts, size_t n,
			   const struct operands *from)
{
	struct write_row row = { .rel = rel };
	size_t at = writes->rows.len;
	buf_append(&writes->rows, &row, sizeof(row));
	for (size_t i = 0; i < n; i++) {
		const struct plan_fact *fact = &facts[i];
		struct write_value value[UINT8_MAX];
		bool known = fact->n_ops > 0;
		for (size_t k = 0; k < fact->n_ops && known; k++) {
			value[k] = (struct write_value){ .attnum = fact->attnum };
			known = operand_hash(&fact->ops[k], fact->canon, from,
					     &value[k].hash, &value[k].is_null);
		}
		if (known) {
			buf_append(&writes->rows, value,
				   fact->n_ops * sizeof(value[0]));
			row.n = (uint16_t)(row.n + fact->n_ops);
		}
	}
	if (buf_ok(&writes->rows)) {
		memcpy(writes->rows.data + at, &row, sizeof(row));
	}
}

static void writes_add_relation(struct writes *writes, const struct plan_write *write,
				const struct operands *from)
{
	if (write->unreadable || write->n_rows == 0) {
		struct write_row row = { .rel = write->rel, .unreadable = true };
		buf_append(&writes->rows, &row, sizeof(row));
		return;
	}
	for (size_t i = 0; i < write->n_rows; i++) {
		writes_add_row(writes, write->rel, write->facts + i * write->n_facts,
			       write->n_facts, from);
	}
}

void writes_add(struct writes *writes, const struct plan *plan,
		const struct operands *from)
{
	bool is_write = plan->n_writes > 0 || plan->writes_all ||
			plan->kind == PLAN_DDL || plan->kind == PLAN_UNPARSED;
	if (!is_write && plan->kind != PLAN_MULTI) {
		return;
	}
	if (is_write && !writes->any) {
		writes->catalog_version = plan->catalog_version;
	} else if (is_write && writes->catalog_version != plan->catalog_version) {
		writes->all = true; /* found with different catalogues */
	}
	writes->any = writes->any || is_write;
	writes->all = writes->all || plan->writes_all || plan->kind == PLAN_UNPARSED;
	/* a text that we cannot read may change the catalogue as well */
	writes->ddl = writes->ddl || plan->kind == PLAN_DDL ||
		      plan->kind == PLAN_UNPARSED || plan->suspect;
	writes->reshapes =
	    writes->reshapes || plan->kind == PLAN_DDL || plan->kind == PLAN_UNPARSED;
	for (size_t i = 0; i < plan->n_writes; i++) {
		writes_add_relation(writes, &plan->writes[i], from);
	}
	for (size_t i = 0; i < plan->n_parts; i++) {
		writes_add(writes, plan->parts[i], from);
	}
	if (!buf_ok(&writes->rows)) {
		writes->all = true;
		buf_fini(&writes->rows);
	}
}

struct commit_maker {
	struct commit *commit;
	struct versions *versions;
	uint64_t db_tag;
	size_t cap;
	bool full;
};

static void commit_push(struct commit *commit, struct versions *versions, uint64_t tag)
{
	versions_begin(versions, tag);
	commit->tags[commit->n++] = tag;
}

/* The same tag twice in one commit would only be begun and ended twice; the last few
 * are compared so that a long INSERT into one channel stays one tag. */
static void commit_add(struct commit_maker *maker, uint64_t tag)
{
	struct commit *commit = maker->commit;
	size_t from = commit->n > 64 ? commit->n - 64 : 0;
	for (size_t i = from; i < commit->n; i++) {
		if (commit->tags[i] == tag) {
			return;
		}
	}
	if (commit->n == maker->cap) {
		maker->full = true;
		return;
	}
	commit_push(commit, maker->versions, tag);
}

static void commit_add_row(struct commit_maker *maker, struct key_columns *columns,
			   const struct write_row *row,
			   const struct write_value *values)
{
	/* `any` goes first: see the race in cache/versions.h */
	commit_add(maker, versions_tag_any(maker->db_tag, row->rel));
	uint64_t mask = key_columns_mask(columns, maker->db_tag, row->rel);
	while (mask != 0) {
		int16_t attnum = (int16_t)__builtin_ctzll(mask);
		mask &= mask - 1;
		bool known = false;
		for (size_t i = 0; i < row->n; i++) {
			if (values[i].attnum != attnum) {
				continue;
			}
			known = true;
			if (!values[i].is_null) {
				commit_add(maker,
					   versions_tag_col(maker->db_tag, row->rel,
							    attnum, values[i].hash));
			}
		}
		if (!known) {
			commit_add(maker, versions_tag_col_all(maker->db_tag, row->rel,
							       attnum));
		}
	}
}

static void commit_add_rows(struct commit_maker *maker, const struct writes *writes,
			    struct key_columns *columns)
{
	struct span left = buf_span(&writes->rows);
	while (left.n > 0 && !maker->full) {
		struct write_row row;
		struct write_value values[1024];
		require(left.n >= sizeof(row));
		memcpy(&row, left.p, sizeof(row));
		left = span_skip(left, sizeof(row));
		size_t bytes = row.n * sizeof(values[0]);
		require(left.n >= bytes);
		if (row.n > ARRAY_LEN(values)) {
			row.n = 0; /* nothing known: every column's star */
		}
		memcpy(values, left.p, row.n * sizeof(values[0]));
		left = span_skip(left, bytes);
		commit_add_row(maker, columns, &row, values);
	}
}

/*
 * DDL of somebody else may have added a trigger or a foreign key action since the facts
 * were found: then this write touches more than its tags say.  Asked when the tags have
 * begun (DDL that is committing, or a newer catalogue) and again when the answer is
 * here, because the write may have waited for the lock of DDL that came after it:
 * either way the whole database moves with this commit.
 */
static bool commit_is_outdated(const struct commit *commit, struct versions *versions,
			       uint64_t db)
{
	return commit->catalog_version != database_catalog_version(commit->database) ||
	       !versions_is_idle(versions, db);
}

struct commit *commit_begin(const struct writes *writes, struct database *database,
			    struct versions *versions, struct key_columns *columns,
			    bool *failed)
{
	*failed = false;
	if (!writes->any) {
		return NULL;
	}
	size_t cap = writes->rows.len / sizeof(struct write_row) * 2 + 64;
	cap = cap < COMMIT_MAX_TAGS ? cap : COMMIT_MAX_TAGS;
	struct database *aliases[DATABASE_MAX_ALIASES];
	bool was_placed = database_is_placed(database);
	size_t n_aliases = database_aliases(database, aliases);
	size_t room = cap + n_aliases + COMMIT_ROOM;
	struct commit *commit = calloc(1, sizeof(*commit) + room * sizeof(uint64_t));
	if (commit == NULL) {
		*failed = true;
		return NULL;
	}
	commit->cap = room;
	struct commit_maker maker = {
		.commit = commit,
		.versions = versions,
		.db_tag = database_tag(database),
		.cap = cap - 1,
	};
	commit->database = database;
	commit->ddl = writes->ddl;
	commit->reshapes = writes->reshapes;
	if (!writes->all && !writes->ddl) {
		commit_add_rows(&maker, writes, columns);
	}
	uint64_t db = versions_tag_db(maker.db_tag);
	commit->catalog_version = writes->catalog_version;
	if (writes->all || writes->ddl || maker.full ||
	    commit_is_outdated(commit, versions, db)) {
		/* every entry of the database depends on this one */
		maker.cap = cap;
		commit_add(&maker, db);
		commit->has_db = true;
	}
	commit->was_placed = was_placed;
	commit->n_aliases = n_aliases;
	for (size_t i = 0; i < n_aliases; i++) {
		commit_push(commit, versions,
			    versions_tag_db(database_tag(aliases[i])));
	}
	return commit;
}

/* The names that have been found since the commit was begun. */
static void commit_add_aliases(struct commit *commit, struct versions *versions)
{
	struct database *aliases[DATABASE_MAX_ALIASES];
	size_t n = database_aliases(commit->database, aliases);
	for (size_t i = commit->was_placed ? commit->n_aliases : 0; i < n; i++) {
		uint64_t tag = versions_tag_db(database_tag(aliases[i]));
		if (commit->n + 1 < commit->cap) {
			commit_push(commit, versions, tag);
			commit->tokens_done = false;
		} else {
			versions_begin(versions, tag);
			versions_end(versions, tag, true);
		}
	}
	commit->was_placed = true; /* and if not, those of now will do */
	commit->n_aliases = n;
}

void commit_recheck(struct commit *commit, struct versions *versions)
{
	uint64_t db = versions_tag_db(database_tag(commit->database));
	commit_add_aliases(commit, versions);
	if (commit->catalog_version == 0 || commit->has_db ||
	    !commit_is_outdated(commit, versions, db)) {
		return;
	}
	commit_push(commit, versions, db); /* commit_begin() has left room for it */
	commit->has_db = true;
	commit->tokens_done = false; /* it needs one, too */
}

void commit_lost(struct commit *commit, uint32_t pid)
{
	if (commit != NULL) {
		database_limbo(commit->database, pid, commit->tags, commit->n,
			       commit->ddl);
		free(commit->gid);
		free(commit);
	}
}

/* Whose tag it is; NULL: no database's of this commit. */
static struct database *commit_database_of(const struct commit *commit, uint64_t tag)
{
	struct database *aliases[DATABASE_MAX_ALIASES];
	if (tag == versions_tag_db(database_tag(commit->database))) {
		return commit->database;
	}
	size_t n = database_aliases(commit->database, aliases);
	for (size_t i = 0; i < n; i++) {
		if (tag == versions_tag_db(database_tag(aliases[i]))) {
			return aliases[i];
		}
	}
	return NULL;
}

void commit_end(struct commit *commit, struct versions *versions, bool moved)
{
	if (commit == NULL) {
		return;
	}
	if (commit->reshapes && moved) {
		database_reshape(commit->database);
	}
	for (size_t i = 0; i < commit->n; i++) {
		struct database *database = NULL;
		if (commit->ddl && moved) {
			database = commit_database_of(commit, commit->tags[i]);
		}
		if (database != NULL) {
			/* after DDL the database stays in flight until its catalogue
			 * was read again */
			database_changed(database);
		} else {
			versions_end(versions, commit->tags[i], moved);
		}
	}
	free(commit->gid);
	free(commit);
}
