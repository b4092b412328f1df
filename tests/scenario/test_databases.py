# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""What a line of [databases] says of its servers: several hosts, and how sessions begin."""

import itertools

import pytest

import wire
from servers import Postgres, wait_for

WHEN = "SELECT at FROM moments WHERE id = 1"
DEFAULT_ON = {"default": "on"}


def value(conn, sql):
    answer = conn.query(sql)
    for m in answer:
        if m.kind == "E":
            raise wire.ServerError(m)
    return next(m for m in answer if m.kind == "D").values()[0].decode()


def refusal(proxy, database, **parameters):
    """The error of a login, or of the first query."""
    with pytest.raises(wire.ServerError) as error:
        with proxy.connect(database, **parameters) as conn:
            value(conn, "SELECT 1")
    return error.value.error.fields()


def hits(proxy):
    return proxy.metric("cache_hits_total")


@pytest.fixture
def moments(empty_database):
    """A database whose answers depend on a session's settings."""
    empty_database.psql("CREATE TABLE moments (id int PRIMARY KEY, at timestamptz, word text)")
    empty_database.psql("INSERT INTO moments VALUES (1, '2020-01-02 00:00+00', 'é')")
    return empty_database


def lines(database, **each):
    where = f"host=127.0.0.1 port={database.server.port} dbname={database.name}"
    return {name: f"{where} {more}" for name, more in each.items()}


# How sessions begin


def test_settings_of_sessions(pgrecall, moments):
    """Defaults: clients know them, may have others, and go back to them."""
    proxy = pgrecall(cache=DEFAULT_ON, databases=lines(
        moments, one="timezone=Asia/Tokyo datestyle='German, DMY' client_encoding=LATIN1", two=""))
    with proxy.connect("one") as conn:
        assert conn.parameters["TimeZone"] == "Asia/Tokyo"
        assert conn.parameters["DateStyle"] == "German, DMY"
        assert conn.parameters["client_encoding"] == "LATIN1"
        assert value(conn, WHEN) == "02.01.2020 09:00:00 JST"
        conn.query("SET TimeZone = 'UTC'")
        assert value(conn, WHEN) == "02.01.2020 00:00:00 UTC"
        conn.query("RESET TimeZone")
        assert value(conn, WHEN) == "02.01.2020 09:00:00 JST"
        conn.query("SET DateStyle = 'ISO'")
        conn.query("DISCARD ALL")
        assert value(conn, WHEN) == "02.01.2020 09:00:00 JST"
        assert next(m for m in conn.query("SELECT word FROM moments") if m.kind == "D").values() == [b"\xe9"]
    with proxy.connect("one", TimeZone="UTC", DateStyle="ISO", client_encoding="UTF8") as conn:
        assert conn.parameters["TimeZone"] == "UTC"
        assert value(conn, WHEN) == "2020-01-02 00:00:00+00"


def test_settings_of_sessions_keep_answers_apart(pgrecall, moments):
    """Two lines for one database: each is cached, nothing is shared, and a write through one is
    seen through the other."""
    proxy = pgrecall(cache=DEFAULT_ON, databases=lines(moments, one="timezone=Asia/Tokyo", two="timezone=UTC"))
    proxy.warm("one")
    proxy.warm("two")
    answers = {"one": "2020-01-02 09:00:00+09", "two": "2020-01-02 00:00:00+00"}
    with proxy.connect("one") as one, proxy.connect("two") as two:
        conns = {"one": one, "two": two}
        for name in ("one", "two", "one", "two"):
            assert value(conns[name], WHEN) == answers[name]
        assert hits(proxy) == 2
        two.query("UPDATE moments SET at = at + interval '1 day'")
        assert value(one, WHEN) == "2020-01-03 09:00:00+09"


def test_a_setting_that_servers_refuse(pgrecall, moments):
    proxy = pgrecall(databases=lines(moments, bad="timezone=Nowhere"))
    error = refusal(proxy, "bad")
    assert error["C"] == "22023"
    assert "TimeZone" in error["M"]


def test_replication_sessions_begin_so_too(pgrecall, moments):
    proxy = pgrecall(databases=lines(moments, one="timezone=Asia/Tokyo"))
    with proxy.connect("one", replication="database") as conn:
        assert conn.parameters["TimeZone"] == "Asia/Tokyo"
    with proxy.connect("one", replication="database", TimeZone="UTC") as conn:
        assert conn.parameters["TimeZone"] == "UTC"


