# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Replication connections on the console, and how they end: with an error of their own, between two messages."""

import signal

import pytest

import wire
from servers import wait_for
from wire import query

ADMIN = {"admin_users": "postgres"}
BOTH = pytest.mark.parametrize("how", ["true", "database"])


def replicate(proxy, database, how="database", **parameters):
    return wire.Connection(proxy.port).start(database=database, replication=how, **parameters)


def rows(conn, sql):
    """Rows as dictionaries."""
    answer = conn.query(sql)
    assert answer[0].kind == "T", answer
    names, at = [], 2
    for _ in range(int.from_bytes(answer[0].body[:2], "big")):
        end = answer[0].body.index(b"\0", at)
        names.append(answer[0].body[at:end].decode())
        at = end + 19
    return [dict(zip(names, [v.decode() if v is not None else None for v in m.values()])) for m in answer if m.kind == "D"]


def stream(conn):
    """Begins to stream WAL from now on."""
    position = conn.query("IDENTIFY_SYSTEM")[1].values()[2].decode()
    conn.send(query(f"START_REPLICATION PHYSICAL {position}"))
    conn.until("W")


def end_of(conn):
    """What ends the connection; whole messages are all that comes."""
    seen = conn.rest()
    assert [m.kind for m in seen if m.kind != "d"] == ["E"] and seen[-1].kind == "E"
    return seen[-1].fields()


def test_shown_on_the_console_and_in_the_metrics(pgrecall, postgres, database):
    proxy = pgrecall(pgrecall=ADMIN)
    with proxy.connect("pgbouncer") as console, replicate(proxy, database.name) as logical, \
            replicate(proxy, "replication", "true") as physical, proxy.connect(database.name) as client:
        client.query("SELECT 1")
        pids = {}
        for conn, kind, name in ((logical, "logical", database.name), (physical, "physical", "replication")):
            assert conn.types(conn.query("IDENTIFY_SYSTEM")) == "TDCZ"
            client_row, = [row for row in rows(console, "SHOW CLIENTS") if row["replication"] == kind]
            server_row, = [row for row in rows(console, "SHOW SERVERS") if row["replication"] == kind]
            for row in (client_row, server_row):
                assert (row["database"], row["user"], row["state"]) == (name, "postgres", "active")
            assert client_row["link"] == server_row["ptr"] and server_row["link"] == client_row["ptr"]
            assert (server_row["addr"], server_row["port"]) == ("127.0.0.1", str(postgres.port))
            assert len([row for row in rows(console, "SHOW SOCKETS") if row["replication"] == kind]) == 2
            assert len([row for row in rows(console, "SHOW ACTIVE_SOCKETS") if row["replication"] == kind]) == 2
            pids[kind] = server_row["remote_pid"]
            assert proxy.metric("replication_connections", kind=kind) == 1
        senders = postgres.psql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'").split()
        assert pids["logical"] in senders and len(senders) == 2
        pools = {row["database"]: row for row in rows(console, "SHOW POOLS")}
        assert {n: pools[database.name][n] for n in ("cl_active", "sv_active", "sv_idle")} == {
            "cl_active": "2", "sv_active": "1", "sv_idle": "1"}
        assert (pools["replication"]["cl_active"], pools["replication"]["sv_active"]) == ("1", "1")
        shown = {row["name"]: row for row in rows(console, "SHOW DATABASES")}
        assert (shown[database.name]["current_connections"], shown[database.name]["current_client_connections"]) == ("2", "2")
        fds = [row for row in rows(console, "SHOW FDS") if row["database"] == "replication"]
        assert sorted(row["task"] for row in fds) == ["client", "server"]
        assert fds[0]["link"] == fds[1]["fd"] and fds[1]["link"] == fds[0]["fd"]
        assert rows(console, "SHOW MEM") and rows(console, "SHOW LISTS") and rows(console, "SHOW USERS")
    wait_for(lambda: proxy.metric("replication_connections") == 0)


# The end of the program

@BOTH
def test_idle_at_the_end(pgrecall, database, how):
    proxy = pgrecall()
    with replicate(proxy, database.name, how) as conn:
        proxy.send_signal(signal.SIGTERM)
        error = end_of(conn)
        assert (error["S"], error["C"]) == ("FATAL", "57P01")
        proxy.stop()


def test_streaming_ends_between_two_messages(pgrecall, database):
    proxy = pgrecall()
    with replicate(proxy, database.name, "true") as conn:
        stream(conn)
        database.psql("SET synchronous_commit = on; CREATE TABLE big AS SELECT repeat(md5(g::text), 20) FROM generate_series(1, 20000) g")
        conn.until("d", 3)
        proxy.send_signal(signal.SIGTERM)
        assert end_of(conn)["C"] == "57P01"
        proxy.stop()


def test_a_base_backup_is_waited_for(pgrecall, postgres, database):
    proxy = pgrecall()
    with replicate(proxy, database.name, "true") as conn:
        conn.send(query("BASE_BACKUP (LABEL 'all', CHECKPOINT 'fast')"))
        conn.until("d")
        proxy.send_signal(signal.SIGTERM)
        proxy.wait_log("shut")
        assert conn.types(conn.until("Z")).strip("d").endswith("CZ")
        assert end_of(conn)["C"] == "57P01"
        proxy.stop()


