"""Logins with tokens of an identity provider. Run by run.sh, which says what it needs."""

import asyncio
import base64
import ctypes
import json
import os
import pathlib
import signal
import ssl
import subprocess
import time

import asyncpg
import psycopg
import psycopg_binary

from suite import equal, finish, test

ISSUER = f"https://localhost:{os.environ['PROVIDER_PORT']}"
FOLDER = pathlib.Path(os.environ["POOLER_DIR"])
HERE = pathlib.Path(__file__).parent
REFUSED = 'OAuth bearer authentication failed for user "{}"'
tokens = []


class Provider:
    def __init__(self):
        self.process = subprocess.Popen(
            ["node", "--no-warnings", HERE / "provider.js"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, do, **more):
        self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["answer"]

    def token(self, user, seconds=60, algorithm="ES256", **claims):
        claims = {"sub": user, "aud": ["other", "pgwarden"], **claims}
        token = self("token", claims=claims, seconds=seconds, algorithm=algorithm)
        tokens.append(token)
        return token


provider = Provider()


class Request(ctypes.Structure):
    """PGoauthBearerRequest of libpq-fe.h."""

    _fields_ = [
        ("openid_configuration", ctypes.c_char_p),
        ("scope", ctypes.c_char_p),
        ("asynchronous", ctypes.c_void_p),
        ("cleanup", ctypes.c_void_p),
        ("token", ctypes.c_void_p),
        ("user", ctypes.c_void_p),
    ]


class Flow:
    """Gives libpq 18 its tokens, instead of a person at a browser."""

    BEARER_TOKEN = 1

    def __init__(self):
        folder = pathlib.Path(psycopg_binary.__file__).parent.parent / "psycopg_binary.libs"
        libpq = ctypes.CDLL(next(folder.glob("libpq-*.so.5.18")))
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Request)
        )
        self.hook = kind(self.give)
        self.asked = []
        self.token = None
        libpq.PQsetAuthDataHook(self.hook)

    def give(self, kind, _connection, request):
        if kind != self.BEARER_TOKEN:
            return 0
        asked = request.contents
        self.asked.append((asked.openid_configuration.decode(), asked.scope.decode()))
        asked.token = ctypes.addressof(self.token)
        return 1

    def connect(self, user, token, **options):
        self.asked.clear()
        self.token = ctypes.create_string_buffer(token.encode())
        options = {"oauth_issuer": ISSUER, "oauth_client_id": "psql", **options}
        return connect(user, None, **options)


flow = Flow()


def connect(user, password, **options):
    options = {"sslmode": "verify-full", "connect_timeout": 25, **options}
    return psycopg.connect("", user=user, password=password or "", **options)


def refused(function, *arguments, **options):
    try:
        function(*arguments, **options).close()
    except psycopg.OperationalError as error:
        return str(error)
    raise AssertionError("it was let in")


def current_user(connection):
    with connection:
        return connection.execute("select current_user").fetchone()[0]


def log():
    return (FOLDER / "log").read_text()


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} seconds")
        time.sleep(0.02)


def configure(method, **changes):
    """Reloads with another [auth]."""
    file = FOLDER / "pgwarden.toml"
    base, rest = file.read_text().split("[auth]\n")
    oauth = rest.split("[auth.oauth]\n")[1]
    for key, value in changes.items():
        oauth = "\n".join(l for l in oauth.splitlines() if not l.startswith(f"{key} ="))
        oauth += f"\n{key} = {value}\n"
    text = f'{base}[auth]\nmethod = "{method}"\nusers = "userlist.txt"\n\n[auth.oauth]\n{oauth}'
    file.write_text(text)
    before = log().count("configuration reloaded")
    os.kill(int(os.environ["POOLER_PID"]), signal.SIGHUP)
    wait_until(lambda: log().count("configuration reloaded") > before)


@test
def a_provider_that_comes_up_late_is_asked_again_by_the_first_token():
    wait_until(lambda: "cannot fetch the identity provider's keys" in log())
    provider("start")
    equal(current_user(connect("svc_report", provider.token("svc_report"))), "app_pool")


@test
def a_token_of_each_algorithm_serves_as_a_password():
    for algorithm in ["RS256", "ES256", "EdDSA"]:
        token = provider.token("svc_report", algorithm=algorithm)
        equal(current_user(connect("svc_report", token)), "app_pool")


@test
async def asyncpg_sends_its_token_as_a_password():
    connection = await asyncpg.connect(
        user="svc_etl",
        password=provider.token("svc_etl"),
        ssl=ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"]),
    )
    equal(await connection.fetchval("select current_user"), "app_pool")
    await connection.close()


