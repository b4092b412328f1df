# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Proxied answers are PostgreSQL's own, byte for byte: miss, hit and bypass."""

import pytest

import wire

# type, two values as SQL literals; a third row is all NULL
TYPES = [
    ("boolean", "true", "false"),
    ("smallint", "-32768", "32767"),
    ("integer", "-2147483648", "0"),
    ("bigint", "9223372036854775807", "-1"),
    ("real", "1.5e-10", "'NaN'"),
    ("double precision", "0.1", "'-Infinity'"),
    ("numeric", "123456789012345678901234567890.123456789", "'NaN'"),
    ("numeric(10,2)", "0", "-1.10"),
    ("money", "'12.34'", "'-1'"),
    ("text", "'plain'", "'ünï\n\t''quoted'' \\ '"),
    ("varchar(10)", "''", "'abc'"),
    ("char(5)", "'ab'", "'abcde'"),
    ("name", "'a_name'", "''"),
    ("bytea", r"'\x00ff7f80'", "''"),
    ("date", "'2026-02-28'", "'infinity'"),
    ("time", "'23:59:59.999999'", "'00:00'"),
    ("timetz", "'12:00+02'", "'00:00-11'"),
    ("timestamp", "'2026-01-01 00:00:00.000001'", "'-infinity'"),
    ("timestamptz", "'2026-06-01 12:00+02'", "'0044-03-15 12:00 BC'"),
    ("interval", "'1 year 2 mons 3 days 04:05:06.789'", "'-1 sec'"),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'00000000-0000-0000-0000-000000000000'"),
    ("json", "'{\"a\": [1, null]}'", "'[]'"),
    ("jsonb", "'{\"b\": 1, \"a\": {}}'", "'null'"),
    ("xml", "'<a>b</a>'", "'<c/>'"),
    ("inet", "'192.0.2.1/24'", "'2001:db8::1'"),
    ("cidr", "'10.0.0.0/8'", "'2001:db8::/32'"),
    ("macaddr", "'08:00:2b:01:02:03'", "'ff:ff:ff:ff:ff:ff'"),
    ("bit(5)", "B'10101'", "B'00000'"),
    ("varbit", "B'1'", "B''"),
    ("point", "'(1,2)'", "'(0.5,-0.5)'"),
    ("box", "'((1,1),(0,0))'", "'((2,2),(1,1))'"),
    ("int4range", "'[1,10)'", "'empty'"),
    ("tstzrange", "'[2026-01-01,)'", "'(,)'"),
    ("int4multirange", "'{[1,2),[5,6)}'", "'{}'"),
    ("integer[]", "'{1,NULL,3}'", "'{{1,2},{3,4}}'"),
    ("text[]", "'{\"a,b\",NULL,\"\"}'", "'{}'"),
    ("tsvector", "'a:1 fat:2 cat:3'", "''"),
    ("oid", "4294967295", "0"),
    ("pg_lsn", "'16/B374D848'", "'0/0'"),
    ("mood", "'happy'", "'sad'"),
    ("pair", "'(1,one)'", "'(,)'"),
    ("vector(3)", "'[1,2.5,-3]'", "'[0,0,0]'"),
]

SETUP = "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TYPE pair AS (n int, t text);"


def table(number):
    return f"type{number}"


@pytest.fixture
def typed(empty_database):
    """One table for each type: rows 1 and 2 its values, row 3 NULL."""
    empty_database.psql("CREATE EXTENSION vector")
    empty_database.psql(SETUP)
    for n, (name, first, second) in enumerate(TYPES):
        empty_database.psql(
            f"CREATE TABLE {table(n)} (id int PRIMARY KEY, v {name});"
            f"INSERT INTO {table(n)} VALUES (1, {first}), (2, {second}), (3, NULL)")
    return empty_database


def simple(number):
    return [wire.query(f"SELECT id, v FROM {table(number)} WHERE id >= 0 ORDER BY id")]


def extended(number, result_format, parameter_format, name=""):
    one = b"1" if parameter_format == 0 else (1).to_bytes(4, "big")
    sql = f"SELECT id, v FROM {table(number)} WHERE id >= $1 ORDER BY id"
    return [
        wire.parse(name, sql, [23]), wire.describe("S", name),
        wire.bind("", name, [one], [parameter_format], [result_format]),
        wire.describe("P"), wire.execute(), wire.sync(),
    ]


def batches(number):
    """Every way to ask for the rows of a type."""
    yield simple(number)
    for result_format in (0, 1):
        for parameter_format in (0, 1):
            yield extended(number, result_format, parameter_format)
    yield extended(number, 1, 0, name=f"named{number}") + [wire.close("S", f"named{number}"), wire.sync()]


