"""E: several gateways, everybody at a few names at once; what each saw must have an order of one after the other.

A case is ``AT_ONCE`` of the cases of ``tests.histories`` beside each other. ``make test`` has them within one process
(``tests/histories/test_histories.py``), so the three processes are started by the first case.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

from tests.histories import cases
from tests.tools.gateway import new_database
from tests.torture.suite import Case, Seen, Stage, Suite

AT_ONCE: Final = 8
CACHED: Final = "cached"
_LAG_SECONDS: Final = 1.0


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """Three gateways that remember nothing; and two whose readers may lag, for every eighth case."""
    stages: dict[str, cases.Stage] = {}
    async with AsyncExitStack() as stack:

        async def staged(kind: str) -> cases.Stage:
            if kind not in stages:
                cached = kind == CACHED
                database = await new_database(stage.server, copied=True)
                made = cases.open_stage(
                    stage.folder / kind,
                    database,
                    gateways=2 if cached else 3,
                    lag_seconds=_LAG_SECONDS if cached else 0.0,
                    quota_newcomers="",
                    # Bytes are in memory: those of what was removed go soon, beside all else.
                    sweep_interval_seconds=5,
                    garbage_grace_seconds=20,
                    database_wait_seconds=60,  # however busy the machine is: a 503 is no answer here
                )
                stages[kind] = await stack.enter_async_context(made)
            return stages[kind]

        async def case(number: int, choice: random.Random) -> Seen:
            del choice  # every client has its own, by the number
            on = await staged(CACHED if number % 8 == 7 else "plain")
            numbers = range(number * AT_ONCE, (number + 1) * AT_ONCE)
            done = await asyncio.gather(*(cases.run_case(on, n, stage.seed) for n in numbers))
            return Seen(operations=sum(done), histories=AT_ONCE)

        yield case


SUITE: Final = Suite(
    name="histories",
    what="operations of all APIs at three processes, and whether they have an order",
    unit="operations",
    full=500_000,
    small=0,
    opened=opened,
    processes=1,
    seconds=120.0,
)
