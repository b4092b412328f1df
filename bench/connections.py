# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""What connections cost, pgrecall (no cache) beside PgBouncer: TLS, logins by SCRAM, a new
connection for each transaction, many connections at once, and memory for idle ones.

Both are started once for each way to log in.  The load is pgbench with one thread on the
statement `one row`; latency is from its log of transactions.
"""

import re
import statistics
import subprocess
import sys

from targets import (DATABASE, ROOT, Bench, PassThrough, PgBouncer, Target, as_postgres, free_port,
                     idle_memory)

sys.path.insert(0, str(ROOT / "tests/lib"))

from certificates import Authority, give_to_postgres  # noqa: E402

STATEMENT = "SELECT id, name, context FROM users WHERE id = 42;\n"
PASSWORD = "bench"
CLIENTS_MAX = 12000


def own_settings(way, certificate):
    settings = {"max_client_conn": CLIENTS_MAX}
    if way == "TLS":
        settings.update({"client_tls_sslmode": "require", "client_tls_key_file": certificate.key,
                         "client_tls_cert_file": certificate.crt})
    if way == "SCRAM":
        settings["auth_type"] = "scram-sha-256"
    return settings


class Bouncer(PgBouncer):
    """PgBouncer with one way to log in."""

    def __init__(self, bench, way, certificate):
        Target.__init__(self, bench)
        self.way = way
        self.name = f"PgBouncer {way}"
        self.settings = own_settings(way, certificate)
        self.session = None

    def start(self):
        where = self.directory()
        (where / "users").write_text(f'"postgres" "{PASSWORD}"\n')
        lines = "".join(f"{k} = {v}\n" for k, v in {"auth_type": "trust", **self.settings}.items())
        (where / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.bench.postgres.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_file = {where}/users\npool_mode = transaction\ndefault_pool_size = 64\n"
            f"listen_backlog = 4096\nlog_connections = 0\nlog_disconnections = 0\nlog_stats = 0\n{lines}")
        return self.launch(as_postgres(["pgbouncer", "-q", where / "pgbouncer.ini"]))

    def stop(self):
        Target.stop(self)


class Own(PassThrough):
    """pgrecall without cache, with one way to log in."""

    def __init__(self, bench, way, certificate):
        super().__init__(bench)
        self.name = f"pgrecall {way}"
        self.way = way
        self.more = {"listen_backlog": 4096, **own_settings(way, certificate)}

    def configure(self):
        (self.daemon.directory / "userlist.txt").write_text(f'"postgres" "{PASSWORD}"\n')
        self.daemon.configure(pgrecall=self.more)


class Row:
    def __init__(self, title, ways, clients, options=(), latency=False):
        self.title = title
        self.ways = ways
        self.clients = clients
        self.options = list(options)
        self.latency = latency


ROWS = [
    Row("plain, prepared, 8 connections", ["plain"], 8, ["-M", "extended"]),
    Row("TLS, 8 connections", ["TLS"], 8, ["-M", "extended"]),
    Row("a connection for each transaction, trust", ["plain"], 8, ["-C"]),
    Row("a connection for each transaction, SCRAM", ["SCRAM"], 8, ["-C"]),
    Row("a connection for each transaction, TLS", ["TLS"], 8, ["-C"]),
    Row("64 connections", ["plain"], 64, latency=True),
    Row("1,000 connections", ["plain"], 1000, latency=True),
    Row("10,000 connections", ["plain"], 10000, latency=True),
]


class Measured:
    def __init__(self):
        self.tps = []
        self.cpu_us = []
        self.p50_us = []
        self.p99_us = []
        self.error = None

    def median(self, what):
        values = getattr(self, what)
        return statistics.median(values) if values else None


def latencies(bench):
    """Microseconds of each transaction, from pgbench's logs, which are removed."""
    found = []
    for path in bench.directory.glob("latency.*"):
        for line in path.read_text().splitlines():
            found.append(int(line.split()[2]))
        path.unlink()
    return sorted(found)


