# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""A statement never runs under somebody else's settings."""

import wire


def row(messages):
    return next(m for m in messages if m.kind == "D").values()[0].decode()


def test_refused_setting_stops_the_statement(pgrecall, empty_database):
    """Nothing is written when the session's settings could not be set."""
    empty_database.psql("CREATE TABLE written (a int)")
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    with proxy.connect(empty_database.name) as other:
        other.query("SELECT 1")
    with proxy.connect(empty_database.name, DateStyle="nonsense") as client:
        answer = client.send(wire.query("INSERT INTO written VALUES (1)")).rest()
        assert answer[-1].kind == "E" and answer[-1].sqlstate() == "22023", answer
    assert empty_database.psql("SELECT count(*) FROM written").strip() == "0"
    with proxy.connect(empty_database.name) as other:
        assert row(other.query("SELECT current_setting('DateStyle')")) == "ISO, MDY"


def test_settings_of_another_session(pgrecall, empty_database):
    """One connection, two clients with settings of their own, statement by statement."""
    proxy = pgrecall(pgrecall={"default_pool_size": 1})
    clients = {zone: proxy.connect(empty_database.name, TimeZone=zone) for zone in ("UTC", "Asia/Kolkata")}
    for _ in range(10):
        for zone, client in clients.items():
            assert row(client.query("SELECT current_setting('TimeZone')")) == zone
            unit = (wire.parse("", "SELECT current_setting('TimeZone')"), wire.bind("", ""), wire.execute(), wire.sync())
            assert row(client.send(*unit).until("Z")) == zone
    for client in clients.values():
        client.close()
