# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Flow control (T-52, T-87, T-88): what a client does not read, or sends faster than the server
takes it, costs the configured buffers and nobody else's time; whatever its size, it passes."""

import contextlib
import ssl
import struct
import threading
import time

import pytest

import wire
from servers import wait_for

MB = 1 << 20
GIB_OF_ROWS = "SELECT repeat('x', 10000) FROM generate_series(1, 107375)"
# Freed memory that the sanitizer keeps in order to recognise it is not the program's.
SMALL_QUARANTINE = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:quarantine_size_mb=1:"
                                    "thread_local_quarantine_size_kb=64:allocator_release_to_os_interval_ms=100"}
# The default buffers, twice (the sanitizer's red zones), and what the kernel moves at once.
ALLOWED = 12 * MB


@pytest.fixture
def place(pgrecall, empty_database):
    """start(**settings of [pgrecall]) gives the proxy; its table flow has 100 rows."""
    empty_database.psql("CREATE TABLE flow (id int PRIMARY KEY, v text); INSERT INTO flow "
                        "SELECT i, 'row ' || i FROM generate_series(1, 100) i; CREATE TABLE wide AS "
                        "SELECT id, v || repeat('.', 300) AS v FROM flow")

    def start(cache="off", **settings):
        proxy = pgrecall(env=SMALL_QUARANTINE, cache={"default": cache},
                         pgrecall={"default_pool_size": 4, "workers": 1, **settings})
        proxy.database = empty_database.name
        if cache == "on":
            proxy.warm(empty_database.name)
        with proxy.connect(empty_database.name) as conn:  # what is allocated once
            conn.query("SELECT repeat('x', 1000) FROM generate_series(1, 10000)")
        return proxy
    return start


