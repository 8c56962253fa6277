"""Counts a pooler's syscalls per transaction under load (count), prints the table (report).

The clients stand still while strace attaches and while it leaves, and the pooler's console says how
many transactions there were in between: a busy machine makes fewer of them, but no other figures.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

# Of all syscalls; a pipeline of ten statements is one transaction here.
GATES = {"simple-c32": 5.0, "extended-c32": 5.0, "prepared-c32": 5.0, "simple-c1": 6.05,
         "pipeline10": 6.0}
# What a steady state does without; a stray timer is not a transaction's.
NEVER = ("epoll_ctl", "futex", "failed recv")
STRAY = 0.005
RECEIVING = ("recvfrom", "recvmsg", "read", "readv")
# All clients are connected and all statements prepared by then.
WARM = 1000
WARM_SECONDS = 60
# Seconds without a transaction while nobody sends one: all answers have been given.
STILL = 0.2


def transactions(psql: str) -> int:
    """By the console of the pooler."""
    done = subprocess.run(
        [psql, "-X", "--csv", "-c", "show stats"], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=30, env={**os.environ, "PGDATABASE": "pgbouncer"},
    )
    if done.returncode:
        raise RuntimeError(f"the console: {done.stderr.strip()}")
    rows = csv.DictReader(done.stdout.splitlines())
    return sum(int(row["total_xact_count"]) for row in rows
               if row["database"] == os.environ["PGDATABASE"])


def await_warm(bench: subprocess.Popen, psql: str, before: int) -> None:
    deadline = time.monotonic() + WARM_SECONDS
    while transactions(psql) < before + WARM:
        if bench.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"pgbench does not get on: {bench.poll()}")
        time.sleep(0.1)


def await_still(psql: str) -> int:
    """The transactions there were when nothing moved any more."""
    count = transactions(psql)
    while True:
        time.sleep(STILL)
        if (later := transactions(psql)) == count:
            return count
        count = later


def trace(pooler: int, bench: subprocess.Popen, window: float) -> Counter:
    """Calls by name while the clients, who stand still now, go on for a while."""
    strace = subprocess.Popen(
        ["strace", "-f", "-c", "-o", "/dev/stdout", "-p", str(pooler)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    said = strace.stderr.readline()
    if "attached" not in said:
        strace.kill()
        raise RuntimeError(f"strace: {said.strip()}")
    bench.send_signal(signal.SIGCONT)
    time.sleep(window)
    bench.send_signal(signal.SIGSTOP)
    time.sleep(STILL)
    strace.send_signal(signal.SIGINT)
    summary, _ = strace.communicate(timeout=30)

    # % time, seconds, usecs/call, calls[, errors], syscall
    calls = Counter()
    for line in summary.splitlines():
        fields = line.split()
        if len(fields) not in (5, 6) or not fields[3].isdigit() or fields[-1] == "total":
            continue
        calls[fields[-1]] += int(fields[3])
        if len(fields) == 6 and fields[-1] in RECEIVING:
            calls["failed recv"] += int(fields[4])
    return calls


def count(args: argparse.Namespace) -> int:
    before = transactions(args.psql)
    bench = subprocess.Popen(
        [*args.command, "-T", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )
    try:
        await_warm(bench, args.psql, before)
        bench.send_signal(signal.SIGSTOP)
        begin = await_still(args.psql)
        calls = trace(args.pooler, bench, args.window)
        done = await_still(args.psql) - begin
    finally:
        bench.kill()
    if complaints := bench.communicate()[1].strip():
        raise RuntimeError(f"pgbench: {complaints[-500:]}")
    if not done:
        raise RuntimeError("there was no transaction while strace was counting")
    cell = {"target": args.target, "workload": args.workload, "transactions": done, "calls": calls}
    with args.out.open("a") as out:
        print(json.dumps(cell), file=out)
    return 0


def report(args: argparse.Namespace) -> int:
    cells = [json.loads(line) for line in args.results.read_text().splitlines()]
    print(f"# Syscalls per transaction\n\n{args.title}\n\nSteady state: no login or "
          "disconnect is counted. The gates are for pgwarden.")
    over = []
    for workload, gate in GATES.items():
        columns = [cell for cell in cells if cell["workload"] == workload]
        names = Counter()
        for cell in columns:
            names.update({n: c for n, c in cell["calls"].items() if c / cell["transactions"] >= STRAY})
        usual = [name for name, _ in names.most_common() if name not in NEVER]
        print(f"\n## {workload}\n")
        print("| syscall | " + " | ".join(cell["target"] for cell in columns) + " | gate |")
        print("| --- " * (len(columns) + 2) + "|")
        for name in ("all", *usual, *NEVER):
            line = [name]
            limit = gate if name == "all" else 0 if name in NEVER else None
            for cell in columns:
                calls = Counter(cell["calls"])
                number = calls.total() - calls["failed recv"] if name == "all" else calls[name]
                rate = number / cell["transactions"]
                broken = limit is not None and rate >= limit + STRAY
                line.append(f"{rate:.2f}" + (" (over)" if broken else ""))
                if broken and cell["target"] == "pgwarden":
                    over.append(f"{workload}: {name}: {rate:.3f}, gate {limit}")
            line.append("" if limit is None else f"{limit:g}")
            print("| " + " | ".join(line) + " |")
        print("| transactions | " + " | ".join(str(c["transactions"]) for c in columns) + " | |")
    for line in over:
        print(f"over the gate: {line}", file=sys.stderr)
    return 1 if over and args.check else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    modes = parser.add_subparsers(required=True)
    counting = modes.add_parser("count")
    counting.set_defaults(run=count)
    counting.add_argument("--out", type=Path, required=True)
    counting.add_argument("--target", required=True)
    counting.add_argument("--workload", required=True)
    counting.add_argument("--pooler", type=int, required=True)
    counting.add_argument("--window", type=int, required=True)
    counting.add_argument("--psql", required=True, help="the program")
    counting.add_argument("command", nargs="+", help="pgbench with its options, without -T")
    reporting = modes.add_parser("report")
    reporting.set_defaults(run=report)
    reporting.add_argument("--title", default="")
    reporting.add_argument("--check", action="store_true")
    reporting.add_argument("results", type=Path)
    args = parser.parse_args()
    try:
        return args.run(args)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as problem:
        print(f"syscalls.py: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
