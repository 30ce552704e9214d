"""Few places for much work: who waits is served in turns, one holder after another.

A flood of one holder waits behind itself; whoever else comes is next when a place is free. That
alone would let work that takes seconds hold all places, so some are kept back: a quarter for
holders who have less than a fifth of all, and, where ``kept`` says so, some for readers of files
and for the gateway's own work, which is nobody's.

Rule: a place is free only if nobody who could have it waits.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from gateway.process.holder import Holder

_RESERVE: Final = 4
_SHARE: Final = 5

Waiting = OrderedDict[str, deque[asyncio.Future[None]]]


@dataclass(slots=True)
class Turns:
    """``limit`` places."""

    limit: int
    kept: int = 0
    _taken: int = 0
    _held: Counter[str] = field(default_factory=Counter)
    _readers: Waiting = field(default_factory=OrderedDict)
    _others: Waiting = field(default_factory=OrderedDict)
    _house: deque[asyncio.Future[None]] = field(default_factory=deque)

    async def take(self, holder: Holder | None, seconds: float | None = None) -> None:
        """A place, now or when it is this holder's turn.

        Raises ``TimeoutError`` if that takes longer than ``seconds``.
        """
        if self._has_place(holder):  # whoever waits could not have it
            self._give(holder)
            return
        queue = self._queue_of(holder)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(place)
        try:
            async with asyncio.timeout(seconds):
                await place
        except BaseException:
            if place.done() and not place.cancelled():
                self.give_back(holder)
            else:
                with suppress(ValueError):  # it was passed over already
                    queue.remove(place)
                self._forget(holder)
            raise

    def give_back(self, holder: Holder | None) -> None:
        """The work is done; whoever is next has the place."""
        self._taken -= 1
        if holder is not None:
            self._held[holder.name] -= 1
            if not self._held[holder.name]:
                del self._held[holder.name]
        while self._taken < self.limit and self._serve_next():
            pass

    def _has_place(self, holder: Holder | None) -> bool:
        free = self.limit - self._taken
        if holder is None:
            return free > 0
        if self._held[holder.name] < max(1, self.limit // _SHARE):
            return free > (0 if holder.reads else self.kept)
        return free > self.kept + self.limit // _RESERVE

    def _waiting(self, holder: Holder) -> Waiting:
        return self._readers if holder.reads else self._others

    def _queue_of(self, holder: Holder | None) -> deque[asyncio.Future[None]]:
        if holder is None:
            return self._house
        return self._waiting(holder).setdefault(holder.name, deque())

    def _give(self, holder: Holder | None) -> None:
        self._taken += 1
        if holder is not None:
            self._held[holder.name] += 1

    def _serve_next(self) -> bool:
        """Give a place to whose turn it is; whether there was anybody."""
        if self._house:
            self._serve(None, self._house)
            return True
        for reads, waiting in ((True, self._readers), (False, self._others)):
            for name, queue in waiting.items():
                holder = Holder(name, reads)
                if self._has_place(holder):
                    waiting.move_to_end(name)
                    self._serve(holder, queue)
                    return True
        return False

    def _serve(self, holder: Holder | None, queue: deque[asyncio.Future[None]]) -> None:
        place = queue.popleft()
        self._forget(holder)
        if not place.done():
            self._give(holder)
            place.set_result(None)

    def _forget(self, holder: Holder | None) -> None:
        if holder is not None:
            waiting = self._waiting(holder)
            if holder.name in waiting and not waiting[holder.name]:
                del waiting[holder.name]