def comparable(message):
    """Bytes; of an error all fields but PostgreSQL's source file, line and function."""
    if message.kind != "E":
        return message.raw
    return repr({k: v for k, v in message.fields().items() if k not in "FLR"}).encode()


def whole_answer(conn, batch):
    """What is sent in answer: one ReadyForQuery for each Sync or Query."""
    times = sum(m[:1] in (b"S", b"Q") for m in batch)
    return b"".join(comparable(m) for m in conn.until("Z", times))


def answer(conn, batch):
    return whole_answer(conn.send(*batch), batch)


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("cache", ["on", "off"])
def test_types(pgrecall, typed, mode, cache):
    proxy = pgrecall(pgrecall={"pool_mode": mode}, cache={"enabled": cache, "default": cache})
    direct = wire.Connection(typed.server.port).start(database=typed.name)
    if cache == "on":
        proxy.warm(typed.name)
    first = proxy.connect(typed.name)
    second = proxy.connect(typed.name)
    for n, (name, *_) in enumerate(TYPES):
        for batch in batches(n):
            want = answer(direct, batch)
            for conn in (first, second, first):
                assert answer(conn, batch) == want, f"{name}: {batch}"
    if cache == "on":
        asked = len(TYPES) * 6 * 3
        hits = proxy.metric("cache_hits_total", cache="l1")
        # Parse of a new statement may need the server for its Describe: one miss for each.
        assert hits >= asked * 0.5, f"{hits} hits of {asked}"


@pytest.mark.parametrize("batch", [
    [wire.query("")],
    [wire.query(";")],
    [wire.query("SELECT 1; SELECT 'two', NULL; SELECT 3 WHERE false")],
    [wire.query("SELECT 1; SELECT 1/0; SELECT 3")],
    [wire.query("SELECT")],
    [wire.query("SELECT * FROM nowhere")],
    [wire.query("SELEC 1")],
    [wire.query("SELECT '" + "x" * 300000 + "'")],
    [wire.query("SELECT repeat('y', 3000000)")],
    [wire.query("SELECT g, repeat('z', 200) FROM generate_series(1, 5000) AS g")],
    [wire.query("BEGIN"), wire.query("SELECT 1/0"), wire.query("SELECT 1"), wire.query("COMMIT")],
    [wire.query("VALUES (1, 'a'), (2, NULL)")],
    [wire.query("SHOW server_version; SHOW search_path")],
    [wire.query("EXPLAIN SELECT 1")],
    [wire.query("COPY (SELECT g FROM generate_series(1, 100) AS g) TO STDOUT")],
    [wire.sync()],
    [wire.sync(), wire.sync()],
    [wire.parse("", ""), wire.bind("", ""), wire.describe("P"), wire.execute(), wire.sync()],
    [wire.parse("", "SELECT $1::int / $2::int", [23, 23]), wire.bind("", "", [b"1", b"0"]),
     wire.execute(), wire.sync()],
    [wire.bind("", "nothing"), wire.execute(), wire.sync(), wire.query("SELECT 2")],
    [wire.describe("S", "nothing"), wire.sync()],
    [wire.execute("nothing"), wire.sync()],
    [wire.close("S", "nothing"), wire.close("P", "nothing"), wire.sync()],
    [wire.parse("", "SELECT g FROM generate_series(1, 10) AS g"), wire.bind("p", ""),
     wire.execute("p", 3), wire.execute("p", 4), wire.execute("p"), wire.execute("p"), wire.sync()],
    [wire.parse("s", "SELECT 1"), wire.sync(), wire.parse("s", "SELECT 2"), wire.sync(),
     wire.close("S", "s"), wire.sync()],
    [wire.parse("a", "SELECT $1::text"), wire.bind("", "a", [b"x"]), wire.execute(), wire.bind("", "a", [None]),
     wire.execute(), wire.bind("", "a", [b""]), wire.execute(), wire.sync(), wire.close("S", "a"), wire.sync()],
], ids=lambda batch: batch[0][5:30].decode("latin-1").strip("\0 ") or batch[0][:1].decode())
def test_batches(pgrecall, empty_database, batch):
    """Whole answers to batches: errors, empty statements, portals, pipelines, large values."""
    proxy = pgrecall(cache={"default": "on"})
    direct = wire.Connection(empty_database.server.port).start(database=empty_database.name)
    proxied = proxy.connect(empty_database.name)
    want = answer(direct, batch)
    for _ in range(2):
        assert answer(proxied, batch) == want
    slow = proxy.connect(empty_database.name)
    if sum(map(len, batch)) < 4096:
        assert whole_answer(slow.send_bytewise(*batch), batch) == want
