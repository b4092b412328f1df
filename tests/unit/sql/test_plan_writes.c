/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * What a statement writes: facts of rows where they are certain, everything else
 * unreadable or a write of all. */

#include <criterion/criterion.h>

#include "fixture_plan.h"
#include "sql/catalog.h"

#define CHECK(cases)                                             \
	do {                                                     \
		struct catalog *catalog = fixture_database();    \
		fixture_plans(catalog, cases, ARRAY_LEN(cases)); \
		catalog_unref(catalog);                          \
	} while (0)

/* clang-format off */
Test(plan_writes, insert)
{
	static const struct plan_case cases[] = {
		{ "INSERT INTO plain (a, c) VALUES (1, 'x'), ($1, NULL)", "WRITE !WRITE plain(1=1 2=null 3='x'; 1=$1 2=null 3=null)" },
		{ "INSERT INTO plain VALUES (1, 2, 'x')", "WRITE !WRITE plain(1=1 2=2 3='x')" },
		{ "INSERT INTO plain VALUES (1)", "WRITE !WRITE plain(1=1 2=null 3=null)" },
		{ "INSERT INTO plain AS p (c, a) VALUES ('x', -1)", "WRITE !WRITE plain(1=-1 2=null 3='x')" },
		{ "INSERT INTO plain DEFAULT VALUES", "WRITE !WRITE plain(1=null 2=null 3=null)" },
		{ "INSERT INTO plain (a) VALUES (DEFAULT)", "WRITE !WRITE plain(1=null 2=null 3=null)" },
		{ "INSERT INTO plain (a) VALUES (1 + 1)", "WRITE !WRITE plain(2=null 3=null)" },
		/* One row's value is not known: nothing is known of the column. */
		{ "INSERT INTO plain (a) VALUES (1), (b)", "WRITE !WRITE plain(2=null 3=null; 2=null 3=null)" },
		{ "INSERT INTO plain (c) VALUES (5)", "WRITE !WRITE plain(1=null 2=null)" },
		{ "INSERT INTO plain (c) VALUES ('5'::text)", "WRITE !WRITE plain(1=null 2=null 3='5')" },
		{ "INSERT INTO plain (c) VALUES ('5'::varchar(2))", "WRITE !WRITE plain(1=null 2=null)" },
		{ "INSERT INTO plain (c) VALUES (X'1F')", "WRITE !WRITE plain(1=null 2=null)" },
		/* id and created_at have defaults, upper_body is computed. */
		{ "INSERT INTO messages (channel_id, body) VALUES ($1, $2) RETURNING id", "WRITE !WRITE messages(2=$1 3=null 4=$2)" },
		{ "INSERT INTO messages (id, channel_id, author_id, body) VALUES (DEFAULT, 1, uuid_generate_v4(), 'a')", "WRITE !WRITE messages(2=1 4='a')" },
		{ "INSERT INTO messages (id, channel_id) OVERRIDING USER VALUE VALUES (5, 1)", "WRITE !WRITE messages(?)" },
		{ "INSERT INTO plain SELECT 1", "WRITE !WRITE plain(?)" },
		{ "INSERT INTO plain (a) VALUES (1), (2) LIMIT 1", "WRITE !WRITE plain(?)" },
		{ "INSERT INTO plain (a) VALUES ($1), ($1)", "WRITE !WRITE plain(2=null 3=null; 2=null 3=null)" },
		{ "INSERT INTO channels (id, slug) VALUES (1, 'a') ON CONFLICT (slug) DO NOTHING", "WRITE !WRITE channels(1=1 2=null 3='a' 4=null 5=null)" },
		/* The row in the way may have any id. */
		{ "INSERT INTO channels (id, slug) VALUES (1, 'a') ON CONFLICT (slug) DO UPDATE SET name = 'x'", "WRITE !WRITE channels(3='a')" },
		{ "INSERT INTO channels (id, slug) VALUES (1, 'a') ON CONFLICT (slug) DO UPDATE SET slug = 'b'", "WRITE !WRITE channels(?)" },
		{ "INSERT INTO channels (id, slug) VALUES (1, 'a') ON CONFLICT (lower(slug)) DO UPDATE SET name = 'x'", "WRITE !WRITE channels(?)" },
		{ "INSERT INTO channels (id, slug) VALUES (1, 'a') ON CONFLICT (slug COLLATE \"x\") DO UPDATE SET name = 'x'", "WRITE !WRITE channels(?)" },
		{ "INSERT INTO channels (slug) VALUES ('a') ON CONFLICT ON CONSTRAINT k DO UPDATE SET name = 'x'", "WRITE !WRITE channels(?)" },
		{ "INSERT INTO parted_eu VALUES ('eu', 1)", "WRITE !WRITE parted(2='eu' 1=1)" },
		{ "INSERT INTO stamped VALUES (1, 'x')", "WRITE !WRITE stamped(?)" },
		{ "INSERT INTO audited VALUES (1)", "WRITE !WRITE audited(?) all" },
		{ "INSERT INTO ruled VALUES (1)", "WRITE !WRITE ruled(1=1) all" },
		{ "INSERT INTO v_five VALUES (1)", "WRITE !WRITE all" },
		{ "INSERT INTO faraway VALUES (1)", "WRITE !WRITE faraway(?) all" },
		{ "INSERT INTO nosuch VALUES (1)", "WRITE !WRITE all suspect" },
		{ "INSERT INTO pg_class VALUES (1)", "DDL !WRITE all" },
		{ "INSERT INTO plain (a) VALUES (vol(1))", "WRITE !WRITE plain(2=null 3=null) all suspect" },
		{ "INSERT INTO plain (a) SELECT vol FROM v_vol", "WRITE !WRITE plain(?) all suspect" },
	};
	CHECK(cases);
}

