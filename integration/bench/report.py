"""Prints the Markdown tables of a results file of run.sh."""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import median

# What pgwarden is to reach: CPU as a ratio to PgBouncer in the same run, or an absolute figure.
RATIO_GOALS = {
    "simple-c32": 0.85,
    "extended-c32": 0.85,
    "prepared-c32": 0.85,
    "simple-c1": 1.0,
    "select1-c32": 1.0,
    "paced-4000": 1.0,
    "churn": 1.0,
}
ABSOLUTE_GOALS = {"copy-out": "≤ 1.0 s/GB", "copy-in": "≤ 0.8 s/GB"}


def spread(values: list[float], digits: int) -> str:
    if not values:
        return "–"
    low, middle, high = (f"{v:.{digits}f}" for v in (min(values), median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low}–{high})"


def ratio(ours: list[float], theirs: list[float]) -> str:
    return f"{median(ours) / median(theirs):.2f}" if ours and theirs and median(theirs) else "–"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


class Results:
    def __init__(self, path: Path) -> None:
        self.cells: dict[str, dict[str, list[dict]]] = defaultdict(lambda: defaultdict(list))
        self.targets: list[str] = []
        for line in path.read_text().splitlines():
            cell = json.loads(line)
            self.cells[cell["workload"]][cell["target"]].append(cell)
        names = {target for rows in self.cells.values() for target in rows}
        known = [name for name in ("direct", "pgbouncer", "pgwarden", "pgwarden-2w") if name in names]
        self.targets = known + sorted(names - set(known))

    def values(self, workload: str, target: str, key: str) -> list[float]:
        return [cell[key] for cell in self.cells[workload][target] if key in cell]


def units(workload: str) -> tuple[str, str, str]:
    """The keys of speed and CPU, and the CPU's unit."""
    if workload.startswith("copy-"):
        return "mb_per_s", "cpu_s_per_gb", "s/GB"
    return "tps", "cpu_us_per_tx", "µs/tx"


def workload_row(results: Results, workload: str, target: str) -> list[str]:
    def of(key: str) -> list[float]:
        return results.values(workload, target, key)

    speed, cpu, unit = units(workload)
    digits = 2 if unit == "s/GB" else 1
    share = of("cpu_user_share")
    return [
        target,
        spread(of(speed), 0),
        spread(of("latency_ms"), 3),
        spread(of(cpu), digits),
        f"{median(share):.0%}" if share else "–",
        spread(of("postgres_" + cpu), digits),
        spread(of("other_load_cores"), 2),
        str(len(of("seconds"))),
    ]


def workload_table(results: Results, workload: str) -> str:
    speed, _, unit = units(workload)
    head = ["target", "MB/s" if speed == "mb_per_s" else "tps", "latency ms",
            f"pooler CPU {unit}", "of it user", f"PostgreSQL CPU {unit}", "other load, cores",
            "cells"]
    targets = [target for target in results.targets if results.cells[workload][target]]
    parts = [f"## {workload}", table(head, [workload_row(results, workload, t) for t in targets])]
    notes = [
        f"* {target}: {kind}: " + " ".join(text.split())
        for target in targets
        for kind in ("error", "skipped")
        for text in dict.fromkeys(
            cell[kind] for cell in results.cells[workload][target] if kind in cell)
    ]
    return "\n\n".join([*parts, "\n".join(notes)] if notes else parts)


def summary_row(results: Results, workload: str, target: str) -> list[str]:
    def against(rival: str, key: str) -> str:
        if rival == target:
            return ""
        return ratio(results.values(workload, target, key), results.values(workload, rival, key))

    speed, cpu, _ = units(workload)
    if workload in RATIO_GOALS:
        goal = f"≤ {RATIO_GOALS[workload]:.2f}"
    else:
        goal = ABSOLUTE_GOALS.get(workload, "–")
    return [workload, target, against("pgbouncer", speed), against("pgbouncer", cpu), goal,
            against("pgwarden", speed), against("pgwarden", cpu)]


def summary(results: Results) -> str:
    """The medians of each pgwarden over those of PgBouncer, and of other builds over pgwarden."""
    ours = [target for target in results.targets if target not in ("direct", "pgbouncer")]
    if not ours:
        return ""
    head = ["workload", "target", "speed ÷ pgbouncer", "CPU ÷ pgbouncer", "CPU goal",
            "speed ÷ pgwarden", "CPU ÷ pgwarden"]
    rows = [summary_row(results, workload, target) for workload in results.cells for target in ours]
    return "## Ratios of the medians\n\n" + table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--title", default="")
    parser.add_argument("results", type=Path)
    args = parser.parse_args()
    results = Results(args.results)
    parts = ["# Side by side", args.title,
             "Medians (min–max). CPU is user and system time of the whole pooler process, its "
             "clients' logins included. Differences under 15 % are ties.",
             *(workload_table(results, workload) for workload in results.cells), summary(results)]
    print("\n\n".join(part for part in parts if part))


if __name__ == "__main__":
    main()
