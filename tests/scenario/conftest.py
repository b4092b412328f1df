# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Fixtures of the scenario tests.

    def test_something(pgrecall, database):
        proxy = pgrecall(cache={"default": "on"})
        with proxy.connect(database.name) as client:
            assert client.types(client.query("SELECT 1")) == "TDCZ"
        assert proxy.metric("client_connections_accepted_total") == 1

`postgres` is one server for the whole run; `database` a fresh copy of the sample chat in
it; `empty_database` a fresh empty one; `redis` a Redis of this test; `own_postgres` a server
of this test, which may be killed.  `pgrecall(...)` starts the program (tests/lib/daemon.py) and the
end of the test stops it and fails on any sanitizer report.
"""

import itertools
import shutil
import sys
import tempfile
from pathlib import Path

import psycopg2.extensions
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import cached  # noqa: E402
from daemon import Pgrecall, binary  # noqa: E402
from gate import Gate  # noqa: E402
from servers import ROOT, Postgres, Redis  # noqa: E402

SAMPLE_MESSAGES = 2000
numbers = itertools.count(1)


class Database:
    """A database of the private server, reached directly."""

    def __init__(self, server, name):
        self.server = server
        self.name = name

    def psql(self, sql):
        return self.server.psql(sql, self.name)

    @property
    def dsn(self):
        return f"postgresql://postgres@127.0.0.1:{self.server.port}/{self.name}"


def load_sample(server, name):
    server.psql(f"CREATE DATABASE {name}")
    server.tool("psql", "-Xq", "-v", f"messages={SAMPLE_MESSAGES}",
                "-f", ROOT / "conf/sample_chat.sql", name)


@pytest.fixture(scope="session")
def workspace():
    """A temporary directory that the user postgres can reach."""
    path = Path(tempfile.mkdtemp(prefix="pgrecall-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(workspace):
    server = Postgres(workspace)
    server.start()
    load_sample(server, "sample")
    yield server
    server.stop("immediate")


@pytest.fixture
def directory(workspace):
    """A directory of this test."""
    path = workspace / f"test{next(numbers)}"
    path.mkdir()
    path.chmod(0o755)
    return path


def fresh_database(server, template):
    name = f"test{next(numbers)}"
    server.psql(f"CREATE DATABASE {name} TEMPLATE {template}")
    return Database(server, name)


@pytest.fixture
def database(postgres):
    made = fresh_database(postgres, "sample")
    yield made
    postgres.psql(f"DROP DATABASE {made.name} WITH (FORCE)")


@pytest.fixture
def empty_database(postgres):
    made = fresh_database(postgres, "template0")
    yield made
    postgres.psql(f"DROP DATABASE {made.name} WITH (FORCE)")


@pytest.fixture
def own_postgres(directory):
    """A server of this test, with the sample in database `sample`."""
    server = Postgres(directory)
    server.start()
    load_sample(server, "sample")
    yield server
    server.stop("immediate")


@pytest.fixture
def redis(directory):
    server = Redis(directory).start()
    yield server
    server.stop()


@pytest.fixture
def pgrecall(directory, postgres):
    """A function that starts the program; see tests/lib/daemon.py for its arguments."""
    assert binary().exists(), f"{binary()} is not built: run tests/run"
    started = []

    def start(server=None, wait=True, **arguments):
        where = directory / f"pgrecall{len(started)}"
        proxy = Pgrecall(where, server or postgres, **arguments)
        started.append(proxy)
        return proxy.start(wait)

    yield start
    errors = []
    for proxy in started:
        try:
            proxy.stop()
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


@pytest.fixture
def gate(postgres):
    """A scripted way to the server; see tests/lib/gate.py."""
    made = Gate(postgres.port)
    yield made
    made.close()


@pytest.fixture
def make_cached(pgrecall, empty_database, gate):
    """A function that starts the proxy behind the gate, with settings of pgrecall; cached.READ is in the
    cache then."""
    made = []

    def start(**settings):
        empty_database.psql(cached.SCHEMA)
        proxy = pgrecall(databases={"*": f"host=127.0.0.1 port={gate.port}"}, cache={"default": "on"},
                         pgrecall={"workers": 1, "admin_users": "postgres", **settings})
        made.append(cached.Cached(proxy, empty_database.name))
        made[-1].warm(made[-1].client(), cached.READ)
        return made[-1]

    yield start
    gate.close()
    for one in made:
        one.close()


@pytest.fixture
def blocking_psycopg2():
    """Replication by psycopg2 wants no callback for waiting, which other tests set."""
    callback = psycopg2.extensions.get_wait_callback()
    psycopg2.extensions.set_wait_callback(None)
    yield
    psycopg2.extensions.set_wait_callback(callback)