Test(plan_writes, update_and_delete)
{
	static const struct plan_case cases[] = {
		{ "UPDATE plain SET b = 5 WHERE a = 3", "WRITE !WRITE plain(1=3)" },
		{ "UPDATE plain SET a = 5 WHERE a = 3", "WRITE !WRITE plain(1=3|5)" },
		{ "UPDATE plain SET a = $1 WHERE a = $2 AND c = 'x'", "WRITE !WRITE plain(1=$2|$1 3='x')" },
		{ "UPDATE plain SET a = NULL WHERE a IN (3, 4)", "WRITE !WRITE plain(1=3|4|null)" },
		{ "UPDATE plain SET a = a + 1 WHERE a = 3", "WRITE !WRITE plain(?)" },
		{ "UPDATE plain SET a = DEFAULT WHERE a = 3", "WRITE !WRITE plain(?)" },
		{ "UPDATE plain SET (a, b) = (SELECT 1, 2) WHERE a = 3 AND c = 'x'", "WRITE !WRITE plain(3='x')" },
		{ "UPDATE plain SET a = 4", "WRITE !WRITE plain(?)" },
		{ "UPDATE plain SET b = 4 WHERE a = 1 OR a = 2", "WRITE !WRITE plain(?)" },
		{ "UPDATE plain p SET b = 1 FROM channels c WHERE c.id = 5 AND p.a = 7", "WRITE !WRITE plain(1=7)" },
		{ "UPDATE plain p SET b = 1 FROM channels c WHERE c.id = 5", "WRITE !WRITE plain(?)" },
		{ "UPDATE plain SET b = 1 FROM plain q WHERE q.a = 5", "WRITE !WRITE plain(?)" },
		{ "UPDATE plain SET b = 1 WHERE CURRENT OF c", "WRITE !WRITE plain(?)" },
		{ "UPDATE channels SET name = 'x' WHERE id = 5", "WRITE !WRITE channels(1=5)" },
		{ "UPDATE parted SET region = 'us' WHERE region = 'eu' AND id = 3", "WRITE !WRITE parted(1=3 2='eu'|'us')" },
		{ "UPDATE stamped SET a = 1 WHERE a = 2", "WRITE !WRITE stamped(?)" },
		{ "UPDATE messages SET body = 'x' WHERE id = (SELECT max(id) FROM messages WHERE channel_id = 3)", "WRITE !WRITE messages(?)" },
		{ "UPDATE messages SET body = 'x' FROM (SELECT 1) s WHERE channel_id = 3", "WRITE !WRITE messages(2=3)" },
		{ "DELETE FROM plain WHERE a IN (1, 2) AND b = $1", "WRITE !WRITE plain(1=1|2 2=$1)" },
		{ "DELETE FROM plain USING channels c WHERE c.id = a AND c.slug = 'x'", "WRITE !WRITE plain(?)" },
		{ "DELETE FROM plain", "WRITE !WRITE plain(?)" },
		/* Messages go with their channel. */
		{ "DELETE FROM channels WHERE id = 5", "WRITE !WRITE messages(?) channels(1=5)" },
		{ "DELETE FROM stamped WHERE a = 1", "WRITE !WRITE stamped(1=1)" },
		{ "DELETE FROM audited WHERE a = 1", "WRITE !WRITE audited(1=1)" },
		{ "DELETE FROM plain WHERE a = 1 AND vol(1) = 2", "WRITE !WRITE plain(1=1) all suspect" },
	};
	CHECK(cases);
}

