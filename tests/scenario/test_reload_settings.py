# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Settings of the server that change under open connections: another search_path or DateStyle is in
force in every session, and what was answered before is of other tables, or written otherwise."""

import pytest
import wire
from cached import Cached
from gate import Gate
from servers import Postgres, wait_for

SCHEMA = """
CREATE TABLE t (id serial PRIMARY KEY, k int, v int);
INSERT INTO t (k, v) SELECT g % 3, g FROM generate_series(1, 30) AS g;
CREATE SCHEMA other;
CREATE TABLE other.t (id serial PRIMARY KEY, k int, v int);
INSERT INTO other.t (k, v) VALUES (1, 7);
CREATE TABLE d (k int, at date);
INSERT INTO d VALUES (1, '2020-01-31');
"""
READ = "SELECT max(v) FROM t WHERE k = 1"
NEW = "INSERT INTO t (k, v) VALUES (1, 1000)"
HERE, THERE, FRESH = [[b"28"]], [[b"7"]], [[b"1000"]]
ASKED = b"pg_conf_load_time"


@pytest.fixture(scope="module")
def server(tmp_path_factory, workspace):
    directory = workspace / "reload_settings"
    directory.mkdir()
    directory.chmod(0o755)
    made = Postgres(directory).start()
    yield made
    made.stop("immediate")


@pytest.fixture
def way(server):
    made = Gate(server.port)
    yield made
    made.close()


@pytest.fixture
def make(pgrecall, server, way):
    made = []

    def start(**settings):
        server.psql("DROP DATABASE IF EXISTS reload WITH (FORCE)")
        server.psql("CREATE DATABASE reload")
        server.psql(SCHEMA, "reload")
        proxy = pgrecall(server, databases={"*": f"host=127.0.0.1 port={way.port}"}, cache={"default": "on"},
                         pgrecall={"workers": 2, "catalog_refresh": "1d", **settings})
        cached = Cached(proxy, "reload", port=server.port)
        made.append(cached)
        return cached

    file = server.data / "postgresql.conf"
    before = file.read_text()
    yield start
    way.close()
    for cached in made:
        cached.close()
    file.write_text(before)
    server.psql("ALTER SYSTEM RESET ALL")
    server.psql("SELECT pg_reload_conf()")
    wait_for(lambda: server.psql("SELECT count(*) FROM pg_settings WHERE name IN ('search_path', 'DateStyle')"
                                 " AND setting IN ('other', 'German, DMY')") == "0\n")


@pytest.fixture
def cached(make):
    return make()


def alter(run, setting):
    """Changes the setting; sessions follow a moment later."""
    run(f"ALTER SYSTEM SET {setting}")
    run("SELECT pg_reload_conf()")


def in_force(cached, name, value):
    """Waits until sessions have it."""
    wait_for(lambda: cached.direct.run(f"SHOW {name}") == [[value]])


class Noticed:
    """Waits at its end until pgrecall has noticed what was done inside."""

    def __init__(self, cached):
        self.cached = cached

    def count(self):
        return self.cached.proxy.log().count("database reload: the server has read its settings, or was gone")

    def __enter__(self):
        self.before = self.count()

    def __exit__(self, kind, *rest):
        if kind is None:
            wait_for(lambda: self.count() > self.before, what="notice of a reload")


@pytest.mark.parametrize("how", ["past pgrecall", "through pgrecall", "file"])
def test_search_path(cached, server, how):
    reader, writer, other = (cached.client() for _ in range(3))
    assert cached.warm(reader, READ) == HERE
    assert cached.hit(other, READ) == HERE
    with Noticed(cached):
        if how == "file":
            with open(server.data / "postgresql.conf", "a") as file:
                file.write("search_path = other\n")
            cached.direct.run("SELECT pg_reload_conf()")
        else:
            alter(writer.run if how == "through pgrecall" else cached.direct.run, "search_path = other")
        in_force(cached, "search_path", b"other")
    for client in (reader, writer, other, cached.client()):
        assert cached.ask(client, READ)[0] == THERE
    assert cached.warm(reader, READ) == THERE
    assert cached.hit(other, READ) == THERE
    writer.run(NEW)
    for client in (reader, writer, other):
        assert cached.ask(client, READ)[0] == FRESH
    with Noticed(cached):
        alter(cached.direct.run, "search_path = public")
        in_force(cached, "search_path", b"public")
    for client in (reader, writer, other):
        assert cached.ask(client, READ)[0] == HERE


@pytest.mark.parametrize("protocol", ["simple", "extended"])
def test_nothing_is_served_until_it_is_known_what_a_reload_did(cached, way, protocol):
    """pg_reload_conf() through pgrecall: what it does comes later than its answer."""
    reader, writer = cached.client(), cached.client()
    assert cached.warm(reader, READ) == HERE
    held = way.hold_requests(ASKED)
    held.wait()
    writer.run("ALTER SYSTEM SET search_path = other")
    assert cached.warm(reader, READ) == HERE
    text = "SELECT pg_reload_conf()"
    assert (writer.run(text) if protocol == "simple" else writer.bound(text)) == [[b"t"]]
    for _ in range(3):
        assert cached.miss(reader, READ) in (HERE, THERE)
    in_force(cached, "search_path", b"other")
    for client in (writer, reader, cached.client()):
        assert cached.miss(client, READ) == THERE
    held.release()
    assert cached.warm(reader, READ) == THERE
    writer.run(NEW)
    assert cached.ask(reader, READ)[0] == FRESH


def test_reload_by_who_may_not(cached):
    """It is refused, and disturbs nobody."""
    reader = cached.client()
    cached.direct.run("DO $$ BEGIN CREATE ROLE tester LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    tester = cached.client("tester")
    cached.warm(reader, READ)
    assert tester.fails("SELECT pg_reload_conf()") == "42501"
    assert cached.hit(reader, READ) == HERE


def test_parameter_that_is_reported(cached, way):
    """DateStyle is reported with the first answer that is written so: nobody else asks the cache after it."""
    reader, other = cached.client(), cached.client()
    text = "SELECT max(at) FROM d WHERE k = 1"
    assert cached.warm(other, text) == [[b"2020-01-31"]]
    held = way.hold_requests(ASKED)
    held.wait()
    alter(cached.direct.run, "DateStyle = German")
    in_force(cached, "DateStyle", b"German, DMY")
    assert cached.hit(other, text) == [[b"2020-01-31"]]  # nobody can know yet
    assert reader.bound(text + " AND at > '01-01-2000'") == [[b"31.01.2020"]]
    for client in (other, reader, cached.client()):
        assert cached.miss(client, text) == [[b"31.01.2020"]]
    held.release()
    assert cached.warm(other, text) == [[b"31.01.2020"]]
    assert cached.hit(reader, text) == [[b"31.01.2020"]]


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_client_that_keeps_its_connection(make, mode):
    """It reads and writes through settings of which nobody knows what they are now."""
    cached = make(pool_mode=mode)
    kept = cached.client()
    kept.run("SELECT pg_advisory_lock(1)")
    reader = cached.client()
    cached.warm(kept, READ)
    with Noticed(cached):
        alter(cached.direct.run, "search_path = other")
        in_force(cached, "search_path", b"other")
    if mode == "session":  # as transaction mode does for those that it can
        reader.close()
        reader = cached.client()
    assert cached.warm(reader, READ) == THERE
    assert cached.never_cached(kept, "SELECT min(v) FROM t WHERE k = 1") == THERE
    kept.run(NEW)
    assert cached.ask(reader, READ)[0] == FRESH
    assert cached.ask(kept, READ)[0] == FRESH
    kept.run("BEGIN", "INSERT INTO t (k, v) VALUES (1, 2000)")
    assert cached.warm(reader, READ) == FRESH
    kept.run("COMMIT")
    assert cached.ask(reader, READ)[0] == [[b"2000"]]


def test_transaction_that_is_open_meanwhile(cached):
    reader, writer = cached.client(), cached.client()
    writer.run("BEGIN", "SELECT 1")
    assert cached.warm(reader, READ) == HERE
    with Noticed(cached):
        alter(cached.direct.run, "search_path = other")
        in_force(cached, "search_path", b"other")
    assert cached.warm(reader, READ) == THERE
    writer.run(NEW)
    assert cached.hit(reader, READ) == THERE
    writer.run("COMMIT")
    assert cached.ask(reader, READ)[0] == FRESH
    assert cached.warm(writer, READ) == FRESH


def test_settings_of_a_role_are_for_new_connections(cached):
    """Two connections with two defaults, at once: none has the answers of the other."""
    old, keeper = cached.client(), cached.client()
    assert cached.warm(old, READ) == HERE
    old.run("SELECT pg_advisory_lock(1)")
    cached.direct.run("ALTER ROLE postgres IN DATABASE reload SET search_path = other")
    keeper.run("BEGIN", "SELECT 1")  # perhaps on a connection of before
    fresh = cached.client()
    wait_for(lambda: cached.ask(fresh, READ)[0] == THERE or fresh.run("SELECT pg_advisory_lock(2)") is None,
             what="a connection of after")
    assert cached.warm(fresh, READ) == THERE
    for _ in range(3):
        assert cached.ask(old, READ)[0] == HERE
        assert cached.ask(fresh, READ)[0] == THERE
    fresh.run(NEW)
    assert cached.ask(old, READ)[0] == HERE
    assert cached.ask(fresh, READ)[0] == FRESH
    keeper.run("COMMIT")
