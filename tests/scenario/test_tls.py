# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""TLS with clients (T-01 to T-03, T-12, T-79, T-85, T-86, T-97)."""

import asyncio
import os
import select
import ssl
import struct
import subprocess
import time

import asyncpg
import psycopg
import psycopg2
import pytest

import wire
from cached import Cached
from certificates import Authority
from daemon import SANITIZERS, binary
from servers import wait_for
from wire import query

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
MB = 1 << 20


def ask(conn, sql):
    return [m.values() for m in conn.query(sql) if m.kind == "D"]


def refused(conn):
    """The error that ends the connection, if it says one."""
    return [m.fields() for m in conn.rest() if m.kind == "E"]


def subject(conn):
    """The common name of the certificate that a checked connection was shown."""
    return dict(pair[0] for pair in conn.socket.getpeercert()["subject"])["commonName"]


# Clients

def test_drivers_check_the_certificate(pgrecall, database):
    proxy = pgrecall(tls=True)
    ca = proxy.authority.crt
    for mode in ("require", "verify-ca", "verify-full"):
        dsn = f"host=localhost port={proxy.port} user=postgres dbname={database.name} sslmode={mode} sslrootcert={ca}"
        with psycopg2.connect(dsn) as conn, conn.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM messages")
            assert cursor.fetchone() == (2000,)
            assert conn.info.ssl_in_use
        conn.close()
        with psycopg.connect(dsn) as conn:
            rows = conn.execute("SELECT id FROM messages WHERE id = ANY(%s)", ([1, 2, 3],)).fetchall()
            assert len(rows) == 3 and conn.pgconn.ssl_in_use

    async def ask_asyncpg():
        for context in (wire.tls_context(), wire.tls_context(ca)):
            conn = await asyncpg.connect(host="localhost", port=proxy.port, user="postgres", database=database.name,
                                         ssl=context)
            assert await conn.fetchval("SELECT count(*) FROM messages") == 2000
            await conn.close()

    asyncio.run(asyncio.wait_for(ask_asyncpg(), 20))
    other = Authority(proxy.directory, "other")
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(f"host=localhost port={proxy.port} user=postgres dbname={database.name} sslmode=verify-full "
                        f"sslrootcert={other.crt}")


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_versions_and_alpn(pgrecall, database, version):
    proxy = pgrecall(tls=True)
    context = wire.tls_context(proxy.authority.crt, version=version, alpn=["h2", "postgresql"])
    with wire.Connection(proxy.port, tls=context) as conn:
        assert conn.socket.version() == {TLS12: "TLSv1.2", TLS13: "TLSv1.3"}[version]
        assert conn.socket.selected_alpn_protocol() == "postgresql"
        assert conn.socket.compression() is None
        conn.start(database=database.name)
        assert ask(conn, "SELECT 1") == [[b"1"]]


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_coming_back_is_cheap(pgrecall, database, version):
    """A ticket saves the certificate and its check; a reload ends it."""
    proxy = pgrecall(tls=True)
    context = wire.tls_context(proxy.authority.crt, version=version)

    def come(session):
        conn = wire.Connection(proxy.port)
        with conn:
            conn.send(wire.SSL_REQUEST)
            assert conn.socket.recv(1) == b"S"
            conn.socket = context.wrap_socket(conn.socket, server_hostname="localhost", session=session)
            conn.start(database=database.name)
            assert ask(conn, "SELECT 1") == [[b"1"]]
            return conn.socket.session_reused, conn.socket.session

    reused, session = come(None)
    assert not reused
    reused, session = come(session)
    assert reused
    proxy.reload()
    wait_for(lambda: proxy.metric("config_reloads_total", result="ok") == 1)
    wait_for(lambda: not come(session)[0])


def test_the_console_tells_of_tls(pgrecall, database):
    proxy = pgrecall(tls="prefer", pgrecall={"admin_users": "tester"})
    with proxy.connect(database.name), wire.Connection(proxy.port) as console:
        console.start(user="tester", database="pgbouncer")
        messages = console.query("SHOW CLIENTS")
        shown = sorted(value for m in messages if m.kind == "D" for value in m.values()
                       if value and value.startswith(b"TLSv1"))
        assert shown and shown[0].startswith(b"TLSv1.3/TLS_")
        assert len(shown) == 1, "the console's own connection is plain"


def test_protocols_can_be_narrowed(pgrecall, database):
    proxy = pgrecall(tls=True, pgrecall={"client_tls_protocols": "tlsv1.2", "client_tls_ecdhcurve": "prime256v1",
                                         "client_tls_ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"})
    with pytest.raises(ssl.SSLError):
        wire.Connection(proxy.port, tls=wire.tls_context(version=TLS13))
    with wire.Connection(proxy.port, tls=wire.tls_context(version=TLS12)) as conn:
        assert conn.socket.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
        conn.start(database=database.name)


