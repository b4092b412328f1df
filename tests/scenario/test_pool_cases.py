# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Servers that misbehave, pools over a reload, counters, and the end (T-12, T-14, T-20, T-54, T-55,
T-82, T-90, T-91, T-93, T-97, T-100, T-101, T-105)."""

import os
import resource
import signal
import socket
import threading
import time

import pytest

import fake as pg
import wire
from fake import READY, FakePostgres
from servers import wait_for
from wire import bind, describe, execute, parse, query, sync


@pytest.fixture
def fakes():
    """A function that makes a FakePostgres of this test."""
    made = []

    def make(*arguments):
        made.append(FakePostgres(*arguments))
        return made[-1]
    yield make
    for one in made:
        one.close()


def before(pgrecall, fake, **settings):
    return pgrecall(databases={"*": fake.target}, wait=False, pgrecall=settings)


def connect(proxy, **parameters):
    """Logged in; the program need not think itself ready."""
    wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", proxy.port)) == 0, 10, "listening")
    return proxy.connect("x", **parameters)


def statements(**answers):
    """Answers by the statement's text: bytes to send, or a function of the peer."""
    def answer(peer, kind, body):
        found = answers.get(body.rstrip(b"\0").decode("latin-1")) if kind == "Q" else None
        if found is None:
            return False
        found(peer) if callable(found) else peer.send(found)
        return True
    return answer


def test_T12_stalled_in_scram(pgrecall):
    proxy = pgrecall(pgrecall={"client_login_timeout": "1s", "auth_type": "scram-sha-256"})
    start = time.monotonic()
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(user="tester", database="postgres"))
        assert conn.receive().kind == "R"
        conn.send(wire.Scram("secret").first())
        assert conn.receive().kind == "R"
        assert [m.kind for m in conn.rest()] == ["E"]
    assert 0.8 < time.monotonic() - start < 5


def test_T14_no_descriptor_for_a_server_connection(pgrecall, database):
    """It waits, is served when there are descriptors again, and the server is not to blame."""
    proxy = pgrecall(pgrecall={"query_wait_timeout": "30s", "workers": 1})
    first, second = proxy.connect(database.name), proxy.connect(database.name)
    first.query("BEGIN")
    used = len(os.listdir(f"/proc/{proxy.process.pid}/fd"))
    limits = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (used - 1, limits[1]))
    second.send(query("SELECT 'late'"))
    for n in range(10):
        assert first.query(f"SELECT {n}")[1].values() == [str(n).encode()]
        time.sleep(0.1)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, limits)
    answer = second.until("Z")
    assert second.types(answer) == "TDCZ" and answer[1].values() == [b"late"], answer
    first.close()
    second.close()


def test_T93_lost_after_each_login(pgrecall, fakes):
    """Tried again with growing pauses, not in a circle."""
    fake = fakes(lambda peer, kind, body: kind == "Q" and b"current_setting(n" in body and not peer.close())
    proxy = before(pgrecall, fake, query_wait_timeout="3s", server_login_retry="200ms")
    with pytest.raises(wire.ServerError) as error:
        connect(proxy)
    assert error.value.sqlstate == "08006"
    assert len(fake.peers) < 40, "no pause"


def test_server_lifetime_of_nothing(pgrecall, fakes):
    """Each connection is used once."""
    proxy = before(pgrecall, fakes(), server_lifetime=0)
    with connect(proxy) as conn:
        for _ in range(3):
            assert conn.query("SELECT 1")[1].values() == [b"fake"]


@pytest.mark.parametrize("severity", ["ERROR", "FATAL"])
def test_T20_error_without_sqlstate_in_a_query(pgrecall, fakes, severity):
    proxy = before(pgrecall, fakes(statements(bad=pg.error("odd", None, severity) + READY)), default_pool_size=1)
    with connect(proxy) as conn:
        answer = conn.query("bad")
        assert answer[0].kind == "E" and answer[0].fields()["M"] == "odd"
    with connect(proxy) as conn:
        assert conn.query("good")[1].values() == [b"fake"]


def test_T20_error_without_sqlstate_in_a_batch(pgrecall, fakes):
    def answer(peer, kind, body):
        peer.skipping = kind == "B"
        if kind == "B":
            peer.send(pg.error("odd"))
        return kind == "B"
    with connect(before(pgrecall, fakes(answer))) as conn:
        for _ in range(3):
            answer = conn.send(parse("s", "SELECT 1"), bind("", "s"), describe("P"), execute(), sync(),
                               wire.close("S", "s"), sync()).until("Z", 2)
            assert conn.types(answer) == "1EZ3Z", answer
            assert [m.fields()["M"] for m in answer if m.kind == "E"] == ["odd"]