# connect_query


def test_connect_query_runs_once_for_each_connection(pgrecall, moments):
    moments.psql("CREATE TABLE begun (pid int)")
    proxy = pgrecall(pgrecall={"workers": 1}, databases=lines(
        moments, one="connect_query='INSERT INTO begun SELECT pg_backend_pid(); SET TimeZone = ''Asia/Tokyo'''"))
    pids = set()
    for _ in range(3):
        with proxy.connect("one") as conn:
            assert conn.parameters["TimeZone"] == "Asia/Tokyo"
            assert value(conn, WHEN) == "2020-01-02 09:00:00+09"
            pids.add(value(conn, "SELECT pg_backend_pid()"))
    assert moments.psql("SELECT pid FROM begun").split() == list(pids)
    with proxy.connect("one", TimeZone="UTC") as conn:  # what the server's login has told
        assert value(conn, WHEN) == "2020-01-02 00:00:00+00"


BAD = {
    "fails": ("SELECT 1/0", "22012", "division by zero"),
    "unknown": ("SELECT no_such_function()", "42883", "no_such_function"),
    "open": ("BEGIN", "25001", "transaction"),
    "copy": ("COPY moments FROM STDIN", "08P01", "COPY"),
    "temporary": ("CREATE TEMP TABLE moments (id int, at timestamptz)", "0A000", "temporary"),
}


@pytest.mark.parametrize("case", BAD)
def test_connect_query_that_cannot_be(pgrecall, moments, case):
    sql, sqlstate, words = BAD[case]
    proxy = pgrecall(databases=lines(moments, one=f"connect_query='{sql}' query_wait_timeout=1s"))
    error = refusal(proxy, "one")
    assert error["C"] == sqlstate, error
    assert words in error["M"]
    wait_for(lambda: moments.psql(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name NOT LIKE 'pgrecall%' AND datname = "
        f"'{moments.name}' AND pid <> pg_backend_pid()").strip() == "0", 10, "closed connections")


def test_connect_query_with_temporary_objects_and_no_cache(pgrecall, moments):
    sql = "CREATE TEMP TABLE moments AS SELECT 1 AS id, ''mine''::text AS at"
    proxy = pgrecall(cache=DEFAULT_ON, databases=lines(moments, one=f"cache=off connect_query='{sql}'"))
    with proxy.connect("one") as conn:
        for _ in range(3):
            assert value(conn, WHEN) == "mine"
    assert hits(proxy) == 0


UNDO = ["RESET TimeZone", "RESET ALL", "SET TimeZone TO DEFAULT", "SET TIME ZONE LOCAL", "DISCARD ALL",
        "BEGIN; RESET TimeZone; COMMIT", "DO 'BEGIN SET TimeZone = ''UTC''; END'",
        "SELECT set_config(''TimeZone'', ''UTC'', false)"]


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("undo", UNDO)
def test_nobody_gets_a_connection_without_its_connect_query(pgrecall, moments, undo, mode):
    """What connect_query has set is not what RESET goes back to.  Neither the connection nor an
    answer from it is given to another client."""
    proxy = pgrecall(cache=DEFAULT_ON, pgrecall={"workers": 1, "pool_mode": mode},
                     databases=lines(moments, one="connect_query='SET TimeZone = ''Asia/Tokyo'''"))
    proxy.warm("one")
    tokyo, utc = "2020-01-02 09:00:00+09", "2020-01-02 00:00:00+00"
    with proxy.connect("one") as conn:
        conn.query(undo.replace("''", "'") if undo.startswith("SELECT") else undo)
        if mode == "session":
            for _ in range(3):
                assert value(conn, "SHOW TimeZone") in ("UTC", "Etc/UTC")
                assert value(conn, WHEN) == utc
    for _ in range(3):
        with proxy.connect("one") as conn:
            assert value(conn, "SHOW TimeZone") == "Asia/Tokyo"
            assert value(conn, WHEN) == tokyo


