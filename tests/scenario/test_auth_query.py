# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
"""Users that auth_query tells of (T-15, T-22, T-23; CVE-2015-6817, CVE-2025-2291, CVE-2025-12819)."""

import hashlib
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import wire
from servers import wait_for

names = itertools.count(1)
SECRETS = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1"


@pytest.fixture
def role(postgres):
    """A function that makes a role and gives its name."""
    made = []

    def make(options="LOGIN PASSWORD 'right'", name=None):
        made.append(name or f"asked{next(names)}")
        postgres.psql(f"CREATE ROLE {made[-1]} {options}")
        return made[-1]

    yield make
    for name in made:
        postgres.psql(f"DROP ROLE {name}")


def start(pgrecall, auth_user="postgres", server=None, databases=None, **settings):
    return pgrecall(server=server, databases=databases or {},
                    pgrecall={"auth_type": "scram-sha-256", "auth_user": auth_user, **settings})


def login(proxy, database, user, password="right", **parameters):
    return wire.Connection(proxy.port).start(user=user, database=database, password=password, **parameters)


def comes_in(proxy, database, user, password="right"):
    try:
        return who(proxy, database, user, password)
    except wire.ServerError:
        return None


def fails(proxy, database, user, password="right", **parameters):
    """The error of a login that is refused."""
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(user=user, database=database, **parameters))
        with pytest.raises(wire.ServerError) as error:
            conn.login(password)
        return error.value.error.fields()


def who(proxy, database, user, password="right"):
    with login(proxy, database, user, password) as conn:
        return conn.query("SELECT session_user")[1].values()[0].decode()


def reload(proxy, **sections):
    """Returns when the new configuration is in force for the main thread."""
    before = proxy.metric("config_reloads_total")
    proxy.configure(**sections)
    proxy.reload()
    wait_for(lambda: proxy.metric("config_reloads_total") > before, 10, "reload")


def counts(proxy):
    return {result: proxy.metric("auth_queries_total", result=result)
            for result in ("found", "nobody", "failed", "cached")}


def test_T22_users_of_the_server_log_in_as_themselves(pgrecall, database, role):
    """auth_file comes first; neither auth_user nor who is in auth_file is asked for."""
    proxy, one, two = start(pgrecall), role(), role()
    assert who(proxy, database.name, one) == one
    assert who(proxy, database.name, two) == two
    assert counts(proxy)["found"] == 2
    assert fails(proxy, database.name, "postgres", "right")["C"] == "28P01"
    assert fails(proxy, database.name, "tester", "right")["C"] == "28P01"
    assert sum(counts(proxy).values()) == 2


def test_T15_T22_who_may_not_log_in_looks_like_a_wrong_password(pgrecall, database, role):
    """CVE-2025-2291: also whose password is not valid any more."""
    proxy = start(pgrecall, auth_query_cache_ttl="0")
    valid = role("LOGIN PASSWORD 'right' VALID UNTIL '2100-01-01'")
    assert who(proxy, database.name, valid) == valid
    refused = {
        "wrong": (role(), "wrong"),
        "expired": (role("LOGIN PASSWORD 'right' VALID UNTIL '2020-01-01'"), "right"),
        "nologin": (role("NOLOGIN PASSWORD 'right'"), "right"),
        "no password": (role("LOGIN"), ""),
        "nobody": ("nobody_at_all", "right"),
        "no text": (b"\xff\xfe", "right"),
        "quoted": ("' OR true --", "right"),
    }
    for case, (user, password) in refused.items():
        error = fails(proxy, database.name, user, password)
        text = user if isinstance(user, str) else user.decode("utf-8", "replace")
        assert (error["S"], error["C"]) == ("FATAL", "28P01"), case
        assert error["M"] == f'password authentication failed for user "{text[:63]}"' or case == "no text", case
    for user in ("nobody_at_all", valid):
        salts = set()
        for _ in range(2):
            with wire.Connection(proxy.port) as conn:
                conn.send(wire.startup(user=user, database=database.name))
                assert conn.receive().kind == "R"
                conn.send(wire.Scram("x").first())
                salts.add(conn.receive().body.split(b",s=")[1])
        assert len(salts) == 1, user


