# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""What a session has besides its settings: a backend, an identity, temporary objects."""

import time

import pytest

import wire
from differential import difference, run, step
from servers import wait_for
from wire import bind, describe, execute, parse, query, sync

PID_MAX = 1 << 22  # of any Linux


def values(conn, sql):
    """The first column of the rows; an error is raised."""
    seen = conn.query(sql)
    for m in seen:
        if m.kind == "E":
            raise wire.ServerError(m)
    return [m.values()[0].decode() for m in seen if m.kind == "D"]


def value(conn, sql):
    return values(conn, sql)[0]


def cancel(proxy, conn):
    with wire.Connection(proxy.port) as other:
        other.send(wire.cancel_request(conn.pid, conn.key)).rest()


# The backend

def test_session_mode_tells_the_true_backend(pgrecall, database):
    proxy = pgrecall(pgrecall={"pool_mode": "session"})
    with proxy.connect(database.name) as one, proxy.connect(database.name) as two:
        assert one.pid == int(value(one, "SELECT pg_backend_pid()"))
        assert two.pid == int(value(two, "SELECT pg_backend_pid()"))
        assert value(two, f"SELECT count(*) FROM pg_stat_activity WHERE pid = {one.pid}") == "1"


def test_transaction_mode_tells_no_process_of_the_server(pgrecall, database):
    """pg_terminate_backend() of it must not hit somebody else."""
    proxy = pgrecall(pgrecall={"pool_mode": "transaction"})
    with proxy.connect(database.name) as client:
        assert client.pid > PID_MAX
        assert value(client, f"SELECT pg_terminate_backend({client.pid})") == "f"


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_cancel_reaches_only_its_own_query(pgrecall, database, mode):
    proxy = pgrecall(pgrecall={"pool_mode": mode})
    with proxy.connect(database.name) as one, proxy.connect(database.name) as two:
        one.send(wire.query("SELECT pg_sleep(20)"))
        two.send(wire.query("SELECT pg_sleep(1)"))
        time.sleep(0.3)
        with wire.Connection(proxy.port) as other:  # the one's id with the other's key
            other.send(wire.cancel_request(one.pid, two.key)).rest()
        assert one.silent(0.3)
        cancel(proxy, one)
        assert [m.sqlstate() for m in one.until("Z") if m.kind == "E"] == ["57014"]
        assert wire.Connection.types(two.until("Z")) == "TDCZ"


def test_session_mode_waits_at_login(pgrecall, database):
    proxy = pgrecall(pgrecall={"pool_mode": "session", "default_pool_size": 1})
    with proxy.connect(database.name), wire.Connection(proxy.port) as second:
        second.send(wire.startup(user="postgres", database=database.name))
        assert second.silent(0.5)
        wait_for(lambda: proxy.metric("pool_waiting_clients") == 1, 5, "a waiting client")
    with proxy.connect(database.name) as third:
        assert value(third, "SELECT 1") == "1"


def test_session_mode_waits_at_login_no_longer_than_it_may(pgrecall, database):
    proxy = pgrecall(pgrecall={"pool_mode": "session", "default_pool_size": 1,
                               "query_wait_timeout": "1s"})
    with proxy.connect(database.name) as first:
        begun = time.monotonic()
        with pytest.raises(wire.ServerError) as refused:
            proxy.connect(database.name)
        assert refused.value.sqlstate == "53300"
        assert time.monotonic() - begun < 5
        assert value(first, "SELECT 1") == "1"


# The identity

@pytest.fixture
def moved(pgrecall, database):
    """Calls a function between the statements of a client so that they run on different
    server connections, which know nothing of each other."""
    proxy = pgrecall(pgrecall={"pool_mode": "transaction", "workers": 1},
                     cache={"enabled": "off"})
    database.psql("DROP ROLE IF EXISTS state_a; DROP ROLE IF EXISTS state_b;"
                  "CREATE ROLE state_a; CREATE ROLE state_b")
    holders = []

    def move():
        holder = proxy.connect(database.name)
        holder.query("BEGIN")
        holder.query("SELECT 1")  # has the connection that was free until now
        holders.append(holder)
        return holder

    with proxy.connect(database.name) as client:
        yield client, move
    for holder in holders:
        holder.close()
    database.psql("DROP ROLE state_a; DROP ROLE state_b")


def test_settings_are_set_before_the_user(moved):
    """lo_compat_privileges may be set by a superuser only."""
    client, move = moved
    value(client, "SHOW lo_compat_privileges")
    client.query("SET lo_compat_privileges = on")
    client.query("SET SESSION AUTHORIZATION state_a")
    for _ in range(2):
        move()
        assert value(client, "SHOW lo_compat_privileges") == "on"
        assert value(client, "SELECT current_user") == "state_a"


