# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""What an operator sees: metrics, probes, slow queries."""

import json
import re
import shutil
import socket
import subprocess

import pytest
import wire
from servers import wait_for

RECENT = "SELECT id, body FROM messages WHERE channel_id = {} ORDER BY id DESC LIMIT 50"


def ask(client, sql):
    messages = client.query(sql)
    assert messages[-1].kind == "Z" and messages[-2].kind == "C", messages
    return messages


def test_promtool(pgrecall, database):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (package prometheus)")
    proxy = pgrecall()
    with proxy.connect(database.name) as client:
        ask(client, RECENT.format(7))
    status, text = proxy.get("/metrics")
    assert status == 200
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_counters_follow(pgrecall, database):
    """One miss, two hits, one write, one miss: counted as that."""
    proxy = pgrecall()
    proxy.warm(database.name)
    with proxy.connect(database.name) as client:
        first = ask(client, RECENT.format(7))
        for _ in range(2):
            assert ask(client, RECENT.format(7)) == first
        ask(client, "INSERT INTO messages (channel_id, user_id, body) VALUES (7, 1, 'new')")
        assert ask(client, RECENT.format(7)) != first
    page = proxy.metrics()
    assert page.sum("queries_total", route="l1_hit") == 2
    assert page.sum("queries_total", route="miss") == 2
    assert page.sum("queries_total", route="write") == 1
    assert page.sum("cache_hits_total", cache="l1") == 2
    assert page.sum("cache_fills_total", cache="l1") == 2
    assert page.sum("client_connections_accepted_total") == 2


def test_gauges_of_waiting_clients(pgrecall, postgres, database, request):
    """Two users of one database, so two pools: their waiting clients are counted together."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    users = ["postgres", "watched"]
    postgres.psql("CREATE ROLE watched LOGIN")
    request.addfinalizer(lambda: postgres.psql("DROP ROLE watched"))
    holders = [proxy.connect(database.name, user=user) for user in users]
    waiters = [proxy.connect(database.name, user=user) for user in users]
    for holder in holders:
        ask(holder, "BEGIN")
    for waiter in waiters:
        waiter.send(wire.query("SELECT 1"))
    wait_for(lambda: proxy.metric("pool_waiting_clients") == 2, 5, "both to wait")
    wait_for(lambda: proxy.metric("pool_oldest_wait_seconds") >= 1, 10, "the wait to be seen")
    for holder in holders:
        ask(holder, "COMMIT")
    for waiter in waiters:
        waiter.until("Z")
    wait_for(lambda: proxy.metric("pool_waiting_clients") == 0, 5, "nobody to wait")
    wait_for(lambda: proxy.metric("pool_oldest_wait_seconds") == 0, 10, "the end of the wait to be seen")


def test_gauges_of_prepared_statements(pgrecall, database):
    """Two clients with the same two statements share a server connection, and so its two."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "workers": 1})

    def known(side):
        return proxy.metric("prepared_statements", side=side)

    clients = [proxy.connect(database.name) for _ in range(2)]
    for client in clients:
        client.send(wire.parse("one", "SELECT 1"), wire.parse("two", "SELECT 2"), wire.sync()).until("Z")
    wait_for(lambda: known("client") == 4 and known("server") == 2, 10, "all statements to be counted")
    for client in clients:
        client.close()
    wait_for(lambda: known("client") == 0, 5, "the clients' to be gone")
    assert known("server") == 2


def test_insert_leaves_other_channels(pgrecall, database):
    """An INSERT into one channel leaves the other channels' entries valid."""
    proxy = pgrecall()
    proxy.warm(database.name)
    with proxy.connect(database.name) as client:
        for channel in (7, 8):
            ask(client, RECENT.format(channel))
        ask(client, "INSERT INTO messages (channel_id, user_id, body) VALUES (7, 1, 'new')")
        before = proxy.metric("queries_total", route="l1_hit")
        ask(client, RECENT.format(8))
        assert proxy.metric("queries_total", route="l1_hit") == before + 1
        rows = ask(client, RECENT.format(7))
        assert rows[1].values()[1] == b"new"
        assert proxy.metric("queries_total", route="l1_hit") == before + 1


