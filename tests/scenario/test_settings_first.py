# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""A statement never runs under somebody else's settings, and its own cost no round trip."""

import pytest

import wire
from servers import wait_for
from wire import bind, execute, parse, query, sync

EMPTY = wire.message("I")
CANCELED = wire.message("E", b"SERROR\0VERROR\0C57014\0Mcanceling statement due to user request\0\0")


def batch(sql):
    return parse("", sql) + bind("", "") + execute()


def extended(sql):
    return batch(sql) + sync()


def row(messages):
    return next(m for m in messages if m.kind == "D").values()[0].decode()


def rows(messages):
    return [m.values()[0].decode() for m in messages if m.kind == "D"]


def gated(pgrecall, gate, **sections):
    return pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, pgrecall={"default_pool_size": 1}, **sections)


def count(database):
    return database.psql("SELECT count(*) FROM written").strip()


@pytest.fixture
def written(empty_database):
    empty_database.psql("CREATE TABLE written (a int)")
    return empty_database


# The round trip

@pytest.mark.parametrize("cache", ["on", "off"])
@pytest.mark.parametrize("setting", [{"TimeZone": "Asia/Tokyo"}, {"statement_timeout": "77s"}, {"search_path": "a, public", "work_mem": "5MB"}])
def test_no_round_trip(pgrecall, written, gate, setting, cache):
    """The first message comes in one piece with the settings, and runs while nobody has answered."""
    proxy = gated(pgrecall, gate, cache={"enabled": cache})
    with proxy.connect(written.name) as other, proxy.connect(written.name, **setting) as client:
        for way in (query, extended) * 2:
            other.query("SELECT 1")
            written.psql("DELETE FROM written")
            held = gate.hold_replies(next(iter(setting.values())).encode())
            client.send(way("INSERT INTO written VALUES (1)"))
            held.wait()
            assert b"INSERT INTO written" in held.data
            wait_for(lambda: count(written) == "1")
            held.release()
            assert client.types(client.until("Z"))[-2:] == "CZ"


# What may be the first message

FIRST = {
    "an error": (["SELECT 1/0"], "E"),
    "a block that fails": (["BEGIN", "SELECT 1/0", "COMMIT"], "CEC"),
    "a block that is undone": (["BEGIN", "SET LOCAL work_mem = '7MB'", "ROLLBACK"], "CCC"),
    "an isolation level": (["BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", "SHOW transaction_isolation", "COMMIT"], "CCC"),
    "another isolation level": (["BEGIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SHOW transaction_isolation", "COMMIT"], "CCCC"),
    "a savepoint": (["BEGIN", "SAVEPOINT a", "SET work_mem = '7MB'", "ROLLBACK TO a", "COMMIT"], "CCCCC"),
    "VACUUM": (["VACUUM written"], "C"),
    "CREATE INDEX CONCURRENTLY": (["CREATE INDEX CONCURRENTLY ON written (a)", "DROP INDEX written_a_idx"], "CC"),
    "ALTER SYSTEM": (["ALTER SYSTEM RESET work_mem"], "C"),
    "a procedure that commits": (["DO $$ BEGIN INSERT INTO written VALUES (1); COMMIT; PERFORM 1/0; END $$"], "E"),
    "LOCK without a block": (["LOCK TABLE written"], "E"),
    "DECLARE without a block": (["DECLARE c CURSOR FOR SELECT 1"], "E"),
    "COMMIT without a block": (["COMMIT"], "C"),
    "COMMIT AND CHAIN without a block": (["COMMIT AND CHAIN"], "E"),
    "SAVEPOINT without a block": (["SAVEPOINT a"], "E"),
    "DISCARD ALL": (["DISCARD ALL"], "C"),
    "nothing": ([""], "I"),
}


