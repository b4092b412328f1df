/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/config_errors.h"
#include "cache/store.h"
#include "cache/versions.h"
#include "net/loop.h"
#include "net/timer.h"
#include "proxy/auth_cache.h"
#include "proxy/database.h"
#include "proxy/proxy.h"
#include "sql/catalog.h"
#include "tests/lib/private_postgres.h"
#include "upstream/pools.h"

/* As much of a proxy as databases need, ticking, and a session of our own. */
struct rig {
	struct proxy proxy;
	struct timer *tick;
	struct databases *databases;
	struct versions *versions;
	PGconn *conn;
	const char *name;
	bool (*until)(struct rig *rig);
	struct database *database;
	uint64_t own; /* its tag in the version table */
	uint32_t version;
	struct version_notes notes;
	uint64_t limit_ns;
};

static void must(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(result);
	cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s",
		  sql, PQerrorMessage(conn));
	PQclear(result);
}

static PGconn *session(const char *dbname)
{
	char conninfo[256];
	(void)snprintf(
	    conninfo, sizeof(conninfo), "host=%s port=%u user=postgres dbname=%s",
	    private_postgres_socket_dir(), (unsigned)private_postgres_port(), dbname);
	PGconn *conn = PQconnectdb(conninfo);
	cr_assert_eq(PQstatus(conn), CONNECTION_OK, "%s", PQerrorMessage(conn));
	return conn;
}

static void on_tick(void *arg)
{
	struct rig *rig = arg;
	databases_tick(rig->databases);
	if (rig->until(rig) || clock_now_ns() > rig->limit_ns) {
		loop_stop(rig->proxy.main_loop);
	}
}

static bool run_for(struct rig *rig, unsigned ms, bool (*until)(struct rig *rig))
{
	rig->until = until;
	rig->limit_ns = clock_now_ns() + ms * UINT64_C(1000000);
	timer_start(rig->tick, 10, 20);
	loop_run(rig->proxy.main_loop);
	timer_stop(rig->tick);
	return until(rig);
}

static bool never(struct rig *rig)
{
	return false;
}

static bool is_read(struct rig *rig)
{
	return database_catalog_version(rig->database) > rig->version;
}

static bool is_up(struct rig *rig)
{
	return database_is_up(rig->database);
}

static bool is_idle(struct rig *rig)
{
	return versions_is_idle(rig->versions, rig->own);
}

static struct config *load_config(uint16_t port, const char *more)
{
	struct buf text;
	struct config_errors errors;
	struct config *config = NULL;
	buf_init(&text, 4096);
	config_errors_init(&errors);
	buf_printf(&text, "[pgrecall]\nauth_type = trust\ncatalog_refresh = "
			  "1s\n[monitor]\ninterval = 200ms\n");
	buf_printf(&text, "[databases]\n* = host=127.0.0.1 port=%u %s\n",
		   (unsigned)port, more);
	cr_assert_eq(config_load_text(buf_span(&text), NULL, &config, &errors), 0);
	config_errors_fini(&errors);
	buf_fini(&text);
	return config;
}

static void begin_on(struct rig *rig, const char *name, uint16_t port)
{
	*rig = (struct rig){ .name = name };
	rig->proxy.config = load_config(port, "");
	pthread_mutex_init(&rig->proxy.lock, NULL);
	pools_init(&rig->proxy.pools, 1);
	cr_assert_eq(loop_new(4096, &rig->proxy.main_loop), 0);
	cr_assert_eq(store_shared_new(rig->proxy.config, &rig->proxy.store), 0);
	cr_assert_eq(auth_cache_new(1, &rig->proxy.auth_cache), 0);
	cr_assert_eq(databases_new(&rig->proxy, &rig->databases), 0);
	cr_assert_eq(timer_new(rig->proxy.main_loop, on_tick, rig, &rig->tick), 0);
	rig->versions = store_shared_versions(rig->proxy.store);
}

static void find(struct rig *rig, const char *user, const char *password)
{
	rig->database = database_find(rig->databases, span_str(rig->name),
				      span_str(user), password);
	cr_assert_not_null(rig->database);
	rig->own = versions_tag_db(database_tag(rig->database));
	rig->notes = (struct version_notes){ .n = 1, .at = { { .tag = rig->own } } };
}

