# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Replication connections (T-102): PostgreSQL's own programs, psycopg2, and the wire."""

import os
import re
import subprocess
import time

import psycopg2
import psycopg2.extras
import pytest

import wire
from servers import Postgres, wait_for
from wire import copy_data, copy_done, message, query

SENDERS = "SELECT count(*) FROM pg_stat_replication"


def replicate(proxy, database, how="database", **parameters):
    return wire.Connection(proxy.port).start(database=database, replication=how, **parameters)


def value(conn, sql):
    rows = [m.values() for m in conn.query(sql) if m.kind == "D"]
    assert len(rows) == 1, rows
    return rows[0][0].decode()


def idle(proxy, postgres):
    """Nothing is left: no client, no server connection of theirs."""
    wait_for(lambda: proxy.metric("replication_connections") == 0
             and proxy.metric("client_connections") == 0, 10, "end of the replication clients")
    wait_for(lambda: postgres.psql(SENDERS) == "0\n", 10, "end of the senders")


def slot(postgres, name):
    postgres.psql(f"SELECT pg_drop_replication_slot('{name}')")


@pytest.mark.parametrize("how", ["true", "on", "yes", "1", "TRUE", "t", "database"])
def test_identify_system(pgrecall, postgres, database, how):
    proxy = pgrecall()
    with replicate(proxy, database.name, how) as conn:
        answer = conn.query("IDENTIFY_SYSTEM")
        assert conn.types(answer) == "TDCZ"
        assert answer[1].values()[3] == (database.name.encode() if how == "database" else None)
        assert conn.parameters["server_version"].startswith("1")
        assert proxy.metric("replication_connections") == 1
        if how != "database":
            assert proxy.metric("pool_connections") == 0
    idle(proxy, postgres)


@pytest.mark.parametrize("how", ["false", "off", "no", "0", "F"])
def test_no_replication(pgrecall, database, how):
    with replicate(pgrecall(), database.name, how) as conn:
        assert [m.kind for m in conn.query("IDENTIFY_SYSTEM")] == ["E", "Z"]
        assert value(conn, "SELECT 1") == "1"


@pytest.mark.parametrize("how", ["", "maybe", "o", "Database", "tru e", "11"])
def test_what_is_neither(pgrecall, database, how):
    proxy = pgrecall()
    with pytest.raises(wire.ServerError) as error:
        replicate(proxy, database.name, how)
    assert error.value.sqlstate == "22023"


def test_options_and_settings_are_the_clients(pgrecall, database):
    proxy = pgrecall()
    settings = {"options": r"-c search_path=a,\ b --work-mem=5MB -c application_name=weak", "TimeZone": "Asia/Tokyo",
                "application_name": "strong \\ one", "extra_float_digits": "2", "client_encoding": "LATIN1"}
    with replicate(proxy, database.name, **settings) as conn:
        for name, wanted in (("search_path", "a, b"), ("work_mem", "5MB"), ("TimeZone", "Asia/Tokyo"),
                             ("application_name", "strong \\ one"), ("extra_float_digits", "2"), ("client_encoding", "LATIN1")):
            assert value(conn, f"SHOW {name}") == wanted
        assert conn.parameters["TimeZone"] == "Asia/Tokyo"
        assert conn.parameters["client_encoding"] == "LATIN1"
    with replicate(proxy, database.name) as conn:
        assert value(conn, "SHOW work_mem") == "4MB"


@pytest.mark.parametrize("parameters, sqlstate", [
    ({"options": "-c nonsense=1"}, "42704"), ({"work_mem": "x"}, "22023"), ({"options": "word"}, "42601"),
    ({"user": "nobody"}, "28000"), ({"database": "nowhere"}, "3D000")])
def test_what_the_server_refuses(pgrecall, postgres, database, parameters, sqlstate):
    proxy = pgrecall()
    with pytest.raises(wire.ServerError) as error:
        replicate(proxy, parameters.pop("database", database.name), **parameters)
    assert error.value.sqlstate == sqlstate
    idle(proxy, postgres)


