"""What pgwarden is to reach (issue 5, and issue 3 for rules), and whether a run shows it."""

from dataclasses import dataclass

from results import Results, kind_of

PROTOCOLS = ("simple", "extended", "prepared")
# With a speed and a CPU time per transaction that a pooler can influence.
LOADED = (*(f"{protocol}-c{clients}" for clients in (1, 32, 500) for protocol in PROTOCOLS),
          "prepared-c32-tls", "select1-c32", "literals-c32", "paced-4000", "pipeline10",
          "churn", "churn-tls")
STREAMS = ("stream", "stream-tls", "copy-out", "copy-in")
IDLE = ("idle-1000", "idle-5000", "idle-20000")
IDLE_TLS = ("idle-1000-tls", "idle-5000-tls")


@dataclass(frozen=True)
class Goal:
    """A limit for a figure of `target`: as a ratio to `base`, or without one for itself."""

    what: str
    workload: str
    key: str
    limit: float
    target: str = "pgwarden"
    base: str | None = "pgbouncer"
    at_least: bool = False

    def figures(self, results: Results) -> list[float]:
        """The figure that counts, then what single rounds had. Empty when not measured."""
        if self.base:
            return results.ratio(self.workload, self.target, self.base, self.key)
        values = results.values(self.workload, self.target, self.key)
        return [sorted(values)[len(values) // 2], *values] if values else []

    def met_by(self, figure: float) -> bool:
        # A limit of 1.0 is not missed by 1.003, which is written as 1.00.
        figure = round(figure, 2)
        return figure >= self.limit if self.at_least else figure <= self.limit


def cpu(workload: str, limit: float, what: str = "CPU per transaction", **more) -> Goal:
    return Goal(what, workload, kind_of(workload).cpu, limit, **more)


def speed(workload: str, limit: float, **more) -> Goal:
    # What is paced has the pace's speed, give or take what is under way at the end.
    limit = 0.99 if workload.startswith("paced") and limit == 1.0 else limit
    return Goal("throughput", workload, kind_of(workload).speed, limit, at_least=True, **more)


GOALS = [
    *(cpu(f"{protocol}-c32", 0.85) for protocol in PROTOCOLS),
    *(cpu(f"{protocol}-c1", 1.0) for protocol in PROTOCOLS),
    cpu("select1-c32", 1.0),
    cpu("paced-4000", 1.0),
    *(cpu(workload, 1.0, "TLS to the client: CPU per transaction")
      for workload in ("prepared-c32-tls", "churn-tls")),
    *(cpu(workload, 1.0, "two workers: CPU per transaction", target="pgwarden-2w")
      for workload in LOADED),
    *(speed(workload, 1.0) for workload in (*LOADED, *STREAMS)),
    *(speed(f"extended-c{clients}", 1.4, target="pgwarden-pu") for clients in (1, 32, 500)),
    *(Goal("p50 of the latency", f"{protocol}-c1", "latency_p50_ms", 1.05)
      for protocol in PROTOCOLS),
    *(Goal("p99 of the latency", f"{protocol}-c500", "latency_p99_ms", 0.8)
      for protocol in PROTOCOLS),
    *(Goal(f"KiB per idle client, after its {when}", workload, f"rss_kib_after_{when}", limit,
           base=None)
      for limit, workloads in ((2.5, IDLE), (16, IDLE_TLS))
      for workload in workloads for when in ("login", "query")),
    *(cpu(workload, 1.0, "CPU per login") for workload in (*IDLE, *IDLE_TLS)),
    *(cpu(workload, 0.6, "CPU per gigabyte") for workload in ("stream", "copy-out", "copy-in")),
    cpu("stream-tls", 1.0, "TLS to the client: CPU per gigabyte"),
    *(cpu(workload, limit, "rules: CPU per transaction", target="pgwarden-ruled",
          base="pgwarden-free")
      for workload, limit in
      (("prepared-c32", 1.05), ("extended-c32", 1.10), ("literals-c32", 1.15))),
]


def verdict(goal: Goal, figures: list[float]) -> str:
    """Whether the figure meets the goal; "in the spread": single rounds are on both sides of it."""
    met = goal.met_by(figures[0])
    sides = {goal.met_by(figure) for figure in figures[1:]}
    return ("yes" if met else "**no**") + (", in the spread" if len(sides) > 1 else "")
