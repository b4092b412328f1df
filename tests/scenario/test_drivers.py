# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""The usual clients work unchanged: each does its everyday work in both pool modes."""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path

import psycopg
import psycopg2
import psycopg2.extensions
import psycopg2.extras
import pytest

asyncpg = pytest.importorskip("asyncpg")

# Waits inside libpq cannot be interrupted, so a test that hangs could not be ended.
psycopg2.extensions.set_wait_callback(psycopg2.extras.wait_select)

NODE_PATHS = ["/usr/share/nodejs", "/usr/lib/nodejs",
              str(Path.home() / ".cache/pgrecall/node/node_modules")]
RECENT = "SELECT id, user_id, body, created_at FROM messages WHERE channel_id = {} ORDER BY id DESC LIMIT 50"


@pytest.fixture(params=["transaction", "session"])
def proxy(request, pgrecall):
    return pgrecall(pgrecall={"pool_mode": request.param}, cache={"default": "on"})


def test_psql(proxy, database):
    sql = RECENT.format(7)
    direct = database.psql(sql)
    for _ in range(3):
        assert database.server.psql(sql, database.name, port=proxy.port) == direct


def test_psql_script(proxy, database, directory):
    """Meta-commands, errors, COPY in and out, a transaction that is rolled back."""
    script = directory / "script.sql"
    script.write_text(
        "CREATE TABLE copied (n int, t text);\n"
        "COPY copied FROM stdin;\n1\tone\n2\t\\N\n\\.\n"
        "SELECT nothing FROM nowhere;\n"
        "BEGIN; INSERT INTO copied VALUES (3, 'three'); ROLLBACK;\n"
        "BEGIN; INSERT INTO copied VALUES (4, 'four'); COMMIT;\n"
        "\\d copied\n"
        "COPY copied TO stdout;\n"
        "SELECT count(*) FROM copied \\gset\n"
        "\\echo counted :count\n")
    args = ("-XAt", "-f", script, database.name)
    done = database.server.tool("psql", *args, port=proxy.port, check=False)
    assert "1\tone\n2\t\\N\n4\tfour\n" in done.stdout
    assert "counted 3" in done.stdout
    assert 'relation "nowhere" does not exist' in done.stderr


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(proxy, empty_database, mode):
    server, name = empty_database.server, empty_database.name
    server.tool("pgbench", "-i", "-q", "-s", "1", name, port=proxy.port)
    done = server.tool("pgbench", "-n", "-M", mode, "-c", "8", "-j", "2", "-t", "50", name,
                       port=proxy.port, check=False)
    assert done.returncode == 0, done.stderr
    assert "number of transactions actually processed: 400/400" in done.stdout, done.stdout
    assert "number of failed transactions: 0" in done.stdout, done.stdout
    sums = empty_database.psql(
        "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history),"
        " (SELECT count(*) FROM pgbench_history)")
    assert sums.strip() == "t|400"


def test_psycopg3(proxy, database):
    direct = psycopg.connect(database.dsn)
    with psycopg.connect(proxy.dsn(database.name), autocommit=True) as conn:
        for channel in (7, 8, 7):
            sql = "SELECT id, body, created_at FROM messages WHERE channel_id = %s ORDER BY id DESC LIMIT 50"
            for binary in (False, True):
                got = conn.execute(sql, (channel,), binary=binary).fetchall()
                assert got == direct.execute(sql, (channel,), binary=binary).fetchall()
        # After five executions psycopg prepares the statement on the server.
        for n in range(12):
            row = conn.execute("SELECT %s::int + 1, name FROM users WHERE id = %s", (n, 1 + n)).fetchone()
            assert row == (n + 1, f"user{n + 1}")
        with pytest.raises(psycopg.errors.UndefinedTable):
            conn.execute("SELECT * FROM nowhere")
        with conn.transaction():
            conn.execute("INSERT INTO users (name) VALUES ('ada')")
            with pytest.raises(psycopg.errors.UniqueViolation), conn.transaction():
                conn.execute("INSERT INTO users (name) VALUES ('ada')")
        assert conn.execute("SELECT count(*) FROM users WHERE name = 'ada'").fetchone() == (1,)
        with conn.cursor().copy("COPY (SELECT generate_series(1, 1000)) TO STDOUT") as copy:
            assert sum(int(row[0]) for row in copy.rows()) == 500500
        with conn.transaction(), conn.cursor("named") as cursor:
            cursor.execute("SELECT id FROM messages ORDER BY id")
            assert [row[0] for row in cursor.fetchmany(3)] == [1, 2, 3]
    direct.close()


