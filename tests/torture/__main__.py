"""``python -m tests.torture [suite ...] --scale small|full --seed N``.

Each suite keeps how far it came in ``tests/out/torture``; started again with the same seed it goes on there, and
cases that failed are tried once more. What full runs come to is put into ``tests/torture/result.json``. ``--case K``
does one case and shows what it raises.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Sequence

import uvloop

from tests.torture.defects import DEFECTS, VARIABLE, plant
from tests.torture.progress import begun, note_result
from tests.torture.runner import Runner
from tests.torture.suite import Failed, Stage, Suite, all_suites, run
from tests.torture.worker import stage_of

SEED = 15


def main() -> int:
    """Torture; 1 if anything was not as promised, 2 if there is more to do."""
    options = _options()
    suites = all_suites()
    chosen = [suites[name] for name in options.suite or suites]
    if options.defect:
        os.environ[VARIABLE] = options.defect
        plant()
    if options.case is not None:
        return _one_case(chosen[0], options)
    os.nice(options.nice)
    return asyncio.run(_run_all(chosen, options))


async def _run_all(suites: Sequence[Suite], options: argparse.Namespace) -> int:
    """One after the other, until told to stop; the worst of what they came to."""
    worst, stopping = 0, asyncio.Event()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(wanted, stopping.set)
    for suite in suites:
        if not stopping.is_set():
            worst = max(worst, await _run(suite, options, stopping))
    return worst


async def _run(suite: Suite, options: argparse.Namespace, stopping: asyncio.Event) -> int:
    goal = options.count or (suite.full if options.scale == "full" else suite.small)
    progress = begun(suite, goal, options.seed, again=options.again or bool(options.defect))
    runner = Runner(suite, progress, stopping=stopping)
    reached = await runner.run()
    print(f"\r{runner.line()}", file=sys.stderr)
    if options.scale == "full" and not options.count and not options.defect:
        note_result(suite, progress)
    if progress.failures:
        return 1
    return 0 if reached else 2


def _one_case(suite: Suite, options: argparse.Namespace) -> int:
    with stage_of(options.seed) as stage:
        try:
            uvloop.run(_case(suite, stage, options.case))
        except Failed as failed:
            traceback.print_exception(failed.__cause__)
            return 1
    return 0


async def _case(suite: Suite, stage: Stage, number: int) -> None:
    async for _, seen in run(suite, stage, [number]):
        print(dict(seen))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", nargs="*", choices=[[], *all_suites()])
    parser.add_argument("--scale", choices=("small", "full"), default="full")
    parser.add_argument("--count", type=int, help="in place of the scale's own number")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--case", type=int, help="do this one, here")
    parser.add_argument("--defect", choices=DEFECTS, help="plant it, and see the suite fail")
    parser.add_argument("--again", action="store_true", help="from the start")
    parser.add_argument("--nice", type=int, default=10)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