Test(plan_writes, hidden)
{
	static const struct plan_case cases[] = {
		{ "WITH d AS (DELETE FROM plain WHERE a = 1 RETURNING *) SELECT * FROM d", "WRITE !WRITE plain(1=1)" },
		{ "WITH i AS (INSERT INTO plain VALUES (1) RETURNING *) DELETE FROM messages WHERE channel_id = 2", "WRITE !WRITE messages(2=2) plain(1=1 2=null 3=null)" },
		{ "EXPLAIN ANALYZE DELETE FROM plain WHERE a = 1", "WRITE !WRITE plain(1=1)" },
		{ "EXPLAIN (ANALYZE false) DELETE FROM plain WHERE a = 1", "WRITE !WRITE plain(1=1)" },
		{ "EXPLAIN DELETE FROM plain WHERE a = 1", "OTHER !NOT_SELECT" },
		{ "EXPLAIN ANALYZE SELECT vol(1)", "OTHER !NOT_SELECT all suspect" },
		{ "EXPLAIN ANALYZE SELECT * FROM plain", "OTHER !NOT_SELECT" },
		{ "EXPLAIN ANALYZE SELECT * INTO x FROM plain", "DDL !NOT_SELECT" },
		{ "EXPLAIN ANALYZE EXECUTE p",
		  "UNPARSED !NOT_SELECT p all suspect executes" },
		{ "MERGE INTO plain p USING channels c ON c.id = p.a WHEN MATCHED THEN DELETE", "WRITE !WRITE plain(?)" },
		{ "TRUNCATE plain, messages", "WRITE !WRITE messages(?) plain(?)" },
		{ "TRUNCATE channels CASCADE", "WRITE !WRITE messages(?) channels(?)" },
		{ "COPY plain FROM STDIN", "COPY !NOT_SELECT plain(?) copy_in" },
		{ "COPY plain FROM '/x'", "COPY !NOT_SELECT plain(?)" },
		{ "COPY plain FROM PROGRAM 'x'", "COPY !NOT_SELECT plain(?)" },
		{ "COPY plain TO STDOUT", "COPY !NOT_SELECT" },
		{ "COPY (SELECT vol(1)) TO STDOUT", "COPY !NOT_SELECT all suspect" },
		{ "COPY (DELETE FROM plain RETURNING a) TO STDOUT", "COPY !NOT_SELECT plain(?)" },
		{ "DECLARE c CURSOR FOR SELECT vol(1)", "READ !NOT_SELECT all suspect" },
		{ "CALL p()", "WRITE !WRITE all suspect" },
		{ "DO 'x'", "WRITE !WRITE all suspect" },
		{ "EXECUTE p(1)", "UNPARSED !NOT_SELECT p all suspect executes" },
	};
	CHECK(cases);
}
/* clang-format on */
