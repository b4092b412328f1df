# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Writes that are not where they are looked for: in a portal of long ago, in a statement that somebody
else has prepared, behind settings that have changed meanwhile."""

import pytest
import wire
from cached import Cached
from servers import wait_for

SCHEMA = """
CREATE TABLE t (id serial PRIMARY KEY, k int, v int);
INSERT INTO t (k, v) SELECT g % 3, g FROM generate_series(1, 30) AS g;
"""
READ = "SELECT max(v) FROM t WHERE k = 1"
NEW = "INSERT INTO t (k, v) VALUES (1, 1000)"
OLD, FRESH = [[b"28"]], [[b"1000"]]


@pytest.fixture
def make(pgrecall, empty_database, gate):
    """A function that starts the proxy with some settings of pgrecall."""
    made = []

    def start(**settings):
        empty_database.psql(SCHEMA)
        proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, cache={"default": "on"},
                         pgrecall={"workers": 1, "admin_users": "postgres", **settings})
        cached = Cached(proxy, empty_database.name)
        made.append(cached)
        cached.warm(cached.client(), READ)
        return cached

    yield start
    gate.close()
    for cached in made:
        cached.close()


@pytest.fixture
def cached(make):
    return make()


def reconnect(cached):
    """New server connections, from now on."""
    console = cached.proxy.connect("pgbouncer")
    assert console.types(console.query("RECONNECT")) == "CZ"
    console.close()


@pytest.mark.parametrize("portal", ["", "end"])
def test_portal_that_commits_in_a_later_batch(cached, portal):
    """A portal of COMMIT outlives the Sync of its Bind."""
    reader, writer = cached.client(), cached.client()
    writer.run("BEGIN", NEW)
    writer.send(wire.parse("", "COMMIT"), wire.bind(portal, ""), wire.sync()).until("Z")
    assert cached.warm(reader, READ) == OLD
    writer.rows(writer.send(wire.execute(portal), wire.sync()).until("Z"))
    assert cached.right(reader, READ) == FRESH


@pytest.mark.parametrize("portal", ["", "end"])
def test_portal_that_rolls_back_in_front_of_a_write(cached, portal):
    reader, writer = cached.client(), cached.client()
    writer.run("BEGIN")
    assert writer.fails("SELECT 1 / 0") == "22012"
    writer.send(wire.parse("", "ROLLBACK"), wire.bind(portal, ""), wire.sync()).until("Z")
    writer.send(wire.execute(portal), wire.sync(), wire.query(NEW))
    writer.rows(writer.until("Z"))
    writer.rows(writer.until("Z"))
    assert cached.right(reader, READ) == FRESH


def test_pin_that_comes_while_another_ends(cached, gate):
    """The server is asked whether a temporary table is left; the client makes the next one."""
    client, other = cached.client(), cached.client()
    client.run("CREATE TEMP TABLE gone (k int)")
    asked = gate.hold_replies(b"pg_my_temp_schema")
    client.run("DROP TABLE gone")
    asked.wait()
    client.send(wire.query("CREATE TEMP TABLE t AS SELECT 1 AS k, 5 AS v"))
    asked.release()
    client.rows(client.until("Z"))
    client.run("SELECT 1")
    cached.warm(other, READ)
    for _ in range(3):
        assert cached.miss(client, READ) == [[b"5"]]


def test_prepare_that_comes_while_another_ends(cached, gate):
    reader, writer = cached.client(), cached.client()
    writer.run("PREPARE gone AS SELECT 1")
    asked = gate.hold_replies(b"pg_prepared_statements")
    writer.run("DEALLOCATE gone")
    asked.wait()
    writer.send(wire.query(f"PREPARE p AS {NEW}"))
    asked.release()
    writer.rows(writer.until("Z"))
    writer.rows(writer.send(wire.bind("", "p"), wire.execute(), wire.sync()).until("Z"))
    assert cached.right(reader, READ) == FRESH


def test_large_parse_that_comes_while_another_ends(make, gate):
    cached = make(client_hold_max="16kB")
    reader, writer = cached.client(), cached.client()
    long = "/*" + "x" * 100000 + "*/"
    writer.send(wire.parse("gone", f"SELECT 1 {long}"), wire.sync()).until("Z")
    asked = gate.hold_replies(b"pg_prepared_statements")
    writer.send(wire.close("S", "gone"), wire.sync()).until("Z")
    asked.wait()
    writer.send(wire.parse("p", NEW + long), wire.sync())
    asked.release()
    writer.rows(writer.until("Z"))
    writer.rows(writer.send(wire.bind("", "p"), wire.execute(), wire.sync()).until("Z"))
    assert cached.right(reader, READ) == FRESH


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_statement_prepared_behind_our_back(make, mode):
    cached = make(pool_mode=mode)
    reader, writer = cached.client(), cached.client()
    writer.run("SELECT pg_advisory_lock(1)", f"DO $$ BEGIN EXECUTE 'PREPARE p AS {NEW}'; END $$")
    cached.warm(reader, READ)
    writer.rows(writer.send(wire.bind("", "p"), wire.execute(), wire.sync()).until("Z"))
    assert cached.right(reader, READ) == FRESH


def test_search_path_that_was_given_to_the_role(cached):
    """New server connections have another one: what was known of the old goes, with the plan."""
    cached.client().run("CREATE SCHEMA other", "CREATE TABLE other.t AS SELECT 1 AS k, 7 AS v")
    reader, writer = cached.client(), cached.client()
    cached.warm(reader, READ)
    writer.run(f"ALTER ROLE postgres IN DATABASE {cached.name} SET search_path = other")
    reconnect(cached)
    other = cached.client()
    wait_for(lambda: cached.ask(other, READ)[0] == [[b"7"]])
    cached.warm(other, READ)
    writer.run(NEW)
    assert cached.ask(cached.client(), READ)[0] == FRESH
    for client in (other, reader, writer):
        assert cached.ask(client, READ)[0] == FRESH


def test_concurrent_ddl_before_its_sync(cached):
    """DETACH .. CONCURRENTLY has committed when it is answered, whenever Sync comes."""
    cached.client().run("CREATE TABLE p (k int, v int) PARTITION BY LIST (k)",
                      "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)",
                      "INSERT INTO p VALUES (1, 5)")
    reader, writer = cached.client(), cached.client()
    text = "SELECT max(v) FROM p"
    cached.warm(reader, text)
    writer.send(wire.parse("", "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY"), wire.bind("", ""),
                wire.execute(), wire.flush())
    writer.rows(writer.until("C"))
    assert cached.right(reader, text) == [[None]]
    writer.send(wire.sync()).until("Z")
    assert cached.right(reader, text) == [[None]]


def test_savepoint_in_a_portal_of_before_the_setting(cached):
    """It keeps the setting that was there when it was executed."""
    cached.client().run("CREATE TABLE d (k int, at date)", "INSERT INTO d VALUES (1, '2020-01-31')")
    reader, other = cached.client(), cached.client()
    text = "SELECT max(at) FROM d WHERE k = 1"
    cached.warm(reader, text)
    other.run("BEGIN")
    other.send(wire.parse("", "SAVEPOINT a"), wire.bind("later", ""), wire.sync()).until("Z")
    other.run("SET DateStyle = German")
    other.rows(other.send(wire.execute("later"), wire.sync()).until("Z"))
    other.run("ROLLBACK TO a", "COMMIT")
    for _ in range(4):
        assert cached.ask(other, text)[0] == [[b"31.01.2020"]]
        assert cached.ask(reader, text)[0] == [[b"2020-01-31"]]


@pytest.mark.parametrize("setting", ["DateStyle", "search_path"])
def test_trigger_that_changes_a_setting(cached, setting):
    """What a trigger does to its session is not what others read through."""
    cached.client().run("CREATE SCHEMA other", "CREATE TABLE d (k int, at date)", "CREATE TABLE other.d (k int, at date)",
                      "INSERT INTO d VALUES (1, '2020-01-31')",
                      "CREATE FUNCTION turn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM"
                      " set_config('DateStyle', 'German', false); RETURN NULL; END $$"
                      if setting == "DateStyle" else
                      "CREATE FUNCTION turn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM"
                      " set_config('search_path', 'other', false); RETURN NULL; END $$",
                      "CREATE TRIGGER turn AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION turn()")
    reader, writer = cached.client(), cached.client()
    text = "SELECT max(at) FROM d WHERE k = 1"
    cached.warm(reader, text)
    writer.run(NEW)
    for client in (reader, cached.client()):
        for _ in range(4):
            assert cached.ask(client, text)[0] == [[b"2020-01-31"]]


def test_schema_of_a_forced_user(pgrecall, empty_database):
    """"$user" is the user of the server connection, not the one who has logged in."""
    name = empty_database.name
    empty_database.psql("CREATE SCHEMA postgres; CREATE SCHEMA tester;"
                        "CREATE TABLE postgres.t AS SELECT 1 AS k, 28 AS v;"
                        "CREATE TABLE tester.t AS SELECT 1 AS k, 7 AS v")
    proxy = pgrecall(databases={name: f"host=127.0.0.1 port={empty_database.server.port} user=postgres"},
                     cache={"default": "on"}, pgrecall={"workers": 1})
    cached = Cached(proxy, name)
    reader, writer = cached.client("tester"), cached.client("tester")
    assert cached.warm(reader, READ) == OLD
    writer.run("INSERT INTO postgres.t VALUES (1, 1000)")
    assert cached.right(reader, READ) == FRESH
    cached.close()
