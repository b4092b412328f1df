# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Cancel requests reach what their client waits for, wherever that is, and nothing else."""

import ssl
import time

import pytest

import wire
from cancels import CANCELLED, CODE, begin, errors, running, send
from differential import difference
from servers import Postgres, wait_for
from wire import bind, copy_data, copy_done, execute, flush, parse, query, sync

SLEEP = "SELECT pg_sleep(20)"
VERSIONS = pytest.mark.parametrize("version", [0x00030000, 0x00030002], ids=["3.0", "3.2"])


def ask(sql):
    return parse("", sql), bind("", ""), execute()


# The same as PostgreSQL

class Side:
    """A connection to one of the two, and how it is cancelled.  PostgreSQL sends its signal twice (to the process
    and to its group), so a query that is pipelined behind the one that is hit may be hit as well: none is here."""

    def __init__(self, port, database, version):
        self.port, self.database, self.answers = port, database, []
        self.conn = wire.Connection(port).start(database=database.name, version=version)

    def send(self, *messages):
        self.conn.send(*messages)

    def until(self, kind="Z", times=1):
        self.answers.append(self.conn.until(kind, times))

    def cancel(self, pattern=None):
        """While a query that is LIKE the pattern runs."""
        if pattern is not None:
            wait_for(lambda: running(self.database, pattern) == 1)
        assert send(self.port, self.conn.pid, self.conn.key) == []


def simple(side):
    side.send(query(SLEEP))
    side.cancel("%pg_sleep%")
    side.until()
    side.send(query("SELECT 1"))
    side.until()


def extended(side):
    side.send(*ask(SLEEP), *ask("SELECT 2"), sync())
    side.cancel("%pg_sleep%")
    side.until()


def flushed(side):
    side.send(*ask(SLEEP), flush())
    side.cancel("%pg_sleep%")
    side.until("E")
    side.cancel()  # nothing runs: everything is skipped up to Sync
    side.send(*ask("SELECT 2"), sync())
    side.until()


def several(side):
    side.send(query("SELECT 1; SELECT pg_sleep(20); SELECT 2"))
    side.cancel("%pg_sleep%")
    side.until()


def in_transaction(side):
    for sql in ("BEGIN", "SAVEPOINT s"):
        side.send(query(sql))
        side.until()
    side.send(query(SLEEP))
    side.cancel("%pg_sleep%")
    side.until()
    side.cancel()  # idle in a failed transaction
    for sql in ("SELECT 1", "ROLLBACK TO s", "SELECT 1"):
        side.send(query(sql))
        side.until()
    side.send(*ask("SELECT pg_sleep(22)"), sync())
    side.cancel("%pg_sleep(22)%")
    side.until()
    side.send(query("COMMIT"))
    side.until()


def idle(side):
    side.cancel()
    side.send(query("BEGIN"))
    side.until()
    side.cancel()
    side.send(parse("p", "SELECT generate_series(1, 3)"), bind("p", "p"), execute("p", 1), sync())
    side.until()
    side.cancel()
    side.send(execute("p", 1), sync(), query("COMMIT"))
    side.until(times=2)


def copy_in(side):
    """What has come takes its way into the table; the request hits the next row."""
    side.send(query("COPY t FROM STDIN"))
    side.until("G")
    side.cancel("COPY%")
    side.send(copy_data(b"1\n"), copy_data(b"2\n"), copy_done())
    side.until()
    side.send(query("SELECT count(*) FROM t"))
    side.until()


def copy_out(side):
    side.send(query("COPY (SELECT pg_sleep(20)) TO STDOUT"))
    side.cancel("COPY%")
    side.until()
    side.send(query("SELECT 1"))
    side.until()


@VERSIONS
@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("script", [simple, extended, flushed, several, in_transaction, idle, copy_in, copy_out])
def test_the_same_as_postgresql(pgrecall, postgres, empty_database, script, mode, version):
    empty_database.psql("CREATE TABLE t (id int)")
    proxy = pgrecall(pgrecall={"pool_mode": mode, "default_pool_size": 1})
    sides = [Side(port, empty_database, version) for port in (postgres.port, proxy.port)]
    for side in sides:
        script(side)
    found = difference(*(side.answers for side in sides))
    assert found is None, found


# Where a client waits

