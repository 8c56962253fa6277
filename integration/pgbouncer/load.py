"""Applications at work:   load.py PORT FOLDER

Eight clients, each of which connects, works for a second and comes back, until FOLDER/go is gone.
Every transaction is a line in FOLDER/transactions; one that fails ends the program with 1.

PgBouncer refuses who is in the middle of logging in when it is told to shut down, and closes a
socket that may have connections waiting in it. Such a client has no transaction to lose, and comes
back as applications do; each is a line in FOLDER/refused.
"""

import os
import pathlib
import re
import sys
import threading
import time

import psycopg

PORT, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
TOO_LATE = re.compile("pooler is shutting down|reset by peer|closed the connection unexpectedly")
failures = []


def connected():
    while True:
        try:
            return psycopg.connect(
                host="127.0.0.1",
                port=PORT,
                user="alice",
                password=os.environ.get("ALICE_PASSWORD", "alice-secret"),
                dbname="shop",
            )
        except psycopg.OperationalError as error:
            if not TOO_LATE.search(str(error)):
                raise
            with open(FOLDER / "refused", "a") as refused:
                refused.write("x\n")


def work(transactions):
    while (FOLDER / "go").exists() and not failures:
        with connected() as connection:
            until = time.monotonic() + 1
            while time.monotonic() < until:
                with connection.transaction():
                    connection.execute("select 1")
                    (answer,) = connection.execute("select 41 + 1").fetchone()
                assert answer == 42
                transactions.write("x\n")
                transactions.flush()


def watched(transactions):
    try:
        work(transactions)
    except Exception as error:
        failures.append(error)


with open(FOLDER / "transactions", "a") as transactions:
    clients = [threading.Thread(target=watched, args=(transactions,)) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
for failure in failures:
    print(failure, file=sys.stderr)
sys.exit(bool(failures))