def test_settings_are_reset_before_the_user(moved):
    """The same where the server connection comes from somebody who was not a superuser."""
    client, move = moved
    client.query("SET track_functions = 'all'; SET lo_compat_privileges = on;"
                 "SET SESSION AUTHORIZATION state_a")
    holder = move()  # has the client's connection now
    assert value(holder, "SHOW track_functions") == "none"
    assert value(holder, "SHOW lo_compat_privileges") == "off"
    assert value(holder, "SELECT current_user") == "postgres"


def test_another_user_has_no_role(moved):
    client, move = moved
    client.query("SET ROLE state_b")
    client.query("SET SESSION AUTHORIZATION state_a")
    assert value(client, "SELECT current_user") == "state_a"
    move()
    assert value(client, "SELECT current_user || ' ' || session_user") == "state_a state_a"


# Temporary objects

@pytest.mark.parametrize("make, use", [
    ("CREATE FUNCTION pg_temp.seven() RETURNS int LANGUAGE sql AS 'SELECT 7'",
     "SELECT pg_temp.seven()"),
    ("CREATE TYPE pg_temp.seven AS ENUM ('7')", "SELECT '7'::pg_temp.seven"),
    ("CREATE DOMAIN pg_temp.seven AS int", "SELECT 7::pg_temp.seven"),
])
def test_temporary_objects_stay_with_their_client(moved, make, use):
    client, move = moved
    client.query(make)
    move()
    assert value(client, use) == "7"


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_table_hidden_behind_our_back(pgrecall, database, mode):
    """Code that we cannot read makes a temporary table: its session must see that one,
    whatever is cached of the table it hides."""
    proxy = pgrecall(pgrecall={"pool_mode": mode}, cache={"default": "on"})
    sql = "SELECT name FROM channels WHERE id = 3"
    with proxy.connect(database.name) as one, proxy.connect(database.name) as two:
        def is_cached():
            before = proxy.metric("queries_total", route="l1_hit")
            assert len(values(two, sql)) == 1
            return proxy.metric("queries_total", route="l1_hit") > before

        one.query("SELECT pg_advisory_lock(4)")  # keeps its connection in transaction mode, too
        wait_for(is_cached, 10, "a hit")
        one.query("DO $$ BEGIN CREATE TEMP TABLE channels (id int, name text); END $$")
        wait_for(is_cached, 10, "a hit")
        assert values(one, sql) == []
        one.query("DISCARD ALL")
        assert len(values(one, sql)) == 1


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("leave", ["DISCARD ALL", "ROLLBACK"])
@pytest.mark.parametrize("make, is_used_again", [
    ("CREATE TEMP TABLE passing (id int)", False),
    ("CREATE FUNCTION pg_temp.seven() RETURNS int LANGUAGE sql AS 'SELECT 7'", False),
    ("LOAD 'auto_explain'", False),
    ("DO $$ BEGIN PERFORM 1; END $$", True),
    ("SET work_mem = '5MB'", True),
])
def test_what_stays_in_a_backend_ends_with_its_client(pgrecall, database, mode, leave, make,
                                                      is_used_again):
    """A library cannot be unloaded, and a backend keeps the temporary schema that it has
    made: such a server connection is closed, any other is used again.  In transaction mode
    a client that cleans up gives its connection back, as after ON COMMIT DROP."""
    proxy = pgrecall(pgrecall={"pool_mode": mode, "default_pool_size": 1})
    with proxy.connect(database.name) as one:
        one.query("BEGIN")
        backend = value(one, "SELECT pg_backend_pid()")
        one.query(make)
        one.query("COMMIT")
        one.query(leave)
    with proxy.connect(database.name) as two:
        cleans_up = mode == "transaction" and leave == "DISCARD ALL" and "LOAD" not in make
        is_same = value(two, "SELECT pg_backend_pid()") == backend
        assert is_same == (is_used_again or cleans_up)


# Sequences

UNDEFINED = "55000"  # currval is not yet defined in this session
ASK = ("SELECT lastval()", "SELECT currval('numbers')", "SELECT my_last()")


