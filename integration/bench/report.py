"""Prints the Markdown tables of a results file of run.sh, and draws its plots."""

import argparse
from pathlib import Path
from statistics import median

import charts
from goals import GOALS, verdict
from results import LOGINS, STREAM, Results, kind_of


def spread(values: list[float], digits: int) -> str:
    if not values:
        return "–"
    low, middle, high = (f"{v:.{digits}f}" for v in (min(values), median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low}–{high})"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# A column: its head, the key of its figure, and the digits behind the point; or one that shows
# nothing but a share, in percent.
def columns(workload: str) -> list[tuple[str, str, int | None]]:
    kind = kind_of(workload)
    speed = (kind.speed_unit, kind.speed, 0)
    cpu = (f"pooler CPU {kind.cpu_unit}", kind.cpu, kind.cpu_digits)
    if kind == LOGINS:
        return [("clients", "clients", 0), speed, cpu,
                *((f"{name.upper()} KiB, after {when}", f"{name}_kib_after_{when}", 2)
                  for name in ("rss", "pss") for when in ("login", "query")),
                ("other load, cores", "other_load_cores", 2)]
    latencies = [] if kind == STREAM else [
        ("latency ms", "latency_ms", 3), ("p50", "latency_p50_ms", 3), ("p99", "latency_p99_ms", 3)]
    return [speed, *latencies, cpu, ("of it user", "cpu_user_share", None),
            (f"PostgreSQL CPU {kind.cpu_unit}", f"postgres_{kind.cpu}", kind.cpu_digits),
            ("other load, cores", "other_load_cores", 2)]


def workload_table(results: Results, workload: str) -> str:
    shown = columns(workload)
    rows, notes = [], []
    for target in results.targets:
        cells = results.cells[workload].get(target, [])
        if any("seconds" in cell for cell in cells):
            row = [target]
            for _, key, digits in shown:
                values = results.values(workload, target, key)
                share = digits is None and values
                row.append(f"{median(values):.0%}" if share else spread(values, digits or 0))
            rows.append([*row, str(sum("seconds" in cell for cell in cells))])
        for kind in ("error", "skipped"):
            texts = dict.fromkeys(cell[kind] for cell in cells if kind in cell)
            notes += [f"* {target}: {kind}: " + " ".join(text.split()) for text in texts]
    head = ["target", *(name for name, _, _ in shown), "cells"]
    parts = [f"## {workload}", table(head, rows), "\n".join(notes)]
    return "\n\n".join(part for part in parts if part)


def ratios(results: Results, base: str) -> str:
    """The medians of all others over those of one target: speed, and CPU."""
    others = [target for target in results.targets if target not in (base, "direct")]
    rows = []
    for workload in results.cells:
        kind = kind_of(workload)
        row = [workload]
        for target in others:
            pair = [results.ratio(workload, target, base, key) for key in (kind.speed, kind.cpu)]
            row.append(" / ".join(f"{figures[0]:.2f}" for figures in pair if figures))
        if any(row[1:]):
            rows.append(row)
    if not rows:
        return ""
    return f"## Over {base}: speed / CPU\n\n" + table(["workload", *others], rows)


def goals(results: Results) -> str:
    rows, missing = [], 0
    for goal in GOALS:
        figures = goal.figures(results)
        if not figures:
            missing += 1
            continue
        over = f" ÷ {goal.base}" if goal.base else ""
        figure = f"{figures[0]:.2f}"
        if len(figures) > 2:
            figure += f" ({min(figures[1:]):.2f}–{max(figures[1:]):.2f})"
        limit = ("≥ " if goal.at_least else "≤ ") + f"{goal.limit:g}"
        rows.append([goal.what, goal.workload, goal.target + over, limit, figure,
                     verdict(goal, figures)])
    if not rows:
        return ""
    head = ["goal", "workload", "of", "limit", "figure (single rounds)", "met?"]
    met = sum(row[-1].startswith("yes") for row in rows)
    total = f"{met} of {len(rows)} are met" + (f"; {missing} were not measured." if missing else ".")
    return f"## Goals\n\n{table(head, rows)}\n\n{total}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plots", type=Path, help="folder for SVG files")
    parser.add_argument("results", type=Path)
    args = parser.parse_args()
    results = Results(args.results)
    drawn = charts.draw(results, args.plots) if args.plots else []
    parts = ["# Side by side", results.title,
             "Medians (min–max). CPU is user and system time of all the pooler's processes, its "
             "clients' logins included. Differences under 10 % are ties.",
             goals(results), ratios(results, "pgbouncer"),
             "\n\n".join(f"![{title}]({name})" for name, title in drawn),
             *(workload_table(results, workload) for workload in results.cells)]
    print("\n\n".join(part for part in parts if part))


if __name__ == "__main__":
    main()
