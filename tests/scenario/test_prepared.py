# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Prepared statements on shared server connections."""

import pytest

import wire
from servers import wait_for
from wire import bind, close, describe, execute, flush, parse, query, sync

SETUP = "CREATE TABLE t (id int, a int); INSERT INTO t VALUES (1, 10), (2, 20)"
SQL = "SELECT * FROM t WHERE id = $1"
# A statement that its client has described is bound without another Describe, or with one.
PORTAL = (describe("P"), execute(), sync())
BLIND = (execute(), sync())


@pytest.fixture
def place(pgrecall, empty_database):
    """One server connection for everybody; DDL goes through the proxy or past it."""
    proxy = pgrecall(pgrecall={"pool_mode": "transaction", "default_pool_size": 1, "workers": 1},
                     cache={"enabled": "off"})
    empty_database.psql(SETUP)
    with proxy.connect(empty_database.name) as admin:
        def alter(sql, through):
            if through:
                admin.query(sql)
            else:
                empty_database.psql(sql)
        yield proxy, empty_database.name, alter


def outcome(messages):
    """Types, and the SQLSTATE of errors."""
    return " ".join(m.kind + (m.sqlstate() if m.kind == "E" else "") for m in messages)


def row(messages):
    return [m.values() for m in messages if m.kind == "D"]


WAYS = {"the column of another type": ("ALTER TABLE t ALTER a TYPE text", [b"1", b"10"]),
        "one more column": ("ALTER TABLE t ADD b int DEFAULT 7", [b"1", b"10", b"7"])}


@pytest.mark.parametrize("through", [True, False], ids=["through", "past"])
@pytest.mark.parametrize("way", WAYS)
def test_T65_own_statement(place, way, through):
    """Bound with a Describe: prepared again, and nobody sees it."""
    proxy, name, alter = place
    ddl, want = WAYS[way]
    with proxy.connect(name) as client:
        client.send(parse("s", SQL), describe("S", "s"), sync()).until("Z")
        assert outcome(client.send(bind("", "s", [b"1"]), *PORTAL).until("Z")) == "2 T D C Z"
        alter(ddl, through)
        seen = client.send(bind("", "s", [b"1"]), *PORTAL).until("Z")
        assert outcome(seen) == "2 T D C Z" and row(seen) == [want]
        seen = client.send(bind("", "s", [b"1"]), *PORTAL).until("Z")
        assert outcome(seen) == "2 T D C Z" and row(seen) == [want]
        assert proxy.metric("prepared_statement_repairs_total") == 1


@pytest.mark.parametrize("through", [True, False], ids=["through", "past"])
def test_T65_described_again(place, through):
    proxy, name, alter = place
    with proxy.connect(name) as client:
        client.send(parse("s", SQL), describe("S", "s"), sync()).until("Z")
        alter("ALTER TABLE t ADD b int DEFAULT 7", through)
        seen = client.send(describe("S", "s"), sync()).until("Z")
        assert outcome(seen) == "t T Z" and seen[1].body[:2] == b"\0\3"
        assert row(client.send(bind("", "s", [b"1"]), *BLIND).until("Z")) == [[b"1", b"10", b"7"]]


@pytest.mark.parametrize("through", [True, False], ids=["through", "past"])
@pytest.mark.parametrize("unit", [(parse("b", SQL), bind("", "b", [b"1"]), *BLIND),
                                  (parse("b", SQL), bind("", "b", [b"1"]), *PORTAL),
                                  (parse("b", SQL), describe("S", "b"), bind("", "b", [b"1"]), *BLIND),
                                  (parse("b", SQL), bind("", "b", [b"1"]), flush(), *BLIND)])
def test_T65_prepared_by_somebody_else_before(place, unit, through):
    proxy, name, alter = place
    with proxy.connect(name) as first, proxy.connect(name) as second:
        first.send(parse("a", SQL), bind("", "a", [b"1"]), *BLIND).until("Z")
        alter("ALTER TABLE t ADD b int DEFAULT 7", through)
        seen = second.send(*unit).until("Z")
        assert "E" not in outcome(seen) and row(seen) == [[b"1", b"10", b"7"]]