@pytest.mark.parametrize("way", [query, extended])
@pytest.mark.parametrize("cache", ["on", "off"])
def test_first_message(pgrecall, written, way, cache):
    """It is in no transaction of ours, and the settings stay whatever becomes of it."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1}, cache={"enabled": cache, "default": "on"})
    mine = {"TimeZone": "Asia/Tokyo", "work_mem": "5MB", "application_name": "mine"}
    show = query("SHOW TimeZone; SHOW work_mem; SHOW application_name")
    with proxy.connect(written.name, DateStyle="German", work_mem="3MB") as other, proxy.connect(written.name, **mine) as client:
        for first, (sqls, want) in FIRST.items():
            assert row(other.query("SHOW work_mem")) == "3MB"
            for sql, end in zip(sqls, want, strict=True):
                answer = client.send(way(sql)).until("Z")
                assert client.types(answer)[-2] == end, (first, sql, answer)
                if sql.startswith("SHOW"):
                    assert row(answer) == "serializable"
            assert rows(client.send(show).until("Z")) == ["Asia/Tokyo", "5MB", "mine"], first
        assert rows(other.send(show).until("Z"))[1] == "3MB"
        assert proxy.metric("pool_disconnects_total") == 0


def test_time_of_the_transaction(pgrecall, written):
    """The settings are no part of it: now() is when its first statement came."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    with proxy.connect(written.name) as other, proxy.connect(written.name, TimeZone="Asia/Tokyo") as client:
        for _ in range(3):
            other.query("SELECT 1")
            assert row(client.query("SELECT now() = statement_timestamp()")) == "t"


def test_settings_of_another_session(pgrecall, empty_database):
    """One connection, two clients with settings of their own, statement by statement."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    clients = {zone: proxy.connect(empty_database.name, TimeZone=zone) for zone in ("UTC", "Asia/Kolkata")}
    for _ in range(10):
        for zone, client in clients.items():
            for way in (query, extended):
                assert row(client.send(way("SELECT current_setting('TimeZone')")).until("Z")) == zone
    for client in clients.values():
        client.close()


def test_isolation_of_another_session(pgrecall, own_postgres):
    """Settings are set whatever transactions those of another client would be: none waits for a safe snapshot."""
    proxy = pgrecall(server=own_postgres, pgrecall={"default_pool_size": 1})
    isolated = {f"default_transaction_{name}": value for name, value in
                {"isolation": "serializable", "read_only": "on", "deferrable": "on"}.items()}
    with wire.Connection(own_postgres.port).start(database="sample") as writer, \
            proxy.connect("sample", **isolated) as waits, proxy.connect("sample", TimeZone="Asia/Tokyo") as client:
        assert row(waits.query("SHOW transaction_isolation")) == "serializable"
        writer.query("BEGIN ISOLATION LEVEL SERIALIZABLE")
        writer.query("CREATE TABLE unsafe (a int)")
        assert row(client.query("SHOW TimeZone")) == "Asia/Tokyo"
        assert row(client.query("SHOW transaction_isolation")) == "read committed"


@pytest.mark.parametrize("first", ["SELECT v FROM t WHERE k = 1", "BEGIN"])
def test_cached_behind_settings(pgrecall, empty_database, first):
    """What is stored has the settings in its key under which it was made."""
    empty_database.psql("CREATE TABLE t (k int, v timestamptz); INSERT INTO t VALUES (1, '2020-01-01 00:00Z')")
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "workers": 1}, cache={"default": "on"})
    proxy.warm(empty_database.name)
    clients = {"2020-01-01 00:00:00+00": proxy.connect(empty_database.name, TimeZone="utc"),
               "2020-01-01 09:00:00+09": proxy.connect(empty_database.name, TimeZone="asia/tokyo")}
    for way in (query, extended):
        for _ in range(3):
            for want, client in clients.items():
                client.send(way(first)).until("Z")
                assert row(client.send(way("SELECT v FROM t WHERE k = 1")).until("Z")) == want
                if first == "BEGIN":
                    client.send(way("COMMIT")).until("Z")
    assert proxy.metric("cache_hits_total") > 0


def test_message_that_waits_for_answers(pgrecall, empty_database):
    """EXECUTE of a statement that was prepared by a message: alone, and with others that want the connection."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "workers": 1})
    conns = [proxy.connect(empty_database.name, TimeZone=zone) for zone in ("UTC", "Asia/Tokyo", "Asia/Kolkata")]
    for number, conn in enumerate(conns):
        conn.send(parse("s", f"SELECT {number}, current_setting('TimeZone')"), sync()).until("Z")
    for _ in range(5):
        for conn in conns:
            conn.send(query("EXECUTE s"))
        for number, conn in enumerate(conns):
            assert row(conn.until("Z")) == str(number)