def test_a_query_is_waited_for_up_to_the_limit(pgrecall, database):
    proxy = pgrecall(pgrecall={"shutdown_timeout": "2s"})
    with replicate(proxy, database.name) as short, replicate(proxy, database.name) as long:
        short.send(query("SELECT pg_sleep(0.5)"))
        long.send(query("SELECT pg_sleep(600)"))
        wait_for(lambda: database.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") == "2\n")
        proxy.send_signal(signal.SIGTERM)
        assert short.types(short.until("Z")) == "TDCZ"
        assert end_of(short)["C"] == "57P01"
        assert end_of(long)["C"] == "57P01"
        proxy.stop()


# A reload

@BOTH
def test_a_database_that_is_gone(pgrecall, postgres, database, how):
    proxy = pgrecall()
    line = f"host=127.0.0.1 port={postgres.port} dbname={database.name}"
    proxy.sections["databases"] = {"gone": line, "stays": line}
    proxy.configure()
    proxy.stop()
    proxy.start()
    with replicate(proxy, "gone", how) as idle, replicate(proxy, "gone", how) as busy, replicate(proxy, "stays", how) as other:
        if how == "database":
            busy.send(query("SELECT pg_sleep(1)"))
            wait_for(lambda: database.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") == "1\n")
        else:
            stream(busy)
        del proxy.sections["databases"]["gone"]
        proxy.configure()
        proxy.reload()
        error = end_of(idle)
        assert (error["C"], error["M"]) == ("57P01", "terminating connection because its database or user was removed")
        if how == "database":
            assert busy.types(busy.until("Z")) == "TDCZ"
        assert end_of(busy)["C"] == "57P01"
        assert other.types(other.query("IDENTIFY_SYSTEM")) == "TDCZ"
        with pytest.raises(wire.ServerError):
            replicate(proxy, "gone", how)


# The console

@BOTH
def test_kill_and_what_comes_after(pgrecall, database, how):
    proxy = pgrecall(pgrecall=ADMIN)
    with proxy.connect("pgbouncer") as console, replicate(proxy, database.name, how) as conn, \
            replicate(proxy, "postgres", how) as other:
        if how == "true":
            stream(conn)
        console.query(f"KILL {database.name}")
        assert end_of(conn)["C"] == "57P01"
        assert other.types(other.query("IDENTIFY_SYSTEM")) == "TDCZ"
        with pytest.raises(wire.ServerError) as error:
            replicate(proxy, database.name, how)
        assert error.value.sqlstate == "57P03"
        console.query(f"RESUME {database.name}")
        with replicate(proxy, database.name, how) as again:
            assert again.types(again.query("IDENTIFY_SYSTEM")) == "TDCZ"
            number, = [row["id"] for row in rows(console, "SHOW CLIENTS")
                       if row["replication"] != "none" and row["database"] == database.name]
            console.query(f"KILL_CLIENT {number}")
            assert end_of(again)["C"] == "57P01"


@BOTH
def test_reconnect_and_a_line_that_moves_leave_it(pgrecall, postgres, database, empty_database, how):
    """As PgBouncer's: its connection is not released before it goes.  New ones go to the new place."""
    where = f"host=127.0.0.1 port={postgres.port} dbname="
    proxy = pgrecall(databases={"moves": where + database.name}, pgrecall=ADMIN)
    with proxy.connect("pgbouncer") as console, replicate(proxy, "moves", how) as conn:
        console.query("RECONNECT moves")
        proxy.configure(databases={"moves": where + empty_database.name})
        console.query("RELOAD")
        console.query("WAIT_CLOSE moves")
        assert conn.types(conn.query("IDENTIFY_SYSTEM")) == "TDCZ"
        if how == "database":
            assert conn.query("SELECT current_database()")[1].values() == [database.name.encode()]
            with replicate(proxy, "moves", how) as new:
                assert new.query("SELECT current_database()")[1].values() == [empty_database.name.encode()]


@BOTH
def test_disable(pgrecall, database, how):
    proxy = pgrecall(pgrecall=ADMIN)
    with proxy.connect("pgbouncer") as console, replicate(proxy, database.name, how) as conn:
        console.query(f"DISABLE {database.name}")
        with pytest.raises(wire.ServerError) as error:
            replicate(proxy, database.name, how)
        assert error.value.sqlstate == "57P03"
        assert conn.types(conn.query("IDENTIFY_SYSTEM")) == "TDCZ"
        console.query(f"ENABLE {database.name}")
        replicate(proxy, database.name, how).close()


def test_pause_waits_for_what_ends_and_ends_the_rest(pgrecall, postgres, database):
    """When it is answered no server connection is left."""
    proxy = pgrecall(pgrecall=ADMIN)
    with proxy.connect("pgbouncer") as console, replicate(proxy, database.name) as busy, \
            replicate(proxy, database.name, "true") as streaming:
        stream(streaming)
        busy.send(query("SELECT pg_sleep(1)"))
        wait_for(lambda: database.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") == "1\n")
        assert console.types(console.query(f"PAUSE {database.name}")) == "CZ"
        assert proxy.metric("replication_connections") == 0
        assert busy.types(busy.until("Z")) == "TDCZ"
        assert end_of(busy)["C"] == end_of(streaming)["C"] == "57P01"
        console.query(f"RESUME {database.name}")


@BOTH
def test_pause_by_signal(pgrecall, database, how):
    proxy = pgrecall()
    with replicate(proxy, database.name, how) as conn:
        proxy.send_signal(signal.SIGUSR1)
        assert end_of(conn)["C"] == "57P01"
        with pytest.raises(wire.ServerError) as error:
            replicate(proxy, database.name, how)
        assert error.value.sqlstate == "57P03"
        proxy.send_signal(signal.SIGUSR2)

        def opens():
            try:
                replicate(proxy, database.name, how).close()
            except wire.ServerError:
                return False
            return True
        wait_for(opens)