def asked(proxy, database, user, password):
    """What a refused login costs: questions to the server, and answers that were there."""
    before = counts(proxy)
    assert fails(proxy, database.name, user, password)["C"] == "28P01"
    after = {result: n - before[result] for result, n in counts(proxy).items()}
    return after["found"] + after["nobody"], after["cached"], after["failed"]


@pytest.mark.parametrize("auth_type", ["scram-sha-256", "md5"])
def test_T15_somebody_and_nobody_cost_the_same(pgrecall, database, role, auth_type):
    """No client can measure whether there is such a user: counted, because time tells little."""
    proxy = start(pgrecall, auth_type=auth_type, auth_query_cache_ttl="10min")
    known, unknown = role(), "nobody_at_all"
    assert who(proxy, database.name, role()) is not None  # what users have is known
    costs = {user: [asked(proxy, database, user, password) for password in ("a", "b", "c", "d", "", "x" * 2000)]
             for user in (known, unknown)}
    assert costs[known] == costs[unknown]
    assert (1, 0, 0) in costs[known]


def first_of_server(proxy, database, user):
    """Salt and iterations of a SCRAM exchange."""
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(user=user, database=database.name))
        assert conn.receive().kind == "R"
        conn.send(wire.Scram("x").first())
        return conn.receive().body.split(b",s=")[1].split(b",i=")


def test_T15_nobodys_secret_looks_like_those_of_users(pgrecall, database, role):
    """As many iterations as the server's secrets have, or those of auth_file."""
    proxy = start(pgrecall, auth_query=SECRETS.replace("pg_authid", "pg_catalog.pg_authid"))
    known = role(f"LOGIN PASSWORD '{wire.scram_secret('right', 5000)}'")
    assert who(proxy, database.name, known) == known
    salts = [first_of_server(proxy, database, user) for user in (known, "nobody_at_all")]
    assert [s[1] for s in salts] == [b"5000"] * 2
    assert len(salts[0][0]) == len(salts[1][0])
    proxy = pgrecall(users={"one": wire.scram_secret("right", 7000)}, pgrecall={"auth_type": "scram-sha-256"})
    assert [first_of_server(proxy, database, user)[1] for user in ("one", "two")] == [b"7000"] * 2


def test_T15_a_plain_password_has_the_salt_of_nobody(pgrecall, database, role):
    """A name keeps its salt while its user comes, goes and is read again."""
    name = role("LOGIN")
    database.psql("CREATE TABLE told (name text, password text)")
    proxy = start(pgrecall, auth_query="SELECT name, password FROM public.told WHERE name = $1",
                  auth_query_cache_ttl="0")
    seen = [first_of_server(proxy, database, name)]
    database.psql(f"INSERT INTO told VALUES ('{name}', 'right')")
    assert who(proxy, database.name, name) == name
    seen += [first_of_server(proxy, database, name) for _ in range(2)]
    database.psql("TRUNCATE told")
    seen.append(first_of_server(proxy, database, name))
    assert all(s == seen[0] for s in seen)
    proxy = pgrecall(users={"file": "right"}, pgrecall={"auth_type": "scram-sha-256"})
    before = first_of_server(proxy, database, "file")
    reload(proxy, pgrecall={"scram_iterations": "5000"})
    wait_for(lambda: first_of_server(proxy, database, "file")[1] == b"5000", 10, "the reload")
    assert first_of_server(proxy, database, "file")[0] == before[0]


def test_T15_an_unknown_database_is_no_news_before_the_login(pgrecall, database, role):
    user = role()
    proxy = start(pgrecall)
    assert fails(proxy, "nowhere", user)["C"] == "28P01"
    proxy = start(pgrecall, databases={"auth": f"host=127.0.0.1 port={database.server.port} dbname={database.name}"},
                  auth_dbname="auth")
    assert fails(proxy, "nowhere", user, "wrong")["C"] == "28P01"
    assert fails(proxy, "nowhere", user)["C"] == "3D000"


