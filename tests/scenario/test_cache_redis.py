# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""With Redis: whatever happens to it, or to pgrecall, no old answer comes back."""

import time

import pytest
from cached import Cached

SCHEMA = """
CREATE TABLE t (id serial PRIMARY KEY, k int, v int);
INSERT INTO t (k, v) SELECT g % 3, g FROM generate_series(1, 30) AS g;
"""
READ = "SELECT max(v) FROM t WHERE k = 1"
OTHER = "SELECT max(v) FROM t WHERE k = 2"


@pytest.fixture
def database(empty_database):
    empty_database.psql(SCHEMA)
    return empty_database


@pytest.fixture(params=[0, "16MB"], ids=["redis only", "both"])
def cached(request, pgrecall, database, redis):
    proxy = pgrecall(cache={"default": "on", "l1_size": request.param}, redis=redis)
    made = Cached(proxy, database.name)
    made.l1_size = request.param
    yield made
    made.close()


def write(cached, client, value):
    client.run(f"INSERT INTO t (k, v) VALUES (1, {value})")
    for _ in range(2):
        assert cached.right(client, READ) == [[str(value).encode()]]


def test_hits_from_redis(cached, redis):
    client = cached.client()
    cached.warm(client, READ)
    cached.warm(client, OTHER)
    if cached.l1_size == 0:
        assert cached.proxy.metric("queries_total", route="redis_hit") > 0
        assert redis.keys() >= 4
    write(cached, client, 100)
    assert cached.hit(client, OTHER) == [[b"29"]]
    assert cached.warm(client, READ) == [[b"100"]]


@pytest.mark.parametrize("trouble", ["flush", "restart", "hang", "kill"])
def test_trouble(cached, redis, trouble):
    client = cached.client()
    cached.warm(client, READ)
    getattr(redis, trouble)()
    for value in range(100, 110):
        write(cached, client, value)
    if trouble == "kill":
        redis.start()
    elif trouble == "hang":
        redis.resume()
    for value in range(200, 230):
        write(cached, client, value)
        time.sleep(0.02)
    assert cached.warm(client, READ) == [[b"229"]]
    before = cached.proxy.metric("queries_total", route="redis_hit")
    deadline = time.monotonic() + 15
    while cached.l1_size == 0 and cached.proxy.metric("queries_total", route="redis_hit") == before:
        assert time.monotonic() < deadline, "Redis is not used again"
        cached.warm(client, READ)


def test_old_snapshot_of_redis(cached, redis):
    """Redis comes back with what it had before the last writes."""
    client = cached.client()
    cached.warm(client, READ)
    keep = redis.command(b"SAVE\r\n")
    assert keep == b"+OK\r\n"
    for value in range(100, 105):
        write(cached, client, value)
    redis.kill()
    redis.start()
    for _ in range(100):
        assert cached.right(client, READ) == [[b"104"]]
        time.sleep(0.01)


def test_restart_of_pgrecall(pgrecall, database, redis):
    """What was written while no pgrecall was there to see it."""
    for value in range(100, 103):
        proxy = pgrecall(cache={"default": "on", "l1_size": 0}, redis=redis)
        cached = Cached(proxy, database.name)
        client = cached.client()
        for _ in range(5):
            cached.right(client, READ)
        cached.warm(client, READ)
        cached.close()
        (proxy.kill if value == 101 else proxy.stop)()
        database.psql(f"INSERT INTO t (k, v) VALUES (1, {value})")


def test_two_processes(pgrecall, database, redis):
    """What one is told of, the other does not take from Redis any more, as long as both reach
    it; without memory, and without a change stream, tokens are all there is between them."""
    options = {"cache": {"default": "on", "l1_size": 0}, "redis": redis, "pgrecall": {"workers": 1}}
    one, two = (Cached(pgrecall(**options), database.name) for _ in range(2))
    a, b = one.client(), two.client()
    one.warm(a, OTHER)
    two.warm(b, OTHER)  # both have Redis from now on
    for value in range(100, 120):
        one.right(a, READ)
        two.right(b, READ)
        (a if value % 2 else b).run(f"INSERT INTO t (k, v) VALUES (1, {value})")
        for cached, client in ((one, a), (two, b)):
            for _ in range(3):
                assert cached.right(client, READ) == [[str(value).encode()]]
    one.close()
    two.close()
