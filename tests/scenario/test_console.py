# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""The admin console (T-13, T-24, T-96, T-100; CVE-2026-6667)."""

import asyncio
import contextlib
import os
import pwd
import signal
import struct
import threading
import time

import asyncpg
import psycopg
import psycopg2
import pytest

import wire
from servers import wait_for
from wire import bind, describe, execute, parse, query, sync

ADMIN = {"admin_users": "postgres", "stats_users": "tester"}
COLUMNS = {
    "DATABASES": "name host port database force_user pool_size min_pool_size reserve_pool_size "
                 "server_lifetime pool_mode load_balance_hosts max_connections current_connections "
                 "max_client_connections current_client_connections paused disabled",
    "POOLS": "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req "
             "sv_active sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login "
             "maxwait maxwait_us pool_mode load_balance_hosts",
    "STATS": "database total_server_assignment_count total_xact_count total_query_count "
             "total_received total_sent total_xact_time total_query_time total_wait_time "
             "total_client_parse_count total_server_parse_count total_bind_count "
             "total_client_login_count avg_server_assignment_count avg_xact_count avg_query_count "
             "avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time avg_client_parse_count "
             "avg_server_parse_count avg_bind_count avg_client_login_count",
    "STATS_TOTALS": "database server_assignment_count xact_count query_count bytes_received "
                    "bytes_sent xact_time query_time wait_time client_parse_count "
                    "server_parse_count bind_count client_login_count",
    "CLIENTS": "type user database replication state addr port local_addr local_port "
               "connect_time request_time wait wait_us close_needed ptr link remote_pid tls "
               "application_name prepared_statements id",
    "USERS": "name pool_size reserve_pool_size pool_mode max_user_connections "
             "current_connections max_user_client_connections current_client_connections",
    "CONFIG": "key value default changeable",
    "LISTS": "list items",
    "STATE": "key value",
    "MEM": "name size used free memtotal",
    "VERSION": "version",
    "FDS": "fd task user database addr port cancel link",
    "TOTALS": "name value",
}
SHOWS = [*COLUMNS, "SERVERS", "SOCKETS", "ACTIVE_SOCKETS", "STATS_AVERAGES", "DNS_HOSTS",
         "DNS_ZONES", "PEERS", "PEER_POOLS", "CACHE"]


@pytest.fixture
def proxy(pgrecall):
    return pgrecall(pgrecall={**ADMIN, "default_pool_size": 3, "query_wait_timeout": "20s"})


class Console:
    """A driver's connection to the console."""

    def __init__(self, proxy, user="postgres", database="pgbouncer"):
        self.conn = psycopg2.connect(proxy.dsn(database, user))
        self.conn.autocommit = True

    def __call__(self, command):
        with self.conn.cursor() as cursor:
            cursor.execute(command)
            if cursor.description is None:
                return cursor.statusmessage
            names = [c.name for c in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]

    def one(self, command, **where):
        rows = [r for r in self(command) if all(r[k] == v for k, v in where.items())]
        assert len(rows) == 1, (command, where, rows)
        return rows[0]

    def close(self):
        self.conn.close()


def types_of(answer):
    return "".join(m.kind for m in answer)


@pytest.mark.parametrize("what", SHOWS)
def test_show_has_pgbouncers_columns(proxy, database, what):
    with proxy.connect(database.name) as client:
        client.query("SELECT 1")
        console = Console(proxy)
        with console.conn.cursor() as cursor:
            cursor.execute(f"SHOW {what}")
            names = [c.name for c in cursor.description]
            cursor.fetchall()
        assert names == COLUMNS.get(what, " ".join(names)).split()
        console.close()


