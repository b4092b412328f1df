# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Logins over TLS: rows for TLS only, certificates of clients, channel binding (T-16)."""

import base64
import hashlib
import hmac

import psycopg2
import pytest

import wire
from test_login import SECRETS, question, try_login
from test_login_hba import accounts, guard  # noqa: F401


@pytest.fixture
def ca_file(directory):
    """What the first pgrecall of the test signs with."""
    return directory / "pgrecall0" / "ca.crt"


@pytest.fixture
def guard_tls(guard, ca_file):  # noqa: F811
    def start(rows, ident=None):
        return guard(rows, ident, {"tls": "prefer"}, client_tls_ca_file=ca_file)
    return start


def encrypted(proxy, user, password=None, certificate=None, database="postgres"):
    """As try_login(), over TLS."""
    context = wire.tls_context(proxy.authority.crt, certificate)
    try:
        with wire.Connection(proxy.port, tls=context).start(user, database, password) as conn:
            assert conn.types(conn.query("SELECT 1")) == "TDCZ"
    except wire.ServerError as error:
        return error.error.fields()
    return None


def test_hostssl_and_hostnossl(guard_tls):
    proxy = guard_tls("hostssl all plain all trust\nhostnossl all hashed all trust\n"
                      "hostssl all scrammed all password\nhost all scrammed all scram-sha-256\n")
    assert encrypted(proxy, "plain") is None
    assert try_login(proxy, "hashed", None) is None
    error = encrypted(proxy, "hashed")
    assert error["M"] == 'no pg_hba.conf entry for host "127.0.0.1", user "hashed", database "postgres", SSL encryption'
    assert try_login(proxy, "plain", None)["C"] == "28000"
    assert encrypted(proxy, "scrammed", "secret") is None
    assert encrypted(proxy, "scrammed", "wrong")["C"] == "28P01"
    assert question(proxy, "scrammed") == 10


def test_certificates_by_row(guard_tls):
    proxy = guard_tls("hostssl sample plain all cert\nhostssl sample hashed all cert map=m\n"
                  "hostssl all scrammed all scram-sha-256 clientcert=verify-ca\n"
                  "hostssl all hashed all trust clientcert=verify-full\n"
                  "hostssl all plain all cert clientname=DN map=dn\n",
                  "m /^(.*)-client$ \\1\ndn \"CN=plain,O=Tests\" plain\n")
    plain = proxy.authority.issue("plain", "plain")
    mapped = proxy.authority.issue("mapped", "hashed-client")
    assert encrypted(proxy, "plain", None, plain, "sample") is None
    assert encrypted(proxy, "plain", None, plain) is None  # the whole name
    assert encrypted(proxy, "hashed", None, mapped, "sample") is None
    assert encrypted(proxy, "scrammed", "secret", plain) is None
    assert encrypted(proxy, "scrammed", "wrong", plain)["C"] == "28P01"
    failed = 'certificate authentication failed for user "{}"'
    needs = "connection requires a valid client certificate"
    for user, certificate, database, text in (
            ("plain", mapped, "sample", failed.format("plain")), ("hashed", plain, "sample", failed.format("hashed")),
            ("hashed", plain, "postgres", failed.format("hashed")), ("plain", mapped, "postgres", failed.format("plain")),
            ("plain", None, "sample", needs), ("scrammed", None, "postgres", needs), ("hashed", None, "postgres", needs)):
        error = encrypted(proxy, user, "secret", certificate, database)
        assert (error["C"], error["M"]) == ("28000", text), (user, database)


def test_auth_type_cert(pgrecall, ca_file, accounts):  # noqa: F811
    proxy = pgrecall(users=SECRETS, tls="verify-full", pgrecall={
        "auth_type": "cert", "client_tls_ca_file": ca_file})
    plain = proxy.authority.issue("plain", "plain")
    assert encrypted(proxy, "plain", None, plain) is None
    assert encrypted(proxy, "hashed", None, plain)["M"] == 'certificate authentication failed for user "hashed"'
    assert try_login(proxy, "plain", None, unix=True)["C"] == "28000"


def test_T16_channel_binding(pgrecall, accounts):  # noqa: F811
    """libpq refuses to go on without it when it is told to require it."""
    proxy = pgrecall(users=SECRETS, tls=True, pgrecall={"auth_type": "scram-sha-256"})
    for user in ("plain", "scrammed"):
        for binding in ("require", "prefer", "disable"):
            dsn = (f"host=localhost port={proxy.port} dbname=postgres user={user} password=secret "
                   f"sslmode=require channel_binding={binding}")
            conn = psycopg2.connect(dsn)
            with conn.cursor() as cursor:
                cursor.execute("SELECT current_user")
                assert cursor.fetchone() == (user,)
            conn.close()
            with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
                psycopg2.connect(dsn.replace("=secret", "=wrong"))


@pytest.mark.parametrize("mechanism, first, sqlstate", [
    ("SCRAM-SHA-256", b"y,,n=,r=abc", "28000"),  # the offer of -PLUS was hidden from this client
    ("SCRAM-SHA-256", b"p=tls-server-end-point,,n=,r=abc", "08P01"),
    ("SCRAM-SHA-256-PLUS", b"n,,n=,r=abc", "08P01"),
    ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=,r=abc", "08P01"),
    ("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,a=x,n=,r=abc", "0A000"),
])
def test_T16_downgrades_are_refused(pgrecall, accounts, mechanism, first, sqlstate):  # noqa: F811
    proxy = pgrecall(users=SECRETS, tls=True, pgrecall={"auth_type": "scram-sha-256"})
    with wire.Connection(proxy.port, tls=True) as conn:
        conn.send(wire.startup(user="plain", database="postgres"))
        assert conn.receive().body[4:] == b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
        body = wire.cstr(mechanism) + len(first).to_bytes(4, "big") + first
        conn.send(wire.message("p", body))
        assert conn.rest()[-1].sqlstate() == sqlstate


def test_T16_another_channel_is_refused(pgrecall, accounts):  # noqa: F811
    """The right password, bound to the certificate of somebody in between."""
    proxy = pgrecall(users=SECRETS, tls=True, pgrecall={"auth_type": "scram-sha-256"})
    with wire.Connection(proxy.port, tls=True) as conn:
        conn.send(wire.startup(user="plain", database="postgres"))
        conn.receive()
        header, bare = b"p=tls-server-end-point,,", b"n=,r=abcdef"
        first = header + bare
        conn.send(wire.message("p", wire.cstr("SCRAM-SHA-256-PLUS") + len(first).to_bytes(4, "big") + first))
        server_first = conn.receive().body[4:]
        parts = dict(p.split(b"=", 1) for p in server_first.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", b"secret", base64.b64decode(parts[b"s"]), int(parts[b"i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        final = b"c=" + base64.b64encode(header + bytes(32)) + b",r=" + parts[b"r"]
        auth = bare + b"," + server_first + b"," + final
        signature = hmac.digest(hashlib.sha256(key).digest(), auth, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature))
        conn.send(wire.message("p", final + b",p=" + base64.b64encode(proof)))
        error = conn.rest()[-1].fields()
        assert (error["C"], error["M"]) == ("28000", "SCRAM channel binding check failed")