def connected(proxy, database, version=0x00030002, **parameters):
    return wire.Connection(proxy.port).start(database=database.name, version=version, **parameters)


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_in_the_queue_of_the_pool(pgrecall, database, extended, mode):
    """In session mode only the login waits, and has no key yet: its place in the queue is given up by closing."""
    proxy = pgrecall(pgrecall={"pool_mode": mode, "default_pool_size": 1})
    with connected(proxy, database) as first:
        if mode == "session":
            late = wire.Connection(proxy.port).send(wire.startup(user="postgres", database=database.name))
            wait_for(lambda: proxy.metric("pool_waiting_clients") == 1)
            for pid in (0, 1, first.pid, 1 << 24, (1 << 24) + 1):
                assert send(proxy.port, pid, bytes(4)) == []
            assert late.silent(0.2)
            first.close()
            assert late.until("Z")[-1].body == b"I"
            return
        second = connected(proxy, database)
        first.query("BEGIN")
        second.send(*ask("SELECT 1"), sync()) if extended else second.send(query("SELECT 1"))
        wait_for(lambda: proxy.metric("pool_waiting_clients") == 1)
        assert send(proxy.port, second.pid, second.key) == []
        assert errors(second.until("Z")) == [CANCELLED]
        assert proxy.metric("pool_waiting_clients") == 0
        assert first.types(first.query("SELECT 1")) == "TDCZ"
        first.query("COMMIT")
        assert second.types(second.query("SELECT 1")) == "TDCZ"


def test_while_its_database_is_paused(pgrecall, database):
    proxy = pgrecall(pgrecall={"admin_users": "postgres"})
    with connected(proxy, database) as client, proxy.connect("pgbouncer") as console:
        client.query("SELECT 1")
        console.query(f"PAUSE {database.name}")
        client.send(query("SELECT 1"))
        wait_for(lambda: proxy.metric("pool_waiting_clients") == 1)
        assert send(proxy.port, client.pid, client.key) == []
        assert errors(client.until("Z")) == [CANCELLED]
        console.query(f"RESUME {database.name}")
        assert client.types(client.query("SELECT 1")) == "TDCZ"


READ = "SELECT name FROM channels WHERE id = 1"


@pytest.mark.parametrize("way", ["simple", "extended", "transaction", "extended transaction"])
def test_while_redis_is_asked(pgrecall, database, redis, way):
    proxy = pgrecall(cache={"default": "on", "l1_size": 0}, redis=redis)
    proxy.configure(redis={"timeout": "50s"})
    proxy.stop()
    proxy.start()
    proxy.warm(database.name)
    with connected(proxy, database) as client:
        message = ask(READ) if "extended" in way else (query(READ),)
        end = (sync(),) if "extended" in way else ()

        def hits():
            client.send(*message, *end).until("Z")
            return proxy.metric("queries_total", route="redis_hit") > 0
        wait_for(hits)
        in_transaction = "transaction" in way
        if in_transaction:
            client.query("BEGIN")
        redis.hang()
        asked = proxy.metric("cache_lookups_total", cache="redis")
        client.send(*message, *end)
        assert client.silent(0.3)
        begun = time.monotonic()
        assert send(proxy.port, client.pid, client.key) == []
        answer = client.until("Z")
        assert time.monotonic() - begun < 10
        assert errors(answer) == [CANCELLED] and answer[-1].body == (b"E" if in_transaction else b"I")
        redis.resume()
        assert proxy.metric("cache_lookups_total", cache="redis") <= asked + 1
        if in_transaction:
            assert errors(client.query(READ)) == ["25P02"]
            client.query("ROLLBACK")
        values = [m.values() for m in client.send(*message, *end).until("Z") if m.kind == "D"]
        assert values == [[database.psql(READ).strip().encode()]]


@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize("extended", [False, True])
def test_while_the_database_begins_to_listen(pgrecall, database, gate, extended, in_transaction):
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"})
    with connected(proxy, database) as client:
        if in_transaction:
            client.query("BEGIN")
            client.query("SELECT 1")
        held = gate.hold_replies(b"LISTEN")
        client.send(*ask("LISTEN news"), sync()) if extended else client.send(query("LISTEN news"))
        held.wait()
        assert send(proxy.port, client.pid, client.key) == []
        answer = client.until("Z")
        assert errors(answer) == [CANCELLED] and answer[-1].body == (b"E" if in_transaction else b"I")
        client.query("ROLLBACK")
        held.release()
        client.query("LISTEN news")
        database.psql("NOTIFY news, 'one'")
        assert client.until("A")[-1].body[4:] == b"news\0one\0"


