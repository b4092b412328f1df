# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""A server connection goes from worker to worker, and the rows to who asked for them."""

import asyncio
import time

import asyncpg

SECONDS = 3
CLIENTS = 12


async def ask(dsn, who, until):
    """Rows of many sizes, so that some come in pieces that have to be held."""
    conn = await asyncpg.connect(dsn)
    n = 0
    while time.monotonic() < until:
        n += 1
        size = 1 << (n * 7 + who) % 18
        rows = await conn.fetch("SELECT $1::int AS who, repeat(chr(65 + $1), $2) AS what FROM generate_series(1, 3)",
                                who, size)
        assert [tuple(row) for row in rows] == [(who, chr(65 + who) * size)] * 3
    await conn.close()
    return n


def test_one_server_connection_for_two_workers(pgrecall, empty_database):
    proxy = pgrecall(pgrecall={"workers": 2, "default_pool_size": 1, "min_pool_size": 0})

    async def all_of_them():
        until = time.monotonic() + SECONDS
        dsn = proxy.dsn(empty_database.name)
        return await asyncio.gather(*(ask(dsn, who, until) for who in range(CLIENTS)))

    counts = asyncio.run(asyncio.wait_for(all_of_them(), SECONDS + 20))
    assert min(counts) > 3, counts
