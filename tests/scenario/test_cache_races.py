# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Each race between a read that fills the cache and a write, step by step.

A gate between pgrecall and PostgreSQL (or Redis) holds bytes at the moment in question;
an advisory lock in a deferred trigger makes a COMMIT take as long as the test wants.
"""

import threading
import time
from types import SimpleNamespace

import pytest
import wire
from cached import Cached
from gate import Gate
from servers import wait_for

SCHEMA = """
CREATE TABLE t (id serial PRIMARY KEY, k int, v int);
INSERT INTO t (k, v) SELECT g % 3, g FROM generate_series(1, 30) AS g;
CREATE TABLE slow (k int);
CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql
	AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION linger();
"""
READ = "SELECT max(v) FROM t WHERE k = 1"
ALL = "SELECT max(v), count(*) FROM t"
OTHER = "SELECT max(v) FROM t WHERE k = 2"
NEW = "INSERT INTO t (k, v) VALUES (1, 1000)"
OLD, FRESH = [[b"28"]], [[b"1000"]]


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def cached(request, pgrecall, empty_database, gate):
    empty_database.psql(SCHEMA)
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, cache={"default": "on"},
                     pgrecall={"workers": request.param})
    made = Cached(proxy, empty_database.name)
    made.warm(made.client(), "SELECT count(*) FROM slow")  # the catalogue is there
    yield made
    gate.close()
    made.close()


def test_write_during_a_fill(cached, gate):
    """The answer that PostgreSQL gave before the write arrives after it."""
    reader, writer = cached.client(), cached.client()
    held = gate.hold_replies(b"SELECT max(v)")
    reader.send(wire.query(READ))
    held.wait()
    writer.run(NEW)
    held.release()
    assert reader.rows(reader.until("Z")) == OLD
    assert cached.miss(writer, READ) == FRESH
    assert cached.hit(reader, READ) == FRESH


def test_write_before_the_read_reaches_the_server(cached, gate):
    reader, writer = cached.client(), cached.client()
    held = gate.hold_requests(b"SELECT max(v)")
    reader.send(wire.query(READ))
    held.wait()
    writer.run(NEW)
    held.release()
    assert reader.rows(reader.until("Z")) == FRESH
    assert cached.right(writer, READ) == FRESH


def test_other_rows_during_a_fill(cached, gate):
    """A write of other rows does not disturb it."""
    reader, writer = cached.client(), cached.client()
    cached.warm(reader, OTHER)
    held = gate.hold_replies(b"k = 1")
    reader.send(wire.query(READ))
    held.wait()
    writer.run("INSERT INTO t (k, v) VALUES (0, 1000)")
    held.release()
    assert reader.rows(reader.until("Z")) == OLD
    assert cached.hit(writer, READ) == OLD
    assert cached.hit(writer, OTHER) == [[b"29"]]


@pytest.mark.parametrize("how", ["simple", "extended", "transaction", "copy"])
def test_commit_that_is_not_acknowledged(cached, gate, how):
    """PostgreSQL has committed, pgrecall does not know: nobody gets the old answer from the
    cache any more, and what is read now is not kept."""
    reader, writer = cached.client(), cached.client()
    cached.warm(reader, READ)
    cached.warm(reader, ALL)
    if how == "transaction":
        writer.run("BEGIN", NEW)
        assert cached.hit(reader, READ) == OLD
        held = gate.hold_replies(b"COMMIT")
        writer.send(wire.query("COMMIT"))
    elif how == "extended":
        held = gate.hold_replies(b"INSERT INTO t")
        writer.send(wire.parse("", NEW), wire.bind("", ""), wire.execute(), wire.sync())
    elif how == "copy":
        writer.send(wire.query("COPY t (k, v) FROM STDIN")).until("G")
        held = gate.hold_replies(b"1\t1000")
        writer.send(wire.copy_data(b"1\t1000\n"), wire.copy_done())
    else:
        held = gate.hold_replies(b"INSERT INTO t")
        writer.send(wire.query(NEW))
    held.wait()
    wait_for(lambda: cached.direct.run(READ) == FRESH)
    for _ in range(3):
        assert cached.miss(reader, READ) == FRESH
    assert cached.miss(reader, ALL) == [[b"1000", b"31"]]
    held.release()
    writer.rows(writer.until("Z"))
    assert cached.right(reader, READ) == FRESH
    assert cached.warm(reader, READ) == FRESH


def test_commit_that_the_server_does_not_have_yet(cached, gate):
    reader, writer = cached.client(), cached.client()
    cached.warm(reader, READ)
    writer.run("BEGIN", NEW)
    held = gate.hold_requests(b"COMMIT")
    writer.send(wire.query("COMMIT"))
    held.wait()
    for _ in range(3):
        assert cached.miss(reader, READ) == OLD
    held.release()
    writer.until("Z")
    assert cached.right(reader, READ) == FRESH


def test_roll_back_brings_the_entries_back(cached):
    reader, writer = cached.client(), cached.client()
    cached.warm(reader, READ)
    writer.run("BEGIN", NEW)
    assert writer.run(READ) == FRESH
    assert cached.hit(reader, READ) == OLD
    writer.run("ROLLBACK")
    assert cached.hit(reader, READ) == OLD
    writer.fails("INSERT INTO t (id, k, v) VALUES (1, 1, 1000)")
    assert cached.hit(reader, READ) == OLD


def test_long_transaction(cached):
    """It wrote before the fill began and commits after it ended."""
    reader, writer = cached.client(), cached.client()
    writer.run("BEGIN", NEW)
    assert cached.warm(reader, READ) == OLD
    writer.run("SELECT 1", "COMMIT")
    assert cached.miss(reader, READ) == FRESH


def test_commit_during_a_fill_of_a_long_read(cached, gate):
    """The read began before the COMMIT was sent, and its answer comes in two halves."""
    reader, writer = cached.client(), cached.client()
    writer.run("BEGIN", NEW)
    held = gate.hold_replies(b"SELECT max(v)")
    reader.send(wire.query(READ))
    held.wait()
    writer.run("COMMIT")
    held.release()
    assert reader.rows(reader.until("Z")) == OLD
    assert cached.miss(reader, READ) == FRESH


def test_two_commits_at_once(cached, gate):
    """The first is acknowledged while the second is on its way."""
    reader, one, two = cached.client(), cached.client(), cached.client()
    cached.warm(reader, READ)
    held = gate.hold_replies(b"(1, 2000)")
    two.send(wire.query("INSERT INTO t (k, v) VALUES (1, 2000)"))
    held.wait()
    one.run(NEW)
    for _ in range(3):
        assert cached.miss(reader, READ) == [[b"2000"]]
    held.release()
    two.until("Z")
    assert cached.warm(reader, READ) == [[b"2000"]]


def lingering(cached):
    """A client whose COMMIT takes until the lock is given up."""
    cached.direct.run("SELECT pg_advisory_lock(7)")
    writer = cached.client()
    writer.run("BEGIN", NEW, "INSERT INTO slow VALUES (1)")
    return writer


def backends(cached):
    return cached.direct.run("SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                             "AND wait_event = 'advisory'")


def test_connection_lost_in_a_commit(cached, gate):
    """Nobody knows how it ended until the server process is gone."""
    reader, writer = cached.client(), lingering(cached)
    assert cached.warm(reader, READ) == OLD
    lost = gate.cut(b"COMMIT")
    writer.send(wire.query("COMMIT"))
    lost.wait()
    assert writer.receive().kind == "E"
    wait_for(lambda: backends(cached))
    for _ in range(5):
        assert cached.miss(reader, READ) == OLD
        time.sleep(0.1)
    cached.direct.run("SELECT pg_advisory_unlock(7)")
    wait_for(lambda: cached.direct.run(READ) == FRESH)
    for _ in range(5):
        assert cached.miss(reader, READ) == FRESH
        time.sleep(0.1)
    lost.end()
    assert cached.warm(reader, READ) == FRESH


def test_connection_lost_in_a_commit_that_never_happens(cached, gate):
    reader, writer = cached.client(), lingering(cached)
    assert cached.warm(reader, READ) == OLD
    lost = gate.cut(b"COMMIT")
    writer.send(wire.query("COMMIT"))
    lost.wait()
    wait_for(lambda: backends(cached))
    assert cached.miss(reader, READ) == OLD
    cached.direct.run(f"SELECT pg_terminate_backend({backends(cached)[0][0].decode()})")
    assert cached.warm(reader, READ) == OLD


def test_backend_killed_in_a_commit(cached):
    """A FATAL error does not tell that nothing was committed."""
    reader, writer = cached.client(), lingering(cached)
    assert cached.warm(reader, READ) == OLD
    writer.send(wire.parse("", "COMMIT"), wire.bind("", ""), wire.execute(), wire.sync())
    (pid,) = wait_for(lambda: backends(cached))[0]
    assert cached.miss(reader, READ) == OLD
    cached.direct.run(f"SELECT pg_terminate_backend({pid.decode()})")
    assert writer.until("E")[-1].sqlstate() == "57P01"
    assert cached.right(reader, READ) == OLD
    assert cached.warm(reader, READ) == OLD


def test_client_gone_in_a_commit(cached):
    """Who sent the COMMIT does not wait for the answer: it is cancelled, or it is not."""
    reader, writer = cached.client(), lingering(cached)
    assert cached.warm(reader, READ) == OLD
    writer.send(wire.query("COMMIT"))
    wait_for(lambda: backends(cached))
    writer.close()
    for _ in range(5):
        cached.right(reader, READ)
        time.sleep(0.02)
    cached.direct.run("SELECT pg_advisory_unlock(7)")
    for _ in range(20):
        cached.right(reader, READ)
        time.sleep(0.02)
    cached.warm(reader, READ)


def test_prepared_transaction(cached):
    """Between PREPARE TRANSACTION and its COMMIT anybody may finish it."""
    reader, writer, other = cached.client(), cached.client(), cached.client()
    cached.warm(reader, READ)
    writer.run("BEGIN", NEW, "PREPARE TRANSACTION 'races1'")
    assert cached.right(reader, READ) == OLD
    cached.direct.run("COMMIT PREPARED 'races1'")  # not through pgrecall
    for _ in range(3):
        assert cached.miss(reader, READ) == FRESH
    writer.run("BEGIN", "INSERT INTO t (k, v) VALUES (1, 2000)", "PREPARE TRANSACTION 'races2'")
    other.run("COMMIT PREPARED 'races2'")
    assert cached.right(reader, READ) == [[b"2000"]]


def test_prepared_transaction_in_a_named_portal(cached):
    reader, writer = cached.client(), cached.client()
    cached.direct.run("BEGIN", NEW, "PREPARE TRANSACTION 'races3'")
    assert cached.warm(reader, READ) == OLD
    writer.send(wire.parse("", "COMMIT PREPARED 'races3'"), wire.bind("p", ""), wire.execute("p"), wire.sync())
    writer.rows(writer.until("Z"))
    assert cached.right(reader, READ) == FRESH
    assert cached.warm(reader, READ) == FRESH


def test_transaction_prepared_before_the_start(pgrecall, empty_database, gate):
    """pgrecall never saw what it wrote."""
    empty_database.psql(SCHEMA)
    empty_database.psql(f"BEGIN; {NEW}; PREPARE TRANSACTION 'races4'")
    cached = Cached(pgrecall(cache={"default": "on"}), empty_database.name)
    reader, writer = cached.client(), cached.client()
    assert cached.warm(reader, READ) == OLD
    writer.run("COMMIT PREPARED 'races4'")
    assert cached.right(reader, READ) == FRESH
    cached.close()


def test_ddl_while_a_read_fills(cached, gate):
    """CREATE OR REPLACE VIEW between the answer and its arrival."""
    cached.direct.run("CREATE VIEW w AS SELECT max(v) AS m FROM t WHERE k = 1")
    reader, writer = cached.client(), cached.client()
    writer.run("COMMENT ON VIEW w IS 'known'")
    assert cached.warm(reader, "SELECT m FROM w") == OLD
    writer.run(NEW)
    held = gate.hold_replies(b"SELECT m")
    reader.send(wire.query("SELECT m FROM w"))
    held.wait()
    writer.run("CREATE OR REPLACE VIEW w AS SELECT min(v) AS m FROM t WHERE k = 2")
    held.release()
    reader.until("Z")
    assert cached.right(reader, "SELECT m FROM w") == [[b"2"]]
    assert cached.warm(reader, "SELECT m FROM w") == [[b"2"]]
    writer.run("INSERT INTO t (k, v) VALUES (2, 1)")
    assert cached.right(reader, "SELECT m FROM w") == [[b"1"]]


def test_write_that_waits_for_ddl(cached):
    """A trigger comes to be while an INSERT of the old plan waits for the table's lock."""
    cached.direct.run("CREATE TABLE log (k int)", """CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
		AS $$ BEGIN INSERT INTO t (k, v) VALUES (1, 1000); RETURN NULL; END $$""")
    reader, writer, owner = cached.client(), cached.client(), cached.client()
    owner.run("COMMENT ON TABLE log IS 'known'")
    writer.run("INSERT INTO log VALUES (1)", "INSERT INTO log VALUES (1)")
    assert cached.warm(reader, READ) == OLD
    owner.run("BEGIN", "CREATE TRIGGER note AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION note()")
    writer.send(wire.query("INSERT INTO log VALUES (2)"))
    wait_for(lambda: cached.direct.run("SELECT 1 FROM pg_locks WHERE NOT granted"))
    owner.run("COMMIT")
    writer.rows(writer.until("Z"))
    for _ in range(30):
        assert cached.right(reader, READ) == FRESH
        time.sleep(0.02)


