# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Pipelines in which a group fails that was to bring a statement to the server: what
the next groups get is PostgreSQL's answer, byte for byte."""

import pytest

import wire
from differential import difference, run, step
from wire import bind, describe, execute, parse, query, sync

TEXT = "SELECT $1::text"
READ = "SELECT name FROM channels WHERE id = 3"


def ask(sql, *values, name=""):
    return (parse(name, sql), bind("", name, values), describe("P"), execute())


def again(name, *values):
    return (bind("", name, values), describe("P"), execute())


FAIL = ask("SELECT 1 / 0")
# steps before the connection is taken away, and after
SCRIPTS = {
    "a statement of another connection": (
        [step(*ask(TEXT, b"1", name="s"), sync())],
        [step(*FAIL, *again("s", b"2"), sync(), *again("s", b"3"), sync(),
              *again("s", b"4"), sync()),
         step(*again("s", b"5"), sync())]),
    "a statement of another connection is described": (
        [step(*ask(TEXT, b"1", name="s"), sync())],
        [step(*FAIL, describe("S", "s"), sync(), describe("S", "s"), sync()),
         step(*again("s", b"5"), sync())]),
    "messages alone": (
        [step(*ask(TEXT, b"1", name="s"), sync())],
        [step(*FAIL, bind("p", "s", [b"2"]), sync(), bind("p", "s", [b"3"]), execute("p"),
              sync())]),
    "the unnamed statement of another connection": (
        [step(*ask(TEXT, b"1"), sync())],
        [step(parse("", "SELECT 1 / 0"), parse("x", "oops"), *again("", b"2"), sync(),
              *again("", b"3"), sync()),
         step(*again("", b"5"), sync())]),
    "rollback by a statement of another connection": (
        [step(parse("back", "ROLLBACK"), sync())],
        [step(query("BEGIN")),
         step(*FAIL, *again("back"), sync(), *ask("SELECT 7"), sync(), *again("back"),
              *ask("SELECT 8"), sync())]),
    "the same text by two names": (
        [],
        [step(*FAIL, parse("a", TEXT), sync(), parse("b", TEXT), *again("b", b"2"), sync()),
         step(*again("b", b"3"), sync())]),
    "a statement that was prepared by a hit": (
        [step(*ask(READ, name="r"), sync()) for _ in range(2)],
        [step(query("DEALLOCATE ALL"))]),
    "a hit, then a group that fails": (
        [step(*ask(READ), sync()), step(*ask(READ), sync()), step(*ask(READ, name="r"), sync())],
        [step(query("BEGIN")),
         step(*ask("SELECT 1"), sync(), *FAIL, *again("r"), sync(), *ask("ROLLBACK"), sync(),
              *again("r"), sync()),
         step(query("ROLLBACK")), step(*again("r"), sync())]),
}


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_as_postgresql(pgrecall, database, name, mode):
    before, after = SCRIPTS[name]
    proxy = pgrecall(pgrecall={"pool_mode": mode, "workers": 1}, cache={"default": "on"})
    with proxy.connect(database.name) as warm:
        for _ in range(3):
            warm.send(*ask(READ), sync()).until("Z")
    with wire.Connection(database.server.port).start(database=database.name) as conn:
        direct = run(conn, before) + run(conn, after)
    with proxy.connect(database.name) as conn, proxy.connect(database.name) as other:
        got = run(conn, before)
        if mode == "transaction":
            other.query("BEGIN")
            other.query("SELECT 1")  # has the connection that was the client's
        got += run(conn, after)
        assert difference(direct, got) is None