def test_what_show_says(proxy, database):
    console = Console(proxy)
    with proxy.connect(database.name, application_name="teller") as client:
        client.query("BEGIN")
        client.query("SELECT 1")
        pool = console.one("SHOW POOLS", database=database.name)
        assert (pool["user"], pool["cl_active"], pool["sv_active"]) == ("postgres", 1, 1)
        row = console.one("SHOW CLIENTS", database=database.name)
        assert (row["state"], row["addr"], row["application_name"]) == \
            ("active", "127.0.0.1", "teller")
        server = console.one("SHOW SERVERS", database=database.name)
        assert server["ptr"] == row["link"] and server["link"] == row["ptr"]
        assert int(database.psql("SELECT count(*) FROM pg_stat_activity "
                                 f"WHERE pid = {server['remote_pid']}")) == 1
        assert console.one("SHOW DATABASES", name=database.name)["current_client_connections"] == 1
        client.query("COMMIT")
    assert console.one("SHOW VERSION")["version"].startswith("pgrecall ")
    assert console.one("SHOW CONFIG", key="default_pool_size")["value"] == "3"
    assert console.one("SHOW CONFIG", key="cache.enabled")["changeable"] == "yes"
    assert console.one("SHOW LISTS", list="pools")["items"] == 1
    assert console.one("SHOW STATE", key="active")["value"] == "yes"
    assert all(float(r["items"]) >= 0 for r in console("SHOW LISTS"))
    console.close()


def test_help_is_a_notice(proxy):
    with proxy.connect("pgrecall") as conn:
        answer = conn.query("SHOW HELP")
        assert types_of(answer) == "NCZ"
        assert "SHOW POOLS" in answer[0].fields()["D"]


def test_T100_each_query_counts_also_in_a_pipeline(proxy, database):
    console = Console(proxy)
    proxy.warm(database.name)

    def totals():
        rows = console("SHOW STATS_TOTALS")
        return {k: sum(r[k] for r in rows) for k in rows[0] if k != "database"}

    before = totals()
    with proxy.connect(database.name) as client:
        for _ in range(3):
            client.send(*[m for _ in range(5) for m in (
                parse("", "SELECT pg_sleep(0.01)"), bind("", ""), execute(), sync())])
            for _ in range(5):
                client.until("Z")
    wait_for(lambda: totals()["query_count"] == before["query_count"] + 15, 5, "15 queries")
    after = totals()
    assert after["xact_count"] == before["xact_count"] + 15
    assert after["bind_count"] == before["bind_count"] + 15
    assert after["client_parse_count"] == before["client_parse_count"] + 15
    assert after["client_login_count"] == before["client_login_count"] + 1
    assert after["query_time"] - before["query_time"] >= 15 * 10000
    assert after["xact_time"] - before["xact_time"] >= 15 * 10000
    assert after["bytes_sent"] > before["bytes_sent"]
    database.psql("SELECT 1")
    assert all(after[k] <= totals()[k] for k in after), "counters only grow"
    console.close()


def test_averages_are_of_the_last_period(pgrecall, database):
    proxy = pgrecall(pgrecall={**ADMIN, "stats_period": "1s"})
    console = Console(proxy)
    assert all(r["query_count"] == 0 for r in console("SHOW STATS_AVERAGES"))
    with proxy.connect(database.name) as client:
        deadline = time.monotonic() + 10
        while not any(r["query_count"] > 0 for r in console("SHOW STATS_AVERAGES")):
            client.query("SELECT pg_sleep(0.02)")
            assert time.monotonic() < deadline
    rows = [r for r in console("SHOW STATS_AVERAGES") if r["query_count"] > 0]
    assert all(20000 <= r["query_time"] < 2000000 for r in rows)
    console.close()


# Rights

