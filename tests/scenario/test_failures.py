# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Servers die, hang and come back; clients disappear."""

import signal
import socket
import threading
import time

import psycopg
import pytest

import wire
from servers import wait_for


def test_server_killed_and_back(pgrecall, own_postgres):
    """kill -9 of PostgreSQL: waiting clients get an error, and are served when it is back."""
    proxy = pgrecall(own_postgres, pgrecall={"query_wait_timeout": "2s"})
    client = proxy.connect("sample")
    assert client.types(client.query("SELECT 1")) == "TDCZ"
    own_postgres.kill()
    answer = client.query("SELECT count(*) FROM users")
    assert answer[0].kind == "E", answer
    own_postgres.start()

    def served():
        with wire.Connection(proxy.port).start(database="sample") as conn:
            return conn.types(conn.query("SELECT count(*) FROM users")) == "TDCZ"

    def tries():
        try:
            return served()
        except (AssertionError, OSError, wire.ServerError):
            return False

    wait_for(tries, 20, "service after the restart")


def test_server_killed_in_traffic(pgrecall, own_postgres):
    """Clients under load see errors while the server is away, then answers; the proxy lives."""
    proxy = pgrecall(own_postgres)
    stop = threading.Event()
    wrong, good = [], [0] * 4

    def work(n):
        while not stop.is_set():
            try:
                with psycopg.connect(proxy.dsn("sample"), autocommit=True, connect_timeout=5) as conn:
                    while not stop.is_set():
                        row = conn.execute("SELECT %s::int, id FROM users WHERE id = %s", (n, n + 1)).fetchone()
                        if row != (n, n + 1):
                            wrong.append(row)
                        good[n] += 1
            except psycopg.Error:
                time.sleep(0.05)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            wait_for(lambda: all(good), 10, "traffic")
            own_postgres.kill()
            time.sleep(0.5)
            own_postgres.start()
            good[:] = [0] * 4
        wait_for(lambda: all(good), 30, "traffic after the restarts")
    finally:
        stop.set()
    for thread in threads:
        thread.join(30)
    assert not wrong


def test_backend_terminated(pgrecall, database):
    """pg_terminate_backend between transactions costs nobody anything."""
    proxy = pgrecall()
    with proxy.connect(database.name) as client:
        client.query("SELECT 1")
        database.server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                             f"WHERE datname = '{database.name}' AND pid <> pg_backend_pid()")
        time.sleep(0.3)
        for _ in range(3):
            assert client.types(client.query("SELECT 2")) == "TDCZ"


def test_backend_terminated_in_transaction(pgrecall, database):
    proxy = pgrecall()
    with proxy.connect(database.name) as client:
        client.query("BEGIN")
        pid = int(client.query("SELECT pg_backend_pid()")[1].values()[0])
        database.server.psql(f"SELECT pg_terminate_backend({pid})")
        answer = client.send(wire.query("SELECT 3")).rest()
        assert answer[0].kind == "E" and answer[0].sqlstate() in ("57P01", "08006"), answer
    with proxy.connect(database.name) as client:
        assert client.types(client.query("SELECT 4")) == "TDCZ"


@pytest.mark.parametrize("how", ["idle", "in transaction", "in a result", "after a Parse", "in a message"])
def test_client_disappears(pgrecall, database, how):
    """Whatever a client was doing, its server connection serves the next one, clean."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    client = proxy.connect(database.name)
    if how == "in transaction":
        client.query("BEGIN")
        client.query("INSERT INTO users (name) VALUES ('ghost')")
    elif how == "in a result":
        client.send(wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"))
        client.receive()
    elif how == "after a Parse":
        client.send(wire.parse("gone", "SELECT 1"), wire.flush())
        client.receive()
    elif how == "in a message":
        client.send(wire.query("SELECT 1")[:9])
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.close()
    for _ in range(3):
        with proxy.connect(database.name) as other:
            assert other.query("SELECT count(*) FROM users WHERE name = 'ghost'")[1].values() == [b"0"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals(pgrecall, database, number):
    """SIGTERM and SIGINT end it with status 0; an idle client is told."""
    proxy = pgrecall()
    client = proxy.connect(database.name)
    client.query("SELECT 1")
    process = proxy.process
    proxy.send_signal(number)
    told = client.rest()
    assert [m.kind for m in told] in ([], ["E"]), told
    if told:
        assert told[0].sqlstate() == "57P01"
    assert process.wait(20) == 0


def test_term_lets_a_transaction_finish(pgrecall, database):
    proxy = pgrecall()
    client = proxy.connect(database.name)
    client.query("BEGIN")
    client.query("INSERT INTO users (name) VALUES ('last')")
    proxy.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert client.types(client.query("COMMIT"))[:1] == "C"
    assert database.psql("SELECT count(*) FROM users WHERE name = 'last'").strip() == "1"


def test_int_lets_a_query_finish_but_no_transaction(pgrecall, database):
    proxy = pgrecall()
    process = proxy.process
    busy, idle = proxy.connect(database.name), proxy.connect(database.name)
    idle.query("BEGIN")
    busy.send(wire.query("SELECT 'done', pg_sleep(1)"))
    time.sleep(0.3)
    proxy.send_signal(signal.SIGINT)
    assert [m.sqlstate() for m in idle.rest()] == ["57P01"]
    answer = busy.until("Z")
    assert busy.types(answer) == "TDCZ" and answer[1].values()[0] == b"done"
    assert process.wait(20) == 0


def test_wait_limit(pgrecall, database):
    """The pool is full: an ERROR 53300 after the limit, and the client goes on."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "query_wait_timeout": "500ms"})
    with proxy.connect(database.name) as first, proxy.connect(database.name) as second:
        first.query("BEGIN")
        started = time.monotonic()
        answer = second.query("SELECT 1")
        assert 0.3 < time.monotonic() - started < 5
        assert second.types(answer) == "EZ" and answer[0].sqlstate() == "53300", answer
        first.query("COMMIT")
        assert second.types(second.query("SELECT 1")) == "TDCZ"


def test_cancel(pgrecall, database):
    proxy = pgrecall()
    client = proxy.connect(database.name)
    client.send(wire.query("SELECT pg_sleep(30)"))
    time.sleep(0.5)
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as s:
        s.sendall(wire.cancel_request(client.pid, client.key))
        assert s.recv(1) == b""
    answer = client.until("Z")
    assert answer[-2].sqlstate() == "57014" and time.monotonic() - started < 10
    assert client.types(client.query("SELECT 1")) == "TDCZ"


@pytest.mark.parametrize("section, name", [("pgrecall", "listen_port"), ("http", "listen")])
def test_address_in_use(pgrecall, section, name):
    """A port that is taken ends the start with status 1, the address in the log and nothing leaked."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        value = port if name == "listen_port" else f"127.0.0.1:{port}"
        proxy = pgrecall(wait=False, **{section: {name: value}})
        process, proxy.process = proxy.process, None
        assert process.wait(20) == 1
    assert str(port) in proxy.log()
    assert "cannot start" in proxy.log()
    assert "ERROR" not in proxy.log(), proxy.log()
