# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""What follows a RESET in one text or batch runs under the settings that the client has logged in with (T-32)."""

import pytest

import wire
from differential import difference, run, step
from wire import bind, describe, execute, flush, parse, query, sync

STARTUP = {"options": "-c DateStyle=German -c work_mem=5MB -c search_path=own", "TimeZone": "Asia/Tokyo", "application_name": "it's \\ \u00e9"}
SHOW = "SHOW DateStyle; SHOW work_mem; SHOW search_path; SHOW TimeZone; SHOW application_name"
DATE = "SELECT '2026-02-01'::date, current_setting('work_mem')"
CHANGE = "SET DateStyle = 'SQL, DMY'; SET work_mem = '6MB'; SET search_path = public; SET TimeZone = 'Europe/Paris'"
DATA = wire.copy_data(b"one\n") + wire.copy_done()
RESETS = {"one": "RESET DateStyle", "default": "SET work_mem TO DEFAULT", "all": "RESET ALL", "zone": "SET TIME ZONE LOCAL",
          "local": "SET LOCAL work_mem TO DEFAULT",
          "name": "/* c */ RESET application_name -- x ; y\n", "not one of its own": "RESET geqo"}


def ask(sql, *values, name="", portal=""):
    return (parse(name, sql), bind(portal, name, values), describe("P", portal), execute(portal))


def shows():
    """SHOW of each, in a batch."""
    return [m for sql in SHOW.split("; ") for m in ask(sql)]


def texts(reset):
    """A RESET and something behind it, everywhere in a text and in a transaction."""
    return [
        step(query(SHOW)), step(query(CHANGE)), step(query(f"{reset}; {SHOW}")), step(query(SHOW)), step(query(CHANGE)),
        step(query(f"{reset};")), step(query(SHOW)), step(query(CHANGE)),
        step(query(f"SELECT 1; {reset};; {DATE}; {CHANGE}; {reset}; {SHOW}; {reset}")), step(query(SHOW)), step(query(CHANGE)),
        # undone with its transaction
        step(query(f"{reset}; {SHOW}; SELECT 1/0; SELECT 2")), step(query(SHOW)),
        step(query(f"SELECT 1/0; {reset}; {SHOW}")), step(query(SHOW)),
        step(query(f"{reset}; {DATE}; nonsense")), step(query(SHOW)),
        # errors and notices tell their places
        step(query(f"{reset}; SELECT '\u00e9', nowhere")), step(query(f"SELECT nowhere; {reset}; SELECT 1")),
        step(query(f"{reset}; {reset}; SELECT 1; SELECT\n\tnowhere")), step(query(f"{reset}; {DATE}; SELECT 'x'::int")),
        step(query(f"{reset}; CREATE TEMP TABLE c (a int) ON COMMIT DROP; SELECT b FROM c")), step(query(SHOW)),
        step(query(f"{reset}; DO $$ BEGIN PERFORM nowhere; END $$; SELECT 1")), step(query(f"{reset}; SELECT 1 WHERE true AND")),
        # transactions that begin and end inside
        step(query(f"BEGIN; {reset}; {SHOW}; ROLLBACK; {SHOW}")), step(query(SHOW)),
        step(query(f"BEGIN; {reset}; {SHOW}; COMMIT; {SHOW}")), step(query(SHOW)), step(query(CHANGE)),
        step(query(f"BEGIN; {reset}; {DATE}")), step(query(f"{DATE}; {reset}; {DATE}")), step(query(SHOW)),
        step(query(f"SELECT 1/0; {reset}; {DATE}")), step(query(f"{reset}; {DATE}")), step(query("ROLLBACK")), step(query(SHOW)),
        step(query("BEGIN")), step(query("SAVEPOINT a")), step(query(f"{reset}; {SHOW}")), step(query("ROLLBACK TO a")),
        step(query(SHOW)), step(query(f"{reset}; {DATE}")), step(query("COMMIT")), step(query(SHOW)), step(query(CHANGE)),
        step(query(f"{reset}; {SHOW}"), query(SHOW), query(f"SELECT 1; {reset}"), query(SHOW))]


