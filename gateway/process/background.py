"""Tasks that run beside the service for as long as it does, and work that is too long for the loop.

Rule: a stop always arrives. One cancellation may not: a commit under way turns it into an
error of its own, and ``asyncio.wait_for`` of Python 3.11 drops one that comes with the result.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

_AGAIN_SECONDS: Final = 0.5
_MOMENT_BYTES: Final = 4 * 1024
Result = TypeVar("Result")
Inputs = ParamSpec("Inputs")


async def aside(
    size: int, work: Callable[Inputs, Result], *args: Inputs.args, **named: Inputs.kwargs
) -> Result:
    """What ``work`` makes of an input of ``size`` bytes, off the loop if that takes a while."""
    if size <= _MOMENT_BYTES:
        return work(*args, **named)
    return await asyncio.to_thread(work, *args, **named)


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
