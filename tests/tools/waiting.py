"""Waiting for something to be so, instead of for a time after which it may be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.01


async def until(
    is_so: Callable[[], bool | Awaitable[bool]], *, within: float = PATIENCE_SECONDS
) -> None:
    """Ask again and again. Raises ``TimeoutError`` if it is not so ``within`` that many seconds."""
    async with asyncio.timeout(within):
        while True:
            said = is_so()
            if said if isinstance(said, bool) else await said:
                return
            await asyncio.sleep(_PAUSE_SECONDS)


async def least_seconds(
    work: Callable[[], Awaitable[object]], *, below: float, tries: int = 10
) -> float:
    """The least that it took, tried again while that is not ``below``.

    What is quick is so at least once, however busy the machine; what is slow never is.
    """
    least = float("inf")
    for _ in range(tries):
        began = time.monotonic()
        await work()
        least = min(least, time.monotonic() - began)
        if least < below:
            break
    return least
