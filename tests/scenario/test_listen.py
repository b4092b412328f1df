# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""LISTEN and NOTIFY: in transaction mode one connection a database listens for every client
(T-82 to T-84)."""

import asyncio
import contextlib
import select
import struct
import time

import psycopg
import psycopg2
import psycopg2.extensions
import pytest
import wire
from servers import wait_for

asyncpg = pytest.importorskip("asyncpg")

LISTENS = "application_name = 'pgrecall listen' AND datname = '{}'"


@pytest.fixture
def proxy(pgrecall):
    return pgrecall(cache={"default": "on"}, pgrecall={"pool_mode": "transaction"})


def gated(pgrecall, gate, **settings):
    return pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, pgrecall={"pool_mode": "transaction", **settings})


def note(message):
    """Channel and payload of a NotificationResponse."""
    assert message.kind == "A", message
    channel, payload, rest = message.body[4:].split(b"\0")
    assert rest == b""
    return channel.decode(), payload.decode()


def notes(messages):
    return [note(m) for m in messages if m.kind == "A"]


def heard(client, count):
    """The next messages of an idle client, which must be notifications."""
    return [note(client.receive()) for _ in range(count)]


def ran(client, sql):
    """Runs it; it must succeed."""
    messages = client.query(sql)
    assert "E" not in client.types(messages), messages
    return messages


def quiet(client):
    """Nothing has come, and nothing comes with the next answer."""
    return client.silent(0.3) and notes(client.query("SELECT 1")) == []


def listeners(database):
    sql = f"SELECT count(*) FROM pg_stat_activity WHERE {LISTENS.format(database.name)}"
    return int(database.psql(sql))


@pytest.fixture
def clients(proxy, database):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(proxy.connect(database.name)) for _ in range(4)]


# In the middle of the road


def test_is_told_of_what_others_notify(proxy, database, clients):
    one, two, three, _ = clients
    ran(one, "LISTEN a")
    ran(two, "LISTEN a; LISTEN \"B c\"")
    ran(three, "NOTIFY a, 'first'")
    ran(three, "SELECT pg_notify('B c', 'second')")
    database.psql("NOTIFY a")
    assert heard(one, 2) == [("a", "first"), ("a", "")]
    assert heard(two, 3) == [("a", "first"), ("B c", "second"), ("a", "")]
    assert quiet(three)
    assert listeners(database) == 1
    page = proxy.metrics()
    assert page.sum("listen_channels") == 2
    assert page.sum("notifications_received_total") == 3
    assert page.sum("notifications_sent_total") == 5


def test_hears_itself(clients):
    one = clients[0]
    ran(one, "LISTEN a")
    one.send(wire.query("NOTIFY a, 'to myself'"))
    seen = one.until("A")
    assert note(seen[-1]) == ("a", "to myself")
    pid = struct.unpack("!i", seen[-1].body[:4])[0]
    assert pid != one.pid, "the pid of the pooled connection, which is nobody's own"


def test_hears_what_its_own_transaction_notified(clients):
    """Also in the transaction of the LISTEN, and in one text with it."""
    one, two, three, _ = clients
    one.send(wire.query("LISTEN a; NOTIFY a, 'x'"))
    assert note(one.until("A")[-1]) == ("a", "x")
    two.send(wire.query("BEGIN"), wire.query("LISTEN b"), wire.query("NOTIFY b, 'y'"),
             wire.query("COMMIT"))
    assert note(two.until("A")[-1]) == ("b", "y")
    three.send(wire.query("LISTEN c"), wire.query("NOTIFY c, 'z'"))
    assert note(three.until("A")[-1]) == ("c", "z")


def test_costs_one_connection(pgrecall, database):
    """200 clients, three channels, two server connections."""
    proxy = pgrecall(pgrecall={"default_pool_size": 2})
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(proxy.connect(database.name)) for _ in range(200)]
        for i, client in enumerate(crowd):
            ran(client, f"LISTEN channel{i % 3}")
        assert listeners(database) == 1
        used = int(database.psql(
            f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database.name}'"
            " AND application_name NOT LIKE 'pgrecall%' AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"))
        assert used <= 2
        for i in range(3):
            database.psql(f"NOTIFY channel{i}, 'p{i}'")
        for i, client in enumerate(crowd):
            assert heard(client, 1) == [(f"channel{i % 3}", f"p{i % 3}")]
        assert proxy.metric("listen_channels") == 3
    wait_for(lambda: proxy.metric("listen_channels") == 0, 10, "UNLISTEN when all have gone")


def test_order_and_size(clients, database):
    """What one notifier says comes in its order, up to PostgreSQL's 7999 bytes."""
    one, two, _, _ = clients
    ran(one, "LISTEN a; LISTEN b")
    long = "x" * 7999
    for i in range(50):
        ran(two, f"BEGIN; NOTIFY a, '{i}'; NOTIFY b, '{i}'; COMMIT; NOTIFY a, '{i}{long[len(str(i)):]}'")
    expected = []
    for i in range(50):
        expected += [("a", str(i)), ("b", str(i)), ("a", str(i) + long[len(str(i)):])]
    assert heard(one, 150) == expected
    messages = two.query(f"NOTIFY a, 'x{long}'")
    assert [m.sqlstate() for m in messages if m.kind == "E"] == ["22023"]


