# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""More scripts whose answers must be PostgreSQL's own, and how soon they come (T-42 to T-74)."""

import time

import pytest

import wire
from differential import difference, run, step
from wire import (bind, close, copy_data, copy_done, copy_fail, describe, execute, flush,
                  parse, query, sync)

SETUP = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 3) g"


def ask(sql, *values, name=""):
    return (parse(name, sql), bind("", name, values), describe("P"), execute())


SCRIPTS = {
    "T43 simple query in a failed batch": [
        step(parse("", "SELECT 1/0"), bind("", ""), execute(), query("SELECT 2"), query("SELECT 3"), sync(), times=1),
        step(query("SELECT 4"))],
    "T43 simple query between parse and bind": [
        step(parse("n", "SELECT v FROM t WHERE id = $1"), query("SELECT 1"), bind("", "n", [b"1"]), execute(), sync())],
    "T48 two portals with row limits": [
        step(query("BEGIN")),
        step(parse("", "SELECT id FROM t ORDER BY id"), bind("a", ""), bind("b", ""), execute("a", 1), execute("b", 2),
             execute("a", 1), execute("b", 2), execute("a", 0), sync()),
        step(close("P", "a"), execute("b", 1), sync()), step(query("ROLLBACK"))],
    "T49 describe of what returns nothing": [
        step(parse("", "CREATE TEMP TABLE x (i int)"), describe("S"), bind("", ""), describe("P"), execute(), sync()),
        step(parse("", "INSERT INTO x VALUES (1) RETURNING i"), describe("S"), bind("", ""), describe("P"), execute(), sync())],
    "T70 copy fail and done without copy": [step(copy_fail("x"), copy_done(), sync()), step(*ask("SELECT 1"), sync())],
    "T73 copy out in a batch of others": [
        step(*ask("SELECT 1"), *ask("COPY t TO STDOUT"), *ask("SELECT 2"), sync())],
    "T74 copy in, then an error, in one text": [
        step(query("COPY t FROM STDIN; SELECT 1/0; SELECT 2"), until="G"),
        step(copy_data(b"70\tx\n"), copy_done(), times=1), step(query("SELECT count(*) FROM t"))],
}


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("default", ["on", "off"])
def test_scripts(pgrecall, postgres, empty_database, mode, default):
    """Directly, then through the proxy: in whole packets, on used connections, bytewise."""
    empty_database.psql(SETUP)
    proxy = pgrecall(pgrecall={"pool_mode": mode}, cache={"default": default})
    for script, steps in SCRIPTS.items():
        answers = {}
        for way in ("direct", "packets", "again", "bytes"):
            port = postgres.port if way == "direct" else proxy.port
            with wire.Connection(port, timeout=8).start(database=empty_database.name) as conn:
                conn.query("DELETE FROM t WHERE id > 3")
                answers[way] = run(conn, steps, way == "bytes")
        for way in ("packets", "again", "bytes"):
            found = difference(answers["direct"], answers[way])
            assert found is None, f"{script}, {way}: {found}"


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_T56_nothing_waits_for_more(pgrecall, empty_database, mode):
    """A pause before the last Sync, or between batches, does not hold answers back."""
    empty_database.psql(SETUP)
    proxy = pgrecall(pgrecall={"pool_mode": mode})
    with proxy.connect(empty_database.name) as conn:
        conn.query("SELECT 1")
        for _ in range(3):
            conn.send(*ask("SELECT v FROM t WHERE id = $1", b"1"), flush())
            start = time.monotonic()
            assert conn.until("C")[-1].kind == "C"
            assert time.monotonic() - start < 2
            conn.send(sync())
            assert conn.until("Z")[-1].body == b"I"
