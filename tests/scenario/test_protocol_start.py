# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Start of a connection, authentication, and cancel requests (T-01 to T-18, T-75 to T-81)."""

import socket
import struct
import time

import pytest

import wire
from servers import wait_for
from wire import cstr, message, query


def packet(body):
    return struct.pack("!i", len(body) + 4) + body


def refused(proxy, data):
    """The error that answers these first bytes; the connection is closed then."""
    with wire.Connection(proxy.port) as conn:
        conn.send(data)
        answer = conn.rest()
    assert [m.kind for m in answer] == ["E"], answer
    assert answer[0].fields()["S"] == "FATAL"
    return answer[0].sqlstate()


def quiet(proxy, wanted=0):
    """Nobody is connected but WANTED clients, and no server connection is in use."""
    wait_for(lambda: proxy.metric("client_connections") == wanted
             and proxy.metric("pool_connections", state="active") == 0
             and proxy.metric("pool_connections", state="testing") == 0, 15, "end of all work")


def test_T01_encryption_is_declined_and_the_socket_goes_on(pgrecall, database):
    proxy = pgrecall(tls=False)
    with wire.Connection(proxy.port) as conn:
        for request in (wire.GSSENC_REQUEST, wire.SSL_REQUEST):
            conn.send(request)
            assert conn.socket.recv(10) == b"N"
        conn.start(database=database.name)
        assert conn.types(conn.query("SELECT 1")) == "TDCZ"


@pytest.mark.parametrize("request_packet", [wire.SSL_REQUEST, wire.GSSENC_REQUEST])
def test_T02_nothing_may_stand_behind_a_request_for_encryption(pgrecall, request_packet):
    proxy = pgrecall()
    assert refused(proxy, request_packet + wire.startup(user="postgres")) == "08P01"


@pytest.mark.parametrize("length", [-1, 0, 3, 4, 7, 10001, 0x7FFFFFFF, -0x80000000])
def test_T04_length_of_the_first_packet(pgrecall, length):
    assert refused(pgrecall(), struct.pack("!i", length) + b"\0\3\0\0user\0x\0\0") == "08P01"


def test_T04_first_packet_byte_by_byte_and_large(pgrecall, database):
    proxy = pgrecall(pgrecall={"pkt_buf": "4kB"})
    with wire.Connection(proxy.port) as conn:
        conn.send_bytewise(wire.startup(user="postgres", database=database.name, application_name="x" * 40))
        conn.login()
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(user="postgres", database=database.name, application_name="x" * 9000))
        conn.login()
        rows = [m.values() for m in conn.query("SHOW application_name") if m.kind == "D"]
        assert rows == [[b"x" * 63]]


@pytest.mark.parametrize("body", [
    b"", b"user\0postgres\0", b"user\0postgres", b"user\0postgres\0\0more\0", b"user", b"\0\0", b"user\0postgres\0database\0\0x",
])
def test_T05_layout_of_the_first_packet(pgrecall, body):
    assert refused(pgrecall(), packet(b"\0\3\0\0" + body)) in ("08P01", "28000")


@pytest.mark.parametrize("parameters, sqlstate", [
    ({"database": "x"}, "28000"), ({"user": ""}, "28000"), ({"user": "u" * 9000}, "28000"),
    ({"user": "postgres", "database": "d" * 9000}, "3D000"),
])
def test_T06_names(pgrecall, parameters, sqlstate):
    assert refused(pgrecall(), wire.startup(**parameters)) == sqlstate


def test_T06_database_is_the_user_by_default(pgrecall):
    proxy = pgrecall()
    for parameters in ({"user": "postgres"}, {"user": "postgres", "database": ""}):
        with wire.Connection(proxy.port) as conn:
            conn.send(wire.startup(**parameters))
            conn.login()
            assert conn.query("SELECT current_database()")[1].values() == [b"postgres"]


