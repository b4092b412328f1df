# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""pool_mode = statement: transaction blocks are refused before a server hears of them, and
the client stays (T-98)."""

import pytest

from wire import bind, execute, parse, query, sync

BLOCKS = ["BEGIN", "START TRANSACTION READ ONLY", "SELECT 1; BEGIN; SELECT 2"]


def unit(sql):
    return parse("", sql), bind("", ""), execute(), sync()


def alone(sql):
    return parse("b", sql), sync(), bind("p", "b"), execute("p"), sync()


def types_of(answer):
    return "".join(m.kind for m in answer)


@pytest.fixture
def proxy(pgrecall):
    return pgrecall(pgrecall={"pool_mode": "statement", "default_pool_size": 1})


@pytest.mark.parametrize("sql", BLOCKS)
def test_T98_begin_in_a_simple_query(proxy, database, sql):
    with proxy.connect(database.name) as conn:
        conn.query("SELECT 1")
        before = proxy.metric("pool_checkouts_total")
        answer = conn.query(sql)
        assert types_of(answer) == "EZ" and answer[0].sqlstate() == "0A000"
        assert answer[1].body == b"I"
        assert proxy.metric("pool_checkouts_total") == before, "no server heard of it"
        assert types_of(conn.query("SELECT 1; SELECT 2")) == "TDCTDCZ"
        conn.send(query("SELECT 3"), query("BEGIN"), query("SELECT 4"))
        assert [types_of(conn.until("Z")) for _ in range(3)] == ["TDCZ", "EZ", "TDCZ"]


@pytest.mark.parametrize("make", [unit, alone])
def test_T98_begin_in_the_extended_protocol(proxy, database, make):
    with proxy.connect(database.name) as conn:
        conn.send(*make("BEGIN"))
        answers = [conn.until("Z") for m in make("BEGIN") if m[:1] == b"S"]
        assert answers[-1][-2].sqlstate() == "0A000" and answers[-1][-1].body == b"I"
        conn.send(*unit("SELECT 1"))
        assert types_of(conn.until("Z")) == "12DCZ"


def test_clients_share_the_one_connection_statement_by_statement(proxy, database):
    with proxy.connect(database.name) as one, proxy.connect(database.name) as two:
        for _ in range(3):
            assert types_of(one.query("SELECT 1")) == "TDCZ"
            assert types_of(two.query("SELECT 2")) == "TDCZ"
    assert proxy.metric("pool_connections_max") == 1
