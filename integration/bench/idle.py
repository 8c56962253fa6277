"""Clients that log in, stay, and later run one query each: what they cost a pooler.

Prints JSON: CPU time per login, logins a second, and memory per client at both points, as the
growth of the pooler's since before the first one came.
"""

import argparse
import json
import multiprocessing
import sys
import time
from threading import BrokenBarrierError

from accounting import tree_memory, tree_seconds
from wire import Client, Refused

# Each has a part of the clients, an address of its own and thereby its own range of ports.
PROCESSES = 8
SETTLE = 0.2


def hold(count: int, source: str, tls: bool, step, problems) -> None:
    try:
        step.wait()
        clients = [Client(source, tls) for _ in range(count)]
        step.wait()
        step.wait()
        for client in clients:
            client.query("SELECT 1")
        step.wait()
        step.wait()
    except (Refused, OSError) as problem:
        problems.put(f"{type(problem).__name__}: {problem}")
        step.abort()
    except BrokenBarrierError:
        pass


def measure(args: argparse.Namespace, step) -> dict:
    def memory() -> dict[str, int]:
        time.sleep(SETTLE)
        return tree_memory(args.pooler)

    before, cpu, clock = memory(), tree_seconds(args.pooler), time.monotonic()
    step.wait()
    step.wait()
    seconds, cpu = time.monotonic() - clock, tree_seconds(args.pooler) - cpu
    logged_in = memory()
    step.wait()
    step.wait()
    queried = memory()
    numbers = {
        "clients": args.clients,
        "logins_per_s": round(args.clients / seconds, 1),
        "cpu_us_per_login": round(cpu * 1e6 / args.clients, 2),
    }
    for kind in before:
        for name, after in (("login", logged_in), ("query", queried)):
            growth = (after[kind] - before[kind]) / 1024 / args.clients
            numbers[f"{kind}_kib_after_{name}"] = round(growth, 3)
    return numbers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--pooler", type=int, required=True, help="its process")
    parser.add_argument("--tls", action="store_true")
    args = parser.parse_args()

    # Not threads: a process may open only so many files, and Python runs one thread at a time.
    context = multiprocessing.get_context("fork")
    step, problems = context.Barrier(PROCESSES + 1, timeout=300), context.SimpleQueue()
    workers = []
    for number in range(PROCESSES):
        share = args.clients // PROCESSES + (number < args.clients % PROCESSES)
        source = f"127.0.0.{number + 2}"
        workers.append(context.Process(target=hold, args=(share, source, args.tls, step, problems)))
        workers[-1].start()
    try:
        print(json.dumps(measure(args, step)))
        step.wait()
    except BrokenBarrierError:
        why = "took too long" if problems.empty() else problems.get()
        print(f"error: {why}", file=sys.stderr)
        return 1
    finally:
        for worker in workers:
            worker.join()
    return 0


if __name__ == "__main__":
    sys.exit(main())
