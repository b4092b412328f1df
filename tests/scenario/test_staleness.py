# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""No read shows less than what had been acknowledged to anyone before it began.

Writers number what they write, group by group, in every way SQL has; readers of all kinds
note the number last acknowledged, ask, and compare.
"""

import asyncio
import itertools
import os
import random

import asyncpg
import psycopg
import pytest

GROUPS = 3
REPEATS = 20  # of the same question by one reader, so that there is something to hit
SECONDS = float(os.environ.get("STALENESS_SECONDS", "8"))

SCHEMA = """
CREATE TABLE facts (id bigserial PRIMARY KEY, grp int NOT NULL, v bigint NOT NULL);
CREATE INDEX ON facts (grp, v DESC);
CREATE VIEW fact_view AS SELECT grp, v FROM facts WHERE v >= 0;
INSERT INTO facts (grp, v) SELECT g % {groups}, 0 FROM generate_series(1, 60) AS g;
INSERT INTO facts (grp, v) SELECT -1, 0 FROM generate_series(1, 20000) AS g;

CREATE FUNCTION set_fact(int, bigint) RETURNS void LANGUAGE sql
	AS 'UPDATE facts SET v = $2 WHERE id = (SELECT max(id) FROM facts WHERE grp = $1)';
CREATE PROCEDURE add_fact(int, bigint) LANGUAGE sql
	AS 'INSERT INTO facts (grp, v) VALUES ($1, $2)';

CREATE TABLE inbox (grp int, v bigint);
CREATE FUNCTION deliver() RETURNS trigger LANGUAGE plpgsql
	AS $$ BEGIN INSERT INTO facts (grp, v) VALUES (NEW.grp, NEW.v); RETURN NULL; END $$;
CREATE TRIGGER deliver AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION deliver();
""".format(groups=GROUPS)


async def write_insert(conn, group, number):
    await conn.execute("INSERT INTO facts (grp, v) VALUES ($1, $2)", group, number)


async def write_by_key(conn, group, number):
    await conn.execute("UPDATE facts SET v = $2 WHERE grp = $1", group, number)


async def write_by_id(conn, group, number):
    row = await conn.fetchval("SELECT id FROM facts WHERE grp = $1 ORDER BY id LIMIT 1 FOR UPDATE", group)
    await conn.execute("UPDATE facts SET v = $2 WHERE id = $1", row, number)


async def write_moved(conn, group, number):
    """A row that was in no group becomes this group's."""
    await conn.execute("UPDATE facts SET v = $2, grp = $1 WHERE id = ("
                       "SELECT id FROM facts WHERE grp = -1 LIMIT 1 FOR UPDATE SKIP LOCKED)", group, number)


async def write_in_transaction(conn, group, number):
    async with conn.transaction():
        await conn.execute("INSERT INTO facts (grp, v) VALUES ($1, $2)", group, number)
        assert await conn.fetchval("SELECT max(v) FROM facts WHERE grp = $1", group) >= number
        await asyncio.sleep(random.random() * 0.01)


async def write_after_rollback(conn, group, number):
    transaction = conn.transaction()
    await transaction.start()
    await conn.execute("INSERT INTO facts (grp, v) VALUES ($1, $2)", group, 1 << 60)
    await transaction.rollback()
    await conn.execute("INSERT INTO facts (grp, v) VALUES ($1, $2)", group, number)


async def write_by_function(conn, group, number):
    await conn.execute("SELECT set_fact($1, $2)", group, number)


async def write_by_procedure(conn, group, number):
    await conn.execute("CALL add_fact($1, $2)", group, number)


async def write_by_do(conn, group, number):
    await conn.execute(f"DO $$ BEGIN INSERT INTO facts (grp, v) VALUES ({group}, {number}); END $$")


async def write_by_trigger(conn, group, number):
    await conn.execute("INSERT INTO inbox VALUES ($1, $2)", group, number)


async def write_by_cte(conn, group, number):
    await conn.fetch("WITH new AS (INSERT INTO facts (grp, v) VALUES ($1, $2) RETURNING v) SELECT v FROM new",
                     group, number)


async def write_by_copy(conn, group, number):
    await conn.copy_records_to_table("facts", records=[(group, number)], columns=["grp", "v"])


async def write_in_one_text(conn, group, number):
    await conn.execute(f"BEGIN; INSERT INTO facts (grp, v) VALUES ({group}, {number}); SELECT 1; COMMIT")


async def write_and_delete(conn, group, number):
    await conn.execute("INSERT INTO facts (grp, v) VALUES ($1, $2)", group, number)
    await conn.execute("DELETE FROM facts WHERE grp = $1 AND v < $2 - 50", group, number)


WRITES = [write for name, write in sorted(globals().items()) if name.startswith("write_")]

READS = [
    "SELECT v FROM facts WHERE grp = $1 ORDER BY v DESC LIMIT 5",
    "SELECT max(v) FROM facts WHERE grp = $1",
    "SELECT max(v) FROM fact_view WHERE grp = $1",
    "SELECT v FROM facts AS f WHERE f.grp IN ($1) ORDER BY v DESC LIMIT 1",
    "SELECT max(v) FILTER (WHERE grp = $1) FROM facts",
]


async def ask(conn, sql, group):
    """The first value of all the rows: fetchval() limits Execute, which bypasses the cache."""
    return (await conn.fetch(sql, group))[0][0]