@pytest.mark.parametrize("auth_query", [
    "SELECT 'postgres', 'right' WHERE $1::text <> ''", "SELECT NULL, 'right' WHERE $1::text <> ''", "SELECT $1::text, NULL",
    "SELECT $1::text, ''", "SELECT $1::text, 'right' FROM generate_series(1, 2)", "SELECT $1::text, 'right' WHERE false",
    "SELECT upper($1::text), 'right'", "SELECT $1::text, 'SCRAM-SHA-256$4096:x'", "SELECT $1::text, repeat('right', 1000)"])
def test_T22_rows_that_do_not_count(pgrecall, database, auth_query):
    """CVE-2015-6817: least of all is the client logged in as somebody else."""
    proxy = start(pgrecall, auth_query=auth_query)
    for password in ("right", ""):
        assert fails(proxy, database.name, "somebody", password)["C"] == "28P01"
    assert counts(proxy)["found"] == 0


@pytest.mark.parametrize("auth_query", ["SELECT $1::text, 'right'", "SELECT $1::name, 'right'::varchar"])
def test_plain_passwords(pgrecall, database, role, auth_query):
    proxy, user = start(pgrecall, auth_query=auth_query), role("LOGIN")
    assert who(proxy, database.name, user) == user
    assert fails(proxy, database.name, user, "wrong")["C"] == "28P01"


@pytest.mark.parametrize("auth_query, words", [
    ("SELEC", "syntax error"), ("SELECT $1::text", "two columns"), ("SELECT $1::text, 'right', 1", "two columns"),
    ("SELECT $1::text, (1/0)::text", "division by zero"), ("SELECT a, b FROM missing.users WHERE a = $1", "missing.users"),
    ("SELECT * FROM user_lookup($1)", "user_lookup"), ("SELECT 'x', 'y'", "parameter")])
def test_T22_questions_that_fail(pgrecall, database, role, auth_query, words):
    """We do not know: another error than for a wrong password, the same for everybody, and the log says why."""
    database.psql("CREATE FUNCTION public.user_lookup(name) RETURNS TABLE (a name, b text) LANGUAGE sql AS $$ SELECT $1, 'right' $$")
    proxy = start(pgrecall, auth_query=auth_query)
    errors = [fails(proxy, database.name, user) for user in (role(), "nobody")]
    assert errors[0] == errors[1]
    assert (errors[0]["S"], errors[0]["C"]) == ("FATAL", "57P03") and words not in errors[0]["M"]
    assert words in proxy.wait_log(r"auth_query in database .*").group(0)


def test_T22_no_client_touches_the_session_that_asks(pgrecall, database):
    """CVE-2025-12819: a search_path of the client's is not the question's."""
    user = "somebody"
    database.psql(f"""
        CREATE SCHEMA evil;
        CREATE TABLE evil.pg_authid (rolname name, rolpassword text, rolcanlogin bool, rolvaliduntil timestamptz);
        INSERT INTO evil.pg_authid VALUES ('{user}', 'evil', true, NULL);
        ALTER DATABASE {database.name} SET search_path = evil, pg_catalog;
    """)
    proxy = start(pgrecall, auth_query_cache_ttl="0")
    for parameters in ({}, {"search_path": "evil,pg_catalog"}, {"options": "-c search_path=evil,pg_catalog"}):
        assert fails(proxy, database.name, user, "evil", **parameters)["C"] == "28P01"
    settings = ("search_path", "default_transaction_read_only", "client_encoding", "application_name", "role", "session_authorization")
    told = "||'|'||".join(f"current_setting('{name}')" for name in settings)
    proxy = start(pgrecall, auth_query=f"SELECT $1::text, {told}", auth_query_cache_ttl="0")
    for parameters in ({}, {"search_path": "evil", "role": "pg_monitor", "client_encoding": "LATIN1", "application_name": "evil"}):
        error = fails(proxy, database.name, user, "wrong", **parameters)
        assert error["C"] == "28P01"
        with wire.Connection(proxy.port) as conn:
            conn.send(wire.startup(user=user, database=database.name, **parameters))
            with pytest.raises(wire.ServerError) as refused:  # by the server, where there is no such role
                conn.login('""|on|UTF8|pgrecall|none|postgres')
            assert refused.value.error.sqlstate() != "28P01"