# Transactions


def test_counts_from_the_commit_on(clients, database):
    one, two = clients[:2]
    ran(one, "BEGIN")
    ran(one, "LISTEN a")
    ran(two, "NOTIFY a, 'too early'")
    time.sleep(0.3)
    assert notes(ran(one, "COMMIT")) == []
    ran(two, "NOTIFY a, 'in time'")
    assert heard(one, 1) == [("a", "in time")]
    ran(one, "BEGIN; UNLISTEN a")
    ran(two, "NOTIFY a, 'held, and dropped'")
    time.sleep(0.3)
    assert notes(ran(one, "COMMIT")) == []
    ran(two, "NOTIFY a, 'too late'")
    assert quiet(one)


@pytest.mark.parametrize("steps, channels", [
    (["BEGIN", "LISTEN a", "ROLLBACK"], ""),
    (["BEGIN; LISTEN a; ROLLBACK"], ""),
    (["BEGIN; LISTEN a; ROLLBACK; LISTEN b"], "b"),
    (["LISTEN a; SELECT 1/0"], ""),
    (["BEGIN; LISTEN a; COMMIT; LISTEN b; SELECT 1/0"], "a"),
    (["BEGIN", "LISTEN a", "SELECT 1/0", "COMMIT"], ""),
    (["BEGIN", "LISTEN a", "SAVEPOINT s", "LISTEN b", "ROLLBACK TO s", "LISTEN c", "COMMIT"], "ac"),
    (["BEGIN", "SAVEPOINT s", "LISTEN a", "ROLLBACK TO s", "LISTEN b", "COMMIT"], "b"),
    (["BEGIN", "LISTEN a", "SAVEPOINT s", "LISTEN b", "SELECT 1/0", "ROLLBACK TO s", "COMMIT"], "a"),
    (["BEGIN", "LISTEN a", "SAVEPOINT s", "LISTEN b", "RELEASE s", "COMMIT"], "ab"),
    (["BEGIN", "SAVEPOINT s", "LISTEN a", "SAVEPOINT s", "LISTEN b", "RELEASE s", "ROLLBACK TO s",
      "COMMIT"], ""),
    (["BEGIN", "LISTEN a", "COMMIT AND CHAIN", "LISTEN b", "ROLLBACK AND CHAIN", "LISTEN c", "COMMIT"],
     "ac"),
    (["LISTEN a; LISTEN b; UNLISTEN a"], "b"),
    (["LISTEN a", "LISTEN b", "UNLISTEN *", "LISTEN c"], "c"),
    (["LISTEN a", "BEGIN; UNLISTEN a; ROLLBACK"], "a"),
    (["LISTEN a", "BEGIN; UNLISTEN *; LISTEN b; ROLLBACK"], "a"),
    (["LISTEN a", "DISCARD ALL", "LISTEN b"], "b"),
    (["LISTEN a", "LISTEN a", "UNLISTEN a"], ""),
    (["UNLISTEN a", "UNLISTEN *"], ""),
    (["LISTEN a; DISCARD ALL"], ""),
])
@pytest.mark.parametrize("how", ["simple", "extended", "pipelined"])
def test_the_outcome_decides(proxy, database, clients, steps, channels, how):
    """What PostgreSQL says of the same steps on one connection is what the client hears."""
    one, two = clients[:2]
    with wire.Connection(database.server.port).start(database=database.name) as direct:
        for sql in steps:
            direct.query(sql)
        listening = direct.query("SELECT pg_listening_channels() AS c ORDER BY c")
        assert [m.values()[0].decode() for m in listening if m.kind == "D"] == list(channels)
    if how == "simple" or any(";" in sql for sql in steps):
        for sql in steps:
            one.query(sql)
    elif how == "extended":
        for sql in steps:
            one.send(wire.parse("", sql), wire.bind("", ""), wire.execute(""), wire.sync()).until("Z")
    else:
        for sql in steps:
            one.send(wire.parse("", sql), wire.bind("", ""), wire.describe("P"), wire.execute(""), wire.sync())
        one.until("Z", len(steps))
    ran(two, "NOTIFY a; NOTIFY b; NOTIFY c; NOTIFY d")
    assert heard(one, len(channels)) == [(c, "") for c in channels]
    assert quiet(one)
    wait_for(lambda: proxy.metric("listen_channels") == len(channels), 10, "channels nobody wants to go")