def test_catalogue_changed_elsewhere(cached):
    """Until pgrecall notices DDL that went past it, what it does not know is not cached."""
    cached.direct.run("CREATE TABLE fresh (a int)", "INSERT INTO fresh VALUES (1)")
    reader, writer = cached.client(), cached.client()
    assert cached.never_cached(reader, "SELECT count(*) FROM fresh") == [[b"1"]]
    writer.run("INSERT INTO fresh VALUES (2)")
    assert cached.right(reader, "SELECT count(*) FROM fresh") == [[b"2"]]


def test_pipelined_write_and_read(cached):
    """One packet: read, write, read, and a transaction."""
    client, reader = cached.client(), cached.client()
    cached.warm(reader, READ)
    client.send(wire.query(READ), wire.query(NEW), wire.query(READ))
    assert [m.values() for m in client.until("Z", 3) if m.kind == "D"] == [*OLD, *FRESH]

    def unit(sql):
        return wire.parse("", sql) + wire.bind("", "") + wire.execute()

    client.send(unit(READ), unit("UPDATE t SET v = 3000 WHERE v = 1000"), unit(READ), wire.sync(), unit(READ), wire.sync())
    assert [m.values() for m in client.until("Z", 2) if m.kind == "D"] == [*FRESH, [b"3000"], [b"3000"]]
    assert cached.right(reader, READ) == [[b"3000"]]


