# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Settings of a session, when clients take turns on one server connection (T-26 to T-36)."""

import pytest

import wire
from servers import wait_for
from differential import difference, run, step
from wire import bind, execute, parse, query, sync

TOKYO = {"TimeZone": "Asia/Tokyo", "application_name": "tokyo"}

# Start-up parameters, and what is asked then; compared with PostgreSQL's answers.
SCRIPTS = {
    "T26 login": ({}, [step(query("SHOW TimeZone; SHOW application_name; SHOW DateStyle"))]),
    "T26 login with settings": (
        {**TOKYO, "DateStyle": "SQL", "client_encoding": "latin1", "extra_float_digits": "0"},
        [step(query("SELECT 1")), step(query("SHOW TimeZone; SHOW application_name; SHOW DateStyle")),
         step(query("SHOW client_encoding; SHOW extra_float_digits; SELECT '2026-02-01'::date, chr(233)"))]),
    "T28 odd values": (
        {"application_name": "it's \\ \"odd\"; %20+", "search_path": "a,\"B c\", public"},
        [step(query("SELECT 1")), step(query("SHOW application_name; SHOW search_path")),
         step(query("SET application_name = ''")), step(query("SHOW application_name"))]),
    "T30 not reported": (
        {"enable_seqscan": "off", "work_mem": "5MB", "geqo": "off", "statement_timeout": "60s"},
        [step(query("SHOW enable_seqscan; SHOW work_mem; SHOW geqo; SHOW statement_timeout"))]),
    "T32 reset": (
        {**TOKYO, "work_mem": "5MB"},
        [step(query("SHOW TimeZone; SHOW work_mem")), step(query("SET work_mem = '6MB'")), step(query("RESET work_mem")),
         step(query("SHOW work_mem")), step(query("SET work_mem = '6MB'")), step(query("RESET ALL")),
         step(query("SHOW work_mem")), step(query("SET work_mem TO DEFAULT")), step(query("SHOW work_mem")),
         step(query("DISCARD ALL")), step(query("SHOW work_mem; SHOW application_name"))]),
    "T32 reset in a transaction": (
        {"work_mem": "5MB"},
        [step(query("BEGIN")), step(query("SET work_mem = '6MB'")), step(query("RESET work_mem")),
         step(query("SHOW work_mem")), step(query("COMMIT")), step(query("SHOW work_mem")),
         step(query("BEGIN")), step(query("RESET ALL")), step(query("SHOW work_mem")), step(query("ROLLBACK")),
         step(parse("", "BEGIN"), bind("", ""), execute(), sync()),
         step(parse("", "RESET work_mem"), bind("", ""), execute(), sync()), step(query("SHOW work_mem")),
         step(query("SELECT 1/0")), step(query("RESET ALL")), step(query("ROLLBACK")), step(query("SHOW work_mem"))]),
    "T29 outcome of the transaction": (
        {"work_mem": "5MB"},
        [step(query("SELECT 1")), step(query("BEGIN; SET work_mem = '6MB'; COMMIT")), step(query("SHOW work_mem")),
         step(query("BEGIN")), step(query("SET work_mem = '7MB'")), step(query("ROLLBACK")), step(query("SHOW work_mem")),
         step(query("BEGIN")), step(query("SET LOCAL work_mem = '8MB'")), step(query("SHOW work_mem")), step(query("COMMIT")),
         step(query("SHOW work_mem")), step(query("BEGIN")), step(query("SELECT 1")), step(query("SET work_mem = '9MB'")),
         step(query("SELECT 1/0")), step(query("COMMIT")), step(query("SHOW work_mem")),
         step(query("/* first */ SET work_mem = '10MB'; -- and\n SET geqo = off")), step(query("SHOW work_mem; SHOW geqo")),
         step(query("SET work_mem = '11MB'; SELECT 1/0")), step(query("SHOW work_mem")),
         step(query("SELECT set_config('work_mem', '12MB', false)")), step(query("SHOW work_mem"))]),
    "T29 savepoints": (
        {},
        [step(query("BEGIN")), step(query("SET work_mem = '6MB'")), step(query("SAVEPOINT a")),
         step(query("SET work_mem = '7MB'")), step(query("SAVEPOINT b")), step(query("SET geqo = off")),
         step(query("ROLLBACK TO a")), step(query("SHOW work_mem; SHOW geqo")), step(query("COMMIT")),
         step(query("SHOW work_mem; SHOW geqo")),
         step(query("BEGIN")), step(query("SAVEPOINT a")), step(query("SET work_mem = '8MB'")), step(query("SELECT 1/0")),
         step(query("SET work_mem = '9MB'")), step(query("ROLLBACK TO a")), step(query("COMMIT")), step(query("SHOW work_mem")),
         step(query("BEGIN")), step(query("SAVEPOINT a")), step(query("SET work_mem = '10MB'")), step(query("SAVEPOINT a")),
         step(query("SET work_mem = '11MB'")), step(query("RELEASE a")), step(query("ROLLBACK TO a")),
         step(query("SHOW work_mem")), step(query("COMMIT")), step(query("SHOW work_mem")),
         step(query("BEGIN")), step(parse("", "SAVEPOINT a"), bind("", ""), execute(), sync()),
         step(parse("", "SET work_mem = '12MB'"), bind("", ""), execute(), sync()), step(query("SAVEPOINT a")),
         step(query("SELECT 1/0")), step(query("SAVEPOINT a")), step(query("ROLLBACK TO a")), step(query("COMMIT")),
         step(query("SHOW work_mem"))]),
    "T29 other ways to set": (
        {},
        [step(query("SELECT 1")), step(query("SET TIME ZONE 'Asia/Tokyo'")), step(query("SHOW TimeZone")), step(query("SET NAMES 'latin1'")),
         step(query("SHOW client_encoding")), step(query("RESET client_encoding")), step(query("SET TIME ZONE LOCAL")),
         step(query("SHOW TimeZone")), step(query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")),
         step(query("SHOW transaction_isolation")), step(query("BEGIN")),
         step(query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")), step(query("SHOW transaction_isolation")),
         step(query("COMMIT")), step(query("SHOW transaction_isolation")),
         step(query("CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql SET work_mem = '9MB' AS "
                    "'SELECT current_setting(''work_mem'')'; SELECT pg_temp.f(); DROP FUNCTION pg_temp.f()")),
         step(query("SHOW work_mem"))]),
    "T33 options": (
        {"options": "-c work_mem=5MB -cgeqo=off --enable-seqscan=off --application_name=x\\ y\\\\z"},
        [step(query("SHOW work_mem; SHOW geqo; SHOW enable_seqscan; SHOW application_name"))]),
    "T34 drivers": (
        {"extra_float_digits": "3", "DateStyle": "ISO", "TimeZone": "Europe/Paris", "client_encoding": "UTF8"},
        [step(query("SELECT 1")), step(query("SHOW extra_float_digits; SHOW DateStyle; SHOW TimeZone; SELECT 0.1::float4"))]),
}


def other_client(port, name):
    """A client with settings of its own takes its turn and leaves them behind."""
    with wire.Connection(port).start(database=name, TimeZone="Australia/Perth", work_mem="7MB") as other:
        assert other.types(other.query("SET DateStyle = 'German'; SHOW work_mem"))[-1] == "Z"
        assert other.types(other.query("SELECT set_config('search_path', 'nowhere', false)")) == "TDCZ"


def welcome(parameters):
    """What a client is told at login, as far as it is not about the connection."""
    return {k: v for k, v in parameters.items() if k != "in_hot_standby"}


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda name: name.replace(" ", "_"))
def test_settings(pgrecall, empty_database, script, mode):
    """As PostgreSQL answers, also when another client has used the connection meanwhile."""
    startup, steps = SCRIPTS[script]
    proxy = pgrecall(pgrecall={"pool_mode": mode, "default_pool_size": 1}, cache={"default": "on"})
    name = empty_database.name
    with wire.Connection(empty_database.server.port).start(database=name, **startup) as direct:
        want = run(direct, steps)
    other_client(proxy.port, name)
    for way in ("packets", "bytes"):
        with wire.Connection(proxy.port, timeout=8).start(database=name, **startup) as conn:
            got = []
            for one in steps:
                got += run(conn, [one], way == "bytes")
                if mode == "transaction" and got[-1][-1].body == b"I":
                    other_client(proxy.port, name)
            told = [m for m in got[0] if m.kind == "S"]
            got[0] = [m for m in got[0] if m.kind != "S"]
            for m in told:  # the canonical form, told with the first answer
                key, value = m.body[:-1].decode().split("\0")
                conn.parameters[key] = value
            found = difference(want, got)
            assert found is None, f"{way}: {found}"
            assert welcome(conn.parameters) == welcome(direct.parameters)


def test_T27_settings_are_not_told_again(pgrecall, empty_database):
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    one = proxy.connect(empty_database.name, TimeZone="Asia/Tokyo")
    two = proxy.connect(empty_database.name, TimeZone="Europe/Paris")
    for _ in range(3):
        for conn, zone in ((one, b"Asia/Tokyo"), (two, b"Europe/Paris")):
            answer = conn.query("SHOW TimeZone")
            assert [m.kind for m in answer] == ["T", "D", "C", "Z"]
            assert answer[1].values() == [zone]


def test_T27_a_connection_with_the_same_settings_is_preferred(pgrecall, empty_database):
    """Clients with settings of their own find the connections that have them already."""
    proxy = pgrecall(pgrecall={"default_pool_size": 3, "workers": 1}, cache={"enabled": "off"})
    name = empty_database.name
    empty_database.psql(f"ALTER DATABASE {name} SET log_statement = 'all'")
    conns = [proxy.connect(name, TimeZone=zone) for zone in ("Asia/Tokyo", "Europe/Paris", "UTC")]
    for conn in conns:
        conn.query("BEGIN")  # each has a connection
    for conn in conns:
        conn.query("COMMIT")
    before = empty_database.server.log().count("set_config('timezone'")
    for conn in conns * 5:
        conn.query("SELECT 1")
    assert empty_database.server.log().count("set_config('timezone'") == before
    for conn in conns:
        conn.close()


def test_T28_equal_values_need_no_set(pgrecall, empty_database):
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    empty_database.psql(f"ALTER DATABASE {empty_database.name} SET log_statement = 'all'")
    before = len(empty_database.server.log())
    conns = [proxy.connect(empty_database.name, DateStyle=style, client_encoding=encoding)
             for style, encoding in (("ISO", "utf8"), ("ISO, MDY", "UTF-8"), ("iso", "UTF8"))]
    for conn in conns * 3:
        conn.query("SELECT 'no set between these'")
    log = empty_database.server.log()[before:]
    assert log.count("statement: SELECT 'no set between these'") == 9
    assert "set_config('datestyle'" not in log and "set_config('client_encoding'" not in log


@pytest.mark.parametrize("poison", [
    "SELECT set_config('search_path', '', false)", "SET default_transaction_read_only = on", "SET ROLE pg_monitor",
    "SET SESSION AUTHORIZATION pg_monitor", "SET enable_seqscan = off; SET my.own = 'x'", "SET SESSION CHARACTERISTICS "
    "AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "DO $$ BEGIN PERFORM set_config('search_path', '', false); END $$",
    "CREATE TEMP TABLE leftover (a int)", "PREPARE leftover AS SELECT 1", "LISTEN leftover",
    "DECLARE leftover CURSOR WITH HOLD FOR SELECT 1", "SELECT pg_advisory_lock(7)", "BEGIN; SET search_path = ''",
    "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0"])
def test_T31_next_client_sees_defaults(pgrecall, empty_database, poison):
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    state = ("SELECT current_setting('search_path'), current_setting('default_transaction_read_only'), current_user, "
             "session_user, current_setting('enable_seqscan'), current_setting('default_transaction_isolation'), "
             "coalesce(current_setting('my.own', true), ''), to_regclass('leftover')::text, "
             "(SELECT count(*) FROM pg_prepared_statements WHERE name = 'leftover'), "
             "(SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_cursors WHERE name = 'leftover'), "
             "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')")
    with proxy.connect(empty_database.name) as before:
        clean = before.query(state)[1].values()
    with proxy.connect(empty_database.name) as client:
        assert "E" not in client.types(client.query(poison)), poison
    with proxy.connect(empty_database.name) as after:
        assert after.query(state)[1].values() == clean


def test_T29_savepoints_keep_the_pool(pgrecall, empty_database):
    """What ROLLBACK TO takes back is known, so that nobody keeps a connection for it."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "pool_mode": "transaction"})
    with proxy.connect(empty_database.name) as client, proxy.connect(empty_database.name) as other:
        for sql in ("BEGIN", "SAVEPOINT a", "SET work_mem = '6MB'", "ROLLBACK TO a", "SET geqo = off", "COMMIT"):
            client.query(sql)
        assert other.query("SHOW geqo")[1].values() == [b"on"]
        assert client.query("SHOW geqo")[1].values() == [b"off"]
        assert client.query("SHOW work_mem")[1].values() == [b"4MB"]
        # sent at once: which savepoint there is cannot be known, and the connection stays
        client.send(*[query(s) for s in ("BEGIN", "SAVEPOINT a", "SET work_mem = '7MB'", "ROLLBACK TO a", "COMMIT")])
        client.until("Z", 5)
        assert client.query("SHOW work_mem")[1].values() == [b"4MB"]
        assert proxy.metric("pool_pinned_clients", reason="setting") == 1


def test_T35_messages_of_ours_in_any_encoding(pgrecall, empty_database):
    """They are ASCII, and what is cached in one encoding is not told in another."""
    proxy = pgrecall(pgrecall={"max_client_prepared_statements": 1}, cache={"default": "on"})
    empty_database.psql("CREATE TABLE t (v text); INSERT INTO t VALUES ('caf' || chr(233))")
    proxy.warm(empty_database.name)
    want = {"UTF8": "caf\u00e9".encode(), "LATIN1": "caf\u00e9".encode("latin1"), "WIN1252": "caf\u00e9".encode("cp1252")}
    for encoding, value in list(want.items()) * 2:
        with proxy.connect(empty_database.name, client_encoding=encoding) as client:
            assert client.query("SELECT v FROM t")[1].values() == [value]
            assert client.query("SELECT v FROM t")[1].values() == [value]
            client.send(parse("a", "SELECT 1"), parse("b", "SELECT 2"), sync())
            error = next(m for m in client.until("Z") if m.kind == "E")
            assert error.sqlstate() == "53400" and error.body.isascii()


def test_T36_the_welcome_is_the_servers_of_now(pgrecall, own_postgres):
    """Other values after a restart of the server."""
    proxy = pgrecall(server=own_postgres)
    with proxy.connect("sample") as client:
        assert client.parameters["TimeZone"] != "Asia/Kolkata"
        client.query("SELECT 1")
    own_postgres.stop("fast")
    own_postgres.settings = [*own_postgres.settings, "timezone = 'Asia/Kolkata'"]
    own_postgres.start()

    def told():
        with proxy.connect("sample") as client:
            client.query("SELECT 1")
            return client.parameters["TimeZone"]
    wait_for(lambda: told() == "Asia/Kolkata", 20, "the new value")
    with proxy.connect("sample") as client:
        assert client.query("SHOW TimeZone")[1].values() == [b"Asia/Kolkata"]
