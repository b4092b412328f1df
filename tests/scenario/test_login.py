# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Logins of clients: each method, with the right secret and without (T-15 to T-25)."""

import asyncio
import struct
import time

import asyncpg
import psycopg
import psycopg2
import pytest

import wire
from servers import wait_for
from wire import cstr, message

LONG = "long " * 400
SECRETS = {
    "plain": "secret",
    "hashed": wire.md5_secret("hashed", "secret"),
    "scrammed": wire.scram_secret("secret"),
    "empty": "",
    "lengthy": LONG,
}
METHODS = ["plain", "password", "md5", "scram-sha-256"]


@pytest.fixture(scope="module")
def roles(postgres):
    for name in SECRETS:
        postgres.psql(f"CREATE ROLE {name} LOGIN")
    yield
    for name in SECRETS:
        postgres.psql(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.fixture
def gate(pgrecall, roles):
    """Starts the program with a method and users."""
    def start(auth_type, users=SECRETS, **sections):
        settings = {"auth_type": auth_type, **sections.pop("pgrecall", {})}
        return pgrecall(users=users, pgrecall=settings, **sections)
    return start


def try_login(proxy, user, password, database="postgres", unix=False, **parameters):
    """None when it succeeded and a query works, else the fields of the error."""
    host = str(proxy.directory) if unix else "127.0.0.1"
    try:
        with wire.Connection(proxy.port, host).start(user, database, password, **parameters) as conn:
            assert conn.types(conn.query("SELECT 1")) == "TDCZ"
    except wire.ServerError as error:
        return error.error.fields()
    return None


def question(proxy, user, unix=False, database="postgres"):
    """The number of the first authentication request."""
    with wire.Connection(proxy.port, str(proxy.directory) if unix else "127.0.0.1") as conn:
        conn.send(wire.startup(user=user, database=database))
        answer = conn.receive()
        assert answer.kind == "R", answer
        return struct.unpack("!i", answer.body[:4])[0]


WORKS = [
    ("md5", "plain"), ("md5", "hashed"), ("md5", "scrammed"), ("md5", "lengthy"),
    ("scram-sha-256", "plain"), ("scram-sha-256", "scrammed"), ("scram-sha-256", "lengthy"),
    ("plain", "plain"), ("plain", "hashed"), ("plain", "scrammed"), ("password", "lengthy"),
]


@pytest.mark.parametrize("method", METHODS)
def test_who_gets_in_with_which_secret(gate, method):
    proxy = gate(method)
    unix = method in ("plain", "password")
    method = "plain" if unix else method
    for user in SECRETS:
        right = LONG if user == "lengthy" else "secret"
        error = try_login(proxy, user, right, unix=unix)
        if (method, user) in WORKS or (method == "plain" and user == "lengthy"):
            assert error is None, (user, error)
        else:
            assert error["C"] == "28P01", (user, error)
        for wrong in ("Secret", "secret ", "", "x" * 5000, SECRETS[user]):
            if wrong == right:
                continue
            error = try_login(proxy, user, wrong, unix=unix)
            assert error is not None and error["C"] == "28P01", (user, wrong)
            assert error["M"] == f'password authentication failed for user "{user}"'
    assert "secret" not in proxy.log().replace("scram-sha-256", "")


@pytest.mark.parametrize("method", METHODS)
def test_drivers_log_in(gate, method):
    proxy = gate(method)
    host = str(proxy.directory) if method in ("plain", "password") else "127.0.0.1"
    options = dict(host=host, port=proxy.port, user="plain", password="secret")

    async def run():
        conn = await asyncpg.connect(database="postgres", ssl=False, **options)
        assert await conn.fetchval("SELECT 1") == 1
        await conn.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(database="postgres", ssl=False, **{**options, "password": "wrong"})

    asyncio.run(run())
    for driver in (psycopg, psycopg2):
        conn = driver.connect(dbname="postgres", **options)
        cursor = conn.cursor()
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("plain",)
        conn.close()
        with pytest.raises(driver.OperationalError, match="password authentication failed"):
            driver.connect(dbname="postgres", **{**options, "password": "wrong"})


def test_clear_text_needs_a_private_connection(gate):
    proxy = gate("plain")
    error = try_login(proxy, "plain", "secret")
    assert error["C"] == "28000" and "clear text" in error["M"]


def test_T15_nobody_looks_like_a_wrong_password(gate):
    for method in METHODS:
        proxy = gate(method)
        unix = method in ("plain", "password")
        wrong = try_login(proxy, "plain", "wrong", unix=unix)
        for user, database in (("nobody", "postgres"), ("nobody", "nowhere"), ("empty", "postgres"),
                               ("plain", "nowhere"), ("n" * 63, "d" * 63)):
            error = try_login(proxy, user, "wrong", database, unix=unix)
            assert {**error, "M": ""} == {**wrong, "M": ""}, (method, user)
            assert error["M"] == wrong["M"].replace("plain", user)
            assert question(proxy, user, unix, database) == question(proxy, "plain", unix)
        assert try_login(proxy, "plain", "secret", "nowhere", unix=unix)["C"] == "3D000"


@pytest.mark.parametrize("secrets, number", [
    ({"plain": "secret", "hashed": SECRETS["hashed"]}, 5), ({"scrammed": SECRETS["scrammed"]}, 10)])
def test_T15_nobody_is_asked_what_the_others_are(gate, secrets, number):
    proxy = gate("md5", secrets)
    assert {question(proxy, user) for user in (*secrets, "nobody")} == {number}


def test_T15_nobody_takes_as_long(gate):
    """Medians: one derivation each, whether there is such a user or not."""
    proxy = gate("plain")

    def median(user):
        times = []
        for _ in range(21):
            begun = time.monotonic()
            assert try_login(proxy, user, "wrong", unix=True)["C"] == "28P01"
            times.append(time.monotonic() - begun)
        return sorted(times)[10]

    known, unknown = median("plain"), median("nobody")
    assert max(known, unknown) / min(known, unknown) < 3, (known, unknown)


@pytest.mark.parametrize("size", [800, 2048, 10000, 65000])
def test_T18_long_passwords_in_pieces(gate, size):
    proxy = gate("plain", {"plain": wire.scram_secret("p" * size)})
    with wire.Connection(proxy.port, str(proxy.directory)) as conn:
        conn.send(wire.startup(user="plain", database="postgres"))
        assert conn.receive().body == struct.pack("!i", 3)
        password = message("p", cstr("p" * size))
        for at in range(0, len(password), 1500):
            conn.send(password[at:at + 1500])
            time.sleep(0.001)
        assert conn.until("Z")[0].body == bytes(4)
    assert try_login(proxy, "plain", "p" * (size - 1), unix=True)["C"] == "28P01"


@pytest.mark.parametrize("method", ["plain", "md5"])
@pytest.mark.parametrize("answer", [
    message("p"), message("p", b"secret"), message("p", b"a\0b\0"), message("p", b"\0"), message("p", cstr("md5")),
    message("p", cstr("md5" + "0" * 32)), message("p", cstr("md5" + "0" * 33)), message("p", cstr("x" * 65536)),
    b"p" + struct.pack("!i", 3), b"p" + struct.pack("!i", 0x7FFFFFFF), b"p" + struct.pack("!i", -1), message("X"),
    message("Q", cstr("SELECT 1")), wire.startup(user="plain"), b"\0" * 5, b"\xff" * 100])
def test_T17_answers_have_bounds(gate, method, answer):
    proxy = gate(method)
    with wire.Connection(proxy.port, str(proxy.directory)) as conn:
        conn.send(wire.startup(user="plain", database="postgres"))
        assert conn.receive().kind == "R"
        conn.send(answer)
        rest = conn.rest()
        assert [m.kind for m in rest] == ["E"] and rest[0].sqlstate() in ("28P01", "08P01"), rest
    assert try_login(proxy, "plain", "secret", unix=True) is None


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_T12_an_answer_that_does_not_come(gate, method):
    proxy = gate(method, pgrecall={"client_login_timeout": "1s"})
    begun = time.monotonic()
    with wire.Connection(proxy.port, str(proxy.directory)) as conn:
        conn.send(wire.startup(user="plain", database="postgres"))
        assert conn.receive().kind == "R"
        conn.send(b"p\0\0")
        assert [m.kind for m in conn.rest()] == ["E"]
    assert 0.8 < time.monotonic() - begun < 6


def test_md5_salts_differ_and_old_answers_are_refused(gate):
    proxy = gate("md5")
    with wire.Connection(proxy.port) as first, wire.Connection(proxy.port) as second:
        salts = []
        for conn in (first, second):
            conn.send(wire.startup(user="plain", database="postgres"))
            salts.append(conn.receive().body[4:])
        assert salts[0] != salts[1]
        second.send(wire.md5_answer("plain", "secret", salts[0]))
        assert second.receive().sqlstate() == "28P01"


def require_passwords(server):
    """The server wants the password of `scrammed`."""
    server.psql("CREATE ROLE scrammed LOGIN PASSWORD 'secret'")
    hba = server.data / "pg_hba.conf"
    hba.write_text("host all scrammed 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
    server.psql("SELECT pg_reload_conf()")
    wait_for(lambda: "reloading configuration" in server.log() or "SIGHUP" in server.log())


def test_the_server_gets_the_password_that_was_told(gate, own_postgres):
    """Of `scrammed` only a secret is known: a clear-text login tells the password."""
    require_passwords(own_postgres)
    proxy = gate("plain", server=own_postgres)
    assert try_login(proxy, "scrammed", "secret", "sample", unix=True) is None


def test_T21_a_secret_is_not_enough_for_the_server(gate, own_postgres):
    require_passwords(own_postgres)
    proxy = gate("scram-sha-256", server=own_postgres)
    error = try_login(proxy, "scrammed", "secret", "sample")
    assert error["C"] == "28000" and "password" in error["M"] and "auth_file" in error["M"], error
    proxy.configure(databases={"*": f"host=127.0.0.1 port={own_postgres.port} user=scrammed password=secret"})
    proxy.reload()
    proxy.wait_log("configuration read: 1 changed")
    # each worker takes the configuration for itself
    wait_for(lambda: try_login(proxy, "scrammed", "secret", "sample") is None)


def test_any_ignores_the_name(gate, postgres):
    target = f"host=127.0.0.1 port={postgres.port} user=plain"
    proxy = gate("any", databases={"*": target}, pgrecall={"workers": 1, "pool_mode": "transaction"})
    for name in ("somebody", "postgres", "x"):
        with wire.Connection(proxy.port).start(name, "postgres") as conn:
            rows = conn.query("SELECT current_user, session_user")
            assert rows[1].values() == [b"plain", b"plain"]
    assert proxy.metric("pool_connections") == 1


def test_reload_changes_method_and_secrets(gate):
    proxy = gate("scram-sha-256")
    assert question(proxy, "plain") == 10
    proxy.write_users({"plain": "other"})
    proxy.configure(pgrecall={"auth_type": "md5"})
    proxy.reload()
    proxy.wait_log("configuration read: 1 changed")
    for _ in range(4):  # each worker takes the configuration for itself
        wait_for(lambda: question(proxy, "plain") == 5)
    assert try_login(proxy, "plain", "other") is None
    assert try_login(proxy, "plain", "secret")["C"] == "28P01"
    assert try_login(proxy, "scrammed", "secret")["C"] == "28P01"