def test_the_limit_is_their_own(pgrecall, postgres, database):
    proxy = pgrecall(pgrecall={"max_replication_connections": 2, "default_pool_size": 1})
    clients = [replicate(proxy, database.name, how) for how in ("true", "database")]
    with pytest.raises(wire.ServerError) as error:
        replicate(proxy, database.name)
    assert error.value.sqlstate == "53300"
    with proxy.connect(database.name) as conn:
        assert value(conn, "SELECT 1") == "1"
    clients.pop().close()
    wait_for(lambda: proxy.metric("replication_connections") == 1)
    clients.append(replicate(proxy, database.name))
    assert value(clients[1], "SELECT 1") == "1"
    for client in clients:
        client.close()
    idle(proxy, postgres)


def test_passwords_on_both_sides(pgrecall, directory):
    server = Postgres(directory, hba_file=f"'{directory}/hba'")
    (directory / "hba").write_text("host all,replication postgres 127.0.0.1/32 trust\n"
                                   "host all,replication tester 127.0.0.1/32 scram-sha-256\n")
    server.start()
    try:
        server.psql("CREATE ROLE tester LOGIN REPLICATION PASSWORD 'secret'")
        proxy = pgrecall(server=server, pgrecall={"auth_type": "scram-sha-256"})
        for how in ("true", "database"):
            with replicate(proxy, "postgres", how, user="tester", password="secret") as conn:
                assert conn.types(conn.query("IDENTIFY_SYSTEM")) == "TDCZ"
            with pytest.raises(wire.ServerError) as error:
                replicate(proxy, "postgres", how, user="tester", password="wrong")
            assert error.value.sqlstate == "28P01"
    finally:
        server.stop("immediate")


def tool(postgres, proxy, name, *arguments, user="postgres", timeout=60, **kwargs):
    """One of PostgreSQL's programs, connected through the proxy."""
    env = dict(os.environ, PGHOST="127.0.0.1", PGPORT=str(proxy.port), PGUSER=user)
    done = subprocess.run([f"{postgres.bindir}/{name}", *map(str, arguments)], env=env, capture_output=True,
                          text=True, timeout=timeout, **kwargs)
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    return done


def test_pg_receivewal(pgrecall, postgres, database, directory):
    proxy = pgrecall()
    database.psql("SELECT pg_create_physical_replication_slot('received', true)")
    tool(postgres, proxy, "pg_receivewal", "--create-slot", "--if-not-exists", "--slot", "received")
    try:
        database.psql("SELECT pg_switch_wal()")
        database.psql("SET synchronous_commit = on; CREATE TABLE w AS SELECT g, repeat('x', 500) FROM generate_series(1, 40000) g")
        end = database.psql("SELECT pg_current_wal_flush_lsn()").strip()
        database.psql("SELECT pg_switch_wal()")
        target = directory / "wal"
        target.mkdir()
        tool(postgres, proxy, "pg_receivewal", "-D", target, "--slot", "received", "--endpos", end, "--no-loop")
        whole = sorted(f for f in target.iterdir() if re.fullmatch("[0-9A-F]{24}", f.name))
        assert whole
        for file in whole:
            assert file.read_bytes() == (postgres.data / "pg_wal" / file.name).read_bytes()
    finally:
        slot(postgres, "received")
    idle(proxy, postgres)


def test_pg_basebackup_and_a_standby(pgrecall, directory):
    """The backup with its WAL, and a standby that streams through the proxy."""
    primary = Postgres(directory, max_wal_senders=5)
    primary.start()
    standby = None
    try:
        proxy = pgrecall(server=primary)
        primary.psql("CREATE TABLE b AS SELECT g FROM generate_series(1, 100000) g")
        copy = Postgres(directory)
        copy.data = directory / "standby" / "postgres"
        copy.data.parent.mkdir()
        tool(primary, proxy, "pg_basebackup", "-D", copy.data, "-X", "stream", "-c", "fast", "--progress")
        tool(primary, proxy, "pg_verifybackup", copy.data)
        idle(proxy, primary)
        copy.settings = [f"primary_conninfo = 'host=127.0.0.1 port={proxy.port} user=postgres'", "hot_standby = on"]
        (copy.data / "standby.signal").touch()
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", "postgres:", copy.data], check=True)
        standby = copy
        standby.start()
        primary.psql("INSERT INTO b SELECT 7 FROM generate_series(1, 1000)")
        wait_for(lambda: standby.psql("SELECT count(*) FROM b WHERE g = 7") == "1001\n", 20, "the rows on the standby")
        assert "streaming" in primary.psql("SELECT state FROM pg_stat_replication")
    finally:
        if standby is not None:
            standby.stop("immediate")
        primary.stop("immediate")


