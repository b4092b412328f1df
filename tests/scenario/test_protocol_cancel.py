# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Cancel requests and their keys (T-09, T-75 to T-80, T-104)."""

import re
import time

import pytest

import wire
from cancels import CODE, begin, errors
from cancels import send as send_cancel
from servers import wait_for
from wire import query

SLEEPS = ("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' "
          "AND pid <> pg_backend_pid()")


def open_32(proxy, database, **parameters):
    """A connection that speaks protocol 3.2."""
    return wire.Connection(proxy.port).start(database=database, version=0x00030002, **parameters)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_T09_keys_of_protocol_3_2(pgrecall, database, mode):
    proxy = pgrecall(pgrecall={"pool_mode": mode})
    old, new = proxy.connect(database.name), open_32(proxy, database.name)
    assert (len(old.key), len(new.key)) == (4, 32)
    new.send(query("SELECT pg_sleep(20)"))
    wait_for(lambda: database.psql(SLEEPS) == "1\n")
    wrong = [new.key[:4], new.key[:31], new.key + b"\0", bytes(32), new.key[:-1] + bytes([new.key[-1] ^ 1]), new.key * 8]
    for key in wrong:
        assert send_cancel(proxy.port, new.pid, key) == []
        assert send_cancel(proxy.port, old.pid, key) == []
    assert database.psql(SLEEPS) == "1\n"
    assert send_cancel(proxy.port, new.pid, new.key) == []
    assert errors(new.until("Z")) == ["57014"]
    assert new.types(new.query("SELECT 1")) == "TDCZ"


def cancel_while(held, proxy, client):
    """The client is cancelled while its server connection is busy with what pgrecall asks."""
    held.wait()
    asker = begin(proxy.port, client.pid, client.key)
    assert asker.silent(0.3)
    held.release()
    assert errors(client.until("Z")) == ["57014"]
    assert asker.rest() == []


def without_key(data):
    return re.sub(rb"K\0\0\0\x0c.{8}(?=Z\0\0\0\x05I)", b"", data, flags=re.S)


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_T09_a_server_without_a_key(pgrecall, database, gate, mode):
    """Nothing can be cancelled there; all else works."""
    gate.edit = without_key
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, pgrecall={"pool_mode": mode})
    first, second = proxy.connect(database.name), proxy.connect(database.name)
    assert first.pid != second.pid and first.pid >= 1 << 24
    first.send(query("SELECT pg_sleep(1)"))
    wait_for(lambda: database.psql(SLEEPS) == "1\n")
    assert send_cancel(proxy.port, first.pid, first.key) == []
    assert first.types(first.until("Z")) == "TDCZ"
    first.send(query("SELECT pg_sleep(0.5)"))
    wait_for(lambda: database.psql(SLEEPS) == "1\n")
    first.close()
    assert second.types(second.query("SELECT 1")) == "TDCZ"


def test_T104_a_lost_commit_behind_another_pooler(pgrecall, database, gate):
    """Nobody knows which process it ran in: what it wrote is not served from memory again."""
    inner = pgrecall(pgrecall={"pool_mode": "transaction"}, tls=False)  # the gate reads it
    gate.target = inner.port
    outer = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, cache={"default": "on"})
    outer.warm(database.name)
    read = "SELECT name FROM channels WHERE id = 1"
    reader, writer = outer.connect(database.name), outer.connect(database.name)

    def name():
        return [m.values() for m in reader.query(read) if m.kind == "D"]
    old = name()
    wait_for(lambda: name() == old and outer.metric("cache_hits_total") > 0)
    writer.query("BEGIN")
    writer.query("UPDATE channels SET name = 'new' WHERE id = 1")
    lost = gate.cut(b"COMMIT")
    writer.send(query("COMMIT"))
    lost.wait()
    outer.wait_log("lost commit cannot be followed")
    wait_for(lambda: database.psql("SELECT name FROM channels WHERE id = 1") == "new\n")
    hits = outer.metric("cache_hits_total")
    for _ in range(5):
        assert name() == [[b"new"]]
        time.sleep(0.2)
    assert outer.metric("cache_hits_total") == hits


