"""H, over the socket: the gateway alone, told by X-Accel-Redirect, and in edge mode; the bytes are compared.

``make test`` holds the ways to each other (``tests/differential``), so the first case starts the servers.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

from tests.oracle.wire import WAYS, Wire, open_wire
from tests.torture.suite import Case, Seen, Stage, Suite

REQUESTS: Final = 200


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """One after the other of the ways."""
    made: list[Wire] = []
    async with AsyncExitStack() as stack:

        async def case(number: int, choice: random.Random) -> Seen:
            if not made:
                made.append(await stack.enter_async_context(open_wire(stage.folder, stage.server)))
            seen = await made[0].compare(WAYS[number % len(WAYS)], choice, REQUESTS)
            return seen + Seen(requests=REQUESTS)

        yield case


SUITE: Final = Suite(
    name="wire",
    what="the same over a socket: alone, by X-Accel-Redirect and at the edge, byte for byte",
    unit="requests",
    full=300_000,
    small=0,
    opened=opened,
)