def test_T24_statistics_are_for_stats_users_and_the_rest_for_administrators(proxy, database):
    admin, looker = Console(proxy), Console(proxy, "tester")
    assert looker.one("SHOW VERSION")
    with proxy.connect(database.name) as victim:
        victim.query("SELECT 1")
        number = admin.one("SHOW CLIENTS", database=database.name)["id"]
        for command in ("PAUSE", "RESUME", "KILL", f"KILL_CLIENT {number}", "RELOAD", "SHUTDOWN",
                        f"DISABLE {database.name}", "RECONNECT", "SUSPEND", "SHOW FDS"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                looker(command)
        assert types_of(victim.query("SELECT 1")) == "TDCZ", "nothing was done"
    for console in (admin, looker):
        console.close()


def test_T24_others_are_refused(proxy):
    with pytest.raises(psycopg2.OperationalError, match="console is for admin_users"):
        Console(proxy, "nobody")


def test_a_line_of_databases_is_stronger_than_the_console(pgrecall, database):
    proxy = pgrecall(databases={"pgbouncer": f"host=127.0.0.1 port={database.server.port} "
                                             f"dbname={database.name}"}, pgrecall=ADMIN)
    with proxy.connect("pgbouncer") as conn:
        assert types_of(conn.query("SELECT count(*) FROM messages")) == "TDCZ"
    assert Console(proxy, database="pgrecall").one("SHOW VERSION")


def test_the_owner_needs_no_password_on_a_unix_socket(pgrecall, directory):
    proxy = pgrecall(pgrecall={"auth_type": "scram-sha-256", "unix_socket_dir": directory,
                               "unix_socket_mode": "0777"})
    who = {"host": str(directory), "port": proxy.port, "dbname": "pgbouncer"}
    with contextlib.closing(psycopg2.connect(user="pgbouncer", **who)) as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute("SHOW VERSION")
            assert cursor.fetchone()[0].startswith("pgrecall")
            cursor.execute("PAUSE")
            cursor.execute("RESUME")
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(user="postgres", password="", **who)
    if os.geteuid() == 0:  # somebody else on this machine is not the owner
        pid = os.fork()
        if pid == 0:
            os.setuid(pwd.getpwnam("postgres").pw_uid)
            try:
                psycopg2.connect(user="pgbouncer", **who)
            except psycopg2.OperationalError:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0


def test_T13_reachable_beyond_max_client_conn(pgrecall, database):
    proxy = pgrecall(pgrecall={**ADMIN, "max_client_conn": 2})
    with proxy.connect(database.name) as one, proxy.connect(database.name) as two:
        for client in (one, two):
            client.query("SELECT 1")
        with pytest.raises(psycopg2.OperationalError, match="no more connections"):
            psycopg2.connect(proxy.dsn(database.name))
        assert Console(proxy).one("SHOW LISTS", list="used_clients")["items"] == 3


# Drivers

def test_extended_protocol_and_binary(proxy, database):
    with proxy.connect(database.name) as client:
        client.query("SELECT 1")
        with psycopg.connect(proxy.dsn("pgrecall"), autocommit=True) as conn:
            for binary in (False, True):
                with conn.cursor(binary=binary) as cursor:
                    cursor.execute("SHOW POOLS", prepare=True)
                    names = [c.name for c in cursor.description]
                    rows = [dict(zip(names, r)) for r in cursor.fetchall()]
                    assert [r["database"] for r in rows] == [database.name]
                    assert rows[0]["cl_active"] == 1
                    cursor.execute("SHOW STATS_TOTALS", prepare=True)
                    assert all(int(r[1]) >= 0 for r in cursor.fetchall())


def test_asyncpg(proxy):
    async def ask():
        conn = await asyncpg.connect(proxy.dsn("pgrecall"), statement_cache_size=0)
        rows = await conn.fetch("SHOW LISTS")
        first = await conn.fetchrow("SHOW CONFIG")
        await conn.close()
        return rows, first
    rows, first = asyncio.run(ask())
    assert {r["list"] for r in rows} >= {"pools", "used_clients"}
    assert first["key"]


def test_portal_in_pieces_and_errors_in_batches(proxy):
    with proxy.connect("pgrecall") as conn:
        conn.send(parse("s", "show lists"), describe("S", "s"), bind("", "s"), describe("P"),
                  execute(rows=3), execute(rows=3), execute(), sync())
        answer = conn.until("Z")
        assert types_of(answer) == "1tT2TDDDsDDDsDDDDDDDDCZ"
        conn.send(parse("", "SHOW NONSENSE"), bind("", ""), execute(), sync(),
                  parse("", "SHOW VERSION"), bind("", "", results=[1]), describe("P"), execute(),
                  sync())
        first, second = conn.until("Z"), conn.until("Z")
        assert types_of(first) == "EZ" and first[0].sqlstate() == "42601"
        assert types_of(second) == "12TDCZ"
        conn.send(bind("", "none"), sync())
        assert conn.until("Z")[0].sqlstate() == "26000"
        conn.send(execute("none"), sync())
        assert conn.until("Z")[0].sqlstate() == "34000"


@pytest.mark.parametrize("command, tag", [
    ("SET client_encoding TO 'UTF8'", "SET"), ("BEGIN", "BEGIN"), ("COMMIT", "COMMIT"),
    ("ROLLBACK", "ROLLBACK"), ("DISCARD ALL", "DISCARD ALL"), ("-- hello\nshow\nversion ;;", "SHOW"),
    ("SELECT VERSION", "SHOW")])
def test_what_drivers_say(proxy, command, tag):
    with proxy.connect("pgrecall") as conn:
        answer = conn.query(command)
        assert answer[-2].body == tag.encode() + b"\0" and answer[-1].kind == "Z"
        assert types_of(conn.query(" ;; ")) == "IZ"


@pytest.mark.parametrize("command, sqlstate", [
    ("nonsense", "42601"), ("SHOW", None), ("SHOW WHAT", "42601"), ("PAUSE a b", "42601"),
    ("PAUSE 'open", "42601"), ("DISABLE", "42601"), ("SET default_pool_size = 3", "0A000"),
    ("SUSPEND", "0A000"), ("KILL_CLIENT 0", "42704"), ("RESUME nothing", "55000"),
    ("PAUSE " + "x" * 200, "42601")])
def test_bad_commands(proxy, command, sqlstate):
    with proxy.connect("pgrecall") as conn:
        answer = conn.query(command)
        assert [m.sqlstate() for m in answer if m.kind == "E"] == ([sqlstate] if sqlstate else [])
        assert types_of(conn.query("SHOW VERSION")) == "TDCZ"


def test_hostile_messages(proxy):
    for data in (struct.pack("!ci", b"Q", 1 << 30), b"Q\0\0\0\5x", b"F\0\0\0\4", b"\xff" * 50,
                 b"B\0\0\0\6ab"):
        with proxy.connect("pgrecall") as conn:
            conn.send(data)
            assert conn.rest()[0].sqlstate() == "08P01"
    with proxy.connect("pgrecall") as conn:
        for i in range(100):
            conn.send(parse(f"s{i}", "SHOW VERSION"))
        conn.send(sync())
        assert conn.until("Z")[-2].sqlstate() == "54000"
        assert types_of(conn.query("SHOW VERSION")) == "TDCZ"


# PAUSE and the others

def ask(proxy, database, sql, into):
    with contextlib.closing(psycopg2.connect(proxy.dsn(database))) as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute(sql)
            into.append(cursor.fetchone()[0])


@pytest.mark.parametrize("scope", ["one", "all"])
def test_T96_pause_waits_for_transactions_and_holds_new_queries(proxy, database, scope):
    name = database.name if scope == "one" else ""
    console, other = Console(proxy), Console(proxy)
    with proxy.connect(database.name) as client:
        client.query("BEGIN")
        client.query("SELECT 1")
        done = threading.Thread(target=console, args=(f"PAUSE {name}",))
        done.start()
        wait_for(lambda: other.one("SHOW DATABASES", name=database.name)["paused"], 5, "pause")
        answers = []
        waiting = threading.Thread(target=ask, args=(proxy, database.name, "SELECT 7", answers))
        waiting.start()
        wait_for(lambda: other.one("SHOW POOLS", database=database.name)["cl_waiting"] == 1, 5,
                 "a waiting client")
        assert done.is_alive() and not answers, "the transaction is still open"
        assert types_of(client.query("SELECT 2")) == "TDCZ", "which goes on"
        client.query("COMMIT")
        done.join(10)
        assert not done.is_alive()
        assert other.one("SHOW POOLS", database=database.name)["sv_idle"] == 0
        assert not answers
        with pytest.raises(psycopg2.Error, match="already paused"):
            other(f"PAUSE {name}")
        assert other(f"RESUME {name}") == "RESUME"
        waiting.join(10)
        assert answers == [7]
        assert types_of(client.query("SELECT 3")) == "TDCZ"
    for each in (console, other):
        each.close()


def test_T96_a_cancelled_pause_is_none(proxy, database):
    console, other = Console(proxy), Console(proxy)
    with proxy.connect(database.name) as client:
        client.query("BEGIN")
        client.query("SELECT 1")
        errors = []

        def pause():
            try:
                console("PAUSE")
            except psycopg2.Error as error:
                errors.append(error.pgcode)

        thread = threading.Thread(target=pause)
        thread.start()
        wait_for(lambda: other.one("SHOW STATE", key="paused")["value"] == "yes", 5, "pause")
        console.conn.cancel()
        thread.join(10)
        assert errors == ["57014"]
        assert other.one("SHOW STATE", key="paused")["value"] == "no"
        client.query("COMMIT")
        assert types_of(client.query("SELECT 1")) == "TDCZ"


def test_T96_the_console_that_pauses_goes_away(proxy, database):
    other = Console(proxy)
    with proxy.connect(database.name) as client, proxy.connect("pgrecall") as console:
        client.query("BEGIN")
        client.query("SELECT 1")
        console.send(query("PAUSE"))
        wait_for(lambda: other.one("SHOW STATE", key="paused")["value"] == "yes", 5, "pause")
        console.close()
        wait_for(lambda: other.one("SHOW STATE", key="paused")["value"] == "no", 5, "resume")
        client.query("COMMIT")
        assert types_of(client.query("SELECT 1")) == "TDCZ"


@pytest.mark.parametrize("scope", ["one", "all"])
def test_T96_a_pause_that_another_console_takes_back(proxy, database, scope):
    """Is not said to be one, even when its server connections are gone in the end."""
    name = database.name if scope == "one" else ""
    with (proxy.connect(database.name) as client, proxy.connect("pgrecall") as console,
          proxy.connect("pgrecall") as other):
        client.query("BEGIN")
        client.query("SELECT 1")
        console.send(query(f"PAUSE {name}"))
        wait_for(lambda: [m for m in other.query("SHOW STATE") if b"paused" in m.body and b"yes" in m.body]
                 or [m for m in other.query("SHOW DATABASES") if m.kind == "D" and m.values()[-2:] == [b"1", b"0"]
                     and m.values()[0] == database.name.encode()], 5, "pause")
        assert types_of(other.query(f"RESUME {name}")) == "CZ"
        answer = console.until("Z")
        assert types_of(answer) == "EZ" and answer[0].sqlstate() == "55000"
        client.query("COMMIT")
        assert types_of(client.query("SELECT 1")) == "TDCZ"


def test_T96_signals(proxy, database):
    console = Console(proxy)
    with proxy.connect(database.name) as client:
        client.query("SELECT 1")
        proxy.send_signal(signal.SIGUSR1)
        wait_for(lambda: console.one("SHOW STATE", key="paused")["value"] == "yes", 5, "pause")
        client.send(query("SELECT 5"))
        wait_for(lambda: console.one("SHOW POOLS", database=database.name)["cl_waiting"] == 1, 5,
                 "a waiting client")
        proxy.send_signal(signal.SIGUSR2)
        assert types_of(client.until("Z")) == "TDCZ"


def test_T96_one_cannot_be_resumed_while_all_are_paused(proxy, database):
    console = Console(proxy)
    console("PAUSE")
    with pytest.raises(psycopg2.Error, match="all databases are paused"):
        console(f"RESUME {database.name}")
    assert console("RESUME") == "RESUME"


def test_T96_reconnect_replaces_connections(proxy, database):
    console = Console(proxy)
    pid = "SELECT pg_backend_pid()"
    with proxy.connect(database.name) as client, proxy.connect(database.name) as busy:
        idle = client.query(pid)[1].values()
        busy.query("BEGIN")
        held = busy.query(pid)[1].values()
        assert console(f"RECONNECT {database.name}") == "RECONNECT"
        assert client.query(pid)[1].values() not in (idle, held)
        assert busy.query(pid)[1].values() == held, "an open transaction keeps its own"
        done = threading.Thread(target=console, args=("WAIT_CLOSE",))
        done.start()
        time.sleep(0.2)
        assert done.is_alive()
        busy.query("COMMIT")
        done.join(10)
        assert not done.is_alive()
        assert busy.query(pid)[1].values() != held


def test_T96_kill(proxy, database):
    console = Console(proxy)
    with proxy.connect(database.name) as client:
        client.query("BEGIN")
        client.query("SELECT 1")
        assert console(f"KILL {database.name}") == "KILL"
        assert client.rest()[-1].sqlstate() == "57P01"
    pool = console.one("SHOW POOLS", database=database.name)
    assert pool["sv_active"] == pool["sv_idle"] == pool["cl_active"] == 0
    answers = []
    waiting = threading.Thread(target=ask, args=(proxy, database.name, "SELECT 9", answers))
    waiting.start()
    time.sleep(0.2)
    assert not answers
    console(f"RESUME {database.name}")
    waiting.join(10)
    assert answers == [9]


def test_kill_client_by_id_and_by_ptr(proxy, database):
    console = Console(proxy)
    for key in ("id", "ptr"):
        with proxy.connect(database.name) as victim, proxy.connect(database.name) as other:
            victim.query("SET application_name = 'victim'")
            other.query("SELECT 1")
            row = console.one("SHOW CLIENTS", application_name="victim")
            assert console(f"KILL_CLIENT {row[key]}") == "KILL_CLIENT"
            assert victim.rest()[-1].sqlstate() == "57P01"
            assert types_of(other.query("SELECT 1")) == "TDCZ"


def test_disable_takes_no_new_clients(proxy, database):
    console = Console(proxy)
    with proxy.connect(database.name) as client:
        client.query("SELECT 1")
        assert console(f"DISABLE {database.name}") == "DISABLE"
        assert console.one("SHOW DATABASES", name=database.name)["disabled"] == 1
        with pytest.raises(psycopg2.OperationalError, match="disabled"):
            psycopg2.connect(proxy.dsn(database.name))
        assert types_of(client.query("SELECT 1")) == "TDCZ"
        assert console(f"ENABLE {database.name}") == "ENABLE"
        psycopg2.connect(proxy.dsn(database.name)).close()


def test_reload_and_a_bad_file(proxy, database):
    console = Console(proxy)
    proxy.configure(pgrecall={"default_pool_size": 7})
    assert console("RELOAD") == "RELOAD"
    assert console.one("SHOW CONFIG", key="default_pool_size")["value"] == "7"
    proxy.configure(pgrecall={"default_pool_size": "many"})
    with pytest.raises(psycopg2.Error, match="RELOAD failed"):
        console("RELOAD")
    assert console.one("SHOW CONFIG", key="default_pool_size")["value"] == "7"


@pytest.mark.parametrize("how", ["", " WAIT_FOR_SERVERS", " WAIT_FOR_CLIENTS"])
def test_shutdown(proxy, database, how):
    console = Console(proxy)
    with proxy.connect(database.name) as client:
        client.query("SELECT 1")
        try:
            console("SHUTDOWN" + how)
        except psycopg2.Error:
            pass  # its own connection ends, too
        assert client.rest()[-1].sqlstate() == "57P01"
        wait_for(lambda: proxy.process.poll() is not None, 10, "end of pgrecall")


def test_T96_under_load(proxy, database):
    """Nobody sees an error while connections are paused, replaced and let go."""
    stop, errors, counts = threading.Event(), [], [0] * 8

    def work(n):
        try:
            with contextlib.closing(psycopg2.connect(proxy.dsn(database.name))) as conn:
                conn.autocommit = True
                while not stop.is_set():
                    with conn.cursor() as cursor:
                        cursor.execute("SELECT %s::int, pg_sleep(0.001)", (n,))
                        assert cursor.fetchone()[0] == n
                    counts[n] += 1
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    console = Console(proxy)
    for _ in range(5):
        seen = list(counts)
        wait_for(lambda: errors or all(now > old for now, old in zip(counts, seen)), 20, "queries")
        for command in ("PAUSE", "SHOW CLIENTS", "SHOW SERVERS", "RESUME", "RECONNECT",
                        f"PAUSE {database.name}", f"RESUME {database.name}", "SHOW POOLS"):
            console(command)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert not errors and not any(thread.is_alive() for thread in threads)