@pytest.mark.parametrize("cache", ["on", "off"])
@pytest.mark.parametrize("reset", ["RESET search_path", "RESET ALL", "SET search_path TO DEFAULT", "DISCARD ALL", "SELECT 1; RESET ALL"])
def test_pipeline_behind_a_reset(pgrecall, empty_database, reset, cache):
    """What was sent behind a RESET runs, and is stored, under the settings that the client has logged in with."""
    empty_database.psql("CREATE SCHEMA own; CREATE TABLE t (v text); CREATE TABLE own.t (v text);"
                        "INSERT INTO t VALUES ('public'); INSERT INTO own.t VALUES ('own')")
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "workers": 1}, cache={"default": cache})
    proxy.warm(empty_database.name)
    with proxy.connect(empty_database.name, search_path="own") as client, proxy.connect(empty_database.name) as other:
        for way in (query, extended):
            if way == extended and reset.startswith("SELECT"):
                continue  # one statement a Parse
            for ahead in (b"", parse("", "SELECT 1")):  # a batch without a Sync, which the RESET ends
                client.send(way("SET search_path = public")).until("Z")
                client.send(ahead + way(reset) + way("SELECT v FROM t") + way("UPDATE t SET v = v")
                            + way("BEGIN") + way("SELECT v FROM t") + way("COMMIT"))
                assert rows(client.until("Z", 6))[-2:] == ["own", "own"]
                assert row(client.query("SELECT v FROM t")) == "own"
                assert row(other.query("SELECT v FROM t")) == "public"


@pytest.mark.parametrize("reset", ["RESET search_path", "RESET ALL", "DISCARD ALL"])
def test_reset_behind_an_error(pgrecall, empty_database, reset):
    """What failed earlier in the pipeline leaves no doubt about the RESET: the client has what it has logged in with."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "workers": 1})
    with proxy.connect(empty_database.name, search_path="own") as client:
        for way in (query, extended):
            for ahead in (way("SELECT 1/0"), way("SELECT 1") + way("nonsense"), way("SELECT 1/0") + parse("", "SELECT 1"),
                          way("SET DateStyle = nonsense"), way("SET DateStyle = 'ISO, DMY'") + way("SET DateStyle = nonsense"),
                          way("SET search_path = public") + way("RESET nonsense")):
                client.send(ahead + way(reset) + way("SHOW search_path") + query("SELECT 'end'"))
                seen = []
                while not seen or seen[-1] != "end":
                    seen += rows(client.until("Z"))
                assert seen[-2] == "own", seen
                assert row(client.query("SHOW search_path")) == "own"
        with proxy.connect(empty_database.name) as other:  # the connection is not held for settings that nobody knows
            assert row(other.query("SHOW search_path")) == '"$user", public'


# What is refused

@pytest.mark.parametrize("setting", [{"DateStyle": "nonsense"}, {"statement_timeout": "nonsense"}, {"work_mem": "1kB", "TimeZone": "UTC"}])
@pytest.mark.parametrize("cache", ["on", "off"])
def test_refused_setting_stops_the_statement(pgrecall, written, setting, cache):
    """Nothing is written when the session's settings could not be set."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1}, cache={"enabled": cache})
    write = "INSERT INTO written VALUES (1)"
    with proxy.connect(written.name, application_name="other") as other:
        for messages in (query(write), extended(write), query("") + extended(write), extended("") + query(write),
                         # each Sync would end the skipping, and the block that has failed is undone
                         b"".join(map(extended, ("BEGIN", "SELECT 1", "COMMIT", write, write))),
                         parse("a", "") + sync() + query("ROLLBACK") + query(write), sync() + batch("") + sync() * 2 + query(f"COMMIT; {write}")):
            assert row(other.query("SHOW application_name")) == "other"
            with proxy.connect(written.name, **setting) as client:
                answer = client.send(messages).rest()
                assert [m.kind for m in answer if m.kind != "Z"] == ["E"] and answer[-1].sqlstate() == "22023", answer
            assert count(written) == "0"
            assert row(other.query("SHOW DateStyle")) == "ISO, MDY"