/* A database of its own, found and read. */
static void begin(struct rig *rig, const char *name)
{
	char sql[128];
	PGconn *conn = session("postgres");
	(void)snprintf(sql, sizeof(sql), "CREATE DATABASE %s TEMPLATE template0", name);
	must(conn, sql);
	PQfinish(conn);
	begin_on(rig, name, private_postgres_port());
	rig->conn = session(name);
	must(rig->conn, "CREATE TABLE t (id int PRIMARY KEY, v text)");
	find(rig, "postgres", NULL);
	cr_assert_null(database_catalog(rig->database));
	cr_assert(run_for(rig, 10000, is_read));
	rig->version = database_catalog_version(rig->database);
	cr_assert(versions_note(rig->versions, &rig->notes));
}

static void end(struct rig *rig)
{
	databases_stop(rig->databases);
	timer_close(rig->tick);
	PQfinish(rig->conn);
	databases_free(rig->databases);
	loop_free(rig->proxy.main_loop);
	store_shared_free(rig->proxy.store);
	auth_cache_free(rig->proxy.auth_cache);
	config_unref(rig->proxy.config);
	pools_fini(&rig->proxy.pools);
	pthread_mutex_destroy(&rig->proxy.lock);
}

static size_t n_relations(struct rig *rig)
{
	struct database_state states[2];
	cr_assert_eq(databases_state(rig->databases, states, 2), 1);
	cr_assert_str_eq(states[0].name, rig->name);
	return states[0].n_relations;
}

Test(database, reads_the_catalogue, .timeout = 60)
{
	struct rig rig;
	begin(&rig, "d_reads");
	cr_assert(database_is_up(rig.database));
	struct catalog *catalog = database_catalog(rig.database);
	cr_assert_eq(catalog_version(catalog), rig.version);
	cr_assert_eq(catalog_db_tag(catalog), database_tag(rig.database));
	cr_assert_eq(catalog_n_relations(catalog), 1);
	catalog_unref(catalog);
	end(&rig);
}

Test(database, ends_its_tag_when_ddl_was_read, .timeout = 60)
{
	struct rig rig;
	begin(&rig, "d_ddl");
	versions_begin(rig.versions, rig.own);
	must(rig.conn, "CREATE TABLE u (id int)");
	cr_assert_eq(n_relations(&rig), 1);
	database_changed(rig.database);
	cr_assert_not(is_idle(&rig));
	cr_assert(run_for(&rig, 10000, is_idle));
	cr_assert(is_read(&rig), "published before the tag is at rest");
	cr_assert_eq(n_relations(&rig), 2);
	cr_assert_not(versions_are_current(rig.versions, &rig.notes));
	end(&rig);
}

Test(database, ends_each_of_many, .timeout = 60)
{
	struct rig rig;
	begin(&rig, "d_many");
	for (int i = 0; i < 5; i++) {
		versions_begin(rig.versions, rig.own);
		database_changed(rig.database);
		(void)run_for(&rig, 7, never);
	}
	cr_assert(run_for(&rig, 10000, is_idle));
	cr_assert_eq(database_catalog_version(rig.database), rig.version,
		     "nothing has changed: plans are kept");
	end(&rig);
}

/* DDL in a row is read when it is over, but not much later than a second. */
Test(database, waits_for_the_end_of_a_burst, .timeout = 60)
{
	struct rig rig;
	begin(&rig, "d_burst");
	uint64_t begun_ns = clock_now_ns();
	uint64_t read_ns = 0;
	for (int i = 0; i < 40; i++) {
		char sql[64];
		(void)snprintf(sql, sizeof(sql), "CREATE TABLE burst%d (id int)", i);
		must(rig.conn, sql);
		versions_begin(rig.versions, rig.own);
		database_changed(rig.database);
		(void)run_for(&rig, 40, never);
		if (read_ns == 0 && is_read(&rig)) {
			read_ns = clock_now_ns();
		}
	}
	cr_assert_neq(read_ns, 0);
	cr_assert_geq(read_ns - begun_ns, UINT64_C(900000000));
	cr_assert(run_for(&rig, 10000, is_idle));
	cr_assert_eq(n_relations(&rig), 41);
	end(&rig);
}

/* What another session does is found by the refresh, once a second. */
Test(database, finds_ddl_done_elsewhere, .timeout = 60)
{
	struct rig rig;
	begin(&rig, "d_elsewhere");
	must(rig.conn, "ALTER TABLE t ADD COLUMN more int");
	cr_assert(run_for(&rig, 10000, is_read));
	cr_assert(is_idle(&rig));
	cr_assert_not(versions_are_current(rig.versions, &rig.notes));
	end(&rig);
}