class Truth:
    """What has been acknowledged, group by group, and what was found."""

    def __init__(self):
        self.number = itertools.count(1)
        self.acknowledged = [0] * GROUPS
        self.locks = [asyncio.Lock() for _ in range(GROUPS)]
        self.stale = []
        self.reads = self.writes = 0
        self.stop = False

    def check(self, sql, group, before, value):
        self.reads += 1
        if value is None or value < before:
            self.stale.append((sql, group, before, value))

    def questions(self):
        while not self.stop:
            question = random.randrange(GROUPS), random.choice(READS)
            yield from itertools.repeat(question, REPEATS)

    async def writer(self, dsn, writes):
        conn = await asyncpg.connect(dsn)
        while not self.stop:
            group = random.randrange(GROUPS)
            write = random.choice(writes)
            async with self.locks[group]:
                number = next(self.number)
                await write(conn, group, number)
                self.acknowledged[group] = number
            self.writes += 1
            await asyncio.sleep(random.random() * 0.25)
        await conn.close()

    async def reader(self, dsn):
        conn = await asyncpg.connect(dsn)
        for group, sql in self.questions():
            before = self.acknowledged[group]
            self.check(sql, group, before, await ask(conn, sql, group))
        await conn.close()

    async def simple_reader(self, dsn):
        """psycopg with client-side binding speaks the simple protocol."""
        conn = await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, cursor_factory=psycopg.AsyncClientCursor)
        for group, sql in self.questions():
            before = self.acknowledged[group]
            cursor = await conn.execute(sql.replace("$1", "%s"), (group,))
            self.check(sql, group, before, (await cursor.fetchone())[0])
        await conn.close()


async def hammer(dsn, writes, seconds):
    truth = Truth()
    workers = [truth.writer(dsn, writes) for _ in range(2)]
    workers += [truth.reader(dsn) for _ in range(6)] + [truth.simple_reader(dsn) for _ in range(4)]
    tasks = [asyncio.create_task(work) for work in workers]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    truth.stop = True
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
    return truth


def settle(proxy, truth, least_hits):
    assert not truth.stale, f"{len(truth.stale)} of {truth.reads} reads: {truth.stale[:5]}"
    assert truth.writes > 2 * SECONDS and truth.reads > 50 * SECONDS, (truth.writes, truth.reads)
    hits = sum(proxy.metric("queries_total", route=route) for route in ("l1_hit", "redis_hit"))
    assert hits >= least_hits, f"{hits} hits of {truth.reads} reads prove little"


@pytest.fixture
def facts(empty_database):
    empty_database.psql(SCHEMA)
    return empty_database


TIERS = {
    "memory": {},
    "redis": {},
    "redis only": {"l1_size": 0},
    "crowded": {"l1_size": "16kB", "version_bits": 10},
}


def start_tier(pgrecall, redis, tier):
    cache = {"default": "on", **TIERS[tier]}
    return pgrecall(cache=cache, redis=redis if tier.startswith("redis") else None)


@pytest.mark.parametrize("tier", TIERS)
def test_every_way_to_write(pgrecall, facts, redis, tier):
    proxy = start_tier(pgrecall, redis, tier)
    truth = asyncio.run(hammer(proxy.dsn(facts.name), WRITES, SECONDS))
    settle(proxy, truth, 20)


@pytest.mark.parametrize("tier", TIERS)
def test_writes_by_key(pgrecall, facts, redis, tier):
    """Writes that say which group they are of: most reads of the others are hits."""
    proxy = start_tier(pgrecall, redis, tier)
    writes = [write_insert, write_by_key, write_in_transaction, write_after_rollback, write_in_one_text,
              write_and_delete]
    truth = asyncio.run(hammer(proxy.dsn(facts.name), writes, SECONDS))
    settle(proxy, truth, truth.reads * 0.05)


@pytest.mark.parametrize("write", WRITES, ids=lambda w: w.__name__)
def test_one_way_to_write(pgrecall, facts, write):
    """Each way by itself, step by step: warm, write, read by everyone."""
    proxy = pgrecall(cache={"default": "on"})

    proxy.warm(facts.name)

    async def steps():
        conns = [await asyncpg.connect(proxy.dsn(facts.name)) for _ in range(3)]
        for number in range(1, 6):
            group = number % GROUPS
            for conn in conns * 2:
                for sql in READS:
                    await ask(conn, sql, group)
            await write(conns[0], group, number)
            for conn in conns:
                for sql in READS:
                    value = await ask(conn, sql, group)
                    assert value == number, f"{sql} gives {value} after {number}"
        for conn in conns:
            await conn.close()

    asyncio.run(steps())
    assert proxy.metric("queries_total", route="l1_hit") > 0


def test_redis_in_trouble(pgrecall, facts, redis):
    """Redis is stopped, restarted, flushed and hung in mid-traffic: no error, nothing stale."""
    proxy = pgrecall(cache={"default": "on", "l1_size": 0}, redis=redis)
    proxy_dsn = proxy.dsn(facts.name)

    async def trouble():
        truth = asyncio.create_task(hammer(proxy_dsn, WRITES, SECONDS))
        for step in (redis.flush, redis.restart, redis.hang, redis.resume, redis.kill, redis.start, redis.flush):
            await asyncio.sleep(SECONDS / 9)
            await asyncio.to_thread(step)
        return await truth

    truth = asyncio.run(trouble())
    settle(proxy, truth, 0)
