# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""The same text is another question through other settings, and some are no question for
a cache at all."""

import struct

import pytest
import wire
from cached import Cached
from daemon import Pgrecall

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, k int, at timestamptz, d date, f float8, b bytea, i interval, v text);
INSERT INTO t SELECT g, g % 3, '2020-02-01 12:00+00', '2020-02-01', 1.0 / 3, '\\x0102', '1 day 2 hours', 'v' || g
	FROM generate_series(1, 12) AS g;
CREATE SCHEMA other;
CREATE TABLE other.t AS SELECT * FROM t WHERE id = 1;
UPDATE other.t SET v = 'other';
"""
TIMES = "SELECT at, d, f, b, i, '01/02/2020'::date FROM t WHERE k = 1 ORDER BY id"


@pytest.fixture(scope="module")
def shared(workspace, postgres):
    proxy = Pgrecall(workspace / "cache_settings", postgres, cache={"default": "on"}).start()
    yield proxy
    proxy.stop()


@pytest.fixture
def cached(shared, empty_database):
    made = Cached(shared, empty_database.name)
    made.direct.run(SCHEMA)
    yield made
    made.close()


SETTINGS = ["SET DateStyle = 'German, DMY'", "SET TimeZone = 'Asia/Tokyo'", "SET extra_float_digits = -3",
            "SET bytea_output = escape", "SET IntervalStyle = iso_8601", "SET search_path = other, public",
            "SELECT set_config('DateStyle', 'SQL, DMY', false)", "SET TIME ZONE INTERVAL '-03:30' HOUR TO MINUTE",
            "SET SESSION datestyle TO postgres",
            "SELECT set_config('TimeZone', n, false) FROM (VALUES ('Asia/Tokyo')) AS x (n)"]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
def test_one_text_two_settings(cached, setting, protocol):
    plain, changed = cached.client(), cached.client()

    def ask(client):
        if protocol == "simple":
            return client.run(TIMES)
        if protocol == "extended":
            return client.bound(TIMES)
        if not getattr(client, "has_statement", False):
            client.send(wire.parse("times", TIMES), wire.sync()).until("Z")
            client.has_statement = True
        client.send(wire.bind("", "times"), wire.execute(), wire.sync())
        return client.rows(client.until("Z"))

    before = cached.direct.run(TIMES)
    changed.run(setting)
    cached.warm(plain, TIMES)
    assert ask(plain) == ask(plain) == before
    cached.direct.run(setting)
    other = cached.direct.run(TIMES)
    assert other != before
    for _ in range(3):
        assert ask(changed) == other
        assert ask(plain) == before
    changed.run("DISCARD ALL")
    changed.has_statement = False
    assert ask(changed) == ask(changed) == before


@pytest.mark.parametrize("options", [{"DateStyle": "German"}, {"options": "-c search_path=other"},
                                     {"options": "-c TimeZone=Asia/Tokyo -c DateStyle=SQL"},
                                     {"extra_float_digits": "-3"}])
def test_settings_of_the_startup(cached, options):
    plain, changed = cached.client(), cached.client(**options)
    truth = wire.Connection(cached.proxy.postgres.port).start(
        user="postgres", database=cached.name, **options).query(TIMES)
    other = [m.values() for m in truth if m.kind == "D"]
    before = cached.warm(plain, TIMES)
    for _ in range(3):
        assert changed.run(TIMES) == other != before
        assert plain.run(TIMES) == before
    changed.run("SET DateStyle = 'ISO, MDY'", "RESET ALL")
    assert changed.run(TIMES) == other


def test_settings_of_a_transaction(cached):
    plain, changed = cached.client(), cached.client()
    before = cached.warm(plain, TIMES)
    changed.run("BEGIN", "SET LOCAL DateStyle = German")
    assert changed.run(TIMES) != before
    changed.run("COMMIT")
    assert changed.run(TIMES) == before
    changed.run("BEGIN", "SET DateStyle = German", "ROLLBACK")
    assert changed.run(TIMES) == before
    changed.run("BEGIN", "SAVEPOINT a", "SET DateStyle = German", "ROLLBACK TO a", "COMMIT")
    assert changed.run(TIMES) == before
    changed.run("BEGIN; SET DateStyle = German; COMMIT")
    assert changed.run(TIMES) != before
    assert plain.run(TIMES) == before
    changed.fails("SET DateStyle = ISO; SELECT 1/0")
    assert changed.run(TIMES) != before
    changed.run("RESET DateStyle")
    assert changed.run(TIMES) == before