@test
def node_postgres_sends_its_token_as_a_password():
    more = {"PGUSER": "svc_web", "SUITE_TOKEN": provider.token("svc_web")}
    command = ["node", "--no-warnings", HERE / "client.js"]
    ran = subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True)
    equal(ran.stdout.strip(), "app_pool")


@test
def libpq_18_discovers_the_provider_and_sends_its_token():
    equal(current_user(flow.connect("carol", provider.token("carol"))), "app_pool")
    equal(flow.asked, [(f"{ISSUER}/.well-known/openid-configuration", "openid")])


@test
def libpq_18_is_told_when_its_token_is_refused():
    error = refused(flow.connect, "carol", provider.token("carol", aud="other"))
    assert REFUSED.format("carol") in error, error


@test
def a_bad_token_is_refused_with_the_same_words_and_a_reason_in_the_log():
    good = provider.token("svc_x")
    header, claims, signature = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    for token, reason in [
        (provider.token("svc_x", seconds=-1), "it has expired"),
        (provider.token("svc_x", aud="other"), "its audience"),
        (provider.token("svc_x", iss="https://mallory.example"), "its issuer"),
        (provider.token("svc_x", nbf=time.time() + 600), "it is not valid yet"),
        (provider.token("svc_y"), "another user's"),
        (provider.token(None), 'it has no "sub"'),
        (f"{header}.{claims}.{signature[:-4]}AAAA", "its signature is wrong"),
        (f"{none}.{claims}.", 'algorithm "none"'),
        (f"{good}.", "it is not a JWT"),
        ("secret", "it is not a JWT"),
    ]:
        before = len(log())
        error = refused(connect, "svc_x", token)
        assert REFUSED.format("svc_x") in error, error
        wait_until(lambda: "token refused" in log()[before:])
        assert reason in log()[before:], (reason, log()[before:])


@test
def no_token_goes_over_the_network_in_the_clear():
    for function, user in [(connect, "svc_x"), (flow.connect, "carol")]:
        error = refused(function, user, provider.token(user), sslmode="disable")
        assert "only accepted over TLS or a Unix socket" in error, error
    socket = {"host": os.environ["SUITE_SOCKET_DIR"], "sslmode": "disable"}
    equal(current_user(connect("svc_x", provider.token("svc_x"), **socket)), "app_pool")


@test
def known_keys_serve_on_while_the_provider_is_down():
    provider("stop")
    equal(current_user(connect("svc_x", provider.token("svc_x"))), "app_pool")
    configure("oauth")
    equal(current_user(connect("svc_x", provider.token("svc_x"))), "app_pool")


@test
def a_token_with_a_new_key_is_good_at_once_and_those_with_old_keys_no_more():
    old = provider.token("svc_x")
    provider("rotate")
    equal(current_user(connect("svc_x", provider.token("svc_x"))), "app_pool")
    error = refused(connect, "svc_x", old)
    assert REFUSED.format("svc_x") in error, error


@test
async def nobody_waits_for_new_keys_but_whose_token_needs_one():
    # Keys have just been fetched, so the next fetch will be a while.
    known = provider.token("svc_x")
    provider("rotate")
    tls = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    login = lambda token: asyncpg.connect(user="svc_x", password=token, ssl=tls, timeout=20)
    waits = asyncio.create_task(login(provider.token("svc_x")))
    for _ in range(20):
        await (await login(known)).close()
    assert not waits.done()
    await (await waits).close()


@test
def who_is_in_the_users_file_has_a_password_beside_oauth():
    configure("scram-sha-256")
    equal(current_user(connect("alice", os.environ["PGPASSWORD"])), "app_pool")
    assert "password authentication failed" in refused(connect, "alice", provider.token("alice"))
    equal(current_user(connect("svc_x", provider.token("svc_x"))), "app_pool")
    equal(current_user(flow.connect("carol", provider.token("carol"))), "app_pool")


@test
def a_password_that_is_a_token_is_judged_as_one():
    configure("password")
    equal(current_user(connect("alice", os.environ["PGPASSWORD"])), "app_pool")
    equal(current_user(connect("carol", provider.token("carol"))), "app_pool")
    equal(current_user(connect("alice", provider.token("alice"))), "app_pool")
    for token in [provider.token("bob"), provider.token("alice", seconds=-1)]:
        error = refused(connect, "alice", token)
        assert 'password authentication failed for user "alice"' in error, error


@test
def another_claim_may_name_the_user():
    configure("oauth", user_claim='"db.user"')
    token = provider.token("x", db={"user": "svc_x"})
    equal(current_user(connect("svc_x", token)), "app_pool")


@test
def the_log_has_no_token():
    text = log()
    for token in tokens:
        assert token not in text and token.split(".")[2] not in text


finish()