@pytest.mark.parametrize("way", [query, extended])
def test_role_that_is_gone(pgrecall, written, way):
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    written.psql("CREATE ROLE short_lived; GRANT ALL ON written TO short_lived")
    with proxy.connect(written.name) as other, proxy.connect(written.name) as client:
        client.query("SET ROLE short_lived")
        other.query("SELECT 1")
        assert row(client.query("SELECT current_user")) == "short_lived"
        other.query("SELECT 1")
        written.psql("DROP OWNED BY short_lived; DROP ROLE short_lived")
        answer = client.send(way("INSERT INTO written VALUES (1)")).rest()
        assert answer[-1].kind == "E" and answer[-1].sqlstate() == "22023", answer
        assert "short_lived" in answer[-1].fields()["M"]
        assert count(written) == "0"
        assert row(other.query("SELECT current_user")) == "postgres"


@pytest.mark.parametrize("way", [query, extended])
def test_cancelled_settings(pgrecall, own_postgres, way):
    """Not by the client (test_protocol_cancel.py has that), but at the server, and just then."""
    proxy = pgrecall(server=own_postgres, pgrecall={"default_pool_size": 1})
    own_postgres.psql("CREATE TABLE written (a int)", "sample")
    with wire.Connection(own_postgres.port).start(database="sample") as direct, \
            proxy.connect("sample") as other, proxy.connect("sample") as client:
        client.query("SET default_tablespace = pg_default")
        client.query("INSERT INTO written VALUES (0)")
        pid = int(row(other.query("SELECT pg_backend_pid()")))
        direct.query("BEGIN; LOCK pg_tablespace IN ACCESS EXCLUSIVE MODE")  # looked at by the setting
        client.send(way("INSERT INTO written VALUES (1)"))
        wait_for(lambda: row(direct.query(f"SELECT pg_blocking_pids({pid})")) != "{}")
        direct.query(f"SELECT pg_cancel_backend({pid})")
        answer = client.rest()
        assert answer[-1].kind == "E" and answer[-1].sqlstate() == "57014", answer
        direct.query("COMMIT")
        assert row(direct.query("SELECT count(*) FROM written")) == "1"
        assert row(other.query("SHOW default_tablespace")) == ""


@pytest.mark.parametrize("when", [b"", EMPTY])
@pytest.mark.parametrize("way", [query, extended])
def test_cancelled_behind_the_settings(pgrecall, written, gate, way, when):
    """The settings are in force, and what hits the empty query, before or behind its answer, is nobody's."""
    proxy = gated(pgrecall, gate)
    gate.edit = lambda data: data.replace(EMPTY, when + CANCELED)
    with proxy.connect(written.name) as other, proxy.connect(written.name, TimeZone="Asia/Tokyo") as client:
        for _ in range(3):
            assert row(other.query("SHOW TimeZone")) == "UTC"
            assert client.types(client.send(way("INSERT INTO written VALUES (1)")).until("Z"))[-2:] == "CZ"
            assert row(client.query("SHOW TimeZone")) == "Asia/Tokyo"
    assert count(written) == "3"


@pytest.mark.parametrize("value", ["Asia/Tokyo", "nonsense"])
@pytest.mark.parametrize("what", ["requests", "replies"])
def test_client_that_leaves_meanwhile(pgrecall, written, gate, value, what):
    """Its settings are under way: nobody else gets the connection with them."""
    proxy = gated(pgrecall, gate)
    with proxy.connect(written.name) as other:
        other.query("SELECT 1")
        held = getattr(gate, f"hold_{what}")(value.encode())
        client = proxy.connect(written.name, TimeZone=value)
        client.send(query("SELECT 1"))
        held.wait()
        client.close()
        other.send(query("SHOW TimeZone"))
        wait_for(lambda: proxy.metric("client_connections", state="waiting") == 1 or not other.silent(0.01))
        held.release()
        assert row(other.until("Z")) == "UTC"


