# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Databases of the line "*" are forgotten when nobody uses them (autodb_idle_timeout)."""

import json

import pytest

import cached
import wire
from servers import wait_for

SHORT = {"autodb_idle_timeout": "1s", "server_idle_timeout": "1s", "admin_users": "postgres"}


def databases(proxy):
    return {d["name"] for d in json.loads(proxy.get("/healthz")[1])["databases"]}


def pools(proxy):
    with proxy.connect("pgrecall", user="postgres") as console:
        return {m.values()[0].decode() for m in console.query("SHOW POOLS") if m.kind == "D"}


def is_forgotten(proxy, name):
    return name not in databases(proxy) and name not in pools(proxy)


def wait_forgotten(proxy, name):
    wait_for(lambda: is_forgotten(proxy, name), 30, f"{name} is forgotten")


def refused(proxy, name):
    with pytest.raises(wire.ServerError) as error:
        proxy.connect(name)
    assert error.value.sqlstate == "3D000"


@pytest.mark.parametrize("workers, least", [(1, 0), (2, 0), (2, 2)])
def test_made_up_names_are_forgotten(pgrecall, database, workers, least):
    proxy = pgrecall(pgrecall={**SHORT, "workers": workers, "min_pool_size": least})
    names = [f"made_up_{i}" for i in range(40)]
    with proxy.connect(database.name) as used:
        for name in names:
            refused(proxy, name)
        for name in names:
            wait_forgotten(proxy, name)
        assert database.name in databases(proxy) and database.name in pools(proxy)
        assert used.query("SELECT 1")[1].values() == [b"1"]
        refused(proxy, names[0])


def test_names_of_lines_of_their_own_stay(pgrecall, postgres, database):
    target = f"host=127.0.0.1 port={postgres.port}"
    proxy = pgrecall(databases={"own": f"{target} dbname={database.name}", "*": target}, pgrecall=SHORT)
    proxy.connect("own").close()
    refused(proxy, "made_up")
    wait_forgotten(proxy, "made_up")
    assert "own" in databases(proxy) and "own" in pools(proxy)


def test_0_means_never(pgrecall, database):
    proxy = pgrecall(pgrecall={**SHORT, "autodb_idle_timeout": "0"})
    refused(proxy, "made_up")
    proxy.connect(database.name).close()
    proxy.configure(pgrecall=SHORT)
    proxy.reload()
    wait_forgotten(proxy, "made_up")


@pytest.mark.parametrize("is_redis", [False, True], ids=["memory", "redis"])
def test_what_was_stored_is_not_served_when_it_comes_back(pgrecall, request, empty_database, is_redis):
    """Somebody else, whose writes do not reach a forgotten name, has written meanwhile."""
    redis = request.getfixturevalue("redis") if is_redis else None
    empty_database.psql(cached.SCHEMA)
    proxy = pgrecall(redis=redis, cache={"default": "on"}, pgrecall=SHORT)
    for _ in range(2):
        app = cached.Cached(proxy, empty_database.name)
        app.warm(app.client(), cached.READ)
        assert app.hit(app.client(), cached.READ) == cached.OLD
        app.close()
        wait_forgotten(proxy, empty_database.name)
        empty_database.psql(cached.NEW)
        app = cached.Cached(proxy, empty_database.name)
        client = app.client()
        assert client.run(cached.READ) == cached.FRESH
        app.warm(client, cached.READ)
        client.run("DELETE FROM t WHERE v = 1000")
        assert client.run(cached.READ) == cached.OLD
        app.close()


def told_types(client):
    """Prepares what has a parameter of the type of `v`, and returns what is told of it."""
    client.send(wire.parse("s", "SELECT v FROM t WHERE v = $1"), wire.describe("S", "s"), wire.sync())
    replies = client.until("Z")
    assert not [m for m in replies if m.kind == "E"], replies
    return next(m.body for m in replies if m.kind == "t")