def test_probes(pgrecall, database):
    proxy = pgrecall()
    assert proxy.get("/livez")[0] == 200
    assert proxy.get("/readyz")[0] == 200
    status, text = proxy.get("/healthz")
    assert status == 200 and json.loads(text)["status"]
    assert proxy.get("/nothing")[0] == 404


@pytest.mark.parametrize("request_bytes, answer", [
    (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", rb"HTTP/1.1 405"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100000 + b"\r\n\r\n", rb"HTTP/1.1 4(31|13|00)"),
    (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", rb"HTTP/1.1 4(14|31|00)"),
    (b"\x16\x03\x01\x00\xff" * 20 + b"\r\n\r\n", rb"HTTP/1.1 400"),
    (b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", rb"HTTP/1.1 400"),
], ids=["method", "headers", "target", "not-http", "length"])
def test_hostile_http(pgrecall, request_bytes, answer):
    proxy = pgrecall()
    with socket.create_connection(("127.0.0.1", proxy.http), timeout=10) as s:
        s.sendall(request_bytes)
        assert re.match(answer, s.recv(4096))
    assert proxy.get("/livez")[0] == 200


def test_slow_query_line(pgrecall, database):
    proxy = pgrecall(pgrecall={"slow_query_threshold": "50ms"})
    with proxy.connect(database.name) as client:
        ask(client, "SELECT 1")
        ask(client, "SELECT pg_sleep(0.1)")
    line = proxy.wait_log(r"duration: (\d+\.\d{3}) ms  statement: SELECT pg_sleep\((?:0.1|\$1)\)")
    assert 100 <= float(line.group(1)) < 5000
    assert len(re.findall("duration:", proxy.log())) == 1
    assert proxy.metric("slow_queries_total") == 1


def test_check_config(directory):
    from daemon import SANITIZERS, binary
    bad = directory / "bad.ini"
    bad.write_text("[pgrecall]\nlisten_prt = 6432\npool_mode = statment\n\n[databases]\nx = prt=1\n")
    done = subprocess.run([binary(), "--check-config", bad], capture_output=True, text=True,
                          env=SANITIZERS, timeout=20)
    text = done.stdout + done.stderr
    assert done.returncode == 1, text
    for line in (2, 3, 6):
        assert f"{bad}:{line}" in text, text
    assert "listen_port" in text, text


def test_reload(pgrecall, database):
    """SIGHUP: all or nothing, no client is dropped, every changed setting is logged."""
    proxy = pgrecall()
    with proxy.connect(database.name) as client:
        proxy.configure(pgrecall={"slow_query_threshold": "123ms", "listen_backlog": 77})
        proxy.reload()
        proxy.wait_log("slow_query_threshold")
        proxy.wait_log("listen_backlog.*restart")
        ask(client, "SELECT 1")
        proxy.configure(pgrecall={"slow_query_threshold": "nonsense"})
        proxy.reload()
        proxy.wait_log("nonsense")
        ask(client, "SELECT 1")
        assert proxy.metric("config_last_reload_successful") == 0
        assert proxy.metric("config_reloads_total", result="rejected") == 1


def test_reload_moves_a_database(pgrecall, database, empty_database):
    """The same name leads to another server from the reload on, for old clients as well."""
    empty_database.psql("CREATE TABLE users (id int, name text); INSERT INTO users VALUES (1, 'moved')")
    proxy = pgrecall(cache={"default": "on"})
    proxy.warm(database.name)
    text = "SELECT name FROM users WHERE id = 1"
    with proxy.connect(database.name) as client:
        before = client.query(text)[1].values()
        assert client.query(text)[1].values() == before != [b"moved"]
        proxy.configure(databases={database.name: f"host=127.0.0.1 port={database.server.port} "
                                                  f"dbname={empty_database.name}"})
        proxy.reload()
        wait_for(lambda: client.query(text)[1].values() == [b"moved"], 10, "the other server")
        for _ in range(5):
            assert client.query(text)[1].values() == [b"moved"]
