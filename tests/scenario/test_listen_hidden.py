# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""LISTEN where it is not seen (functions, DO, triggers, named portals): what is heard is what PostgreSQL tells."""

import struct

import pytest

import wire
from differential import difference
from servers import wait_for
from wire import bind, close, describe, execute, flush, message, parse, query, sync

SETUP = """
CREATE TABLE t (id int);
CREATE TABLE quiet (id int);
CREATE FUNCTION plain() RETURNS int LANGUAGE plpgsql AS 'BEGIN LISTEN a; RETURN 1; END';
CREATE FUNCTION sqlone() RETURNS void LANGUAGE sql AS 'LISTEN a';
CREATE FUNCTION built(what text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'LIS' || what; RETURN 1; END $$;
CREATE FUNCTION nested() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN plain(); END';
CREATE FUNCTION harmless() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION pulled() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'listen a'; RETURN new; END $$;
CREATE TRIGGER pulled BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION pulled();
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN LISTEN a; COMMIT; PERFORM 1 / 0; END $$;
CREATE PROCEDURE fails() LANGUAGE plpgsql AS $$ BEGIN LISTEN a; PERFORM 1 / 0; END $$;
"""


@pytest.fixture
def database(empty_database):
    empty_database.psql(SETUP)
    return empty_database


@pytest.fixture
def proxy(pgrecall, database):
    made = pgrecall(cache={"default": "on"})
    made.warm(database.name)
    return made


def pinned(proxy):
    return proxy.metric("pool_pinned_clients", reason="listen")


def ask(sql, *values):
    return parse("", sql), bind("", "", values), describe("P"), execute(), sync()


def function_call(database, name):
    number = int(database.psql(f"SELECT '{name}'::regproc::oid::int"))
    return message("F", struct.pack("!ihhh", number, 0, 0, 0))


def told(conn, database, channels="ab"):
    """What an idle client hears of one notification on each channel, and of one that is for everybody."""
    database.psql("".join(f"NOTIFY {name}, 'to {name}';" for name in channels))
    seen = conn.query("LISTEN last")
    conn.send(query("SELECT 1"))
    seen += conn.until("Z")
    database.psql("NOTIFY last")
    while not (seen[-1].kind == "A" and seen[-1].body[4:] == b"last\0\0"):
        seen.append(conn.receive())
    return sorted(m.body[4:] for m in seen if m.kind == "A")


def both(proxy, database, *steps):
    """Sends the steps to PostgreSQL and to the proxy: the answers, and then what is heard, must be equal."""
    sides = []
    for port in (database.server.port, proxy.port):
        conn = wire.Connection(port).start(database=database.name)
        answers = []
        for step in steps:
            messages = (query(step),) if isinstance(step, str) else step
            conn.send(*messages)
            answers.append(conn.until("Z", sum(m[:1] in (b"Q", b"S", b"F") for m in messages)))
        if port == proxy.port:
            wait_for(lambda: not asks(database))
        sides.append((conn, answers, told(conn, database)))
    found = difference(sides[0][1], sides[1][1])
    assert found is None, found
    assert sides[0][2] == sides[1][2]
    sides[0][0].close()
    return sides[1][0], sides[1][2]


def asks(database):
    """pgrecall is asking whether a connection listens."""
    return database.psql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                         "AND query LIKE '%pg_listening_channels%' AND pid <> pg_backend_pid()") != "0\n"


HEARD = [b"a\0to a\0", b"last\0\0"]


@pytest.mark.parametrize("statement", [
    "DO $$ BEGIN LISTEN a; END $$", "DO $$ BEGIN EXECUTE 'LIS' || 'TEN a'; END $$", "SELECT plain()", "SELECT sqlone()",
    "SELECT built('TEN a')", "SELECT nested()", "INSERT INTO t VALUES (1)", "CALL commits()",
    "SELECT 1; SELECT plain(); SELECT 2"])