static bool is_moved(struct rig *rig)
{
	return !versions_are_current(rig->versions, &rig->notes);
}

static void keeps_its_snapshot(struct rig *rig)
{
	must(rig->conn,
	     "CREATE TEMP TABLE x (id int PRIMARY KEY REFERENCES x, v serial);"
	     "CREATE TEMP VIEW y AS SELECT * FROM x;"
	     "INSERT INTO t SELECT i, i FROM generate_series(1, 5) i");
	(void)run_for(rig, 2500, never);
	cr_assert_not(is_read(rig));
	cr_assert(versions_are_current(rig->versions, &rig->notes));
	/* estimates make new plans, but no answer wrong */
	must(rig->conn, "INSERT INTO t SELECT i, i % 7 FROM generate_series(6, 9000) i;"
			"ANALYZE t");
	cr_assert(run_for(rig, 10000, is_read));
	cr_assert(versions_are_current(rig->versions, &rig->notes));
}

/* The server has read its settings: nothing from before is served. */
static void notices_a_reload_of_the_server(struct rig *rig)
{
	rig->version = database_catalog_version(rig->database);
	for (int i = 0; i < 2; i++) {
		must(rig->conn, "SELECT pg_reload_conf()");
		cr_assert(run_for(rig, 10000, is_moved));
		cr_assert(is_idle(rig));
		cr_assert(versions_note(rig->versions, &rig->notes));
	}
	cr_assert_not(is_read(rig), "the catalogue is as it was");
}

/* Until a reload has been noticed, or for some time without one. */
static void is_in_flight_while_in_doubt(struct rig *rig)
{
	for (int i = 0; i < 100; i++) {
		databases_reloading(rig->databases);
	}
	(void)run_for(rig, 500, never);
	cr_assert_not(is_idle(rig));
	must(rig->conn, "SELECT pg_reload_conf()");
	cr_assert(run_for(rig, 10000, is_idle));
	cr_assert(is_moved(rig));
	cr_assert(versions_note(rig->versions, &rig->notes));
	databases_reloading(rig->databases);
	cr_assert(run_for(rig, 20000, is_idle));
	cr_assert(is_moved(rig));
}

/* One after the other: the reloads are everybody's on this server. */
Test(database, empties_the_cache_for_what_is_new_alone, .timeout = 60)
{
	struct rig rig;
	begin(&rig, "d_keeps");
	keeps_its_snapshot(&rig);
	notices_a_reload_of_the_server(&rig);
	is_in_flight_while_in_doubt(&rig);
	end(&rig);
}

static void limbo(struct rig *rig, bool ddl)
{
	uint64_t tags[] = { versions_tag_any(database_tag(rig->database), 1234),
			    rig->own };
	PGconn *lost = session(rig->name);
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		versions_begin(rig->versions, tags[i]);
	}
	database_limbo(rig->database, (uint32_t)PQbackendPID(lost), tags,
		       ARRAY_LEN(tags), ddl);
	(void)run_for(rig, 1000, never);
	cr_assert_not(versions_is_idle(rig->versions, tags[0]), "the process lives");
	cr_assert_not(is_idle(rig));
	struct database_state state;
	cr_assert_eq(databases_state(rig->databases, &state, 1), 1);
	cr_assert_eq(state.n_limbo, 1);
	PQfinish(lost);
	cr_assert(run_for(rig, 10000, is_idle));
	cr_assert(versions_is_idle(rig->versions, tags[0]));
	cr_assert_not(versions_are_current(rig->versions, &rig->notes));
	cr_assert_eq(databases_state(rig->databases, &state, 1), 1);
	cr_assert_eq(state.n_limbo, 0);
}

Test(database, waits_for_lost_commits, .timeout = 60)
{
	struct rig rig;
	begin(&rig, "d_limbo");
	limbo(&rig, false);
	end(&rig);
}

Test(database, waits_for_lost_ddl, .timeout = 60)
{
	struct rig rig;
	begin(&rig, "d_limbo_ddl");
	must(rig.conn, "CREATE TABLE u (id int)");
	limbo(&rig, true);
	cr_assert(is_read(&rig));
	cr_assert_eq(n_relations(&rig), 2);
	end(&rig);
}

