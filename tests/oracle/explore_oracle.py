"""The rules against the model of RFC 9110, from fresh seeds: a part of ``make explore``."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

from tests.oracle.run import BATCH, run_batch


def main() -> int:
    """Compare requests for so many seconds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=9110)
    options = parser.parse_args()
    end, seed, seen = time.monotonic() + options.seconds, options.seed, Counter[str]()
    while time.monotonic() < end:
        try:
            run_batch(BATCH // 4, seed, seen)
        except AssertionError as difference:
            print(f"seed {seed}: {difference}")
            return 1
        seed += 1
    print(json.dumps({"requests": seen.total(), "differences": 0}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
