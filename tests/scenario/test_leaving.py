# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""A client that disappears is noticed at once, whatever it was waiting for (T-53, T-81): its place in
the queue becomes free, its query is cancelled, its transaction undone, and its server
connection serves the next one."""

import socket
import struct
import time

import pytest

import wire
from servers import wait_for


def leave(conn, how):
    if how == "reset":
        conn.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how == "terminate":
        conn.send(wire.terminate())
    elif how == "half":
        conn.socket.shutdown(socket.SHUT_WR)
        return
    conn.close()


def waiting(proxy):
    return proxy.metric("pool_waiting_clients")


def backend(conn):
    return conn.query("SELECT pg_backend_pid()")[1].values()[0]


@pytest.mark.parametrize("how", ["close", "reset", "terminate", "half"])
@pytest.mark.parametrize("more", [b"", wire.query("SELECT 2") * 2000], ids=["one", "pipeline"])
def test_T53_leaving_the_queue(pgrecall, database, how, more):
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "query_wait_timeout": "60s"})
    with proxy.connect(database.name) as holder:
        holder.query("BEGIN")
        pid = backend(holder)
        gone = proxy.connect(database.name)
        gone.send(wire.query("INSERT INTO users (name) VALUES ('ghost')"), more)
        wait_for(lambda: waiting(proxy) == 1, 10, "the client in the queue")
        with proxy.connect(database.name) as next_one:
            next_one.send(wire.query("SELECT pg_backend_pid()"))
            wait_for(lambda: waiting(proxy) == 2, 10, "two clients in the queue")
            leave(gone, how)
            wait_for(lambda: waiting(proxy) == 1, 3, "its place in the queue")
            wait_for(lambda: proxy.metric("client_connections") == 2, 3, "its end")
            holder.query("COMMIT")
            assert next_one.until("Z")[1].values() == [pid]
    assert database.psql("SELECT count(*) FROM users WHERE name = 'ghost'").strip() == "0"


def test_T53_leaving_the_queue_of_logins(pgrecall, database):
    """In session mode a client waits for its server before it is greeted."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "pool_mode": "session", "query_wait_timeout": "60s"})
    with proxy.connect(database.name):
        gone = wire.Connection(proxy.port)
        gone.send(wire.startup(user="postgres", database=database.name))
        wait_for(lambda: waiting(proxy) == 1, 10, "the login in the queue")
        gone.close()
        wait_for(lambda: waiting(proxy) == 0, 3, "its place in the queue")
        wait_for(lambda: proxy.metric("client_connections") == 1, 3, "its end")


RUNNING = {
    "simple": [wire.query("SELECT pg_sleep(60)")],
    "extended": [wire.parse("", "SELECT pg_sleep(60)"), wire.bind("", ""), wire.execute(), wire.sync()],
    "flushed": [wire.parse("", "SELECT pg_sleep(60)"), wire.bind("", ""), wire.execute(), wire.flush()],
    "pipeline": [wire.query("SELECT pg_sleep(60)")] * 3,
    "slow_reader": [wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 100000000)")],
    "slow_reader_pipeline": [wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 100000000)")] * 5000,
    "large_row": [wire.query("SELECT repeat('x', 100000000), pg_sleep(60)")],
    "copy_out": [wire.query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000000)) TO STDOUT")],
}


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("running", RUNNING)
def test_T81_leaving_a_running_query(pgrecall, database, running, mode):
    """Cancelled, undone, and the same backend serves the next client."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "pool_mode": mode, "query_wait_timeout": "60s"})
    client = proxy.connect(database.name)
    client.query("BEGIN")
    pid = backend(client)
    client.query("INSERT INTO users (name) VALUES ('ghost')")
    client.send(*RUNNING[running])
    time.sleep(0.3)
    leave(client, "close")
    start = time.monotonic()
    with proxy.connect(database.name) as other:
        assert other.query("SELECT count(*) FROM users WHERE name = 'ghost'")[1].values() == [b"0"]
        assert backend(other) == pid
    assert time.monotonic() - start < 8
    assert proxy.metric("query_cancels_total") >= 1