def memory(proxy, what="VmRSS"):
    with open(f"/proc/{proxy.process.pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(what + ":"))


class Bystander:
    """Another client, whose every query is measured; and the most memory the process had."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.conn = proxy.connect(proxy.database)
        self.slowest = 0
        self.count = 0
        self.peak = 0
        self.error = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            while not self.over.is_set():
                start = time.monotonic()
                assert self.conn.query("SELECT v FROM flow WHERE id = 1")[1].values() == [b"row 1"]
                self.slowest = max(self.slowest, time.monotonic() - start)
                self.peak = max(self.peak, memory(self.proxy))
                self.count += 1
                time.sleep(0.005)
        except Exception as error:
            self.error = error

    def __enter__(self):
        self.before = memory(self.proxy)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(30)
        self.conn.close()

    def check(self, count=5, seconds=3):
        """Others were served all the while, and the memory stayed within its limits."""
        assert self.error is None, self.error
        assert self.count >= count and self.slowest < seconds, (self.count, self.slowest)
        grown = self.peak - self.before
        assert grown < ALLOWED, f"grew by {grown / MB:.1f} MB"


def extended(sql, name="", parse=True, values=()):
    head = [wire.parse(name, sql)] if parse else []
    return b"".join([*head, wire.bind("", name, values), wire.describe("P"), wire.execute(), wire.sync()])


def count_bytes(conn, until_z=1):
    """Reads without keeping what it reads: bytes of DataRows, and the letters of the rest."""
    rows, size, kinds, have = 0, 0, "", bytearray()
    buffer = bytearray(1 << 18)
    left = 0  # of a row that is being skipped
    while kinds.count("Z") < until_z:
        n = conn.socket.recv_into(buffer)
        assert n > 0, f"closed after {rows} rows and {kinds[-20:]!r}"
        at = 0
        if left:
            at = min(left, n)
            left -= at
        have += buffer[at:n]
        at = 0
        while len(have) - at >= 5:
            kind, length = chr(have[at]), struct.unpack_from("!i", have, at + 1)[0] + 1
            if kind == "D":
                rows += 1
                size += length
            else:
                kinds += kind
                assert kind != "E", bytes(have[at:at + length])
            if len(have) - at < length:
                if kind != "D":
                    kinds = kinds[:-1]
                    break
                left = length - (len(have) - at)
                at = len(have)
                break
            at += length
        del have[:at]
    return rows, size, kinds


@pytest.mark.parametrize("protocol, mode", [
    ("simple", "transaction"), ("extended", "transaction"), ("copy", "session")])
def test_T87_a_gigabyte_for_a_slow_reader(place, protocol, mode):
    proxy = place(pool_mode=mode)
    request = {"simple": wire.query(GIB_OF_ROWS), "extended": extended(GIB_OF_ROWS),
               "copy": wire.query(f"COPY ({GIB_OF_ROWS}) TO STDOUT")}[protocol]
    with proxy.connect(proxy.database) as slow, Bystander(proxy) as bystander:
        slow.send(request)
        time.sleep(1.5)  # it reads nothing
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:  # then little
            slow.socket.recv(50000)
            time.sleep(0.02)
        bystander.check()
    wait_for(lambda: proxy.metric("client_connections") == 0, 10, "end of the clients")


def test_T87_a_gigabyte_for_a_fast_reader(place):
    """All of it arrives, and it starves nobody."""
    proxy = place()
    with proxy.connect(proxy.database) as fast, Bystander(proxy) as bystander:
        fast.send(wire.query(GIB_OF_ROWS))
        rows, size, kinds = count_bytes(fast)
        assert (rows, kinds) == (107375, "TCZ") and size > 107375 * 10000
        bystander.check()


@pytest.mark.parametrize("protocol, cache", [("simple", "off"), ("simple", "on"), ("extended", "on")])
def test_T88_a_row_of_200_mb(place, protocol, cache):
    proxy = place(cache)
    sql = "SELECT repeat('x', 200000000), id FROM flow WHERE id = 7"
    request = wire.query(sql) if protocol == "simple" else extended(sql)
    with proxy.connect(proxy.database) as client, Bystander(proxy) as bystander:
        for _ in range(2):
            client.send(request)
            time.sleep(1)
            rows, size, kinds = count_bytes(client)
            assert (rows, kinds) == (1, "TCZ" if protocol == "simple" else "12TCZ")
            assert size == 200000000 + 1 + 4 + 2 + 4 + 4 + 1
        bystander.check()


@pytest.mark.parametrize("what, mode", [
    ("bind", "session"), ("bind_named", "transaction"), ("query", "transaction"), ("copy", "transaction")])
def test_T88_200_mb_from_a_client(place, what, mode):
    """A parameter, a text and a COPY of that size pass without being kept."""
    proxy = place(pool_mode=mode)
    size = 200_000_000
    with proxy.connect(proxy.database) as client, Bystander(proxy) as bystander:
        if what == "query":
            client.send(wire.query("SELECT length('" + "y" * size + "')"))
            answer = client.until("Z")
            assert client.types(answer) == "TDCZ" and answer[1].values() == [b"200000000"]
        elif what == "copy":
            client.send(wire.query("COPY flow (id, v) FROM STDIN"))
            assert client.receive().kind == "G"
            client.send(wire.message("d", b"1000\t" + b"y" * size + b"\n"), wire.copy_done())
            assert client.types(client.until("Z")) == "CZ"
        else:
            name = "large" if what == "bind_named" else ""
            client.send(wire.parse(name, "SELECT length($1::text)"), wire.bind("", name, [b"y" * size]),
                        wire.execute(), wire.close("S", name), wire.sync())
            answer = client.until("Z")
            assert client.types(answer) == "12DC3Z" and answer[2].values() == [b"200000000"], answer
        assert client.types(client.query("SELECT 1")) == "TDCZ"
        bystander.check()


class Pipeline:
    """Data that is sent without reading, until the other side takes no more for a second; what
    is left goes between the answers, since a TLS connection is not for two threads."""

    def __init__(self, conn, data):
        self.socket = conn.socket
        self.left = memoryview(data)
        self.socket.settimeout(1)
        with contextlib.suppress(TimeoutError):
            self.send(0)
        self.socket.settimeout(30)

    def send(self, left):
        while len(self.left) > left:
            self.left = self.left[self.socket.send(self.left[:65536]):]

    def go_on(self, left):
        """Sends until so many bytes are left, and what is taken at once."""
        self.send(left)
        self.socket.settimeout(0)
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.send(0)
        self.socket.settimeout(30)


PIPELINES = {
    # not so short that all of them fit into the buffers of the sockets
    "simple": lambda n: wire.query(f"SELECT v FROM wide WHERE id = {n}" + " " * 100),
    "extended": lambda n: extended("SELECT v FROM wide WHERE id = $1", values=[b"%d" % n]),
    "named": lambda n: extended("SELECT v FROM wide WHERE id = $1", "s", False, values=[b"%d" % n]),
}


@pytest.mark.parametrize("protocol, cache, mode", [
    ("simple", "on", "transaction"), ("simple", "off", "session"), ("extended", "on", "session"),
    ("extended", "off", "transaction"), ("named", "on", "transaction"), ("named", "off", "session")])
def test_T52_a_pipeline_that_nobody_reads(place, protocol, cache, mode):
    """100,000 statements are sent before the first answer is read."""
    proxy = place(cache, pool_mode=mode)
    number = 100_000
    with proxy.connect(proxy.database) as client, Bystander(proxy) as bystander:
        if protocol == "named":
            client.send(wire.parse("s", "SELECT v FROM wide WHERE id = $1"), wire.sync()).until("Z")
        for n in range(1, 101 if cache == "on" else 1):
            client.send(PIPELINES[protocol](n)).until("Z")
        one_round = b"".join(PIPELINES[protocol](n) for n in range(1, 101))
        pipeline = Pipeline(client, one_round * (number // 100))
        bystander.check()
        assert pipeline.left, "everything fitted into the buffers: nothing is tested"
        letters = {"simple": "TDCZ", "extended": "12TDCZ", "named": "2TDCZ"}[protocol]
        expect = [f"row {n}{'.' * 300}".encode() for n in range(1, 101)]
        for n in range(number // 100):
            pipeline.go_on((number // 100 - n - 1) * len(one_round))
            answer = client.until("Z", 100)
            assert client.types(answer) == letters * 100
            assert [m.values()[0] for m in answer if m.kind == "D"] == expect
        bystander.check()
        if cache == "on":
            assert proxy.metric("cache_hits_total") > number * 0.9


@pytest.mark.parametrize("what", ["hits", "large_hits", "misses", "errors", "parse_only", "one_batch"])
def test_T52_answers_pile_up_nowhere(place, what):
    """What is asked again and again and never read: the memory stays what it is."""
    proxy = place("off" if what == "misses" else "on")
    large = "SELECT repeat('z', 900000), v FROM flow WHERE id = 1"
    with proxy.connect(proxy.database) as client, Bystander(proxy) as bystander:
        if what == "large_hits":
            for _ in range(2):
                client.query(large)
            assert proxy.metric("cache_hits_total") > 0
            bystander.before = memory(proxy)
        data = {
            "hits": extended("SELECT v FROM flow WHERE id = 1"),
            "large_hits": wire.query(large),
            "misses": wire.query("SELECT repeat('z', 100000) FROM flow WHERE id < 50"),
            "errors": extended("SELECT 1/0"),
            "parse_only": wire.parse("", "SELECT 1"),
            "one_batch": extended("SELECT v FROM flow WHERE id = 2")[:-5],
        }[what]
        Pipeline(client, data * (50 * MB // len(data) if what != "misses" else 20000))
        time.sleep(0.5)
        bystander.check()
    wait_for(lambda: proxy.metric("client_connections") == 0, 10, "end of the clients")
    with proxy.connect(proxy.database) as conn:
        assert conn.query("SELECT v FROM flow WHERE id = 3")[1].values() == [b"row 3"]


def test_T52_both_directions_are_full(place):
    """Large parameters come back as large rows; nothing is read until nothing more can be sent."""
    proxy = place()
    value = b"v" * 300_000
    with proxy.connect(proxy.database) as client, Bystander(proxy) as bystander:
        batch = extended("SELECT $1::text", values=[value])
        pipeline = Pipeline(client, batch * 200)
        assert pipeline.left
        bystander.check()
        for n in range(200):
            pipeline.go_on((200 - n - 1) * len(batch))
            answer = client.until("Z")
            assert client.types(answer) == "12TDCZ" and answer[3].values() == [value]
        bystander.check()


def test_T87_slow_readers_of_one_entry(place):
    """Many clients that do not read the same large cached answer share it."""
    proxy = place("on", default_pool_size=4)
    sql = "SELECT repeat('z', 900000), v FROM flow WHERE id = 1"
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(proxy.connect(proxy.database)) for _ in range(8)]
        for _ in range(2):
            slow[0].query(sql)
        bystander = stack.enter_context(Bystander(proxy))
        for conn in slow:
            conn.send(wire.query(sql) * 20)
        time.sleep(1)
        bystander.check()
        for conn in slow:
            for _ in range(20):
                answer = conn.until("Z")
                assert len(answer[1].values()[0]) == 900000
        bystander.check()