def test_T01_requests_inside_tls_are_refused(pgrecall):
    proxy = pgrecall(tls="prefer")
    for request in (wire.SSL_REQUEST, wire.GSSENC_REQUEST):
        with wire.Connection(proxy.port, tls=proxy.tls) as conn:
            conn.send(request)
            assert [e["C"] for e in refused(conn)] == ["08P01"]


def test_T01_gss_is_declined_and_tls_follows(pgrecall, database):
    proxy = pgrecall(tls=True)
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.GSSENC_REQUEST)
        assert conn.socket.recv(10) == b"N"
        conn.send(wire.SSL_REQUEST)
        assert conn.socket.recv(10) == b"S"
        conn.encrypt(proxy.tls)
        conn.start(database=database.name)


@pytest.mark.parametrize("request_packet", [wire.SSL_REQUEST, wire.GSSENC_REQUEST])
def test_T02_nothing_may_stand_behind_a_request(pgrecall, request_packet):
    proxy = pgrecall(tls="prefer")
    with wire.Connection(proxy.port) as conn:
        conn.send(request_packet + wire.startup(user="postgres"))
        assert [(e["S"], e["C"], e["M"]) for e in refused(conn)] == [
            ("FATAL", "08P01", "received unencrypted data after SSL request")]


def direct(proxy, alpn):
    conn = wire.Connection(proxy.port)
    conn.encrypt(wire.tls_context(proxy.authority.crt, alpn=alpn))
    return conn


def test_T03_direct_tls(pgrecall, database):
    proxy = pgrecall(tls=True)
    with direct(proxy, ["postgresql"]) as conn:
        assert conn.socket.selected_alpn_protocol() == "postgresql"
        conn.start(database=database.name)
        assert ask(conn, "SELECT 1") == [[b"1"]]
    with direct(proxy, ["postgresql"]) as conn:
        conn.send(wire.SSL_REQUEST)
        assert [e["C"] for e in refused(conn)] == ["08P01"]
    with pytest.raises(ssl.SSLError):
        direct(proxy, ["h2"])
    with pytest.raises((ssl.SSLError, OSError)):  # TLS 1.3: the client hears of it with its first read
        with direct(proxy, None) as conn:
            assert conn.receive() is None
            raise ConnectionResetError
    proxy.wait_log("without ALPN")


