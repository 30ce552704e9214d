"""Waiting for something to be so, instead of for a time after which it may be."""

from __future__ import annotations

import asyncio
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