@pytest.mark.parametrize("inner_mode", ["transaction", "session"])
@pytest.mark.parametrize("outer_mode", ["transaction", "session"])
def test_T104_cancel_through_two_proxies(pgrecall, database, inner_mode, outer_mode):
    inner = pgrecall(pgrecall={"pool_mode": inner_mode})
    outer = pgrecall(databases={"*": f"host=127.0.0.1 port={inner.port}"}, pgrecall={"pool_mode": outer_mode})
    first, second = outer.connect(database.name), open_32(outer, database.name)
    for client in (first, second):
        client.send(query("SELECT pg_sleep(20)"))
    wait_for(lambda: database.psql(SLEEPS) == "2\n")
    for client in (second, first):
        assert send_cancel(outer.port, client.pid, client.key) == []
        assert errors(client.until("Z")) == ["57014"]
        assert client.types(client.query("SELECT 1")) == "TDCZ"


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("setting", ["search_path", "work_mem"])
def test_T75_cancel_while_settings_are_being_set(pgrecall, database, gate, setting, extended):
    """It is for the query behind them, and does not end the session."""
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, pgrecall={"default_pool_size": 1})
    value = {"search_path": "nowhere", "work_mem": "5MB"}[setting]
    with proxy.connect(database.name) as client, proxy.connect(database.name) as other:
        client.query(f"SET {setting} = '{value}'")
        other.query("SELECT 1")
        held = gate.hold_requests(value.encode())
        sleep = "SELECT pg_sleep(20)"
        client.send(*([wire.parse("", sleep), wire.bind("", ""), wire.execute(), wire.sync()] if extended else [query(sleep)]))
        cancel_while(held, proxy, client)
        shown = client.query(f"SHOW {setting}")
        assert [m.values() for m in shown if m.kind == "D"] == [[value.encode()]]
        assert other.types(other.query("SELECT 1")) == "TDCZ"


@pytest.mark.parametrize("extended", [False, True])
def test_T75_cancel_while_a_setting_is_asked_for(pgrecall, empty_database, gate, extended):
    """What is known then is of the SHOW that it hit, and of no other."""
    empty_database.psql(f"ALTER DATABASE {empty_database.name} SET my.given = 'given'")
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, pgrecall={"default_pool_size": 1})
    with proxy.connect(empty_database.name) as client:
        client.query("SELECT 1")
        held = gate.hold_requests(b"current_setting('my.none'")
        show = "SHOW my.none"
        client.send(*([wire.parse("", show), wire.bind("", ""), wire.execute(), wire.sync()] if extended else [query(show)]))
        cancel_while(held, proxy, client)
        assert [m.values() for m in client.query("SHOW my.given") if m.kind == "D"] == [[b"given"]]
        assert errors(client.query("SHOW my.none")) == ["42704"]


def test_T76_a_cancel_under_way_keeps_others_away(pgrecall, database, gate):
    """The query has ended before its cancel request arrives: nobody else gets the connection until then."""
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, pgrecall={"default_pool_size": 1})
    with proxy.connect(database.name) as first, proxy.connect(database.name) as second:
        first.send(query("SELECT pg_sleep(1)"))
        wait_for(lambda: database.psql(SLEEPS) == "1\n")
        held = gate.hold_requests(CODE)
        asker = begin(proxy.port, first.pid, first.key)
        held.wait()
        assert first.types(first.until("Z")) == "TDCZ"
        second.send(query("SELECT pg_sleep(1)"))
        assert second.silent(0.5) and asker.silent(0.1)
        held.release()
        assert asker.rest() == []
        assert second.types(second.until("Z")) == "TDCZ"


def test_T78_a_storm_of_cancels(pgrecall, database):
    """Each connection has one request under way at a time; the rest of the work goes on."""
    proxy = pgrecall()
    with proxy.connect(database.name) as client, proxy.connect(database.name) as other:
        client.send(query("SELECT pg_sleep(20)"))
        wait_for(lambda: database.psql(SLEEPS) == "1\n")
        storm = [wire.Connection(proxy.port) for _ in range(200)]
        for number, one in enumerate(storm):
            one.send(wire.cancel_request(client.pid, client.key if number % 10 == 0 else bytes(4)))
        assert other.types(other.query("SELECT 1")) == "TDCZ"
        for one in storm:
            assert one.rest() == []
        assert errors(client.until("Z")) == ["57014"]
        assert client.types(client.query("SELECT 1")) == "TDCZ"
        assert proxy.metric("query_cancels_total") <= 20