def test_encodings(cached):
    """The same bytes are two texts, and the same text is two byte strings."""
    utf8, latin1 = cached.client(), cached.client(client_encoding="LATIN1")
    cached.direct.run("INSERT INTO t (id, k, v) VALUES (100, 100, 'é')")
    as_utf8 = "SELECT count(*), max(v) FROM t WHERE v = 'é'"

    def ask(client, text, encoding):
        client.send(wire.query(text.encode(encoding)))
        return client.rows(client.until("Z"))

    cached.warm(utf8, as_utf8)
    for _ in range(3):
        assert ask(utf8, as_utf8, "utf-8") == [[b"1", "é".encode()]]
        assert ask(latin1, as_utf8, "latin-1") == [[b"1", b"\xe9"]]
        assert ask(latin1, as_utf8, "utf-8") == [[b"0", None]]
    for client, encoding in ((latin1, "latin-1"), (utf8, "utf-8")):
        ask(client, "INSERT INTO t (id, k, v) SELECT max(id) + 1, 100, 'é' FROM t", encoding)
        ask(client, "INSERT INTO t (id, v) VALUES ((random() * 1e6)::int + 1000, 'é')", encoding)
        ask(client, "UPDATE t SET v = 'é' WHERE v = 'v3'", encoding)
        want = cached.direct.run(as_utf8)
        for _ in range(2):
            assert ask(utf8, as_utf8, "utf-8") == want
    latin1.run("BEGIN", "SET LOCAL client_encoding = UTF8")
    ask(latin1, "UPDATE t SET v = 'é' WHERE v = 'v4'", "utf-8")
    latin1.run("COMMIT")
    assert ask(utf8, as_utf8, "utf-8") == cached.direct.run(as_utf8)


@pytest.mark.parametrize("encoding", ["SJIS", "'shift-jis'", "BIG5", "windows-936"])
def test_encodings_with_ascii_inside(cached, encoding):
    """The second byte of a character may be a backslash or a quote: nothing is read, nothing cached."""
    plain, odd = cached.client(), cached.client(client_encoding=encoding)
    sql = "SELECT v FROM t WHERE k = 1 ORDER BY id"
    cached.warm(plain, sql)
    cached.never_cached(odd, sql)
    odd.run("UPDATE t SET v = 'odd' WHERE k = 1")
    assert cached.right(plain, sql)[0] == [b"odd"]
    plain.run(f"SET client_encoding = '{encoding.strip(chr(39))}'")
    cached.never_cached(plain, sql)
    plain.run("RESET client_encoding")
    cached.warm(plain, sql)


def test_prepared_through_other_settings(cached):
    """Constants of a prepared statement were read when it was prepared."""
    text = "SELECT '01/02/2020'::date - d, v FROM t WHERE k = 1 ORDER BY id"
    plain, changed = cached.client(), cached.client(DateStyle="ISO, DMY")
    for client, want in ((plain, b"-30"), (changed, b"0"), (plain, b"-30"), (changed, b"0")):
        client.send(wire.parse("", text), wire.bind("", ""), wire.execute(), wire.sync())
        assert {row[0] for row in client.rows(client.until("Z"))} == {want}
    for client in (plain, changed):
        client.send(wire.parse("s", text), wire.sync()).until("Z")
    for _ in range(2):
        for client, want in ((plain, b"-30"), (changed, b"0")):
            client.send(wire.bind("", "s"), wire.execute(), wire.sync())
            assert {row[0] for row in client.rows(client.until("Z"))} == {want}


def test_roles(cached, postgres):
    sql = "SELECT v, current_user FROM t WHERE k = 1 ORDER BY id"
    cached.direct.run("DROP ROLE IF EXISTS nobody", "CREATE ROLE nobody")
    try:
        plain, changed = cached.client(), cached.client()
        before = cached.warm(plain, sql)
        changed.run("SET ROLE nobody")
        assert changed.fails(sql) == changed.fails(sql) == "42501"
        cached.direct.run("GRANT SELECT ON t TO nobody")
        assert changed.run(sql) == changed.run(sql) == [[v, b"nobody"] for v, _ in before]
        assert plain.run(sql) == before
        changed.run("RESET ROLE")
        assert changed.run(sql) == before
        changed.run("SET SESSION AUTHORIZATION nobody")
        assert changed.run(sql)[0][1] == b"nobody"
    finally:
        cached.close()
        cached.direct = cached.client()
        postgres.psql("REVOKE ALL ON t FROM nobody", cached.name)
        postgres.psql("DROP ROLE nobody")


def test_row_security(cached):
    cached.direct.run("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON t USING (v = current_user)")
    client = cached.client()
    cached.warm(client, "SELECT v FROM other.t WHERE k = 1")
    cached.never_cached(client, "SELECT v FROM t WHERE k = 1")
    assert cached.proxy.metric("cache_bypasses_total", reason="row_security") > 0


