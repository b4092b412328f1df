# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Everything at once, over four workers: nobody gets what somebody else asked for, nobody
is forgotten, and nothing is left behind.

STRESS_SECONDS sets how long the disturbed minutes last; the tests also run on a build with
ThreadSanitizer ($PGRECALL).
"""

import os
import random
import resource
import signal
import threading
import time

import psycopg
import pytest

import wire
from servers import Postgres, wait_for
from stress import SCHEMA, Load

SECONDS = float(os.environ.get("STRESS_SECONDS", "15"))
pytestmark = pytest.mark.timeout(180 + 2 * SECONDS)


def stressed(pgrecall, server, database, redis=None, **settings):
    database = getattr(database, "name", database)
    server.psql(SCHEMA, database)
    settings = {"workers": 4, "default_pool_size": 3, "query_wait_timeout": "20s", **settings}
    return pgrecall(server, redis=redis, cache={"default": "on"}, pgrecall=settings)


def backends(server, database):
    return int(server.psql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                           f"AND datname = '{database}' AND pid <> pg_backend_pid()"))


def pool_connections(proxy):
    return int(proxy.metric("pool_connections"))


class Disturbance(threading.Thread):
    """Does one of the things that happen to a proxy, again and again."""

    def __init__(self, *deeds, pause=0.2):
        super().__init__(daemon=True)
        self.deeds, self.pause = deeds, pause
        self.ending = threading.Event()
        self.failed = []

    def run(self):
        while not self.ending.wait(random.random() * 2 * self.pause):
            try:
                random.choice(self.deeds)()
            except Exception as error:
                self.failed.append(repr(error))
                return

    def stop(self):
        self.ending.set()
        self.join(60)
        assert not self.failed, self.failed


def terminates(server, database):
    def deed():
        server.tool("psql", "-XAtqc", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
                    f"'{database}' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1", "postgres", check=False)
    return deed


def reloads(proxy):
    def deed():
        proxy.configure(
            pgrecall={"default_pool_size": random.choice([1, 3, 5, 10]),
                      "server_lifetime": random.choice(["1s", "1h"]),
                      "server_check_delay": random.choice(["0", "30s"]),
                      "log_level": random.choice(["info", "debug", "warning"]),
                      "query_timeout": random.choice(["0", "2s"]),
                      "idle_transaction_timeout": random.choice(["0", "2s"]),
                      "transaction_timeout": random.choice(["0", "3s"]),
                      "min_pool_size": random.choice([0, 1])},
            cache={"default": random.choice(["on", "on", "off"]), "l1_size": random.choice(["1MB", "64MB"])},
            rules={"board": {"match_tables": "board", "ttl": random.choice(["1s", "60s"])}})
        proxy.reload()
    return deed


def changes(proxy, database):
    """DDL through the proxy."""
    def deed():
        try:
            with psycopg.connect(proxy.dsn(database), autocommit=True, connect_timeout=20) as conn:
                conn.execute("CREATE TABLE IF NOT EXISTS fleeting (a int)")
                conn.execute(f"ALTER TABLE fleeting ADD COLUMN c{random.randrange(10**6)} int")
                conn.execute("DROP TABLE fleeting")
        except psycopg.Error:
            pass
    return deed


def redis_deeds(redis):
    def back():
        redis.kill()
        time.sleep(0.3)
        redis.start()

    def hang():
        redis.hang()
        time.sleep(0.5)
        redis.resume()
    return [back, hang, redis.flush]


def settle(proxy, server, database):
    """Everybody works, and the account of connections is what PostgreSQL sees."""
    proxy.configure(pgrecall={"default_pool_size": 3, "server_lifetime": "1h", "query_timeout": "0", "min_pool_size": 0,
                              "idle_transaction_timeout": "0", "transaction_timeout": "0"})
    proxy.reload()

    def works():
        try:
            for n in range(12):
                with proxy.connect(database) as client:
                    if client.query(f"SELECT {n}")[1].values() != [str(n).encode()]:
                        return False
        except (AssertionError, OSError, wire.ServerError):
            return False
        return True

    wait_for(works, 60, "service after the storm")
    wait_for(lambda: proxy.metric("client_connections") == 0, 30, "end of all clients")
    wait_for(lambda: proxy.metric("pool_connections", state="idle") == pool_connections(proxy) <= 3, 30, "calm")
    # one more of ours asks for the catalogue
    wait_for(lambda: backends(server, database) - pool_connections(proxy) in (0, 1), 10,
             f"an account of {pool_connections(proxy)}, with {backends(server, database)} connections")


def test_small_pool_is_fair(pgrecall, postgres, empty_database):
    """Forty clients of four workers share three connections: nobody starves."""
    proxy = stressed(pgrecall, postgres, empty_database)
    until = time.monotonic() + 6
    counts, slowest = [0] * 40, [0] * 40

    def work(who):
        with wire.Connection(proxy.port, timeout=60).start(database=empty_database.name) as conn:
            while time.monotonic() < until:
                begun = time.monotonic()
                rows = conn.query(f"SELECT {who}, {counts[who]}, pg_sleep(0.002)")
                assert rows[1].values()[:2] == [str(who).encode(), str(counts[who]).encode()]
                counts[who] += 1
                slowest[who] = max(slowest[who], time.monotonic() - begun)

    threads = [threading.Thread(target=work, args=(who,), daemon=True) for who in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert min(counts) > sum(counts) / 40 / 3, counts
    assert max(slowest) < 2, slowest
    assert pool_connections(proxy) <= 3


def test_idle_connection_is_found_anywhere(pgrecall, postgres, empty_database):
    """One connection, four workers: it is where it is needed at once, not at the next tick."""
    proxy = stressed(pgrecall, postgres, empty_database, default_pool_size=1)
    clients = [proxy.connect(empty_database.name) for _ in range(16)]
    slow = 0
    for n in range(200):
        begun = time.monotonic()
        assert clients[n * 5 % 16].query(f"SELECT {n}, now()")[1].values()[0] == str(n).encode()
        slow += time.monotonic() - begun > 0.3
    assert slow <= 2
    assert proxy.metric("pool_connects_total") == 1
    for client in clients:
        client.close()


def test_granted_and_then_a_hit(pgrecall, postgres, empty_database):
    """Who waited for a connection and then found the answer in the cache gives it back."""
    proxy = stressed(pgrecall, postgres, empty_database, default_pool_size=1, workers=1)
    sql = "SELECT who, slot, n FROM board WHERE who = 7 ORDER BY slot"
    clients = [proxy.connect(empty_database.name) for _ in range(4)]
    holder = proxy.connect(empty_database.name)
    holder.query("BEGIN")
    for client in clients:
        client.send(wire.query(sql))
    time.sleep(0.2)
    holder.query("COMMIT")
    for client in clients:
        assert client.types(client.until("Z")) == "T" + "D" * 6 + "CZ"
    assert holder.types(holder.query("SELECT 1")) == "TDCZ"
    wait_for(lambda: proxy.metric("pool_connections", state="idle") == 1, 5, "an idle connection")


def test_rows_of_others(pgrecall, postgres, empty_database, redis):
    """No disturbance at all: not one error, not one wrong row."""
    proxy = stressed(pgrecall, postgres, empty_database, redis, server_lifetime="1s")
    load = Load(proxy, empty_database.name, calm=True).start()
    script = proxy.directory / "connect.sql"
    script.write_text("\\set who random(0, 199)\n"
                      "SELECT max(who) AS got FROM board WHERE who = :who \\gset\n"
                      "SELECT 1 / (:got = :who)::int;\n")
    told = postgres.tool("pgbench", "-n", "-C", "-c", "6", "-T", str(max(2, int(SECONDS / 3))), "-M", "extended",
                         "-f", script, empty_database.name, port=proxy.port, timeout=120 + SECONDS)
    assert "number of failed transactions: 0" in told, told
    assert load.stop() > 100
    settle(proxy, postgres, empty_database.name)


@pytest.fixture
def durable_postgres(directory):
    """Loses nothing that it has acknowledged, even when it is stopped at once."""
    server = Postgres(directory, synchronous_commit="on").start()
    server.psql("CREATE DATABASE sample")
    yield server
    server.stop("immediate")


def test_storm(pgrecall, durable_postgres, redis):
    """Backends and Redis die, settings and the catalogue change, clients break off."""
    proxy = stressed(pgrecall, durable_postgres, "sample", redis, server_lifetime="1s")
    load = Load(proxy, "sample").start()
    disturbances = [Disturbance(terminates(durable_postgres, "sample")),
                    Disturbance(reloads(proxy), changes(proxy, "sample")),
                    Disturbance(*redis_deeds(redis), pause=0.7)]
    for disturbance in disturbances:
        disturbance.start()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and not load.stopping:
        time.sleep(min(SECONDS / 3, 30))
        durable_postgres.stop("immediate")
        time.sleep(random.random())
        durable_postgres.start()
    for disturbance in disturbances:
        disturbance.stop()
    assert load.stop() > 20, load.errors
    settle(proxy, durable_postgres, "sample")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_in_traffic(pgrecall, postgres, empty_database, number):
    """The end comes in the middle of everything: status 0, no thread left, no leak."""
    for _ in range(2):
        proxy = stressed(pgrecall, postgres, empty_database, shutdown_timeout="2s")
        load = Load(proxy, empty_database.name, clients=24).start()
        time.sleep(1.5)
        load.over = load.stopping = True
        proxy.stop(number, 30)
        load.stop()
        wait_for(lambda: backends(postgres, empty_database.name) == 0, 10, "end of all backends")
        postgres.psql("DROP TABLE board", empty_database.name)


def test_T13_max_client_conn(pgrecall, postgres, empty_database):
    """Over the limit 53300; whoever leaves makes room, and the count stays right."""
    proxy = stressed(pgrecall, postgres, empty_database, max_client_conn=10)
    for _ in range(5):
        clients, refused = [], 0
        for _ in range(20):
            try:
                clients.append(proxy.connect(empty_database.name))
            except wire.ServerError as error:
                assert error.sqlstate == "53300"
                refused += 1
        assert (len(clients), refused) == (10, 10)
        for client in clients:
            client.close()
        wait_for(lambda: proxy.metric("client_connections") == 0, 5, "end of the clients")


def test_T14_descriptors_run_out(pgrecall, postgres, empty_database):
    """Nothing spins or dies for want of descriptors; when there are some again, it serves."""
    proxy = stressed(pgrecall, postgres, empty_database)
    first = proxy.connect(empty_database.name)
    first.query("SELECT 1")
    used = len(os.listdir(f"/proc/{proxy.process.pid}/fd"))
    limits = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (used + 6, limits[1]))
    waiting = [wire.Connection(proxy.port, timeout=60) for _ in range(30)]
    for conn in waiting:
        conn.send(wire.startup(user="postgres", database=empty_database.name))
    before = cpu_seconds(proxy.process.pid)
    for n in range(20):
        assert first.query(f"SELECT {n}")[1].values() == [str(n).encode()]
        time.sleep(0.1)
    assert cpu_seconds(proxy.process.pid) - before < 1.5
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, limits)
    for n, conn in enumerate(waiting):
        assert conn.login(None)[-1].kind == "Z"
        assert conn.query(f"SELECT {n}")[1].values() == [str(n).encode()]
        conn.close()
    first.close()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