Test(database, knows_that_no_session_has_such_a_number, .timeout = 60)
{
	static const uint32_t pids[] = { 1, INT32_MAX, UINT32_MAX };
	struct rig rig;
	begin(&rig, "d_numbers");
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		versions_begin(rig.versions, rig.own);
		database_limbo(rig.database, pids[i], &rig.own, 1, false);
	}
	cr_assert(run_for(&rig, 10000, is_idle));
	end(&rig);
}

/* Nobody can say when a process that is not known is gone. */
Test(database, stays_in_flight_without_a_process_id, .timeout = 60)
{
	struct rig rig;
	begin(&rig, "d_nameless");
	versions_begin(rig.versions, rig.own);
	database_limbo(rig.database, 0, &rig.own, 1, false);
	(void)run_for(&rig, 1000, never);
	cr_assert_not(is_idle(&rig));
	end(&rig);
}

/* The tags are not let go of while nobody can be asked. */
Test(database, stays_in_flight_without_a_server, .timeout = 60)
{
	struct rig rig;
	begin_on(&rig, "d_down", 1);
	find(&rig, "postgres", NULL);
	versions_begin(rig.versions, rig.own);
	database_changed(rig.database);
	versions_begin(rig.versions, rig.own);
	database_limbo(rig.database, 4711, &rig.own, 1, false);
	(void)run_for(&rig, 2500, never);
	cr_assert_not(is_idle(&rig));
	cr_assert_not(database_is_up(rig.database));
	cr_assert_eq(database_catalog_version(rig.database), 0);
	end(&rig);
}

static bool is_down(struct rig *rig)
{
	return !is_up(rig);
}

Test(database, asks_again_after_its_connection_was_lost, .timeout = 60)
{
	struct rig rig;
	begin(&rig, "d_lost");
	for (int i = 0; i < 5; i++) {
		must(rig.conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
			       " WHERE datname = 'd_lost' AND pid <> pg_backend_pid()");
		versions_begin(rig.versions, rig.own);
		database_changed(rig.database);
		(void)run_for(&rig, 25 + 10 * (unsigned)i, never);
	}
	must(rig.conn, "CREATE TABLE u (id int)");
	versions_begin(rig.versions, rig.own);
	database_changed(rig.database);
	cr_assert(run_for(&rig, 10000, is_idle));
	cr_assert(is_read(&rig));
	cr_assert_eq(n_relations(&rig), 2);
	end(&rig);
}

Test(database, takes_the_login_that_works, .timeout = 60)
{
	struct rig rig;
	begin_on(&rig, "postgres", private_postgres_port());
	find(&rig, "scram", "wrong");
	(void)run_for(&rig, 500, never);
	cr_assert(is_down(&rig));
	struct database *first = rig.database;
	find(&rig, "scram", "secret");
	cr_assert_eq(rig.database, first);
	cr_assert(run_for(&rig, 15000, is_up));
	cr_assert(run_for(&rig, 10000, is_read));
	end(&rig);
}

/* What a worker knows of statements is by the shape alone. */
Test(database, no_shape_is_given_twice)
{
	struct rig rig;
	begin_on(&rig, "d_shape", 1);
	find(&rig, "postgres", NULL);
	struct database *first = rig.database;
	uint64_t was = database_shape(first);
	for (unsigned i = 0; i < 3; i++) {
		database_reshape(first);
		cr_assert_gt(database_shape(first), was);
		was = database_shape(first);
	}
	rig.name = "d_shape_of_another";
	find(&rig, "postgres", NULL);
	cr_assert_gt(database_shape(rig.database), was);
	cr_assert_eq(database_shape(first), was);
	database_reshape(first);
	cr_assert_gt(database_shape(first), database_shape(rig.database));
	cr_assert_lt(database_shape(first), UINT64_C(1) << 32);
	end(&rig);
}

Test(database, follows_a_reload, .timeout = 60)
{
	struct rig rig;
	begin(&rig, "d_reload");
	struct database *first = rig.database;
	struct config *old = rig.proxy.config;
	rig.proxy.config = load_config(1, "");
	atomic_fetch_add(&rig.proxy.config_epoch, 1);
	find(&rig, "postgres", NULL);
	cr_assert_neq(rig.database, first);
	cr_assert_neq(database_tag(rig.database), database_tag(first));
	(void)run_for(&rig, 300, never);
	cr_assert_not(is_up(&rig));
	struct database_state states[4];
	cr_assert_eq(databases_state(rig.databases, states, 4), 1);
	cr_assert_not(states[0].is_up);
	/* those who hold the old one are served */
	versions_begin(rig.versions, versions_tag_db(database_tag(first)));
	database_changed(first);
	rig.own = versions_tag_db(database_tag(first));
	cr_assert(run_for(&rig, 10000, is_idle));
	/* and back */
	config_unref(rig.proxy.config);
	rig.proxy.config = old;
	atomic_fetch_add(&rig.proxy.config_epoch, 1);
	find(&rig, "postgres", NULL);
	cr_assert_eq(rig.database, first);
	(void)run_for(&rig, 300, never);
	cr_assert_eq(databases_state(rig.databases, states, 4), 1);
	cr_assert(states[0].is_up);
	end(&rig);
}