def test_T65_prepared_in_a_transaction(place):
    """Also behind DDL of the same transaction, and after it was rolled back."""
    proxy, name, _ = place
    unit = (parse("", SQL), bind("", "", [b"1"]), *BLIND)
    with proxy.connect(name) as client:
        client.send(parse("a", SQL), bind("", "a", [b"1"]), *BLIND).until("Z")
        for end, after in ("ROLLBACK", [b"1", b"10"]), ("COMMIT", [b"1", b"10", b"7"]):
            client.query("BEGIN")
            client.query("ALTER TABLE t ADD b int DEFAULT 7")
            for n in "bc":
                seen = client.send(parse(n + end, SQL), bind("", n + end, [b"1"]), *BLIND).until("Z")
                assert row(seen) == [[b"1", b"10", b"7"]], outcome(seen)
            client.query(end)
            seen = client.send(parse("d" + end, SQL), bind("", "d" + end, [b"1"]), *BLIND).until("Z")
            assert row(seen) == [after], outcome(seen)
            assert row(client.send(*unit).until("Z")) == [after]


@pytest.mark.parametrize("before", [
    [query("BEGIN")],  # an open transaction
    [parse("", "INSERT INTO t VALUES (3, 30)"), bind("", ""), execute()],  # an effect
    [parse("", "SELECT 1"), bind("p", "")]], ids=["transaction", "effect", "portal"])
def test_T65_the_error_when_it_cannot_be_undone(place, before):
    proxy, name, alter = place
    with proxy.connect(name) as client:
        client.send(parse("s", SQL), bind("", "s", [b"1"]), *PORTAL).until("Z")
        alter("ALTER TABLE t ADD b int DEFAULT 7", False)
        n = sum(m[:1] == b"Q" for m in before) + 1
        seen = client.send(*before, bind("", "s", [b"1"]), *PORTAL).until("Z", n)
        assert "E0A000" in outcome(seen)
        client.query("ROLLBACK")
        seen = client.send(bind("", "s", [b"1"]), *PORTAL).until("Z")
        assert row(seen) == [[b"1", b"10", b"7"]], outcome(seen)
        assert row(client.query("SELECT count(*) FROM t")) == [[b"2"]]


def test_T65_who_was_told_other_columns_gets_the_error(place):
    """It could not read the rows; drivers know what to do about 0A000."""
    proxy, name, alter = place
    with proxy.connect(name) as client:
        client.send(parse("s", SQL), describe("S", "s"), sync()).until("Z")
        alter("ALTER TABLE t ADD b int DEFAULT 7", True)
        assert outcome(client.send(bind("", "s", [b"1"]), *BLIND).until("Z")) == "E0A000 Z"
        client.send(close("S", "s"), parse("s", SQL), describe("S", "s"), sync()).until("Z")
        assert row(client.send(bind("", "s", [b"1"]), *BLIND).until("Z")) == [[b"1", b"10", b"7"]]


def test_T65_pipelines(place):
    """Several statements in one batch; and the next batch, which comes at once."""
    proxy, name, alter = place
    unit = (bind("", "s", [b"1"]), describe("P"), execute())
    with proxy.connect(name) as client:
        client.send(parse("s", SQL), parse("x", "SELECT 1"), *unit, sync()).until("Z")
        alter("ALTER TABLE t ADD b int DEFAULT 7", False)
        seen = client.send(parse("y", "SELECT 2"), describe("S", "x"), *unit, *unit, bind("", "y"), execute(),
                           sync()).until("Z")
        assert outcome(seen) == "1 t T 2 T D C 2 T D C 2 D C Z"
        alter("ALTER TABLE t ADD c int DEFAULT 8", False)
        seen = client.send(*unit, sync(), parse("z", SQL), bind("", "z", [b"2"]), *PORTAL).until("Z", 2)
        assert outcome(seen) in ("E0A000 Z 1 2 T D C Z", "2 T D C Z 1 2 T D C Z")
        alter("ALTER TABLE t ADD d int DEFAULT 9", False)
        assert outcome(client.send(bind("", "z", [b"1"]), flush(), sync()).until("Z")) == "2 Z"


def test_T65_parameters_stay_what_they_were(place):
    """A client that was told int4 sends int4, whatever the column has become."""
    proxy, name, alter = place
    with proxy.connect(name) as client:
        client.send(parse("s", SQL), describe("S", "s"), sync()).until("Z")
        alter("ALTER TABLE t ALTER id TYPE bigint", True)
        seen = client.send(bind("", "s", [b"\0\0\0\2"], [1]), *PORTAL).until("Z")
        assert row(seen) == [[b"2", b"20"]], outcome(seen)


def test_T65_the_table_is_gone(place):
    proxy, name, alter = place
    with proxy.connect(name) as client:
        client.send(parse("s", SQL), bind("", "s", [b"1"]), *PORTAL).until("Z")
        alter("ALTER TABLE t ADD b int; CREATE TABLE u AS SELECT 1", False)
        alter("DROP TABLE t", False)
        assert outcome(client.send(bind("", "s", [b"1"]), *PORTAL).until("Z")) == "E42P01 Z"
        alter(SETUP, False)
        assert row(client.send(bind("", "s", [b"2"]), *PORTAL).until("Z")) == [[b"2", b"20"]]