@pytest.fixture
def sequences(pgrecall, database):
    """Makes clients of one server connection, and a sequence and what uses it."""
    database.psql("CREATE SEQUENCE numbers; CREATE SEQUENCE others START 900;"
                  "CREATE TABLE numbered (id int DEFAULT nextval('numbers'), t text);"
                  "CREATE FUNCTION my_last() RETURNS bigint LANGUAGE plpgsql"
                  " AS 'BEGIN RETURN lastval(); END'")
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "workers": 1})
    proxy.warm(database.name)
    open_ones = []

    def client():
        open_ones.append(proxy.connect(database.name))
        return open_ones[-1]

    yield client
    for conn in open_ones:
        conn.close()


def extended(sql):
    return wire.parse("", sql), wire.bind("", ""), wire.describe("P"), wire.execute(), wire.sync()


def asked(conn, sql, is_extended):
    """The value, or the SQLSTATE of the error."""
    conn.send(*extended(sql) if is_extended else (wire.query(sql),))
    seen = conn.until("Z")
    for m in seen:
        if m.kind == "E":
            return m.sqlstate()
    return next(m.values()[0].decode() for m in seen if m.kind == "D")


@pytest.mark.parametrize("how", ["simple", "extended", "in a transaction"])
@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize("use", ["SELECT nextval('numbers')", "INSERT INTO numbered VALUES (DEFAULT, 'a')"])
def test_the_sequences_of_others_are_not_told(sequences, use, ask, how):
    one, two = sequences(), sequences()
    for _ in range(2):  # nobody has asked yet; somebody has
        one.query(use)
        if how == "in a transaction":
            two.query("BEGIN")
        assert asked(two, ask, how != "simple") == UNDEFINED
        two.query("ROLLBACK")


@pytest.mark.parametrize("is_extended", [False, True])
@pytest.mark.parametrize("ask", ASK)
def test_a_transaction_knows_its_own_sequences(sequences, ask, is_extended):
    one, two = sequences(), sequences()
    for n in (2, 4, 6):
        one.query("INSERT INTO numbered VALUES (DEFAULT, 'a')")
        two.query("BEGIN")
        two.query("INSERT INTO numbered VALUES (DEFAULT, 'b')")
        assert asked(two, ask, is_extended) == str(n)
        two.query("COMMIT")


def test_where_somebody_asks_a_transaction_begins_without_sequences(sequences):
    """A client that uses one sequence and asks for another, which only others have used."""
    one, two = sequences(), sequences()
    assert asked(two, "SELECT lastval()", False) == UNDEFINED
    for _ in range(2):
        one.query("SELECT nextval('numbers')")
        two.query("BEGIN")
        two.query("SELECT nextval('others')")
        assert asked(two, "SELECT currval('numbers')", False) == UNDEFINED
        two.query("ROLLBACK")


def test_a_lone_client_keeps_its_sequences(sequences):
    one = sequences()
    for n in range(1, 4):
        one.query("INSERT INTO numbered VALUES (DEFAULT, 'a')")
        assert asked(one, "SELECT lastval()", False) == str(n)
        assert asked(one, "SELECT currval('numbers')", True) == str(n)


def test_a_pin_that_comes_behind_the_question(pgrecall, database):
    """The end of one temporary object is asked about while the next is being made."""
    proxy = pgrecall(pgrecall={"workers": 1})
    with proxy.connect(database.name) as one, proxy.connect(database.name) as two:
        one.query("CREATE TEMP VIEW v AS SELECT 7")
        for _ in range(40):
            one.query("DROP VIEW v")
            one.query("CREATE TEMP VIEW v AS SELECT 7")
            two.query("BEGIN")  # takes the connection, if it was given back
            assert value(one, "SELECT * FROM v") == "7"
            two.query("ROLLBACK")


def test_a_check_of_an_idle_connection_takes_nobodys_settings(pgrecall, database):
    """What a client has set is not what others begin with, also when the connection is asked
    after a while whether it still works."""
    proxy = pgrecall(pgrecall={"server_check_delay": "5ms", "workers": 1})
    pids = set()
    for zone in (b"Asia/Tokyo", b"UTC", b"Asia/Tokyo"):
        with proxy.connect(database.name) as conn:
            if zone != b"UTC":
                conn.query(f"SET TimeZone = '{zone.decode()}'")
            row = conn.query("SELECT current_setting('TimeZone'), pg_backend_pid()")[1].values()
            assert row[0] == zone
            pids.add(row[1])
        time.sleep(0.05)  # longer than server_check_delay
    assert len(pids) == 1


# Custom settings that another client has left on the server connection

