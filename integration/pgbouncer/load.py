"""Applications at work:   load.py PORT FOLDER

Eight clients, each of which connects, works for a second and comes back, until FOLDER/go is gone.
Every transaction is a line in FOLDER/transactions; one that fails ends the program with 1.
"""

import os
import pathlib
import sys
import threading
import time

import psycopg

PORT, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
failures = []


def work(transactions):
    while (FOLDER / "go").exists() and not failures:
        with psycopg.connect(
            host="127.0.0.1",
            port=PORT,
            user="alice",
            password=os.environ.get("ALICE_PASSWORD", "alice-secret"),
            dbname="shop",
        ) as connection:
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