@pytest.mark.parametrize("version, options, told", [
    (0x00030000, {}, None),
    (0x00030001, {}, (0x00030000, [])),
    (0x00030002, {}, None),
    (0x00030003, {}, (0x00030002, [])),
    (0x0003270F, {"_pq_.test_protocol_negotiation": ""}, (0x00030002, [b"_pq_.test_protocol_negotiation"])),
    (0x00030002, {"_pq_.one": "1"}, (0x00030002, [b"_pq_.one"])),
    (0x00030000, {"_pq_.one": "1", "_pq_.two": "2"}, (0x00030000, [b"_pq_.one", b"_pq_.two"])),
])
def test_T07_T08_versions_are_negotiated_once(pgrecall, database, version, options, told):
    proxy = pgrecall()
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(version, user="postgres", database=database.name, **options))
        answer = conn.login()
        assert conn.types(conn.query("SELECT 1")) == "TDCZ"
    negotiated = [m for m in answer if m.kind == "v"]
    if told is None:
        assert negotiated == []
        return
    names = b"".join(n + b"\0" for n in told[1])
    assert answer[0] == negotiated[0] and len(negotiated) == 1
    newest, n = struct.unpack("!ii", negotiated[0].body[:8])
    assert (newest, n, negotiated[0].body[8:]) == (told[0], len(told[1]), names)


@pytest.mark.parametrize("version", [0x00020000, 0x00040000, 0x00000000, 0x7FFFFFFF])
def test_T07_other_versions(pgrecall, version):
    assert refused(pgrecall(), wire.startup(version, user="postgres")) == "0A000"


@pytest.mark.parametrize("key", [b"", b"123", b"12345", b"1234\0", b"x" * 300])
def test_T10_cancel_requests_of_another_size(pgrecall, database, key):
    proxy = pgrecall()
    with proxy.connect(database.name) as client:
        with wire.Connection(proxy.port) as conn:
            conn.send(packet(struct.pack("!ii", 80877102, client.pid) + key))
            assert [m.kind for m in conn.rest()] in ([], ["E"])
        assert client.types(client.query("SELECT 1")) == "TDCZ"


def test_T11_connect_and_close_is_no_news(pgrecall):
    proxy = pgrecall()
    for _ in range(20):
        socket.create_connection(("127.0.0.1", proxy.port)).close()
    quiet(proxy)
    assert "WARNING" not in proxy.log()


@pytest.mark.parametrize("stalls_with", [
    b"", wire.SSL_REQUEST, b"\0\0", wire.startup(user="tester", database="postgres")[:20],
    wire.startup(user="tester", database="postgres")])
def test_T12_login_has_a_time_limit(pgrecall, stalls_with):
    proxy = pgrecall(pgrecall={"client_login_timeout": "1s", "auth_type": "scram-sha-256"})
    start = time.monotonic()
    with wire.Connection(proxy.port) as conn:
        conn.send(stalls_with)
        while conn.socket.recv(1000):
            pass
    assert 0.8 < time.monotonic() - start < 5
    quiet(proxy)