def test_a_question_of_ours_is_not_hit(pgrecall, database, gate):
    """The client's query has ended; the request finds what pgrecall asks for itself, and does nothing."""
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"})
    with connected(proxy, database) as client:
        client.query("CREATE TEMP TABLE mine (id int)")
        held = gate.hold_replies(b"pg_my_temp_schema")
        client.query("DROP TABLE mine")
        held.wait()
        assert send(proxy.port, client.pid, client.key) == []
        client.send(query("SELECT 'next'"))
        held.release()
        assert client.types(client.until("Z")) == "TDCZ"
        assert proxy.metric("query_cancels_total") == 0


# Two requests

def test_two_requests_for_two_queries(pgrecall, database, gate):
    """The second is sent when PostgreSQL is done with the first."""
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"})
    with connected(proxy, database) as client:
        client.query("BEGIN")
        client.query("SAVEPOINT s")
        client.send(query(SLEEP))
        wait_for(lambda: running(database, "%pg_sleep%") == 1)
        held = gate.hold_replies(CODE)
        first = begin(proxy.port, client.pid, client.key)
        assert errors(client.until("Z")) == [CANCELLED]
        held.wait()  # for the end of the connection
        client.query("ROLLBACK TO s")
        client.send(query("SELECT pg_sleep(21)"))
        wait_for(lambda: running(database, "%pg_sleep(21)%") == 1)
        second = begin(proxy.port, client.pid, client.key)
        assert first.silent(0.3) and second.silent(0.1)
        held.release()
        assert errors(client.until("Z")) == [CANCELLED]
        assert first.rest() == second.rest() == []
        assert proxy.metric("query_cancels_total") == 2


def test_a_second_request_for_the_same_query_hits_no_other(pgrecall, database, gate):
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, pgrecall={"admin_users": "postgres"})
    with connected(proxy, database) as client:
        client.query("BEGIN")
        client.query("SAVEPOINT s")
        client.send(query(SLEEP))
        wait_for(lambda: running(database, "%pg_sleep%") == 1)
        held = gate.hold_requests(CODE)
        askers = [begin(proxy.port, client.pid, client.key) for _ in range(3)]
        held.wait()
        wait_for(lambda: waiting_requests(proxy, database) == (1, 2))
        ending = gate.hold_replies(CODE)
        ending.pair, held.pair.holds["replies"] = held.pair, ending
        held.release()
        assert errors(client.until("Z")) == [CANCELLED]
        ending.wait()
        client.query("ROLLBACK TO s")
        with wire.Connection(database.server.port).start(database=database.name) as locker:
            locker.query("BEGIN; LOCK TABLE messages")
            client.send(query("SELECT count(*) FROM messages"))
            wait_for(lambda: running(database, "SELECT count(*) FROM messages") == 1)
            ending.release()
            assert [asker.rest() for asker in askers] == [[], [], []]
            locker.query("COMMIT")
            assert client.types(client.until("Z")) == "TDCZ"
        assert proxy.metric("query_cancels_total") == 1


def test_more_requests_than_are_kept_are_answered_at_once(pgrecall, database, gate):
    """64 wait for what is under way, and 64 for what follows it."""
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, pgrecall={"admin_users": "postgres"})
    with connected(proxy, database) as client:
        client.send(query(SLEEP))
        wait_for(lambda: running(database, "%pg_sleep%") == 1)
        held = gate.hold_requests(CODE)
        askers = [begin(proxy.port, client.pid, client.key)]
        held.wait()
        askers += [begin(proxy.port, client.pid, client.key) for _ in range(70)]
        wait_for(lambda: waiting_requests(proxy, database) == (1, 64))
        wait_for(lambda: sum(not asker.silent(0.01) for asker in askers) == 6)
        held.release()
        assert errors(client.until("Z")) == [CANCELLED]
        assert all(asker.rest() == [] for asker in askers)


def waiting_requests(proxy, database):
    """cl_active_cancel_req and cl_waiting_cancel_req of SHOW POOLS."""
    with proxy.connect("pgbouncer") as console:
        answer = console.query("SHOW POOLS")
        rows = [m.values() for m in answer if m.kind == "D"]
    found = [row for row in rows if row[0] == database.name.encode()]
    return tuple(int(found[0][i]) for i in (4, 5))