@pytest.mark.parametrize("empty", [False, True])
def test_T20_error_without_sqlstate_at_login(pgrecall, fakes, empty):
    bad = pg.message("E", b"\0") if empty else pg.error("go away", None, "FATAL")
    fake = fakes(lambda peer, kind, body: kind == "startup" and not (peer.send(bad), peer.close())[0])
    proxy = before(pgrecall, fake, query_wait_timeout="1s", server_login_retry="100ms")
    for _ in range(2):
        with pytest.raises(wire.ServerError) as error:
            connect(proxy)
        assert len(error.value.sqlstate) == 5
        assert empty or "go away" in error.value.error.fields()["M"]
    assert proxy.process.poll() is None


@pytest.mark.parametrize("what", ["settings", "probe", "reset"])
def test_T20_error_without_sqlstate_to_ours(pgrecall, fakes, what):
    """In what pgrecall sends itself: one client may lose, the next one is served."""
    left = [1]

    def answer(peer, kind, body):
        ours = {"settings": b"TimeZone" in body and b"current_setting(n" not in body,
                "probe": b"current_setting(n" in body, "reset": b"DISCARD ALL" in body}[what]
        if kind == "Q" and ours and left[0] > 0:
            left[0] -= 1
            peer.send(pg.error("odd") + READY)
            return True
        return False
    proxy = before(pgrecall, fakes(answer), query_wait_timeout="3s", default_pool_size=1, server_login_retry="100ms")
    try:
        with connect(proxy, TimeZone="Asia/Tokyo") as conn:
            conn.query("SET something TO other")
            conn.query("SELECT pg_catalog.set_config('a.b', 'c', false)")
    except (AssertionError, wire.ServerError):
        pass
    with connect(proxy) as conn:
        assert conn.query("good")[1].values() == [b"fake"]


@pytest.mark.parametrize("ours", [False, True], ids=["client", "settings"])
def test_ready_that_answers_nothing(pgrecall, fakes, ours):
    """A ReadyForQuery too many ends the connection: what comes behind it is nobody else's."""
    def answer(peer, kind, body):
        is_it = kind == "Q" and body == b"bad\0" if not ours else kind == "P" and b"Asia" in body
        if is_it and peer.number == first[0]:
            peer.send(READY)
        return is_it and peer.number == first[0]
    first = [None]
    fake = fakes(answer)
    proxy = before(pgrecall, fake, default_pool_size=1)
    with connect(proxy) as other:
        other.query("good")
        first[0] = fake.pooled()[-1].number
        with connect(proxy, **({"TimeZone": "Asia/Tokyo"} if ours else {})) as conn:
            conn.send(query("bad"))
            assert [m.sqlstate() for m in conn.rest()] == ["08006"]
        assert other.query("good")[1].values() == [b"fake"]
        assert fake.pooled()[-1].number != first[0]


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("with_error", [True, False])
def test_T54_fatal_and_the_end_are_told_once(pgrecall, fakes, mode, with_error):
    def die(peer):
        if with_error:
            peer.send(pg.error("the end", "57P01", "FATAL"))
        peer.close()
    proxy = before(pgrecall, fakes(statements(die=die)), pool_mode=mode)
    with connect(proxy) as conn:
        conn.query("BEGIN")
        conn.send(query("die"))
        told = conn.rest()
        assert [m.kind for m in told] == ["E"], told
        assert told[0].sqlstate() == ("57P01" if with_error else "08006")
    with connect(proxy) as conn:
        assert conn.query("good")[1].values() == [b"fake"]


def test_T54_fatal_to_an_idle_session(pgrecall, fakes):
    fake = fakes()
    proxy = before(pgrecall, fake, pool_mode="session")
    with connect(proxy) as conn:
        conn.query("one")
        for peer in fake.peers:
            peer.send(pg.error("the end", "57P01", "FATAL"))
            peer.close()
        told = conn.rest()
        assert [m.sqlstate() for m in told] == ["57P01"], told