def test_T12_waiting_for_the_first_server_has_a_time_limit(pgrecall, database):
    """The server accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"host=127.0.0.1 port={silent.getsockname()[1]}"
        proxy = pgrecall(databases={"*": target}, wait=False,
                         pgrecall={"client_login_timeout": "1s", "query_wait_timeout": "2s", "server_connect_timeout": "60s"})
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", proxy.port)) == 0, 10, "listening")
        start = time.monotonic()
        with wire.Connection(proxy.port) as conn:
            conn.send(wire.startup(user="postgres", database="x"))
            assert conn.rest()[-1].kind == "E"
        assert time.monotonic() - start < 8


def test_T13_too_many_clients(pgrecall, database):
    proxy = pgrecall(pgrecall={"max_client_conn": 2, "pool_mode": "transaction"})
    clients = [proxy.connect(database.name) for _ in range(2)]
    assert refused(proxy, wire.startup(user="postgres", database=database.name)) == "53300"
    clients.pop().close()
    quiet(proxy, 1)
    assert proxy.connect(database.name).types(clients[0].query("SELECT 1")) == "TDCZ"


def login_error(proxy, **parameters):
    """The error of a login with SCRAM."""
    password = parameters.pop("password")
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(**parameters))
        with pytest.raises(wire.ServerError) as error:
            conn.login(password)
        return error.value.error.fields()


def test_T15_unknown_users_look_like_wrong_passwords(pgrecall, database):
    proxy = pgrecall(pgrecall={"auth_type": "scram-sha-256"})
    wrong = login_error(proxy, user="tester", database=database.name, password="wrong")
    nobody = login_error(proxy, user="nobody", database=database.name, password="wrong")
    nowhere = login_error(proxy, user="nobody", database="nowhere", password="wrong")
    assert wrong["C"] == nobody["C"] == nowhere["C"] == "28P01"
    assert wrong["M"].replace("tester", "nobody") == nobody["M"] == nowhere["M"]
    salts = set()
    for _ in range(2):
        with wire.Connection(proxy.port) as conn:
            conn.send(wire.startup(user="nobody", database=database.name))
            assert conn.receive().kind == "R"
            scram = wire.Scram("x")
            conn.send(scram.first())
            salts.add(conn.receive().body.split(b",s=")[1])
    assert len(salts) == 1


def sasl_initial(text, mechanism="SCRAM-SHA-256"):
    return message("p", cstr(mechanism) + struct.pack("!i", len(text)) + text)


@pytest.mark.parametrize("first", [
    sasl_initial(b""), sasl_initial(b"n,,"), sasl_initial(b"n,,n=,r="), sasl_initial(b"p=tls-unique,,n=,r=abc"),
    sasl_initial(b"n,a=other,n=,r=abc"), sasl_initial(b"n,,m=ext,n=,r=abc"), sasl_initial(b"n,,n=,r=a\0b"),
    sasl_initial(b"n,,n=,r=" + b"x" * 60000), sasl_initial(b"x" * 1000), sasl_initial(b"n,,n=,r=abc", "SCRAM-SHA-256-PLUS"),
    sasl_initial(b"n,,n=,r=abc", "PLAIN"), message("p", cstr("SCRAM-SHA-256") + struct.pack("!i", 0x7FFFFFFF) + b"n,,"),
    message("p", cstr("SCRAM-SHA-256") + struct.pack("!i", -2)), message("p", b""), message("p", b"\0" * 100),
    b"p" + struct.pack("!i", 3), b"p" + struct.pack("!i", 0x7FFFFFFF), b"p" + struct.pack("!i", 70000), query("SELECT 1"),
    message("X"), b"\xff" * 100])
def test_T17_scram_messages_have_bounds(pgrecall, database, first):
    proxy = pgrecall(pgrecall={"auth_type": "scram-sha-256"})
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(user="tester", database=database.name))
        assert conn.receive().kind == "R"
        conn.send(first)
        assert conn.rest()[-1].kind == "E"
    quiet(proxy)


@pytest.mark.parametrize("last", [b"", b"c=biws", b"c=biws,r=wrong,p=AAAA", b"c=eSws,r=x,p=" + b"A" * 60000, b"\0", b"=,=,="])
def test_T17_scram_final_messages(pgrecall, database, last):
    proxy = pgrecall(pgrecall={"auth_type": "scram-sha-256"})
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(user="tester", database=database.name))
        conn.receive()
        conn.send(wire.Scram("secret").first())
        conn.receive()
        conn.send(message("p", last))
        assert conn.rest()[-1].kind == "E"
    quiet(proxy)


def cancel(proxy, pid, key):
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.cancel_request(pid, key))
        assert conn.rest() == []


def running(database, text):
    sql = f"SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%{text}%' AND pid <> pg_backend_pid()"
    return int(database.psql(sql))


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_T75_cancel_stops_the_right_query(pgrecall, database, mode):
    proxy = pgrecall(pgrecall={"pool_mode": mode})
    first, second = proxy.connect(database.name), proxy.connect(database.name)
    first.send(query("SELECT pg_sleep(20), 'first'"))
    second.send(query("SELECT pg_sleep(1), 'second'"))
    wait_for(lambda: running(database, "pg_sleep") == 2)
    cancel(proxy, first.pid, bytes(4))  # a wrong key
    cancel(proxy, first.pid + 1000, first.key)
    cancel(proxy, first.pid, first.key)
    answer = first.until("Z")
    assert [m.sqlstate() for m in answer if m.kind == "E"] == ["57014"]
    assert second.types(second.until("Z")) == "TDCZ"
    assert first.types(first.query("SELECT 1")) == "TDCZ"


def test_T76_late_cancels_hit_nobody(pgrecall, database):
    """Cancels sent when the query has just ended, while another client uses the connection."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    first, second = proxy.connect(database.name), proxy.connect(database.name)
    for _ in range(30):
        first.query("SELECT 1")
        second.send(query("SELECT pg_sleep(0.02)"))
        cancel(proxy, first.pid, first.key)
        assert second.types(second.until("Z")) == "TDCZ"
    for _ in range(30):
        first.send(query("SELECT pg_sleep(0.003)"))
        time.sleep(0.002)
        cancel(proxy, first.pid, first.key)
        answer = first.until("Z")
        assert [m.kind for m in answer] in (["T", "D", "C", "Z"], ["T", "E", "Z"], ["E", "Z"])
        assert second.types(second.query("SELECT pg_sleep(0.002)")) == "TDCZ"


