# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Clients that send garbage, half messages, huge lengths, or leave at any point: others are not
affected, server connections are usable afterwards, and none is lost from its pool (T-40, T-53)."""

import os
import random
import socket
import struct

import pytest

import wire
from servers import wait_for
from wire import (bind, close, copy_data, copy_done, copy_fail, describe, execute, flush, message,
                  parse, query, sync, terminate)


def some(everything, *usual):
    """Parameters: all of them with HOSTILE=1, which takes a minute and a half; usually these."""
    return everything if "HOSTILE" in os.environ else usual


POOL = 3
BATCH = [parse("s", "SELECT v FROM h WHERE id = $1"), describe("S", "s"), bind("p", "s", [b"1"]),
         describe("P", "p"), execute("p"), close("P", "p"), flush(), sync(), query("SELECT 1; SELECT 2"),
         parse("", "INSERT INTO h VALUES ($1, 'x')"), bind("", "", [b"7"]), execute(), sync(), close("S", "s"), sync(),
         query("COPY h FROM STDIN"), copy_data(b"8\ty\n"), copy_done(), query("BEGIN"), query("SELECT 1/0"),
         query("ROLLBACK"), query("SELECT repeat('x', 300000) FROM generate_series(1, 3)")]


@pytest.fixture
def place(pgrecall, empty_database):
    """A proxy with few connections, and a client that must not notice anything."""
    empty_database.psql("CREATE TABLE h (id int, v text); INSERT INTO h VALUES (1, 'one')")
    proxy = pgrecall(pgrecall={"default_pool_size": POOL, "max_packet_size": "20MB", "query_wait_timeout": "10s"},
                     cache={"default": "on"})
    return proxy, empty_database, proxy.connect(empty_database.name)


def reset(conn):
    conn.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def check(place):
    """The bystander is served, every place of the pool can be used, and nobody else is there."""
    proxy, database, bystander = place
    assert bystander.types(bystander.query("SELECT 'still here'")) == "TDCZ"

    def quiet():
        m = proxy.metrics()
        return (m.sum("client_connections") == 1 and m.sum("pool_connections", state="active") == 0
                and m.sum("pool_connections", state="testing") == 0)
    wait_for(quiet, 15, "end of what clients have left")
    clients = [proxy.connect(database.name) for _ in range(POOL)]
    for client in clients:
        assert client.query("BEGIN")[-1].body == b"T"
    for client in clients:
        answer = client.query("SELECT v FROM h WHERE id = 1")
        assert client.types(answer) == "TDCZ", answer
        answer = client.send(parse("s", "SELECT 1"), bind("", "s"), execute(), sync()).until("Z")
        assert client.types(answer) == "12DCZ"
        assert client.query("COMMIT")[-1].body == b"I"
        client.close()
    assert proxy.metric("pool_connections") <= POOL
    backends = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = "
    assert int(database.server.psql(f"{backends}'{database.name}' AND application_name NOT LIKE 'pgrecall%'")) <= POOL


def attempt(place, data, end="close"):
    """Sends bytes of a logged-in client and leaves in some way."""
    proxy, database, _ = place
    conn = proxy.connect(database.name)
    try:
        conn.send(data)
        if end == "read":
            conn.rest()
        elif end == "half":
            conn.socket.shutdown(socket.SHUT_WR)
            conn.rest()
    except (OSError, AssertionError):
        pass  # it may be cut off in the middle of anything
    if end == "reset":
        reset(conn)
    conn.close()


LENGTHS = [-0x80000000, -1, 0, 1, 3, 0x7FFFFFFF, 0x40000000, 20 << 20 | 1]


@pytest.mark.parametrize("length", some(LENGTHS, -0x80000000, 3, 0x7FFFFFFF))
def test_T40_lengths_that_lie(place, length):
    for kind in b"QPBDECHSFdcfXp":
        attempt(place, bytes([kind]) + struct.pack("!i", length) + b"x" * 10, "half")
    check(place)


def test_T40_huge_lengths_are_not_allocated(place):
    proxy, database, _ = place

    def resident():
        with open(f"/proc/{proxy.process.pid}/statm") as f:
            return int(f.read().split()[1]) * 4096
    before = resident()
    conns = []
    for kind in b"QPBFd" * 10:
        conn = proxy.connect(database.name)
        conns.append(conn.send(bytes([kind]) + struct.pack("!i", 19 << 20) + b"a\0b\0" + b"x" * 1000))
    assert resident() - before < 100 << 20
    for conn in conns:
        conn.close()
    check(place)


def test_T40_unknown_and_server_only_types(place):
    for kind in range(256):
        if kind not in b"QPBDECHSFdcfX":
            attempt(place, message(chr(kind), b"abc"), "read")
    check(place)


BODIES = [b"", b"\0", b"\0\0", b"\0\0\0", b"x", b"x" * 100, b"\xff" * 100, b"a\0b\0", b"S", b"P", b"X\0", b"Sa",
          b"\0\0\xff\xff", b"\0\0\0\1", b"\0\0\0\0\0\1\x7f\xff\xff\xff", b"\0\0\0\0\0\1\xff\xff\xff\xfe", b"\0\0\0\0\xff\xff",
          b"a\0\0\0\0\0\1\0\0\0\4abc", b"\0SELECT 1\0\0\1", b"\0SELECT 1\0\xff\xff" + b"\0" * 50, b"\0SELECT 1\0\0\0more"]


@pytest.mark.parametrize("kind", some("QPBDECHSFdcfX", *"QPBF"))
def test_T40_malformed_bodies(place, kind):
    for body in BODIES:
        attempt(place, message(kind, body) + sync() + query("SELECT 1") + terminate(), "read")
        attempt(place, parse("", "SELECT 1") + message(kind, body) + sync() + terminate(), "read")
    check(place)


def test_T40_execute_without_bind_and_the_like(place):
    for batch in ([execute("none"), sync()], [execute()], [describe("P"), execute(), flush()], [bind("", "none")],
                  [close("S", "x" * 5000), sync()], [parse("x" * 5000, "SELECT 1"), bind("y" * 5000, "x" * 5000), sync()],
                  [copy_data(b"x" * 100000)], [copy_done(), copy_fail("x" * 100000)], [message("F", b"")], [sync()] * 3000,
                  [flush()] * 3000, [query("")] * 1000, [parse("", "SELECT 1")] * 2000 + [sync()]):
        attempt(place, b"".join(batch) + terminate(), "read")
        attempt(place, b"".join(batch), "reset")
    check(place)


@pytest.mark.parametrize("seed", some(range(4), 0))
def test_T40_garbage(place, seed):
    """Messages with bytes changed, cut out, put in, or repeated."""
    rng = random.Random(seed)
    for _ in range(40):
        data = bytearray(b"".join(rng.choices(BATCH, k=rng.randrange(1, 8))))
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(data))
            data[at:at + rng.randrange(0, 5)] = rng.randbytes(rng.randrange(0, 5))
        attempt(place, bytes(data), rng.choice(["half", "close", "reset"]))
    check(place)


@pytest.mark.parametrize("end", some(["close", "reset", "half"], "reset"))
def test_T53_leaving_at_every_point(place, end):
    """Cut behind each message, and inside it: its type, its length, its body."""
    data = b""
    for one in BATCH:
        for cut in {1, 4, 5, len(one) // 2, len(one)}:
            attempt(place, data + one[:cut], end)
        data += one
    check(place)


def test_T53_leaving_at_every_point_of_the_login(place):
    proxy, database, _ = place
    whole = wire.SSL_REQUEST, wire.startup(user="postgres", database=database.name, application_name="x")
    for start in whole:
        for cut in range(len(start) + 1):
            with wire.Connection(proxy.port) as conn:
                conn.send(start[:cut])
    check(place)


@pytest.mark.parametrize("left", [
    [query("BEGIN"), query("INSERT INTO h VALUES (9, 'gone')")], [query("BEGIN"), query("SELECT 1/0")],
    [parse("", "INSERT INTO h VALUES (9, 'gone')"), bind("", ""), execute()],
    [parse("", "INSERT INTO h VALUES (9, 'gone')"), bind("", ""), execute(), flush()],
    [query("COPY h FROM STDIN"), copy_data(b"9\tgone\n")], [query("COPY h FROM STDIN"), copy_data(b"9\tgone\n" * 9999)[:5000]],
    [query("BEGIN"), query("DECLARE c CURSOR FOR SELECT generate_series(1, 100)"), query("FETCH 1 FROM c")],
    [parse("", "SELECT generate_series(1, 100)"), bind("", ""), execute("", 1), flush()],
    [parse("", "SELECT generate_series(1, 10000000)"), bind("", ""), execute(), flush()],
    [query("SELECT repeat('x', 1000) FROM generate_series(1, 10000000)")],
    [query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000000)) TO STDOUT")],
    [query("SELECT repeat('x', 100000000)")], [query("SET work_mem = '7MB'; CREATE TEMP TABLE h (a int)")]],
    ids=["transaction", "failed", "batch", "flushed", "copy", "half_message", "cursor", "suspended", "rows", "many_rows",
         "copy_out", "large_row", "session_state"])
@pytest.mark.parametrize("end", some(["close", "reset", "terminate"], "close"))
def test_T53_T89_what_was_begun_is_undone(place, left, end):
    proxy, database, _ = place
    for waits in (False, True):
        conn = proxy.connect(database.name)
        conn.send(*left)
        if waits and left[-1] != execute():
            conn.socket.recv(1)
        if end == "terminate":
            conn.send(terminate())
        (reset if end == "reset" else wire.Connection.close)(conn)
    check(place)
    assert database.psql("SELECT count(*) FROM h WHERE id = 9").strip() == "0"


@pytest.mark.parametrize("number", some([1, 50, 500], 50))
def test_T52_nobody_reads_and_everybody_writes(place, number):
    """A client sends much and reads late: bounded, and answered in the end."""
    proxy, database, _ = place
    conn = proxy.connect(database.name)
    big = parse("", "SELECT $1::text, repeat('y', 20000)"), bind("", "", [b"x" * 20000]), execute(), sync()
    conn.socket.settimeout(0.3)
    batch, sent = b"".join(big) * number, 0
    try:
        while sent < len(batch):
            sent += conn.socket.send(batch[sent:sent + 65536])
    except TimeoutError:
        pass
    assert place[2].types(place[2].query("SELECT 1")) == "TDCZ"
    conn.socket.settimeout(15)
    rest, seen = batch[sent:], 0
    while seen < number:
        while rest:  # as much as it takes, without waiting
            try:
                conn.socket.setblocking(False)
                rest = rest[conn.socket.send(rest[:65536]):]
            except BlockingIOError:
                break
            finally:
                conn.socket.settimeout(15)
        seen += conn.receive().kind == "Z"
    conn.close()
    check(place)


def test_T87_T88_a_slow_reader_holds_little(place):
    """A gigabyte for somebody who does not read: memory stays small, others are served."""
    proxy, database, bystander = place

    def resident():
        with open(f"/proc/{proxy.process.pid}/statm") as f:
            return int(f.read().split()[1]) * 4096
    before = resident()
    slow = [proxy.connect(database.name) for _ in range(2)]
    slow[0].send(query("SELECT repeat('x', 10000) FROM generate_series(1, 100000)"))
    slow[1].send(query("SELECT repeat('x', 200000000)"))
    for _ in range(50):
        assert bystander.types(bystander.query("SELECT 1")) == "TDCZ"
    assert resident() - before < 120 << 20
    for conn in slow:
        conn.close()
    check(place)
