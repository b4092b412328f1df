# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Random sessions of many clients at once, legal and not.

Whatever a client sends, it sees nothing of another's: every value of a session (a setting, a row of
a temporary table, a prepared text, a notification) says whose it is.  After each round a new client
sees what the server has, no server connection is in use, and nothing was left on one.
"""

import os
import random
import re
import socket
import struct
import threading

import pytest

import wire
from servers import wait_for
from wire import (bind, cancel_request, close, copy_data, copy_done, copy_fail, describe, execute, flush, message,
                  parse, query, sync, terminate)

ROUNDS = 40 if "HOSTILE" in os.environ else 1
CLIENTS = 10
OWNER = re.compile(rb"^T(\d+)_")
NAMES = ["", "", "a", "b"]
ROWS = 8
SCHEMA = f"""
CREATE TABLE h (id int, v text);
INSERT INTO h SELECT i, 'H' FROM generate_series(0, {ROWS - 1}) AS i;
CREATE TABLE d (id int, v int);
INSERT INTO d VALUES (1, 1), (2, 2);
CREATE TABLE e (a int);
CREATE SEQUENCE sq;
CREATE SCHEMA s1;
CREATE TABLE s1.h (id int, v text);
INSERT INTO s1.h VALUES (1, 'S');
CREATE FUNCTION bump(n int) RETURNS text LANGUAGE sql AS
    $$ UPDATE h SET v = 'HF' WHERE id = n RETURNING v $$;
"""
# {T}: a value of this client; {N}: a row; {C}: its channels; {O}: channels of some client; {L}: of some length
TEXTS = """
SELECT '{T}', id, v FROM h WHERE id = {N}
SELECT id, v FROM h WHERE id = {N}
SELECT id, v FROM h WHERE id = {N}
SELECT count(*), max(v) FROM h
SELECT * FROM d ORDER BY 1
INSERT INTO h VALUES ({N}, 'H{N}')
UPDATE h SET v = 'HU{N}{N}' WHERE id = {N}
DELETE FROM h WHERE id = {N}
BEGIN
BEGIN ISOLATION LEVEL REPEATABLE READ
BEGIN READ ONLY
COMMIT
COMMIT AND CHAIN
ROLLBACK
SAVEPOINT a
ROLLBACK TO a
SET app.x = '{T}'
SET LOCAL app.x = '{T}'
SELECT current_setting('app.x', true)
SET application_name = '{T}'
SELECT set_config('application_name', '{T}', {N} > 3)
SHOW application_name
SET datestyle = 'German'
SET search_path = s1, public
SET client_encoding = 'LATIN1'
SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY
SET statement_timeout = 200
RESET ALL
DISCARD ALL
CREATE TEMP TABLE tmp AS SELECT '{T}'::text AS w
SELECT w FROM tmp
DROP TABLE tmp
LISTEN {C}_{N}
UNLISTEN {C}_{N}
UNLISTEN *
NOTIFY {O}_{N}, '{T}'
PREPARE p AS SELECT '{T}', $1::int
EXECUTE p(1)
DEALLOCATE p
EXECUTE a(1)
EXECUTE b
DEALLOCATE a
DEALLOCATE ALL
DECLARE k CURSOR WITH HOLD FOR SELECT '{T}' FROM generate_series(1, 5)
FETCH 2 FROM k
CLOSE ALL
SELECT 1/0
SELEKT