def test_T77_cancel_of_an_idle_client_does_nothing(pgrecall, database):
    proxy = pgrecall()
    client = proxy.connect(database.name)
    cancel(proxy, client.pid, client.key)
    assert client.silent()
    client.query("BEGIN")
    cancel(proxy, client.pid, client.key)
    assert client.silent()
    assert client.types(client.query("SELECT 1")) == "TDCZ"
    assert client.query("COMMIT")[-1].body == b"I"


def test_T77_cancel_of_a_waiting_client(pgrecall, database):
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    holder, waiter = proxy.connect(database.name), proxy.connect(database.name)
    holder.query("BEGIN")
    waiter.send(query("SELECT 1"))
    assert waiter.silent()
    cancel(proxy, waiter.pid, waiter.key)
    assert [m.kind for m in waiter.until("Z")] == ["E", "Z"]
    waiter.send(*(wire.parse("", "SELECT 1"), wire.bind("", ""), wire.execute(), wire.sync()))
    assert waiter.silent()
    cancel(proxy, waiter.pid, waiter.key)
    answer = waiter.until("Z")
    assert [m.kind for m in answer] == ["E", "Z"] and answer[0].sqlstate() == "57014"
    holder.query("COMMIT")
    assert waiter.types(waiter.query("SELECT 1")) == "TDCZ"


def test_T81_a_client_that_leaves_stops_its_query(pgrecall, database):
    proxy = pgrecall()
    for end in ("close", "reset"):
        client = proxy.connect(database.name)
        client.send(query(f"SELECT pg_sleep(30), '{end}'"))
        wait_for(lambda: running(database, end) == 1)
        if end == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        wait_for(lambda: running(database, end) == 0, 5, "cancelled query")
    quiet(proxy)


def test_T09_keys_differ_and_are_not_the_servers(pgrecall, database):
    proxy = pgrecall()
    clients = [proxy.connect(database.name) for _ in range(5)]
    assert len({c.pid for c in clients}) == len({c.key for c in clients}) == 5
    assert all(len(c.key) == 4 for c in clients)