def batches(reset):
    change = [m for sql in CHANGE.split("; ") for m in ask(sql)]
    return [
        step(*shows(), sync()), step(*change, sync()), step(*ask(reset), *shows(), sync()), step(*shows(), sync()), step(*change, sync()),
        step(*ask(reset), sync()), step(*shows(), sync()), step(*change, sync()),
        step(*ask(reset), *shows(), *change, *ask(reset), *ask(DATE), flush(), *ask(reset), *shows(), sync()), step(*change, sync()),
        step(*ask(reset), sync(), *shows(), sync()), step(*change, sync()), step(*ask(reset), flush(), *ask(DATE), sync()), step(*change, sync()),
        # named statements, some of which are there already, and one that comes twice
        step(parse("r", reset), parse("d", DATE), sync()), step(bind("", "r"), execute(), bind("", "d"), describe("P"), execute(), sync()),
        step(*change, sync()), step(bind("", "r"), execute(), bind("", "r"), execute(), bind("", "d"), execute(), *ask(DATE, name="e"), sync()),
        step(*change, sync()), step(parse("", DATE), bind("", "r"), execute(), bind("", ""), execute(), sync()), step(*shows(), sync()),
        step(*change, sync()), step(bind("", "r"), execute(), execute(), sync()), step(*shows(), sync()), step(*change, sync()),
        # undone with its transaction
        step(*ask(reset), *ask(DATE), *ask("SELECT 1/0"), *ask("SELECT 2"), sync()), step(*shows(), sync()),
        step(*ask("SELECT 1/0"), *ask(reset), *ask(DATE), sync()), step(*shows(), sync()),
        step(*ask(reset), *ask("SELECT nowhere"), sync()), step(*shows(), sync()),
        step(*ask(reset), *ask(DATE), bind("", "none"), sync()), step(*shows(), sync()),
        step(*ask("BEGIN"), *ask(reset), *shows(), *ask("ROLLBACK"), *shows(), sync()), step(*shows(), sync()),
        step(*ask("BEGIN"), *ask(reset), *shows(), sync()), step(*ask(DATE), sync()), step(*ask("COMMIT"), *shows(), sync()),
        step(*change, sync()), step(*ask("BEGIN"), sync()), step(*ask(reset), *ask(DATE), *ask("SELECT 1/0"), sync()),
        step(*ask(reset), *ask(DATE), sync()), step(*ask("ROLLBACK"), sync()), step(*shows(), sync()),
        step(*ask("BEGIN"), *ask("SAVEPOINT a"), *ask(reset), *ask(DATE), *ask("ROLLBACK TO a"), *ask(DATE), sync()),
        step(*ask(reset), *ask(DATE), *ask("COMMIT"), sync()), step(*shows(), sync()),
        step(*ask(reset), sync(), *ask(reset), *ask(DATE), sync(), query(SHOW), *ask(reset), query(SHOW), sync())]


SCRIPTS = {**{f"text, {name}": texts(reset) for name, reset in RESETS.items()},
           **{f"batch, {name}": batches(reset) for name, reset in RESETS.items()}}