def test_T55_T90_idle_servers_die_unnoticed(pgrecall, fakes):
    """Between transactions nobody notices, whether they closed or said why."""
    fake = fakes()
    proxy = before(pgrecall, fake, pool_mode="transaction")
    with connect(proxy) as conn:
        for why in (None, "57P01", "57P02"):
            for _ in range(2):
                assert conn.query("good")[1].values() == [b"fake"]
            time.sleep(0.05)
            for peer in fake.peers:
                with_reason = pg.error("the end", why, "FATAL") if why else b""
                try:
                    peer.send(with_reason)
                except OSError:
                    continue
                peer.close()
            time.sleep(0.05)
        assert conn.query("good")[1].values() == [b"fake"]


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_T82_messages_at_any_time(pgrecall, fakes, mode):
    """Notices, parameters and notifications between the messages of a result reach the client whose
    result it is; in a transaction, when they come."""
    head, rest = pg.rows("v")[:20], pg.rows("v")
    assert head
    mixed = (pg.notice("one") + rest.replace(b"D", pg.notice("two") + pg.parameter("in_hot_standby", "on") + b"D", 1)
             + pg.notice("three") + READY)
    in_transaction = pg.message("C", b"BEGIN\0") + b"Z\0\0\0\5T"
    fake = fakes(statements(mixed=mixed, BEGIN=in_transaction))
    proxy = before(pgrecall, fake, pool_mode=mode, default_pool_size=1)
    with connect(proxy) as conn:
        assert "".join(m.kind for m in conn.query("mixed")) == "NTNSDCNZ"
        conn.query("BEGIN")
        fake.pooled()[-1].send(pg.notice("four") + pg.parameter("in_hot_standby", "off"))
        assert conn.receive().fields()["M"] == "four"
        assert conn.receive().kind == "S"


def test_T82_messages_on_idle_servers(pgrecall, fakes):
    """What a server says to nobody reaches nobody, and does no harm."""
    fake = fakes()
    proxy = before(pgrecall, fake, default_pool_size=1)
    with connect(proxy) as conn:
        conn.query("one")
        for _ in range(3):
            fake.pooled()[-1].send(pg.notice("to nobody") + pg.parameter("in_hot_standby", "on"))
            time.sleep(0.1)
            answer = conn.query("two")
            assert [m.kind for m in answer if m.kind != "S"] == list("TDCZ"), answer
            assert answer[-3].values() == [b"fake"]


def test_T91_server_ends_an_idle_transaction(pgrecall, database):
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    with proxy.connect(database.name) as conn:
        conn.query("BEGIN")
        conn.query("SET LOCAL idle_in_transaction_session_timeout = '500ms'")
        told = conn.rest()
        assert [m.sqlstate() for m in told] == ["25P03"], told
    with proxy.connect(database.name) as conn:
        assert conn.types(conn.query("SELECT 1")) == "TDCZ"


def test_T93_connects_at_once_are_bounded(pgrecall, fakes):
    now, most, lock = [0], [0], threading.Lock()

    def answer(peer, kind, body):
        if kind == "startup":
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.2)
            with lock:
                now[0] -= 1
        elif kind == "Q" and b"SELECT" in body and b"current_setting(n" not in body:
            time.sleep(0.5)
        return False
    proxy = before(pgrecall, fakes(answer), default_pool_size=40)
    clients = [connect(proxy) for _ in range(30)]
    for conn in clients:
        conn.send(query("SELECT"))
    for conn in clients:
        conn.until("Z")
        conn.close()
    assert 1 < most[0] <= 10, most  # eight of the pool, and questions of ours


def test_T93_refused_login_is_told_at_once(pgrecall, fakes):
    fake = fakes(lambda peer, kind, body: kind == "startup" and not (
        peer.send(pg.error("no such user here", "28000", "FATAL")), peer.close())[0])
    proxy = before(pgrecall, fake, query_wait_timeout="60s")
    start = time.monotonic()
    with pytest.raises(wire.ServerError) as error:
        connect(proxy)
    assert (error.value.sqlstate, error.value.error.fields()["M"]) == ("28000", "no such user here")
    assert time.monotonic() - start < 5


def test_a_name_that_is_no_database(pgrecall, fakes):
    """Somebody has made it up: the server is not asked for it for ever."""
    fake = fakes(lambda peer, kind, body: kind == "startup" and not (
        peer.send(pg.error("no such database", "3D000", "FATAL")), peer.close())[0])
    proxy = before(pgrecall, fake)
    with pytest.raises(wire.ServerError) as error:
        connect(proxy)
    assert error.value.sqlstate == "3D000"
    proxy.wait_log("database x: cannot")
    number = len(fake.peers)
    time.sleep(6)
    assert len(fake.peers) <= number + 2, "it is asked again and again"


def test_a_database_that_is_made_later(pgrecall, postgres):
    proxy = pgrecall()
    with pytest.raises(wire.ServerError) as error:
        proxy.connect("later")
    assert error.value.sqlstate == "3D000"
    proxy.wait_log("database later: cannot")
    postgres.psql("CREATE DATABASE later")
    try:
        proxy.warm("later")
    finally:
        proxy.stop()
        postgres.psql("DROP DATABASE later WITH (FORCE)")


