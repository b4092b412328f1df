# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Writes that are not where they are looked for: in a portal of long ago, in a statement that somebody
else has prepared, behind settings that have changed meanwhile."""

import pytest
import wire
from cached import FRESH, NEW, OLD, READ, SCHEMA, Cached
from servers import wait_for


@pytest.fixture
def cached(make_cached):
    return make_cached()


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


def test_large_parse_that_comes_while_another_ends(make_cached, gate):
    cached = make_cached(client_hold_max="16kB")
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
def test_statement_prepared_behind_our_back(make_cached, mode):
    cached = make_cached(pool_mode=mode)
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


TURN = """
CREATE FUNCTION turn() RETURNS text LANGUAGE sql AS $$ SELECT set_config({setting}, false) $$;
CREATE FUNCTION turns() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	PERFORM set_config({setting}, false); RETURN NEW; END $$;
"""


def trigger(body, on="t"):
    return (f"CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$;"
            f"CREATE TRIGGER act BEFORE INSERT ON {on} FOR EACH ROW EXECUTE FUNCTION act();")


# What makes a write change a setting of its session, and the write.
BEHIND = {
    "itself": (trigger("PERFORM set_config({setting}, false)"), NEW),
    "text": (trigger("EXECUTE 'SELECT set_' || 'config($1, $2, false)' USING {setting}"), NEW),
    "function": (trigger("PERFORM turn()"), NEW),
    "expression": (trigger("NEW.v := length(turn()) + NEW.v"), NEW),
    "another trigger": (
        "CREATE TABLE u (k int); CREATE TRIGGER turns BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION turns();"
        + trigger("INSERT INTO u VALUES (1)"), NEW),
    "foreign key": (
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int REFERENCES parent ON DELETE CASCADE);"
        "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1);"
        "CREATE TRIGGER turns AFTER DELETE ON child FOR EACH ROW EXECUTE FUNCTION turns();",
        "DELETE FROM parent WHERE id = 1"),
    "foreign key and another trigger": (
        "CREATE TABLE u (k int); CREATE TRIGGER turns BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION turns();"
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int REFERENCES parent ON DELETE CASCADE);"
        "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1);"
        "CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO u VALUES (1); RETURN NULL; END $$;"
        "CREATE TRIGGER act AFTER DELETE ON child FOR EACH ROW EXECUTE FUNCTION act();",
        "DELETE FROM parent WHERE id = 1"),
    "instead of": (
        "CREATE VIEW w AS SELECT k, v FROM t;"
        "CREATE TRIGGER turns INSTEAD OF INSERT ON w FOR EACH ROW EXECUTE FUNCTION turns();",
        "INSERT INTO w VALUES (1, 5)"),
    "view": (
        "CREATE VIEW w AS SELECT k, v FROM t;"
        "CREATE TRIGGER turns BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION turns();",
        "INSERT INTO w VALUES (1, 5)"),
    "partition": (
        "CREATE TABLE p (k int) PARTITION BY LIST (k); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
        "CREATE TRIGGER turns BEFORE INSERT ON p1 FOR EACH ROW EXECUTE FUNCTION turns();",
        "INSERT INTO p VALUES (1)"),
    "default": ("ALTER TABLE t ADD COLUMN more text DEFAULT turn();", NEW),
    "check": ("ALTER TABLE t ADD CHECK (turn() IS NOT NULL) NOT VALID;", NEW),
    "rule": ("CREATE RULE r AS ON INSERT TO t DO ALSO SELECT set_config({setting}, false);", NEW),
    "when": (
        "CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;"
        "CREATE TRIGGER quiet BEFORE INSERT ON t FOR EACH ROW WHEN (turn() IS NOT NULL) EXECUTE FUNCTION quiet();", NEW),
    "stable function": ("ALTER FUNCTION turn() STABLE;", "SELECT turn()"),
    "body": ("CREATE FUNCTION new_style() RETURNS text LANGUAGE sql RETURN set_config({setting}, false);",
             "SELECT new_style()"),
    "read of a view": ("CREATE VIEW w AS SELECT turn() FROM t LIMIT 1; CREATE VIEW x AS SELECT * FROM w;",
                       "SELECT * FROM x"),
    "read of a view that sets": ("CREATE VIEW w AS SELECT set_config({setting}, false);", "SELECT * FROM w"),
    "prepared": ("", "PREPARE p AS SELECT set_config({setting}, false)", "EXECUTE p", "DEALLOCATE p"),
    "prepared by the protocol": ("", "BEGIN", "DECLARE c CURSOR FOR SELECT set_config({setting}, false)",
                                 "FETCH c", "COMMIT"),
}


@pytest.mark.parametrize("setting", ["DateStyle", "search_path"])
@pytest.mark.parametrize("way", BEHIND)
def test_write_that_changes_a_setting(cached, setting, way):
    """What a write does to its session is not what others read through."""
    value = "'DateStyle', 'German'" if setting == "DateStyle" else "'search_path', 'other, public'"
    schema, *writes = (text.replace("{setting}", value) for text in (TURN + BEHIND[way][0], *BEHIND[way][1:]))
    cached.client().run("CREATE SCHEMA other", "CREATE TABLE d (k int, at date)", "CREATE TABLE other.d (k int, at date)",
                        "INSERT INTO d VALUES (1, '2020-01-31')", schema)
    reader, writer = cached.client(), cached.client()
    text = "SELECT max(at) FROM d WHERE k = 1"
    cached.warm(reader, text)
    writer.run(*writes)
    for client in (reader, cached.client()):
        for number in range(4):
            assert cached.ask(client, text)[0] == [[b"2020-01-31"]]
            assert cached.ask(client, f"{text} AND at > '2000-01-0{number + 1}'")[0] == [[b"2020-01-31"]]


def test_trigger_that_changes_the_catalogue(cached):
    """A view is of another table from then on."""
    cached.client().run("CREATE TABLE other (k int, v int)", "INSERT INTO other VALUES (1, 7)", "CREATE TABLE log (k int)",
                        "CREATE VIEW w AS SELECT max(v) AS m FROM t WHERE k = 1",
                        "CREATE FUNCTION swap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                        " CREATE OR REPLACE VIEW w AS SELECT max(v) AS m FROM other WHERE k = 1; RETURN NULL; END $$",
                        "CREATE TRIGGER swap AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION swap()")
    reader, writer = cached.client(), cached.client()
    assert cached.warm(reader, "SELECT m FROM w") == OLD
    writer.run("INSERT INTO log VALUES (1)")
    assert cached.warm(reader, "SELECT m FROM w") == [[b"7"]]
    writer.run("INSERT INTO other VALUES (1, 1000)")
    assert cached.right(reader, "SELECT m FROM w") == FRESH


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_write_behind_a_setting_that_nobody_has_seen(make_cached, mode):
    """The names of its statements are not those of the plan."""
    cached = make_cached(pool_mode=mode)
    reader, writer = cached.client(), cached.client()
    writer.run("CREATE SCHEMA other", "CREATE TABLE other.t AS SELECT 1 AS k, 28 AS v",
               "CREATE FUNCTION put() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'",
               "CREATE FUNCTION other.put() RETURNS int LANGUAGE sql"
               " AS 'INSERT INTO other.t VALUES (1, 2000) RETURNING 1'")
    writer.run("SELECT pg_advisory_lock(1)",
               "DO $$ BEGIN PERFORM set_config('search_path', 'other', false); END $$")
    text = "SELECT max(v) FROM other.t WHERE k = 1"
    assert cached.warm(reader, text) == OLD
    writer.run("INSERT INTO t VALUES (1, 1000)")
    assert cached.right(reader, text) == FRESH
    cached.warm(reader, text)
    writer.run("BEGIN", "SELECT put()", "COMMIT")
    assert cached.right(reader, text) == [[b"2000"]]


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


def test_conflict_in_an_index_that_knows_no_case(cached):
    """ON CONFLICT changes the row that the index takes for the same, whose bytes are others."""
    cached.client().run("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
                        "CREATE TABLE c (name text, v int)", "CREATE UNIQUE INDEX ON c (name COLLATE ci)",
                        "INSERT INTO c VALUES ('a', 28), ('b', 1)")
    reader, writer = cached.client(), cached.client()
    text = "SELECT v FROM c WHERE name = 'a'"
    assert cached.warm(reader, text) == OLD
    writer.run("INSERT INTO c VALUES ('A', 1000) ON CONFLICT (name) DO UPDATE SET v = excluded.v")
    assert cached.right(reader, text) == FRESH