def test_psycopg3_pipeline(proxy, database):
    with psycopg.connect(proxy.dsn(database.name), autocommit=True) as conn:
        conn.execute("CREATE TABLE numbers (n int PRIMARY KEY)")
        with conn.pipeline() as pipeline:
            cursors = [conn.execute("INSERT INTO numbers VALUES (%s) RETURNING n", (n,)) for n in range(100)]
            pipeline.sync()
            assert [c.fetchone()[0] for c in cursors] == list(range(100))
        with pytest.raises(psycopg.errors.UniqueViolation), conn.pipeline() as pipeline:
            conn.execute("INSERT INTO numbers VALUES (100)")
            conn.execute("INSERT INTO numbers VALUES (1)")
            pipeline.sync()
        with conn.pipeline() as pipeline:
            first = conn.execute("SELECT count(*) FROM numbers")
            second = conn.execute(RECENT.format(3))
            pipeline.sync()
            assert first.fetchone()[0] == 100
            assert second.fetchall() == psycopg.connect(database.dsn).execute(RECENT.format(3)).fetchall()


def test_psycopg2(proxy, database):
    conn = psycopg2.connect(proxy.dsn(database.name))
    with conn, conn.cursor() as cursor:
        for _ in range(3):
            cursor.execute("SELECT id FROM messages WHERE channel_id = %s ORDER BY id DESC LIMIT 5", (7,))
            rows = cursor.fetchall()
            assert rows == sorted(rows, reverse=True) and len(rows) == 5
        cursor.execute("INSERT INTO users (name) VALUES (%s) RETURNING id", ("grace",))
        assert cursor.fetchone()[0] == 201
    conn.rollback()
    with conn, conn.cursor() as cursor:
        cursor.execute("SELECT name FROM users WHERE id = 201")
        assert cursor.fetchone() == ("grace",)
        with pytest.raises(psycopg2.errors.DivisionByZero):
            cursor.execute("SELECT 1/0")
    conn.close()


def test_asyncpg(proxy, database):
    async def work():
        pool = await asyncpg.create_pool(proxy.dsn(database.name), min_size=4, max_size=4)
        sql = "SELECT id, user_id, body, created_at FROM messages WHERE channel_id = $1 ORDER BY id DESC LIMIT 50"

        async def reader(channel):
            rows = []
            for _ in range(5):
                rows = await pool.fetch(sql, channel)
            return rows

        answers = await asyncio.gather(*(reader(1 + n % 10) for n in range(40)))
        direct = await asyncpg.connect(database.dsn)
        for n, rows in enumerate(answers):
            assert rows == await direct.fetch(sql, 1 + n % 10)
        await direct.close()
        async with pool.acquire() as conn:
            async with conn.transaction():
                await conn.execute("INSERT INTO users (name) VALUES ($1)", "alan")
            with pytest.raises(asyncpg.UniqueViolationError):
                await conn.execute("INSERT INTO users (name) VALUES ($1)", "alan")
            await conn.executemany("INSERT INTO users (name) VALUES ($1)", [(f"m{n}",) for n in range(20)])
            assert await conn.fetchval("SELECT count(*) FROM users WHERE name LIKE 'm_%'") == 20
            await conn.copy_records_to_table("channels", records=[(1000 + n, f"c{n}", None) for n in range(50)])
            async with conn.transaction():
                seen = [r["n"] async for r in conn.cursor("SELECT n FROM generate_series(1, 200) AS n")]
            assert seen == list(range(1, 201))
        await pool.close()

    asyncio.run(work())


NODE_SCRIPT = """
const { Pool } = require('pg');
(async () => {
	const pool = new Pool({ connectionString: process.argv[2], max: 4 });
	const sql = 'SELECT id, body FROM messages WHERE channel_id = $1 ORDER BY id DESC LIMIT 5';
	const plain = [], named = [];
	for (let n = 0; n < 12; n++) {
		plain.push((await pool.query(sql, [1 + n % 3])).rows);
		named.push((await pool.query({ name: 'recent', text: sql, values: [1 + n % 3] })).rows);
	}
	let error = null;
	try { await pool.query('SELECT * FROM nowhere'); } catch (e) { error = e.code; }
	const client = await pool.connect();
	await client.query('BEGIN');
	await client.query('INSERT INTO users (name) VALUES ($1)', ['linus']);
	await client.query('ROLLBACK');
	const count = (await client.query("SELECT count(*)::int AS n FROM users WHERE name = 'linus'")).rows[0].n;
	client.release();
	await pool.end();
	console.log(JSON.stringify({ plain, named, error, count }));
})();
"""


def test_node_postgres(proxy, database, directory):
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None or not any(Path(p, "pg").is_dir() for p in NODE_PATHS):
        pytest.skip("node-postgres is not installed (package node-pg)")
    script = directory / "client.js"
    script.write_text(NODE_SCRIPT)
    done = subprocess.run(
        [node, script, proxy.dsn(database.name)], capture_output=True, text=True, timeout=60,
        env=dict(os.environ, NODE_PATH=":".join(NODE_PATHS)))
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    assert got["error"] == "42P01" and got["count"] == 0
    assert got["plain"] == got["named"]
    with psycopg.connect(database.dsn) as direct:
        for n, rows in enumerate(got["plain"]):
            want = direct.execute(
                "SELECT id::text, body FROM messages WHERE channel_id = %s ORDER BY messages.id DESC LIMIT 5",
                (1 + n % 3,)).fetchall()
            assert [(r["id"], r["body"]) for r in rows] == want
