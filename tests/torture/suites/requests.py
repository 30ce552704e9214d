"""I, over the socket: whole requests of every API, damaged anywhere; no 5xx, and every connection has an end."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from typing import Final

from tests.fuzz.whole import fuzz_requests, listening
from tests.tools.gateway import new_database
from tests.torture.suite import Case, Seen, Stage, Suite

REQUESTS: Final = 200


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """A gateway in this process."""
    database = await new_database(stage.server, copied=True)
    async with listening(stage.folder, database) as gateway:

        async def case(number: int, choice: random.Random) -> Seen:
            del number
            statuses = await fuzz_requests(gateway, choice, REQUESTS)
            return Seen(requests=REQUESTS) + Seen({f"{k} answered": n for k, n in statuses.items()})

        yield case


SUITE: Final = Suite(
    name="requests",
    what="whole requests of every API, damaged anywhere, over a socket",
    unit="requests",
    full=100_000,
    small=1,
    opened=opened,
    processes=4,  # half of the time each waits for nothing to come
)
