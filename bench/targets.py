# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""What bench/ measures: a server, the proxies in front of it, and the two yardsticks.

Each target has a port, start() and stop(), and processes() whose CPU time and memory
count.  All run on loopback, in a temporary directory, as a user who is not root where the
program wants that.
"""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/lib"))

import wire  # noqa: E402
from daemon import Pgrecall  # noqa: E402
from servers import Postgres, Redis, free_port, listening, wait_for  # noqa: E402

BUILD = ROOT / "build-bench"
DATABASE = "chat"
TICKS = os.sysconf("SC_CLK_TCK")


def build():
    """The release build and the yardsticks."""
    os.environ["PGRECALL"] = str(BUILD / "pgrecall")
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, ROOT, "--buildtype=release", "-Dbench=true",
                        "-Dtests=false"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "--quiet", "-C", BUILD], check=True, stdout=subprocess.DEVNULL)


def raise_descriptor_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def as_postgres(command):
    """Programs that refuse root are run as the user postgres."""
    if os.getuid() != 0:
        return command
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", "--", *command]


def cpu_seconds(pids):
    """User and system time of processes, over all their threads."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident_bytes(pids):
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


def children(pid):
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.name))
    return found


class Target:
    """A program in front of the server; `name` is its row."""

    name = ""
    end_signal = signal.SIGTERM

    def __init__(self, bench):
        self.bench = bench
        self.port = free_port()
        self.process = None

    def directory(self):
        path = self.bench.directory / self.name.replace(" ", "-")
        path.mkdir(mode=0o755, exist_ok=True)
        return path

    def launch(self, command):
        with open(self.directory() / "log", "ab") as log:
            self.process = subprocess.Popen(
                [str(c) for c in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True, cwd=self.directory())
        wait_for(lambda: listening(self.port), 20, f"start of {self.name}")
        return self

    def stop(self):
        if self.process is not None:
            self.process.send_signal(self.end_signal)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def processes(self):
        return [self.process.pid]

    def port_for(self, _mode):
        return self.port

    def cpu(self, _mode):
        return cpu_seconds(self.processes())

    def prepare(self, _work, _mode):
        """Called before a cell is measured."""

    def supports(self, _work, _mode):
        return True


class Direct(Target):
    name = "PostgreSQL directly"

    def start(self):
        self.port = self.bench.postgres.port
        return self

    def stop(self):
        pass

    def cpu(self, _mode):
        return 0.0


class Floor(Target):
    """Started anew for each kind of work, with its answer."""

    name = "floor"
    work = None

    def start(self):
        return self

    def prepare(self, work, mode):
        if self.work is work:
            return
        self.stop()
        self.work = work
        answer = self.directory() / "answer"
        with wire.Connection(self.bench.postgres.port).start(database=DATABASE) as conn:
            messages = conn.query(work.literal())
        assert messages[0].kind == "T" and messages[-2].kind == "C", messages
        answer.write_bytes(b"".join(m.raw for m in messages[:-1]))
        self.launch([BUILD / "bench/floor", self.port, answer])


class Relay(Target):
    name = "relay"

    def start(self):
        return self.launch([BUILD / "bench/relay", self.port, self.bench.postgres.port])


class PgBouncer(Target):
    """Transaction mode; where it cannot do prepared statements there, session mode for those."""

    name = "PgBouncer"

    def start(self):
        text = subprocess.run(["pgbouncer", "--version"], capture_output=True, text=True).stdout
        major, minor = (int(n) for n in text.split()[1].split(".")[:2])
        self.prepares = (major, minor) >= (1, 21)
        self.session = None if self.prepares else PgBouncer(self.bench)
        self.run("transaction")
        if self.session is not None:
            self.session.name = "PgBouncer session"
            self.session.prepares = False
            self.session.session = None
            self.session.run("session")
        return self

    def run(self, mode):
        where = self.directory()
        (where / "users").write_text('"postgres" ""\n')
        prepared = "max_prepared_statements = 200\n" if self.prepares else ""
        (where / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.bench.postgres.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {where}/users\npool_mode = {mode}\n"
            f"max_client_conn = 2000\ndefault_pool_size = 64\nlog_connections = 0\n"
            f"log_disconnections = 0\nlog_stats = 0\n{prepared}")
        self.launch(as_postgres(["pgbouncer", "-q", where / "pgbouncer.ini"]))

    def of(self, mode):
        return self.session if mode == "prepared" and self.session is not None else self

    def port_for(self, mode):
        return self.of(mode).port

    def cpu(self, mode):
        return cpu_seconds(self.of(mode).processes())

    def stop(self):
        if self.session is not None:
            self.session.stop()
        super().stop()


class Pgpool(Target):
    """pgpool-II with its query cache in shared memory."""

    name = "pgpool-II cache"
    end_signal = signal.SIGINT  # fast; SIGTERM would wait for its clients

    def start(self):
        where = self.directory()
        (where / "oid").mkdir(exist_ok=True)
        settings = {
            "listen_addresses": "'127.0.0.1'", "port": self.port, "pcp_port": free_port(),
            "socket_dir": f"'{where}'", "pcp_socket_dir": f"'{where}'", "wd_ipc_socket_dir": f"'{where}'",
            "unix_socket_directories": f"'{where}'", "pcp_listen_addresses": "''",
            "backend_clustering_mode": "'raw'", "backend_hostname0": "'127.0.0.1'",
            "backend_port0": self.bench.postgres.port, "backend_weight0": 1,
            "backend_flag0": "'DISALLOW_TO_FAILOVER'", "enable_pool_hba": "off", "pool_passwd": "''",
            "num_init_children": 70, "max_pool": 1, "pid_file_name": f"'{where}/pid'",
            "logdir": f"'{where}'", "work_dir": f"'{where}'", "memory_cache_enabled": "on",
            "memqcache_method": "'shmem'", "memqcache_total_size": 67108864,
            "memqcache_oiddir": f"'{where}/oid'", "memqcache_expire": 0, "log_min_messages": "error",
        }
        (where / "pgpool.conf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()))
        (where / "pcp.conf").write_text("")
        (where / "hba").write_text("")
        if os.getuid() == 0:
            for path in (where, where / "oid"):
                shutil.chown(path, "postgres")
        return self.launch(as_postgres([
            "pgpool", "-n", "-D", "-f", where / "pgpool.conf", "-F", where / "pcp.conf", "-a", where / "hba"]))

    def processes(self):
        return [self.process.pid, *children(self.process.pid)]


class Proxy(Target):
    """pgrecall with a cache setting."""

    settings = {}
    redis = False

    def start(self):
        self.daemon = Pgrecall(
            self.directory(), self.bench.postgres, redis=self.bench.redis if self.redis else None,
            pgrecall={"workers": self.bench.workers, "default_pool_size": 64, "log_connections": 0,
                      "log_disconnections": 0, "max_client_conn": 5000},
            cache=self.settings, log={"level": "warning"})
        if self.redis:
            self.daemon.configure(redis={"timeout": "20ms"})
        self.configure()
        self.daemon.start()
        self.port = self.daemon.port
        return self

    def configure(self):
        """More settings, before the start."""

    def stop(self):
        self.daemon.stop()

    def processes(self):
        return [self.daemon.process.pid]


class PassThrough(Proxy):
    name = "pgrecall no cache"
    settings = {"enabled": "off"}


class RedisHit(Proxy):
    name = "pgrecall L2 hit"
    settings = {"default": "on", "l1_size": 0}
    redis = True


class MemoryHit(Proxy):
    name = "pgrecall L1 hit"
    settings = {"default": "on"}


def idle_memory(target, clients=1000, tls=False):
    """Resident KiB that one more idle, logged-in client costs the proxy.

    The first clients are not counted: they pay for what is allocated once.
    """
    held = [wire.Connection(target.port, tls=tls or None).start(database=DATABASE) for _ in range(50)]
    time.sleep(0.5)
    before = resident_bytes(target.processes())
    held += [wire.Connection(target.port, tls=tls or None).start(database=DATABASE) for _ in range(clients)]
    time.sleep(0.5)
    after = resident_bytes(target.processes())
    for conn in held:
        conn.socket.shutdown(socket.SHUT_RDWR)
        conn.close()
    return (after - before) / 1024 / clients


# In the order of their turns: those that are compared are neighbours.
TARGETS = [Direct, RedisHit, Pgpool, Floor, MemoryHit, PgBouncer, PassThrough, Relay]


class Bench:
    """The private servers with the sample chat, and the targets that were started."""

    def __init__(self, workers):
        self.workers = workers
        self.directory = Path(tempfile.mkdtemp(prefix="pgrecall-bench-"))
        self.directory.chmod(0o755)
        self.started = []
        self.postgres = None
        self.redis = None

    def __enter__(self):
        self.postgres = Postgres(
            self.directory, shared_buffers="512MB", autovacuum="off", jit="off",
            max_connections=400).start()
        self.postgres.psql(f"CREATE DATABASE {DATABASE}")
        self.postgres.tool("psql", "-Xq", "-f", ROOT / "conf/sample_chat.sql", DATABASE)
        self.redis = Redis(self.directory).start()
        return self

    def start(self, kind):
        target = kind(self)
        self.started.append(target)
        return target.start()

    def __exit__(self, *_):
        for target in reversed(self.started):
            try:
                target.stop()
            except (AssertionError, OSError, subprocess.SubprocessError) as error:
                print(f"{target.name}: {error}", file=sys.stderr)
        if self.redis is not None:
            self.redis.stop()
        if self.postgres is not None:
            self.postgres.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)
