# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Settings of a session, when clients take turns on one server connection (T-26 to T-34)."""

import pytest

import wire
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


def test_T28_equal_values_need_no_set(pgrecall, empty_database):
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    empty_database.psql(f"ALTER DATABASE {empty_database.name} SET log_statement = 'all'")
    conns = [proxy.connect(empty_database.name, DateStyle=style, client_encoding=encoding)
             for style, encoding in (("ISO", "utf8"), ("ISO, MDY", "UTF-8"), ("iso", "UTF8"))]
    for conn in conns * 3:
        conn.query("SELECT 'no set between these'")
    log = empty_database.server.log()
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
