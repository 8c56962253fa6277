"""Prints what one run under callgrind needed more than a shorter one, per transaction."""

import argparse
import re
from collections import Counter
from pathlib import Path

COST = re.compile(r"\d+ (\d+)$")
# The hash of a symbol and the paths of crates say nothing to a reader.
NOISE = re.compile(r"::h[0-9a-f]{16}$|<impl [^>]*> for |\{\{closure\}\}'\d+")


def self_cost(file: Path) -> Counter[str]:
    """Instructions by function, without those of what it calls.

    The format: https://valgrind.org/docs/manual/cl-format.html
    """
    costs: Counter[str] = Counter()
    function, is_call = "", False
    with file.open(errors="replace") as lines:
        for line in lines:
            if line.startswith("fn="):
                function = NOISE.sub("", line[3:].strip())
            elif line.startswith("calls="):
                is_call = True  # the line behind it tells what the call cost
            elif found := COST.match(line):
                if not is_call:
                    costs[function] += int(found[1])
                is_call = False
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--functions", type=int, required=True)
    parser.add_argument("--transactions", type=int, required=True)
    parser.add_argument("few", type=Path)
    parser.add_argument("many", type=Path)
    args = parser.parse_args()

    more = self_cost(args.many)
    more.subtract(self_cost(args.few))
    total = sum(more.values()) / args.transactions
    print(f"### {args.workload}: {total:,.0f} instructions per transaction\n")
    print("| instructions | function |\n| ---: | --- |")
    for function, cost in more.most_common(args.functions):
        each = cost / args.transactions
        total -= each
        print(f"| {each:,.0f} | `{function}` |")
    print(f"| {total:,.0f} | all others |\n")


if __name__ == "__main__":
    main()
