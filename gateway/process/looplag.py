"""How long the event loop stands still, measured all the time.

Theory of operation. A timer that is due every few milliseconds comes late by what the loop was
busy with when it was due: one callback that took long, or many. Nothing of a request is touched,
and the price is a hundred wakes a second. A stand-still that began before the timer was due is
seen without that part, so it may have been longer by up to the pause.

Late is also who was ready and had no processor, or waited for the interpreter's lock: for whoever
waits that is the same. What the kernel says of the first of these is counted apart
(``waited_for_processor``).

Knows the loop's timers. Does not know who held it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

PAUSE_SECONDS: Final = 0.01
_LOOKS: Final = 10
_NANOSECONDS: Final = 1e9
_SCHEDULED: Final = Path("/proc/thread-self/schedstat")


class LoopWatch:
    """Tells ``observe`` by how many seconds the loop was late, at most: ten times a second."""

    def __init__(self, observe: Callable[[float], object]) -> None:
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._due = self._longest = 0.0
        self._looks = 0
        self._timer = self._next()

    def _next(self) -> asyncio.TimerHandle:
        self._due = time.perf_counter() + PAUSE_SECONDS
        return self._loop.call_later(PAUSE_SECONDS, self._look)

    def _look(self) -> None:
        late = time.perf_counter() - self._due
        self._longest = max(self._longest, late)
        self._looks += 1
        if self._looks == _LOOKS:
            self._observe(self._longest)
            self._looks, self._longest = 0, 0.0
        self._timer = self._next()

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()


@asynccontextmanager
async def watching_loop(observe: Callable[[float], object]) -> AsyncIterator[None]:
    """Look at the running loop within the block."""
    watch = LoopWatch(observe)
    try:
        yield
    finally:
        watch.close()


def waited_for_processor() -> float:
    """For how many seconds this thread was ready and did not run; 0 where Linux does not say."""
    try:
        return int(_SCHEDULED.read_text(encoding="ascii").split()[1]) / _NANOSECONDS
    except (OSError, IndexError, ValueError):
        return 0.0