SCRIPTS |= {
    "discard all": [
        step(query(CHANGE)), step(*ask("DISCARD ALL"), *shows(), sync()), step(*shows(), sync()), step(query(CHANGE)),
        step(*ask("DISCARD ALL"), sync(), *shows(), sync()), step(query(CHANGE)), step(query("DISCARD ALL"), query(SHOW)),
        step(query(CHANGE)), step(*ask("DISCARD ALL"), *ask("DISCARD ALL"), *shows(), sync()), step(*shows(), sync()),
        # it is committed, whatever comes then
        step(query(CHANGE)), step(*ask("DISCARD ALL"), *ask("SELECT 1/0"), *ask("SELECT 1"), sync()), step(*shows(), sync()),
        step(query(CHANGE)), step(*ask("DISCARD ALL"), *ask("SET work_mem = '7MB'"), *ask("SELECT 1/0"), sync()), step(*shows(), sync()),
        step(query(CHANGE)), step(*ask("DISCARD ALL"), *ask("SET work_mem = '7MB'"), *ask(DATE), sync()), step(*shows(), sync()),
        # or refused
        step(query(CHANGE)), step(*ask("SELECT 1"), *ask("DISCARD ALL"), *shows(), sync()), step(*shows(), sync()),
        step(query(f"DISCARD ALL; {SHOW}")), step(query(SHOW)), step(query("BEGIN")),
        step(*ask("DISCARD ALL"), *shows(), sync()), step(query("ROLLBACK")), step(query(SHOW)),
        step(*ask("BEGIN"), *ask("DISCARD ALL"), *shows(), sync()), step(query("ROLLBACK")), step(query(SHOW)),
        # statements are gone, others come
        step(parse("a", "SELECT 1"), sync()), step(*ask("DISCARD ALL"), *ask("SELECT 2", name="a"), *ask(DATE, name="b"), sync()),
        step(bind("", "a"), execute(), bind("", "b"), execute(), sync())],
    "roles": [
        step(query("SET ROLE pg_monitor")), step(query("SELECT current_user; RESET ALL; SELECT current_user; SHOW work_mem")),
        step(*ask("RESET ALL"), *ask("SELECT current_user"), sync()), step(*ask("RESET ROLE"), *ask("SELECT current_user"), sync()),
        step(query(f"SET ROLE pg_monitor; RESET ALL; {SHOW}; SELECT current_user; RESET ROLE; SELECT current_user; {SHOW}")),
        step(query("SET SESSION AUTHORIZATION pg_monitor; RESET ALL; SHOW work_mem; RESET SESSION AUTHORIZATION; SELECT current_user"))],
    # an error that is there before the Sync, and transactions that end in a batch
    "ends of a batch": [
        step(*ask("SET work_mem = '7MB'"), *ask("SELECT 1/0"), flush(), until="E"), step(sync()), step(query(SHOW)),
        step(*ask("RESET ALL"), *ask("SELECT 1/0"), flush(), until="E"), step(*ask("SELECT 1"), sync()), step(query(SHOW)),
        step(query(CHANGE)), step(*ask("BEGIN"), *ask("SET work_mem = '8MB'"), *ask("ROLLBACK"), *ask(DATE), sync()), step(query(SHOW)),
        step(query("DISCARD ALL")), step(*ask("SET work_mem = '8MB'"), *ask("COMMIT"), *ask("SELECT 1/0"), sync()), step(query(SHOW)),
        step(query("DISCARD ALL")), step(*ask("BEGIN"), *ask("RESET ALL"), *ask("COMMIT"), *ask("SELECT 1/0"), sync()), step(query(SHOW)),
        step(query("DISCARD ALL")), step(*ask("BEGIN"), *ask("SET work_mem = '8MB'"), *ask("COMMIT"), flush(), until="C", times=3),
        step(*ask("SELECT 1/0"), sync()), step(query(SHOW))],
    # settings may not be put again among the data
    "copies in a transaction": [
        step(query("BEGIN; CREATE TEMP TABLE c (a text) ON COMMIT DROP")), step(query(CHANGE)),
        step(query("COPY c FROM STDIN; RESET ALL"), until="G"), step(DATA, times=1), step(query(SHOW)), step(query(CHANGE)),
        step(query("COPY c FROM STDIN; SET LOCAL work_mem TO DEFAULT"), DATA, query(SHOW)), step(query("SAVEPOINT s")),
        step(query("RESET DateStyle; COPY c FROM STDIN; RESET ALL"), DATA, *ask(DATE), sync()), step(query(CHANGE)),
        step(query("RESET ALL; COPY c FROM STDIN; RESET ALL"), wire.copy_fail("no"), times=1), step(query("ROLLBACK TO s")), step(query(SHOW)),
        step(query("COPY c FROM STDIN; SET work_mem = '7MB'; RESET ALL"), until="G"), step(DATA, sync(), query("SELECT * FROM c; COMMIT"), times=3),
        step(query(SHOW)), step(query(CHANGE)), step(query("BEGIN"), query("COPY pg_temp.c FROM STDIN; RESET ALL"), query("ROLLBACK")),
        step(query("BEGIN; CREATE TEMP TABLE c (a text) ON COMMIT DROP")),
        step(query("COPY c FROM STDIN; COMMIT; RESET ALL"), DATA, query(SHOW))],
    "counts of answers": [
        step(query("RESET ALL; SELECT g FROM generate_series(1, 3) g; CREATE TEMP TABLE c (a text); COPY c FROM STDIN; SELECT * FROM c; RESET ALL; "
                   "COPY c TO STDOUT; DROP TABLE c; SELECT 1 WHERE false"), until="G"),
        step(wire.copy_data(b"one\n"), wire.copy_done(), times=1),
        step(query("RESET ALL; COPY (SELECT 1) TO STDOUT; RESET ALL; DO $$ BEGIN RAISE NOTICE 'n'; END $$; RESET ALL; SELECT 1; DROP TABLE IF EXISTS nowhere")),
        step(query("LISTEN one; RESET ALL; LISTEN two; NOTIFY two; RESET ALL; UNLISTEN *"))],
}


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda name: name.replace(" ", "_"))
def test_script(pgrecall, empty_database, script, mode):
    """As PostgreSQL answers, also when another client has used the connection meanwhile."""
    proxy = pgrecall(pgrecall={"pool_mode": mode, "default_pool_size": 1}, cache={"default": "on"})
    name, steps = empty_database.name, SCRIPTS[script]
    empty_database.psql("CREATE SCHEMA own")
    with wire.Connection(empty_database.server.port).start(database=name, **STARTUP) as direct:
        want = run(direct, [step(query(DATE)), *steps])[1:]
    for way in ("packets", "bytes"):
        with proxy.connect(name, **STARTUP) as conn:
            run(conn, [step(query(DATE))])  # what is told of the settings comes with the first answer
            got = []
            for one in steps:
                got += run(conn, [one], way == "bytes")
                if mode == "transaction" and got[-1][-1].body == b"I" and proxy.metric("pool_pinned_clients") == 0:
                    with proxy.connect(name, TimeZone="Australia/Perth") as other:
                        other.query("SET work_mem = '7MB'")
            found = difference(want, got)
            assert found is None, f"{way}: {found}"


