"""What clients of PgBouncer notice when `pgwarden -R` takes its place: nothing, but for those that
docs/pgbouncer.md names."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import psycopg

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lib"))
from suite import equal, finish, test  # noqa: E402

ENV = os.environ


def eventually(what, condition):
    deadline = time.monotonic() + 15
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not in time: {what}")
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def unprivileged():
    account = ENV["ACCOUNT"]
    if not account:
        return []
    return ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups"]


class Pooler:
    """PgBouncer, and then who takes its place."""

    def __init__(self, mode, settings=""):
        self.folder = tempfile.mkdtemp(prefix="takeover-", dir=ENV["POSTGRES_DIR"])
        os.chmod(self.folder, 0o777)
        self.port = free_port()
        shutil.copy(f"{ENV['POSTGRES_DIR']}/userlist.txt", self.folder)
        os.chmod(f"{self.folder}/userlist.txt", 0o644)
        pathlib.Path(self.folder, "bouncer.ini").write_text(
            "[databases]\n"
            f"shop = host=127.0.0.1 port={ENV['POSTGRES_PORT']} dbname=shop\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\n"
            f"unix_socket_dir = {self.folder}\npidfile = {self.folder}/pid\n"
            f"auth_type = scram-sha-256\nauth_file = {self.folder}/userlist.txt\n"
            # Connections with TLS cannot change hands, and it would use TLS where it can.
            "server_tls_sslmode = disable\n"
            f"pool_mode = {mode}\nmax_prepared_statements = 100\n{settings}\n"
        )
        self.process = self.start(ENV["PGBOUNCER"])

    def start(self, program, *options):
        log = open(f"{self.folder}/log", "a")
        command = [*unprivileged(), program, *options, f"{self.folder}/bouncer.ini"]
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        eventually("it listens", lambda: self.listens(process))
        return process

    def listens(self, process):
        if process.poll() is not None:
            raise AssertionError(f"it has ended: {self.log()[-600:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def take_over(self):
        old, count = self.process, lambda: self.log().count("process up: ")
        before = count()
        self.process = self.start(ENV["PGWARDEN"], "-R")
        eventually("the old one ends", lambda: old.poll() is not None)
        eventually("the new one is up", lambda: count() > before)

    def log(self):
        return pathlib.Path(self.folder, "log").read_text()

    def connect(self, **parameters):
        place = {"host": "127.0.0.1", "port": self.port, "user": "alice", "dbname": "shop"}
        place |= {"password": ENV["ALICE_PASSWORD"], "autocommit": True}
        return psycopg.connect(**(place | parameters))

    def __enter__(self):
        return self

    def __exit__(self, error, *_rest):
        if error:
            print(self.log(), file=sys.stderr)
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(10)


def value(connection, sql, **options):
    return connection.execute(sql, **options).fetchone()[0]


def backend(sql, *parameters):
    """Asks PostgreSQL itself."""
    with psycopg.connect(
        host="127.0.0.1",
        port=ENV["POSTGRES_PORT"],
        user="alice",
        password=ENV["ALICE_PASSWORD"],
        dbname="shop",
    ) as connection:
        return connection.execute(sql, parameters).fetchall()


class Raw:
    """A client that speaks the protocol by hand."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)

    def send(self, tag, body):
        self.socket.sendall(tag + struct.pack("!i", len(body) + 4) + body)

    def start(self):
        self.send(b"", struct.pack("!i", 196608) + b"user\0alice\0database\0shop\0\0")

    def receive(self):
        try:
            return self.socket.recv(4096)
        except ConnectionResetError:
            return b""


