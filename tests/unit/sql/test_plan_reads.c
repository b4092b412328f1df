/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Which reads may be cached, in which class, keyed by what. */

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
Test(plan_reads, keys)
{
	static const struct plan_case cases[] = {
		{ "SELECT * FROM messages WHERE channel_id = 5", "READ CONTEXT messages.2=5" },
		{ "SELECT * FROM messages WHERE channel_id = '5'", "READ CONTEXT messages.2='5'" },
		{ "SELECT * FROM messages WHERE 5 = channel_id", "READ CONTEXT messages.2=5" },
		{ "SELECT * FROM messages WHERE channel_id = -5", "READ CONTEXT messages.2=-5" },
		{ "SELECT * FROM messages WHERE channel_id = - 5", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id = -5::int", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id = $1", "READ CONTEXT messages.2=$1" },
		{ "SELECT * FROM messages WHERE channel_id = $1::int8", "READ CONTEXT messages.2=$1" },
		{ "SELECT * FROM messages WHERE channel_id = $1::numeric", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id::text = '5'", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id + 0 = 5", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id > 5", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE NOT channel_id = 5", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE (channel_id = 5) IS NULL", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id = NULL", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id OPERATOR(public.=) 5", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id = 5 OR true", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id IN (1, $1, '3')", "READ CONTEXT messages.2=1|$1|'3'" },
		{ "SELECT * FROM messages WHERE channel_id NOT IN (1, 2)", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id IN (1, NULL)", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id IN (1, id)", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id IN (1,2,3,4,5,6,7,8)", "READ CONTEXT messages.2=1|2|3|4|5|6|7|8" },
		{ "SELECT * FROM messages WHERE channel_id IN (1,2,3,4,5,6,7,8,9)", "READ DEFAULT messages" },
		{ "SELECT * FROM messages WHERE channel_id = ANY($1)", "READ DEFAULT messages" },
		/* The column with the most values. */
		{ "SELECT * FROM messages WHERE author_id = $1 AND (channel_id = 2 AND id = 3)", "READ CONTEXT messages.2=2" },
		{ "SELECT * FROM channels WHERE id = 3 AND slug = 'x'", "READ CONTEXT channels.1=3" },
		/* A parameter in two places may have another type than the column. */
		{ "SELECT * FROM messages WHERE channel_id = $1 AND id > $1", "READ DEFAULT messages" },
		{ "SELECT * FROM channels WHERE slug = 'abc'", "READ CONTEXT channels.3='abc'" },
		{ "SELECT * FROM channels WHERE slug = 'abc'::text", "READ CONTEXT channels.3='abc'" },
		{ "SELECT * FROM channels WHERE slug = E'a\\'bc'", "READ CONTEXT channels.3=E'a\\'bc'" },
		{ "SELECT * FROM channels WHERE slug = $$abc$$", "READ CONTEXT channels.3=$$abc$$" },
		{ "SELECT * FROM channels WHERE slug = 'abc'::varchar(2)", "READ DEFAULT channels" },
		{ "SELECT * FROM channels WHERE slug = N'abc'", "READ DEFAULT channels" },
		{ "SELECT * FROM channels WHERE slug = 'abc' COLLATE \"C\"", "READ DEFAULT channels" },
		{ "SELECT * FROM channels WHERE slug = 5", "READ DEFAULT channels" },
		{ "SELECT * FROM channels WHERE slug = '5'::int", "READ DEFAULT channels" },
		{ "SELECT * FROM channels WHERE code = 'abc'", "READ DEFAULT channels" },
		{ "SELECT * FROM channels WHERE owner = '{a0}'::uuid", "READ CONTEXT channels.4='{a0}'" },
		{ "SELECT * FROM channels WHERE flag = 't'", "READ CONTEXT channels.5='t'" },
		{ "SELECT * FROM channels WHERE flag", "READ DEFAULT channels" },
		{ "SELECT * FROM public.channels WHERE id = 1", "READ CONTEXT channels.1=1" },
		{ "SELECT * FROM public.channels WHERE public.channels.id = 1", "READ DEFAULT channels" },
		{ "SELECT * FROM channels AS x WHERE x.id = 1", "READ CONTEXT channels.1=1" },
		{ "SELECT * FROM channels AS x(name) WHERE name = '1'", "READ DEFAULT channels" },
		{ "SELECT * FROM ONLY channels WHERE id = 1", "READ CONTEXT channels.1=1" },
		{ "SELECT * FROM parted WHERE id = 1", "READ CONTEXT parted.1=1" },
		{ "SELECT * FROM parted_eu WHERE id = 1", "READ CONTEXT parted.1=1" },
		{ "SELECT count(*) FROM plain WHERE a = 1 GROUP BY b HAVING b = 2", "READ CONTEXT plain.1=1" },
	};
	CHECK(cases);
}

Test(plan_reads, joins_and_blocks)
{
	static const struct plan_case cases[] = {
		{ "SELECT * FROM channels c, messages m WHERE c.id = 5 AND m.channel_id = c.id", "READ DEFAULT channels.1=5 messages" },
		{ "SELECT * FROM channels c JOIN messages m ON m.channel_id = 5 AND c.id = 6", "READ CONTEXT channels.1=6 messages.2=5" },
		{ "SELECT * FROM channels c LEFT JOIN messages m ON m.channel_id = 7 WHERE c.id = 5", "READ CONTEXT channels.1=5 messages.2=7" },
		/* The left side keeps all its rows. */
		{ "SELECT * FROM channels c LEFT JOIN messages m ON c.id = 7", "READ DEFAULT channels messages" },
		{ "SELECT * FROM channels c RIGHT JOIN messages m ON c.id = 7", "READ DEFAULT channels.1=7 messages" },
		{ "SELECT * FROM channels c FULL JOIN messages m ON c.id = 7", "READ DEFAULT channels messages" },
		{ "SELECT * FROM channels c FULL JOIN messages m ON true WHERE c.id = 7", "READ DEFAULT channels.1=7 messages" },
		/* Both have an id: it would be ambiguous; slug and channel_id are not. */
		{ "SELECT * FROM channels, messages WHERE id = 7", "READ DEFAULT channels messages" },
		{ "SELECT * FROM channels, messages WHERE slug = 'a' AND channel_id = 1", "READ CONTEXT channels.3='a' messages.2=1" },
		{ "SELECT * FROM channels JOIN messages USING (id) WHERE slug = 'a'", "READ DEFAULT channels messages" },
		{ "SELECT * FROM channels NATURAL JOIN messages m WHERE m.channel_id = 1", "READ DEFAULT channels messages.2=1" },
		{ "SELECT * FROM (channels c JOIN plain p ON true) j WHERE slug = 'x'", "READ DEFAULT channels plain" },
		/* An alias of the outer query is not the inner relation. */
		{ "SELECT * FROM channels c WHERE c.id = 1 AND EXISTS (SELECT 1 FROM messages WHERE c.id = 2)", "READ DEFAULT channels.1=1 messages" },
		{ "SELECT * FROM channels c WHERE EXISTS (SELECT 1 FROM plain WHERE id = 2)", "READ DEFAULT channels plain" },
		{ "SELECT * FROM plain, (channels JOIN messages ON a = 5) WHERE true", "READ DEFAULT plain channels messages" },
		{ "SELECT * FROM channels WHERE id = 1 AND id IN (SELECT channel_id FROM messages WHERE channel_id = 2)", "READ CONTEXT channels.1=1 messages.2=2" },
		{ "SELECT * FROM messages a, messages b WHERE a.channel_id = 1 AND b.channel_id = 2", "READ CONTEXT messages.2=1 messages.2=2" },
		{ "SELECT * FROM plain WHERE a = 1 UNION ALL SELECT * FROM plain WHERE a = 2", "READ CONTEXT plain.1=1 plain.1=2" },
		{ "SELECT * FROM (SELECT * FROM plain) s WHERE a = 1", "READ DEFAULT plain" },
		{ "SELECT * FROM (SELECT * FROM plain WHERE a = 1) s", "READ CONTEXT plain.1=1" },
		{ "SELECT * FROM generate_series(1, 9) g(a), messages WHERE channel_id = 3", "READ CONTEXT messages.2=3" },
		/* WITH */
		{ "WITH channels AS (SELECT * FROM channels WHERE id = 5) SELECT * FROM channels WHERE id = 6", "READ CONTEXT channels.1=5" },
		{ "WITH c AS (SELECT 1 AS id) SELECT * FROM c, public.channels WHERE channels.id = 6", "READ CONTEXT channels.1=6" },
		{ "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a, b", "READ !UNKNOWN_RELATION all" },
		{ "WITH RECURSIVE plain AS (SELECT 1 UNION SELECT * FROM plain) SELECT * FROM plain", "READ !NO_RULE" },
		{ "SELECT (WITH plain AS (SELECT 1) SELECT 1) FROM plain WHERE a = 1", "READ CONTEXT plain.1=1" },
	};
	CHECK(cases);
}

Test(plan_reads, classes)
{
	static const struct plan_case cases[] = {
		{ "SELECT * FROM messages WHERE channel_id = 5 ORDER BY created_at DESC LIMIT 50", "READ RECENT messages.2=5" },
		{ "SELECT * FROM messages WHERE channel_id = $1 ORDER BY id DESC LIMIT $2", "READ RECENT messages.2=$1" },
		{ "SELECT * FROM messages WHERE channel_id = 5 ORDER BY created_at LIMIT 50", "READ CONTEXT messages.2=5" },
		{ "SELECT * FROM messages WHERE channel_id = 5 ORDER BY created_at DESC", "READ CONTEXT messages.2=5" },
		{ "SELECT * FROM messages ORDER BY created_at DESC LIMIT 50", "READ DEFAULT messages" },
		{ "SELECT * FROM messages m JOIN channels c ON c.id = m.channel_id WHERE m.channel_id = 5 ORDER BY m.id DESC LIMIT 5", "READ RECENT messages.2=5 channels" },
		{ "SELECT * FROM (SELECT * FROM messages WHERE channel_id = 5 ORDER BY id DESC LIMIT 50) m ORDER BY id", "READ RECENT messages.2=5" },
		{ "SELECT id FROM vectors ORDER BY embedding <-> '[1,2,3]' LIMIT 5", "READ VECTOR vectors" },
		{ "SELECT id FROM vectors ORDER BY embedding <=> $1::vector LIMIT 5", "READ VECTOR vectors" },
		{ "SELECT id, embedding <-> $1 AS d FROM vectors WHERE id = 4 ORDER BY d LIMIT 5", "READ VECTOR vectors.1=4" },
	};
	CHECK(cases);
}

Test(plan_reads, bypasses)
{
	static const struct plan_case cases[] = {
		{ "SELECT 1", "READ !NO_RULE" },
		{ "SELECT", "READ !NO_RULE" },
		{ "VALUES (1), (2)", "READ !NO_RULE" },
		{ "TABLE plain", "READ DEFAULT plain" },
		{ "SELECT now() FROM plain", "READ !VOLATILE_FUNCTION" },
		{ "SELECT pg_catalog.now() FROM plain", "READ !VOLATILE_FUNCTION" },
		{ "SELECT CURRENT_TIMESTAMP FROM plain", "READ !CURRENT_TIME" },
		{ "SELECT * FROM plain WHERE d > LOCALTIMESTAMP", "READ !CURRENT_TIME" },
		{ "SELECT CURRENT_USER, CURRENT_CATALOG FROM plain", "READ DEFAULT plain" },
		{ "SELECT random() FROM plain", "READ !VOLATILE_FUNCTION" },
		{ "SELECT nextval('counter')", "READ !VOLATILE_FUNCTION moves" },
		{ "SELECT pg_catalog.setval('counter', 7)", "READ !VOLATILE_FUNCTION moves" },
		{ "SELECT currval('counter')", "READ !VOLATILE_FUNCTION asks" },
		{ "SELECT a FROM plain WHERE a = (SELECT lastval())", "READ !VOLATILE_FUNCTION asks" },
		{ "SELECT nextval('counter'), lastval()", "READ !VOLATILE_FUNCTION moves asks" },
		{ "SELECT stab(1) FROM plain", "READ !VOLATILE_FUNCTION" },
		{ "SELECT immu(1) FROM plain", "READ DEFAULT plain" },
		{ "SELECT uuid_generate_v4() FROM plain", "READ !VOLATILE_FUNCTION" },
		{ "SELECT vol(a) FROM plain", "READ !VOLATILE_FUNCTION all suspect" },
		{ "SELECT * FROM plain, vol(1)", "READ !VOLATILE_FUNCTION all suspect" },
		{ "SELECT * FROM plain ORDER BY (SELECT vol(1))", "READ !VOLATILE_FUNCTION all suspect" },
		{ "SELECT p.vol FROM plain p", "READ !VOLATILE_FUNCTION all suspect" },
		{ "SELECT (p).vol FROM plain p", "READ !VOLATILE_FUNCTION all suspect" },
		{ "SELECT nosuch(1) FROM plain", "READ !VOLATILE_FUNCTION all suspect" },
		{ "SELECT query_to_xml('DELETE', true, true, '')", "READ !VOLATILE_FUNCTION all suspect" },
		{ "SELECT to_char(d, 'YYYY') FROM plain", "READ DEFAULT plain" },
		{ "SELECT pg_typeof(a) FROM plain", "READ !VOLATILE_FUNCTION" },
		{ "SELECT current_setting('x.y') FROM plain", "READ !VOLATILE_FUNCTION" },
		{ "SELECT a FROM plain WHERE c @@@ 'x'", "READ !VOLATILE_FUNCTION" },
		{ "SELECT json_agg(p) FROM plain p", "READ DEFAULT plain" },
		{ "SELECT xmlelement(name a) FROM plain", "READ !VOLATILE_FUNCTION" },
		{ "SELECT 'plain'::regclass FROM plain", "READ !VOLATILE_FUNCTION" },
		{ "SELECT 5::positive FROM plain", "READ !VOLATILE_FUNCTION" },
		{ "SELECT 'ok'::mood FROM plain", "READ DEFAULT plain" },
		{ "SELECT '(1)'::plain FROM plain", "READ !VOLATILE_FUNCTION" },
		{ "SELECT * FROM plain WHERE d > '2020-01-01'::date", "READ DEFAULT plain" },
		{ "SELECT d::date FROM plain", "READ DEFAULT plain" },
		{ "SELECT date(d) FROM plain", "READ DEFAULT plain" },
		{ "SELECT c::date FROM plain", "READ !CURRENT_TIME" },
		{ "SELECT date(c) FROM plain", "READ !CURRENT_TIME" },
		{ "SELECT s.d::date FROM (SELECT c AS d FROM plain) s", "READ !CURRENT_TIME" },
		{ "SELECT ('n' || 'ow')::date FROM plain", "READ !CURRENT_TIME" },
		{ "SELECT date_trunc('day', d)::date FROM plain", "READ DEFAULT plain" },
		{ "SELECT max(c)::date FROM plain", "READ !CURRENT_TIME" },
		{ "SELECT '12:00'::timetz FROM plain", "READ !CURRENT_TIME" },
		{ "SELECT * FROM zoned WHERE t > '12:00'", "READ !CURRENT_TIME" },
		{ "SELECT ctid FROM plain", "READ !SYSTEM_RELATION" },
		{ "SELECT p.xmin FROM plain p", "READ !SYSTEM_RELATION" },
		{ "SELECT * FROM plain FOR UPDATE", "READ !FOR_UPDATE" },
		{ "SELECT * FROM (SELECT * FROM plain FOR SHARE) s", "READ !FOR_UPDATE" },
		{ "SELECT * FROM plain TABLESAMPLE system (5)", "READ !VOLATILE_FUNCTION" },
		{ "SELECT * FROM secured", "READ !ROW_SECURITY" },
		{ "SELECT * FROM pg_class", "READ !SYSTEM_RELATION" },
		{ "SELECT * FROM pg_catalog.pg_class, plain", "READ !SYSTEM_RELATION" },
		{ "SELECT * FROM fleeting", "READ !SYSTEM_RELATION" },
		{ "SELECT * FROM counter", "READ !SYSTEM_RELATION" },
		{ "SELECT * FROM faraway", "READ !SYSTEM_RELATION" },
		{ "SELECT * FROM matter", "READ DEFAULT matter" },
		{ "SELECT * FROM pg_temp.x", "READ !TEMP_TABLE" },
		{ "SELECT * FROM nosuch", "READ !UNKNOWN_RELATION all" },
		{ "SELECT * FROM db.public.plain", "READ !UNKNOWN_RELATION all" },
		{ "SELECT * FROM plain p1, plain p2, plain p3, plain p4, plain p5, plain p6, plain p7,"
		  " plain p8, plain p9, plain p10, plain p11, plain p12, plain p13", "READ !TOO_LARGE" },
		/* Views */
		{ "SELECT * FROM v_msg WHERE channel_id = 5", "READ DEFAULT messages channels" },
		{ "SELECT * FROM v_five", "READ DEFAULT plain" },
		{ "SELECT * FROM v_now", "READ !VOLATILE_FUNCTION" },
		{ "SELECT * FROM v_text", "READ !CURRENT_TIME" },
		{ "SELECT * FROM v_vol", "READ !VOLATILE_FUNCTION all suspect" },
		{ "SELECT * FROM v_hidden", "READ !UNKNOWN_RELATION all suspect" },
		/* Hints */
		{ "/*+ pgrecall(off) */ SELECT * FROM plain", "READ !HINT" },
		{ "SELECT /*+ pgrecall(ttl=5) */ * FROM plain", "READ DEFAULT plain" },
	};
	CHECK(cases);
}
/* clang-format on */