def test_cached_in_a_batch(pgrecall, empty_database):
    """What is stored has the settings in its key under which it was made, whatever a batch did to them."""
    empty_database.psql("CREATE TABLE t (k int, v date); INSERT INTO t VALUES (1, '2026-02-01')")
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "workers": 1}, cache={"default": "on"})
    proxy.warm(empty_database.name)
    read = "SELECT v FROM t WHERE k = 1"
    want = {"German": "01.02.2026", "SQL": "02/01/2026", "ISO": "2026-02-01"}
    ends = {"ISO": [ask("DISCARD ALL"), ask("RESET DateStyle"), ask("BEGIN") + ask("RESET ALL") + ask("COMMIT")],
            "German": [ask("SET DateStyle = 'SQL, MDY'") + ask("SELECT 1/0"), ask("RESET ALL") + ask("SELECT 1/0"),
                       ask("BEGIN") + ask("SET DateStyle = 'SQL, MDY'") + ask("ROLLBACK") + ask("SELECT 1"),
                       ask("SET DateStyle = 'SQL, MDY'") + ask("RESET DateStyle") + ask("SET DateStyle = 'German'")],
            "SQL": [ask("SET DateStyle = 'SQL, MDY'") + ask("COMMIT") + ask("SELECT 1/0"), ask("DISCARD ALL") + ask("SET DateStyle = 'SQL, MDY'")]}

    def answer(client):
        return next(m for m in client.query(read) if m.kind == "D").values()[0].decode()

    with proxy.connect(empty_database.name) as plain:
        for style, batch in [(style, batch) for style, batches in ends.items() for batch in batches]:
            for startup in ({}, {"DateStyle": "ISO", "work_mem": "5MB"}):
                for early in (False, True):  # an error before the Sync
                    with proxy.connect(empty_database.name, **startup) as client:
                        client.query("SET DateStyle = 'German'")
                        assert answer(client) == want["German"]
                        if early and any(b"1/0" in m for m in batch):
                            client.send(*batch, flush()).until("E")
                            client.send(sync()).until("Z")
                        else:
                            client.send(*batch, sync()).until("Z")
                        assert answer(client) == want[style], batch
                    assert answer(plain) == want["ISO"]
                    with proxy.connect(empty_database.name, DateStyle="German") as client:
                        assert answer(client) == want["German"]
    assert proxy.metric("cache_hits_total") > 0


