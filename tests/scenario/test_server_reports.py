# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""What a server reports of itself, and when it changes (T-19, T-26, T-35, T-36)."""

import select
import socket
import struct
import threading

import pytest

import wire
from servers import Postgres, wait_for
from wire import cstr, message


def status(name, value):
    return message("S", cstr(name) + cstr(value))


NOTICE = message("N", b"SNOTICE\0VNOTICE\0C00000\0M" + b"told at login " * 20 + b"\0\0")


class Relay:
    """Between pgrecall and a server: adds messages to the login, and to connections that idle."""

    def __init__(self, port, at_login=b"", bytewise=False):
        self.target, self.at_login, self.bytewise = port, at_login, bytewise
        self.clients = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client, wire.Connection(self.target) as server:
            try:
                client.sendall(self.login(client, server))
            except (AssertionError, OSError):  # the server has refused, or pgrecall has gone
                return
            self.clients.append(client)
            ends = {client: server.socket, server.socket: client}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    try:
                        data = end.recv(1 << 16)
                    except OSError:
                        data = b""
                    if not data:
                        self.clients.remove(client)
                        return
                    ends[end].sendall(data)

    def login(self, client, server):
        """Passes the start-up packet on; the last piece of what the server says then."""
        first = client.recv(1 << 16)
        if first == wire.SSL_REQUEST:
            client.sendall(b"N")
            first = client.recv(1 << 16)
        server.send(first)
        seen = [server.receive()]
        assert seen[0].body == struct.pack("!i", 0), "trust"
        seen += server.until("Z")
        told = seen[0].raw + self.at_login + b"".join(m.raw for m in seen[1:])
        if self.bytewise:
            for i in range(len(told) - 1):
                client.sendall(told[i:i + 1])
        return told[-1:] if self.bytewise else told

    def inject(self, *messages):
        for client in list(self.clients):
            client.sendall(b"".join(messages))


def through(relay, **more):
    return {"databases": {"*": f"host=127.0.0.1 port={relay.port}"}, **more}


@pytest.mark.parametrize("bytewise", [False, True])
def test_T19_messages_during_the_login_at_a_server(pgrecall, database, bytewise):
    """Notices, parameters nobody knows, long ones, in pieces of any size."""
    extra = NOTICE + status("my.parameter", "x" * (100 if bytewise else 25000)) + NOTICE + status("", "") + status("TimeZone", "Mars/Base")
    with Relay(database.server.port, extra, bytewise) as relay:
        proxy = pgrecall(**through(relay))
        with proxy.connect(database.name) as client:
            assert client.types(client.query("SELECT 1")) == "TDCZ"
            assert client.parameters["TimeZone"] == "UTC"  # the server's last word


def test_T26_parameters_that_come_unasked(pgrecall, database):
    """After a reload of the server: to clients that have a connection, and on connections that nobody has."""
    with Relay(database.server.port) as relay:
        proxy = pgrecall(**through(relay, pgrecall={"default_pool_size": 3}))
        idle, busy = proxy.connect(database.name), proxy.connect(database.name)
        assert idle.types(idle.query("SELECT 1")) == "TDCZ"
        busy.query("BEGIN")
        relay.inject(status("my.parameter", "new"), status("in_hot_standby", "off"), NOTICE)
        told = busy.until("N")
        assert [m.kind for m in told] == ["S", "S", "N"] and told[0].body == b"my.parameter\0new\0"
        assert busy.types(busy.query("COMMIT")) == "CZ"
        for conn in (idle, busy):
            assert conn.types(conn.query("SELECT 1")) == "TDCZ"
        assert proxy.metric("pool_disconnects_total") == 0


def test_T36_a_standby_that_is_promoted(pgrecall, database):
    """What a server says while nobody uses its connection holds for who logs in next."""
    with Relay(database.server.port, status("in_hot_standby", "on")) as relay:
        proxy = pgrecall(**through(relay))
        relay.at_login = b""
        with proxy.connect(database.name) as client:
            client.query("SELECT 1")
        relay.inject(status("in_hot_standby", "promoted"), status("TimeZone", "Mars/Base"))
        assert wait_for(lambda: reported(proxy, database.name, "in_hot_standby") == "promoted", 5)
        assert reported(proxy, database.name, "TimeZone") == "UTC"


def reported(proxy, database, name):
    with proxy.connect(database) as client:
        return client.parameters[name]


def test_T36_another_server_behind_the_same_address(pgrecall, own_postgres):
    proxy = pgrecall(own_postgres)
    assert reported(proxy, "sample", "TimeZone") == "UTC"
    own_postgres.stop()
    own_postgres.settings = ["timezone = 'Asia/Tokyo'", "intervalstyle = 'iso_8601'"]
    own_postgres.start()
    wait_for(lambda: served(proxy), 20, "an answer")
    with proxy.connect("sample") as client:
        assert (client.parameters["TimeZone"], client.parameters["IntervalStyle"]) == ("Asia/Tokyo", "iso_8601")
        assert client.query("SHOW TimeZone")[1].values() == [b"Asia/Tokyo"]


def served(proxy):
    try:
        with proxy.connect("sample") as client:
            return client.types(client.query("SELECT 1")) == "TDCZ"
    except wire.ServerError:
        return False


def test_T36_another_server_after_a_reload(pgrecall, postgres, directory):
    """The first client after the reload hears of the new server, not of the old one."""
    other = Postgres(directory, timezone="'Asia/Tokyo'").start()
    try:
        proxy = pgrecall(pgrecall={"min_pool_size": 1})
        assert reported(proxy, "postgres", "TimeZone") == "UTC"
        proxy.configure(databases={"*": f"host=127.0.0.1 port={other.port}"})
        proxy.reload()
        wait_for(lambda: proxy.metric("config_reloads_total") == 1)
        for _ in range(10):
            with proxy.connect("postgres") as client:
                told = client.parameters["TimeZone"]
                assert client.query("SHOW TimeZone")[1].values() == [told.encode()]
        assert told == "Asia/Tokyo"
    finally:
        other.stop("immediate")


@pytest.mark.parametrize("encoding", ["LATIN1", "SJIS", "UTF8"])
def test_T35_errors_of_ours_are_text_in_every_encoding(pgrecall, database, encoding):
    """ASCII, but for names, which come back as they were given whole."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "query_wait_timeout": "1s"})
    holder = proxy.connect(database.name, client_encoding=encoding)
    waiter = proxy.connect(database.name, client_encoding=encoding)
    holder.query("BEGIN")
    answer = waiter.query("SELECT 1")
    assert answer[0].kind == "E" and answer[0].body.decode("ascii")
    proxy.sections["databases"] = {"only": f"host=127.0.0.1 port={database.server.port}"}
    proxy.configure()
    proxy.reload()
    wait_for(lambda: proxy.metric("config_reloads_total") == 1)
    for name in ("\u00fcmlaut", "\u00fc" * 31, "\u65e5\u672c\u8a9e" * 7, "\U0001f418" * 15):
        error = refused(proxy, database=name, client_encoding=encoding)
        assert f'"{name}"' in error.body.decode("utf-8")
    for name in (b"\xfc" * 63, "\u00fc" * 32, "\u65e5\u672c\u8a9e" * 30):  # no UTF-8; longer than a name may be
        refused(proxy, database=name, client_encoding=encoding)


def refused(proxy, **parameters):
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(user="postgres", **parameters))
        error = conn.rest()[-1]
    assert error.sqlstate() == "3D000"
    return error
