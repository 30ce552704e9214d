"""The full run of suite H: ``python -m tests.oracle.run --examples N --seed S --result FILE``.

Runs in batches, each with a seed of its own derived from ``--seed``, so that a difference
can be met again with ``--examples`` and ``--seed`` of its batch. Writes how many requests
were compared and how many of each answer there were; exits with 1 at the first difference.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections import Counter
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.oracle import engine, rfc9110
from tests.oracle.requests import NOW, Request, requests

BATCH = 10_000


def compare(request: Request) -> rfc9110.Answer:
    """The common answer; raises ``AssertionError`` with the request if there is none."""
    expected = rfc9110.answer(
        request.method,
        request.headers,
        request.resource,
        now=NOW,
        unknown_units_are_errors=request.strict,
        several=request.several,
    )
    given_answer = engine.answer(request)
    assert expected == given_answer, f"{request}\noracle: {expected}\nengine: {given_answer}"
    return expected


def run_batch(examples: int, seed: int, seen: Counter[str]) -> None:
    """Compare ``examples`` generated requests and count the answers."""

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests())
    def property_holds(request: Request) -> None:
        common = compare(request)
        seen[f"{common.status} {common.reason}".strip()] += 1

    property_holds()


def main() -> int:
    """Run, report, and say whether the two agreed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=9110)
    parser.add_argument("--result", type=Path, help="where to write the JSON result")
    options = parser.parse_args()
    started, seen = time.monotonic(), Counter[str]()
    batch = 0
    while (done := seen.total()) < options.examples:
        try:
            run_batch(min(BATCH, options.examples - done), options.seed + batch, seen)
        except AssertionError as difference:
            print(f"seed {options.seed + batch}: {difference}", file=sys.stderr)
            return 1
        batch += 1
    result = {
        "suite": "H: RFC 9110 oracle, the pure engine",
        "requests": seen.total(),
        "differences": 0,
        "answers": dict(sorted(seen.items())),
        "seed": options.seed,
        "batches": batch,
        "seconds": round(time.monotonic() - started),
        "python": platform.python_version(),
        "hypothesis": hypothesis.__version__,
    }
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if options.result:
        options.result.parent.mkdir(parents=True, exist_ok=True)
        options.result.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
