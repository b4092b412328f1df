# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Private PostgreSQL and Redis servers on free ports of the loopback, for tests and bench."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRIVATE_POSTGRES = ROOT / "tests/lib/private-postgres"


given_ports = set()


def free_port():
    """A port that no outgoing connection is given meanwhile, from below their range, and that
    was not returned before: nobody may listen on it yet."""
    below = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(below // 2, below)
        if port in given_ports:
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                s.bind(("127.0.0.1", port))
                given_ports.add(port)
                return port


def wait_for(condition, seconds=10, what="condition"):
    """Returns the first true value of condition(); fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def listening(port):
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex(("127.0.0.1", port)) == 0


class Postgres:
    """A private server. `directory` must be reachable by the user postgres."""

    def __init__(self, directory, **settings):
        self.data = Path(directory) / "postgres"
        self.port = free_port()
        self.settings = [f"{name} = {value}" for name, value in settings.items()]
        self.bindir = subprocess.run(
            [PRIVATE_POSTGRES, "bindir"], check=True, capture_output=True, text=True
        ).stdout.strip()

    def start(self):
        subprocess.run(
            [PRIVATE_POSTGRES, "start", self.data, str(self.port), *self.settings], check=True
        )
        return self

    def stop(self, mode="fast"):
        subprocess.run([PRIVATE_POSTGRES, "stop", self.data, mode], check=True)

    def kill(self):
        """kill -9 of the postmaster; its children notice and leave."""
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not listening(self.port), what="end of the killed server")
        wait_for(lambda: not self._children(), what="end of the killed server's children")
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def pid(self):
        return int((self.data / "postmaster.pid").read_text().split("\n")[0])

    def _children(self):
        for entry in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if Path(os.readlink(entry)) == self.data:
                    return True
            except OSError:
                continue
        return False

    def log(self):
        return (self.data / "server.log").read_text(errors="replace")

    def psql(self, sql, dbname="postgres", port=None):
        """Runs SQL directly and gives the unaligned rows."""
        return self.tool("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, dbname, port=port)

    def tool(self, name, *args, port=None, user="postgres", check=True, timeout=120):
        env = dict(
            os.environ,
            PGHOST="127.0.0.1",
            PGPORT=str(port or self.port),
            PGUSER=user,
            PGCONNECT_TIMEOUT="10",
        )
        done = subprocess.run(
            [f"{self.bindir}/{name}", *map(str, args)],
            env=env, capture_output=True, text=True, timeout=timeout,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{name} {args}: {done.stdout}{done.stderr}")
        return done.stdout if check else done


class Redis:
    """A private Redis without persistence; it may be stopped in every way."""

    def __init__(self, directory, *options):
        self.directory = Path(directory) / "redis"
        self.directory.mkdir(exist_ok=True)
        self.port = free_port()
        self.options = options
        self.process = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        log = open(self.directory / "redis.log", "ab")
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--daemonize", "no", "--dir", str(self.directory),
             *self.options],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
        )
        log.close()
        wait_for(lambda: self._answers(b"PING\r\n", b"+PONG"), what="start of Redis")
        return self

    def _answers(self, request, answer):
        try:
            return self.command(request).startswith(answer)
        except OSError:
            return False

    def command(self, request):
        """One inline command, such as b"FLUSHALL\\r\\n"; the answer's first bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
            s.sendall(request)
            return s.recv(65536)

    def flush(self):
        assert self.command(b"FLUSHALL\r\n") == b"+OK\r\n"

    def keys(self):
        return int(self.command(b"DBSIZE\r\n")[1:-2])

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def kill(self):
        self.process.kill()
        self.process.wait(10)
        self.process = None

    def restart(self):
        self.stop()
        self.start()

    def hang(self):
        """Connected, and silent."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
