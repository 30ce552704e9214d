"""H: the reading rules against an independent model of RFC 9110, in this process: conditions, ranges, methods."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from typing import Final

from tests.oracle.requests import CHOICES, of_choices
from tests.oracle.run import compare
from tests.torture.suite import Case, Seen, Stage, Suite

REQUESTS: Final = 1000


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """Nothing is needed."""
    del stage

    async def case(number: int, choice: random.Random) -> Seen:
        del number
        seen = Seen(requests=REQUESTS)
        for _ in range(REQUESTS):
            answer = compare(of_choices(choice.randbytes(CHOICES)))
            seen[f"{answer.status} {answer.reason}".strip()] += 1
        return seen

    yield case


SUITE: Final = Suite(
    name="oracle",
    what="conditions, ranges and methods, decided by us and by an independent model of RFC 9110",
    unit="requests",
    full=1_000_000,
    small=1,
    opened=opened,
    processes=1,
)
