# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""COPY data that is sent before the server has said that it wants any."""

import wire

DATA = wire.copy_data(b"1\n2\n") + wire.copy_data(b"3\n")


def test_query_and_data_in_one_packet(pgrecall, empty_database):
    """As asyncpg does it; then the connection goes on, and goes back."""
    empty_database.psql("CREATE TABLE t (a int)")
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    with proxy.connect(empty_database.name) as client:
        for _ in range(3):
            client.send(wire.query("COPY t FROM STDIN"), DATA, wire.copy_done())
            assert client.types(client.until("Z")) == "GCZ"
        client.send(wire.query("COPY t FROM STDIN; COPY t FROM STDIN"),
                    DATA, wire.copy_done(), DATA, wire.copy_fail("enough"))
        assert client.types(client.until("Z")) == "GCGEZ"
        with proxy.connect(empty_database.name) as other:
            assert other.query("SELECT count(*) FROM t")[1].values() == [b"9"]


def test_extended(pgrecall, empty_database):
    empty_database.psql("CREATE TABLE t (a int)")
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    unit = wire.parse("", "COPY t FROM STDIN") + wire.bind("", "") + wire.execute("")
    with proxy.connect(empty_database.name) as client:
        for _ in range(2):
            client.send(unit, DATA, wire.copy_done(), wire.sync())
            assert client.types(client.until("Z")) == "12GCZ"
        assert client.query("SELECT count(*) FROM t")[1].values() == [b"6"]


def test_data_without_copy_is_ignored(pgrecall, empty_database):
    empty_database.psql("CREATE TABLE t (a int)")
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    with proxy.connect(empty_database.name) as client:
        client.send(DATA, wire.copy_done(), wire.query("SELECT 1"), DATA, wire.copy_done(), wire.query("SELECT 2"))
        assert client.types(client.until("Z", 2)) == "TDCZTDCZ"
        client.send(wire.query("COPY absent FROM STDIN"), DATA, wire.copy_done(), wire.query("SELECT 3"))
        assert client.types(client.until("Z", 2)) == "EZTDCZ"