def test_secrets_cross_as_the_servers_line_says(pgrecall, database, role):
    """This server has no TLS: what must not go in clear text is not asked for."""
    proxy = start(pgrecall, server_tls_sslmode="require")
    assert fails(proxy, database.name, role())["C"] == "57P03"
    assert "SSL" in proxy.wait_log("auth_query in database .*").group(0)


def test_T22_what_comes_behind_the_startup_packet_waits(pgrecall, database, role):
    """The packet is read once (T-07: one NegotiateProtocolVersion), and what follows it is not lost."""
    proxy = start(pgrecall, auth_query=SECRETS.replace("FROM", "FROM pg_sleep(0.3),"))
    scram = wire.Scram("right")
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(0x00030000, user=role(), database=database.name, **{"_pq_.test": "1"}), scram.first())
        seen = [conn.receive(), conn.receive(), conn.receive()]
        assert conn.types(seen) == "vRR"
        conn.send(scram.final(seen[2].body[4:]))
        rest = conn.until("Z")
        assert [m.kind for m in rest].count("v") == 0
        assert conn.types(conn.query("SELECT 1")) == "TDCZ"


def test_answers_are_kept_for_all_workers(pgrecall, database, role):
    proxy, user = start(pgrecall), role()
    for _ in range(6):
        assert who(proxy, database.name, user) == user
        assert fails(proxy, database.name, "nobody")["C"] == "28P01"
    told = counts(proxy)
    assert told["found"] == 1 and told["cached"] >= 5, told
    proxy = start(pgrecall, auth_query_cache_ttl="0")
    for _ in range(3):
        assert who(proxy, database.name, user) == user
    assert counts(proxy) == {"found": 3, "nobody": 0, "failed": 0, "cached": 0}


def test_T23_a_failed_login_asks_again(pgrecall, database, role):
    """The password is changed behind our back: the answer that is kept may fail one login, not two."""
    proxy, user = start(pgrecall, auth_query_cache_ttl="1h"), role()
    assert who(proxy, database.name, user) == user
    database.psql(f"ALTER ROLE {user} PASSWORD 'new'")
    assert fails(proxy, database.name, user, "new")["C"] == "28P01"
    assert who(proxy, database.name, user, "new") == user
    assert fails(proxy, database.name, user, "right")["C"] == "28P01"
    assert who(proxy, database.name, user, "new") == user
    late = f"late{next(names)}"
    assert fails(proxy, database.name, late)["C"] == "28P01"
    database.psql(f"CREATE ROLE {late} LOGIN PASSWORD 'right'")
    assert fails(proxy, database.name, late)["C"] == "28P01"
    database.psql(f"DROP ROLE {late}")
    assert who(proxy, database.name, role(name=late)) == late


@pytest.mark.parametrize("auth_type, code", [("md5", 5), ("plain", 3)])
def test_T23_what_was_answered_is_compared_again(pgrecall, database, role, directory, auth_type, code):
    """By MD5 and in clear text not even one login fails; nobody is asked for the same as everybody (T-15)."""
    user = f"asked{next(names)}"

    def secret(password):
        return "md5" + hashlib.md5((password + user).encode()).hexdigest()

    role(f"LOGIN PASSWORD '{secret('right')}'", name=user)
    proxy = start(pgrecall, auth_query_cache_ttl="1h", auth_type=auth_type, unix_socket_dir=directory)

    def comes(password):
        try:
            with wire.Connection(proxy.port, str(directory)).start(user, database.name, password) as conn:
                return conn.query("SELECT session_user")[1].values() == [user.encode()]
        except wire.ServerError as error:
            return error.error.sqlstate()

    assert comes("right") is True
    for password in ("one", "two"):
        database.psql(f"ALTER ROLE {user} PASSWORD '{secret(password)}'")
        assert comes(password) is True
        assert comes("right") == "28P01"
    database.psql(f"ALTER ROLE {user} NOLOGIN")
    assert comes("wrong") == comes("two") == "28P01"
    database.psql(f"ALTER ROLE {user} LOGIN")
    assert comes("two") is True
    for name in (user, "nobody"):
        with wire.Connection(proxy.port, str(directory)) as conn:
            conn.send(wire.startup(user=name, database=database.name))
            assert conn.receive().body[:4] == code.to_bytes(4, "big"), name


