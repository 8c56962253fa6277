"""What the kernel has booked for a process and its children: CPU time and memory."""

import os
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a whole process, threads that ended included.

    The kernel's clock of another process counts nanoseconds, where /proc/PID/stat counts ticks
    of 10 ms. Its number is made as in the C library's clock_getcpuclockid().
    """
    return time.clock_gettime((~pid << 3) | 2)


def stat_fields(pid: int) -> list[str]:
    # The name, in parentheses, may hold spaces; the state is field 0 here.
    return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """The process and all that descend from it, as far as they live."""
    found = [root]
    for pid in found:
        for children in Path("/proc", str(pid), "task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                pass  # It ended between two looks.
    return found


def tree_seconds(root: int) -> float:
    """CPU time of the tree: the living by their clocks, the dead by what the root collected."""
    fields = stat_fields(root)
    total = (int(fields[13]) + int(fields[14])) / TICKS
    for pid in tree(root):
        try:
            total += cpu_seconds(pid)
        except OSError:
            pass
    return total


def tree_shares(root: int) -> tuple[int, int]:
    """User and system time of the tree in ticks, which are good for their proportion only."""
    user = system = 0
    for pid in tree(root):
        try:
            fields = stat_fields(pid)
        except OSError:
            continue
        user, system = user + int(fields[11]), system + int(fields[12])
    return user, system


def machine_seconds() -> float:
    """CPU time that everybody on the machine used since it started."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / TICKS


def tree_memory(root: int) -> dict[str, int]:
    """Resident memory of the tree in bytes: rss, and pss, which shares out what is shared."""
    sums = {"rss": 0, "pss": 0}
    for pid in tree(root):
        for line in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name.lower() in sums:
                sums[name.lower()] += int(rest.split()[0]) * 1024
    return sums
