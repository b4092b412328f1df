# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Cancel requests, as clients send them."""

import wire

CODE = b"\x04\xd2\x16\x2e"  # in every cancel request, and in nothing else
CANCELLED = "57014"


def begin(port, pid, key, host="127.0.0.1", tls=None):
    """A connection that has asked; it ends when that is done."""
    conn = wire.Connection(port, host, tls=tls)
    return conn.send(wire.cancel_request(pid, key))


def send(port, pid, key, **how):
    """What answers a cancel request: nothing, and the end."""
    with begin(port, pid, key, **how) as conn:
        return conn.rest()


def errors(messages):
    return [m.sqlstate() for m in messages if m.kind == "E"]


def running(database, pattern):
    """How many other sessions run a query that is LIKE the pattern."""
    found = database.psql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                          f"AND query LIKE '{pattern}' AND pid <> pg_backend_pid()")
    return int(found)
