"""Requests begin in rounds: so many of each address for each turn of the event loop.

The loop handles whatever is ready before it looks again, so sixty connections of one client, each
with a request, would make everybody else wait for sixty requests. Here they wait for a few; the
rest begin in the rounds after that, in the order in which they came. Nothing is refused, and
nothing is slower while the loop has time: a round is as long as what is begun in it.

Of all together so many begin as a round has had time for: their number halves when one took long,
and grows by one when it did not. So while requests are costly, two begin between two looks.

Knows no HTTP. Does not bound how long one request takes.

Rule: a round that took long lets fewer begin in the next.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Final

_BEGIN: Final = 4
_MOST: Final = 16
_LEAST: Final = 1
_LONG_SECONDS: Final = 0.001

Begin = Callable[[], bool]


class Rounds:
    """Who begins when."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[Begin]] = OrderedDict()
        self._each = _BEGIN
        self._all = self._left = _MOST
        self._since = 0.0
        self._coming = False

    async def turn(self, holder: str | None) -> None:
        """Return when this holder may begin; at once for ``None``, whom nobody knows."""
        if holder is None or self.admits(holder):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.wait(holder, lambda: _complete(turn))
        await turn

    def admits(self, holder: str) -> bool:
        """Whether this holder may begin now: then it has. If not, it is to ``wait``."""
        if not self._coming:
            self._expect_next()
        if self._left <= 0 or self._begun[holder] >= self._each or holder in self._waiting:
            return False
        self._count(holder)
        return True

    def wait(self, holder: str, begin: Begin) -> None:
        """Have ``begin`` called in its turn; it says whether there was anybody to begin."""
        self._waiting.setdefault(holder, deque()).append(begin)

    def _expect_next(self) -> None:
        self._coming = True
        self._since = time.perf_counter()
        asyncio.get_running_loop().call_soon(self._next)

    def _count(self, holder: str) -> None:
        self._begun[holder] += 1
        self._left -= 1

    def _next(self) -> None:
        """A round is over: of those who wait, one of each address begins, and so on."""
        late = time.perf_counter() - self._since >= _LONG_SECONDS
        self._all = max(_LEAST, self._all // 2) if late else min(_MOST, self._all + 1)
        self._each = 1 if late else _BEGIN
        self._left = self._all
        self._begun.clear()
        for _ in range(self._each):
            for holder in list(self._waiting)[: max(self._left, 0)]:
                self._begin(holder)
        self._coming = False
        if self._begun or self._waiting:
            self._expect_next()

    def _begin(self, holder: str) -> None:
        """Whoever of it waits longest begins; it is the others' turn then."""
        queue = self._waiting[holder]
        while queue:
            if queue.popleft()():
                self._count(holder)
                break
        if queue:
            self._waiting.move_to_end(holder)
        else:
            del self._waiting[holder]


def _complete(turn: asyncio.Future[None]) -> bool:
    """Whether somebody still waited."""
    if turn.done():
        return False
    turn.set_result(None)
    return True
