# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Limits and time limits under PgBouncer's names: each ends what it should, when it should, with
PostgreSQL's SQLSTATE, and nothing else (T-89, T-94, T-95)."""

import grp
import os
import socket
import stat
import threading
import time

import pytest

import wire
from servers import wait_for
from wire import bind, execute, flush, parse, query, sync


def told(conn, seconds=6):
    """The SQLSTATE with which the connection ended."""
    conn.socket.settimeout(seconds)
    return [m.sqlstate() for m in conn.rest() if m.kind == "E"]


def goes_on(conn, seconds, pause=0.1, sql="SELECT 1"):
    """It stays alive for that long, asking now and then."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = conn.query(sql)
        assert answer[-1].kind == "Z" and "E" not in conn.types(answer), answer
        time.sleep(pause)


LIMITS = ["query_timeout", "idle_transaction_timeout", "transaction_timeout", "client_idle_timeout"]


@pytest.fixture(params=["global", "user", "user_without"])
def limited(request, pgrecall, database):
    """start(name, value): the limit is everybody's, or only this user's, or everybody's but his."""
    def start(name, value, **settings):
        sections = {"global": {"pgrecall": {name: value, **settings}},
                    "user": {"pgrecall": settings, "user_limits": {"postgres": f"{name}={value}"}},
                    "user_without": {"pgrecall": {name: value, **settings}, "user_limits": {"postgres": f"{name}=0"}}}
        proxy = pgrecall(**sections[request.param])
        proxy.database = database.name
        proxy.limits = request.param != "user_without"
        return proxy
    return start


def test_T94_query_timeout(limited):
    proxy = limited("query_timeout", "1s")
    with proxy.connect(proxy.database) as conn:
        start = time.monotonic()
        conn.send(query("SELECT pg_sleep(2.5)"))
        if not proxy.limits:
            assert conn.types(conn.until("Z")) == "TDCZ"
            return
        assert told(conn) == ["57014"]
        assert 0.9 < time.monotonic() - start < 2.4
    wait_for(lambda: proxy.metric("pool_connections", state="active") == 0, 5, "end of the query")


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_T94_query_timeout_is_of_a_query(pgrecall, database, mode):
    """Not of idle clients, not of transactions, not of a pipeline's sum."""
    proxy = pgrecall(pgrecall={"query_timeout": "1s", "pool_mode": mode})
    with proxy.connect(database.name) as conn, proxy.connect(database.name) as idle, \
            proxy.connect(database.name) as in_transaction:
        idle.query("SELECT 1")
        in_transaction.query("BEGIN")
        conn.send(query("SELECT pg_sleep(0.5)") * 4)
        assert conn.types(conn.until("Z", 4)) == "TDCZ" * 4
        conn.query("BEGIN")
        goes_on(conn, 1.5, 0.3)
        for one in (idle, in_transaction):
            assert one.types(one.query("SELECT 2")) == "TDCZ"


def test_T94_idle_transaction_timeout(limited):
    proxy = limited("idle_transaction_timeout", "1s")
    with proxy.connect(proxy.database) as conn:
        conn.query("BEGIN")
        goes_on(conn, 1.5)
        conn.query("SELECT pg_sleep(1.6)")  # that is not idle
        if proxy.limits:
            assert told(conn) == ["25P03"]
        else:
            time.sleep(1.6)
            goes_on(conn, 0.2)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_T89_a_batch_without_sync_is_a_transaction(pgrecall, database, mode):
    proxy = pgrecall(pgrecall={"idle_transaction_timeout": "1s", "pool_mode": mode, "default_pool_size": 1})
    with proxy.connect(database.name) as conn:
        conn.send(parse("", "SELECT pg_sleep(1.5)"), bind("", ""), execute(), flush())
        assert conn.types(conn.until("C")) == "12DC"
        assert told(conn) == ["25P03"]
    with proxy.connect(database.name) as conn:
        assert conn.types(conn.query("SELECT 1")) == "TDCZ"