def test_a_batch_that_fails(clients, database):
    one, two = clients[:2]
    one.send(wire.parse("", "LISTEN a"), wire.bind("", ""), wire.execute(""),
             wire.parse("", "SELECT 1/0"), wire.bind("", ""), wire.execute(""), wire.sync())
    assert "E" in one.types(one.until("Z"))
    one.send(wire.parse("", "BEGIN"), wire.bind("", ""), wire.execute(""),
             wire.parse("", "LISTEN b"), wire.bind("", ""), wire.execute(""),
             wire.parse("", "COMMIT"), wire.bind("", ""), wire.execute(""),
             wire.parse("", "nonsense"), wire.sync())
    assert "E" in one.types(one.until("Z"))
    ran(two, "NOTIFY a; NOTIFY b")
    assert heard(one, 1) == [("b", "")]


def test_a_prepared_statement_and_a_portal(proxy, clients, database):
    one, two = clients[:2]
    one.send(wire.parse("s", "LISTEN a"), wire.sync()).until("Z")
    one.send(wire.bind("", "s"), wire.execute(""), wire.sync()).until("Z")
    one.send(wire.parse("", "LISTEN b"), wire.bind("p", ""), wire.execute("p"), wire.sync()).until("Z")
    ran(two, "NOTIFY a; NOTIFY b")
    assert sorted(heard(one, 2)) == [("a", ""), ("b", "")]
    assert quiet(one)


def test_waits_for_the_end_of_a_transaction(clients, database):
    """PostgreSQL tells an idle session only: what comes meanwhile is told before the
    ReadyForQuery that ends the transaction, and never inside an answer."""
    one, two = clients[:2]
    ran(one, "LISTEN a")
    ran(one, "BEGIN")
    ran(two, "NOTIFY a, '1'")
    time.sleep(0.3)
    assert notes(ran(one, "SELECT 1")) == []
    assert one.silent()
    seen = ran(one, "COMMIT")
    assert [m.kind for m in seen if m.kind in "CAZ"] == ["C", "A", "Z"]
    assert notes(seen) == [("a", "1")]
    one.send(wire.query("SELECT pg_sleep(0.5)"))
    ran(two, "NOTIFY a, '2'")
    seen = one.until("Z")
    assert [m.kind for m in seen] == ["T", "D", "C", "A", "Z"]
    one.send(wire.parse("", "SELECT 1"), wire.bind("", ""), wire.execute(""), wire.flush()).until("C")
    ran(two, "NOTIFY a, '3'")
    assert one.silent()
    seen = one.send(wire.sync()).until("Z")
    assert notes(seen) == [("a", "3")]