def test_T93_who_can_be_served_is_served(pgrecall, fakes):
    """The server takes no more connections: those that live serve everybody."""
    def answer(peer, kind, body):
        if kind == "startup" and peer.number > 4:
            peer.send(pg.error("too many", "53300", "FATAL"))
            peer.close()
            return True
        return False
    proxy = before(pgrecall, fakes(answer), default_pool_size=20)
    clients = [connect(proxy) for _ in range(10)]
    for conn in clients:
        conn.send(query("SELECT"))
    for conn in clients:
        assert conn.types(conn.until("Z")) == "TDCZ"
        conn.close()


def backend(conn):
    return conn.query("SELECT pg_backend_pid()")[1].values()[0]


def reload(proxy, **sections):
    number = proxy.log().count("configuration read:")
    proxy.configure(**sections)
    proxy.reload()
    wait_for(lambda: proxy.log().count("configuration read:") > number, 10, "the reload")
    time.sleep(0.3)


@pytest.mark.parametrize("what", ["limit", "password", "other_database"])
def test_T97_unchanged_pools_keep_their_connections(pgrecall, database, what):
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    with proxy.connect(database.name) as conn:
        pid = backend(conn)
        if what == "password":
            (proxy.directory / "userlist.txt").write_text('"postgres" "new"\n"tester" "changed"\n')
        reload(proxy, **{"limit": {"pgrecall": {"query_wait_timeout": "7s", "default_pool_size": 3}}, "password": {},
                         "other_database": {"databases": {"other": "host=127.0.0.1 port=1"}}}[what])
        assert backend(conn) == pid
        with proxy.connect(database.name) as other:
            assert backend(other) == pid


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_T97_removed_database(pgrecall, database, mode):
    """Idle clients are told, a transaction ends first, new clients learn that it is not there."""
    line = f"host=127.0.0.1 port={database.server.port} dbname={database.name}"
    proxy = pgrecall(databases={"gone": line, "stays": line}, pgrecall={"pool_mode": mode})
    del proxy.sections["databases"]["*"]
    reload(proxy)
    idle, busy, stays = proxy.connect("gone"), proxy.connect("gone"), proxy.connect("stays")
    idle.query("SELECT 1")
    stays.query("SELECT 1")
    busy.query("BEGIN")
    pid = backend(busy).decode()
    del proxy.sections["databases"]["gone"]
    reload(proxy)
    assert [m.sqlstate() for m in idle.rest()] == ["57P01"]
    assert busy.types(busy.query("SELECT 1")) == "TDCZ"
    answer = busy.query("COMMIT")
    assert busy.types(answer) == "CZ"
    assert [m.sqlstate() for m in busy.rest()] == ["57P01"]
    with pytest.raises(wire.ServerError) as error:
        proxy.connect("gone")
    assert error.value.sqlstate == "3D000"
    assert stays.types(stays.query("SELECT 1")) == "TDCZ"
    wait_for(lambda: database.psql(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}").strip() == "0", 5,
             "end of its connections")
    stays.close()


def test_T97_a_smaller_pool_loses_exactly_the_surplus(pgrecall, database):
    proxy = pgrecall(pgrecall={"default_pool_size": 6, "workers": 1})
    clients = [proxy.connect(database.name) for _ in range(6)]
    for conn in clients:
        conn.query("BEGIN")
    pids = {backend(conn) for conn in clients}
    for conn in clients[:3]:
        conn.query("COMMIT")
    reload(proxy, pgrecall={"default_pool_size": 4})
    wait_for(lambda: proxy.metric("pool_connections") == 4, 5, "end of the surplus")
    for conn in clients[3:]:
        assert backend(conn) in pids
        conn.query("COMMIT")
    time.sleep(1.5)
    assert proxy.metric("pool_connections") == 4
    for conn in clients:
        conn.close()


def test_T97_invalid_configuration_changes_nothing(pgrecall, database):
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    with proxy.connect(database.name) as conn:
        pid = backend(conn)
        proxy.configure(pgrecall={"default_pool_size": "many"}, databases={"*": "host=127.0.0.1 port=1"})
        proxy.reload()
        proxy.wait_log("the configuration in use stays as it is")
        assert backend(conn) == pid
        with proxy.connect(database.name) as other:
            assert other.types(other.query("SELECT 1")) == "TDCZ"
        assert proxy.metric("config_last_reload_successful") == 0