def test_many_clients_of_one_write(cached):
    """Everybody who asks after the acknowledgement sees it, whoever's worker it is."""
    clients = [cached.client() for _ in range(12)]
    for number in range(1000, 1010):
        cached.warm(clients[0], READ)
        for client in clients:
            client.run(READ)
        clients[number % 12].run(f"INSERT INTO t (k, v) VALUES (1, {number})")
        for client in clients:
            assert client.run(READ) == [[str(number).encode()]]


# Redis

@pytest.fixture
def redis_gate(redis):
    made = Gate(redis.port)
    yield made
    made.close()


@pytest.fixture
def with_redis(pgrecall, empty_database, redis, redis_gate):
    """L2 alone, behind a gate."""
    empty_database.psql(SCHEMA)
    proxy = pgrecall(cache={"default": "on", "l1_size": 0}, pgrecall={"workers": 1},
                     redis=SimpleNamespace(url=f"redis://127.0.0.1:{redis_gate.port}/0"))
    made = Cached(proxy, empty_database.name)
    yield made
    redis_gate.close()
    made.close()


def test_entry_fetched_during_a_write(with_redis, redis_gate):
    """Redis has answered with entry and tokens, then a write is acknowledged, then the answer
    arrives: the entry is too old by then."""
    cached = with_redis
    reader, writer = cached.client(), cached.client()
    cached.warm(reader, READ)
    held = redis_gate.hold_replies(b"MGET")
    reader.send(wire.query(READ))
    held.wait()
    threading.Timer(0.5, held.release).start()
    writer.run(NEW)
    assert reader.rows(reader.until("Z")) == FRESH
    assert cached.right(reader, READ) == FRESH


def test_entry_that_arrives_late_in_redis(with_redis, redis_gate):
    """The fill was sent to Redis before the write's tokens and gets there in order."""
    cached = with_redis
    reader, writer = cached.client(), cached.client()
    cached.warm(reader, OTHER)
    held = redis_gate.hold_requests(b"k = 1")
    reader.run(READ)
    writer.run(NEW)
    held.release()
    for _ in range(10):
        assert cached.right(reader, READ) == FRESH
        time.sleep(0.05)


def test_tokens_that_get_lost(with_redis, redis_gate):
    """Redis hangs when a write's tokens are due: nothing of before may come back."""
    cached = with_redis
    reader, writer = cached.client(), cached.client()
    cached.warm(reader, READ)
    held = redis_gate.hold_requests(b"SET")
    began = time.monotonic()
    writer.run(NEW)
    assert time.monotonic() - began < 2
    assert cached.right(reader, READ) == FRESH
    held.release()
    for _ in range(20):
        assert cached.right(reader, READ) == FRESH
        time.sleep(0.1)
    assert cached.warm(reader, READ) == FRESH