/* What a worker does, as fast as it can. */
static void *work(void *arg)
{
	struct rig *rig = arg;
	uint64_t tags[] = { 1, 2 };
	for (unsigned i = 0; i < 300; i++) {
		size_t n = 0;
		struct database *db = database_find(rig->databases, span_str(rig->name),
						    SPAN_LIT("postgres"), NULL);
		struct catalog *catalog = database_catalog(db);
		cr_assert(catalog == NULL || database_catalog_version(db) != 0);
		catalog_unref(catalog);
		versions_begin(rig->versions, rig->own);
		database_changed(db);
		versions_begin(rig->versions, tags[0]);
		database_limbo(db, i + 1, tags, 1, false);
		(void)database_prepared(db, SPAN_LIT("a"), tags, 2);
		free(database_unprepare(db, SPAN_LIT("a"), &n));
		(void)database_is_up(db);
		usleep(500);
	}
	return NULL;
}

static bool is_settled(struct rig *rig)
{
	struct database_state state;
	return databases_state(rig->databases, &state, 1) == 1 && state.n_limbo == 0 &&
	       is_idle(rig);
}

Test(database, serves_many_threads, .timeout = 60)
{
	struct rig rig;
	pthread_t threads[4];
	begin(&rig, "d_threads");
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		cr_assert_eq(pthread_create(&threads[i], NULL, work, &rig), 0);
	}
	(void)run_for(&rig, 300, never);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		pthread_join(threads[i], NULL);
	}
	cr_assert(run_for(&rig, 20000, is_settled));
	cr_assert(versions_is_idle(rig.versions, 1));
	end(&rig);
}

Test(database, stops_at_any_time, .timeout = 60)
{
	for (unsigned ms = 0; ms < 120; ms += 12) {
		struct rig rig;
		begin_on(&rig, "postgres", private_postgres_port());
		find(&rig, "postgres", NULL);
		(void)run_for(&rig, ms, never);
		versions_begin(rig.versions, rig.own);
		database_limbo(rig.database, 1, &rig.own, 1, true);
		end(&rig);
	}
}

Test(database, keeps_prepared_transactions)
{
	struct rig rig;
	begin_on(&rig, "d_prepared", 1);
	find(&rig, "postgres", NULL);
	struct database *db = rig.database;
	uint64_t tags[] = { 1, 2, 3 };
	char longest[202];
	size_t n = 99;
	memset(longest, 'x', sizeof(longest));
	cr_assert(database_prepared(db, SPAN_LIT("a"), tags, 2));
	cr_assert(database_prepared(db, SPAN_LIT("b"), tags, 3));
	cr_assert(database_prepared(db, span_make(longest, 200), tags, 1));
	cr_assert_not(database_prepared(db, span_make(longest, 201), tags, 1));
	cr_assert_null(database_unprepare(db, SPAN_LIT("c"), &n));
	cr_assert_eq(n, 0);
	uint64_t *kept = database_unprepare(db, SPAN_LIT("a"), &n);
	cr_assert_eq(n, 2);
	cr_assert_eq(kept[1], 2);
	free(kept);
	cr_assert_null(database_unprepare(db, SPAN_LIT("a"), &n));
	/* finished elsewhere, and prepared again: both end together */
	cr_assert(database_prepared(db, SPAN_LIT("b"), tags + 1, 1));
	kept = database_unprepare(db, SPAN_LIT("b"), &n);
	cr_assert_eq(n, 4);
	cr_assert_eq(kept[3], 2);
	free(kept);
	for (unsigned i = 0; i < 10001; i++) {
		char gid[16];
		(void)snprintf(gid, sizeof(gid), "g%u", i);
		bool fits = i < 9999; /* one is there already */
		cr_assert_eq(database_prepared(db, span_str(gid), tags, 1), fits, "%u",
			     i);
	}
	end(&rig);
}
