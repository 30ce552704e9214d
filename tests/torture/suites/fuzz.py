"""I: whoever reads what a stranger wrote, by millions of inputs that are nearly good."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from typing import Final

from tests.fuzz.readers import fuzz
from tests.torture.suite import Case, Seen, Stage, Suite

INPUTS: Final = 2000


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """Nothing is needed."""
    del stage

    async def case(number: int, choice: random.Random) -> Seen:
        del number
        return Seen(inputs=INPUTS, taken=sum(fuzz(choice, INPUTS).values()))

    yield case


SUITE: Final = Suite(
    name="fuzz",
    what="texts, forms, JSON, policies, tokens and headers that are nearly good, to whoever reads them",
    unit="inputs",
    full=5_000_000,
    small=1,
    opened=opened,
    processes=1,
)