# What the client is told

def test_parameters_that_the_first_message_changes(pgrecall, empty_database):
    """What the settings change is not told again, what the message itself changes is."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1})

    def told(conn, message):
        return [tuple(m.body[:-1].decode().split("\0")) for m in conn.send(message).until("Z") if m.kind == "S"]

    with proxy.connect(empty_database.name, TimeZone="Asia/Kolkata") as other, \
            proxy.connect(empty_database.name, TimeZone="asia/tokyo", application_name="mine") as client:
        other.query("SELECT 1")
        # the canonical form, once; not what RESET goes back to on the server
        assert ("TimeZone", "UTC") not in told(client, query("RESET ALL"))
        for way in (query, extended):
            for sql, want in (("SELECT 1", []), ("SET TimeZone = 'Europe/Paris'", [("TimeZone", "Europe/Paris")]),
                              ("RESET TimeZone", [("TimeZone", "Asia/Tokyo")]), ("SET TimeZone = 'utc'", [("TimeZone", "UTC")]),
                              ("SELECT set_config('TimeZone', 'Asia/Tokyo', false)", [("TimeZone", "Asia/Tokyo")]),
                              ("RESET ALL", []), ("DISCARD ALL", [])):
                told(other, query("SELECT 1"))
                assert told(client, way(sql)) == want, sql
            assert row(client.query("SHOW TimeZone")) == "Asia/Tokyo"


# A client that does the same: another pgrecall in front of this one

def test_query_behind_a_batch_ends_it(pgrecall, empty_database):
    """Without Sync: the connection is free again, unless the server waits for one."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "query_wait_timeout": "1s"})
    with proxy.connect(empty_database.name) as client, proxy.connect(empty_database.name) as other:
        client.send(batch("BEGIN"), batch("SELECT 1"), batch("COMMIT"), query(""))
        assert client.types(client.until("Z")) == "12C12DC12CIZ"
        assert other.types(other.query("SELECT 1")) == "TDCZ"
        client.send(batch("SELECT 1"), query("SELECT 1"), batch("SELECT 1"))
        client.until("Z")
        assert other.query("SELECT 1")[0].sqlstate() == "53300"  # the second batch is open
        assert client.types(client.send(sync()).until("Z")) == "12DCZ"
        client.send(batch("SELECT 1/0"), query("SELECT 1"))
        client.until("E")
        assert other.query("SELECT 1")[0].sqlstate() == "53300"  # skipped, and so is what follows
        assert client.types(client.send(query("SELECT 2"), sync()).until("Z")) == "Z"
        assert other.types(other.query("SELECT 1")) == "TDCZ"
        assert client.types(client.query("SELECT 1")) == "TDCZ"


def test_through_two_proxies(pgrecall, empty_database):
    """The outer one sets its clients' settings through the inner one, which shares its connection."""
    inner = pgrecall(pgrecall={"default_pool_size": 1})
    outer = pgrecall(databases={"*": f"host=127.0.0.1 port={inner.port}"}, pgrecall={"default_pool_size": 2})
    zones = ("UTC", "Asia/Tokyo", "Asia/Kolkata")
    conns = [outer.connect(empty_database.name, TimeZone=zone) for zone in zones]
    with inner.connect(empty_database.name, TimeZone="Europe/Paris") as direct:
        for way in (query, extended):
            for _ in range(3):
                for zone, conn in zip(zones, conns, strict=True):
                    assert row(conn.send(way("SHOW TimeZone")).until("Z")) == zone
                    assert row(direct.send(way("SHOW TimeZone")).until("Z")) == "Europe/Paris"
        refused = outer.connect(empty_database.name, DateStyle="nonsense")
        assert refused.send(query("SELECT 1")).rest()[-1].sqlstate() == "22023"
        assert row(conns[0].query("SHOW DateStyle")) == row(direct.query("SHOW DateStyle")) == "ISO, MDY"