;;
ALTER TABLE d ALTER COLUMN v TYPE bigint
ALTER TABLE d ALTER COLUMN v TYPE int
ALTER TABLE d ADD COLUMN IF NOT EXISTS e int
ALTER TABLE d DROP COLUMN IF EXISTS e
COPY h TO STDOUT
COPY h FROM STDIN
SELECT '{T}'; SELECT 2; SELECT v FROM h WHERE id = {N}
BEGIN; UPDATE h SET v = 'HB' WHERE id = {N}; COMMIT; SELECT '{T}'
UPDATE h SET v = 'HE' WHERE id = {N}; SELECT 1/0
SELECT pg_advisory_lock({N})
SELECT pg_advisory_unlock_all()
SELECT repeat('x', {L})
SELECT '{T}' FROM generate_series(1, 5000)
SELECT nextval('sq')
SELECT lastval()
SELECT id, v FROM h WHERE id = {N} FOR UPDATE
LOCK TABLE h
SELECT pg_sleep(0.02)
DO $$ BEGIN UPDATE h SET v = 'HD' WHERE id = 2; END $$
SELECT bump({N})
TRUNCATE e
INSERT INTO e VALUES (1)
SELECT count(*) FROM e
SELECT * FROM h WHERE id = $1
SELECT * FROM d WHERE id = $1
UPDATE h SET v = 'HP' WHERE id = $1
""".strip().split("\n")


class Session:
    """One client: what it sends, and a check of all that it is told."""

    def __init__(self, connect, who, seed, is_wild):
        self.random = random.Random(seed)
        self.who = who
        self.is_wild = is_wild
        self.conn = connect(application_name=f"T{who}_start")

    def text(self):
        r = self.random
        fill = {"T": f"T{self.who}_{r.randrange(1000)}", "C": f"c{self.who}", "O": f"c{r.randrange(CLIENTS)}",
                "L": r.choice([1000, 100_000, 2_000_000])}
        text = re.sub(r"\{(\w)\}", lambda m: str(fill.get(m[1], r.randrange(ROWS))), r.choice(TEXTS))
        return text + " " * 20_000 if r.random() < 0.03 else text

    def extended(self):
        r = self.random
        name, portal, kind = r.choice(NAMES), r.choice(NAMES), r.randrange(12)
        if kind < 4:
            text = self.text()
            values = [b"%d" % r.randrange(ROWS)] * text.count("$1")
            seen = [describe("P", portal)] * r.randrange(2)
            return [parse(name, text), bind(portal, name, values), *seen, execute(portal, r.randrange(2))]
        return [r.choice([parse(name, self.text()), bind(portal, name, [b"1"] * r.randrange(2)), execute(portal, 1),
                          describe(r.choice("SP"), name), close(r.choice("SP"), name), flush(), sync(), sync()])]

    def illegal(self):
        r = self.random
        length = struct.pack("!i", r.choice([-1, 0, 3, 4, 5, 100, 0x7FFFFFFF]))
        return r.choice([r.randbytes(1) + length + r.randbytes(20), message(r.choice("QPBDECHSdcfFpX"), r.randbytes(9)),
                         copy_data(b"3\tHC\n"), copy_done(), copy_fail("x"), message("Q", b"SELECT 1"),
                         bind("", "a", [b"1"], formats=[r.randrange(5)] * 3), message("p", b"x\0")])

    def batch(self):
        r, messages = self.random, []
        for _ in range(r.randrange(1, 8)):
            if self.is_wild and r.random() < 0.08:
                messages.append(self.illegal())
            elif r.random() < 0.5:
                messages.append(query(self.text()))
            else:
                messages += self.extended()
        return b"".join(messages + [sync()] * r.randrange(2))

    def look(self, m):
        values = m.values() if m.kind == "D" else m.body[:-1].split(b"\0")[1:] if m.kind == "S" else []
        owners = {int(found[1]) for v in values if v and (found := OWNER.match(v))}
        assert owners <= {self.who}, f"client {self.who} sees {m}"
        if m.kind == "A":
            assert m.body[4:].startswith(b"c%d_" % self.who), f"client {self.who} is notified of {m}"

    def drain(self, seconds):
        """Everything that comes until nothing has come for that long; False: it was closed."""
        self.conn.socket.settimeout(seconds)
        try:
            while (m := self.conn.receive()) is not None:
                self.look(m)
        except TimeoutError:
            return True
        return False

    def is_served(self):
        """Out of whatever it is in; a client that was not closed is answered."""
        self.conn.socket.settimeout(20)
        end = b"T%d_end" % self.who
        self.conn.send(copy_fail("x"), sync(), query("ROLLBACK"), copy_fail("x"), sync(), query(f"SELECT '{end.decode()}'"))
        while (m := self.conn.receive()) is not None:
            self.look(m)
            if m.kind == "D" and m.values() == [end]:
                return

    def run(self, cancel):
        r = self.random
        for _ in range(r.randrange(1, 10)):
            data = self.batch()
            if r.random() < 0.1:
                self.conn.send(data[:r.randrange(len(data))])
                break
            self.conn.send(data)
            if r.random() < 0.1:
                cancel(self.conn)
            if r.random() < 0.8 and not self.drain(r.choice([0.02, 0.1, 0.3])):
                break
        else:
            if not self.is_wild:
                self.is_served()
        if r.random() < 0.3:
            self.conn.send(terminate())
        elif r.random() < 0.3:
            self.conn.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def rows(answer):
    return sorted("|".join("" if v is None else v.decode() for v in m.values()) for m in answer if m.kind == "D")


def check(proxy, database):
    shared = [f"SELECT id, v FROM h WHERE id = {n}" for n in range(ROWS)] + [
        "SELECT count(*), max(v) FROM h", "SELECT * FROM d ORDER BY 1", "SELECT count(*) FROM e"]
    own = ["SELECT current_setting('app.x', true)", "SHOW datestyle", "SHOW search_path", "SELECT to_regclass('tmp')",
           "SHOW default_transaction_read_only", "SELECT count(*) FROM pg_prepared_statements WHERE from_sql"]

    def quiet():
        m = proxy.metrics()
        return m.sum("client_connections") == 0 and all(
            m.sum("pool_connections", state=state) == 0 for state in ("active", "testing"))
    wait_for(quiet, 20, "end of what clients have left")
    # PostgreSQL 15 itself may crash on such sessions, and starts again
    wait_for(lambda: database.server.tool("psql", "-c", "SELECT 1", database.name, check=False).returncode == 0, 20,
             "PostgreSQL")
    with proxy.connect(database.name) as client:
        for sql in shared + own:
            want = sorted(database.psql(sql).split("\n")[:-1])
            for _ in range(2):
                answer = client.query(sql)
                assert client.types(answer)[-2:] == "CZ", (sql, answer)
                assert rows(answer) == want, sql
    wait_for(quiet, 20, "end of the client that looks")


@pytest.mark.parametrize("tight", [False, True], ids=["usual", "tight"])
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_whole_sessions(pgrecall, empty_database, mode, tight):
    empty_database.psql(SCHEMA)
    limits = {"client_hold_max": "16kB", "client_out_high": "16kB", "max_prepared_statements": 2,
              "server_lifetime": "300ms"}
    proxy = pgrecall(cache={"default": "on"}, pgrecall={
        "pool_mode": mode, "default_pool_size": CLIENTS if mode == "session" else 3, "query_wait_timeout": "10s",
        "idle_transaction_timeout": "1s", "query_timeout": "4s", **(limits if tight else {})})
    errors = []

    def connect(**parameters):
        return proxy.connect(empty_database.name, **parameters)

    def cancel(conn):
        with wire.Connection(proxy.port) as canceller:
            canceller.send(cancel_request(conn.pid, conn.key))

    def clients(who, number):
        for n in range(3):
            session = None
            try:
                session = Session(connect, who, f"{number} {who} {n}", who % 2 == 0)
                session.run(cancel)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it was closed for what it did
            except AssertionError as error:
                if not str(error).startswith("closed inside"):
                    errors.append(f"round {number}: {error}"[:2000])
            except Exception as error:  # noqa: BLE001
                errors.append(f"round {number}, client {who}: {error!r}")
            finally:
                if session is not None:
                    session.conn.close()

    for number in range(ROUNDS):
        threads = [threading.Thread(target=clients, args=(who, number)) for who in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, "\n".join(errors)
        check(proxy, empty_database)