def test_temporary_tables(cached):
    """They hide tables of the same name, for one session."""
    sql = "SELECT count(*) FROM t WHERE k = 1"
    plain, hiding, late = cached.client(), cached.client(), cached.client()
    cached.warm(plain, sql)
    for make in ("CREATE TEMP TABLE t (k int)", "CREATE TEMP TABLE t AS SELECT 1 AS k",
                 "SELECT 1 AS k INTO TEMP t",
                 "CREATE TEMP VIEW t AS SELECT 7 AS k"):
        hiding.run(make)
        mine = hiding.run(sql)
        assert mine != [[b"4"]]
        assert hiding.run(sql) == mine
        assert plain.run(sql) == plain.run(sql) == late.run(sql) == [[b"4"]]
        hiding.run("DISCARD ALL")
        assert hiding.run(sql) == [[b"4"]]
    leaving = cached.client()
    leaving.run("CREATE TEMP TABLE t (k int)")
    assert leaving.run(sql) == [[b"0"]]
    leaving.close()
    for _ in range(20):
        fresh = cached.client()
        assert fresh.run(sql) == [[b"4"]]
        fresh.run("BEGIN")  # past the cache, through whatever connection comes
        assert fresh.run("SAVEPOINT a; " + sql) == [[b"4"]]
        fresh.close()


VOLATILE = ["now()", "CURRENT_DATE", "CURRENT_TIMESTAMP(2)", "LOCALTIME", "clock_timestamp()", "random()",
            "'now'::timestamptz", "'today'::date", "date 'tomorrow'", "CAST(' NOW ' AS timestamp)", "timestamp 'epoch', "
            "timestamp 'yesterday'", "nextval('numbers')", "pg_backend_pid()", "txid_current()", "gen_random_uuid()",
            "age(at)", "current_setting('work_mem')", "lastval_or_null()", "statement_timestamp()", "E'\\x6eow'::timestamptz",
            "U&'\\006eow'::timestamptz", "'n'\n'ow'::timestamptz", "to_timestamp(extract(epoch from now()))",
            "pg_relation_size('t')", "xmin", "ctid"]


@pytest.mark.parametrize("expression", VOLATILE)
def test_answers_of_the_moment(cached, expression):
    cached.direct.run("CREATE SEQUENCE numbers", "CREATE FUNCTION lastval_or_null() RETURNS int LANGUAGE sql STABLE AS "
                      "'SELECT 1'")
    client = cached.client()
    cached.warm(client, "SELECT v FROM t WHERE k = 1")
    cached.never_cached(client, f"SELECT {expression}, v FROM t WHERE k = 1")
    cached.never_cached(client, f"SELECT {expression}, v FROM t WHERE k = 1", values=[])


@pytest.mark.parametrize("value", [b"now", b" NOW ", b"today", b"tomorrow"])
def test_parameters_of_the_moment(cached, value):
    client = cached.client()
    sql = "SELECT v FROM t WHERE at < $1"
    cached.warm(client, sql, values=[b"2021-01-01"], types=[1184])
    cached.never_cached(client, sql, values=[value], types=[1184])
    cached.never_cached(client, "SELECT v FROM t WHERE at < $1", values=[value])


@pytest.mark.parametrize("sql", [
    "SELECT v FROM t WHERE k = 1 FOR UPDATE", "SELECT v FROM t WHERE k = 1 FOR KEY SHARE", "SELECT v FROM t TABLESAMPLE SYSTEM (50)",
    "SELECT count(*) FROM pg_class", "SELECT v FROM t WHERE k = 1 /*+ pgrecall(off) */", "EXPLAIN SELECT v FROM t",
    "SHOW DateStyle", "SELECT 1", "VALUES (1)", "SELECT count(*) FROM unlogged"])
def test_never_cached(cached, sql):
    cached.direct.run("CREATE UNLOGGED TABLE unlogged (a int)")
    client = cached.client()
    cached.warm(client, "SELECT v FROM t WHERE k = 1")
    cached.never_cached(client, sql)


def test_row_limit(cached):
    client = cached.client()
    sql = "SELECT v FROM t WHERE k = 1 ORDER BY id"
    whole = cached.warm(client, sql, values=[])
    for rows in (1, 2, 4, 5):
        assert cached.never_cached(client, sql, rows=rows, values=[]) == whole[:rows]
    assert cached.hit(client, sql, values=[]) == whole