@pytest.mark.parametrize("cache", ["on", "off"])
def test_T100_every_request_is_counted(pgrecall, database, cache):
    proxy = pgrecall(cache={"default": cache})
    proxy.warm(database.name)
    text = "SELECT name FROM users WHERE id = 1"
    with proxy.connect(database.name) as conn:
        conn.query(text)
        was = proxy.metrics()
        conn.send(query(text) * 30).until("Z", 30)
        conn.send((parse("", text) + bind("", "") + execute() + sync()) * 20).until("Z", 20)
        conn.send((parse("", text) + bind("", "") + execute()) * 10 + sync()).until("Z")
        conn.query("SELECT 1/0")
        now = proxy.metrics()
    for name, more in (("queries_total", 61), ("query_duration_seconds_count", 61)):
        assert now.sum(name) - was.sum(name) == more, name


def test_T100_counters_only_grow(pgrecall, database):
    """Over the end of server connections, and reloads."""
    line = f"host=127.0.0.1 port={database.server.port} dbname={database.name}"
    proxy = pgrecall(databases={"one": line}, pgrecall={"server_idle_timeout": "1s"})
    seen = {}

    def look():
        for name, labels, value in proxy.metrics().samples:
            if name.endswith(("_total", "_count", "_sum", "_bucket")):
                key = name, tuple(sorted(labels.items()))
                assert value >= seen.get(key, 0), key
                seen[key] = value
    with proxy.connect("one") as conn:
        for _ in range(5):
            conn.query("SELECT 1")
        look()
    time.sleep(2.5)
    look()
    for more in ({"two": line}, {"one": line + " pool_size=3", "three": line}):
        reload(proxy, databases=more)
        look()
        for name in more:
            with proxy.connect(name) as conn:
                conn.query("SELECT 1")
        look()


def test_T101_the_first_address_refuses(pgrecall, database):
    """`localhost` may be ::1 first, where nobody listens."""
    proxy = pgrecall(databases={"*": f"host=localhost port={database.server.port}"})
    with proxy.connect(database.name) as conn:
        assert conn.types(conn.query("SELECT 1")) == "TDCZ"


def test_T101_change_of_address(pgrecall, fakes):
    """Idle connections to the old address end, those in use when they are given back."""
    old, new = fakes(), fakes(lambda peer, kind, body: kind == "Q" and body == b"who\0" and not peer.send(
        pg.rows("new") + READY))
    proxy = before(pgrecall, old, pool_mode="transaction")
    with connect(proxy) as conn, connect(proxy) as idle:
        idle.query("who")
        conn.query("who")
        reload(proxy, databases={"*": new.target})
        for one in (conn, idle):
            assert one.query("who")[1].values() == [b"new"]


def test_T105_graceful_shutdown(pgrecall, database):
    proxy = pgrecall(pgrecall={"shutdown_timeout": "60s"})
    process = proxy.process
    idle, busy = proxy.connect(database.name), proxy.connect(database.name)
    busy.query("BEGIN")
    proxy.send_signal(signal.SIGTERM)
    assert [m.sqlstate() for m in idle.rest()] == ["57P01"]

    def is_closed():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", proxy.port)) != 0
    wait_for(is_closed, 5, "end of the listener")
    status, _ = proxy.get("/readyz")
    assert status == 503
    wait_for(lambda: proxy.metric("client_connections") == 1, 5, "end of the idle client")
    assert proxy.get("/livez")[0] == 200
    assert busy.query("INSERT INTO users (name) VALUES ('last')")[0].kind == "C"
    assert busy.query("COMMIT")[0].kind == "C"
    assert [m.sqlstate() for m in busy.rest()] == ["57P01"]
    assert process.wait(10) == 0
    assert database.psql("SELECT count(*) FROM users WHERE name = 'last'").strip() == "1"


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_T105_the_second_signal_ends_it_now(pgrecall, database, second):
    proxy = pgrecall(pgrecall={"shutdown_timeout": "60s"})
    process = proxy.process
    busy = proxy.connect(database.name)
    busy.query("BEGIN")
    proxy.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None
    start = time.monotonic()
    proxy.send_signal(second)
    assert process.wait(10) == 0
    assert time.monotonic() - start < 5
    assert [m.sqlstate() for m in busy.rest()] == ["57P01"]


def test_T105_not_longer_than_shutdown_timeout(pgrecall, database):
    proxy = pgrecall(pgrecall={"shutdown_timeout": "1s"})
    process = proxy.process
    busy = proxy.connect(database.name)
    busy.query("BEGIN")
    start = time.monotonic()
    proxy.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert 0.8 < time.monotonic() - start < 6
    assert [m.sqlstate() for m in busy.rest()] == ["57P01"]
