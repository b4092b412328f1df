/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Statements that are neither plain reads nor writes. */

#include <criterion/criterion.h>

#include "fixture_plan.h"
#include "sql/catalog.h"

#define CHECK(catalog, cases) fixture_plans(catalog, cases, ARRAY_LEN(cases))

/* clang-format off */
Test(plan_kinds, transactions)
{
	static const struct plan_case cases[] = {
		{ "BEGIN", "BEGIN !NOT_SELECT plain" },
		{ "begin work read only", "BEGIN !NOT_SELECT plain" },
		{ "START TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN !NOT_SELECT plain" },
		{ "BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN !NOT_SELECT" },
		{ "BEGIN READ ONLY, ISOLATION LEVEL REPEATABLE READ", "BEGIN !NOT_SELECT" },
		{ "COMMIT", "COMMIT !NOT_SELECT" },
		{ "END AND CHAIN", "COMMIT !NOT_SELECT chain" },
		{ "ROLLBACK", "ROLLBACK !NOT_SELECT" },
		{ "ABORT", "ROLLBACK !NOT_SELECT" },
		{ "SAVEPOINT a", "SAVEPOINT !NOT_SELECT a" },
		{ "RELEASE a", "SAVEPOINT !NOT_SELECT a release" },
		{ "ROLLBACK TO a", "SAVEPOINT !NOT_SELECT a back_to" },
		{ "PREPARE TRANSACTION 'it''s'", "PREPARE_TX !NOT_SELECT it's" },
		{ "COMMIT PREPARED 'a'", "COMMIT_PREPARED !NOT_SELECT a" },
		{ "COMMIT PREPARED 'b'", "COMMIT_PREPARED !NOT_SELECT b" },
		{ "ROLLBACK PREPARED 'c'", "ROLLBACK_PREPARED !NOT_SELECT c" },
	};
	CHECK(NULL, cases);
}

Test(plan_kinds, settings)
{
	static const struct plan_case cases[] = {
		{ "SET search_path TO a, \"B c\", \"$user\", \"user\"", "SET !NOT_SELECT value search_path<a, \"B c\", \"$user\", \"user\">" },
		{ "SET search_path = 'a, b'", "SET !NOT_SELECT value search_path<\"a, b\">" },
		{ "SET DateStyle TO ISO, DMY", "SET !NOT_SELECT value datestyle<iso, dmy>" },
		{ "SET LOCAL TimeZone = 'Europe/Berlin'", "SET !NOT_SELECT local:value timezone<Europe/Berlin>" },
		{ "SET TIME ZONE 'UTC'", "SET !NOT_SELECT value timezone<UTC>" },
		{ "SET TIME ZONE -7", "SET !NOT_SELECT value timezone<-7>" },
		{ "SET TIME ZONE LOCAL", "SET !NOT_SELECT default timezone" },
		{ "SET TIME ZONE INTERVAL '1' HOUR TO MINUTE", "SET !NOT_SELECT unreadable timezone pin:setting" },
		{ "SET work_mem = 64", "SET !NOT_SELECT value work_mem<64>" },
		{ "SET work_mem = 65", "SET !NOT_SELECT value work_mem<65>" },
		{ "SET seq_page_cost = 1.50", "SET !NOT_SELECT value seq_page_cost<1.50>" },
		{ "SET enable_seqscan = off", "SET !NOT_SELECT value enable_seqscan<off>" },
		{ "SET pgrecall.cache = off", "SET !NOT_SELECT value pgrecall.cache<off>" },
		{ "SET ROLE 'bob'", "SET !NOT_SELECT value role<bob>" },
		{ "SET SESSION AUTHORIZATION bob", "SET !NOT_SELECT value session_authorization<bob>" },
		{ "SET NAMES 'utf8'", "SET !NOT_SELECT value client_encoding<utf8>" },
		{ "SET x.y TO DEFAULT", "SET !NOT_SELECT default x.y" },
		{ "RESET x.y", "SET !NOT_SELECT default x.y" },
		{ "RESET ALL", "SET !NOT_SELECT reset_all" },
		{ "DISCARD ALL", "SET !NOT_SELECT discard_all dealloc unpins" },
		{ "DISCARD TEMP", "SET !NOT_SELECT discard" },
		{ "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET !NOT_SELECT transaction transaction_isolation<serializable>" },
		{ "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET !NOT_SELECT characteristics transaction_isolation" },
		{ "SELECT set_config('A.b', 'c''d', false)", "SET !NOT_SELECT value a.b<c'd>" },
		{ "SELECT pg_catalog.set_config('a.b', 'x', true) AS y", "SET !NOT_SELECT local:value a.b<x>" },
		{ "SELECT set_config('a.b', NULL, false)", "SET !NOT_SELECT default a.b" },
		{ "SELECT set_config('a.b', $1, false)", "READ !VOLATILE_FUNCTION unreadable pin:setting" },
		{ "SELECT set_config('a.b', 'c', false) FROM plain", "READ !VOLATILE_FUNCTION unreadable pin:setting" },
		{ "SELECT 1, \"set_config\"('a.b', 'c', false)", "READ !VOLATILE_FUNCTION unreadable pin:setting" },
		{ "INSERT INTO plain (c) VALUES (set_config('a.b', 'c', false))", "WRITE !WRITE plain(1=null 2=null) unreadable pin:setting" },
		{ "EXPLAIN ANALYZE SELECT set_config('a.b', 'c', false)", "OTHER !NOT_SELECT unreadable pin:setting" },
	};
	struct catalog *catalog = fixture_database();
	CHECK(catalog, cases);
	catalog_unref(catalog);
}