def test_pg_recvlogical(pgrecall, postgres, database, directory):
    proxy = pgrecall()
    common = ("-d", database.name, "--slot", "logical")
    tool(postgres, proxy, "pg_recvlogical", *common, "--create-slot", "-P", "test_decoding")
    database.psql("CREATE TABLE l (id int PRIMARY KEY, v text)")
    database.psql("SET synchronous_commit = on; INSERT INTO l SELECT g, repeat('y', 1000) FROM generate_series(1, 5000) g")
    end = database.psql("SELECT pg_current_wal_lsn()").strip()
    out = directory / "out"
    tool(postgres, proxy, "pg_recvlogical", *common, "--start", "--endpos", end, "-f", out, "--no-loop",
         "-o", "include-xids=0", "-o", "skip-empty-xacts=1")
    lines = out.read_text().splitlines()
    assert len([line for line in lines if line.startswith("table public.l: INSERT")]) == 5000
    tool(postgres, proxy, "pg_recvlogical", *common, "--drop-slot")
    idle(proxy, postgres)


@pytest.mark.parametrize("plugin", ["test_decoding", "pgoutput"])
def test_psycopg2(blocking_psycopg2, pgrecall, postgres, database, plugin):
    proxy = pgrecall()
    database.psql("CREATE TABLE p (id int PRIMARY KEY); CREATE PUBLICATION everything FOR ALL TABLES")
    conn = psycopg2.connect(host="127.0.0.1", port=proxy.port, user="postgres", dbname=database.name,
                            connection_factory=psycopg2.extras.LogicalReplicationConnection)
    cursor = conn.cursor()
    cursor.create_replication_slot("psyco", output_plugin=plugin)
    options = {"proto_version": "1", "publication_names": "everything"} if plugin == "pgoutput" else {}
    cursor.start_replication(slot_name="psyco", options=options, decode=False)
    database.psql("INSERT INTO p VALUES (41), (42)")
    seen = []

    def read():
        while (m := cursor.read_message()) is not None:
            seen.append(m.payload)
            cursor.send_feedback(flush_lsn=m.data_start)
        return any(b"42" in s for s in seen)
    wait_for(read, 10, "the row")
    first = [s[:1] for s in seen] if plugin == "pgoutput" else [s.split()[0] for s in seen]
    assert first[0] in (b"B", b"BEGIN")
    conn.close()
    wait_for(lambda: postgres.psql("SELECT active FROM pg_replication_slots") == "f\n")
    slot(postgres, "psyco")
    idle(proxy, postgres)


def test_subscription(pgrecall, postgres, database, empty_database):
    """PostgreSQL's own subscriber copies the tables by SQL on such connections, then streams."""
    proxy = pgrecall(cache={"default": "on"})
    database.psql("CREATE TABLE s (id int PRIMARY KEY); INSERT INTO s SELECT generate_series(1, 1000);"
                  "CREATE PUBLICATION pub FOR TABLE s")
    database.psql("SELECT pg_create_logical_replication_slot('sub', 'pgoutput')")
    empty_database.psql("CREATE TABLE s (id int PRIMARY KEY)")
    try:
        empty_database.psql(f"CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port={proxy.port} user=postgres "
                            f"dbname={database.name}' PUBLICATION pub WITH (create_slot = false)")
        wait_for(lambda: empty_database.psql("SELECT count(*) FROM s") == "1000\n", 20, "the copy")
        database.psql("INSERT INTO s VALUES (2000)")
        wait_for(lambda: empty_database.psql("SELECT max(id) FROM s") == "2000\n", 20, "the change")
    finally:
        empty_database.psql("ALTER SUBSCRIPTION sub DISABLE")
        empty_database.psql("ALTER SUBSCRIPTION sub SET (slot_name = NONE)")
        empty_database.psql("DROP SUBSCRIPTION sub")
        wait_for(lambda: postgres.psql("SELECT count(*) FROM pg_replication_slots WHERE active") == "0\n", 10, "idle slots")
        postgres.psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


def standby_reply(lsn=0):
    return copy_data(b"r" + lsn.to_bytes(8, "big") * 3 + bytes(9))


