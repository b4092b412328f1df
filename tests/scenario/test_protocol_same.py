# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Scripts of messages whose answers must be PostgreSQL's own: tests/lib/differential.py."""

import pytest

import wire
from daemon import Pgrecall
from differential import CLOSED, difference, run, splits, step
from wire import (bind, close, copy_data, copy_done, copy_fail, describe, execute, flush,
                  message, parse, query, sync, terminate)

SETUP = """
    CREATE TABLE t (id int PRIMARY KEY, v text);
    CREATE FUNCTION add_one(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1';
    CREATE FUNCTION say(text) RETURNS void LANGUAGE plpgsql AS
        'BEGIN RAISE NOTICE ''%'', $1; END';
    CREATE TABLE late (id int, CONSTRAINT late_id UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);
"""
FRESH = "TRUNCATE t, late; INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 3) g"


def ask(sql, *values, name=""):
    """A whole statement of the extended protocol, without Sync."""
    return (parse(name, sql), bind("", name, values), describe("P"), execute())


def again(name, *values):
    return (bind("", name, values), describe("P"), execute())


SCRIPTS = {
    "T38 empty queries": [step(query("")), step(query(" ; ")), step(*ask(""), sync()),
                          step(parse("", ""), describe("S"), sync())],
    "T38 several statements": [step(query("SELECT 1; SELECT 2; SELECT 3"))],
    "T38 several statements and an error": [
        step(query("INSERT INTO t VALUES (9, 'x'); SELECT 1/0; SELECT 3")),
        step(query("SELECT count(*) FROM t"))],
    "T38 transaction inside a text": [
        step(query("BEGIN; INSERT INTO t VALUES (9, 'x'); COMMIT; SELECT 1/0")),
        step(query("SELECT * FROM t ORDER BY id"))],
    "T38 transaction opened by a text": [step(query("SELECT 1; BEGIN; SELECT 2")),
                                         step(query("SELECT 3")), step(query("ROLLBACK"))],
    "T39 failed transaction": [
        step(query("BEGIN")), step(query("SELECT v FROM t WHERE id = 1")), step(query("SELECT 1/0")),
        step(query("SELECT v FROM t WHERE id = 1")), step(*ask("SELECT 1"), sync()), step(sync()),
        step(query("")), step(query("ROLLBACK")), step(query("SELECT v FROM t WHERE id = 1"))],
    "T39 failed transaction, statements known already": [
        step(*ask("SELECT v FROM t WHERE id = $1", b"1", name="a"), sync()),
        step(*ask("SELECT v FROM t WHERE id = $1", b"1", name="a2"), sync()),
        step(query("BEGIN")), step(*again("a", b"1"), sync()), step(query("SELECT 1/0")),
        step(*again("a", b"1"), sync()),
        step(*ask("SELECT v FROM t WHERE id = $1", b"1", name="b"), sync()),
        step(describe("S", "a"), sync()), step(close("S", "a"), sync()), step(close("S", "none"), sync()),
        step(query("DEALLOCATE a2")), step(query("COMMIT")), step(*again("b", b"1"), sync()),
        step(*again("a2", b"1"), sync())],
    "T39 failed transaction, the unnamed statement": [
        step(*ask("SELECT v FROM t WHERE id = 1", name="k"), sync()), step(query("BEGIN")),
        step(parse("", "DO $$BEGIN END$$"), sync()), step(bind("", "none"), parse("", "SELECT 1"), sync()),
        step(describe("S", ""), sync()), step(bind("", "", [b"1"]), sync()), step(bind("", ""), sync()),
        step(parse("k2", "SELECT v FROM t WHERE id = 1"), sync()), step(describe("S", ""), sync()),
        step(bind("", "none"), close("S", ""), sync(), describe("S", ""), sync()), step(describe("S", ""), sync()),
        step(parse("", "SELECT 1"), sync(), describe("S", ""), sync()), step(bind("", ""), sync()),
        step(query("ROLLBACK")), step(bind("", ""), sync())],
    "T39 failed transaction, a failed parse ends the unnamed statement": [
        step(query("BEGIN")), step(parse("", "DO $$BEGIN END$$"), sync()), step(parse("", "SELEC"), sync()),
        step(describe("S", ""), sync()), step(bind("", ""), sync()), step(query("ROLLBACK"))],
    "T39 failed transaction, statements made before it": [
        step(parse("d", "DO $$BEGIN END$$"), parse("x", "DEALLOCATE d"), sync()), step(query("BEGIN")),
        step(bind("", "d"), execute(), bind("", "d", [b"1"]), sync()), step(describe("S", "d"), sync()),
        step(bind("", "x"), sync()), step(query("ROLLBACK")), step(bind("", "d"), execute(), sync())],
    "T39 failed transaction in one packet": [
        step(query("BEGIN"), query("SELECT 1/0"), query("SELECT v FROM t WHERE id = 1"), query("COMMIT"))],
    "T39 failed transaction in one packet, extended": [
        step(*ask("BEGIN"), sync(), *ask("SELECT 1/0"), sync(), *ask("SELECT v FROM t WHERE id = 1"), sync(),
             *ask("ROLLBACK"), sync())],
    "T39 savepoints": [
        step(query("BEGIN")), step(query("SAVEPOINT s")), step(query("SELECT 1/0")),
        step(query("ROLLBACK TO s")), step(query("SELECT 1")), step(query("COMMIT"))],
    "T39 commit of nothing": [step(query("COMMIT")), step(query("ROLLBACK")), step(query("BEGIN; BEGIN")),
                              step(query("COMMIT AND CHAIN")), step(query("ABORT"))],
    "T39 deferred constraint": [
        step(query("BEGIN")), step(query("INSERT INTO late VALUES (1), (1)")), step(query("COMMIT")),
        step(*ask("INSERT INTO late VALUES (1), (1)"), sync()), step(query("SELECT count(*) FROM late"))],
    "T42 sync for each": [step(*ask("SELECT 1"), sync(), *ask("SELECT 2"), sync(), query("SELECT 3"), sync())],
    "T43 everything until sync is skipped": [
        step(*ask("SELECT 1/0"), *ask("SELECT 2"), query("SELECT 3"), execute("x"), flush(), sync(), times=1),
        step(query("SELECT 4"))],
    "T43 savepoint in a batch": [
        step(query("BEGIN")), step(query("SAVEPOINT s")),
        step(parse("", "SELECT $1::int / 0"), bind("", "", [b"1"]), execute(), query("RELEASE s"), until="E"),
        step(sync()), step(query("ROLLBACK TO s")), step(query("COMMIT"))],
    "T43 simple query inside a batch": [
        step(*ask("SELECT 1"), query("SELECT 2"), *ask("SELECT 3"), sync())],
    "T44 groups": [
        step(*ask("SELECT 1"), sync(), *ask("SELECT 1/0"), *ask("SELECT 2"), sync(), *ask("SELECT 3"), sync(),
             *ask("SELEC"), sync(), *ask("SELECT 5"), sync())],
    "T44 an error undoes its group": [
        step(*ask("INSERT INTO t VALUES (10, 'a')"), sync(), *ask("INSERT INTO t VALUES (11, 'b')"),
             *ask("SELECT 1/0"), sync(), *ask("INSERT INTO t VALUES (12, 'c')"), sync()),
        step(query("SELECT id FROM t ORDER BY id"))],
    "T45 parse, describe, flush": [
        step(parse("", "SELECT $1::int + 1"), describe("S"), flush(), until="T"),
        step(bind("", "", [b"1"]), execute(), sync())],
    "T45 execute, flush, then sync": [
        step(*ask("SELECT 1"), flush(), until="C"), step(sync()),
        step(*ask("SELECT v FROM t WHERE id = 1"), flush(), until="C"), step(sync()),
        step(*ask("SELECT v FROM t WHERE id = 1"), flush(), until="C"), step(sync())],
    "T45 flush after each": [
        step(parse("f", "SELECT v FROM t WHERE id = $1"), flush(), until="1"),
        step(describe("S", "f"), flush(), until="T"), step(bind("", "f", [b"2"]), flush(), until="2"),
        step(describe("P"), flush(), until="T"), step(execute(), flush(), until="C"),
        step(close("P", ""), flush(), until="3"), step(close("S", "f"), flush(), until="3"), step(sync())],
    "T46 flush and sync": [step(parse("", "SELECT 1"), bind("", ""), describe("P"), execute(), flush(), sync())],
    "T47 sync alone": [step(sync()), step(sync(), sync()), step(flush(), sync()), step(flush(), query("SELECT 1"))],
    "T47 sync before bind": [step(parse("n", "SELECT v FROM t WHERE id = $1"), describe("S", "n"), sync()),
                             step(bind("", "n", [b"1"]), execute(), sync()), step(sync()),
                             step(bind("", "n", [b"2"]), sync()), step(execute(), sync())],
    "T47 terminate": [step(*ask("SELECT 1"), sync()), step(terminate(), until=CLOSED)],
    "T47 terminate in a batch": [step(parse("", "SELECT 1"), bind("", ""), terminate(), until=CLOSED)],
    "T48 portal suspended": [
        step(parse("", "SELECT g FROM generate_series(1, 5) g"), bind("p", ""), execute("p", 2), flush(), until="s"),
        step(execute("p", 2), flush(), until="s"), step(execute("p", 2), execute("p", 2), sync()),
        step(execute("p", 2), sync())],
    "T48 portal in a transaction": [
        step(query("BEGIN")), step(parse("c", "SELECT id FROM t ORDER BY id"), bind("c", "c"), execute("c", 1), sync()),
        step(execute("c", 1), sync()), step(close("S", "c"), sync()), step(describe("P", "c"), execute("c", 1), sync()),
        step(close("P", "c"), sync()), step(execute("c", 1), sync()), step(query("ROLLBACK"))],
    "T48 row limit of a write": [step(parse("", "INSERT INTO t VALUES (20, 'x') RETURNING id"), bind("", ""),
                                      execute("", 1), sync()), step(query("SELECT count(*) FROM t"))],
    "T48 execute twice": [step(*ask("SELECT v FROM t WHERE id = 1"), execute(), sync()),
                          step(*ask("SELECT v FROM t WHERE id = 1"), execute(), execute(), sync())],
    "T49 describe": [
        step(parse("d", "SELECT v FROM t WHERE id = $1"), describe("S", "d"), sync()), step(describe("S", "d"), sync()),
        step(parse("e", "INSERT INTO t VALUES ($1, $2)"), describe("S", "e"), sync()),
        step(bind("", "e", [b"30", b"y"]), describe("P"), sync()), step(parse("g", "BEGIN"), describe("S", "g"), sync()),
        step(bind("", "g"), describe("P"), execute(), sync()), step(*ask("COMMIT"), sync())],
    "T49 batch prepare": [
        step(parse("n1", "SELECT 1"), describe("S", "n1"), parse("n2", "SELECT $1::text"), describe("S", "n2"),
             parse("n3", "BEGIN"), describe("S", "n3"), sync()),
        step(bind("", "n1"), execute(), bind("", "n2", [b"x"]), execute(), sync()),
        step(parse("m1", "SELECT 1"), describe("S", "m1"), parse("m2", "SELECT $1::text"), describe("S", "m2"), sync())],
    "T50 known statements around an error": [
        step(parse("a", "SELECT 1"), parse("b", "SELECT 2"), sync()),
        step(parse("c", "SELECT 1"), *ask("SELECT 1/0"), parse("d", "SELECT 2"), sync()),
        step(bind("", "c"), execute(), sync()), step(bind("", "d"), execute(), sync()),
        step(parse("d", "SELECT 2"), bind("", "d"), execute(), sync())],
    "T50 close behind an error": [
        step(parse("a", "SELECT 1"), sync()), step(*ask("SELECT 1/0"), close("S", "a"), sync()),
        step(bind("", "a"), execute(), sync()), step(close("S", "a"), *ask("SELECT 1/0"), sync()),
        step(bind("", "a"), execute(), sync())],
    "T50 unnamed statement behind an error": [
        step(parse("", "SELECT 1"), sync()), step(bind("", "none"), parse("", "SELECT 2"), sync()),
        step(bind("", ""), execute(), sync())],
    "T50 what ends a statement behind a close that is skipped": [
        step(parse("a", "SELECT 1"), parse("", "SELECT 2"), sync()),
        step(bind("", "none"), close("S", "a"), close("S", ""), sync(), query("DEALLOCATE ALL"), sync()),
        step(bind("", ""), sync()), step(parse("a", "SELECT 3"), bind("", "a"), execute(), sync()),
        step(bind("", "none"), close("S", "a"), sync(), query("DISCARD ALL"), parse("a", "SELECT 4"), sync(),
             bind("", "a"), execute(), sync()),
        step(bind("", "none"), close("S", "a"), sync(), query("DEALLOCATE a"), parse("a", "SELECT 5"), sync()),
        step(bind("", "a"), execute(), sync())],
    "T50 the unnamed statement behind a group that fails": [
        step(parse("", "SELECT 1"), sync()),
        step(bind("", "none"), parse("", "SELECT 2"), sync(), bind("", ""), describe("P"), execute(), sync()),
        step(bind("", "none"), parse("", "SELECT 3"), sync(), bind("", "none"), parse("", "SELECT 4"), sync(),
             describe("S", ""), bind("", ""), execute(), sync()),
        step(parse("", "SELEC"), parse("", "SELECT 5"), sync(), describe("S", ""), sync())],
    "T50 the unnamed statement of a client that has none": [
        step(parse("a", "SELEC"), parse("", "SELECT 1"), sync(), describe("S", ""), sync()),
        step(bind("", "none"), parse("", "SELECT 2"), sync(), bind("", ""), execute(), sync())],
    "T50 a duplicate behind a describe that is skipped": [
        step(parse("c", "DO $$BEGIN END$$"), sync()),
        step(bind("", "c"), execute("none"), describe("S", "c"), sync(), parse("c", "SELECT 1"), sync())],
    "T50 same text twice, failing": [
        step(parse("a", "SELECT * FROM nowhere"), parse("b", "SELECT * FROM nowhere"), sync()),
        step(parse("b", "SELECT 1"), sync()), step(parse("a", "SELECT 2"), sync())],
    "T51 long names": [step(parse("n" * 200, "SELECT 1"), sync()),
                       step(bind("p" * 200, "n" * 200), describe("P", "p" * 200), execute("p" * 200), sync()),
                       step(describe("S", "n" * 200), close("S", "n" * 200), sync())],
    "T52 many before sync": [step(*[m for i in range(150) for m in ask("SELECT $1::int", b"%d" % i)], sync())],
    "T57 statements": [
        step(*ask("SELECT v FROM t WHERE id = $1", b"1", name="s"), sync()), step(*again("s", b"2"), sync()),
        step(*ask("SELECT v FROM t WHERE id = $1", b"1", name="r"), sync()), step(close("S", "s"), sync()),
        step(*again("s", b"2"), sync()), step(*again("r", b"2"), sync())],
    "T58 failed parse": [step(parse("x", "SELEC"), sync()), step(bind("", "x"), sync()),
                         step(parse("x", "SELECT 1"), bind("", "x"), execute(), sync()),
                         step(parse("y", "SELECT * FROM nowhere"), bind("", "y"), execute(), sync()),
                         step(parse("y", "SELECT 2"), bind("", "y"), execute(), sync())],
    "T59 duplicate and unknown names": [
        step(parse("a", "SELECT 1"), sync()), step(parse("a", "SELECT 2"), sync()), step(bind("", "a"), execute(), sync()),
        step(bind("", "b"), execute(), sync()), step(describe("S", "b"), sync()), step(describe("P", "b"), sync()),
        step(execute("b"), sync()), step(bind("", ""), sync()), step(describe("S", ""), sync()),
        step(*ask("SELECT 3"), parse("a", "SELECT 4"), *ask("SELECT 5"), sync())],
    "T59 unknown names in a transaction": [
        step(query("BEGIN")), step(bind("", "b"), sync()), step(query("SELECT 1")), step(query("ROLLBACK")),
        step(query("BEGIN")), step(parse("a", "SELECT 1"), parse("a", "SELECT 1"), sync()), step(query("COMMIT")),
        step(query("BEGIN")), step(describe("S", "zz"), sync()), step(query("COMMIT"))],
    "T59 a write before an unknown name": [
        step(*ask("INSERT INTO t VALUES (40, 'x')"), bind("", "b"), sync()), step(query("SELECT count(*) FROM t"))],
    "T59 errors of a statement that was refused": [
        step(parse("m", "SELECT 1; SELECT 2"), sync()), step(bind("", "m"), sync()), step(describe("S", "m"), sync()),
        step(parse("m", "SELECT 1; SELECT 2"), bind("", "m"), sync()), step(parse("", "SELECT 1; SELECT 2"), sync()),
        step(bind("", ""), sync()),
        step(parse("m", "SELEC"), sync(), bind("", "m"), sync(), describe("S", "m"), sync()),
        step(parse("m", "SELECT 1; SELECT 2"), sync(), bind("", "m"), sync()),
        step(parse("m", "SELECT 1; SELECT 2"), sync(), describe("S", "m"), sync()),
        step(query("BEGIN"), parse("m", "SELECT 1; SELECT 2"), sync(), bind("", "m"), sync(), query("COMMIT")),
        step(parse("m", "SELECT $1::int"), bind("", "m"), sync())],
    "T59 long names": [
        step(bind("", "u" * 70), sync()), step(describe("S", "u" * 70), sync()), step(describe("P", "u" * 70), sync()),
        step(execute("u" * 70), sync()), step(parse("n" * 70, "SELECT $1::int"), sync()),
        step(parse("n" * 70, "SELECT 1"), sync()), step(parse("n" * 63 + "m", "SELECT 1"), sync()),
        step(bind("", "n" * 63), sync()), step(bind("", "n" * 70), sync()),
        step(bind("p" * 70, "n" * 70, [b"1"]), bind("p" * 70, "n" * 70, [b"1"]), sync()),
        step(query("DEALLOCATE " + "n" * 70)), step(bind("", "n" * 70), sync()),
        step(query("PREPARE " + "s" * 70 + " AS SELECT 1")), step(bind("", "s" * 70), sync()),
        step(bind("", "s" * 63), sync()), step(query("EXECUTE " + "s" * 70)), step(query("DEALLOCATE " + "s" * 70)),
        step(query("DEALLOCATE " + "s" * 70))],
    "T59 wrong binds": [
        step(parse("w", "SELECT $1::int, $2::text"), sync()), step(bind("", "w", [b"1"]), sync()),
        step(bind("", "w", [b"1", b"2", b"3"]), sync()), step(bind("", "w", [b"x", b"2"]), execute(), sync()),
        step(bind("", "w", [b"1", b"2"], [0, 0, 0]), sync()), step(bind("", "w", [b"1", b"2"], [7, 7]), sync()),
        step(bind("", "w", [b"1", b"2"], [], [0, 0, 0]), execute(), sync()),
        step(bind("", "w", [b"1", b"2"], [], [1, 0]), execute(), sync()),
        step(bind("q", "w", [b"1", b"2"]), bind("q", "w", [b"1", b"2"]), sync())],
    "T59 wrong binds name the statement as the client does": [
        step(parse("w", "DO $$BEGIN END$$"), bind("", "w", [b"1"]), describe("S", "w"), sync()),
        step(parse("w", "DO $$BEGIN END$$"), sync()), step(bind("", "w"), bind("", "w", [b"1"]), sync()),
        step(parse("x", "ROLLBACK"), parse("y", "ROLLBACK"), sync()), step(bind("", "x", [b"1"]), sync()),
        step(bind("", "y", [b"1"]), sync()), step(bind("", "y", [b"1"]), close("S", "y"), sync()),
        step(describe("S", "x"), close("S", "x"), bind("", "x", [b"1"]), sync())],
    "T60 close of nothing": [step(close("S", "none"), close("P", "none"), close("S", ""), close("P", ""), sync()),
                             step(close("S", "none"), flush(), until="3"), step(sync()),
                             step(*ask("SELECT 1", name="e"), close("S", "e"), sync())],
    "T61 unnamed statement": [
        step(parse("", "SELECT 1"), sync()), step(bind("", ""), execute(), sync()), step(bind("", ""), execute(), sync()),
        step(query("SELECT 2")), step(bind("", ""), execute(), sync()), step(parse("", "SELECT 3"), close("S", ""), sync()),
        step(bind("", ""), execute(), sync()), step(parse("", "SELEC"), sync()), step(bind("", ""), execute(), sync())],
    "T64 deallocate": [
        step(*ask("SELECT 1", name="a"), *ask("SELECT 2", name="b"), *ask("SELECT 3", name="C d"), sync()),
        step(query("DEALLOCATE a")), step(*again("a"), sync()), step(query("deallocate PREPARE \"C d\"")),
        step(*again("C d"), sync()), step(query("DEALLOCATE none")), step(*again("b"), sync()),
        step(query("  DeAllocate   ALL ;")), step(*again("b"), sync()), step(*ask("SELECT 2", name="b"), sync())],
    "T64 discard all": [
        step(*ask("SELECT 1", name="a"), sync()), step(query("DISCARD ALL")), step(*again("a"), sync()),
        step(*ask("SELECT 1", name="a"), sync()), step(*ask("DISCARD ALL"), sync()), step(*again("a"), sync()),
        step(*ask("SELECT 1", name="a"), sync()), step(*ask("DEALLOCATE ALL"), sync()), step(*again("a"), sync()),
        step(*ask("SELECT 1", name="a"), sync()), step(query("DEALLOCATE ALL; SELECT 1")), step(*again("a"), sync()),
        step(*ask("SELECT 1", name="a"), sync())],
    "T64 deallocate, extended": [
        step(*ask("SELECT 1", name="a"), sync()), step(*ask("DEALLOCATE a"), sync()), step(*again("a"), sync())],
    "T64 deallocate, bound and not executed": [
        step(*ask("SELECT 1", name="a"), parse("d", "DEALLOCATE a"), sync()), step(bind("", "d", [b"1"]), sync()),
        step(bind("", "d"), sync()), step(parse("a", "SELECT 2"), sync()), step(*again("a"), sync()),
        step(bind("", "d"), execute(), *again("a"), sync()), step(*again("a"), sync()),
        step(bind("", "d"), execute(), sync()), step(*again("a"), sync())],
    "T64 deallocate in a pipeline": [
        step(*ask("SELECT 1", name="a"), sync(), query("DEALLOCATE a"), query("SELECT 2"), *again("a"), sync())],
    "T64 discard all, and what is prepared behind it at once": [
        step(*ask("SELECT 1", name="a"), sync()), step(query("DISCARD ALL"), *ask("SELECT 2", name="a"), sync()),
        step(query("DISCARD ALL"), *ask("SELECT 2", name="a"), sync(), *again("a"), sync()),
        step(*ask("DISCARD ALL"), sync(), *ask("SELECT 2", name="a"), sync()), step(query("SET work_mem = '5MB'")),
        step(query("DISCARD ALL"), *ask("SELECT 2", name="a"), sync()), step(query("SET work_mem = '5MB'")),
        step(query("SELECT 1"), query("DISCARD ALL"), *ask("SELECT 2", name="a"), sync()),
        step(*again("a"), sync()), step(query("DISCARD ALL"), parse("a", "SELECT 3"), sync(), *again("a"), sync()),
        step(query("DEALLOCATE ALL"), *ask("SELECT 4", name="a"), sync()), step(*again("a"), sync()),
        step(query("DISCARD ALL; SELECT 1"), *ask("SELECT 5", name="a"), sync()), step(*again("a"), sync())],
    "T64 deallocate all in a batch": [
        step(*ask("DEALLOCATE ALL"), bind("", ""), execute(), sync()), step(bind("", ""), execute(), sync()),
        step(*ask("SELECT 1", name="a"), *ask("DEALLOCATE ALL"), bind("", ""), describe("P"), execute(), *again("a"), sync()),
        step(bind("", ""), execute(), sync()), step(*ask("SELECT 1", name="a"), sync()),
        step(*ask("SELECT 1", name="a"), *ask("SELECT 2", name="b"), sync()),
        step(*ask("DEALLOCATE ALL", name="d"), *again("d"), sync()), step(*again("a"), sync()),
        step(*ask("DISCARD ALL"), sync(), bind("", ""), execute(), sync())],
    "T64 deallocate all that fails": [
        step(*ask("SELECT 1", name="a"), *ask("SELECT 2", name="b"), sync()),
        step(query("BEGIN"), query("DISCARD ALL"), query("ROLLBACK"), *ask("SELECT 1", name="c"), *again("a"), sync()),
        step(*again("b"), sync()), step(query("SELECT 1; DISCARD ALL"), *ask("SELECT 1", name="d"), *again("a"), sync()),
        step(bind("", ""), execute(), sync()), step(*ask("SELECT 1/0"), *ask("DEALLOCATE ALL"), sync(),
             *ask("SELECT 2", name="e"), *again("a"), sync()),
        step(query("DEALLOCATE ALL; SELECT 1/0"), *again("a"), sync(), *ask("SELECT 1", name="a"), sync()),
        step(*again("a"), sync()), step(*again("e"), sync())],
    "T64 deallocate all by a named portal": [
        step(*ask("SELECT 1", name="a"), sync()), step(*ask("SELECT 2", name="b"), sync()),
        step(parse("", "DEALLOCATE ALL"), bind("p", ""), execute("p"), *ask("SELECT 3", name="a"), *again("a"), sync()),
        step(*again("a"), sync()), step(*again("b"), sync()), step(*ask("SELECT 4", name="b"), sync()),
        step(parse("", "DISCARD ALL"), bind("p", ""), execute("p"), sync(), *again("b"), sync()),
        step(*again("a"), sync()), step(*ask("SELECT 5", name="a"), sync()), step(*again("a"), sync())],
    "T65 result type changes": [
        step(query("CREATE TEMP TABLE c AS SELECT 1 AS x")), step(parse("c", "SELECT * FROM c"), describe("S", "c"), sync()),
        step(query("ALTER TABLE c ADD y int")), step(bind("", "c"), execute(), sync()),
        step(query("BEGIN")), step(*again("c"), sync()), step(query("ROLLBACK")), step(close("S", "c"), sync()),
        step(*ask("SELECT * FROM c", name="c"), sync())],
    "T68 prepare by SQL": [
        step(query("PREPARE p AS SELECT $1::int")), step(query("EXECUTE p(1)")), step(bind("", "p", [b"2"]), execute(), sync()),
        step(describe("S", "p"), sync()), step(query("PREPARE p AS SELECT 1")), step(query("DEALLOCATE p")),
        step(query("EXECUTE p(1)")), step(close("S", "p"), sync())],
    "T69 copy in": [
        step(query("COPY t FROM STDIN"), until="G"), step(copy_data(b"50\tx\n"), copy_data(b"51\ty\n"), copy_done(), times=1),
        step(query("SELECT count(*) FROM t"))],
    "T69 copy in, all at once": [
        step(query("COPY t FROM STDIN"), copy_data(b"50\tx\n"), copy_done(), query("SELECT count(*) FROM t"))],
    "T69 copy fails": [
        step(query("COPY t FROM STDIN"), until="G"), step(copy_data(b"1\tdouble\n"), copy_done(), times=1),
        step(query("SELECT count(*) FROM t"))],
    "T69 copy fails early": [
        step(query("COPY t FROM STDIN"), until="G"), step(copy_data(b"broken\n"), copy_data(b"x" * 100000 + b"\n"), times=1),
        step(copy_data(b"60\tlate\n"), copy_data(b"61\tlate\n"), copy_done(), until=None), step(query("SELECT count(*) FROM t")),
        step(copy_fail("late"), query("SELECT 1"))],
    "T69 copy that cannot begin": [step(query("COPY nowhere FROM STDIN"), copy_data(b"1\n"), copy_done(), times=1),
                                   step(query("SELECT 1"))],
    "T70 copy data without copy": [step(copy_data(b"1\n"), copy_done(), copy_fail("x"), query("SELECT 1"))],
    "T71 copy, extended": [
        step(parse("", "COPY t FROM STDIN"), bind("", ""), describe("P"), execute(), sync(), until="G"),
        step(copy_data(b"50\tx\n"), copy_done(), sync()), step(query("SELECT count(*) FROM t"))],
    "T71 copy, extended, all at once": [
        step(parse("", "COPY t FROM STDIN"), bind("", ""), execute(), copy_data(b"50\tx\n"), copy_done(), sync()),
        step(query("SELECT count(*) FROM t"))],
    "T71 copy, extended, syncs in the middle": [
        step(parse("", "COPY t FROM STDIN"), bind("", ""), execute(), sync(), copy_data(b"50\tx\n"), sync(), flush(),
             copy_done(), sync(), times=1),
        step(query("SELECT count(*) FROM t"))],
    "T71 copy, extended, fails": [
        step(parse("", "COPY t FROM STDIN"), bind("", ""), execute(), sync(), until="G"),
        step(copy_data(b"broken\n"), copy_done(), sync()), step(query("SELECT count(*) FROM t"))],
    "T72 copy fail": [
        step(query("COPY t FROM STDIN"), until="G"), step(copy_data(b"50\tx\n"), copy_fail("no more"), times=1),
        step(query("SELECT count(*) FROM t")),
        step(parse("", "COPY t FROM STDIN"), bind("", ""), execute(), flush(), until="G"),
        step(copy_fail("again"), sync())],
    "T72 something else during copy": [
        step(query("COPY t FROM STDIN"), until="G"), step(query("SELECT 1"), until=CLOSED)],
    "T72 wrong messages during copy": [
        step(query("COPY t FROM STDIN"), until="G"), step(parse("", "SELECT 1"), until=CLOSED)],
    "T72 a bind during copy": [
        step(parse("a", "SELECT 1"), sync()), step(query("COPY t FROM STDIN"), until="G"),
        step(copy_data(b"50\tx\n"), bind("", "a"), until=CLOSED)],
    "T72 an execute during copy": [
        step(query("COPY t FROM STDIN"), until="G"), step(execute(), until=CLOSED)],
    "T72 a describe during copy, extended": [
        step(parse("", "COPY t FROM STDIN"), bind("", ""), execute(), flush(), until="G"),
        step(describe("P"), until=CLOSED)],
    "T72 a parse during copy, extended": [
        step(parse("", "COPY t FROM STDIN"), bind("", ""), execute(), flush(), until="G"),
        step(parse("a", "SELECT 1"), sync(), until=CLOSED)],
    "T72 a close during copy": [
        step(query("COPY t FROM STDIN"), until="G"), step(close("S", "a"), until=CLOSED)],
    "T72 an unknown message during copy": [
        step(query("COPY t FROM STDIN"), until="G"), step(message("y", b"abc"), until=CLOSED)],
    "T72 a bind of a name without waiting for copy": [
        step(parse("a", "SELECT 1"), sync()), step(query("COPY t FROM STDIN"), bind("", "a"), sync(), until=CLOSED)],
    "T72 messages behind a copy that cannot begin": [
        step(parse("a", "SELECT 1"), sync()), step(query("COPY nowhere FROM STDIN"), *again("a"), sync()),
        step(*ask("COPY nowhere FROM STDIN"), *again("a"), sync(), *again("a"), sync())],
    "T72 a query without waiting for copy": [
        step(query("COPY t FROM STDIN"), copy_data(b"50\tx\n"), query("SELECT 1"), until=CLOSED)],
    "T72 a bind without waiting for copy": [
        step(query("COPY t FROM STDIN"), *ask("SELECT 1"), sync(), until=CLOSED)],
    "T73 copy out": [
        step(query("COPY t TO STDOUT")), step(query("COPY t TO STDOUT (FORMAT binary)")),
        step(query("COPY (SELECT repeat('x', 200000)) TO STDOUT")),
        step(parse("", "COPY t TO STDOUT"), bind("", ""), describe("P"), execute(), sync()),
        step(query("COPY (SELECT 1/(id - 2) FROM t ORDER BY id) TO STDOUT"))],
    "T73 end marker": [
        step(query("COPY t FROM STDIN"), until="G"), step(copy_data(b"50\tx\n\\.\n"), copy_done(), times=1),
        step(query("COPY t FROM STDIN"), until="G"), step(copy_data(b"52\tx\n\\."), copy_data(b"\n"), copy_done(), times=1),
        step(query("SELECT id FROM t ORDER BY id"))],
    "T74 copy inside a text": [
        step(query("SELECT 1; COPY t TO STDOUT; SELECT 2")),
        step(query("SELECT 1; COPY t FROM STDIN; SELECT count(*) FROM t"), until="G"),
        step(copy_data(b"50\tx\n"), copy_done(), times=1),
        step(query("COPY t FROM STDIN; COPY t FROM STDIN; SELECT count(*) FROM t"), until="G"),
        step(copy_data(b"60\tx\n"), copy_done(), until="G"), step(copy_data(b"61\tx\n"), copy_done(), times=1)],
    "T82 notices": [step(query("SELECT say('one'); SELECT say('two')")), step(*ask("SELECT say('three')"), sync()),
                    step(query("DROP TABLE IF EXISTS nowhere")),
                    step(query("DO $$ BEGIN RAISE WARNING 'w' USING DETAIL = 'd', HINT = 'h'; END $$"))],
    "T26 parameter status": [
        step(query("SET TimeZone = 'Asia/Tokyo'")), step(query("SHOW TimeZone")), step(query("SET application_name = ''")),
        step(query("SET application_name = 'it''s'")), step(query("SHOW application_name")),
        step(*ask("SET DateStyle = 'SQL, DMY'"), sync()), step(query("SELECT '2026-02-01'::date")),
        step(query("BEGIN; SET TimeZone = 'UTC'")), step(query("ROLLBACK")), step(query("SHOW TimeZone")),
        step(query("BEGIN")), step(query("SET LOCAL TimeZone = 'UTC'")), step(query("SHOW TimeZone")), step(query("COMMIT")),
        step(query("SHOW TimeZone")), step(query("RESET TimeZone")), step(query("SET client_encoding = 'LATIN1'")),
        step(query("SELECT chr(233)")), step(query("RESET ALL")), step(query("SELECT chr(233)"))],
    "T29 settings": [
        step(query("BEGIN")), step(query("SELECT 1")), step(query("SET search_path = pg_catalog")), step(query("COMMIT")),
        step(query("SHOW search_path")), step(query("/* c */ SET search_path = a, \"B c\"; SET work_mem = '5MB'")),
        step(query("SHOW search_path; SHOW work_mem")), step(query("SELECT set_config('search_path', '', false)")),
        step(query("SHOW search_path")), step(query("SELECT v FROM t WHERE id = 1")),
        step(query("SELECT set_config('search_path', 'public', true)")), step(query("SHOW search_path")),
        step(query("SET search_path TO DEFAULT")), step(query("SELECT v FROM t WHERE id = 1")),
        step(query("SET nonsense = 1")), step(query("SET my.own = 'x'")), step(query("SHOW my.own")),
        step(query("BEGIN; SET work_mem = '6MB'; SAVEPOINT s; SET work_mem = '7MB'; ROLLBACK TO s; COMMIT")),
        step(query("SHOW work_mem")), step(query("SET work_mem = '8MB'; SELECT 1/0")), step(query("SHOW work_mem"))],
    "T29 settings, extended": [
        step(parse("", "SET work_mem = '9MB'"), bind("", ""), sync()), step(query("SHOW work_mem")),
        step(parse("", "SET work_mem = '9MB'"), sync()), step(bind("", ""), flush(), until="2"), step(execute(), sync()),
        step(query("SHOW work_mem")), step(*ask("SELECT set_config('work_mem', $1, false)", b"10MB"), sync()),
        step(query("SHOW work_mem")), step(*ask("SET work_mem = '11MB'"), *ask("SELECT 1/0"), sync()),
        step(query("SHOW work_mem"))],
    "T32 discard all": [
        step(query("SET work_mem = '5MB'")), step(query("BEGIN; DISCARD ALL")), step(query("ROLLBACK")),
        step(query("SHOW work_mem")), step(query("DISCARD ALL")), step(query("SHOW work_mem")),
        step(*ask("SELECT 1"), *ask("DISCARD ALL"), sync()), step(query("DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES"))],
    "T103 function call": [
        step(message("F", b"\0\0\5\1\0\1\0\1\0\1\0\0\0\4\0\0\0\7\0\1")),
        step(message("F", b"\x7f\xff\xff\xff\0\0\0\0\0\0")), step(query("BEGIN")), step(query("SELECT 1/0")),
        step(message("F", b"\0\0\5\1\0\1\0\1\0\1\0\0\0\4\0\0\0\7\0\1")), step(query("ROLLBACK"))],
    "T66 types": [
        step(parse("", "SELECT $1", [23]), bind("", "", [b"7"]), describe("P"), execute(), sync()),
        step(parse("", "SELECT $1", [25]), bind("", "", [b"7"]), describe("P"), execute(), sync()),
        step(parse("", "SELECT $1"), bind("", "", [b"7"]), describe("P"), execute(), sync()),
        step(parse("", "SELECT $1", [20]), bind("", "", [b"7"], [], [1]), describe("P"), execute(), sync()),
        step(parse("", "SELECT $1", [23]), bind("", "", [b"\0\0\0\7"], [1]), describe("P"), execute(), sync()),
        step(parse("", "SELECT $1", [4294967295]), sync()), step(parse("", "SELECT $1", [0, 0, 0]), describe("S"), sync())],
    "T89 cursors": [
        step(query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM t ORDER BY id")), step(query("FETCH 2 FROM c")),
        step(query("CLOSE c; COMMIT")), step(query("DECLARE h CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY id")),
        step(query("FETCH ALL FROM h")), step(query("CLOSE h"))],
    "T53 unknown message": [step(message("y", b"abc"), until=CLOSED)],
    "T126 hits in a batch": [
        step(query("SELECT v FROM t WHERE id = 1")),
        step(*ask("SELECT v FROM t WHERE id = $1", b"1"), sync()), step(*ask("SELECT v FROM t WHERE id = $1", b"2"), sync()),
        step(*ask("UPDATE t SET v = 'new' WHERE id = 1"), *ask("SELECT v FROM t WHERE id = $1", b"1"), sync()),
        step(*ask("SELECT 1"), *ask("SELECT v FROM t WHERE id = $1", b"2"), *ask("SELECT 3"), sync()),
        step(*ask("SELECT v FROM t WHERE id = $1", b"2"), *ask("SELECT 1/0"), *ask("SELECT v FROM t WHERE id = $1", b"2"), sync()),
        step(*ask("SELECT v FROM t WHERE id = $1", b"2"), *ask("BEGIN"), *ask("SELECT v FROM t WHERE id = $1", b"2"), sync()),
        step(*ask("SELECT v FROM t WHERE id = $1", b"1"), sync()), step(query("COMMIT"))],
    "T127 portal behind a hit": [
        step(*ask("SELECT v FROM t WHERE id = $1", b"1"), sync()),
        step(*ask("SELECT v FROM t WHERE id = $1", b"1"), close("P", ""), sync()),
        step(parse("", "SELECT 1"), bind("", ""), *ask("SELECT v FROM t WHERE id = $1", b"1", name="h"), describe("S", "h"), sync()),
        step(*again("h", b"1"), *again("h", b"1"), *again("h", b"3"), sync())],
}


# What depends on how bytes are cut, held, borrowed, or followed by the end.
CUT_IN_TLS = ("T42", "T43", "T45", "T47", "T53", "T71", "T73", "T126", "T127")
PLACES = [f"{mode}_{cache}_{line}" for line in ("plain", "tls") for cache in ("cache", "nocache")
          for mode in ("transaction", "session")]
answers_of_postgres = {}


@pytest.fixture(scope="module")
def place(request, postgres, workspace):
    """A proxy in one mode, with the cache or without, plain or by TLS, and a client of it."""
    mode, cache, line = request.param.split("_")
    name = f"same_{request.param}"
    postgres.psql(f"CREATE DATABASE {name}")
    postgres.psql(SETUP, name)
    settings = {"default": "on"} if cache == "cache" else {"enabled": "off"}
    proxy = Pgrecall(workspace / name, postgres, cache=settings, pgrecall={"pool_mode": mode}, tls=line == "tls").start()
    with proxy.connect(name) as other:
        yield request.param, proxy, other
    proxy.stop()
    postgres.psql(f"DROP DATABASE {name} WITH (FORCE)")


def answers(script, conn, other, **way):
    """Of a new connection; another one has made the tables as they were."""
    other.query(FRESH)
    with conn:
        return run(conn, SCRIPTS[script], **way)


def of_postgres(script, port, name):
    if script not in answers_of_postgres:
        with wire.Connection(port).start(database=name) as other:
            answers_of_postgres[script] = answers(script, wire.Connection(port).start(database=name), other)
    return answers_of_postgres[script]


def ways(place, script):
    """In whole packets and bytewise everywhere; on used connections and cut in two where the
    cache is on, over TLS only the scripts for which the cuts matter."""
    yield "packets", {}
    if "_cache" in place and ("plain" in place or place.startswith("transaction") and script.startswith(CUT_IN_TLS)):
        yield "again", {}
        for at in splits(SCRIPTS[script]):
            yield f"cut behind {at} bytes", {"split": at}
    yield "bytes", {"bytewise": True}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda name: name.replace(" ", "_"))
@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_script(place, postgres, script):
    where, proxy, other = place
    name = f"same_{where}"
    want = of_postgres(script, postgres.port, name)
    for way, arguments in ways(where, script):
        found = difference(want, answers(script, proxy.connect(name), other, **arguments))
        assert found is None, f"{way}: {found}"
