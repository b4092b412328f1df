# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Unix sockets, of clients and of servers."""

import os
import signal
import stat

import psycopg2
import pytest

import wire
from servers import Postgres, wait_for


def works(proxy, host):
    with wire.Connection(proxy.port, host).start() as conn:
        assert conn.types(conn.query("SELECT 1")) == "TDCZ"


def test_mode_and_group_of_the_file(pgrecall):
    group = max(os.getgroups() + [os.getegid()])
    proxy = pgrecall(pgrecall={"unix_socket_mode": "0640", "unix_socket_group": group})
    path = proxy.directory / f".s.PGSQL.{proxy.port}"
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert (path.stat().st_mode & 0o777, path.stat().st_gid) == (0o640, group)
    works(proxy, str(proxy.directory))
    conn = psycopg2.connect(host=str(proxy.directory), port=proxy.port, user="postgres", dbname="postgres")
    conn.close()
    proxy.stop()
    assert not path.exists()


def test_a_group_that_is_not_there(pgrecall):
    proxy = pgrecall(wait=False, pgrecall={"unix_socket_group": "no such group"})
    assert proxy.process.wait(20) != 0
    proxy.process = None
    assert "no group" in proxy.log()


def test_what_a_killed_process_leaves_is_replaced(pgrecall):
    proxy = pgrecall()
    path = proxy.directory / f".s.PGSQL.{proxy.port}"
    proxy.process.send_signal(signal.SIGKILL)
    proxy.process.wait()
    proxy.process = None
    assert path.exists()
    proxy.start()
    works(proxy, str(proxy.directory))


def test_a_socket_in_use_is_left_alone(pgrecall):
    first = pgrecall()
    second = pgrecall(wait=False, pgrecall={"listen_addr": "", "listen_port": first.port,
                                            "unix_socket_dir": first.directory})
    assert second.process.wait(20) != 0
    second.process = None
    assert "Address already in use" in second.log()
    works(first, str(first.directory))


@pytest.mark.parametrize("workers", [1, 3])
def test_abstract_namespace(pgrecall, workers):
    proxy = pgrecall(pgrecall={"unix_socket_dir": f"@pgrecall-{os.getpid()}", "workers": workers, "listen_addr": ""})
    host = f"@pgrecall-{os.getpid()}"
    for _ in range(5):
        works(proxy, host)
    conn = psycopg2.connect(host=host, port=proxy.port, user="postgres", dbname="postgres")
    conn.close()


def test_a_server_behind_a_unix_socket(pgrecall, directory):
    directory.chmod(0o777)
    server = Postgres(directory, unix_socket_directories=f"'{directory}'")
    server.start()
    try:
        proxy = pgrecall(server, databases={"*": f"host={directory} port={server.port}"}, cache={"default": "on"})
        sql = "SELECT client_addr IS NULL FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        for host in (str(proxy.directory), "127.0.0.1"):
            with wire.Connection(proxy.port, host).start() as conn:
                assert conn.query(sql)[1].values() == [b"t"]
        with wire.Connection(proxy.port, str(proxy.directory)).start() as conn:
            conn.send(wire.query("SELECT pg_sleep(60)"))
            running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
            wait_for(lambda: server.psql(running).strip() == "1")
            with wire.Connection(proxy.port, str(proxy.directory)) as other:
                other.send(wire.cancel_request(conn.pid, conn.key))
                assert other.rest() == []
            assert conn.until("Z")[0].kind in "TE"
        proxy.stop()
    finally:
        server.stop("immediate")
