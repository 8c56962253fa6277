"""Which plots a run becomes. How they are drawn is in plot.py."""

from dataclasses import dataclass
from pathlib import Path

from plot import Bar, grouped_bars
from results import Results

PROTOCOLS = ("simple", "extended", "prepared")


@dataclass(frozen=True)
class Chart:
    """A file, its headline, what its axis counts, and its groups: label, workload, key."""

    name: str
    title: str
    unit: str
    groups: list[tuple[str, str, str]]
    digits: int = 0


def of_clients(key: str, clients: tuple[int, ...]) -> list[tuple[str, str, str]]:
    return [(f"{protocol}, {count}", f"{protocol}-c{count}", key)
            for count in clients for protocol in PROTOCOLS]


def same(key: str, workloads: tuple[str, ...]) -> list[tuple[str, str, str]]:
    return [(workload, workload, key) for workload in workloads]


def latencies(clients: int) -> list[tuple[str, str, str]]:
    return [(f"{protocol}, {p}", f"{protocol}-c{clients}", f"latency_{p}_ms")
            for p in ("p50", "p99") for protocol in PROTOCOLS]


CHARTS = [
    Chart("throughput.svg", "Throughput of -S by protocol and clients, and of SELECT 1",
          "transactions a second",
          of_clients("tps", (1, 32, 500)) + [("SELECT 1, 32", "select1-c32", "tps")]),
    Chart("latency-1.svg", "Latency with one client", "milliseconds", latencies(1), 2),
    Chart("latency-500.svg", "Latency with 500 clients", "milliseconds", latencies(500)),
    Chart("cpu.svg", "CPU time of the pooler per transaction", "microseconds",
          of_clients("cpu_us_per_tx", (1, 32, 500))
          + same("cpu_us_per_tx", ("select1-c32", "paced-4000", "prepared-c32-tls", "pipeline10"))),
    Chart("logins.svg", "CPU time of the pooler per login, with a query and without", "microseconds",
          same("cpu_us_per_tx", ("churn", "churn-tls"))
          + same("cpu_us_per_login", ("idle-1000", "idle-1000-tls"))),
    Chart("streams.svg", "CPU time of the pooler per gigabyte", "seconds",
          same("cpu_s_per_gb", ("stream", "copy-out", "copy-in", "stream-tls")), 2),
    Chart("memory.svg", "Memory per idle client that has run a query", "KiB",
          same("rss_kib_after_query",
               ("idle-1000", "idle-5000", "idle-20000", "idle-1000-tls", "idle-5000-tls")), 1),
]


def draw(results: Results, folder: Path) -> list[tuple[str, str]]:
    """Writes the plots there are figures for, and returns their file names and titles."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for chart in CHARTS:
        groups = [
            (label, [Bar.of(target, values) for target in results.targets
                     if (values := results.values(workload, target, key))])
            for label, workload, key in chart.groups
        ]
        groups = [(label, bars) for label, bars in groups if bars]
        if groups:
            text = grouped_bars(chart.title, chart.unit, groups, results.targets, chart.digits)
            (folder / chart.name).write_text(text)
            drawn.append((chart.name, chart.title))
    return drawn