@pytest.mark.parametrize("local", [False, True])
def test_T37_search_path(place, local):
    """One text, two tables: nobody gets the statement of the other."""
    proxy, name, alter = place
    alter("CREATE SCHEMA other; CREATE TABLE other.t AS SELECT 1 AS id, 'x'::text AS b, 5 AS c", True)
    with proxy.connect(name) as first, proxy.connect(name) as second:
        if not local:
            second.query("SET search_path = other")
        for _ in range(3):
            seen = first.send(parse("s", SQL), bind("", "s", [b"1"]), *BLIND, close("S", "s")).until("Z")
            assert row(seen) == [[b"1", b"10"]], outcome(seen)
            second.query("BEGIN; SET LOCAL search_path = other")
            for n in "ab":
                seen = second.send(parse(n, SQL), bind("", n, [b"1"]), *BLIND).until("Z")
                assert row(seen) == [[b"1", b"x", b"5"]], outcome(seen)
            second.query("COMMIT")
            second.send(close("S", "a"), close("S", "b"), sync()).until("Z")


# Statements that are too large to be kept

def large(n):
    return "SELECT $1::int + 1 -- " + "x" * n


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("name", ["", "big"])
def test_T51_large_parse(pgrecall, database, name, mode):
    proxy = pgrecall(pgrecall={"pool_mode": mode, "default_pool_size": 2, "client_hold_max": "64kB"})
    with proxy.connect(database.name) as client, proxy.connect(database.name) as other:
        seen = client.send(parse(name, large(5_000_000)), describe("S", name), bind("", name, [b"1"]), *PORTAL).until("Z")
        assert outcome(seen) == "1 t T 2 T D C Z" and row(seen) == [[b"2"]]
        for n in range(3):
            seen = client.send(bind("", name, [b"%d" % n]), *PORTAL).until("Z")
            assert outcome(seen) == "2 T D C Z" and row(seen) == [[b"%d" % (n + 1)]]
            assert row(other.query("SELECT 1")) == [[b"1"]]
        assert row(client.send(bind("", name, [b" " * 100_000 + b"7"]), *PORTAL).until("Z")) == [[b"8"]]
        assert outcome(client.send(parse("ok", "SELECT 5"), bind("", "ok"), *PORTAL).until("Z")) == "1 2 T D C Z"
        client.send(close("S", name), sync()).until("Z")
        assert outcome(client.send(bind("", name, [b"1"]), sync()).until("Z")) == "E26000 Z"


def pinned(proxy, **labels):
    return proxy.metric("pool_pinned_clients", **labels)


@pytest.mark.parametrize("name", ["", "big"])
def test_T51_large_statement_keeps_its_connection_while_it_is_there(place, name):
    proxy, database, _ = place
    with proxy.connect(database) as client:
        client.send(parse(name, large(3_000_000)), sync()).until("Z")
        assert pinned(proxy, reason="large_statement") == 1
        if name:
            client.send(close("S", name), sync()).until("Z")
        else:
            client.query("SELECT 1")
        with proxy.connect(database) as other:  # there is one connection
            assert row(other.query("SELECT 2")) == [[b"2"]]
        assert pinned(proxy) == 0
        client.send(parse(name, "SELEC " + large(3_000_000)), sync()).until("Z")
        with proxy.connect(database) as other:
            assert row(other.query("SELECT 2")) == [[b"2"]]


# Pins