def test_T03_direct_tls_in_small_pieces(pgrecall, database):
    """The first byte may come alone, and a record in many packets."""
    proxy = pgrecall(tls=True)
    context = wire.tls_context(proxy.authority.crt, alpn=["postgresql"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with wire.Connection(proxy.port) as conn:
        def step(what):
            while True:
                try:
                    done = what()
                    conn.send_bytewise(outgoing.read())
                    return done
                except ssl.SSLWantReadError:
                    conn.send_bytewise(outgoing.read())
                    incoming.write(conn.socket.recv(65536))

        step(tls.do_handshake)
        step(lambda: tls.write(wire.startup(user="postgres", database=database.name)))
        assert step(lambda: tls.read(9)) == b"R\0\0\0\x08\0\0\0\0"


def test_T03_direct_tls_without_tls(pgrecall):
    proxy = pgrecall()
    with wire.Connection(proxy.port) as conn, pytest.raises(ssl.SSLError):
        conn.encrypt(wire.tls_context(alpn=["postgresql"]))


@pytest.mark.parametrize("first", [b"", wire.SSL_REQUEST, b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_T12_the_login_timeout_holds_for_the_handshake(pgrecall, first):
    proxy = pgrecall(tls=True, pgrecall={"client_login_timeout": "1s"})
    begun = time.monotonic()
    with wire.Connection(proxy.port) as conn:
        conn.send(first)
        while conn.socket.recv(1000):
            pass
    assert 0.7 < time.monotonic() - begun < 8
    wait_for(lambda: proxy.metric("client_connections_rejected_total", reason="timeout") == 1)
    wait_for(lambda: proxy.metric("client_connections") == 0)


def test_who_is_not_encrypted_is_refused(pgrecall, database):
    proxy = pgrecall(tls=True)
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(user="postgres", database=database.name))
        assert [(e["S"], e["C"]) for e in refused(conn)] == [("FATAL", "28000")]
    assert proxy.metric("client_connections_rejected_total", reason="tls_required") == 1
    for mode in ("disable", "allow"):
        dsn = f"host=127.0.0.1 port={proxy.port} user=postgres dbname={database.name} sslmode={mode}"
        if mode == "disable":
            with pytest.raises(psycopg.OperationalError, match="TLS is required"):
                psycopg.connect(dsn)
        else:  # libpq comes again, encrypted
            psycopg.connect(dsn).close()


def test_unix_sockets_have_and_need_no_tls(pgrecall, database, directory):
    where = directory / "socket"
    where.mkdir()
    proxy = pgrecall(tls=True, pgrecall={"unix_socket_dir": where})
    with psycopg.connect(f"host={where} port={proxy.port} user=postgres dbname={database.name}") as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,) and not conn.pgconn.ssl_in_use


def test_certificates_of_clients(pgrecall, database, directory):
    ours = Authority(directory, "ours")
    good = ours.issue("alice", "alice")
    stranger = Authority(directory, "others").issue("mallory", "alice")
    proxy = pgrecall(tls="verify-full", wait=False, pgrecall={"client_tls_ca_file": ours.crt})
    wait_for(proxy.ready)
    with wire.Connection(proxy.port, tls=wire.tls_context(proxy.authority.crt, good)) as conn:
        conn.start(database=database.name)
        assert ask(conn, "SELECT 1") == [[b"1"]]
    for certificate in (None, stranger):
        with pytest.raises((ssl.SSLError, AssertionError, OSError)):
            with wire.Connection(proxy.port, tls=wire.tls_context(certificate=certificate)) as conn:
                conn.start(database=database.name)
    proxy.wait_log("peer did not return a certificate")
    proxy.wait_log("certificate verify failed")


# Much at once

def big(conn, megabytes):
    conn.send(query(f"SELECT repeat(chr(65 + g % 26), 1048576) FROM generate_series(1, {megabytes}) g"))


def test_T86_a_large_result(pgrecall, database):
    """Through libpq, called asynchronously too, whose buffer a large record would straddle."""
    proxy = pgrecall(tls=True)
    with psycopg.connect(proxy.dsn(database.name)) as conn:
        rows = conn.execute("SELECT repeat(chr(65 + g % 26), 1048576) FROM generate_series(1, 50) g").fetchall()
        assert [row[0] for row in rows] == [chr(65 + g % 26) * MB for g in range(1, 51)]

    async def many_sizes():
        conn = await psycopg.AsyncConnection.connect(proxy.dsn(database.name))
        for size in (1, 100, 8000, 8170, 8192, 8193, 16384, 20000, 70000, 300000):
            row = await (await conn.execute("SELECT repeat('x', %s)", (size,))).fetchone()
            assert row == ("x" * size,)
        await conn.close()

    asyncio.run(asyncio.wait_for(many_sizes(), 30))


def record_sizes(proxy, database):
    """Lengths of the TLS records that answer a large query."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = wire.tls_context().wrap_bio(incoming, outgoing)
    raw = b""
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.SSL_REQUEST)
        assert conn.socket.recv(1) == b"S"

        def step(what):
            nonlocal raw
            while True:
                try:
                    done = what()
                    conn.send(outgoing.read())
                    return done
                except ssl.SSLWantReadError:
                    conn.send(outgoing.read())
                    piece = conn.socket.recv(65536)
                    raw += piece
                    incoming.write(piece)

        step(tls.do_handshake)
        step(lambda: tls.write(wire.startup(user="postgres", database=database.name)))
        seen = b""
        while not seen.endswith(b"Z\0\0\0\5I"):
            seen += step(lambda: tls.read(65536))
        step(lambda: tls.write(query("SELECT repeat('x', 2000000)") + query("SELECT 1")))
        while seen.count(b"Z\0\0\0\5I") < 3:
            seen += step(lambda: tls.read(1 << 20))
    at, sizes = 0, []
    while at + 5 <= len(raw):
        kind, length = raw[at], struct.unpack_from("!H", raw, at + 3)[0]
        assert kind in (20, 21, 22, 23)
        sizes.append(length)
        at += 5 + length
    return sizes


def test_T86_records_are_of_8_kib_at_most(pgrecall, database):
    sizes = record_sizes(pgrecall(tls=True), database)
    assert max(sizes) <= 8192 + 64
    assert len(sizes) < 2000000 / 8192 * 1.3, "small pieces share a record"


def test_T85_a_slow_reader(pgrecall, database):
    """The other clients are served, memory stays bounded, and every byte arrives."""
    proxy = pgrecall(tls=True, pgrecall={"default_pool_size": 2})
    with proxy.connect(database.name) as slow, proxy.connect(database.name) as quick:
        before = proxy.metric("process_resident_memory_bytes")
        big(slow, 150)
        for _ in range(10):
            assert ask(quick, "SELECT 1") == [[b"1"]]
            time.sleep(0.05)
        assert proxy.metric("process_resident_memory_bytes") - before < 75 * MB
        rows = [m.values()[0] for m in slow.until("Z") if m.kind == "D"]
        assert [len(row) for row in rows] == [MB] * 150
        assert rows[7] == bytes([65 + 8]) * MB


def test_T85_both_directions_are_full(pgrecall, database):
    """The client sends without reading, more than every buffer on the way holds."""
    proxy = pgrecall(tls=True)
    with proxy.connect(database.name) as conn:
        text = "x" * 1000
        conn.socket.setblocking(False)
        data, sent, got = query(f"SELECT '{text}'") * 6000, 0, b""
        deadline = time.monotonic() + 60
        while got.count(b"Z\0\0\0\5I") < 6000:
            assert time.monotonic() < deadline, (sent, len(got))
            if sent < len(data):
                try:
                    sent += conn.socket.send(data[sent:sent + 65536])
                    continue
                except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    pass
            select.select([conn.socket], [], [], 0.2)
            try:
                while piece := conn.socket.recv(1 << 20):
                    got += piece
            except ssl.SSLWantReadError:
                pass
        assert got.count(text.encode()) == 6000


def test_copy_in_both_directions(pgrecall, empty_database):
    proxy = pgrecall(tls=True)
    empty_database.psql("CREATE TABLE c (id int, v text)")
    with psycopg.connect(proxy.dsn(empty_database.name), autocommit=True) as conn:
        with conn.cursor().copy("COPY c FROM STDIN") as copy:
            for i in range(200):
                copy.write(f"{i}\t{'y' * 50000}\n")
        with conn.cursor().copy("COPY c TO STDOUT") as copy:
            assert sum(len(piece) for piece in copy) > 200 * 50000
    assert empty_database.psql("SELECT count(*), sum(length(v)) FROM c").strip() == "200|10000000"


def test_cache_hits_are_the_same_bytes(pgrecall, database):
    proxy = pgrecall(tls="prefer", cache={"default": "on"})
    sql = "SELECT * FROM messages ORDER BY id LIMIT 200"
    with proxy.connect(database.name) as conn, wire.Connection(proxy.port) as plain:
        plain.start(database=database.name)
        first = conn.query(sql)
        cached = Cached(proxy, database.name)
        try:
            cached.warm(cached.client(), sql)
            hits = cached.hits()
            assert conn.query(sql) == first
            assert plain.query(sql) == first
            assert cached.hits() == hits + 2
        finally:
            cached.close()


def test_one_server_connection_for_many_encrypted_clients(pgrecall, database):
    proxy = pgrecall(tls=True, pgrecall={"default_pool_size": 1, "workers": 2})

    async def client(number):
        conn = await asyncpg.connect(host="localhost", port=proxy.port, user="postgres", database=database.name,
                                     ssl=proxy.tls)
        for i in range(20):
            assert await conn.fetchval("SELECT $1::int", number * 100 + i) == number * 100 + i
        await conn.close()

    async def all_of_them():
        await asyncio.gather(*(client(n) for n in range(20)))

    asyncio.run(asyncio.wait_for(all_of_them(), 60))


# Reloading

def test_T97_a_reload_exchanges_the_certificate(pgrecall, database):
    proxy = pgrecall(tls=True)
    with proxy.connect(database.name) as old:
        assert subject(old) == "localhost"
        renewed = proxy.authority.issue("renewed", "renewed")
        os.replace(renewed.crt, proxy.certificate.crt)
        os.replace(renewed.key, proxy.certificate.key)
        proxy.reload()

        def shown():
            with proxy.connect(database.name) as conn:
                return subject(conn) == "renewed"

        wait_for(shown)
        assert ask(old, "SELECT 1") == [[b"1"]], "it goes on with the old one"


def test_T97_a_bad_certificate_changes_nothing(pgrecall, database):
    proxy = pgrecall(tls=True, pgrecall={"max_client_conn": 50})
    good = open(proxy.certificate.crt).read()
    with open(proxy.certificate.crt, "w") as file:
        file.write("-----BEGIN CERTIFICATE-----\nnonsense\n")
    proxy.configure(pgrecall={"max_client_conn": 1})
    proxy.reload()
    line = proxy.wait_log(r"reload: TLS for clients: certificate file .*; nothing was changed")
    assert proxy.certificate.crt in line.group(0)
    assert proxy.metric("config_reloads_total", result="rejected") == 1
    with proxy.connect(database.name) as a, proxy.connect(database.name) as b:
        assert ask(a, "SELECT 1") == ask(b, "SELECT 1") == [[b"1"]]
    check = subprocess.run([binary(), "--check-config", proxy.config], capture_output=True, text=True,
                           env={**os.environ, **SANITIZERS})
    assert check.returncode != 0 and "TLS for clients: certificate file" in check.stderr
    with open(proxy.certificate.crt, "w") as file:
        file.write(good)
    proxy.reload()
    wait_for(lambda: proxy.metric("config_reloads_total", result="ok") == 1)
