"""Runs one cell of the benchmark and appends what it measured to a file, as one JSON line."""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SETTLE = 0.1


def cpu_seconds(pid: int) -> float:
    """User and system time of a whole process, threads that ended included.

    The kernel's clock of another process counts nanoseconds, where /proc/PID/stat counts ticks
    of 10 ms. Its number is made as in the C library's clock_getcpuclockid().
    """
    return time.clock_gettime((~pid << 3) | 2)


def stat_fields(pid: str) -> list[str]:
    # The name, in parentheses, may hold spaces; the state is field 0 here.
    return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()


def user_share(pid: int) -> tuple[int, int]:
    fields = stat_fields(str(pid))
    return int(fields[11]), int(fields[12])


def postgres_seconds(postmaster: int) -> float:
    """All server processes: the living by their clocks, the dead by what the postmaster collected."""
    fields = stat_fields(str(postmaster))
    total = cpu_seconds(postmaster) + (int(fields[13]) + int(fields[14])) / TICKS
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if int(stat_fields(entry)[1]) == postmaster:
                    total += cpu_seconds(int(entry))
            except OSError:
                pass  # It ended between two looks.
    return total


def machine_seconds() -> float:
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / TICKS


def client_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Sample:
    """Everybody's CPU time up to now, and the time itself."""

    def __init__(self, pooler: int, postmaster: int) -> None:
        self.clock = time.monotonic()
        self.pooler = cpu_seconds(pooler) if pooler else 0.0
        self.user, self.system = user_share(pooler) if pooler else (0, 0)
        self.postgres = postgres_seconds(postmaster)
        self.machine = machine_seconds()
        self.client = client_seconds()


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


def measure(args: argparse.Namespace) -> dict:
    before = Sample(args.pooler, args.postmaster)
    done = subprocess.run(
        args.command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=args.timeout
    )
    seconds = time.monotonic() - before.clock
    # Connections are still being closed, and server processes reaped.
    time.sleep(SETTLE)
    after = Sample(args.pooler, args.postmaster)
    if done.returncode or "error:" in done.stderr.lower():
        raise ValueError(f"exit status {done.returncode}: {done.stderr.strip()[-500:]}")

    pooler = after.pooler - before.pooler
    postgres = after.postgres - before.postgres
    client = after.client - before.client
    others = after.machine - before.machine - pooler - postgres - client
    cores = max(others, 0) / (after.clock - before.clock)
    cell = {"seconds": round(seconds, 3), "other_load_cores": round(cores, 2)}
    if args.bytes:
        gigabytes = args.bytes / 1e9
        cell |= {"bytes": args.bytes, "mb_per_s": round(args.bytes / 1e6 / seconds, 1)}
        scale, unit = 1 / gigabytes, "s_per_gb"
    else:
        cell |= pgbench_numbers(done.stdout)
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
    parser.add_argument("--pooler", type=int, required=True, help="its process, 0 for none")
    parser.add_argument("--postmaster", type=int, required=True)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--bytes", type=int, help="of a copy; without it the command is pgbench")
    parser.add_argument("--skip", help="only note that the cell is left out, and why")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()

    cell = {"repeat": args.repeat, "workload": args.workload, "target": args.target}
    if args.skip:
        cell["skipped"] = args.skip
    else:
        try:
            cell |= measure(args)
        except (ValueError, OSError, subprocess.TimeoutExpired) as problem:
            cell["error"] = str(problem)
    line = json.dumps(cell)
    with args.out.open("a") as out:
        print(line, file=out)
    print(line)
    return 1 if "error" in cell else 0


if __name__ == "__main__":
    sys.exit(main())
