"""Work that takes a while, done beside the event loop: a piece at a time, whoever asks.

Theory of operation. What is worked in Python needs the interpreter's lock, and so does the loop. A
thread gives it up when another has waited for the switch interval, to whichever waits then: of six
threads that work, the loop would have its turn once in six. So there is one thread for all such
work, and the interval is short. Who comes waits for a turn, one holder after another (``Turns``).

And what is made of it is mostly for the database, on the same machine perhaps: a large change
waits for its turn as a whole (``in_turn``), of which there is one for two cores.

Knows sizes. Does not know what the work is.

Rule: what is small waits for nobody.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, ParamSpec, TypeVar

from gateway.model.errors import TooMany
from gateway.process.holder import HOLDER
from gateway.traffic.turns import Turns

_MOMENT_BYTES: Final = 4 * 1024
_SWITCH_SECONDS: Final = 0.001
_WAIT_SECONDS: Final = 10.0
Result = TypeVar("Result")
Inputs = ParamSpec("Inputs")

_thread: Final = ThreadPoolExecutor(1, "bulk")
_pieces: Final = Turns(1)
_changes: Final = Turns(max(1, (os.cpu_count() or 1) // 2))


def give_way() -> None:
    """Let whoever waits for the interpreter's lock have it soon."""
    sys.setswitchinterval(_SWITCH_SECONDS)


async def aside(
    size: int, work: Callable[Inputs, Result], *args: Inputs.args, **named: Inputs.kwargs
) -> Result:
    """What ``work`` makes of an input of ``size`` bytes, off the loop if that takes a while."""
    if size <= _MOMENT_BYTES:
        return work(*args, **named)
    async with _turn(_pieces):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_thread, lambda: work(*args, **named))


@asynccontextmanager
async def in_turn(size: int) -> AsyncIterator[None]:
    """Within the block a change of ``size`` bytes is made, when its turn has come.

    Raises ``TooMany`` if that takes too long.
    """
    if size <= _MOMENT_BYTES:
        yield
        return
    async with _turn(_changes):
        yield


@asynccontextmanager
async def _turn(turns: Turns) -> AsyncIterator[None]:
    holder = HOLDER.get()
    try:
        await turns.take(holder, _WAIT_SECONDS)
    except TimeoutError:
        raise TooMany() from None
    try:
        yield
    finally:
        turns.give_back(holder)