def test_T23_changes_through_the_proxy_are_known_at_once(pgrecall, database, role):
    proxy, user = start(pgrecall, auth_query_cache_ttl="1h"), role()
    admin = role("SUPERUSER LOGIN PASSWORD 'right'")
    with login(proxy, database.name, admin) as conn:
        assert who(proxy, database.name, user) == user
        for password in ("one", "two", "three"):
            assert conn.types(conn.query(f"ALTER ROLE {user} PASSWORD '{password}'")) == "CZ"
            assert who(proxy, database.name, user, password) == user
        conn.query(f"ALTER ROLE {user} VALID UNTIL '2020-01-01'")
        assert fails(proxy, database.name, user, "three")["C"] == "28P01"


def test_answers_grow_old(pgrecall, database, role):
    proxy, user = start(pgrecall, auth_query_cache_ttl="1s"), role()
    assert who(proxy, database.name, user) == user
    database.psql(f"ALTER ROLE {user} NOLOGIN")
    time.sleep(1.1)
    assert fails(proxy, database.name, user)["C"] == "28P01"


def test_one_question_at_a_time_for_each_user(pgrecall, database, role):
    users = [role() for _ in range(3)]
    proxy = start(pgrecall, auth_query=SECRETS.replace("FROM", "FROM pg_sleep(0.5),"), auth_query_cache_ttl="0")
    with ThreadPoolExecutor(30) as pool:
        got = list(pool.map(lambda user: who(proxy, database.name, user), users * 10))
    assert got == users * 10
    told = counts(proxy)
    assert 3 <= told["found"] <= 12 and told["failed"] == 0, told


def test_many_users_wait_for_their_turn(pgrecall, database, role):
    """More than one connection takes at once; nobody is mixed up with anybody."""
    proxy = start(pgrecall, workers=1, auth_query="SELECT $1::text, 'of ' || $1 FROM pg_sleep(0.01)")
    users = [role("LOGIN") for _ in range(90)]
    with ThreadPoolExecutor(90) as pool:
        got = list(pool.map(lambda user: who(proxy, database.name, user, f"of {user}"), users))
    assert got == users
    assert counts(proxy)["found"] == 90


def test_clients_that_leave_while_their_user_is_asked_for(pgrecall, database, role):
    user = role()
    proxy = start(pgrecall, auth_query=SECRETS.replace("FROM", "FROM pg_sleep(0.5),"), auth_query_cache_ttl="0")
    for _ in range(20):
        conn = wire.Connection(proxy.port)
        conn.send(wire.startup(user=user, database=database.name))
        conn.close()
    assert who(proxy, database.name, user) == user
    wait_for(lambda: proxy.metric("client_connections") == 0, 5, "end of all clients")


def test_T12_a_question_that_takes_long(pgrecall, database, role):
    """The login's time limit holds, and the end of the program does not wait."""
    proxy = start(pgrecall, auth_query=SECRETS.replace("FROM", "FROM pg_sleep(60),"), client_login_timeout="1s")
    begun = time.monotonic()
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(user=role(), database=database.name))
        assert [m.sqlstate() for m in conn.rest()] == ["08P01"]
    assert 0.8 < time.monotonic() - begun < 5
    with wire.Connection(proxy.port) as conn:
        conn.send(wire.startup(user=role(), database=database.name))
        begun = time.monotonic()
        proxy.stop()
        assert time.monotonic() - begun < 10


