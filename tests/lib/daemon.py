# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""A pgrecall process in front of a private PostgreSQL, watched for sanitizer reports.

VARIANT in the environment changes what holds where a test says nothing itself: words of
`tls` (proxy.connect() and dsn() are encrypted, a raw connection may be plain), `session`
(pool_mode, where the test does not limit the pool, which counts on clients that share it),
`cache` (every read may be cached) and `nocache` ([cache] enabled = off).

    VARIANT="tls session" tests/run scenario -- test_prepared.py
"""

import os
import re
import signal
import subprocess
from pathlib import Path

import metrics
import wire
from certificates import Authority
from servers import ROOT, free_port, wait_for

REPORT = re.compile(r"^.*(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:).*$", re.M)
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=99:second_deadlock_stack=1",
}


VARIANT = set(os.environ.get("VARIANT", "").split())
assert VARIANT <= {"tls", "session", "cache", "nocache"}, f"VARIANT: {VARIANT}"
assert not VARIANT >= {"cache", "nocache"}, "VARIANT: cache or nocache"


def binary():
    """The program under test: $PGRECALL, or the sanitizer build of tests/run."""
    return Path(os.environ.get("PGRECALL", ROOT / "build-test/pgrecall"))


class Pgrecall:
    """Sections are keyword arguments: cache={"default": "on"}, rules={"name": {...}}.

    Every database of the server is offered under its own name; clients are trusted;
    user `tester` has the password `secret`; USERS are others, with the lines' secrets.  The
    program also listens on a Unix socket in `directory`.  TLS: True, or a client_tls_sslmode;
    then clients made here are encrypted, and `authority` has signed the certificate.  False:
    plain in every VARIANT.
    """

    def __init__(self, directory, postgres, redis=None, env=None, rules=None, users=None, tls=None, user_limits=None, **sections):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.postgres = postgres
        self.port = free_port()
        self.http = free_port()
        self.env = env or {}
        self.process = None
        self.config = self.directory / "pgrecall.ini"
        self.log_path = self.directory / "pgrecall.log"
        self.sections = {
            "databases": {"*": f"host=127.0.0.1 port={postgres.port}"},
            "pgrecall": {
                "listen_addr": "127.0.0.1",
                "listen_port": self.port,
                "auth_type": "trust",
                "auth_file": self.directory / "userlist.txt",
                "unix_socket_dir": self.directory,
                "workers": 2,
                "default_pool_size": 20,
                "min_pool_size": 0,
            },
            "http": {"listen": f"127.0.0.1:{self.http}"},
        }
        if redis is not None:
            # Sanitizers are slow: the real limit of 20 ms is tested where it is meant.
            self.sections["redis"] = {"url": redis.url, "timeout": "1s"}
        self.tls = self.authority = None
        if tls is None and "tls" in VARIANT and "client_tls_sslmode" not in sections.get("pgrecall", {}):
            tls = "allow"
        if "session" in VARIANT and "default_pool_size" not in sections.get("pgrecall", {}):
            self.sections["pgrecall"]["pool_mode"] = "session"
        if "cache" in VARIANT:
            self.sections["cache"] = {"default": "on"}
        if "nocache" in VARIANT and not rules and "cache" not in sections:
            self.sections["cache"] = {"enabled": "off"}
        if tls:
            self.authority = Authority(self.directory)
            self.certificate = self.authority.issue("server", "localhost")
            self.tls = wire.tls_context(self.authority.crt)
            self.sections["pgrecall"].update({
                "client_tls_sslmode": "require" if tls is True else tls,
                "client_tls_key_file": self.certificate.key,
                "client_tls_cert_file": self.certificate.crt})
        self.write_users({"postgres": "", "tester": "secret"} if users is None else users)
        if user_limits:  # the section [users]
            sections["users"] = user_limits
        self.configure(rules=rules, **sections)

    def write_users(self, users):
        lines = (f'"{name}" "{secret}"\n' for name, secret in users.items())
        (self.directory / "userlist.txt").write_text("".join(lines))

    def configure(self, rules=None, **sections):
        """Changes settings and writes the file; follow with start() or reload()."""
        for name, rows in (rules or {}).items():
            self.sections.setdefault(f"rule {name}", {}).update(rows)
        for section, rows in sections.items():
            self.sections.setdefault(section, {}).update(rows)
        self.config.write_text("\n".join(
            f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items())
            for section, rows in self.sections.items()))

    def start(self, wait=True):
        clean = {k: v for k, v in os.environ.items()
                 if k not in ("DATABASE_URL", "REDIS_URL") and not k.startswith(("DB_POOL_", "PG"))}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [binary(), "serve", "--config", self.config],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**clean, **SANITIZERS, **self.env},
            )
        if wait:
            wait_for(self.ready, 20, "start of pgrecall")
        return self

    def ready(self):
        assert self.process.poll() is None, f"pgrecall ended at its start:\n{self.log()}"
        try:
            return metrics.fetch(self.http, "/readyz", 2)[0] == 200
        except OSError:
            return False

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, pattern, seconds=10):
        """The first match of a regular expression in the log."""
        return wait_for(lambda: re.search(pattern, self.log()), seconds, f"log line {pattern!r}")

    def get(self, path):
        return metrics.fetch(self.http, path)

    def metrics(self):
        status, text = metrics.fetch(self.http)
        assert status == 200, text
        return metrics.Metrics(text)

    def metric(self, name, **labels):
        return self.metrics().sum(name, **labels)

    def connect(self, database, user="postgres", **parameters):
        """A raw connection, logged in."""
        return wire.Connection(self.port, tls=self.tls).start(user=user, database=database, **parameters)

    def warm(self, database):
        """Waits until the database's catalogue is read: from then on reads are cached."""
        with self.connect(database) as conn:
            conn.query("SELECT 1")
            self.wait_log(f"database {database}: catalogue with")

    def dsn(self, database, user="postgres"):
        tls = f"?sslmode=verify-full&sslrootcert={self.authority.crt}" if self.authority else ""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}{tls}"

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Ends it and checks that it ended well: status 0, no sanitizer report."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(number)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = f"still running {seconds} s after signal {number}"
        report = REPORT.search(self.log())
        assert report is None, f"{report.group(0)}\n{self.log()[report.start():][:8000]}"
        assert status == 0, f"pgrecall ended with status {status}:\n{self.log()[-4000:]}"

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