def test_formats_are_apart(cached):
    client = cached.client()
    sql = "SELECT id, f FROM t WHERE k = $1 ORDER BY id"
    text = cached.warm(client, sql, values=[b"1"])
    binary = cached.warm(client, sql, values=[b"1"], results=[1])
    mixed = cached.warm(client, sql, values=[struct.pack("!i", 1)], formats=[1], results=[1, 0])
    assert text[0][0] == b"1" and binary[0][0] == mixed[0][0] == b"\0\0\0\1"
    assert mixed[0][1] == text[0][1] and len(binary[0][1]) == 8
    for how, want in (({}, text), ({"results": [1]}, binary), ({"results": [1, 1]}, binary)):
        assert cached.right(client, sql, values=[b"1"], **how) == want
    assert cached.right(client, sql, values=[b"2"]) != text
    assert cached.right(client, sql, values=[None]) == []
    assert cached.right(client, sql, values=[b"1"], types=[20]) == text


def test_described_or_not(cached):
    """Without Describe there is no RowDescription, hit or miss."""
    client = cached.client()
    sql = "SELECT id FROM t WHERE k = 1"
    cached.warm(client, sql, values=[])
    cached.warm(client, sql)
    for _ in range(3):
        client.send(wire.parse("", sql), wire.bind("", ""), wire.execute(), wire.sync())
        assert client.types(client.until("Z")) == "12DDDDCZ"
        client.send(wire.parse("", sql), wire.bind("", ""), wire.describe("P"), wire.execute(), wire.sync())
        assert client.types(client.until("Z")) == "12TDDDDCZ"
        assert client.types(client.query(sql)) == "TDDDDCZ"


def test_transactions(cached):
    sql = "SELECT max(v), count(*) FROM t WHERE k = 1"
    reader, writer = cached.client(), cached.client()
    before = cached.warm(reader, sql)
    reader.run("BEGIN")
    assert cached.hit(reader, sql) == before
    writer.run("BEGIN", "INSERT INTO t (id, k, v) VALUES (50, 1, 'z')")
    assert writer.run(sql) == [[b"z", b"5"]]
    assert reader.run(sql) == before
    writer.run("SAVEPOINT a", "DELETE FROM t WHERE k = 1")
    assert writer.run(sql) == [[None, b"0"]]
    writer.run("ROLLBACK TO a")
    assert writer.run(sql) == [[b"z", b"5"]]
    assert reader.run(sql) == before
    writer.run("COMMIT")
    assert reader.run(sql) == cached.warm(writer, sql) == [[b"z", b"5"]]
    reader.run("COMMIT")


@pytest.mark.parametrize("begin", ["BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE",
                                   "BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"])
@pytest.mark.parametrize("default", [False, True])
def test_snapshots(cached, begin, default):
    """A transaction that sees one moment sees that moment, and not the cache's."""
    sql = "SELECT max(v), count(*) FROM t WHERE k = 1"
    reader, writer = cached.client(), cached.client()
    if default:
        reader.run("SET default_transaction_isolation = 'repeatable read'")
        begin = "BEGIN"
    cached.warm(writer, sql)
    reader.run(begin)
    before = cached.miss(reader, sql)
    writer.run("INSERT INTO t (id, k, v) VALUES (50, 1, 'z')")
    after = cached.warm(writer, sql)
    assert after != before
    for _ in range(3):
        assert cached.miss(reader, sql) == before
    assert cached.hit(writer, sql) == after
    reader.run("COMMIT")
    assert reader.run(sql) == after


def test_backslashes_in_a_transaction(cached):
    """With standard_conforming_strings off a text means something else."""
    reader, writer = cached.client(), cached.client()
    sql = "SELECT count(*) FROM t WHERE v = 'x'"
    for how in ("SET LOCAL", "SET"):
        cached.warm(reader, sql)
        before = cached.hit(reader, sql)
        writer.run("BEGIN", f"{how} standard_conforming_strings = off")
        writer.run(r"UPDATE t SET v = 'x' WHERE v <> 'q\'s' AND id = (SELECT max(id) FROM t WHERE v <> 'x')")
        writer.run("COMMIT")
        after = cached.right(reader, sql)
        assert after != before
        writer.run("RESET standard_conforming_strings")


def test_what_code_sets_stays_with_nobody(cached):
    """A DO that changes settings: in transaction mode the connection is cleaned when it is
    given back.  The client that did it may come again before that, and then sees them, as in
    PostgreSQL; nobody else does, and what it saw is not stored."""
    plain, changed = cached.client(), cached.client()
    before = cached.warm(plain, TIMES)
    for _ in range(5):
        changed.run("DO $$ BEGIN SET TimeZone = 'Asia/Tokyo'; SET DateStyle = German; END $$")
        changed.run(TIMES)
        assert plain.run(TIMES) == before
    changed.run("BEGIN", "DO $$ BEGIN SET TimeZone = 'Asia/Tokyo'; END $$")
    assert changed.run(TIMES) != before
    changed.run("COMMIT")
    assert plain.run(TIMES) == before