@test
def clients_between_and_inside_transactions_go_on():
    with Pooler("transaction") as pooler, contextlib.ExitStack() as clients:
        clients_of = lambda n, **more: [  # noqa: E731
            clients.enter_context(pooler.connect(**more)) for _ in range(n)
        ]
        fresh, used, german = clients_of(3)
        (local,) = clients_of(1, host=pooler.folder)
        equal(value(used, "select 1"), 1)
        german.execute("set datestyle = 'German, DMY'")
        equal(value(local, "select 2"), 2)
        (busy,) = clients_of(1)
        busy.execute("create table if not exists seen (n int)")
        busy.execute("begin")
        busy.execute("insert into seen values (1)")
        pid = value(busy, "select pg_backend_pid()")
        (failed,) = clients_of(1)
        failed.execute("begin")
        with contextlib.suppress(psycopg.errors.DivisionByZero):
            failed.execute("select 1 / 0")

        pooler.take_over()

        for number, client in enumerate([fresh, used, german, local]):
            equal(value(client, f"select {number}"), number)
        equal(value(german, "show datestyle"), "German, DMY")
        equal(value(used, "show datestyle"), "ISO, MDY")
        equal(value(busy, "select pg_backend_pid()"), pid)
        busy.execute("insert into seen values (2)")
        busy.execute("commit")
        equal(backend("select count(*) from seen"), [(2,)])
        with contextlib.suppress(psycopg.errors.InFailedSqlTransaction):
            failed.execute("select 1")
            raise AssertionError("the transaction has not failed")
        failed.execute("rollback")
        for client in (busy, failed, used):
            equal(value(client, "select 3"), 3)
        # The one that nothing is known of serves nobody else.
        gone = lambda: not backend("select 1 from pg_stat_activity where pid = %s", pid)  # noqa: E731
        eventually("its server is closed", gone)
        # Everybody finds it where PgBouncer was.
        for host in ("127.0.0.1", pooler.folder):
            equal(value(clients_of(1, host=host)[0], "select 4"), 4)
        # And once more, from the one that has taken over.
        pooler.take_over()
        for client in (fresh, used, german, local, busy, failed):
            equal(value(client, "select 5"), 5)


@test
def queries_that_run_are_answered_and_can_be_cancelled():
    with Pooler("transaction") as pooler:
        with pooler.connect() as slow, pooler.connect() as block, pooler.connect() as other:
            block.execute("begin")
            for client, text in ((slow, "select 1 from pg_sleep(2)"), (block, "select pg_sleep(60)")):
                client.pgconn.send_query(text.encode())
                client.pgconn.flush()
            running = "select 1 from pg_stat_activity where query like 'select%%pg_sleep%%' and state = 'active' and pid <> pg_backend_pid()"
            eventually("both run", lambda: len(backend(running)) == 2)

            pooler.take_over()

            equal(slow.pgconn.get_result().get_value(0, 0), b"1")
            equal(slow.pgconn.get_result(), None)
            equal(value(slow, "select 2"), 2)
            # With the key that PgBouncer has given it.
            block.cancel_safe()
            result = block.pgconn.get_result()
            equal(result.error_field(psycopg.pq.DiagnosticField.SQLSTATE), b"57014")
            equal(block.pgconn.get_result(), None)
            equal(block.pgconn.transaction_status, psycopg.pq.TransactionStatus.INERROR)
            block.execute("rollback")
            equal(value(block, "select 3"), 3)
            equal(value(other, "select 4"), 4)


@test
def in_session_mode_a_client_keeps_its_server_and_all_it_has_there():
    with Pooler("session") as pooler, pooler.connect() as client:
        client.execute("create temp table mine as select 7 as n")
        client.execute("set work_mem = '5MB'")
        equal(value(client, "select n from mine where n = %s", params=[7], prepare=True), 7)

        pooler.take_over()

        equal(value(client, "select n from mine where n = %s", params=[7], prepare=True), 7)
        equal(value(client, "show work_mem"), "5MB")
        with client.transaction():
            client.execute("insert into mine values (8)")
        equal(value(client, "select count(*) from mine"), 2)
        with pooler.connect() as other:
            equal(value(other, "select to_regclass('mine')"), None)


@test
def who_has_not_logged_in_is_not_let_in_by_it():
    with Pooler("transaction", "suspend_timeout = 1") as pooler, pooler.connect() as client:
        equal(value(client, "select 1"), 1)
        stranger = Raw(pooler.port)
        stranger.start()
        equal(stranger.receive()[:1], b"R")  # it is asked for its proof

        pooler.take_over()

        with contextlib.suppress(OSError):
            stranger.send(b"Q", b"select 'let in'\0")
        answer = stranger.receive()
        equal(b"let in" in answer, False)
        equal(stranger.receive() if answer else b"", b"")
        equal(value(client, "select 2"), 2)


@test
def statements_that_only_pgbouncer_knew_are_missed_with_an_error_that_drivers_know():
    with Pooler("transaction") as pooler, pooler.connect() as client:
        equal(value(client, "select 1 + %s", params=[1], prepare=True), 2)
        pooler.take_over()
        with contextlib.suppress(psycopg.errors.InvalidSqlStatementName):
            client.execute("select 1 + %s", [1], prepare=True)
            raise AssertionError("the statement is known")
        equal(value(client, "select 3"), 3)


finish()