SQL = "SET DateStyle = 'SQL, MDY'"
ENDS = {
    "committed behind a rollback": [*ask("BEGIN"), *ask(SQL), *ask("ROLLBACK"), *ask("BEGIN"), *ask("SELECT 1"), *ask("COMMIT"), sync()],
    "the same in groups": [*ask("BEGIN"), *ask(SQL), sync(), *ask("ROLLBACK"), sync(), *ask("BEGIN"), sync(), *ask("COMMIT"), sync()],
    "the same again": [*ask("BEGIN"), *ask(SQL), *ask("ROLLBACK"), *ask(SQL), sync()],
    "behind a group that failed": [*ask(SQL), *ask("SELECT 1/0"), sync(), *ask("BEGIN"), *ask("SELECT 1"), *ask("COMMIT"), sync()],
    "committed in a group that fails, behind one": [
        *ask(SQL), *ask("SELECT 1/0"), sync(), *ask("BEGIN"), *ask(SQL), *ask("COMMIT"), *ask("SELECT 1/0"), sync()],
    "undone by a named portal": [parse("r", "ROLLBACK"), *ask("BEGIN"), *ask(SQL), bind("c", "r"), execute("c"), *ask("SELECT 1"), sync()],
    "committed by a named portal": [parse("r", "COMMIT"), *ask("BEGIN"), *ask(SQL), bind("c", "r"), execute("c"), *ask("SELECT 1/0"), sync()],
    "prepared": [*ask("BEGIN"), *ask(SQL), *ask("PREPARE TRANSACTION 'settings'"), *ask("SELECT 1/0"), sync(), query("ROLLBACK PREPARED 'settings'")],
    "prepared in a text": [query(f"BEGIN; {SQL}; PREPARE TRANSACTION 'settings'; SELECT 1/0"), query("ROLLBACK PREPARED 'settings'")],
    "a text that fails before its transaction": [query("SELECT 1/0; BEGIN; RESET DateStyle")],
    "a text that fails behind a transaction": [query("BEGIN"), query("ROLLBACK"), query("SELECT 1/0; RESET DateStyle")],
}


@pytest.mark.parametrize("name", ENDS)
def test_cached_behind_ends(pgrecall, empty_database, name):
    """Transactions of one pipeline, whose ends are known one after the other."""
    empty_database.psql("CREATE TABLE t (k int, v date); INSERT INTO t VALUES (1, '2026-02-01')")
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "workers": 1}, cache={"default": "on"})
    proxy.warm(empty_database.name)
    read = "SELECT v FROM t WHERE k = 1"

    def answer(client):
        return next(m for m in client.query(read) if m.kind == "D").values()[0].decode()

    def at_the_end(client):
        client.query("SET DateStyle = 'German'")
        assert answer(client) == "01.02.2026"
        client.send(*ENDS[name]).until("Z", sum(m[:1] in (b"S", b"Q") for m in ENDS[name]))
        return answer(client), answer(client)

    for startup in ({}, {"DateStyle": "ISO", "work_mem": "5MB"}):
        with wire.Connection(empty_database.server.port).start(database=empty_database.name, **startup) as direct:
            want = at_the_end(direct)
        with proxy.connect(empty_database.name, **startup) as client:
            assert at_the_end(client) == want
        for style, told in (("ISO", "2026-02-01"), ("German", "01.02.2026"), ("SQL, MDY", "02/01/2026")):
            with proxy.connect(empty_database.name, DateStyle=style) as other:
                assert (answer(other), answer(other)) == (told, told)


