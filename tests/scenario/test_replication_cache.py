# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""What SQL on a replication connection does to the cache: nothing stale is served."""

import time

import pytest

import wire
from cached import FRESH, NEW, OLD, READ, SCHEMA, Cached
from servers import wait_for
from wire import bind, copy_data, copy_done, execute, parse, query, sync


@pytest.fixture(params=[False, True], ids=["memory", "redis"])
def cached(request, pgrecall, empty_database, gate):
    empty_database.psql(SCHEMA)
    redis = request.getfixturevalue("redis") if request.param else None
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, cache={"default": "on"}, redis=redis)
    made = Cached(proxy, empty_database.name)
    made.warm(made.client(), "SELECT count(*) FROM t")
    yield made
    gate.close()
    made.close()


def writer_of(cached):
    return wire.Connection(cached.proxy.port).start(database=cached.name, replication="database")


def answered(conn, *messages, until="Z", times=1):
    conn.send(*messages)
    seen = conn.until(until, times)
    assert not [m for m in seen if m.kind == "E"], seen
    return seen


@pytest.mark.parametrize("text", [
    NEW, f"  \n{NEW}", f"/* IDENTIFY_SYSTEM */ {NEW}", f"SELECT 1; {NEW}", f"BEGIN; {NEW}; COMMIT", " " * 100 + NEW,
    f"DO $$ BEGIN {NEW}; END $$", "CREATE OR REPLACE VIEW x AS SELECT 1; UPDATE t SET v = 1000 WHERE id = 1"])
def test_a_write(cached, text):
    reader = cached.client()
    with writer_of(cached) as writer:
        assert cached.warm(reader, READ) == OLD
        answered(writer, query(text))
        assert cached.ask(reader, READ) == (FRESH, False)
        assert cached.warm(reader, READ) == FRESH


def test_a_transaction(cached):
    reader = cached.client()
    with writer_of(cached) as writer:
        answered(writer, query("BEGIN"))
        answered(writer, query(NEW))
        assert cached.warm(reader, READ) == OLD
        answered(writer, query("COMMIT"))
        assert cached.ask(reader, READ) == (FRESH, False)


def test_several_at_once(cached):
    reader = cached.client()
    with writer_of(cached) as writer:
        assert cached.warm(reader, READ) == OLD
        answered(writer, query("SELECT 1"), query(NEW), query("IDENTIFY_SYSTEM"), query("SELECT 2"), times=4)
        assert cached.ask(reader, READ) == (FRESH, False)
        assert cached.warm(reader, READ) == FRESH


def test_copy(cached):
    reader = cached.client()
    with writer_of(cached) as writer:
        assert cached.warm(reader, READ) == OLD
        answered(writer, query("COPY t (k, v) FROM STDIN"), until="G")
        answered(writer, copy_data(b"1\t1000\n"), copy_done())
        assert cached.ask(reader, READ) == (FRESH, False)


def test_a_commit_that_is_not_acknowledged(cached, gate):
    """Between PostgreSQL's commit and our knowing of it nothing old is served."""
    reader = cached.client()
    with writer_of(cached) as writer:
        assert cached.warm(reader, READ) == OLD
        held = gate.hold_replies(b"1000")
        writer.send(query(NEW))
        held.wait()
        for _ in range(3):
            assert cached.ask(reader, READ) == (FRESH, False)
        held.release()
        writer.until("Z")
        assert cached.warm(reader, READ) == FRESH


def test_a_write_that_the_server_does_not_have_yet(cached, gate):
    reader = cached.client()
    with writer_of(cached) as writer:
        assert cached.warm(reader, READ) == OLD
        held = gate.hold_requests(b"1000")
        writer.send(query(NEW))
        held.wait()
        assert cached.ask(reader, READ) == (OLD, False)
        held.release()
        writer.until("Z")
        assert cached.ask(reader, READ) == (FRESH, False)


def test_the_connection_is_lost(cached, gate):
    """Nobody knows how it ended until the server process is gone."""
    reader = cached.client()
    writer = writer_of(cached)
    assert cached.warm(reader, READ) == OLD
    lost = gate.cut(b"1000")
    writer.send(query(f"SELECT pg_sleep(1); {NEW}"))
    lost.wait()
    assert writer.rest() == []
    rows = OLD
    while rows == OLD:
        rows, hit = cached.ask(reader, READ)
        assert not hit
        time.sleep(0.1)
    lost.end()
    assert cached.warm(reader, READ) == FRESH


def test_the_client_leaves(cached):
    reader = cached.client()
    writer = writer_of(cached)
    assert cached.warm(reader, READ) == OLD
    writer.send(query(f"{NEW}; SELECT pg_sleep(1)"))
    wait_for(lambda: cached.direct.run("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
    writer.close()
    assert cached.warm(reader, READ) in (OLD, FRESH)
    wait_for(lambda: not cached.direct.run("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
    assert cached.warm(reader, READ) == cached.direct.run(READ)


def test_extended_messages_count_too(cached):
    """PostgreSQL refuses them here; what waits for Sync is in flight until then."""
    reader = cached.client()
    with writer_of(cached) as writer:
        writer.send(parse("", NEW), bind("", ""), execute(), sync())
        assert "E" in [m.kind for m in writer.until("Z")]
        assert cached.warm(reader, READ) == OLD


def test_streaming_leaves_the_cache_on(cached, empty_database):
    """Replication commands write nothing, however long they run."""
    reader = cached.client()
    slot = f"stream_{empty_database.name}"
    with writer_of(cached) as writer:
        assert cached.warm(reader, READ) == OLD
        answered(writer, query("IDENTIFY_SYSTEM"))
        answered(writer, query(f"CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL test_decoding NOEXPORT_SNAPSHOT"))
        assert cached.ask(reader, READ) == (OLD, True)
        answered(writer, query(f"START_REPLICATION SLOT {slot} LOGICAL 0/0"), until="W")
        assert cached.ask(reader, READ) == (OLD, True)
        cached.client().run(NEW)
        while b"1000" not in writer.until("d")[-1].body:
            pass
        assert cached.warm(reader, READ) == FRESH
        writer.send(copy_done())
        writer.until("Z")
        answered(writer, query("INSERT INTO t (k, v) VALUES (1, 2000)"))
        assert cached.ask(reader, READ) == ([[b"2000"]], False)
