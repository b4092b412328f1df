# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""TLS towards servers."""

import asyncio
import os
import re
import subprocess
import time

import asyncpg
import psycopg
import psycopg2
import psycopg2.extras
import pytest

import wire
from cached import Cached
from certificates import Authority, give_to_postgres
from servers import Postgres, listening, wait_for
from wire import query

MB = 1 << 20


def ask(conn, sql):
    return [m.values() for m in conn.query(sql) if m.kind == "D"]


@pytest.fixture
def encrypted(directory):
    """A server with hostssl only, and its authority; clients need a certificate."""
    authority = Authority(directory, "servers")
    certificate = authority.issue("postgres", "localhost")
    give_to_postgres(certificate)
    server = Postgres(directory, ssl="on", ssl_cert_file=f"'{certificate.crt}'", ssl_key_file=f"'{certificate.key}'",
                      ssl_ca_file=f"'{authority.crt}'")
    server.start()
    server.authority = authority
    server.psql("CREATE TABLE t AS SELECT g AS id, repeat('v', 100) AS v FROM generate_series(1, 1000) g;"
                "ALTER TABLE t ADD PRIMARY KEY (id)")
    (server.data / "pg_hba.conf").write_text("hostssl all,replication all 127.0.0.0/24 trust\n")
    server.psql("SELECT pg_reload_conf()")
    yield server
    server.stop("immediate")


ENCRYPTED = "SELECT ssl, version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def via_tls(proxy, name="postgres"):
    with proxy.connect(name) as conn:
        return [row[:2] for row in ask(conn, ENCRYPTED)]


def test_servers_are_encrypted_when_they_can(pgrecall, encrypted, postgres):
    assert via_tls(pgrecall(server=encrypted)) == [[b"t", b"TLSv1.3"]], "prefer is the default"
    assert via_tls(pgrecall()) == [[b"f", None]]


@pytest.mark.parametrize("mode", ["allow", "prefer", "require", "verify-ca", "verify-full"])
def test_modes_towards_servers(pgrecall, encrypted, mode):
    proxy = pgrecall(server=encrypted, pgrecall={
        "server_tls_sslmode": mode, "server_tls_ca_file": encrypted.authority.crt,
        "server_tls_protocols": "tlsv1.2"})
    assert via_tls(proxy) == [[b"t", b"TLSv1.2"]]


def test_servers_are_refused(pgrecall, encrypted, postgres, directory):
    other = Authority(directory, "unknown")
    plain = pgrecall(server=encrypted, pgrecall={"server_tls_sslmode": "disable"})
    with pytest.raises(wire.ServerError) as error:
        plain.connect("postgres")
    assert error.value.sqlstate == "28000"
    for server, options, words in (
            (encrypted, {"server_tls_sslmode": "verify-ca", "server_tls_ca_file": other.crt}, "certificate verify failed"),
            (postgres, {"server_tls_sslmode": "require"}, "does not support SSL")):
        proxy = pgrecall(server=server, pgrecall={"query_wait_timeout": "2s", **options})
        with pytest.raises(wire.ServerError):
            proxy.connect("postgres")
        proxy.wait_log(words)
        assert proxy.metric("pool_connect_failures_total", reason="tls") > 0


def test_verify_full_compares_the_name(pgrecall, encrypted):
    """127.0.0.2 is the same server, and not in its certificate."""
    encrypted.stop()
    encrypted.settings.append("listen_addresses = '127.0.0.1,127.0.0.2'")
    encrypted.start()
    options = {"server_tls_sslmode": "verify-full", "server_tls_ca_file": encrypted.authority.crt}
    proxy = pgrecall(server=encrypted, pgrecall={"query_wait_timeout": "2s", **options}, databases={
        "right": f"host=localhost port={encrypted.port} dbname=postgres",
        "wrong": f"host=127.0.0.2 port={encrypted.port} dbname=postgres",
        "unchecked": f"host=127.0.0.2 port={encrypted.port} dbname=postgres sslmode=verify-ca"})
    assert via_tls(proxy, "right") == [[b"t", b"TLSv1.3"]]
    assert via_tls(proxy, "unchecked") == [[b"t", b"TLSv1.3"]]
    with pytest.raises(wire.ServerError):
        proxy.connect("wrong")
    proxy.wait_log('server certificate for .* does not match host name "127.0.0.2"')


