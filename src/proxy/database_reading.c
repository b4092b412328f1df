/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One reading of a catalogue.
 *
 *   BEGIN ─> MARK ─> questions of sql/catalog.h ─> MARK ─> COMMIT ─> publish
 *
 * The questions run in one REPEATABLE READ transaction, so that they speak of the same
 * moment.  The asker reconnects by itself in the middle; the mark (process and
 * beginning of the transaction) shows it, and the reading has failed.
 *
 * After DDL the database's tag is in flight until a reading that began after it has
 * been published: `n_ends` is taken when a reading begins and paid after it was
 * published. What is asked for during a reading waits for the next one. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "cache/store.h"
#include "cache/versions.h"
#include "database_priv.h"
#include "sql/catalog.h"
#include "upstream/asker.h"

#define READING_MAX_BYTES ((size_t)256 << 20)
/* Before the catalogue is tried again that we cannot take (too large). */
#define READING_PAUSE_NS (30 * DATABASE_RETRY_NS)
#define READING_MAX_MARK 80
#define READING_DOING	 "read the catalogue"

struct database_reading {
	struct database *database;
	struct catalog_builder *builder; /* owned */
	struct database_digest digest;
	uint64_t n_ends; /* to pay when it is published */
	size_t at;	 /* the step whose answer comes */
	int error;	 /* why the rows cannot be taken; 0: fine */
	bool is_broken;	 /* the marks differ */
	char mark[READING_MAX_MARK];
};

enum reading_step { /* the questions are between the marks */
	READING_BEGIN,
	READING_MARK,
	READING_QUESTIONS,
};

static void reading_ask(struct database_reading *reading);

/* The step after the last question, a mark; COMMIT follows. */
static size_t reading_last_mark(void)
{
	size_t n = 0;
	(void)catalog_questions(&n);
	return READING_QUESTIONS + n;
}

static const char *reading_sql(size_t step)
{
	size_t n = 0;
	const struct catalog_question *questions = catalog_questions(&n);
	if (step == READING_BEGIN) {
		return "BEGIN ISOLATION LEVEL REPEATABLE READ";
	}
	if (step == READING_MARK || step == reading_last_mark()) {
		return "SELECT pg_catalog.pg_backend_pid() || ' ' || pg_catalog.now()";
	}
	if (step > reading_last_mark()) {
		return "COMMIT";
	}
	return questions[step - READING_QUESTIONS].sql;
}

static void reading_free(struct database_reading *reading)
{
	catalog_builder_free(reading->builder);
	database_digest_fini(&reading->digest);
	free(reading);
}

/* Publishing */

/* In this order: the snapshot, its version and shape, the tag.  Whoever sees the tag at
 * rest again sees the new version and shape, too. */
static void database_publish(struct database *database, struct catalog *catalog)
{
	pthread_mutex_lock(&database->lock);
	struct catalog *old = database->catalog;
	database->catalog = catalog;
	atomic_store(&database->version, catalog_version(catalog));
	database_reshape(database);
	pthread_mutex_unlock(&database->lock);
	catalog_unref(old);
}

/* DDL that did not pass through us: no token in Redis was changed for it. */
static void database_publish_foreign(struct database *database, struct catalog *catalog)
{
	struct databases *databases = database->databases;
	uint64_t tag = versions_tag_db(database->tag);
	log_info(NULL, "database %s: the catalogue was changed elsewhere",
		 database->name);
	versions_begin(databases->versions, tag);
	database_publish(database, catalog);
	store_shared_lose(databases->store);
	versions_end(databases->versions, tag, true);
}

static void database_pay_ends(struct database *database, uint64_t n)
{
	uint64_t tag = versions_tag_db(database->tag);
	pthread_mutex_lock(&database->lock);
	require(database->n_ends >= n);
	database->n_ends -= n;
	pthread_mutex_unlock(&database->lock);
	for (uint64_t i = 0; i < n; i++) {
		versions_end(database->databases->versions, tag, true);
	}
}

/* Takes the reference to CATALOG.  The snapshot in use stays when the new one says
 * nothing new: plans are kept. */
static void reading_publish(struct database_reading *reading, struct catalog *catalog)
{
	struct database *database = reading->database;
	bool had = atomic_load(&database->version) != 0;
	if (had && database_digest_is_equal(&reading->digest, &database->digest)) {
		catalog_unref(catalog);
	} else if (had && reading->n_ends == 0 &&
		   !database_digest_has_shape(&reading->digest, &database->digest)) {
		database_publish_foreign(database, catalog);
	} else {
		database_publish(database, catalog);
	}
	if (!had) {
		log_info(NULL, "database %s: catalogue with %zu relations read",
			 database->name, catalog_n_relations(database->catalog));
	}
	database_digest_fini(&database->digest);
	database->digest = reading->digest;
	database_digest_init(&reading->digest);
	database_pay_ends(database, reading->n_ends);
}

/* Answers */

static void reading_fail(struct database_reading *reading, const char *error)
{
	struct database *database = reading->database;
	bool is_ours = reading->error < 0;
	database->reading = NULL;
	database->retry_ns =
	    clock_now_ns() + (is_ours ? READING_PAUSE_NS : DATABASE_RETRY_NS);
	database_answered(database, READING_DOING, error);
	if (is_ours) {
		atomic_store(&database->is_up, true); /* it is not the server's fault */
	}
	reading_free(reading);
}