def test_a_large_answer_is_not_torn(clients):
    one, two = clients[:2]
    ran(one, "LISTEN a")
    one.send(wire.query("SELECT repeat('x', 3000000), pg_sleep(0.2) FROM generate_series(1, 4)"))
    for i in range(20):
        ran(two, f"NOTIFY a, '{i}'")
    seen = one.until("Z")
    assert one.types(seen) == "TDDDDCZ"
    got = notes(seen)
    got += heard(one, 20 - len(got))
    assert got == [("a", str(i)) for i in range(20)]


# Races


def test_no_gap_behind_the_commit(pgrecall, database, gate):
    """The answer of the LISTEN is late: what is notified meanwhile is told with it. And the
    LISTEN is not sent before the database listens."""
    proxy = gated(pgrecall, gate)
    with proxy.connect(database.name) as one:
        ran(one, "SELECT 1")
        first = gate.hold_replies(b'LISTEN "late"')
        one.send(wire.query("LISTEN late"))
        first.wait()
        assert one.silent()
        held = gate.hold_replies(b"LISTEN late")
        first.release()
        held.wait()
        database.psql("NOTIFY late, 'between'")
        wait_for(lambda: proxy.metric("notifications_received_total") == 1, 10, "the notification")
        assert one.silent()
        held.release()
        assert notes(one.until("Z")) == [("late", "between")]


def test_a_listen_that_is_undone_tells_nothing(pgrecall, database, gate):
    proxy = gated(pgrecall, gate)
    with proxy.connect(database.name) as one:
        held = gate.hold_replies(b"LISTEN late; SELECT 1/0")
        one.send(wire.query("LISTEN late; SELECT 1/0"))
        held.wait()
        database.psql("NOTIFY late, 'between'")
        wait_for(lambda: proxy.metric("notifications_received_total") == 1, 10, "the notification")
        held.release()
        assert notes(one.until("Z")) == []
        assert quiet(one)


def test_leaving_in_the_middle(pgrecall, database, gate):
    """A client goes while its channel is asked for, while its LISTEN runs, and inside the
    transaction; the next one on the same server connection hears nothing."""
    proxy = gated(pgrecall, gate, default_pool_size=1)
    for pattern in (b'LISTEN "mid"', b"LISTEN mid"):
        with proxy.connect(database.name) as one:
            held = gate.hold_replies(pattern)
            one.send(wire.query("LISTEN mid"))
            held.wait()
        held.release()
    with proxy.connect(database.name) as one:
        ran(one, "BEGIN; LISTEN mid")
    with proxy.connect(database.name) as one:
        ran(one, "LISTEN mid")
    with proxy.connect(database.name) as two:
        assert [m.values() for m in two.query("SELECT pg_listening_channels()") if m.kind == "D"] == []
        database.psql("NOTIFY mid")
        assert quiet(two)
    wait_for(lambda: proxy.metric("listen_channels") == 0, 10, "UNLISTEN")


def test_a_server_connection_is_lost_with_the_listen(pgrecall, database, gate):
    proxy = gated(pgrecall, gate)
    with proxy.connect(database.name) as one:
        ran(one, "SELECT 1")
        cut = gate.cut(b"LISTEN cut")
        one.send(wire.query("LISTEN cut")).rest()
        cut.wait()
        cut.end()
    wait_for(lambda: proxy.metric("listen_channels") == 0, 10, "UNLISTEN")


# The connection that listens


def kill_listener(database):
    sql = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {LISTENS.format(database.name)}"
    assert database.psql(sql).strip() == "1"