def test_T94_transaction_timeout(limited):
    proxy = limited("transaction_timeout", "1s")
    with proxy.connect(proxy.database) as conn:
        goes_on(conn, 1.5)
        conn.query("BEGIN")
        if not proxy.limits:
            goes_on(conn, 1.5)
            return
        start = time.monotonic()
        with pytest.raises((AssertionError, OSError)):
            goes_on(conn, 4)
        assert 0.8 < time.monotonic() - start < 3


@pytest.mark.parametrize("what", ["idle", "running", "autocommit"])
def test_T94_transaction_timeout_begins_with_the_transaction(pgrecall, database, what):
    """In session mode a client may have been idle for long before."""
    proxy = pgrecall(pgrecall={"transaction_timeout": "1s", "pool_mode": "session"})
    with proxy.connect(database.name) as conn:
        time.sleep(1.6)
        start = time.monotonic()
        if what != "autocommit":
            conn.query("BEGIN")
        if what != "idle":
            conn.send(query("SELECT pg_sleep(5)"))
        assert told(conn) == ["25P04"]
        assert 0.9 < time.monotonic() - start < 3


def test_T94_client_idle_timeout(limited):
    proxy = limited("client_idle_timeout", "1s")
    with proxy.connect(proxy.database) as conn, proxy.connect(proxy.database) as in_transaction:
        in_transaction.query("BEGIN")
        goes_on(conn, 1.5)
        conn.query("SELECT pg_sleep(1.6)")
        if proxy.limits:
            assert told(conn) == ["57P05"]
        else:
            time.sleep(1.6)
            goes_on(conn, 0.2)
        assert in_transaction.types(in_transaction.query("SELECT 1")) == "TDCZ"


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("begin, limit", [("SELECT 1", "client_idle_timeout"), ("BEGIN", "idle_transaction_timeout")])
def test_T94_who_is_answered_from_the_cache_is_not_idle(pgrecall, database, mode, begin, limit):
    proxy = pgrecall(pgrecall={limit: "1s", "pool_mode": mode}, cache={"default": "on"})
    proxy.warm(database.name)
    with proxy.connect(database.name) as conn:
        conn.query(begin)
        goes_on(conn, 2.5, 0.05, "SELECT name FROM users WHERE id = 1")
    assert proxy.metric("cache_hits_total") > 10


