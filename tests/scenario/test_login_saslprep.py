# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Passwords that clients and servers change by SASLprep before they use them."""

import psycopg
import pytest

import wire

TYPED = "\u2168\u00a0pa\u00adss"  # Roman numeral, no-break space, soft hyphen
PREPARED = "IX pass"
PROHIBITED = "pass\ue000\u2168"  # private use: counts as its bytes
ROLE = "prepared"


@pytest.fixture
def strict_postgres(own_postgres):
    """A server that asks the role for its password: libpq prepares it."""
    own_postgres.psql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{TYPED}'")
    hba = own_postgres.data / "pg_hba.conf"
    hba.write_text(f"host all {ROLE} all scram-sha-256\n" + hba.read_text())
    own_postgres.psql("SELECT pg_reload_conf()")
    return own_postgres


def user_of(proxy, password):
    with psycopg.connect(host="127.0.0.1", port=proxy.port, dbname="sample", user=ROLE,
                         password=password, autocommit=True) as conn:
        return conn.execute("SELECT session_user").fetchone()[0]


def is_refused(proxy, password):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        user_of(proxy, password)
    return True


def start(pgrecall, server, line="", users=None, env=None, auth_type="scram-sha-256", **settings):
    line = f"host=127.0.0.1 port={server.port} {line}"
    return pgrecall(server=server, databases={"*": line}, users=users, env=env,
                    pgrecall={"auth_type": auth_type, **settings})


@pytest.mark.parametrize("written", [TYPED, PREPARED])
def test_plain_in_auth_file(pgrecall, strict_postgres, written):
    proxy = start(pgrecall, strict_postgres, users={ROLE: written})
    assert user_of(proxy, TYPED) == ROLE
    assert user_of(proxy, PREPARED) == ROLE
    assert is_refused(proxy, "IXpass")


def test_secret_in_auth_file(pgrecall, strict_postgres):
    secret = strict_postgres.psql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{ROLE}'").strip()
    assert secret.startswith("SCRAM-SHA-256$")
    proxy = start(pgrecall, strict_postgres, line="user=postgres", users={ROLE: secret})
    assert user_of(proxy, TYPED) == "postgres"
    assert is_refused(proxy, "IXpass")
    proxy.configure(pgrecall={"auth_type": "plain"})
    proxy.reload()
    proxy.wait_log("auth_type")
    for password in (TYPED, PREPARED):
        with wire.Connection(proxy.port, str(proxy.directory)) as conn:
            conn.start(user=ROLE, database="sample", password=password)


def test_asked_for(pgrecall, strict_postgres):
    proxy = start(pgrecall, strict_postgres, line="user=postgres",
                  auth_user="postgres")
    assert user_of(proxy, TYPED) == "postgres"
    assert user_of(proxy, PREPARED) == "postgres"
    assert is_refused(proxy, "IXpass")
    strict_postgres.psql("CREATE TABLE told (name text, password text)", "sample")
    strict_postgres.psql(f"INSERT INTO told VALUES ('{ROLE}', '{TYPED}')", "sample")
    plain = start(pgrecall, strict_postgres, auth_user="postgres",
                  auth_query="SELECT name, password FROM public.told WHERE name = $1")
    assert user_of(plain, PREPARED) == ROLE
    assert user_of(plain, TYPED) == ROLE


def test_url(pgrecall, strict_postgres):
    """DATABASE_URL, for clients and for the server."""
    url = f"postgres://{ROLE}:%E2%85%A8%C2%A0pa%C2%ADss@127.0.0.1:{strict_postgres.port}/sample"
    proxy = start(pgrecall, strict_postgres, env={"DATABASE_URL": url})
    assert user_of(proxy, TYPED) == ROLE
    assert user_of(proxy, PREPARED) == ROLE


def test_what_cannot_be_prepared_counts_as_its_bytes(pgrecall, strict_postgres):
    strict_postgres.psql(f"ALTER ROLE {ROLE} PASSWORD '{PROHIBITED}'")
    proxy = start(pgrecall, strict_postgres, users={ROLE: PROHIBITED})
    assert user_of(proxy, PROHIBITED) == ROLE
    assert is_refused(proxy, "pass\ue000IX")