def test_settings_of_other_clients_and_connect_query(pgrecall, moments):
    """A client's settings are taken from a connection by closing it, when others have none."""
    proxy = pgrecall(cache=DEFAULT_ON, pgrecall={"workers": 1, "default_pool_size": 1},
                     databases=lines(moments, one="connect_query='SET TimeZone = ''Asia/Tokyo'''"))
    with proxy.connect("one") as plain, proxy.connect("one", TimeZone="UTC") as utc, proxy.connect("one") as berlin:
        berlin.query("SET TimeZone = 'Europe/Berlin'")
        for conn, zone in itertools.islice(itertools.cycle(((plain, "Asia/Tokyo"), (utc, "UTC"),
                                                            (berlin, "Europe/Berlin"))), 9):
            assert value(conn, "SELECT current_setting('TimeZone')") == zone
            assert value(conn, WHEN)[-3:] == {"Asia/Tokyo": "+09", "UTC": "+00", "Europe/Berlin": "+01"}[zone]


def test_another_connect_query_is_another_context(pgrecall, moments):
    """It may decide answers through settings that we do not ask for."""
    moments.psql("CREATE FUNCTION mine() RETURNS text LANGUAGE sql STABLE AS "
                 "$$ SELECT current_setting('my.word') $$")
    query = "SELECT mine(), id FROM moments WHERE id = 1"
    proxy = pgrecall(cache=DEFAULT_ON, databases=lines(
        moments, one="connect_query='SET my.word = ''one'''", two="connect_query='SET my.word = ''two'''"))
    with proxy.connect("one") as one, proxy.connect("two") as two:
        for _ in range(3):
            assert value(one, query) == "one"
            assert value(two, query) == "two"


def test_connect_query_over_a_reload(pgrecall, moments):
    proxy = pgrecall(cache=DEFAULT_ON, databases=lines(moments, one="connect_query='SET my.word = ''one'''"))
    with proxy.connect("one") as conn:
        assert value(conn, "SHOW my.word") == "one"
        proxy.configure(databases=lines(moments, one="connect_query='SET my.word = ''two'''"))
        proxy.reload()
        wait_for(lambda: value(conn, "SHOW my.word") == "two", 10, "the new connect_query")


# Several hosts


@pytest.fixture
def two_servers(directory, own_postgres):
    """Two servers that differ in one row, and their line without options."""
    (directory / "second").mkdir()
    (directory / "second").chmod(0o755)
    second = Postgres(directory / "second")
    second.start()
    for server, name in ((own_postgres, "first"), (second, "second")):
        server.psql("CREATE DATABASE pair")
        server.psql("CREATE TABLE who (id int PRIMARY KEY, name text)", "pair")
        server.psql(f"INSERT INTO who VALUES (1, '{name}')", "pair")
        server.psql("CHECKPOINT")  # they commit without a flush, and some are killed
    yield own_postgres, second
    second.stop("immediate")


WHO = "SELECT name FROM who WHERE id = 1"


def pair(servers, more=""):
    ports = ",".join(str(server.port) for server in servers)
    return {"pair": f"host=127.0.0.1,localhost port={ports} {more}"}


def start(pgrecall, servers, more="", databases=None, **settings):
    return pgrecall(server=servers[0], cache=DEFAULT_ON, databases={**pair(servers, more), **(databases or {})},
                    pgrecall={"workers": 1, "server_login_retry": "10ms", **settings})


def names(proxy, n=4):
    """Who answers N clients that are there at the same time."""
    conns = [proxy.connect("pair") for _ in range(n)]
    for conn in conns:
        conn.query("BEGIN")
    seen = [value(conn, WHO) for conn in conns]
    for conn in conns:
        conn.close()
    return seen


def test_hosts_take_turns(pgrecall, two_servers):
    proxy = start(pgrecall, two_servers)
    seen = names(proxy)
    assert seen.count("first") == seen.count("second") == 2


def test_hosts_in_order(pgrecall, two_servers):
    """The first host as long as it works, then the second, and that one from then on."""
    first, second = two_servers
    proxy = start(pgrecall, two_servers, "load_balance_hosts=disable")
    assert set(names(proxy)) == {"first"}
    first.kill()
    wait_for(lambda: proxy.metric("pool_connections", database="pair") == 0, 10, "lost connections")
    assert set(names(proxy)) == {"second"}
    first.start()
    assert set(names(proxy, 6)) == {"second"}


@pytest.mark.parametrize("balance", ["round-robin", "disable"])
@pytest.mark.parametrize("dead", [0, 1])
def test_one_host_is_dead(pgrecall, two_servers, dead, balance):
    """Nobody notices."""
    two_servers[dead].stop("immediate")
    proxy = start(pgrecall, two_servers, f"load_balance_hosts={balance}")
    assert set(names(proxy, 6)) == {["second", "first"][dead]}
    assert proxy.metric("pool_connect_failures_total", database="pair") == 0