@pytest.mark.parametrize("how", ["simple", "extended", "transaction"])
def test_it_is_heard(proxy, database, statement, how):
    if how == "transaction" and statement.startswith("CALL"):
        steps = ("BEGIN", "SELECT plain()", "ROLLBACK", statement)
    elif how == "transaction":
        steps = ("BEGIN", statement, "SELECT 5", "COMMIT")
    elif how == "extended" and ";" not in statement.split("$$")[0]:
        steps = (ask(statement),)
    else:
        steps = (statement,)
    conn, heard = both(proxy, database, *steps)
    assert heard == HEARD
    assert pinned(proxy) == 1
    # each once, also in a transaction and behind others' use of the pool
    with proxy.connect(database.name) as other:
        other.query("NOTIFY a, 'from other'")
    assert conn.until("A")[-1].body[4:] == b"a\0from other\0"
    # and it ends
    conn.query("UNLISTEN *")
    wait_for(lambda: pinned(proxy) == 0)
    assert told(conn, database) == [b"last\0\0"]
    conn.close()


def test_by_a_function_call(proxy, database):
    conn, heard = both(proxy, database, (function_call(database, "plain"),))
    assert heard == HEARD and pinned(proxy) == 1


@pytest.mark.parametrize("steps", [
    ("SELECT harmless()",), ("DO $$ BEGIN END $$",), ("BEGIN", "SELECT plain()", "ROLLBACK"), ("CALL fails()",),
    ("BEGIN", "SAVEPOINT s", "SELECT plain()", "ROLLBACK TO s", "COMMIT"), ("SELECT plain(), 1/0",),
    ("SELECT plain()", "SELECT built('TEN b')", "DO $$ BEGIN EXECUTE 'UNLISTEN *'; END $$"),
    ("SELECT plain()", "DISCARD ALL"), ("INSERT INTO quiet VALUES (1)",)])
def test_nothing_is_held_for_nothing(proxy, database, steps):
    _, heard = both(proxy, database, *steps)
    assert heard == [b"last\0\0"]
    wait_for(lambda: pinned(proxy) == 0)
    assert proxy.metric("pool_pins_total", reason="listen") <= 1


@pytest.mark.parametrize("steps, heard", [
    (("BEGIN", "LISTEN b", "SELECT plain()", "COMMIT"), "ab"), (("LISTEN b", "SELECT plain()"), "ab"),
    (("SELECT plain()", "LISTEN b"), "ab"), (("SELECT plain()", "LISTEN a"), "a"), (("LISTEN a", "SELECT plain()"), "a"),
    (("BEGIN", "LISTEN a", "SELECT plain()", "COMMIT", "UNLISTEN a"), "")])
def test_beside_one_that_is_seen(proxy, database, steps, heard):
    _, notes = both(proxy, database, *steps)
    assert [note[:1] for note in notes[:-1]] == [name.encode() for name in heard]


def test_when_the_server_does_not_say(proxy, database):
    """It may listen: the client keeps its connection."""
    database.psql("CREATE ROLE limited LOGIN; REVOKE EXECUTE ON FUNCTION pg_listening_channels() FROM public")
    try:
        with wire.Connection(proxy.port).start(user="limited", database=database.name) as conn:
            conn.query("SELECT plain()")
            wait_for(lambda: pinned(proxy) == 1)
            database.psql("NOTIFY a, 'x'")
            assert conn.until("A")[-1].body[4:] == b"a\0x\0"
            conn.query("DISCARD ALL")
            wait_for(lambda: pinned(proxy) == 0)
    finally:
        wait_for(lambda: proxy.metric("client_connections") == 0)
        proxy.stop()
        database.psql("DROP ROLE limited")


# Named portals

def portal(name, sql, *more):
    return (parse("", sql), bind(name, ""), execute(name), *more)