def test_its_loss_is_told(proxy, database, clients):
    """Those who listen are closed, so that they know; the others are not; and who comes
    back hears again."""
    one, two, three, four = clients
    ran(one, "LISTEN a")
    ran(two, "LISTEN b")
    ran(two, "BEGIN")
    ran(three, "LISTEN a; UNLISTEN a")
    kill_listener(database)
    for client in (one, two):
        errors = [m for m in client.rest() if m.kind == "E"]
        assert [e.sqlstate() for e in errors] == ["57P01"]
        assert "notifications may have been missed" in errors[0].fields()["M"]
    ran(three, "LISTEN a")
    ran(four, "LISTEN a")
    database.psql("NOTIFY a, 'again'")
    assert heard(three, 1) == heard(four, 1) == [("a", "again")]
    assert listeners(database) == 1
    assert proxy.metric("listen_connection_losses_total") == 1


def test_cannot_be_made(pgrecall, own_postgres):
    """Nobody can log in any more: LISTEN is refused, in whatever state, and nothing else."""
    proxy = pgrecall(own_postgres, pgrecall={"pool_mode": "transaction"})
    own_postgres.psql("CREATE ROLE someone LOGIN", "sample")
    with proxy.connect("sample", user="someone") as one:
        ran(one, "SELECT 1")
        own_postgres.psql("ALTER DATABASE sample CONNECTION LIMIT 0", "sample")
        for sql in ("LISTEN a", "SELECT 1; LISTEN a"):
            messages = one.query(sql)
            assert one.types(messages) == "EZ", messages
            assert messages[0].sqlstate() == "53300", messages
            assert "cannot listen: " in messages[0].fields()["M"]
        assert one.types(one.query("SELECT 1")) == "TDCZ"
        one.send(wire.parse("", "LISTEN a"), wire.bind("", ""), wire.execute(""), wire.sync())
        seen = one.until("Z")
        assert one.types(seen)[-2:] == "EZ" and seen[-1].body == b"I"
        ran(one, "BEGIN")
        seen = one.query("LISTEN a")
        assert one.types(seen) == "EZ" and seen[-1].body == b"E", "the transaction has failed"
        assert one.query("COMMIT")[0].body == b"ROLLBACK\0"
        own_postgres.psql("ALTER DATABASE sample CONNECTION LIMIT -1", "sample")
        ran(one, "LISTEN a")
        own_postgres.psql("NOTIFY a, 'now'", "sample")
        assert heard(one, 1) == [("a", "now")]


def test_goes_when_it_is_not_needed(proxy, database, clients):
    one = clients[0]
    ran(one, "LISTEN a")
    assert listeners(database) == 1
    ran(one, "UNLISTEN a")
    wait_for(lambda: listeners(database) == 0, 20, "the connection to be closed")
    ran(one, "LISTEN a")
    database.psql("NOTIFY a, 'x'")
    assert heard(one, 1) == [("a", "x")]


def test_two_databases(proxy, database, empty_database):
    with proxy.connect(database.name) as one, proxy.connect(empty_database.name) as two:
        ran(one, "LISTEN a")
        ran(two, "LISTEN a")
        database.psql("NOTIFY a, 'one'")
        empty_database.psql("NOTIFY a, 'two'")
        assert heard(one, 1) == [("a", "one")]
        assert heard(two, 1) == [("a", "two")]
        assert quiet(one) and quiet(two)
        assert listeners(database) == listeners(empty_database) == 1


def test_a_reload_moves_the_database(pgrecall, database, empty_database):
    """Those who stay hear on; those whose database is another one now are told to come again."""
    where = f"host=127.0.0.1 port={database.server.port} dbname="
    proxy = pgrecall(databases={"moves": where + database.name, "stays": where + database.name},
                     pgrecall={"pool_mode": "transaction"})
    with proxy.connect("moves") as one, proxy.connect("stays") as two:
        ran(one, "LISTEN a")
        ran(two, "LISTEN a")
        proxy.configure(databases={"moves": where + empty_database.name}, log={"level": "debug"})
        proxy.reload()
        assert [m.sqlstate() for m in one.rest() if m.kind == "E"] == ["57P01"]
        database.psql("NOTIFY a, 'x'")
        assert heard(two, 1) == [("a", "x")]
    with proxy.connect("moves") as one:
        ran(one, "LISTEN a")
        empty_database.psql("NOTIFY a, 'y'")
        assert heard(one, 1) == [("a", "y")]