@pytest.mark.parametrize("is_read", [False, True], ids=["at_once", "read"])
def test_types_are_those_of_now_when_it_comes_back(pgrecall, empty_database, is_read):
    """DDL that a forgotten name does not see: what the worker was told before is no longer so."""
    empty_database.psql("CREATE TABLE t (v int)")
    proxy = pgrecall(cache={"default": "on"}, pgrecall={**SHORT, "workers": 1, "catalog_refresh": "1h"})
    app = cached.Cached(proxy, empty_database.name)
    before = told_types(app.client())
    client = app.client()
    app.warm(client, "SELECT 1 FROM t")
    client.run("ALTER TABLE t ADD w int")
    app.warm(client, "SELECT 2 FROM t")  # the catalogue was read again
    assert told_types(client) == before
    app.close()
    wait_forgotten(proxy, empty_database.name)
    empty_database.psql("ALTER TABLE t ALTER v TYPE text; INSERT INTO t VALUES ('a')")
    app = cached.Cached(proxy, empty_database.name)
    client, other = app.client(), app.client()
    if is_read:
        app.warm(client, "SELECT 3 FROM t")
    now = told_types(client)
    assert now == told_types(app.direct)
    assert now != before
    other.run("BEGIN", "SELECT 1")  # has the connection: the next one prepares it as it was told
    client.send(wire.bind("", "s", [b"a"]), wire.execute(), wire.sync())
    assert client.rows(client.until("Z")) == [[b"a"]]
    app.close()


def test_prepared_transactions_keep_the_name(pgrecall, empty_database):
    name = empty_database.name
    empty_database.psql(cached.SCHEMA)
    proxy = pgrecall(cache={"default": "on"}, pgrecall=SHORT)
    app = cached.Cached(proxy, name)
    client = app.client()
    app.warm(client, cached.READ)
    client.run("BEGIN", cached.NEW, "PREPARE TRANSACTION 'two'")
    app.close()
    wait_for(lambda: name not in pools(proxy), 30, "the pool is forgotten")
    refused(proxy, "made_up")
    wait_forgotten(proxy, "made_up")
    assert name in databases(proxy)
    app = cached.Cached(proxy, name)
    client = app.client()
    assert client.run(cached.READ) == cached.OLD
    client.run("COMMIT PREPARED 'two'")
    assert client.run(cached.READ) == cached.FRESH
    app.close()
    wait_forgotten(proxy, name)


def test_a_replication_connection_keeps_the_name(pgrecall, empty_database):
    name = empty_database.name
    proxy = pgrecall(pgrecall=SHORT)
    with wire.Connection(proxy.port).start(database=name, replication="database") as conn:
        refused(proxy, "made_up")
        wait_forgotten(proxy, "made_up")
        assert name in databases(proxy)
        assert not [m for m in conn.query("CREATE TABLE made (id int)") if m.kind == "E"]
    wait_forgotten(proxy, name)


def test_a_second_name_of_a_database_stays(pgrecall, postgres, empty_database):
    """What is written under the other name reaches it."""
    name = empty_database.name
    empty_database.psql(cached.SCHEMA)
    proxy = pgrecall(databases={"own": f"host=localhost port={postgres.port} dbname={name}"},
                     cache={"default": "on"}, pgrecall=SHORT)
    other = proxy.connect("own")
    app = cached.Cached(proxy, name)
    app.warm(app.client(), cached.READ)
    proxy.wait_log("are the same")
    app.warm(app.client(), cached.READ)
    app.close()
    wait_for(lambda: name not in pools(proxy), 30, "the pool is forgotten")
    refused(proxy, "made_up")
    wait_forgotten(proxy, "made_up")
    assert name in databases(proxy)
    assert not [m for m in other.query(cached.NEW) if m.kind == "E"]
    app = cached.Cached(proxy, name)
    assert app.client().run(cached.READ) == cached.FRESH
    app.close()
    other.close()
