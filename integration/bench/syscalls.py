"""Counts a pooler's syscalls per transaction under load (count), prints the table (report)."""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

# Of all syscalls; a pipeline of ten statements is one transaction here.
GATES = {"simple-c32": 5.0, "simple-c1": 6.05, "pipeline10": 6.0}
# What a steady state does without; a stray timer is not a transaction's.
NEVER = ("epoll_ctl", "futex", "failed recv")
STRAY = 0.005
RECEIVING = ("recvfrom", "recvmsg", "read", "readv")
CONNECT_SECONDS = 2
SPARE_SECONDS = 3


def trace(pooler: int, window: float) -> tuple[float, float, Counter]:
    """Calls by name while strace was counting, and from when to when it was."""
    strace = subprocess.Popen(
        ["strace", "-f", "-c", "-o", "/dev/stdout", "-p", str(pooler)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    said = strace.stderr.readline()
    begin = time.time()
    if "attached" not in said:
        strace.kill()
        raise RuntimeError(f"strace: {said.strip()}")
    time.sleep(window)
    end = time.time()
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
    return begin, end, calls


def transactions(logs: list[Path], begin: float, end: float) -> int:
    """Lines are: client, number, duration, script, end in seconds, its microseconds."""
    inside = 0
    for log in logs:
        for line in log.read_text().splitlines():
            fields = line.split()
            if not fields[2].isdigit():
                raise RuntimeError(f"a transaction failed: {line}")
            inside += begin <= int(fields[4]) + int(fields[5]) / 1e6 <= end
    return inside


def count(args: argparse.Namespace) -> int:
    args.logs.mkdir()
    seconds = CONNECT_SECONDS + args.window + SPARE_SECONDS
    bench = subprocess.Popen(
        [*args.command, "-T", str(seconds), "-l", f"--log-prefix={args.logs}/log"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        time.sleep(CONNECT_SECONDS)
        begin, end, calls = trace(args.pooler, args.window)
        _, complaints = bench.communicate(timeout=seconds + 60)
    finally:
        bench.kill()
    if bench.returncode:
        raise RuntimeError(f"pgbench: exit status {bench.returncode}: {complaints.strip()[-500:]}")
    done = transactions(list(args.logs.glob("log.*")), begin, end)
    if not done:
        raise RuntimeError("no transaction ended while strace was counting")
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
    counting.add_argument("--logs", type=Path, required=True, help="a folder, made here")
    counting.add_argument("command", nargs="+", help="pgbench with its options, without -T and -l")
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