@pytest.mark.parametrize("steps, heard, pins", [
    ((portal("p", "LISTEN a", sync()),), "a", 0),
    (("LISTEN a", portal("p", "UNLISTEN a", sync())), "", 0),
    (("LISTEN a", "LISTEN b", portal("p", "UNLISTEN *", sync())), "", 0),
    (("BEGIN", portal("p", "LISTEN a", sync()), portal("q", "UNLISTEN a", sync()), "COMMIT"), "", 0),
    (("BEGIN", portal("p", "LISTEN a", close("P", "p"), sync()), portal("p", "LISTEN b", sync()), "COMMIT"), "ab", 0),
    (("LISTEN a", "BEGIN", portal("p", "UNLISTEN a", sync()), "ROLLBACK"), "a", 0),
    (("LISTEN a", "SET work_mem = '5MB'", portal("p", "DISCARD ALL", sync()), "SHOW work_mem"), "", 0),
    (("LISTEN a", "BEGIN", portal("p", "DISCARD ALL", sync()), "ROLLBACK"), "a", 0),
    (("LISTEN a", (parse("", "DISCARD ALL"), bind("p", ""), sync())), "a", 0),
    (("LISTEN a", (parse("", "UNLISTEN a"), bind("p", ""), sync())), "a", 0),
    (("BEGIN", (parse("l", "LISTEN a"), bind("p", "l"), parse("u", "LISTEN b"), bind("q", "u"), execute("q"), sync()),
      (execute("p"), sync()), "COMMIT"), "ab", 0),
    # an error keeps the old one
    (("BEGIN", "SAVEPOINT s", (parse("", "LISTEN a"), bind("p", ""), sync()), "SAVEPOINT s2",
      (parse("", "LISTEN b"), bind("p", ""), execute("p"), sync()), "ROLLBACK TO s2", (execute("p"), sync()), "COMMIT"), "a", 1),
    # the old one has ended before we know
    ((("BEGIN",), portal("p", "LISTEN a", sync()), ("COMMIT", "BEGIN"), portal("p", "LISTEN b", sync()), ("COMMIT",)), "ab", 1),
    ((portal("p", "LISTEN a", sync(), *portal("p", "SELECT 1"), sync()),), "a", 0),
    (("BEGIN", *(portal(f"p{i}", f"LISTEN c{i}", sync()) for i in range(70)), portal("p", "LISTEN a", sync()), "COMMIT"), "a", 1),
])
def test_named_portals(proxy, database, steps, heard, pins):
    flat = tuple(step if isinstance(step, str) or isinstance(step[0], bytes) else None for step in steps)
    if None in flat:  # all of it at once
        flat = (tuple(m for step in steps for m in (step if isinstance(step[0], bytes) else map(query, step))),)
    _, notes = both(proxy, database, *flat)
    assert [note[:1] for note in notes[:-1]] == [name.encode() for name in heard]
    assert proxy.metric("pool_pins_total", reason="listen") == pins


# Behind a statement that DDL has outdated (proxy/server_again.h)

@pytest.mark.parametrize("end, heard", [((), "a"), (ask("SELECT 1 / 0")[:-1], "")])
@pytest.mark.parametrize("flushed", [False, True])
def test_in_a_batch_that_is_sent_again(pgrecall, database, end, heard, flushed):
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "workers": 1}, cache={"enabled": "off"})
    with proxy.connect(database.name) as conn:
        conn.query("LISTEN b")
        conn.send(parse("old", "SELECT * FROM quiet"), bind("", "old"), execute(), sync()).until("Z")
        database.psql("ALTER TABLE quiet ADD COLUMN more int")
        begin = (bind("", "old"), describe("P"), execute())
        if flushed:
            conn.send(*begin, flush())
            assert conn.until("C")[-1].kind == "C"
            begin = ()
        conn.send(*begin, parse("", "LISTEN a"), bind("", ""), execute(), *end, sync())
        assert ("E" in conn.types(conn.until("Z"))) == bool(end)
        assert proxy.metric("prepared_statement_repairs_total") == 1
        assert [note[:1].decode() for note in told(conn, database)[:-1]] == [*heard, "b"]