def test_who_leaves_is_cancelled_behind_another_request(pgrecall, database, gate):
    """The request for the query before is still under way."""
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"},
                     pgrecall={"default_pool_size": 1, "cancel_wait_timeout": "10min"})
    with connected(proxy, database) as client, connected(proxy, database) as other:
        client.query("BEGIN")
        client.query("SAVEPOINT s")
        client.send(query(SLEEP))
        wait_for(lambda: running(database, "%pg_sleep%") == 1)
        held = gate.hold_replies(CODE)
        asker = begin(proxy.port, client.pid, client.key)
        client.until("Z")
        held.wait()
        client.query("ROLLBACK TO s")
        client.send(query("SELECT pg_sleep(600)"))
        wait_for(lambda: running(database, "%pg_sleep(600)%") == 1)
        client.close()
        other.send(query("SELECT 1"))
        assert other.silent(0.3)
        held.release()
        assert other.types(other.until("Z")) == "TDCZ"
        assert asker.rest() == []


def test_who_asks_waits_no_longer_than_cancel_wait_timeout(pgrecall, database, gate):
    proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, pgrecall={"cancel_wait_timeout": "1s"})
    with connected(proxy, database) as client:
        client.send(query(SLEEP))
        wait_for(lambda: running(database, "%pg_sleep%") == 1)
        held = gate.hold_requests(CODE)
        gone, asker = (begin(proxy.port, client.pid, client.key) for _ in range(2))
        held.wait()
        gone.close()
        assert asker.rest() == []
        assert running(database, "%pg_sleep%") == 1
        held.release()
        assert errors(client.until("Z")) == [CANCELLED]


# Unix sockets

@VERSIONS
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_over_unix_sockets(pgrecall, directory, mode, version):
    """Of the client, of who asks, and of the server, and TCP beside them."""
    directory.chmod(0o777)
    server = Postgres(directory, unix_socket_directories=f"'{directory}'")
    server.start()
    try:
        proxy = pgrecall(server, databases={"*": f"host={directory} port={server.port}"}, pgrecall={"pool_mode": mode})
        hosts = (str(proxy.directory), "127.0.0.1")
        for host in hosts:
            for asker in hosts:
                with wire.Connection(proxy.port, host).start(version=version) as conn:
                    conn.send(query(SLEEP))
                    active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active' AND client_addr IS NULL"
                    wait_for(lambda: server.psql(active).strip() == "1")
                    assert send(proxy.port, conn.pid, conn.key, host=asker) == []
                    assert errors(conn.until("Z")) == [CANCELLED]
                    assert conn.types(conn.query("SELECT 1")) == "TDCZ"
        proxy.stop()
    finally:
        server.stop("immediate")


# TLS

def encrypted(proxy, way, version):
    """A connection that is about to ask; libpq 17 asks in the way of its session.  An end of TLS without its
    closing alert would be an error, as it is for libpq."""
    conn = wire.Connection(proxy.port)
    if way == "plain":
        return conn
    alpn = None
    if way == "direct":
        alpn = ["postgresql"]
    else:
        conn.send(wire.SSL_REQUEST)
        assert conn.socket.recv(1) == b"S"
    context = wire.tls_context(proxy.authority.crt, version=version, alpn=alpn)
    conn.socket = context.wrap_socket(conn.socket, server_hostname="localhost", suppress_ragged_eofs=False)
    return conn


@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("way", ["plain", "request", "direct"])
@VERSIONS
def test_T79_in_the_way_of_the_session_or_plain(pgrecall, database, version, way, tls):
    proxy = pgrecall(tls=True)
    for mode in ("transaction", "session"):
        proxy.configure(pgrecall={"pool_mode": mode})
        proxy.reload()
        with wire.Connection(proxy.port, tls=proxy.tls).start(database=database.name, version=version) as conn:
            conn.send(query(SLEEP))
            wait_for(lambda: running(database, "%pg_sleep%") == 1)
            with encrypted(proxy, way, tls) as asker:
                asker.send(wire.cancel_request(conn.pid, bytes(len(conn.key))))
                assert asker.rest() == []
            assert running(database, "%pg_sleep%") == 1
            with encrypted(proxy, way, tls) as asker:
                asker.send(wire.cancel_request(conn.pid, conn.key))
                assert asker.rest() == []
            assert errors(conn.until("Z")) == [CANCELLED]
            assert conn.types(conn.query("SELECT 1")) == "TDCZ"
