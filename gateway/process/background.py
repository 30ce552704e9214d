"""Tasks that run beside the service for as long as it does.

Rule: a stop always arrives. One cancellation may not: a commit under way turns it into an
error of its own, and ``asyncio.wait_for`` of Python 3.11 drops one that comes with the result.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final

_AGAIN_SECONDS: Final = 0.5


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run ``work`` beside the block and cancel it, until it has ended, when the block does.

    Raises what ``work`` raised, if it failed.
    """
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_AGAIN_SECONDS)
        with contextlib.suppress(asyncio.CancelledError):
            task.result()
