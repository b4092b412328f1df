# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Clients of many kinds that know what they asked, and people who disturb them.

Every row carries who asked and what: a row of somebody else's, of another question, or from
before an acknowledged write is a failure; so is an answer that never comes.  Then
$STRESS_DUMP, a command, is run with the process id and the port of PostgreSQL.
"""

import asyncio
import os
import random
import socket
import struct
import subprocess
import threading
import time
import traceback

import asyncpg
import psycopg
import psycopg2

import wire

SLOTS = 6
SCHEMA = f"""
CREATE TABLE board (who int, slot int, n bigint NOT NULL, PRIMARY KEY (who, slot));
INSERT INTO board SELECT who, slot, 0 FROM generate_series(0, 199) AS who, generate_series(0, {SLOTS - 1}) AS slot;
"""
# What may happen to a client while servers die: lost connections, refusals, time limits.
EXPECTED = {None, "57P01", "57P02", "57P03", "57P05", "57014", "53300", "25P02", "25P03", "25P04",
            "08006", "08001", "08003", "08P01", "55P03", "40P01"}
HANG_SECONDS = 40


class Wrong(Exception):
    """Something that must never happen, whatever else goes on."""


class Client:
    """What one client has asked, and what it may see."""

    def __init__(self, who):
        self.who = who
        self.asked = 0
        self.acknowledged = [0] * SLOTS
        self.sent = [0] * SLOTS
        self.done = 0

    def question(self):
        self.asked += 1
        return self.asked, 1 << random.randrange(17)

    def check_echo(self, rows, n, size, count):
        want = (self.who, n, chr(65 + self.who % 26) * size)
        if [tuple(row) for row in rows] != [want] * count:
            raise Wrong(f"client {self.who} asked {n} and got {str(rows)[:300]}")
        self.done += 1

    def check_board(self, rows, acknowledged):
        rows = [tuple(row) for row in rows]
        if [row[:2] for row in rows] != [(self.who, slot) for slot in range(SLOTS)]:
            raise Wrong(f"client {self.who} asked for its board and got {rows}")
        for slot, (_, _, n) in enumerate(rows):
            if not acknowledged[slot] <= n <= self.sent[slot]:
                raise Wrong(f"client {self.who}, slot {slot}: {n}, not {acknowledged[slot]}..{self.sent[slot]}")
        self.done += 1

    def begin_write(self):
        slot = random.randrange(SLOTS)
        self.sent[slot] += 1
        return slot, self.sent[slot]


ECHO = "SELECT {who} AS who, {n} AS n, repeat(chr(65 + {who} % 26), {size}) AS what FROM generate_series(1, {count})"
BOARD = "SELECT who, slot, n FROM board WHERE who = {who} ORDER BY slot"
WRITE = "UPDATE board SET n = {n} WHERE who = {who} AND slot = {slot}"


class Asyncpg(Client):
    """Extended protocol, prepared statements, pipelined units."""

    def __init__(self, who, statement_cache_size=20):
        super().__init__(who)
        self.statement_cache_size = statement_cache_size

    async def connect(self, dsn):
        self.conn = await asyncpg.connect(dsn, timeout=20, statement_cache_size=self.statement_cache_size)

    async def echo(self):
        n, size = self.question()
        count = random.choice([1, 1, 1, 2, 30])
        sql = ECHO.format(who="$1::int", n="$2::bigint", size="$3", count="$4")
        rows = await self.conn.fetch(sql, self.who, n, size, count)
        self.check_echo(rows, n, size, count)

    async def board(self):
        acknowledged = list(self.acknowledged)
        rows = await self.conn.fetch(BOARD.format(who="$1"), self.who)
        self.check_board(rows, acknowledged)

    async def write(self):
        slot, n = self.begin_write()
        await self.conn.execute(WRITE.format(n="$1", who="$2", slot="$3"), n, self.who, slot)
        self.acknowledged[slot] = n

    async def transaction(self):
        slot, n = self.begin_write()
        async with self.conn.transaction():
            await self.conn.execute(WRITE.format(n="$1", who="$2", slot="$3"), n, self.who, slot)
            rows = await self.conn.fetch(BOARD.format(who="$1"), self.who)
            if tuple(rows[slot]) != (self.who, slot, n):
                raise Wrong(f"client {self.who} wrote {n} into {slot} and read {rows}")
        self.acknowledged[slot] = n

    async def error(self):
        try:
            await self.conn.fetch("SELECT $1::int / 0", self.who)
        except asyncpg.DivisionByZeroError:
            return
        raise Wrong("a division by zero succeeded")

    async def cancelled(self):
        try:
            await self.conn.execute("SELECT pg_sleep(5)", timeout=random.random() * 0.2)
        except asyncio.TimeoutError:
            # it may have timed out between a FATAL error and the end of the connection
            await asyncio.sleep(0.05)
            if self.conn.is_closed():
                raise ConnectionAbortedError from None

    async def leave(self):
        task = asyncio.ensure_future(random.choice([self.echo, self.transaction, self.write])())
        await asyncio.sleep(random.random() * 0.02)
        self.conn.terminate()
        try:
            await task
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncio.CancelledError):
            pass
        raise ConnectionAbortedError

    def close(self):
        self.conn.terminate()


class Psycopg3(Client):
    """Simple and extended protocol with names of its own; session settings."""

    async def connect(self, dsn):
        self.conn = await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=20)

    async def fetch(self, sql, **values):
        cursor = await self.conn.execute(sql, values, prepare=random.choice([None, True, False]))
        return await cursor.fetchall()

    async def echo(self):
        n, size = self.question()
        sql = ECHO.format(who="%(who)s::int", n="%(n)s::bigint", size="%(size)s::int", count="1").replace(" % 26", " %% 26")
        self.check_echo(await self.fetch(sql, who=self.who, n=n, size=size), n, size, 1)

    async def board(self):
        acknowledged = list(self.acknowledged)
        self.check_board(await self.fetch(BOARD.format(who="%(who)s"), who=self.who), acknowledged)

    async def write(self):
        slot, n = self.begin_write()
        await self.conn.execute(WRITE.format(n=n, who=self.who, slot=slot))
        self.acknowledged[slot] = n

    async def setting(self):
        name = f"who_{self.who}_{self.asked}"
        self.asked += 1
        zone = random.choice(["UTC", "Asia/Kolkata", "Europe/Berlin"])
        await self.conn.execute(f"SET application_name = '{name}'")
        await self.conn.execute(f"SET TimeZone = '{zone}'")
        rows = await self.fetch("SELECT current_setting('application_name'), current_setting('TimeZone')")
        if rows != [(name, zone)]:
            raise Wrong(f"client {self.who} set {name} {zone} and has {rows}")

    async def rolled_back(self):
        slot = random.randrange(SLOTS)
        async with self.conn.transaction(force_rollback=True):
            await self.conn.execute(WRITE.format(n=-1, who=self.who, slot=slot))
            if random.random() < 0.3:
                await asyncio.sleep(random.random() * 0.05)

    async def pipeline(self):
        asked = [self.question() for _ in range(8)]
        async with self.conn.pipeline():
            sql = ECHO.format(who="%s::int", n="%s::bigint", size="%s::int", count="1").replace("{who}", str(self.who))
            sql = sql.replace("repeat(chr(65 + %s::int % 26)", f"repeat(chr(65 + {self.who % 26})")
            cursors = [await self.conn.execute(sql, (self.who, n, size)) for n, size in asked]
            for cursor, (n, size) in zip(cursors, asked):
                self.check_echo(await cursor.fetchall(), n, size, 1)

    async def leave(self):
        task = asyncio.ensure_future(random.choice([self.echo, self.rolled_back, self.pipeline])())
        await asyncio.sleep(random.random() * 0.02)
        shut(self.conn.fileno())
        try:
            await task
        except (psycopg.Error, OSError):
            pass
        raise ConnectionAbortedError

    def close(self):
        self.conn.pgconn.finish()


def shut(fd):
    """The connection breaks, whatever is under way."""
    with socket.socket(fileno=socket.dup(fd)) as s:
        s.shutdown(socket.SHUT_RDWR)


class Psycopg2:
    """Simple protocol, in a thread."""

    def __init__(self, who):
        self.client = Client(who)
        self.who = who

    def connect(self, dsn):
        self.conn = psycopg2.connect(dsn, connect_timeout=20)
        self.conn.autocommit = random.random() < 0.5

    def step(self):
        cursor = self.conn.cursor()
        client = self.client
        kind = random.random()
        if kind < 0.5:
            n, size = client.question()
            cursor.execute(ECHO.format(who=self.who, n=f"{n}::bigint", size=size, count=3))
            client.check_echo(cursor.fetchall(), n, size, 3)
        elif kind < 0.8:
            acknowledged = list(client.acknowledged)
            cursor.execute(BOARD.format(who=self.who))
            client.check_board(cursor.fetchall(), acknowledged)
        elif kind < 0.95:
            slot, n = client.begin_write()
            cursor.execute(WRITE.format(who=self.who, n=n, slot=slot))
            if not self.conn.autocommit:
                self.conn.commit()
            client.acknowledged[slot] = n
        else:
            try:
                cursor.execute("SELECT no_such_column FROM board")
            except psycopg2.errors.UndefinedColumn:
                self.conn.rollback()
        if not self.conn.autocommit:
            self.conn.commit()

    def close(self):
        self.conn.close()


class Rude:
    """Goes away, or cancels, in the middle of anything."""

    def __init__(self, who):
        self.who = who

    def connect(self, port, database):
        self.port = port
        self.conn = wire.Connection(port, timeout=HANG_SECONDS)
        if random.random() < 0.1:
            self.conn.send(wire.startup(user="postgres", database=database)[:random.randrange(1, 30)])
            raise ConnectionAbortedError
        self.conn.start(user="postgres", database=database)

    def step(self):
        n = random.randrange(1 << 30)
        unit = (wire.parse("", f"SELECT {self.who}, {n}"), wire.bind("", ""), wire.describe("P"),
                wire.execute(), wire.sync())
        big = wire.query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
        what = random.choice(["unit", "units", "part", "big", "copy", "transaction", "unsynced", "cancel", "terminate"])
        if what == "unit":
            self.expect(self.conn.send(*unit).until("Z"), n)
        elif what == "units":
            self.conn.send(*unit * 40)
            for _ in range(40):
                self.expect(self.conn.until("Z"), n)
        elif what == "cancel":
            self.conn.send(wire.query("SELECT pg_sleep(3)"))
            time.sleep(random.random() * 0.1)
            with socket.create_connection(("127.0.0.1", self.port), timeout=HANG_SECONDS) as s:
                s.sendall(wire.cancel_request(self.conn.pid, self.conn.key))
                s.recv(1)
            self.conn.until("Z")
        else:
            data = {"part": b"".join(unit)[:random.randrange(1, 60)], "big": big,
                    "copy": wire.query("COPY board FROM STDIN") + wire.copy_data(b"1000\t1\t1\n"),
                    "transaction": wire.query("BEGIN") + wire.query(f"UPDATE board SET n = n WHERE who = {self.who}"),
                    "unsynced": b"".join(unit[:random.randrange(1, 5)]) + wire.flush(),
                    "terminate": b"".join(unit) + wire.terminate()}[what]
            self.conn.send(data)
            if random.random() < 0.5:
                time.sleep(random.random() * 0.05)
            if random.random() < 0.5:
                self.conn.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionAbortedError

    def expect(self, messages, n):
        kinds = wire.Connection.types(messages)
        if "E" in kinds:
            sqlstate = next(m for m in messages if m.kind == "E").sqlstate()
            if sqlstate not in EXPECTED:
                raise Wrong(f"error {sqlstate}")
        elif kinds != "12TDCZ" or messages[-3].values() != [str(self.who).encode(), str(n).encode()]:
            raise Wrong(f"raw client {self.who} asked {n} and got {messages}")

    def close(self):
        self.conn.close()


async def answered(client, action):
    """Waits for the action, but not for asyncpg 0.27 when its connection ended while it cancelled:
    it would wait for ever."""
    task = asyncio.ensure_future(action)
    until = time.monotonic() + HANG_SECONDS
    while not task.done():
        is_lost = isinstance(client, Asyncpg) and client.conn.is_closed()
        await asyncio.wait({task}, timeout=1)
        if not task.done() and (is_lost or time.monotonic() > until):
            task.cancel()
            raise ConnectionAbortedError if is_lost else asyncio.TimeoutError
    task.result()


class Load:
    """All of them at once, until stop(); `wrong` is what must not have happened."""

    def __init__(self, proxy, database, clients=40, calm=False):
        self.proxy, self.database, self.calm = proxy, database, calm
        self.dsn = proxy.dsn(database)
        self.stopping = False
        self.over = False  # the proxy ends: any error is right, but not any row
        self.wrong, self.errors, self.clients = [], {}, []
        quarter = max(1, clients // 4)
        kinds = [Asyncpg(n, random.choice([0, 20])) for n in range(quarter)]
        kinds += [Psycopg3(50 + n) for n in range(quarter)]
        self.threads = [threading.Thread(target=self.run_async, args=(kinds,), daemon=True)]
        for n in range(quarter):
            self.threads.append(threading.Thread(target=self.run_thread, args=(Psycopg2(100 + n),), daemon=True))
            if not calm:
                self.threads.append(threading.Thread(target=self.run_thread, args=(Rude(150 + n),), daemon=True))

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def note(self, error):
        if isinstance(error, ConnectionAbortedError) or (self.over and not isinstance(error, Wrong)):
            return
        sqlstate = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        key = f"{type(error).__name__} {sqlstate} {str(error)[:70] if sqlstate is None else ''}"
        self.errors[key] = self.errors.get(key, 0) + 1
        known = isinstance(error, (psycopg.Error, psycopg2.Error, asyncpg.PostgresError, wire.ServerError,
                                   asyncpg.InterfaceError, asyncpg.InternalClientError,
                                   OSError)) or str(error).startswith("closed ")
        hang = isinstance(error, (asyncio.TimeoutError, TimeoutError, socket.timeout))
        if hang or not known or sqlstate not in EXPECTED or (self.calm and not self.stopping):
            if hang and "STRESS_DUMP" in os.environ:
                subprocess.run([os.environ["STRESS_DUMP"], str(self.proxy.process.pid), str(self.proxy.postgres.port)])
            self.wrong.append("".join(traceback.format_exception(error)))
            self.stopping = True

    def run_async(self, kinds):
        async def one(client):
            actions = [name for name in ("echo", "board", "board", "write", "transaction", "error", "setting",
                                         "rolled_back", "pipeline") if hasattr(client, name)]
            if not self.calm:
                actions += ["leave"] + ["cancelled"] * hasattr(client, "cancelled")
            while not self.stopping:
                connected = False
                try:
                    await asyncio.wait_for(client.connect(self.dsn), HANG_SECONDS)
                    connected = True
                    for _ in range(random.randrange(1, 60)):
                        if not self.stopping:
                            await answered(client, getattr(client, random.choice(actions))())
                except Exception as error:
                    self.note(error)
                    await asyncio.sleep(0.02)
                if connected:
                    client.close()

        async def everybody():
            await asyncio.gather(*(one(client) for client in kinds))

        self.clients += kinds
        asyncio.run(everybody())

    def run_thread(self, client):
        self.clients.append(getattr(client, "client", None))
        while not self.stopping:
            connected = False
            try:
                if isinstance(client, Rude):
                    client.connect(self.proxy.port, self.database)
                else:
                    client.connect(self.dsn)
                connected = True
                for _ in range(random.randrange(1, 60)):
                    if not self.stopping:
                        client.step()
            except Exception as error:
                self.note(error)
                time.sleep(0.02)
            if connected:
                client.close()

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(HANG_SECONDS + 10)
            if thread.is_alive():
                self.wrong.append("a client hangs")
        assert not self.wrong, "\n".join(self.wrong[:3])
        return sum(client.done for client in self.clients if client is not None)
