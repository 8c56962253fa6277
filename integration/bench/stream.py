"""Runs one query and throws its answer away: what costs a client less than any real one.

Prints JSON: the bytes that came, without TLS's own, and how fast.
"""

import argparse
import json
import sys
import time

from wire import Client, Refused


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--at-least", type=int, required=True, help="bytes; fewer are an error")
    parser.add_argument("query")
    args = parser.parse_args()
    try:
        client = Client(tls=args.tls)
        clock = time.monotonic()
        count = client.discard(args.query)
        seconds = time.monotonic() - clock
        if count < args.at_least:
            raise Refused(f"only {count} bytes came")
    except (Refused, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    print(json.dumps({"bytes": count, "mb_per_s": round(count / 1e6 / seconds, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