def run(bench, target, row, seconds):
    script = bench.directory / "connection.sql"
    script.write_text(STATEMENT)
    seconds = max(seconds, row.clients // 500)  # connecting is part of it
    logs = ["-l", f"--log-prefix={bench.directory}/latency"] if row.latency else []
    before = target.cpu("simple")
    done = subprocess.run(
        [f"{bench.postgres.bindir}/pgbench", "-n", "-c", str(row.clients), "-j", "1", "-T", str(seconds),
         *row.options, *logs, "-f", str(script), "-h", "127.0.0.1", "-p", str(target.port),
         "-U", "postgres", DATABASE],
        env={"PGPASSWORD": PASSWORD, "PGSSLMODE": "require" if target.way == "TLS" else "disable"},
        capture_output=True, text=True, timeout=300)
    after = target.cpu("simple")
    tps = re.search(r"^tps = ([0-9.]+)", done.stdout, re.M)
    count = re.search(r"actually processed: (\d+)", done.stdout)
    times = latencies(bench)
    if done.returncode != 0 or not tps or not count:
        raise RuntimeError((done.stderr or done.stdout).strip()[-200:] or "pgbench failed")
    return (float(tps.group(1)), (after - before) * 1e6 / max(1, int(count.group(1))),
            times[len(times) // 2] if times else None, times[len(times) * 99 // 100] if times else None)


def measure_row(bench, row, targets, options):
    cells = {}
    for way in row.ways:
        pair = [targets["PgBouncer", way], targets["pgrecall", way]]
        measured = {target.name: Measured() for target in pair}
        for _ in range(options.rounds):
            for target in pair:
                cell = measured[target.name]
                if cell.error:
                    continue
                try:
                    tps, cpu_us, p50, p99 = run(bench, target, row, options.seconds)
                except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
                    cell.error = str(error)
                    continue
                cell.tps.append(tps)
                cell.cpu_us.append(cpu_us)
                if p50 is not None:
                    cell.p50_us.append(p50)
                    cell.p99_us.append(p99)
        cells[way] = (measured[pair[0].name], measured[pair[1].name])
        print(f"# {row.title}: " + "; ".join(
            f"{name} FAILED ({c.error})" if c.error else f"{name} {c.median('tps'):.0f}/s"
            for name, c in measured.items()), file=sys.stderr, flush=True)
    return cells


def ratio(a, b):
    return f"{a / b:.2f}" if a is not None and b else ""


def print_row(row, way, theirs, ours):
    if theirs.error or ours.error:
        what = f"PgBouncer: {theirs.error}" if theirs.error else f"pgrecall: {ours.error}"
        print(f"| {row.title} | failed: {what} | | | |")
        return
    spread = [f"{c.median('p99_us') / c.median('p50_us'):.1f}" if c.p50_us else "" for c in (theirs, ours)]
    print(f"| {row.title} | {theirs.median('tps'):.0f} | {ratio(ours.median('tps'), theirs.median('tps'))} | "
          f"{ratio(ours.median('cpu_us'), theirs.median('cpu_us'))} | {' / '.join(spread) if spread[0] else ''} |")


def main(options):
    with Bench(options.workers) as bench:
        authority = Authority(bench.directory)
        certificate = authority.issue("server", "localhost")
        give_to_postgres(certificate)
        targets = {}
        for way in ("plain", "TLS", "SCRAM"):
            for label, kind in (("PgBouncer", Bouncer), ("pgrecall", Own)):
                target = kind(bench, way, certificate)
                bench.started.append(target)
                targets[label, way] = target.start()
        results = [(row, measure_row(bench, row, targets, options)) for row in ROWS
                   if not options.works or any(word in row.title for word in options.works)]
        memory = {key: idle_memory(target, clients=1000, tls=key[1] == "TLS")
                  for key, target in targets.items() if key[1] != "SCRAM"}
    print("\n| connections | PgBouncer, transactions/s | pgrecall, throughput | CPU per transaction | "
          "p99/p50, PgBouncer / pgrecall |\n|---|---|---|---|---|")
    for row, cells in results:
        for way, (theirs, ours) in cells.items():
            print_row(row, way, theirs, ours)
    print("\n| resident KiB per idle client (1,000) | PgBouncer | pgrecall |\n|---|---|---|")
    for way in ("plain", "TLS"):
        print(f"| {way} | {memory['PgBouncer', way]:.1f} | {memory['pgrecall', way]:.1f} |")
    more = memory["pgrecall", "TLS"] - memory["pgrecall", "plain"]
    print(f"| what TLS adds (at most 32) | {memory['PgBouncer', 'TLS'] - memory['PgBouncer', 'plain']:.1f} | "
          f"{more:.1f}: {'reached' if more <= 32 else 'NOT reached'} |")
