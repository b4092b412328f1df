# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Commits whose client, or whose connection, is taken away before they are answered; notifications that
tell of a write; users who do, and do not, share what is cached."""

import functools

import psycopg2
import psycopg2.extras
import pytest
import wire
from cached import FRESH, NEW, OLD, READ, SCHEMA, Cached, Client
from gate import Gate
from servers import Postgres, wait_for


@pytest.fixture
def make(make_cached):
    return functools.partial(make_cached, workers=2)


def kill(cached):
    """All connections of the database, clients' and servers'; and who comes then is served."""
    with cached.proxy.connect("pgbouncer") as console:
        assert console.types(console.query(f"KILL {cached.name}")) == "CZ"
        assert console.types(console.query(f"RESUME {cached.name}")) == "CZ"


def kill_client(cached, name):
    console = psycopg2.connect(cached.proxy.dsn("pgbouncer", "postgres"))
    console.autocommit = True
    with console.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
        cursor.execute("SHOW CLIENTS")
        (number,) = [row["id"] for row in cursor.fetchall() if row["application_name"] == name]
        cursor.execute(f"KILL_CLIENT {number}")
    console.close()


def send_commit(writer, how):
    if how == "transaction":
        writer.run("BEGIN", NEW)
        writer.send(wire.query("COMMIT"))
    elif how == "simple":
        writer.send(wire.query(NEW))
    else:
        writer.send(wire.parse("", NEW), wire.bind("", ""), wire.execute(), wire.sync())


WAYS = {"transaction": b"COMMIT", "simple": b"INSERT INTO t", "extended": b"INSERT INTO t"}


@pytest.mark.parametrize("how", WAYS)
def test_killed_with_the_answer_on_its_way(make, gate, how):
    cached = make()
    writer = cached.client()
    held = gate.hold_replies(WAYS[how])
    send_commit(writer, how)
    held.wait()
    wait_for(lambda: cached.direct.run(READ) == FRESH)
    kill(cached)
    readers = [cached.client() for _ in range(3)]
    for reader in readers:
        assert cached.ask(reader, READ)[0] == FRESH
    held.release()
    assert cached.warm(readers[0], READ) == FRESH


@pytest.mark.parametrize("how", WAYS)
def test_killed_with_the_commit_on_its_way(make, gate, how):
    """The server gets it when pgrecall has hung up, and commits."""
    cached = make()
    writer = cached.client()
    held = gate.hold_requests(WAYS[how])
    send_commit(writer, how)
    held.wait()
    kill(cached)
    reader = cached.client()
    for _ in range(3):
        assert cached.miss(reader, READ) == OLD
    held.release()
    wait_for(lambda: cached.direct.run(READ) == FRESH)
    for _ in range(3):
        assert cached.ask(reader, READ)[0] == FRESH
    assert cached.warm(reader, READ) == FRESH


@pytest.mark.parametrize("end", ["query_timeout", "transaction_timeout", "KILL_CLIENT"])
@pytest.mark.parametrize("waits", ["10min", "500ms"])
def test_client_is_closed_in_a_commit(make, gate, end, waits):
    """The server connection waits for the answer, or is given up before it comes."""
    limits = {} if end == "KILL_CLIENT" else {end: "1s"}
    cached = make(cancel_wait_timeout=waits, **limits)
    writer = cached.client(application_name="victim")
    writer.run("SELECT 1")  # its settings, which end with a COMMIT of their own, are there
    held = gate.hold_replies(b"COMMIT")
    send_commit(writer, "transaction")
    held.wait()
    if end == "KILL_CLIENT":
        kill_client(cached, "victim")
    assert writer.until("E")[-1].kind == "E"
    reader = cached.client()
    for _ in range(3):
        assert cached.miss(reader, READ) == FRESH
    held.release()
    assert cached.warm(reader, READ) == FRESH


def test_client_is_closed_in_a_commit_that_is_cancelled(make):
    """query_timeout cancels what it ends: nothing has changed, or everything."""
    cached = make(query_timeout="1s")
    reader, writer = cached.client(), cached.client()
    cached.direct.run("CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql"
                      " AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$",
                      "CREATE TABLE slow (k int)",
                      "CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED"
                      " FOR EACH ROW EXECUTE FUNCTION linger()", "SELECT pg_advisory_lock(7)")
    writer.run("BEGIN", NEW, "INSERT INTO slow VALUES (1)")
    writer.send(wire.query("COMMIT"))
    assert writer.until("E")[-1].kind == "E"
    cached.direct.run("SELECT pg_advisory_unlock(7)")
    for _ in range(10):
        cached.right(reader, READ)
    assert cached.warm(reader, READ) == cached.direct.run(READ)


@pytest.mark.parametrize("texts", [
    ["BEGIN", "LISTEN c", NEW, "NOTIFY c, 'new'", "COMMIT"],
    ["BEGIN", "NOTIFY c, 'new'", "LISTEN d", NEW, "UNLISTEN d", "COMMIT"],
    [f"BEGIN; {NEW}; NOTIFY c, 'new'; COMMIT"],
    [f"NOTIFY c, 'new'; {NEW}"],
    ["BEGIN", "SELECT pg_notify('c', 'new')", NEW, "COMMIT"]])
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_notification_of_a_write(make, gate, texts, mode):
    """Who is notified reads what he was notified of, though the writer has not been answered yet."""
    cached = make(pool_mode=mode)
    reader, writer, other = (cached.client() for _ in range(3))
    reader.run("LISTEN c")
    assert cached.warm(other, READ) == OLD
    *first, last = texts
    writer.run(*first)
    held = gate.hold_replies(b"COMMIT" if "COMMIT" in last else b"NOTIFY")
    writer.send(wire.query(last))
    held.wait()
    told = reader.until("A")[-1]
    assert told.kind == "A"
    assert cached.ask(reader, READ)[0] == FRESH
    assert cached.ask(other, READ)[0] == FRESH
    held.release()
    writer.rows(writer.until("Z"))
    assert cached.warm(other, READ) == FRESH


def test_users_of_auth_query(pgrecall, empty_database, postgres):
    """The same user shares with himself, and with nobody else, who may see other rows."""
    name = empty_database.name
    empty_database.psql(SCHEMA)
    users = [f"{name}_one", f"{name}_two"]
    for user in users:
        postgres.psql(f"CREATE ROLE {user} LOGIN PASSWORD 'right'")
        empty_database.psql(f"CREATE SCHEMA {user} AUTHORIZATION {user}")
    empty_database.psql("GRANT ALL ON t TO PUBLIC; GRANT ALL ON SEQUENCE t_id_seq TO PUBLIC;"
                        f"CREATE TABLE {users[1]}.t AS SELECT 1 AS k, 7 AS v; GRANT ALL ON {users[1]}.t TO PUBLIC")
    proxy = pgrecall(cache={"default": "on"},
                     pgrecall={"workers": 2, "auth_type": "scram-sha-256", "auth_user": "postgres"})
    cached = Cached(proxy, name)

    def client(user):
        made = Client(proxy.port).start(user=user, database=name, password="right")
        cached.clients.append(made)
        return made

    one, again, two = client(users[0]), client(users[0]), client(users[1])
    assert cached.warm(one, READ) == OLD
    assert cached.hit(again, READ) == OLD
    assert cached.miss(two, READ) == [[b"7"]]
    assert cached.warm(two, READ) == [[b"7"]]
    assert cached.hit(one, READ) == OLD
    two.run("INSERT INTO t VALUES (1, 2000)")
    assert cached.hit(one, READ) == OLD
    assert cached.ask(two, READ)[0] == [[b"2000"]]
    two.run(f"INSERT INTO public.{NEW.split(' ', 2)[2]}")
    assert cached.ask(again, READ)[0] == FRESH
    assert cached.ask(one, READ)[0] == FRESH
    empty_database.psql("REVOKE ALL ON t FROM PUBLIC")
    cached.close()
    empty_database.psql(f"DROP OWNED BY {', '.join(users)} CASCADE")
    for user in users:
        postgres.psql(f"DROP ROLE {user}")


def test_forced_user_that_a_reload_changes(pgrecall, empty_database, redis):
    """What the old one has read is not for those who are another one now."""
    name = empty_database.name
    other = f"{name}_other"
    empty_database.psql(SCHEMA)
    empty_database.psql(f"CREATE ROLE {other} LOGIN; CREATE SCHEMA {other} AUTHORIZATION {other};"
                        f"CREATE TABLE {other}.t AS SELECT 1 AS k, 7 AS v; GRANT ALL ON {other}.t TO PUBLIC")
    line = f"host=127.0.0.1 port={empty_database.server.port}"
    proxy = pgrecall(databases={name: f"{line} user=postgres"}, cache={"default": "on", "l1_size": 0}, redis=redis)
    cached = Cached(proxy, name)
    reader, kept = cached.client(), cached.client()
    kept.run("SELECT pg_advisory_lock(1)")
    assert cached.warm(reader, READ) == OLD
    before = proxy.metric("config_reloads_total")
    proxy.configure(databases={name: f"{line} user={other}"})
    proxy.reload()
    wait_for(lambda: proxy.metric("config_reloads_total") > before)
    wait_for(lambda: cached.client().run("SELECT current_user") == [[other.encode()]])
    assert cached.never_cached(kept, READ) == OLD
    for _ in range(3):
        assert cached.ask(reader, READ)[0] == [[b"7"]]
    assert cached.warm(cached.client(), READ) == [[b"7"]]
    cached.close()
    empty_database.psql(f"DROP OWNED BY {other} CASCADE")
    empty_database.server.psql(f"DROP ROLE {other}")


def test_one_database_by_two_names(pgrecall, empty_database):
    """Two lines lead to the same database by different ways: what is written by one is read by the other."""
    empty_database.psql(SCHEMA)
    port = empty_database.server.port
    proxy = pgrecall(databases={"one": f"host=127.0.0.1 port={port} dbname={empty_database.name}",
                                "two": f"host=localhost port={port} dbname={empty_database.name}"},
                     cache={"default": "on"})
    one, two = (Cached(proxy, empty_database.name) for _ in range(2))
    one.name, two.name = "one", "two"
    reader, writer = one.client(), two.client()
    assert one.warm(reader, READ) == OLD
    assert two.warm(writer, READ) == OLD
    for number in range(1000, 1010):
        one.warm(reader, READ)
        writer.run(f"INSERT INTO t (k, v) VALUES (1, {number})")
        assert one.ask(reader, READ)[0] == [[str(number).encode()]]
    reader.run("CREATE VIEW w AS SELECT max(v) AS m FROM t WHERE k = 1")
    two.warm(writer, "SELECT m FROM w")
    reader.run("CREATE OR REPLACE VIEW w AS SELECT min(v) AS m FROM t WHERE k = 2")
    assert two.warm(writer, "SELECT m FROM w") == [[b"2"]]
    reader.run("INSERT INTO t (k, v) VALUES (2, 1)")
    assert two.ask(writer, "SELECT m FROM w")[0] == [[b"1"]]
    one.close()
    two.close()


def test_another_server_behind_the_same_address(pgrecall, directory, own_postgres):
    """A failover to one that lacks the last rows: what was read of them is not served to who has a connection
    to it."""
    behind = directory / "behind"
    behind.mkdir()
    behind.chmod(0o755)
    second = Postgres(behind).start()
    for server in (own_postgres, second):
        server.psql("CREATE DATABASE lost")
        server.psql(SCHEMA, "lost")
    way = Gate(own_postgres.port)
    proxy = pgrecall(own_postgres, databases={"*": f"host=127.0.0.1 port={way.port}"}, cache={"default": "on"},
                     pgrecall={"workers": 1})
    cached = Cached(proxy, "lost")
    reader, writer, idle = (cached.client() for _ in range(3))
    cached.warm(reader, READ)
    writer.run(NEW)
    assert cached.warm(reader, READ) == FRESH
    way.target = second.port
    for pair in list(way.pairs):
        pair.shut()
    cached.client().run("SELECT 1")
    for client in (reader, writer, idle, cached.client()):
        assert cached.ask(client, READ)[0] == OLD
    assert cached.warm(reader, READ) == OLD
    assert cached.hit(idle, READ) == OLD
    way.close()
    second.stop("immediate")
    cached.close()


def test_server_that_has_forgotten(pgrecall, own_postgres):
    """It comes back without the last rows, as after a crash with synchronous_commit off, or another one that
    was behind: what was read of them is not served."""
    own_postgres.psql("CREATE DATABASE lost")
    own_postgres.psql("ALTER SYSTEM SET synchronous_commit = off")
    own_postgres.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    own_postgres.psql(SCHEMA, "lost")
    own_postgres.psql("SELECT pg_reload_conf()")
    own_postgres.psql("CHECKPOINT")
    proxy = pgrecall(own_postgres, cache={"default": "on"}, pgrecall={"workers": 1})
    cached = Cached(proxy, "lost")
    reader, writer = cached.client(), cached.client()
    cached.warm(reader, READ)
    writer.run(NEW)
    assert cached.warm(reader, READ) == FRESH
    own_postgres.kill()
    own_postgres.start()
    truth = [[own_postgres.psql(READ, "lost").strip().encode()]]
    wait_for(lambda: cached.client().run("SELECT 1") == [[b"1"]])
    assert cached.client().run(READ) == truth
    assert cached.warm(cached.client(), READ) == truth
    for client in cached.clients:
        client.close()