def test_T22_the_server_is_down(pgrecall, own_postgres):
    """Everybody is told the same, soon; when it is back, logins work."""
    own_postgres.psql("CREATE ROLE somebody LOGIN PASSWORD 'right'")
    own_postgres.psql("CHECKPOINT")
    proxy = start(pgrecall, server=own_postgres, auth_query_cache_ttl="0", server_connect_timeout="3s")
    assert who(proxy, "sample", "somebody") == "somebody"
    own_postgres.stop("immediate")
    begun = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        errors = list(pool.map(lambda user: fails(proxy, "sample", user), ["somebody", "nobody"] * 10))
    assert {(e["S"], e["C"], e["M"]) for e in errors} == {("FATAL", "57P03", "authentication is not possible now")}
    assert time.monotonic() - begun < 20
    own_postgres.start()
    assert wait_for(lambda: comes_in(proxy, "sample", "somebody"), 20, "a login")


def test_where_it_is_asked(pgrecall, own_postgres):
    """auth_user has its password from auth_file; auth_dbname and the lines of [databases]; the servers want passwords."""
    port = own_postgres.port
    for sql in ("CREATE DATABASE other", "CREATE ROLE asker LOGIN PASSWORD 'ask me'", "CREATE ROLE app LOGIN PASSWORD 'app'",
                "CREATE ROLE somebody LOGIN PASSWORD 'right'"):
        own_postgres.psql(sql)
    for name, secret in (("sample", "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1"), ("other", "SELECT ''other''::text")):
        own_postgres.psql(f"""
            CREATE SCHEMA auth; GRANT USAGE ON SCHEMA auth TO asker;
            DO $do$ BEGIN EXECUTE 'CREATE FUNCTION auth.lookup(n name) RETURNS TABLE (a name, b text) LANGUAGE sql
                SECURITY DEFINER SET search_path = pg_catalog AS $f$ SELECT $1, ({secret}) $f$'; END $do$;
            """, name)
    hba = own_postgres.data / "pg_hba.conf"
    hba.write_text("host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    own_postgres.psql("SELECT pg_reload_conf()")
    line = f"host=127.0.0.1 port={port} user=app password=app"
    proxy = start(pgrecall, server=own_postgres, auth_user="asker", auth_query="SELECT a, b FROM auth.lookup($1)", databases={
        "sample": f"{line}", "other": f"{line}", "by_name": f"{line} dbname=other auth_dbname=sample",
        "by_query": f"{line} dbname=sample auth_query='SELECT a, ''mine'' FROM auth.lookup($1)'",
        "by_user": f"{line} dbname=sample auth_user=postgres auth_query='SELECT $1::text, session_user::text'",
        "nobody": f"{line} dbname=sample auth_user=''", "wrong": f"{line} dbname=sample auth_user=app"})
    (proxy.directory / "userlist.txt").write_text('"asker" "ask me"\n')
    reload(proxy)
    passwords = {"sample": "right", "other": "other", "by_name": "right", "by_query": "mine", "by_user": "postgres"}
    for _ in range(2):
        for name, password in passwords.items():
            assert wait_for(lambda: comes_in(proxy, name, "somebody", password), 10, name) == "app"
            assert fails(proxy, name, "somebody", "wrong")["C"] == "28P01"
    assert fails(proxy, "nobody", "somebody")["C"] == "28P01"
    assert fails(proxy, "wrong", "somebody")["C"] == "57P03"  # app has no password in auth_file
    assert "ask me" not in proxy.log()


def test_a_reload_takes_effect_and_empties_the_cache(pgrecall, database, role):
    proxy, user = start(pgrecall, auth_query_cache_ttl="1h"), role()
    assert who(proxy, database.name, user) == user
    database.psql(f"ALTER ROLE {user} PASSWORD 'new'")
    reload(proxy, pgrecall={"auth_query_cache_ttl": "2h"})
    assert who(proxy, database.name, user, "new") == user
    reload(proxy, pgrecall={"auth_query": "SELECT $1::text, 'by the new query'"})
    wait_for(lambda: comes_in(proxy, database.name, user, "by the new query") == user, 5)
    reload(proxy, pgrecall={"auth_user": ""})
    wait_for(lambda: fails(proxy, database.name, user, "by the new query")["C"] == "28P01", 5)
