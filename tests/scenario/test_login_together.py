# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Ways to log in that meet: auth_hba_file with auth_query, the console, replication and
certificates; and who an account is that the kernel cannot name."""

import os

import pytest

import wire
from test_auth_query import counts, role  # noqa: F401
from test_login import question, try_login
from test_login_tls import encrypted


@pytest.fixture
def guard(pgrecall, directory):
    """Starts the program with these rows; who is not in auth_file is asked for."""
    def start(rows, users=None, tls=None, **settings):
        (directory / "hba.conf").write_text(rows)
        settings = {"auth_type": "hba", "auth_hba_file": directory / "hba.conf", "auth_user": "postgres", **settings}
        return pgrecall(users={"postgres": "", "filed": "secret"} if users is None else users, tls=tls, pgrecall=settings)
    return start


def n_asked(proxy):
    return sum(counts(proxy).values())


def test_the_row_decides_before_anybody_is_asked_for(guard, role):  # noqa: F811
    """auth_query is asked for those whom a row lets prove who they are, and for no others."""
    known, trusted, rejected = role(), role(), role()
    proxy = guard(f"""
        host all {rejected}          all reject
        host all {trusted}           all trust
        host all {known},unknown     all scram-sha-256
        host all filed               all scram-sha-256
    """)
    for user, words in ((rejected, "pg_hba.conf rejects connection"), ("nowhere", "no pg_hba.conf entry")):
        error = try_login(proxy, user, "right")
        assert error["C"] == "28000" and error["M"].startswith(words)
    assert try_login(proxy, trusted, None) is None
    assert try_login(proxy, "filed", "wrong")["C"] == "28P01"
    assert n_asked(proxy) == 0
    assert try_login(proxy, known, "right") is None
    assert n_asked(proxy) == 1
    assert try_login(proxy, known, "wrong")["C"] == "28P01"
    assert try_login(proxy, "unknown", "right")["C"] == "28P01"
    assert question(proxy, known) == question(proxy, "unknown") == 10


@pytest.mark.parametrize("method, number, unix", [("md5", 10, False), ("scram-sha-256", 10, False), ("password", 3, True)])
def test_each_method_of_a_row_takes_what_was_asked_for(guard, role, method, number, unix):  # noqa: F811
    known = role()
    proxy = guard(f"local all all {method}\nhost all all all {method}\n")
    for user in (known, "unknown"):
        assert question(proxy, user, unix=unix) == number
    assert try_login(proxy, known, "right", unix=unix) is None
    for user, password in ((known, "wrong"), ("unknown", "right")):
        error = try_login(proxy, user, password, unix=unix)
        assert (error["C"], error["M"]) == ("28P01", f'password authentication failed for user "{user}"')


def test_hba_and_the_console(guard, role):  # noqa: F811
    """A row names the console as a database, and its users prove who they are as others do."""
    known = role()
    proxy = guard(f"""
        host pgbouncer filed    127.0.0.1/32 scram-sha-256
        host pgbouncer {known}  127.0.0.1/32 scram-sha-256
        host pgbouncer other    127.0.0.1/32 trust
        host pgrecall  all      127.0.0.1/32 reject
        host postgres  all      127.0.0.1/32 trust
    """, admin_users=f"filed,banned,{known}", stats_users="postgres", auth_dbname="postgres")

    def shows(user, password, database="pgbouncer", unix=False):
        host = str(proxy.directory) if unix else "127.0.0.1"
        try:
            with wire.Connection(proxy.port, host).start(user, database, password) as conn:
                return conn.types(conn.query("SHOW VERSION"))
        except wire.ServerError as error:
            return error.error.fields()["C"]

    assert shows("filed", "secret") == "TDCZ"
    assert shows(known, "right") == "TDCZ"
    assert shows("filed", "wrong") == shows(known, "wrong") == "28P01"
    assert shows("other", None) == "42501"  # let in, and nobody there
    assert shows("banned", "secret") == "28000"  # an administrator without a row
    assert shows("postgres", None) == "28000"  # trusted elsewhere
    assert shows("filed", "secret", "pgrecall") == "28000"
    # the process's own user needs no row on the Unix socket: it could read the file as well
    assert shows("pgbouncer", None, unix=True) == shows("pgrecall", None, "pgrecall", unix=True) == "TDCZ"
    assert shows("pgbouncer", None) == "28000"
    assert shows("filed", "secret", unix=True) == "28000"


def test_hba_and_replication(guard, database, role):  # noqa: F811
    """`replication` is for physical ones, which `all` is not for; logical ones name a database."""
    walker, reader = role("LOGIN REPLICATION PASSWORD 'right'"), role("LOGIN REPLICATION PASSWORD 'right'")
    proxy = guard(f"""
        host all         {walker}  all reject
        host replication {walker}  all scram-sha-256
        host {database.name} {reader} all scram-sha-256
        host replication {reader}  all reject
    """, auth_dbname="postgres")

    def error_of(user, how, name, password="right"):
        try:
            with wire.Connection(proxy.port).start(user, name, password, replication=how) as conn:
                assert conn.types(conn.query("IDENTIFY_SYSTEM")) == "TDCZ"
        except wire.ServerError as error:
            return error.error.fields()["M"]
        return None

    assert error_of(walker, "true", "replication") is None
    assert error_of(walker, "true", database.name) is None  # physical whatever it names
    assert "password authentication failed" in error_of(walker, "true", "replication", "wrong")
    assert "pg_hba.conf rejects" in error_of(walker, "database", database.name)
    assert error_of(reader, "database", database.name) is None
    assert "pg_hba.conf rejects" in error_of(reader, "true", "replication")
    assert "no pg_hba.conf entry" in error_of(reader, "database", "postgres")
    assert "password authentication failed" in error_of(reader, "database", database.name, "wrong")


def test_certificates_and_auth_query(pgrecall, directory, role):  # noqa: F811
    """A certificate is enough for who is not in auth_file; with clientcert the password of the
    server is asked for as well; and a certificate of somebody else asks nobody."""
    known, other = role(), role()
    (directory / "hba.conf").write_text(f"""
        hostssl postgres  {known}   all cert
        hostssl sample    all       all scram-sha-256 clientcert=verify-full
        hostssl all       ghost     all cert
    """)
    # who has signed our certificate signs the clients', too
    proxy = pgrecall(tls="verify-full", pgrecall={
        "auth_type": "hba", "auth_hba_file": directory / "hba.conf", "auth_user": "postgres",
        "client_tls_ca_file": directory / "pgrecall0" / "ca.crt"})
    own = {user: proxy.authority.issue(user, user) for user in (known, other, "ghost")}
    assert encrypted(proxy, known, None, own[other])["C"] == "28000"
    assert encrypted(proxy, other, "right", own[known], "sample")["C"] == "28000"
    assert n_asked(proxy) == 0
    assert encrypted(proxy, known, None, own[known]) is None
    assert encrypted(proxy, other, "right", own[other], "sample") is None
    assert encrypted(proxy, other, "wrong", own[other], "sample")["C"] == "28P01"
    error = encrypted(proxy, "ghost", None, own["ghost"])  # proven, and the server has no such role
    assert error["C"] == "28000" and 'role "ghost" does not exist' in error["M"]


def as_account(uid, login):
    """What login() says in a process of that account."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        text = "failed"
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            text = str(login())
        finally:
            os.write(writer, text.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


def test_peer_of_an_account_that_the_kernel_cannot_name(pgrecall, postgres):
    """In a user namespace every account from outside looks like the overflow uid, which
    /etc/passwd calls nobody: it is no proof of anything."""
    uid = int(open("/proc/sys/kernel/overflowuid").read())
    postgres.psql("CREATE ROLE nobody LOGIN; CREATE ROLE daemon LOGIN")
    try:
        proxy = pgrecall(pgrecall={"auth_type": "peer", "unix_socket_mode": "0777"})
        proxy.directory.chmod(0o755)
        assert try_login(proxy, "nobody", None, unix=True)["C"] == "28000"
        if os.geteuid() == 0:  # else there is one account only
            assert as_account(1, lambda: try_login(proxy, "daemon", None, unix=True)) == "None"
            assert "Peer authentication failed" in as_account(uid, lambda: try_login(proxy, "nobody", None, unix=True))
    finally:
        postgres.psql("DROP ROLE nobody; DROP ROLE daemon")