def test_streaming_ends_and_the_session_goes_on(pgrecall, postgres, database):
    proxy = pgrecall()
    with replicate(proxy, database.name, "true") as conn:
        position = conn.query("IDENTIFY_SYSTEM")[1].values()[2].decode()
        conn.send(query(f"START_REPLICATION PHYSICAL {position}"))
        assert conn.receive().kind == "W"
        database.psql("CREATE TABLE z AS SELECT 1")
        assert [m.body[:1] for m in conn.until("d")] in ([b"w"], [b"k"])
        conn.send_bytewise(standby_reply(), copy_done())
        assert [m.kind for m in conn.until("Z") if m.kind != "d"] in (["c", "C", "Z"], ["c", "C", "C", "Z"])
        assert conn.types(conn.query("IDENTIFY_SYSTEM")) == "TDCZ"
        conn.send(message("P", b"\0SELECT 1\0\0\0"), message("S"))
        assert "E" in [m.kind for m in conn.until("Z")]
    idle(proxy, postgres)


def test_a_slow_reader_is_waited_for(pgrecall, postgres, database):
    """A client that does not read costs no memory, and gets everything when it does."""
    proxy = pgrecall(pgrecall={"workers": 1})
    with replicate(proxy, database.name, "true") as conn, proxy.connect(database.name) as other:
        position = conn.query("IDENTIFY_SYSTEM")[1].values()[2].decode()
        database.psql("SET synchronous_commit = on; CREATE TABLE big AS SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 150000) g")
        end = int(database.psql(f"SELECT pg_current_wal_flush_lsn() - '{position}'::pg_lsn").strip())
        assert end > 64 << 20
        other.query("SELECT 1")
        before = proxy.metric("process_resident_memory_bytes")
        conn.send(query(f"START_REPLICATION PHYSICAL {position}"))
        time.sleep(1.5)
        assert other.types(other.query("SELECT 1")) == "TDCZ"
        assert proxy.metric("process_resident_memory_bytes") - before < 32 << 20
        assert conn.receive().kind == "W"
        got = 0
        while got < end:
            m = conn.receive()
            got += len(m.body) - 25 if m.body[:1] == b"w" else 0
    idle(proxy, postgres)


@pytest.mark.parametrize("how", ["true", "database"])
def test_the_server_ends_it(pgrecall, postgres, database, how):
    proxy = pgrecall()
    with replicate(proxy, database.name, how) as conn:
        conn.query("IDENTIFY_SYSTEM")
        postgres.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        postgres.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'")
        assert [m.sqlstate() for m in conn.rest()] == ["57P01"]
    idle(proxy, postgres)


def test_cancel(pgrecall, database):
    proxy = pgrecall()
    with replicate(proxy, database.name) as conn:
        conn.send(query("SELECT pg_sleep(20)"))
        wait_for(lambda: int(database.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(20)' "
                                           "AND state = 'active'")) == 1)
        with wire.Connection(proxy.port) as other:
            other.send(wire.cancel_request(conn.pid, conn.key))
            assert other.rest() == []
        assert [m.sqlstate() for m in conn.until("Z") if m.kind == "E"] == ["57014"]
        assert value(conn, "SELECT 1") == "1"


def test_no_server(pgrecall, database, postgres):
    """The client is told at once why; nothing waits in a pool."""
    proxy = pgrecall(databases={"gone": "host=127.0.0.1 port=1"})
    for how in ("true", "database"):
        with pytest.raises(wire.ServerError) as error:
            replicate(proxy, "gone", how)
        assert error.value.sqlstate.startswith("08")


def test_a_reload_and_the_end_of_the_daemon(pgrecall, postgres, database):
    proxy = pgrecall()
    clients = [replicate(proxy, database.name, how) for how in ("true", "database")]
    proxy.configure(pgrecall={"max_replication_connections": 1})
    proxy.reload()
    wait_for(lambda: proxy.metric("config_reloads_total") > 0, 10, "reload")
    for client in clients:
        assert client.types(client.query("IDENTIFY_SYSTEM")) == "TDCZ"
    proxy.stop()
    for client in clients:
        assert [m.sqlstate() for m in client.rest()] == ["57P01"]
    wait_for(lambda: postgres.psql(SENDERS) == "0\n")