# Limits


def test_limits(pgrecall, database):
    proxy = pgrecall(pgrecall={"pool_mode": "transaction", "max_client_channels": 2, "max_database_channels": 3})
    with proxy.connect(database.name) as one, proxy.connect(database.name) as two:
        ran(one, "LISTEN a")
        ran(one, "LISTEN b")
        error = one.query("LISTEN c")[0]
        assert error.sqlstate() == "53400" and "max_client_channels" in error.fields()["M"]
        ran(two, "LISTEN c")
        error = two.query("LISTEN d")[0]
        assert error.sqlstate() == "53400" and "max_database_channels" in error.fields()["M"]
        ran(two, "UNLISTEN *")
        ran(one, "UNLISTEN a")
        wait_for(lambda: proxy.metric("listen_channels") == 1, 10, "UNLISTEN")
        ran(one, "LISTEN d")
        ran(two, "LISTEN d; NOTIFY d")
        assert heard(one, 1) == [("d", "")]


def test_a_client_that_does_not_read(pgrecall, database):
    """It is closed when more waits for it than it may have; the others are not."""
    proxy = pgrecall(pgrecall={"pool_mode": "transaction", "max_client_notifications": "256kB"})
    with proxy.connect(database.name) as slow, proxy.connect(database.name) as busy, \
            proxy.connect(database.name) as good:
        for client in (slow, busy, good):
            ran(client, "LISTEN a")
        ran(busy, "BEGIN")
        total = 0
        while proxy.metric("client_connections_closed_total", reason="error") < 2:
            database.psql("SELECT count(pg_notify('a', g || repeat('x', 7000))) FROM generate_series(1, 20) g")
            assert len(heard(good, 20)) == 20
            total += 20
            assert total < 20000
        assert busy.rest()[-1].sqlstate() == "53400"
        assert "max_client_notifications" in proxy.log()
        ran(good, "SELECT 1")


def test_encodings(pgrecall, database):
    """Another encoding than UTF-8: what is ASCII is told; a name that is not pins its client;
    a payload that is not ends it, rather than to be told wrongly."""
    proxy = pgrecall(pgrecall={"pool_mode": "transaction"})
    with proxy.connect(database.name, client_encoding="LATIN1") as one, \
            proxy.connect(database.name, client_encoding="UTF8") as two:
        ran(two, "LISTEN \"gr\u00fcn\"; LISTEN a")
        ran(two, "NOTIFY \"gr\u00fcn\", '\u00e4'")
        assert heard(two, 1) == [("gr\u00fcn", "\u00e4")]
        ran(one, "LISTEN a")
        ran(one, "LISTEN \"gr\u00fcn\"".encode("latin-1"))
        database.psql("NOTIFY a, 'plain'")
        assert heard(one, 1) == [("a", "plain")]
        database.psql("NOTIFY \"gr\u00fcn\", '\u00e4'")
        assert one.receive().body[4:] == "gr\u00fcn\0\u00e4\0".encode("latin-1")
        database.psql("NOTIFY a, '\u00e4'")
        assert [m.sqlstate() for m in one.rest() if m.kind == "E"] == ["22P05"]


def test_is_not_a_write(proxy, database, clients):
    """LISTEN and NOTIFY leave the cache alone, and the session may go on using it."""
    one = clients[0]
    proxy.warm(database.name)
    sql = "SELECT name FROM channels WHERE id = 3"

    def hit():
        before = proxy.metric("queries_total", route="l1_hit")
        ran(one, sql)
        return proxy.metric("queries_total", route="l1_hit") > before

    wait_for(hit, 10, "a hit")
    moved = proxy.metric("cache_invalidations_total")
    ran(one, "LISTEN a")
    ran(one, "BEGIN; NOTIFY a, 'x'; COMMIT")
    ran(one, "UNLISTEN a")
    assert hit()
    assert proxy.metric("cache_invalidations_total") == moved


