"""Requests begin in rounds: so many of each address for each turn of the event loop.

The loop handles whatever is ready before it looks again, so sixty connections of one client, each
with a request, would make everybody else wait for sixty requests. Here they wait for a few; the
rest begin in the rounds after that, in the order in which they came. Nothing is refused, and
nothing is slower while the loop has time: a round is as long as what is begun in it.

Knows no HTTP. Does not bound how long one request takes.

Rule: a round that took long lets fewer begin in the next.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from typing import Final

_BEGIN: Final = 4
_LONG_SECONDS: Final = 0.005


class Rounds:
    """Who begins when."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._each = _BEGIN
        self._since = 0.0
        self._coming = False

    async def turn(self, holder: str | None) -> None:
        """Return when this holder may begin; at once for ``None``, whom nobody knows."""
        if holder is None:
            return
        if not self._coming:
            self._expect_next()
        if holder not in self._waiting and self._begun[holder] < self._each:
            self._begun[holder] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(holder, deque()).append(turn)
        await turn

    def _expect_next(self) -> None:
        self._coming = True
        self._since = time.perf_counter()
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """A round is over: who waits longest begins."""
        took = time.perf_counter() - self._since
        self._each = _BEGIN if took < _LONG_SECONDS else 1
        self._begun.clear()
        for holder in list(self._waiting):
            self._begin(holder)
        self._coming = False
        if self._begun:
            self._expect_next()

    def _begin(self, holder: str) -> None:
        queue = self._waiting[holder]
        while queue and self._begun[holder] < self._each:
            turn = queue.popleft()
            if not turn.done():  # who waited may have left
                self._begun[holder] += 1
                turn.set_result(None)
        if not queue:
            del self._waiting[holder]