CUSTOM_STEPS = {
    "simple": (query("SHOW my.x"),),
    "extended": (parse("", "SHOW my.x"), bind("", ""), describe("P"), execute(), sync()),
    "named": (parse("s", "SHOW my.x"), bind("", "s"), describe("P"), execute(), sync()),
    "again": (bind("", "s"), execute(), sync()),
    "parse": (parse("s", "show my.x"), sync(), describe("S", "s"), sync(), parse("", "SELECT 1"), sync(),
              parse("", "SHOW my.x"), sync(), bind("", ""), execute(), sync()),
    "transaction": (query("BEGIN"), query("SHOW my.none"), query("SHOW my.x"), query("ROLLBACK")),
    "first of a transaction": (query("BEGIN"), query("SHOW my.given"), query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
                               query("SHOW transaction_isolation"), query("COMMIT")),
    "other": (query("SHOW my.given"), query("SHOW plpgsql.variable_conflict"), query("SHOW My.x")),
    "own": (query("SET my.y = 'z'"), query("SHOW my.x"), query("SHOW my.y"), query("RESET my.y"), query("SHOW my.y")),
    "local": (query("BEGIN"), query("SET LOCAL my.x = 'q'"), query("SHOW my.x"), query("COMMIT"), query("SHOW my.x")),
}


def test_show_of_a_custom_setting(pgrecall, empty_database):
    """What others have set is unknown, as in PostgreSQL; what the database or an extension has is shown."""
    database = empty_database
    database.psql(f"ALTER DATABASE {database.name} SET my.given = 'given'")
    proxy = pgrecall(pgrecall={"pool_mode": "transaction", "default_pool_size": 1, "min_pool_size": 0})
    with proxy.connect(database.name) as other, proxy.connect(database.name) as pooled, \
            wire.Connection(database.server.port).start(database=database.name) as direct:
        other.query("SET my.x = 'others'; SET my.given = 'others'; SET plpgsql.variable_conflict = 'use_column'")
        for name, messages in CUSTOM_STEPS.items():
            answers = []
            for conn in (direct, pooled):
                other.query("SELECT 1")
                answers.append([])
                for group in split_groups(messages):
                    conn.send(*group)
                    answers[-1].append(conn.until("Z"))
            found = difference(*answers)
            assert found is None, f"{name}: {found}"
        assert other.query("SHOW my.x")[1].values() == [b"others"]


SHOW_BEHIND = {
    "begin": (query("BEGIN"), query("SHOW my.unknown"), query("SELECT 1"), query("ROLLBACK"), query("SHOW my.unknown")),
    "commit": (query("BEGIN"), query("SELECT 1"), query("COMMIT"), query("SHOW my.unknown"), query("SELECT 1")),
    "setting": (query("BEGIN; SET DateStyle = 'German'; COMMIT"), query("SHOW my.unknown")),
    "failed": (query("BEGIN"), query("SELECT 1/0"), query("SHOW my.unknown"), query("ROLLBACK"), query("SHOW my.unknown")),
    "parse": (parse("", "BEGIN"), bind("", ""), execute(), sync(), parse("", "SHOW my.unknown"), bind("", ""), execute(), sync(),
              parse("", "ROLLBACK"), bind("", ""), execute(), sync(), parse("s", "SHOW my.unknown"), sync(), query("SELECT 1")),
    "settings of its own": (query("SET work_mem = '7MB'"), query("SHOW my.unknown"), query("RESET work_mem"), query("SHOW my.unknown"),
                            query("SHOW work_mem")),
}


@pytest.mark.parametrize("way", ["packets", "bytes"])
@pytest.mark.parametrize("script", SHOW_BEHIND, ids=lambda name: name.replace(" ", "_"))
def test_show_of_a_custom_setting_behind_others(pgrecall, empty_database, script, way):
    """Sent before the answers of what is in front of it are there, it takes nothing from them."""
    proxy = pgrecall(pgrecall={"pool_mode": "transaction", "default_pool_size": 1, "min_pool_size": 0})
    steps = [step(*SHOW_BEHIND[script]), step(query("SELECT '2026-02-01'::date")), step(query("SHOW my.unknown")), step(query("SHOW DateStyle"))]
    with wire.Connection(empty_database.server.port).start(database=empty_database.name) as direct:
        want = run(direct, steps)
    with proxy.connect(empty_database.name) as conn, proxy.connect(empty_database.name, TimeZone="Australia/Perth") as other:
        got = []
        for one in steps:
            got += run(conn, [one], way == "bytes")
            other.query("SET my.unknown = 'others'")
    found = difference(want, got)
    assert found is None, found


def split_groups(messages):
    """Lists of messages up to each that ReadyForQuery answers."""
    group = []
    for one in messages:
        group.append(one)
        if one[:1] in (b"Q", b"S"):
            yield group
            group = []