PINS = {
    "temporary": [("CREATE TEMP TABLE mine (a int)", "DROP TABLE mine"),
                  ("CREATE TEMP TABLE mine (a int)", "DISCARD TEMP"),
                  ("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION pg_temp.f()")],
    "prepare": [("PREPARE p AS SELECT 1", "DEALLOCATE p"), ("PREPARE p AS SELECT 1", "DEALLOCATE ALL")],
    "hold": [("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE c"),
             ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE ALL")],
    "advisory": [("SELECT pg_advisory_lock(7)", "SELECT pg_advisory_unlock(7)"),
                 ("SELECT pg_try_advisory_lock_shared(7)", "SELECT pg_advisory_unlock_all()")],
}


@pytest.mark.parametrize("reason, cause, end", [(r, c, e) for r, ways in PINS.items() for c, e in ways])
@pytest.mark.parametrize("extended", [False, True])
def test_pin_ends_with_its_cause(place, reason, cause, end, extended):
    """There is one connection: nobody else is served while it is kept."""
    proxy, name, _ = place

    def do(conn, sql):
        if extended:
            return conn.send(parse("", sql), bind("", ""), execute(), sync()).until("Z")
        return conn.query(sql)

    with proxy.connect(name) as client, proxy.connect(name) as other:
        assert "E" not in outcome(do(client, cause))
        assert pinned(proxy, reason=reason) == 1 and pinned(proxy) == 1
        other.send(query("SELECT 1"))
        assert other.silent(0.3)
        assert "E" not in outcome(do(client, end))
        assert row(other.until("Z")) == [[b"1"]]
        assert pinned(proxy) == 0
        assert proxy.metric("pool_pins_total", reason=reason) == 1


@pytest.mark.parametrize("texts", [
    ["BEGIN", "CREATE TEMP TABLE mine (a int) ON COMMIT DROP", "INSERT INTO mine VALUES (1)", "COMMIT"],
    ["BEGIN", "CREATE TEMP TABLE mine (a int)", "ROLLBACK"],
    ["BEGIN; CREATE TEMP TABLE mine (a int) ON COMMIT DROP; COMMIT"],
    ["CREATE TEMP TABLE mine (a nonsense)"],
    ["PREPARE p AS SELEC"],
    ["PREPARE p AS SELECT * FROM nothing"],
    ["BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE c", "COMMIT"],
    ["SELECT pg_advisory_lock(7), pg_advisory_unlock(7)"],
])
def test_pin_without_a_cause(place, texts):
    proxy, name, _ = place
    with proxy.connect(name) as client, proxy.connect(name) as other:
        for text in texts:
            client.query(text)
        assert row(other.query("SELECT 1")) == [[b"1"]]
        assert pinned(proxy) == 0


def test_pin_stays_while_another_cause_is_there(place):
    proxy, name, _ = place
    with proxy.connect(name) as client:
        client.query("PREPARE p AS SELECT 1")
        client.query("PREPARE q AS SELECT 2")
        client.query("CREATE TEMP TABLE mine AS SELECT 3")
        client.query("DEALLOCATE p")
        assert row(client.query("EXECUTE q")) == [[b"2"]]
        client.query("DROP TABLE mine")
        wait_for(lambda: pinned(proxy) == 1, 10, "the end of one pin")
        assert pinned(proxy, reason="prepare") == 1
        # what is sent while the server is asked
        seen = client.send(query("DEALLOCATE q"), query("SELECT 4"), parse("", "SELECT 5"), bind("", ""), execute(),
                           sync(), query("SET search_path = nowhere")).until("Z", 4)
        assert row(seen) == [[b"4"], [b"5"]]
        assert row(client.query("SHOW search_path")) == [[b"nowhere"]]
        with proxy.connect(name) as other:
            assert row(other.query("SHOW search_path")) == [[b'"$user", public']]
    assert pinned(proxy) == 0


# Names

def error(messages):
    return next(m.fields()["M"] for m in messages if m.kind == "E")


def test_T59_an_error_tells_the_clients_own_name(place):
    proxy, name, _ = place
    with proxy.connect(name) as client:
        client.send(parse("one", SQL), parse("two", SQL), sync()).until("Z")
        for mine in "two", "one":
            assert error(client.send(parse(mine, "SELECT 1"), sync()).until("Z")) \
                == f'prepared statement "{mine}" already exists'
        for mine in "two", "one":
            seen = client.send(parse(mine, "SELECT 1"), sync(), parse("x", "SELEC"), sync()).until("Z", 2)
            assert error(seen) == f'prepared statement "{mine}" already exists'
        # a statement that somebody's code has taken away
        client.query("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$; BEGIN")
        client.query("CREATE TABLE pgrecall_1 (a int)")
        assert error(client.query("CREATE TABLE pgrecall_1 (a int)")) == 'relation "pgrecall_1" already exists'


def test_T62_a_lost_statement_is_prepared_again(place):
    """Code has taken it away without our knowing."""
    proxy, name, _ = place
    with proxy.connect(name) as client:
        client.query("LISTEN x")  # its own connection, so that nothing is reset
        client.send(parse("one", SQL), bind("", "one", [b"1"]), *PORTAL).until("Z")
        client.query("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$")
        seen = client.send(bind("", "one", [b"1"]), *PORTAL).until("Z")
        assert outcome(seen) == "2 T D C Z" and row(seen) == [[b"1", b"10"]]


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("extended", [False, True])
def test_T64_execute_of_a_protocol_statement(place, inside, extended):
    proxy, name, _ = place

    def do(sql):
        if extended:
            return client.send(parse("", sql), bind("", ""), describe("P"), execute(), sync()).until("Z")
        return client.query(sql)

    with proxy.connect(name) as client, proxy.connect(name) as other:
        client.send(parse("s", SQL, [23]), sync()).until("Z")
        if inside:
            client.query("BEGIN")
        for _ in range(2):
            assert row(do("EXECUTE s(2)")) == [[b"2", b"20"]]
            assert b"Scan" in row(do("EXPLAIN EXECUTE s(2)"))[0][0]
            assert row(client.send(bind("", "s", [b"1"]), *PORTAL).until("Z")) == [[b"1", b"10"]]
        assert row(do("EXPLAIN ANALYZE EXECUTE s(2)"))
        if inside:
            client.query("COMMIT")
        assert outcome(other.query("EXECUTE s(2)")) == "E26000 Z"  # the same connection
        client.query("DEALLOCATE s")
        assert outcome(do("EXECUTE s(2)")).endswith("E26000 Z")


# Limits

def test_T67_limits(pgrecall, empty_database):
    proxy = pgrecall(pgrecall={"max_prepared_statements": 2, "max_client_prepared_statements": 3, "workers": 1,
                               "default_pool_size": 1, "prepared_statements_memory": "1MB"})
    text = "SELECT %d -- " + "x" * 300_000
    with proxy.connect(empty_database.name) as client, proxy.connect(empty_database.name) as other:
        for n in range(3):
            assert outcome(client.send(parse(f"s{n}", f"SELECT {n}"), sync()).until("Z")) == "1 Z"
        assert outcome(client.send(parse("s3", "SELECT 3"), sync()).until("Z")) == "E53400 Z"
        # one connection has two of them; and in one batch (T-62)
        unit = [m for n in (0, 1, 2, 1, 0) for m in (bind("", f"s{n}"), execute())]
        for _ in range(3):
            assert row(client.send(*unit, sync()).until("Z")) == [[b"%d" % n] for n in (0, 1, 2, 1, 0)]
            for n in range(3):
                assert row(client.send(bind("", f"s{n}"), execute(), sync()).until("Z")) == [[b"%d" % n]]
        for n in range(3):
            assert outcome(other.send(parse(f"l{n}", text % n), sync()).until("Z")) == "1 Z"
        for name in "l3", "":
            assert outcome(other.send(parse(name, text % 3), sync()).until("Z")) == "E53200 Z"
        other.send(close("S", "l0"), sync()).until("Z")
        assert outcome(other.send(parse("l3", text % 3), sync()).until("Z")) == "1 Z"
        assert row(other.send(bind("", "l3"), execute(), sync()).until("Z")) == [[b"3"]]


def test_T63_statements_are_kept_for_the_next_client(place):
    """Who connects, asks and leaves finds what the one before it has prepared."""
    proxy, name, _ = place
    for n in range(5):
        with proxy.connect(name) as client:
            seen = client.send(parse(f"own{n}", SQL), bind("", f"own{n}", [b"1"]), *PORTAL).until("Z")
            assert outcome(seen) == "1 2 T D C Z"
    assert proxy.metric("prepared_statement_parses_total", side="server") == 1


@pytest.mark.parametrize("sql", ["EXECUTE a", "EXECUTE a(1)", "DEALLOCATE a"])
def test_a_statement_about_itself(place, sql):
    """Its own name is read again, under other settings or not at all, while it is bound."""
    proxy, name, _ = place
    with proxy.connect(name) as client:
        for portal in ("", "p"):
            client.send(parse("a", sql), sync(), bind(portal, "a"), execute(portal), sync()).until("Z", 2)
            client.send(close("S", "a"), sync()).until("Z")
        assert outcome(client.send(parse("a", "SELECT 1"), bind("", "a"), execute(), sync()).until("Z")) == "1 2 D C Z"


def test_unnamed_behind_one_that_failed(place):
    """The error of an earlier batch does not take what a later one has made."""
    proxy, name, _ = place
    with proxy.connect(name) as client:
        client.send(parse("", "SELEC"), sync(), parse("", "SELECT 1"), sync()).until("Z", 2)
        assert outcome(client.send(bind("", ""), execute(), sync()).until("Z")) == "2 D C Z"
        client.send(parse("", "SELEC"), sync(), parse("", "SELECT 1"), bind("", "none"), sync()).until("Z", 2)
        assert outcome(client.send(bind("", ""), execute(), sync()).until("Z")) == "2 D C Z"