def test_T95_wait_timeout_in_a_batch(pgrecall, database):
    """The error comes at once, ReadyForQuery at Sync only, and the client goes on."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "query_wait_timeout": "1s"})
    with proxy.connect(database.name) as holder, proxy.connect(database.name) as conn:
        holder.query("BEGIN")
        conn.send(parse("", "SELECT 1"), bind("", ""), execute(), flush())
        first = conn.receive()
        assert first.kind == "E" and first.sqlstate() == "53300", first
        assert conn.silent(0.5)
        conn.send(parse("", "SELECT 2"), bind("", ""), execute(), sync())
        assert conn.types(conn.until("Z")) == "Z"
        holder.query("COMMIT")
        answer = conn.send(parse("", "SELECT 3"), bind("", ""), execute(), sync()).until("Z")
        assert conn.types(answer) == "12DCZ"


@pytest.mark.parametrize("pipelined", [False, True])
def test_T95_last_words_arrive(pgrecall, database, pipelined):
    """What a client has sent and nobody read must not destroy the error that it is sent."""
    proxy = pgrecall(pgrecall={"idle_transaction_timeout": "1s"})
    for _ in range(3):
        with proxy.connect(database.name) as conn:
            conn.query("BEGIN")
            if pipelined:
                conn.send(b"Q\0\0\4\0" + b"x" * 900)  # the rest never comes
            assert told(conn) == ["25P03"]


@pytest.mark.parametrize("where", ["database", "user", "global"])
def test_query_wait_timeout_of(pgrecall, database, where):
    line = f"host=127.0.0.1 port={database.server.port}"
    sections = {"database": {"databases": {"*": f"{line} query_wait_timeout=500ms"}},
                "user": {"user_limits": {"postgres": "query_wait_timeout=500ms"}},
                "global": {"pgrecall": {"query_wait_timeout": "500ms"}}}[where]
    settings = {"default_pool_size": 1, **sections.pop("pgrecall", {})}
    proxy = pgrecall(pgrecall=settings, **sections)
    with proxy.connect(database.name) as holder, proxy.connect(database.name) as conn:
        holder.query("BEGIN")
        start = time.monotonic()
        assert conn.query("SELECT 1")[0].sqlstate() == "53300"
        assert 0.4 < time.monotonic() - start < 3


def test_query_wait_notify(pgrecall, database):
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "query_wait_notify": "500ms"})
    with proxy.connect(database.name) as holder, proxy.connect(database.name) as conn:
        for _ in range(2):
            holder.query("BEGIN")
            conn.send(query("SELECT 1"))
            notice = conn.receive()
            assert notice.kind == "N" and notice.fields()["C"] == "00000" and "waits" in notice.fields()["M"]
            assert conn.silent(0.8)
            holder.query("COMMIT")
            assert [m.kind for m in conn.until("Z")] == list("TDCZ")


def test_query_wait_notify_can_be_switched_off(pgrecall, database):
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "query_wait_notify": "0"})
    with proxy.connect(database.name) as holder, proxy.connect(database.name) as conn:
        holder.query("BEGIN")
        conn.send(query("SELECT 1"))
        assert conn.silent(1)


def refused(proxy, **parameters):
    with pytest.raises(wire.ServerError) as error, wire.Connection(proxy.port) as conn:
        conn.start(**parameters)
    return error.value.sqlstate, error.value.error.fields()["M"]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("where", ["global", "line"])
def test_client_connections_of_a_database(pgrecall, database, postgres, where, workers):
    line = f"host=127.0.0.1 port={postgres.port}"
    sections = {"pgrecall": {"workers": workers}}
    if where == "global":
        sections["pgrecall"]["max_db_client_connections"] = 2
    else:
        sections["databases"] = {database.name: f"{line} max_db_client_connections=2"}
    postgres.psql("DO $$ BEGIN CREATE ROLE tester LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    proxy = pgrecall(**sections)
    held = [proxy.connect(database.name), proxy.connect(database.name, user="tester")]
    for user in ("postgres", "tester"):
        sqlstate, text = refused(proxy, database=database.name, user=user)
        assert sqlstate == "53300" and "max_db_client_connections" in text
    other = proxy.connect("postgres")  # another database
    assert other.types(other.query("SELECT 1")) == "TDCZ"
    assert proxy.metric("client_connections_rejected_total", reason="max_client_conn") == 2
    held.pop().close()
    wait_for(lambda: proxy.metric("client_connections") == 2, 5, "the end of a client")
    held.append(proxy.connect(database.name))
    assert refused(proxy, database=database.name)[0] == "53300"
    for conn in [*held, other]:
        conn.close()


@pytest.mark.parametrize("where", ["global", "line"])
def test_client_connections_of_a_user(pgrecall, database, where):
    sections = {"global": {"pgrecall": {"max_user_client_connections": 2}},
                "line": {"user_limits": {"postgres": "max_user_client_connections=2"}}}[where]
    proxy = pgrecall(**sections)
    held = [proxy.connect(database.name), proxy.connect("postgres")]
    sqlstate, text = refused(proxy, database=database.name)
    assert sqlstate == "53300" and "max_user_client_connections" in text
    held.pop().close()
    wait_for(lambda: proxy.metric("client_connections") == 1, 5, "the end of a client")
    held.append(proxy.connect(database.name))
    for conn in held:
        conn.close()


@pytest.mark.parametrize("where", ["global", "database", "user"])
def test_reserve_pool(pgrecall, database, where):
    """Used when somebody has waited for reserve_pool_timeout, and not before."""
    line = f"host=127.0.0.1 port={database.server.port}"
    sections = {"global": {"pgrecall": {"reserve_pool_size": 1}},
                "database": {"databases": {"*": f"{line} reserve_pool_size=1"}},
                "user": {"user_limits": {"postgres": "reserve_pool_size=1"}}}[where]
    settings = {"default_pool_size": 1, "workers": 1, "reserve_pool_timeout": "1500ms",
                "query_wait_timeout": "5s", "query_wait_notify": 0, **sections.pop("pgrecall", {})}
    proxy = pgrecall(pgrecall=settings, **sections)
    conns = [proxy.connect(database.name) for _ in range(3)]
    conns[0].query("BEGIN")
    start = time.monotonic()
    answer = conns[1].query("BEGIN")
    assert conns[1].types(answer) == "CZ" and 1.3 < time.monotonic() - start < 4.5
    assert conns[2].query("SELECT 1")[0].sqlstate() == "53300"  # that was all of the reserve
    assert proxy.metric("pool_connections") == 2
    for conn in conns:
        conn.close()


def disconnects(proxy, reason):
    return proxy.metric("pool_disconnects_total", reason=reason)


def test_server_idle_timeout(pgrecall, database):
    proxy = pgrecall(pgrecall={"pool_mode": "transaction", "server_idle_timeout": "1s", "min_pool_size": 1})
    conns = [proxy.connect(database.name) for _ in range(3)]
    for conn in conns:
        conn.query("BEGIN")
    for conn in conns:
        conn.query("COMMIT")
    assert proxy.metric("pool_connections") == 3
    wait_for(lambda: disconnects(proxy, "idle_timeout") == 2, 8, "end of the surplus")
    time.sleep(1.5)
    assert proxy.metric("pool_connections") == 1
    for conn in conns:
        conn.close()


@pytest.mark.parametrize("where", ["global", "database"])
def test_server_lifetime(pgrecall, database, where):
    """Never in a transaction, soon after its end."""
    line = f"host=127.0.0.1 port={database.server.port}"
    sections = {"global": {"pgrecall": {"server_lifetime": "1s", "pool_mode": "transaction"}},
                "database": {"databases": {"*": f"{line} server_lifetime=1s pool_mode=transaction"}}}[where]
    proxy = pgrecall(**sections)
    with proxy.connect(database.name) as conn:
        conn.query("BEGIN")
        pid = conn.query("SELECT pg_backend_pid()")[1].values()[0]
        time.sleep(2.2)
        assert conn.query("SELECT pg_backend_pid()")[1].values()[0] == pid
        conn.query("COMMIT")
        wait_for(lambda: disconnects(proxy, "lifetime") >= 1, 5, "end of its life")
        assert conn.query("SELECT pg_backend_pid()")[1].values()[0] != pid


@pytest.mark.parametrize("setting, scope, pools", [
    ("max_db_connections", "database", 2), ("max_user_connections", "user", 2)])
def test_server_connections_of_several_pools(pgrecall, database, postgres, setting, scope, pools):
    """The limit holds over pools; an idle connection of the other pool gives way (T-92)."""
    postgres.psql("DO $$ BEGIN CREATE ROLE tester LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    proxy = pgrecall(pgrecall={"pool_mode": "transaction", setting: pools, "query_wait_timeout": "1s"})
    other = {"database": {"user": "tester"}, "user": {"database": "postgres"}}[scope]
    with proxy.connect(database.name) as first, proxy.connect(database.name) as second, \
            proxy.connect(other.get("database", database.name), user=other.get("user", "postgres")) as third:
        for conn in (first, second):
            assert conn.types(conn.query("BEGIN")) == "CZ"
        assert third.query("SELECT 1")[0].sqlstate() == "53300"
        first.query("COMMIT")
        assert third.types(third.query("SELECT 1")) == "TDCZ"
        assert proxy.metric("pool_connections") <= pools


def test_T92_min_pool_sizes_over_the_limit_do_not_thrash(pgrecall, database, postgres):
    postgres.psql("DO $$ BEGIN CREATE ROLE tester LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    proxy = pgrecall(pgrecall={"min_pool_size": 3, "max_db_connections": 4})
    conns = [proxy.connect(database.name, user=user) for user in ("postgres", "tester")]
    for conn in conns:
        conn.query("SELECT 1")
    wait_for(lambda: proxy.metric("pool_connections") == 4, 8, "the pools")
    before = proxy.metric("pool_connects_total")
    time.sleep(3)
    assert proxy.metric("pool_connects_total") == before
    for conn in conns:
        assert conn.types(conn.query("SELECT 1")) == "TDCZ"
        conn.close()


def test_T92_first_come_first_served(pgrecall, empty_database):
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "workers": 1, "query_wait_timeout": "60s", "query_wait_notify": 0})
    empty_database.psql("CREATE TABLE served (turn serial, who int)")
    holder = proxy.connect(empty_database.name)
    holder.query("BEGIN")
    clients = [proxy.connect(empty_database.name) for _ in range(20)]
    for n, conn in enumerate(clients):
        conn.send(query(f"INSERT INTO served (who) VALUES ({n})"))
        wait_for(lambda n=n: proxy.metric("pool_waiting_clients") == n + 1, 5, "a place in the queue")
    holder.query("COMMIT")
    for conn in clients:
        assert conn.types(conn.until("Z")) == "CZ"
    order = empty_database.psql("SELECT string_agg(who::text, ' ' ORDER BY turn) FROM served").split()
    assert order == [str(n) for n in range(20)]
    for conn in [*clients, holder]:
        conn.close()


def test_T92_thousands_of_turns_for_many_clients(pgrecall, database):
    """More clients than connections: all of them get on, and none is forgotten."""
    proxy = pgrecall(pgrecall={"default_pool_size": 2, "workers": 3})
    counts = [0] * 30
    until = time.monotonic() + 3

    def work(n):
        with proxy.connect(database.name) as conn:
            while time.monotonic() < until:
                assert conn.query(f"SELECT {n}")[1].values() == [b"%d" % n]
                counts[n] += 1

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert min(counts) > 0 and sum(counts) > 100, counts
    assert proxy.metric("pool_waiting_clients") == 0


def keepalive(proxy):
    """What ss would show of the accepted sockets: option values read in the process itself are
    not to be had, so the timers that the kernel has set are."""
    with open("/proc/net/tcp") as table:
        for line in table:
            fields = line.split()
            if fields[1].endswith(f":{proxy.port:04X}") and fields[3] == "01":
                yield int(fields[5].split(":")[0], 16), int(fields[5].split(":")[1], 16) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("on", [True, False])
def test_tcp_keepalive(pgrecall, database, on):
    proxy = pgrecall(pgrecall={"tcp_keepalive": int(on), "tcp_keepidle": "40s", "tcp_keepintvl": "5s", "tcp_keepcnt": 3})
    with proxy.connect(database.name) as conn:
        conn.query("SELECT 1")
        time.sleep(0.5)
        timers = [(kind, left) for kind, left in keepalive(proxy)]
    assert len(timers) == 1
    kind, left = timers[0]
    if on:
        assert kind == 2 and 30 < left <= 40, timers  # 2: the keepalive timer
    else:
        assert kind == 0, timers


@pytest.mark.parametrize("group", ["name", "number"])
def test_unix_socket_group(pgrecall, database, directory, group):
    gid = next(g for g in grp.getgrall() if g.gr_name == "daemon")
    directory.chmod(0o755)
    proxy = pgrecall(pgrecall={"unix_socket_dir": directory, "unix_socket_mode": "0770",
                               "unix_socket_group": gid.gr_name if group == "name" else gid.gr_gid})
    path = directory / f".s.PGSQL.{proxy.port}"
    info = path.stat()
    assert info.st_gid == gid.gr_gid and stat.S_IMODE(info.st_mode) == 0o770
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(str(path))
        s.sendall(wire.startup(user="postgres", database=database.name))
        assert s.recv(1) == b"R"
