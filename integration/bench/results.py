"""Reads the cells of a run; what is known of each kind of workload's figures."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

# In this order; others, by their names, after them.
KNOWN_TARGETS = ("direct", "pgbouncer", "haproxy", "pgpool", "pgwarden", "pgwarden-2w",
                 "pgwarden-pu", "pgwarden-free", "pgwarden-ruled")


@dataclass(frozen=True)
class Kind:
    """The keys of speed and of the pooler's CPU time, and how to show them."""

    speed: str
    speed_unit: str
    cpu: str
    cpu_unit: str
    cpu_digits: int


TRANSACTIONS = Kind("tps", "tps", "cpu_us_per_tx", "µs/tx", 1)
STREAM = Kind("mb_per_s", "MB/s", "cpu_s_per_gb", "s/GB", 2)
LOGINS = Kind("logins_per_s", "logins/s", "cpu_us_per_login", "µs/login", 1)


def kind_of(workload: str) -> Kind:
    if workload.startswith(("copy-", "stream")):
        return STREAM
    return LOGINS if workload.startswith("idle-") else TRANSACTIONS


class Results:
    """The cells of one run by workload and target, in the order in which they were run."""

    def __init__(self, path: Path) -> None:
        self.title = ""
        self.cells: dict[str, dict[str, list[dict]]] = defaultdict(lambda: defaultdict(list))
        for line in path.read_text().splitlines():
            cell = json.loads(line)
            if "run" in cell:
                self.title = cell["run"]
            else:
                self.cells[cell["workload"]][cell["target"]].append(cell)
        names = {target for rows in self.cells.values() for target in rows}
        known = [name for name in KNOWN_TARGETS if name in names]
        self.targets = known + sorted(names - set(known))

    def rounds(self, workload: str, target: str, key: str) -> dict[int, float]:
        """What each round measured; nothing for rounds without this figure."""
        cells = self.cells.get(workload, {}).get(target, [])
        return {cell["repeat"]: cell[key] for cell in cells if key in cell}

    def values(self, workload: str, target: str, key: str) -> list[float]:
        return list(self.rounds(workload, target, key).values())

    def ratio(self, workload: str, target: str, base: str, key: str) -> list[float]:
        """Of the medians, followed by that of each round which has both. Empty without either."""
        ours, theirs = (self.rounds(workload, name, key) for name in (target, base))
        if not ours or not theirs or not all(theirs.values()):
            return []
        both = [ours[number] / theirs[number] for number in ours if number in theirs]
        return [median(ours.values()) / median(theirs.values()), *both]