static void reading_finish(struct database_reading *reading)
{
	struct database *database = reading->database;
	struct catalog *catalog = NULL;
	reading->error = catalog_builder_finish(reading->builder, &catalog);
	if (reading->error < 0) {
		reading_fail(reading, error_name(reading->error));
		return;
	}
	database->reading = NULL;
	database->read_ns = clock_now_ns();
	database->retry_ns = 0;
	reading_publish(reading, catalog);
	reading_free(reading);
	/* DDL may have come meanwhile */
	databases_wake(database->databases);
}

static void reading_on_row(void *arg, const char *const *values, size_t n)
{
	struct database_reading *reading = arg;
	size_t at = reading->at;
	if (at == READING_BEGIN || at > reading_last_mark()) {
		return;
	}
	if (at != READING_MARK && at != reading_last_mark()) {
		size_t question = at - READING_QUESTIONS;
		if (reading->error == 0) {
			reading->error =
			    catalog_builder_row(reading->builder, question, values, n);
			database_digest_row(&reading->digest, question, values, n);
		}
		return;
	}
	const char *mark = n == 1 && values[0] != NULL ? values[0] : "";
	if (at == READING_MARK) {
		(void)snprintf(reading->mark, sizeof(reading->mark), "%s", mark);
	} else {
		reading->is_broken = strcmp(reading->mark, mark) != 0;
	}
}

/* The transaction that is left open when we give up. */
static void reading_on_rollback(void *arg, const char *error)
{
	/* it fails only together with the connection, and the transaction too */
}

static void reading_roll_back(struct database *database)
{
	const struct asker_question question = { .sql = "ROLLBACK",
						 .done = reading_on_rollback,
						 .arg = database };
	if (database->asker != NULL && asker_ask(database->asker, &question) < 0) {
		/* the next BEGIN warns, and the mark is another one than before: fine
		 */
		return;
	}
}

static void reading_on_done(void *arg, const char *error)
{
	struct database_reading *reading = arg;
	struct database *database = reading->database;
	if (error == NULL && reading->error < 0) {
		error = error_name(reading->error);
	} else if (error == NULL && reading->is_broken) {
		error = "the connection was lost";
	}
	if (error != NULL) {
		if (reading->at != READING_BEGIN) {
			reading_roll_back(database);
		}
		reading_fail(reading, error);
		return;
	}
	database_answered(database, READING_DOING, NULL);
	if (reading->at > reading_last_mark()) {
		reading_finish(reading);
		return;
	}
	reading->at++;
	reading_ask(reading);
}

/* Questions */

static void reading_ask(struct database_reading *reading)
{
	struct database *database = reading->database;
	const struct asker_question question = {
		.sql = reading_sql(reading->at),
		.row = reading_on_row,
		.done = reading_on_done,
		.arg = reading,
	};
	int r = database->asker == NULL ? -ECANCELED
					: asker_ask(database->asker, &question);
	if (r < 0) {
		if (reading->at != READING_BEGIN) {
			reading_roll_back(database);
		}
		reading_fail(reading, error_name(r));
	}
}

static void database_read(struct database *database)
{
	struct databases *databases = database->databases;
	struct database_reading *reading = calloc(1, sizeof(*reading));
	int r = reading == NULL ? -ENOMEM : 0;
	if (r == 0) {
		uint32_t version = atomic_fetch_add(&databases->last_version, 1) + 1;
		reading->database = database;
		database_digest_init(&reading->digest);
		r = catalog_builder_new(version, database->tag, READING_MAX_BYTES,
					&reading->builder);
	}
	if (r < 0) {
		free(reading);
		database->retry_ns = clock_now_ns() + DATABASE_RETRY_NS;
		(void)error_trace(r);
		return;
	}
	pthread_mutex_lock(&database->lock);
	reading->n_ends = database->n_ends;
	database->unread_ns = 0;
	pthread_mutex_unlock(&database->lock);
	database->reading = reading;
	database_asks(database);
	reading_ask(reading);
}

enum reading_need {
	READING_NOT, /* nothing has changed */
	READING_SOON,
	READING_NOW,
};

static enum reading_need database_needs_reading(struct database *database,
						uint64_t now_ns)
{
	enum reading_need need = READING_NOT;
	pthread_mutex_lock(&database->lock);
	if (database->n_ends > 0) {
		bool is_fresh = database->unread_ns != 0 &&
				now_ns < database->changed_ns + DATABASE_QUIET_NS &&
				now_ns < database->unread_ns + DATABASE_LAG_NS;
		need = is_fresh ? READING_SOON : READING_NOW;
	}
	pthread_mutex_unlock(&database->lock);
	return need;
}

void database_read_if_due(struct database *database, const struct config *config,
			  uint64_t now_ns)
{
	if (database->reading != NULL || database->asker == NULL ||
	    now_ns < database->retry_ns) {
		return;
	}
	enum reading_need need = database_needs_reading(database, now_ns);
	if (need == READING_SOON) {
		return;
	}
	bool is_due = need == READING_NOW;
	if (!is_due && !database->is_elsewhere) {
		is_due = database->read_ns == 0 ||
			 now_ns - database->read_ns >=
			     config->catalog_refresh_ms * UINT64_C(1000000);
	}
	if (is_due && database->owes_rollback) {
		reading_roll_back(database);
		is_due = !database->owes_rollback;
	}
	if (is_due) {
		database_read(database);
	}
}
