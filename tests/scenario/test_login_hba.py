# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Logins by auth_hba_file and by the account at the other end of a Unix socket."""

import getpass
import subprocess
import time

import pytest

import wire
from daemon import SANITIZERS, binary
from test_login import SECRETS, question, try_login

ME = getpass.getuser()


@pytest.fixture(scope="module")
def accounts(postgres):
    names = [*SECRETS, *({ME} - {"postgres"})]
    for name in names:
        postgres.psql(f'CREATE ROLE "{name}" LOGIN')
    yield
    for name in names:
        postgres.psql(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')


@pytest.fixture
def guard(pgrecall, directory, accounts):
    """Starts the program with these rows; proxy.hba is their file, proxy.ident the maps'."""
    def start(rows, ident=None, more=None, **settings):
        hba, maps = directory / "hba.conf", directory / "ident.conf"
        hba.write_text(rows)
        settings = {"auth_type": "hba", "auth_hba_file": hba, **settings}
        if ident is not None:
            maps.write_text(ident)
            settings["auth_ident_file"] = maps
        proxy = pgrecall(users=SECRETS, pgrecall=settings, **(more or {}))
        proxy.hba, proxy.ident = hba, maps
        return proxy
    return start


def reload(proxy):
    seen = proxy.log().count("reading the configuration again")
    proxy.reload()
    for _ in range(500):
        done = proxy.log().count("configuration read:") + proxy.log().count("nothing was changed")
        if done > seen:
            time.sleep(0.2)  # the workers take it at their next turn
            return
        time.sleep(0.02)
    raise AssertionError("no reload")


def test_the_first_row_decides(guard):
    proxy = guard("""
        # TYPE  DATABASE  USER        ADDRESS        METHOD
        local   all       plain                      trust
        local   all       all                        password
        host    postgres  hashed      127.0.0.1/32   md5
        host    sameuser  all         samehost       trust
        host    sample    "plain",/^scr 127.0.0.0 255.0.0.0 scram-sha-256
        host    all       empty       all            reject
        host    postgres  all         ::1/128        trust
    """)
    assert question(proxy, "plain", unix=True) == 0
    assert question(proxy, "scrammed", unix=True) == 3
    assert question(proxy, "hashed") == 5
    assert question(proxy, "plain", database="sample") == 10
    assert question(proxy, "scrammed", database="sample") == 10
    assert try_login(proxy, "scrammed", "secret", "sample") is None
    assert try_login(proxy, "scrammed", "wrong", "sample")["C"] == "28P01"
    assert try_login(proxy, "hashed", "secret") is None
    assert try_login(proxy, "plain", None, "plain")["C"] == "3D000"  # trusted, and the server has none
    for user, database, text in (
            ("empty", "postgres", "pg_hba.conf rejects connection"),
            ("plain", "postgres", "no pg_hba.conf entry"),
            ("nobody", "nowhere", "no pg_hba.conf entry")):
        error = try_login(proxy, user, "secret", database)
        assert error["C"] == "28000"
        assert error["M"] == f'{text} for host "127.0.0.1", user "{user}", database "{database}", no encryption'


def test_nothing_fits_a_unix_socket(guard):
    proxy = guard("host all all all trust\n")
    error = try_login(proxy, "plain", "secret", unix=True)
    assert error["M"] == 'no pg_hba.conf entry for host "[local]", user "plain", database "postgres", no encryption'


def test_the_messages_are_the_servers(guard, own_postgres):
    """What PostgreSQL itself says to the same client."""
    rows = "host all scrammed all reject\nlocal all all trust\n"
    own_postgres.psql("CREATE ROLE scrammed LOGIN; CREATE ROLE plain LOGIN")
    (own_postgres.data / "pg_hba.conf").write_text(rows)
    own_postgres.psql("SELECT pg_reload_conf()")
    proxy = guard(rows)
    for user in ("scrammed", "plain"):
        told = []
        for port in (own_postgres.port, proxy.port):
            for _ in range(100):
                try:
                    wire.Connection(port).start(user, "sample").close()
                except wire.ServerError as error:
                    told.append({k: v for k, v in error.error.fields().items() if k in "SVCM"})
                    break
                time.sleep(0.05)  # the server has not read its file again yet
        assert len(told) == 2 and told[0] == told[1]


def test_peer_is_the_account(guard):
    proxy = guard("local all all peer\nhost all all all trust\n")
    assert try_login(proxy, ME, None, unix=True) is None
    for user in ("plain", "nobody"):
        error = try_login(proxy, user, None, unix=True)
        assert (error["C"], error["M"]) == ("28000", f'Peer authentication failed for user "{user}"')
    for _ in range(30):  # who leaves while the account is looked up
        conn = wire.Connection(proxy.port, str(proxy.directory))
        conn.send(wire.startup(user=ME, database="postgres")).close()
    assert try_login(proxy, ME, None, unix=True) is None


def test_peer_by_map(guard):
    proxy = guard("local all all peer map=m\n", f'm "{ME}" plain\nm /^({ME[:2]}.*)$ \\1\nm nobody all\nother {ME} all\n')
    assert try_login(proxy, "plain", None, unix=True) is None
    assert try_login(proxy, ME, None, unix=True) is None
    assert try_login(proxy, "hashed", None, unix=True)["C"] == "28000"
    proxy.ident.write_text(f"m {ME} hashed\n")
    reload(proxy)
    assert try_login(proxy, "hashed", None, unix=True) is None
    assert try_login(proxy, "plain", None, unix=True)["C"] == "28000"


def test_auth_type_peer(pgrecall, accounts):
    proxy = pgrecall(users=SECRETS, pgrecall={"auth_type": "peer"})
    assert try_login(proxy, ME, None, unix=True) is None
    assert try_login(proxy, "plain", None, unix=True)["C"] == "28000"
    assert try_login(proxy, ME, None)["C"] == "28000"


def test_reload_takes_all_or_nothing(guard, directory):
    (directory / "rows").mkdir()
    proxy = guard("include_dir rows\n")
    assert try_login(proxy, "plain", "secret")["C"] == "28000"
    (directory / "rows" / "a.conf").write_text("host all @users all trust\n")
    (directory / "rows" / "users").write_text("plain\n")
    reload(proxy)
    assert try_login(proxy, "plain", None) is None
    assert try_login(proxy, "hashed", None)["C"] == "28000"
    (directory / "rows" / "b.conf").write_text("host all all all trust\nhost all all example.org trust\n")
    proxy.configure(pgrecall={"query_timeout": "77s"})
    reload(proxy)
    assert f'{directory}/rows/b.conf:2: "example.org" is no IP address' in proxy.log()
    assert try_login(proxy, "hashed", None)["C"] == "28000"
    assert try_login(proxy, "plain", None) is None
    check = subprocess.run([binary(), "--check-config", proxy.config], capture_output=True, text=True,
                           env={"PATH": "/usr/bin", **SANITIZERS})
    assert check.returncode != 0 and "b.conf:2:" in check.stderr
    (directory / "rows" / "b.conf").write_text("host all all all trust\n")
    reload(proxy)
    assert try_login(proxy, "hashed", None) is None
    check = subprocess.run([binary(), "--check-config", proxy.config], capture_output=True, text=True,
                           env={"PATH": "/usr/bin", **SANITIZERS})
    assert check.returncode == 0, check.stderr


@pytest.mark.parametrize("rows, words", [
    ("host all all all cert\n", "only supported on hostssl"),
    ("hostssl all all all cert\n", "need client_tls_sslmode"),
    ("local all +admins trust\n", "groups (+admins) are not supported"),
    ("local all all gss\n", '"gss" is not supported'),
])
def test_what_cannot_be_is_refused_at_the_start(pgrecall, directory, rows, words):
    (directory / "hba.conf").write_text(rows)
    proxy = pgrecall(wait=False, pgrecall={"auth_type": "hba", "auth_hba_file": directory / "hba.conf"})
    assert proxy.process.wait(20) != 0
    proxy.process = None
    assert words in proxy.log() and "hba.conf:1:" in proxy.log()