Test(plan_kinds, session)
{
	static const struct plan_case cases[] = {
		{ "LISTEN a", "LISTEN !NOT_SELECT a notifies pin:listen" },
		{ "LISTEN \"A b\"\"c\"", "LISTEN !NOT_SELECT A b\"c notifies pin:listen" },
		{ "UNLISTEN a", "UNLISTEN !NOT_SELECT a notifies" },
		{ "UNLISTEN *", "UNLISTEN !NOT_SELECT notifies" },
		{ "LISTEN a; UNLISTEN *",
		  "MULTI !NOT_SELECT notifies pin:listen / LISTEN !NOT_SELECT a notifies pin:listen"
		  " / UNLISTEN !NOT_SELECT notifies" },
		{ "NOTIFY a, 'x'", "OTHER !NOT_SELECT notifies" },
		{ "SELECT pg_notify('a', 'x')", "READ !VOLATILE_FUNCTION notifies" },
		{ "SELECT pg_reload_conf()", "READ !VOLATILE_FUNCTION reloads" },
		{ "SELECT 1; SELECT pg_catalog.pg_reload_conf()",
		  "MULTI !NOT_SELECT reloads / READ !NO_RULE / READ !VOLATILE_FUNCTION reloads" },
		{ "PREPARE p AS SELECT $1", "SESSION !NOT_SELECT pin:prepare" },
		{ "DEALLOCATE p", "SESSION !NOT_SELECT p" },
		{ "DEALLOCATE ALL", "SESSION !NOT_SELECT dealloc" },
		{ "DECLARE c CURSOR FOR SELECT 1", "READ !NOT_SELECT" },
		{ "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "SESSION !NOT_SELECT pin:hold" },
		{ "FETCH 5 FROM c", "OTHER !NOT_SELECT" },
		{ "CLOSE c", "OTHER !NOT_SELECT" },
		{ "LOAD 'x'", "SESSION !NOT_SELECT suspect pin:load" },
		{ "SELECT pg_advisory_lock(1)", "READ !VOLATILE_FUNCTION pin:advisory" },
		{ "SELECT pg_advisory_xact_lock(1)", "READ !VOLATILE_FUNCTION" },
		{ "CREATE TEMP TABLE x (a int)", "SESSION !NOT_SELECT pin:temp" },
		{ "CREATE TABLE pg_temp.x (a int)", "SESSION !NOT_SELECT pin:temp" },
		{ "CREATE TEMP TABLE x () INHERITS (plain)", "DDL !NOT_SELECT pin:temp" },
		{ "CREATE TEMP TABLE x AS SELECT vol(1)", "SESSION !NOT_SELECT all suspect pin:temp" },
		{ "CREATE TEMP VIEW x AS SELECT 1", "SESSION !NOT_SELECT pin:temp" },
		{ "CREATE TEMP SEQUENCE x", "SESSION !NOT_SELECT pin:temp" },
		{ "SELECT * INTO TEMP x FROM plain", "SESSION !NOT_SELECT pin:temp" },
		{ "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		  "DDL !NOT_SELECT pin:temp" },
		{ "CREATE STATISTICS pg_temp.s ON a, b FROM plain",
		  "DDL !NOT_SELECT pin:temp" },
		{ "CREATE TYPE pg_temp.t AS (a int)", "DDL !NOT_SELECT pin:temp" },
		{ "CREATE TYPE pg_temp.t AS ENUM ('a')", "DDL !NOT_SELECT pin:temp" },
		{ "CREATE DOMAIN pg_temp.d AS int", "DDL !NOT_SELECT pin:temp" },
		{ "CREATE DOMAIN d AS pg_temp.t", "DDL !NOT_SELECT" },
		{ "SELECT 1 INTO x UNION SELECT 2", "DDL !NOT_SELECT" },
	};
	struct catalog *catalog = fixture_database();
	CHECK(catalog, cases);
	catalog_unref(catalog);
}

Test(plan_kinds, ddl_and_other)
{
	static const struct plan_case cases[] = {
		{ "CREATE TABLE x (a int)", "DDL !NOT_SELECT" },
		{ "CREATE TABLE x AS SELECT 1", "DDL !NOT_SELECT" },
		{ "CREATE INDEX ON plain (a)", "DDL !NOT_SELECT" },
		{ "ALTER TABLE plain ADD x int", "DDL !NOT_SELECT" },
		{ "DROP TABLE plain", "DDL !NOT_SELECT" },
		{ "GRANT SELECT ON plain TO bob", "DDL !NOT_SELECT" },
		{ "COMMENT ON TABLE plain IS 'x'", "DDL !NOT_SELECT" },
		{ "ALTER ROLE bob SET work_mem = 1", "DDL !NOT_SELECT" },
		{ "REFRESH MATERIALIZED VIEW matter", "DDL !NOT_SELECT" },
		{ "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1; SELECT 2'", "DDL !NOT_SELECT" },
		{ "SHOW ALL", "OTHER !NOT_SELECT" },
		{ "SHOW work_mem", "OTHER !NOT_SELECT" },
		{ "SHOW My.x_1", "OTHER !NOT_SELECT my.x_1 shows" },
		{ "SHOW \"My\".x", "OTHER !NOT_SELECT" },
		{ "VACUUM plain", "OTHER !NOT_SELECT" },
		{ "ANALYZE", "OTHER !NOT_SELECT" },
		{ "LOCK TABLE plain", "OTHER !NOT_SELECT" },
		{ "CHECKPOINT", "OTHER !NOT_SELECT" },
		{ "ALTER SYSTEM SET work_mem = 1", "OTHER !NOT_SELECT" },
		{ "SET CONSTRAINTS ALL DEFERRED", "OTHER !NOT_SELECT" },
		{ "", "OTHER !NOT_SELECT" },
		{ " ; -- nothing", "OTHER !NOT_SELECT" },
		{ "nonsense here", "UNPARSED !UNPARSABLE all suspect" },
		{ "SELECT 'open", "UNPARSED !UNPARSABLE all suspect" },
		{ "SELECT (1", "UNPARSED !UNPARSABLE all suspect" },
		{ "SELECT 1; DELETE FROM plain WHERE a = 7; COMMIT",
		  "MULTI !NOT_SELECT / READ !NO_RULE / WRITE !WRITE plain(1=7) / COMMIT !NOT_SELECT" },
		{ "SET a.b = 1; SET a.b = 2; LISTEN x",
		  "MULTI !NOT_SELECT notifies pin:listen / SET !NOT_SELECT value a.b<1> / SET !NOT_SELECT value a.b<2>"
		  " / LISTEN !NOT_SELECT x notifies pin:listen" },
		{ "SELECT 1; CALL p()", "MULTI !NOT_SELECT all suspect / READ !NO_RULE / WRITE !WRITE all suspect" },
	};
	struct catalog *catalog = fixture_database();
	CHECK(catalog, cases);
	catalog_unref(catalog);
}

/* What the proxy need not look at when it follows a session: whatever does more than
 * read must not be among it. */
Test(plan_kinds, plain_reads)
{
	static const struct {
		const char *text;
		bool is_plain;
	} cases[] = {
		{ "SELECT 1", true },
		{ "SELECT * FROM plain WHERE a = $1 ORDER BY b DESC LIMIT 50", true },
		{ "SELECT now(), random()", true },
		{ "SELECT f(1)", false },
		{ "SELECT nextval('s')", false },
		{ "SELECT lastval()", false },
		{ "SELECT set_config('a.b', 'c', false)", false },
		{ "SELECT pg_advisory_lock(1)", false },
		{ "SELECT pg_reload_conf()", false },
		{ "SELECT pg_notify('a', 'b')", false },
		{ "WITH x AS (DELETE FROM plain RETURNING a) SELECT * FROM x", false },
		{ "SELECT 1; SELECT 2", false },
		{ "SHOW work_mem", false },
		{ "EXECUTE s", false },
		{ "EXPLAIN EXECUTE s", false },
		{ "CREATE TABLE n AS SELECT 1", false },
		{ "SELECT a INTO n FROM plain", false },
		{ "COPY plain TO STDOUT", false },
		{ "nonsense here", false },
	};
	struct catalog *catalog = fixture_database();
	struct planner *planner;
	cr_assert_eq(planner_new(1000, 65536, NULL, NULL, &planner), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct planned planned;
		struct planner_session session = {
			.catalog = catalog, .path_id = 1, .user = SPAN_LIT("app"),
			.search_path = span_str(fixture_path),
		};
		planner_plan(planner, span_str(cases[i].text), &session, &planned);
		cr_expect_eq(planned.plan->is_plain, cases[i].is_plain, "%s", cases[i].text);
	}
	planner_free(planner);
	catalog_unref(catalog);
}

/* Before the catalogue is loaded. */
Test(plan_kinds, without_catalog)
{
	static const struct plan_case cases[] = {
		{ "SELECT 1", "READ !CATALOG" },
		{ "SELECT version()", "READ !CATALOG" },
		{ "SELECT * FROM plain", "READ !CATALOG all" },
		{ "SELECT f(1)", "READ !CATALOG all suspect" },
		{ "SELECT pg_reload_conf()", "READ !CATALOG reloads" },
		{ "SELECT pg_catalog.f(1)", "READ !CATALOG" },
		{ "INSERT INTO plain VALUES (1)", "WRITE !WRITE all" },
		{ "COPY plain FROM STDIN", "COPY !NOT_SELECT all copy_in" },
		{ "BEGIN", "BEGIN !NOT_SELECT plain" },
		{ "SET a.b = 'c'", "SET !NOT_SELECT value a.b<c>" },
		{ "SELECT set_config('a.b', 'c', true)", "SET !NOT_SELECT local:value a.b<c>" },
	};
	CHECK(NULL, cases);
}
/* clang-format on */