def test_certificate_shown_to_the_server(pgrecall, encrypted):
    (encrypted.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 cert\n")
    encrypted.psql("SELECT pg_reload_conf()")
    wait_for(lambda: encrypted.tool("psql", "-c", "SELECT 1", check=False).returncode)
    alice = encrypted.authority.issue("alice", "postgres")
    give_to_postgres(alice)
    os.chown(alice.key, os.geteuid(), -1)
    line = (f"host=127.0.0.1 port={encrypted.port} sslmode=verify-full sslrootcert={encrypted.authority.crt} "
            f"sslcert={alice.crt} sslkey={alice.key}")
    proxy = pgrecall(server=encrypted, databases={"postgres": line})
    assert via_tls(proxy) == [[b"t", b"TLSv1.3"]]


def test_database_url_says_the_mode(pgrecall, encrypted):
    for query_part, wanted in (("sslmode=disable", None), (f"sslmode=verify-full&sslrootcert={encrypted.authority.crt}",
                                                          b"t")):
        url = f"postgresql://postgres@127.0.0.1:{encrypted.port}/postgres?{query_part}"
        proxy = pgrecall(server=encrypted, wait=False, env={"DATABASE_URL": url}, pgrecall={"query_wait_timeout": "2s"})
        wait_for(lambda: listening(proxy.port))
        if wanted is None:
            with pytest.raises(wire.ServerError):
                proxy.connect("postgres")
        else:
            assert via_tls(proxy) == [[b"t", b"TLSv1.3"]]


def test_replication_is_encrypted_and_checked_on_both_sides(pgrecall, encrypted, directory, blocking_psycopg2):
    """pg_receivewal and psycopg2, verify-full from client to proxy and from proxy to server."""
    proxy = pgrecall(server=encrypted, tls=True, pgrecall={
        "server_tls_sslmode": "verify-full", "server_tls_ca_file": encrypted.authority.crt})
    proxy.sections["databases"] = {"*": f"host=localhost port={encrypted.port}"}
    proxy.configure()
    proxy.stop()
    proxy.start()
    senders = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_replication USING (pid) WHERE ssl"
    encrypted.psql("CREATE TABLE rows (id int PRIMARY KEY); SELECT pg_create_physical_replication_slot('wal', true)")
    target = directory / "wal"
    target.mkdir()
    env = dict(os.environ, PGHOST="localhost", PGPORT=str(proxy.port), PGUSER="postgres", PGSSLMODE="verify-full",
               PGSSLROOTCERT=str(proxy.authority.crt))
    receiver = subprocess.Popen([f"{encrypted.bindir}/pg_receivewal", "-D", target, "--slot", "wal", "--no-loop"], env=env)
    try:
        wait_for(lambda: encrypted.psql(senders) == "1\n")
        encrypted.psql("INSERT INTO rows SELECT generate_series(1, 20000)")
        segment = encrypted.psql("SELECT pg_walfile_name(pg_current_wal_insert_lsn())").strip()
        encrypted.psql("SELECT pg_switch_wal()")
        wait_for(lambda: (target / segment).exists(), 20, "a whole segment")
        assert (target / segment).read_bytes() == (encrypted.data / "pg_wal" / segment).read_bytes()
    finally:
        receiver.terminate()
        receiver.wait()
    conn = psycopg2.connect(host="localhost", port=proxy.port, user="postgres", dbname="postgres", sslmode="verify-full",
                            sslrootcert=str(proxy.authority.crt),
                            connection_factory=psycopg2.extras.LogicalReplicationConnection)
    assert conn.info.ssl_in_use
    cursor = conn.cursor()
    cursor.create_replication_slot("rows", output_plugin="test_decoding")
    cursor.start_replication(slot_name="rows", decode=True)
    wait_for(lambda: encrypted.psql(senders) == "1\n")
    encrypted.psql("INSERT INTO rows VALUES (-7)")
    seen = []

    def read():
        while (m := cursor.read_message()) is not None:
            seen.append(m.payload)
        return any("id[integer]:-7" in text for text in seen)
    wait_for(read, 10, "the row")
    conn.close()


def test_everything_goes_through_an_encrypted_server(pgrecall, encrypted):
    """Results of many sizes, COPY, cancel, a pool of one for two workers, the cache and the catalogue."""
    proxy = pgrecall(server=encrypted, tls=True, cache={"default": "on"},
                     pgrecall={"default_pool_size": 1, "workers": 2, "server_tls_sslmode": "require"})

    async def client(number):
        conn = await asyncpg.connect(host="localhost", port=proxy.port, user="postgres", database="postgres",
                                     ssl=proxy.tls)
        for i in range(30):
            size = 1 << (i * 7 + number) % 19
            rows = await conn.fetch("SELECT repeat(chr(65 + $1), $2) FROM generate_series(1, 3)", number, size)
            assert [row[0] for row in rows] == [chr(65 + number) * size] * 3
        await conn.close()

    async def all_of_them():
        await asyncio.gather(*(client(n) for n in range(8)))

    asyncio.run(asyncio.wait_for(all_of_them(), 60))
    with psycopg.connect(proxy.dsn("postgres"), autocommit=True) as conn:
        conn.execute("CREATE TABLE c (v text)")
        with conn.cursor().copy("COPY c FROM STDIN") as copy:
            for _ in range(100):
                copy.write("z" * 100000 + "\n")
        assert conn.execute("SELECT sum(length(v)) FROM c").fetchone() == (10000000,)
    with proxy.connect("postgres") as conn:
        conn.send(query("SELECT repeat('x', 1048576) FROM generate_series(1, 30)"))
        assert [len(m.values()[0]) for m in conn.until("Z") if m.kind == "D"] == [MB] * 30
        conn.send(query("SELECT pg_sleep(20)"))
        time.sleep(0.3)
        with wire.Connection(proxy.port) as other:
            other.send(wire.cancel_request(conn.pid, conn.key))
        assert [m.sqlstate() for m in conn.until("Z") if m.kind == "E"] == ["57014"]
    cached = Cached(proxy, "postgres", tls=True)
    try:
        cached.warm(cached.client(), "SELECT v FROM t WHERE id = 7")
        cached.client().run("UPDATE t SET v = 'new' WHERE id = 7")
        assert cached.client().run("SELECT v FROM t WHERE id = 7") == [[b"new"]]
    finally:
        cached.close()
    assert "terminated" not in "".join(re.findall("PANIC.*|server process.*", encrypted.log()))


def test_auth_query_asks_an_encrypted_server(pgrecall, encrypted):
    encrypted.psql("CREATE ROLE eve LOGIN PASSWORD 'pw'")
    proxy = pgrecall(server=encrypted, wait=False, tls=True, pgrecall={
        "auth_type": "scram-sha-256", "auth_user": "postgres", "server_tls_sslmode": "require",
        "auth_query": "SELECT usename, passwd FROM pg_shadow WHERE usename = $1"})
    wait_for(lambda: listening(proxy.port))
    with wire.Connection(proxy.port, tls=proxy.tls) as conn:
        conn.start(user="eve", database="postgres", password="pw")
        assert ask(conn, "SELECT current_user") == [[b"eve"]]


def test_an_encrypted_server_that_goes_away(pgrecall, encrypted):
    proxy = pgrecall(server=encrypted)
    with proxy.connect("postgres") as conn:
        pid = int(ask(conn, "SELECT pg_backend_pid()")[0][0])
        encrypted_pids = {pid}
        os.kill(pid, 15)
        wait_for(lambda: proxy.metric("pool_disconnects_total", reason="server_closed") >= 1)
        wait_for(lambda: ask(conn, "SELECT 1") == [[b"1"]])
        assert int(ask(conn, "SELECT pg_backend_pid()")[0][0]) not in encrypted_pids


def test_a_reload_changes_the_mode(pgrecall, encrypted):
    proxy = pgrecall(server=encrypted, pgrecall={"server_tls_protocols": "tlsv1.2"})
    with proxy.connect("postgres") as conn:
        assert ask(conn, ENCRYPTED)[0][1] == b"TLSv1.2"
        proxy.configure(pgrecall={"server_tls_protocols": "tlsv1.3"})
        proxy.reload()
        wait_for(lambda: ask(conn, ENCRYPTED)[0][1] == b"TLSv1.3")
