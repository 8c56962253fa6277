"""Runs one cell of the benchmark and appends what it measured to a file, as one JSON line."""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from accounting import machine_seconds, tree_seconds, tree_shares

SETTLE = 0.1


def client_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Sample:
    """Everybody's CPU time up to now, and the time itself."""

    def __init__(self, pooler: int, postmaster: int) -> None:
        self.pooler = tree_seconds(pooler) if pooler else 0.0
        self.user, self.system = tree_shares(pooler) if pooler else (0, 0)
        self.postgres = tree_seconds(postmaster)
        self.machine = machine_seconds()
        self.client = client_seconds()
        self.clock = time.monotonic()


def pgbench_numbers(output: str) -> dict:
    def number(pattern: str) -> float:
        found = re.search(pattern, output, re.MULTILINE)
        if not found:
            raise ValueError(f"pgbench printed no line like {pattern}")
        return float(found[1])

    # PostgreSQL before 15 prints no such line: there a failed transaction ends its client.
    failed = re.search(r"^number of failed transactions: (\d+)", output, re.MULTILINE)
    if failed and int(failed[1]):
        raise ValueError(failed[0])
    numbers = {
        "transactions": int(number(r"^number of transactions actually processed: (\d+)")),
        "tps": number(r"^tps = ([\d.]+)"),
        "latency_ms": number(r"^latency average = ([\d.]+) ms"),
    }
    if not numbers["transactions"]:
        raise ValueError("no transaction was completed")
    return numbers


def percentiles(folder: str) -> dict:
    """From pgbench's log of a sample; the third field is a transaction's time in microseconds."""
    times = sorted(
        int(line.split(" ", 3)[2])
        for log in Path(folder).iterdir() for line in log.read_text().splitlines()
    )
    if not times:
        return {}
    return {f"latency_p{p}_ms": times[len(times) * p // 100] / 1000 for p in (50, 99)}


def run(args: argparse.Namespace, log: str) -> str:
    command = args.command
    if args.sampling:
        command = [*command, "-l", f"--sampling-rate={args.sampling}", f"--log-prefix={log}/log"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=args.timeout
    )
    if done.returncode or "error:" in done.stderr.lower():
        raise ValueError(f"exit status {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def measure(args: argparse.Namespace, log: str) -> dict:
    before = Sample(args.pooler, args.postmaster)
    output = run(args, log)
    seconds = time.monotonic() - before.clock
    # Connections are still being closed, and server processes reaped.
    time.sleep(SETTLE)
    after = Sample(args.pooler, args.postmaster)

    pooler = after.pooler - before.pooler
    postgres = after.postgres - before.postgres
    client = after.client - before.client
    others = after.machine - before.machine - pooler - postgres - client
    cores = max(others, 0) / (after.clock - before.clock)
    cell = {"seconds": round(seconds, 3), "other_load_cores": round(cores, 2)}
    if args.bytes:
        cell["bytes"] = args.bytes
    elif args.prints_json:
        cell |= json.loads(output)
    else:
        cell |= pgbench_numbers(output) | percentiles(log)
    if "clients" in cell:
        return cell  # Clients that stay; whoever held them has measured the pooler.
    if "bytes" in cell:
        cell.setdefault("mb_per_s", round(cell["bytes"] / 1e6 / seconds, 1))
        scale, unit = 1e9 / cell["bytes"], "s_per_gb"
    else:
        scale, unit = 1e6 / cell["transactions"], "us_per_tx"
    cell[f"postgres_cpu_{unit}"] = round(postgres * scale, 3)
    if args.pooler:
        user, system = after.user - before.user, after.system - before.system
        cell[f"cpu_{unit}"] = round(pooler * scale, 3)
        cell["cpu_user_share"] = round(user / max(user + system, 1), 3)
    return cell


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeat", type=int, required=True)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--pooler", type=int, default=0, help="its process, 0 for none")
    parser.add_argument("--postmaster", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--bytes", type=int, help="of a copy; without it the command is pgbench")
    parser.add_argument("--prints-json", action="store_true", help="the command does, of numbers")
    parser.add_argument("--sampling", help="part of pgbench's transactions that are timed, to 1.0")
    parser.add_argument("--skip", help="only note that the cell is left out, and why")
    parser.add_argument("command", nargs="*")
    args = parser.parse_args()

    cell = {"repeat": args.repeat, "workload": args.workload, "target": args.target}
    if args.skip:
        cell["skipped"] = args.skip
    else:
        try:
            with tempfile.TemporaryDirectory() as log:
                cell |= measure(args, log)
        except (ValueError, OSError, subprocess.TimeoutExpired) as problem:
            cell["error"] = str(problem)
    line = json.dumps(cell)
    with args.out.open("a") as out:
        print(line, file=out)
    print(line)
    return 1 if "error" in cell else 0


if __name__ == "__main__":
    sys.exit(main())
