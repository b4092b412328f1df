# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Clients of a proxy that know whether an answer came from the cache.

    cached = Cached(proxy, "app")
    a, b = cached.client(), cached.client()
    cached.warm(a, "SELECT 1 FROM t")      # asks until it is answered from the cache
    cached.hit(b, "SELECT 1 FROM t")       # the rows; fails unless it was a hit
    cached.ask(b, "SELECT 1 FROM t")       # (rows, whether it was a hit)

One client at a time: the counters are the proxy's.
"""

import time

import wire

HITS = ("l1_hit", "redis_hit")

# What tests of the cache read and write, and what they read before and behind that write.
SCHEMA = """
CREATE TABLE t (id serial PRIMARY KEY, k int, v int);
INSERT INTO t (k, v) SELECT g % 3, g FROM generate_series(1, 30) AS g;
"""
READ = "SELECT max(v) FROM t WHERE k = 1"
NEW = "INSERT INTO t (k, v) VALUES (1, 1000)"
OLD, FRESH = [[b"28"]], [[b"1000"]]


class Client(wire.Connection):
    def rows(self, messages):
        """The rows as lists; an error is raised."""
        for m in messages:
            if m.kind == "E":
                raise wire.ServerError(m)
        return [m.values() for m in messages if m.kind == "D"]

    def run(self, *texts):
        """Simple queries, one after the other; the rows of the last."""
        found = []
        for text in texts:
            found = self.rows(self.query(text))
        return found

    def bound(self, sql, values=(), types=(), formats=(), results=(), rows=0):
        """Parse, Bind, Describe, Execute, Sync in one packet."""
        self.send(wire.parse("", sql, types), wire.bind("", "", values, formats, results),
                  wire.describe("P"), wire.execute("", rows), wire.sync())
        return self.rows(self.until("Z"))

    def fails(self, sql):
        """The SQLSTATE of a text that must fail."""
        errors = [m.sqlstate() for m in self.query(sql) if m.kind == "E"]
        assert errors, f"{sql} succeeded"
        return errors[0]


class Cached:
    def __init__(self, proxy, name, port=None, tls=None):
        """TLS: of the connection to PostgreSQL itself, as in wire.Connection."""
        self.proxy = proxy
        self.name = name
        self.clients = []
        self.direct = Client(port or proxy.postgres.port, tls=tls).start(user="postgres", database=name)

    def client(self, user="postgres", **parameters):
        made = Client(self.proxy.port, tls=self.proxy.tls).start(user=user, database=self.name, **parameters)
        self.clients.append(made)
        return made

    def close(self):
        for client in [*self.clients, self.direct]:
            client.close()

    def hits(self):
        scrape = self.proxy.metrics()
        return sum(scrape.sum("queries_total", route=route) for route in HITS)

    def ask(self, client, sql, **bound):
        """The rows, and whether they came from the cache."""
        before = self.hits()
        rows = client.bound(sql, **bound) if bound else client.run(sql)
        return rows, self.hits() > before

    def warm(self, client, sql, seconds=10, **bound):
        deadline = time.monotonic() + seconds
        while True:
            rows, hit = self.ask(client, sql, **bound)
            if hit:
                return rows
            assert time.monotonic() < deadline, f"never cached: {sql}\n{self.proxy.log()[-2000:]}"
            time.sleep(0.02)

    def hit(self, client, sql, **bound):
        rows, hit = self.ask(client, sql, **bound)
        assert hit, f"not from the cache: {sql}"
        return rows

    def miss(self, client, sql, **bound):
        rows, hit = self.ask(client, sql, **bound)
        assert not hit, f"from the cache: {sql}"
        return rows

    def right(self, client, sql, **bound):
        """The rows, which must be those that PostgreSQL gives directly."""
        rows, hit = self.ask(client, sql, **bound)
        truth = self.direct.bound(sql, **bound) if bound else self.direct.run(sql)
        assert rows == truth, f"{sql} gives {rows}{' from the cache' if hit else ''}, and not {truth}"
        return rows

    def never_cached(self, client, sql, times=4, **bound):
        for _ in range(times):
            rows = self.miss(client, sql, **bound)
        return rows