def test_copy_behind_a_setting(pgrecall, empty_database):
    """The data of a COPY does not wait for the answer of a SET in front of it, wherever it is sent."""
    empty_database.psql("CREATE TABLE c (a text)")
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    for startup in ({}, {"work_mem": "5MB"}):
        with proxy.connect(empty_database.name, **startup) as client:
            for sql in ("SET work_mem = '6MB'", "RESET ALL"):
                client.send(query(f"{sql}; COPY c FROM STDIN; SELECT 1")).until("G")
                client.send(wire.copy_data(b"one\n"), wire.copy_done(), query("SHOW work_mem")).until("Z", 2)
                client.send(query(f"{sql}; COPY c FROM STDIN"), wire.copy_data(b"one\n"), wire.copy_done()).until("Z")
    assert int(empty_database.psql("SELECT count(*) FROM c")) == 8


def test_too_many(pgrecall, empty_database):
    """What is put into one text is bounded."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    with proxy.connect(empty_database.name, options="-c my.own=" + "a" * 8000) as client:
        client.query("BEGIN")
        error, ready = client.query("RESET ALL; " * 900 + "SELECT 1")
        assert error.sqlstate() == "54000" and ready.body == b"E"
        client.query("ROLLBACK")
        assert client.types(client.query("RESET ALL; " * 100 + "SELECT 1")) == "C" * 100 + "TDCZ"
    with proxy.connect(empty_database.name) as client:
        assert client.types(client.query("RESET ALL; " * 900 + "SELECT 1")) == "C" * 900 + "TDCZ"


@pytest.mark.parametrize("length", [100, 200_000])
def test_the_unnamed_statement_stays(pgrecall, empty_database, length):
    """What is put again in a batch takes no statement of the client's, also one that only the server knows."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1, "client_hold_max": "64kB"})
    text = f"SELECT 'kept', '{length * 'x'}' <> ''"
    again = (bind("", ""), execute())
    steps = [step(parse("r", "RESET ALL"), parse("", text), sync()), step(*again, bind("", "r"), execute(), *again, sync()),
             step(*again, sync()), step(query("BEGIN")), step(parse("", text), bind("", "r"), execute(), *again, flush(), until="C", times=2),
             step(*again, bind("", "none"), sync()), step(query("ROLLBACK")), step(parse("", text), sync()),
             step(bind("", "r"), execute(), bind("", "none"), sync()), step(*again, sync()),
             step(bind("", "r"), execute(), sync()), step(*ask("SELECT name FROM pg_prepared_statements WHERE name LIKE '%restore%'"), sync())]
    with wire.Connection(empty_database.server.port).start(database=empty_database.name, **STARTUP) as direct, \
            proxy.connect(empty_database.name, **STARTUP) as client:
        for conn in (direct, client):
            conn.query(CHANGE)
        want, got = (run(conn, steps) for conn in (direct, client))
    found = difference(want, got)
    assert found is None, found


def test_text_that_may_mean_something_else(pgrecall, empty_database):
    """Nothing is put into a text that the server may divide otherwise."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    with wire.Connection(empty_database.server.port).start(database=empty_database.name, **STARTUP) as direct, \
            proxy.connect(empty_database.name, **STARTUP) as client:
        for off in ("SET standard_conforming_strings = off", "DO 'BEGIN SET standard_conforming_strings = off; END'"):
            # with backslashes that are escapes its second statement is the last one
            text = "RESET work_mem; SELECT 'a\\'; RESET ALL; SELECT ' AS \"b', '\" --'"
            for sql in ("BEGIN", "SET escape_string_warning = off", off, CHANGE, text, "SHOW work_mem", "RESET work_mem; SELECT ';'; SHOW work_mem",
                        "RESET DateStyle; SHOW DateStyle", "COMMIT", "SHOW work_mem"):
                want, got = (run(conn, [step(query(sql))]) for conn in (direct, client))
                want, got = ([[m for m in answer if m.kind != "S"] for answer in answers] for answers in (want, got))
                found = difference(want, got)
                assert found is None, f"{sql}: {found}"
            direct.query("DISCARD ALL")
            client.query("DISCARD ALL")
