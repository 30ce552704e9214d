"""The garbage collector, told what kind of process this is.

Theory of operation. Reference counts free nearly everything here; the collector is for what keeps
each other, and while it looks nobody is served. How long it looks is how much there is: of 100,000
objects, which is what a gateway is made of before anybody has come, 50 ms. So what is there when
serving begins is set aside (``gc.freeze``), and looked at no more. What comes later is looked at
often and in small portions; where a look at the oldest generation took long, what it found alive
is set aside, too, which costs nothing. So no look is long, however many devices are connected.

What is set aside and ends in a cycle later is never found. That is little (requests leave no
cycles, ``tests/dialects/test_cycles.py``), but not nothing: so when far more is set aside than
connections explain, everything is looked at once. That look is long, and doubles what has to come
together before the next.

Knows CPython's collector. Does not know what is in the heap.

Rule: a collection is short, or there is much to be gained by it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from gateway.process.background import running

_THRESHOLDS: Final = (1_000, 5, 1)
_LONG_SECONDS: Final = 0.003
_OF_A_CONNECTION: Final = 100
"""Objects; it has about half as many."""
_TIMES: Final = 2
_PAUSE_SECONDS: Final = 60.0
_log: Final = logging.getLogger(__name__)


class SetAside:
    """What is set aside, and when everything is looked at again."""

    def __init__(self) -> None:
        self._began = 0.0
        self._first = 0
        self._has_grown = False
        self.longest = 0.0
        """Seconds of the longest collection since ``settle``."""

    def settle(self) -> None:
        """All that there is now stays: look at it no more."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        gc.collect()  # of nothing: the collector waits until a quarter of the last has come anew
        self._first = gc.get_freeze_count()
        self._has_grown, self.longest = False, 0.0

    def relieve(self, connections: int) -> None:
        """Look at everything if more is set aside than so many connections explain."""
        if not self._has_grown:
            return
        self._has_grown = False
        aside = gc.get_freeze_count()
        if aside > _TIMES * (self._first + _OF_A_CONNECTION * connections):
            began = time.perf_counter()
            self.settle()
            seconds = round(time.perf_counter() - began, 3)
            extra = {"objects": aside, "left": self._first, "seconds": seconds}
            _log.info("looked at the whole heap", extra=extra)

    def told(self, phase: str, info: dict[str, int]) -> None:
        """The collector begins or ends: ``gc.callbacks``."""
        if phase == "start":
            self._began = time.perf_counter()
            return
        seconds = time.perf_counter() - self._began
        self.longest = max(self.longest, seconds)
        if info["generation"] == len(_THRESHOLDS) - 1 and seconds > _LONG_SECONDS:
            gc.freeze()
            self._has_grown = True


@asynccontextmanager
async def short_collections(connections: Callable[[], int]) -> AsyncIterator[SetAside]:
    """Within the block no collection takes long. What is there now is set aside."""
    garbage, thresholds = SetAside(), gc.get_threshold()
    garbage.settle()
    gc.set_threshold(*_THRESHOLDS)
    gc.callbacks.append(garbage.told)
    try:
        async with running(_relieve_for_ever(garbage, connections)):
            yield garbage
    finally:
        gc.callbacks.remove(garbage.told)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


async def _relieve_for_ever(garbage: SetAside, connections: Callable[[], int]) -> None:
    while True:
        await asyncio.sleep(_PAUSE_SECONDS)
        garbage.relieve(connections())