# Drivers


def test_psycopg2(proxy, database):
    with contextlib.closing(psycopg2.connect(proxy.dsn(database.name))) as conn:
        conn.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
        cursor = conn.cursor()
        cursor.execute("LISTEN jobs")
        for i in range(3):
            database.psql(f"NOTIFY jobs, 'job {i}'")

        def polled():
            select.select([conn], [], [], 0.2)
            conn.poll()
            return len(conn.notifies) == 3

        wait_for(polled, 10, "the notifications")
        assert [(n.channel, n.payload) for n in conn.notifies] == [("jobs", f"job {i}") for i in range(3)]
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_psycopg2_in_a_transaction(proxy, database):
    with contextlib.closing(psycopg2.connect(proxy.dsn(database.name))) as conn:
        cursor = conn.cursor()
        cursor.execute("LISTEN jobs")
        conn.rollback()
        cursor.execute("LISTEN others")
        conn.commit()
        database.psql("NOTIFY jobs; NOTIFY others")
        assert select.select([conn], [], [], 10)[0]
        conn.poll()
        assert [n.channel for n in conn.notifies] == ["others"]


def test_psycopg(proxy, database):
    with psycopg.connect(proxy.dsn(database.name), autocommit=True) as conn, \
            psycopg.connect(proxy.dsn(database.name), autocommit=True) as other:
        conn.execute("LISTEN jobs")
        with conn.pipeline():
            conn.execute("LISTEN more")
            conn.execute("SELECT 1")
        for i in range(3):
            other.execute("SELECT pg_notify(%s, %s)", ("jobs", f"job {i}"))
        other.execute("NOTIFY more, 'stop'")
        got = []
        for n in conn.notifies():
            got.append((n.channel, n.payload))
            if n.payload == "stop":
                break
        assert got == [("jobs", "job 0"), ("jobs", "job 1"), ("jobs", "job 2"), ("more", "stop")]


def test_asyncpg(proxy, database):
    async def work():
        got = asyncio.Queue()
        one = await asyncpg.connect(proxy.dsn(database.name), ssl=False)
        two = await asyncpg.connect(proxy.dsn(database.name), ssl=False)

        def on_note(_conn, _pid, channel, payload):
            got.put_nowait((channel, payload))

        await one.add_listener("jobs", on_note)
        async with two.transaction():
            await two.execute("SELECT pg_notify('jobs', $1)", "a")
            assert got.empty()
        assert await asyncio.wait_for(got.get(), 10) == ("jobs", "a")
        assert await one.fetchval("SELECT 1") == 1
        await one.remove_listener("jobs", on_note)
        await two.execute("NOTIFY jobs, 'b'")
        await one.add_listener("jobs", on_note)
        await two.execute("NOTIFY jobs, 'c'")
        assert await asyncio.wait_for(got.get(), 10) == ("jobs", "c")
        await one.close()
        await two.close()

    asyncio.run(work())


# Session mode


@pytest.fixture
def session(pgrecall):
    return pgrecall(pgrecall={"pool_mode": "session"})


def test_session_mode_passes_everything(session, database):
    """An idle client is told at once, with the process that notified; no connection of ours
    listens."""
    with session.connect(database.name) as one, session.connect(database.name) as two:
        ran(one, "LISTEN a")
        assert one.silent()
        ran(two, "NOTIFY a, 'x'")
        message = one.receive()
        assert note(message) == ("a", "x")
        assert struct.unpack("!i", message.body[:4])[0] == two.pid
        messages = ran(one, "NOTIFY a, 'self'")
        assert notes(messages) == [("a", "self")]
        assert [m.values() for m in ran(one, "SELECT pg_listening_channels()") if m.kind == "D"] == [[b"a"]]
        assert listeners(database) == 0
    with session.connect(database.name) as three:
        database.psql("NOTIFY a")
        assert quiet(three)