def test_all_hosts_are_dead(pgrecall, two_servers):
    first, second = two_servers
    proxy = start(pgrecall, two_servers, query_wait_timeout="1s")
    assert names(proxy, 2)
    first.kill()
    second.kill()
    wait_for(lambda: proxy.metric("pool_connections", database="pair") == 0, 10, "lost connections")
    assert refusal(proxy, "pair")["C"] == "08001"
    second.start()
    wait_for(lambda: comes_in(proxy), 20, "a host that is back")


def comes_in(proxy):
    try:
        return names(proxy, 1)
    except wire.ServerError:
        return None


def test_answers_of_two_servers_are_not_mixed(pgrecall, two_servers):
    """They may have other rows, now or when one lags behind: a list of hosts is not cached, nor is
    a line that has one of its servers."""
    first, second = two_servers
    single = f"host=127.0.0.1 port={first.port} dbname=pair"
    proxy = start(pgrecall, two_servers, "pool_size=2", databases={"single": single})
    assert "not cached" in proxy.log()
    proxy.warm("single")
    with proxy.connect("pair") as one, proxy.connect("pair") as two, proxy.connect("single") as other:
        for _ in range(3):
            one.query("BEGIN")
            two.query("BEGIN")
            assert {value(one, WHO), value(two, WHO)} == {"first", "second"}
            one.query("COMMIT")
            two.query("COMMIT")
            assert {value(one, WHO) for _ in range(3)} <= {"first", "second"}
        assert value(other, WHO) == "first"
        for turn in range(6):  # a write through the list, seen through the single one
            one.query("BEGIN")
            two.query("BEGIN")
            writer = one if value(one, WHO) != "second" else two
            writer.query(f"UPDATE who SET name = 'first{turn}' WHERE id = 1")
            one.query("COMMIT")
            two.query("COMMIT")
            assert value(other, WHO) == f"first{turn}"
    assert hits(proxy) == 0
    assert proxy.metric("cache_bypasses_total", reason="disabled") > 0


def test_one_server_by_several_addresses_may_be_cached(pgrecall, own_postgres):
    line = f"host=127.0.0.1,localhost port={own_postgres.port} cache=on"
    own_postgres.psql("CREATE TABLE who (id int PRIMARY KEY, name text)", "sample")
    proxy = pgrecall(server=own_postgres, cache=DEFAULT_ON, databases={"*": line})
    proxy.warm("sample")
    with proxy.connect("sample") as conn:
        conn.query("INSERT INTO who VALUES (1, 'x')")
        wait_for(lambda: value(conn, WHO) == "x" and hits(proxy) > 0, 10, "a hit")
        conn.query("UPDATE who SET name = 'y'")
        assert value(conn, WHO) == "y"


def test_a_reload_turns_the_cache_off(pgrecall, moments):
    """At once, for those who are connected, too."""
    proxy = pgrecall(cache=DEFAULT_ON, databases=lines(moments, one=""))
    proxy.warm("one")
    with proxy.connect("one") as conn:
        wait_for(lambda: value(conn, WHEN) and hits(proxy) > 0, 10, "a hit")
        proxy.configure(databases=lines(moments, one="cache=off"))
        proxy.reload()
        proxy.wait_log("databases.one")
        wait_for(lambda: proxy.metric("cache_bypasses_total", reason="disabled") > 0 or not value(conn, WHEN),
                 10, "no cache")
        before = hits(proxy)
        assert value(conn, WHEN)
        assert hits(proxy) == before


def test_the_console_shows_hosts(pgrecall, two_servers):
    first, second = two_servers
    proxy = start(pgrecall, two_servers, databases={"other": f"host=127.0.0.1 port={first.port}"},
                  admin_users="postgres")
    names(proxy, 1)
    with proxy.connect("pgbouncer") as conn:
        rows = {row.values()[0]: row.values() for row in conn.query("SHOW DATABASES") if row.kind == "D"}
        assert rows[b"pair"][1:3] == [b"127.0.0.1,localhost", str(first.port).encode()]
        assert rows[b"pair"][10] == b"round-robin"
        assert rows[b"other"][10] is None
        pools = [row.values() for row in conn.query("SHOW POOLS") if row.kind == "D"]
        assert [pool[-1] for pool in pools if pool[0] == b"pair"] == [b"round-robin"]
