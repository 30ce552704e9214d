"""Places in memory for the parts of uploads: few, shared by all uploads of a store.

Theory of operation. A part has 5 MiB at least and is held from its first byte until the store has
it, so sixteen uploads that all fill one hold eighty. Here an upload takes its places before it
holds more than a batch. When a part is at the store and somebody waits it gives them back, and
takes its turn behind those; whoever waits holds nothing, and its client sends nothing. Few places
are enough: more could not be sent at once either.

A client that keeps its upload waiting for long while it fills a part gives up its places too. What
it holds then is that part, outside of all places; but nobody waits behind a slow device.

Rule: who waits for places holds none, so somebody can always go on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

PLACES: Final = 8
"""How many parts of the least size all fast uploads of a store hold together."""
_PATIENCE_SECONDS: Final = 2.0
"""How long a client may keep its upload waiting for all of a part."""


class PartRoom:
    """So many places, given out in the order in which they were asked for."""

    def __init__(self, places: int = PLACES) -> None:
        self.places = places
        self._free = places
        self._waiting: deque[tuple[int, asyncio.Future[bool]]] = deque()

    @property
    def is_wanted(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def ask(self, count: int) -> asyncio.Future[bool]:
        """Becomes true when ``count`` places are had.

        Whoever wants them no more ends it otherwise, and then calls ``serve``.
        """
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        self.serve()
        return turn

    def give_back(self, count: int) -> None:
        """They are free."""
        self._free += count
        self.serve()

    def serve(self) -> None:
        """Let have places whose turn it is."""
        while self._waiting:
            count, turn = self._waiting[0]
            if not turn.done():
                if self._free < count:
                    return
                self._free -= count
                turn.set_result(True)
            self._waiting.popleft()


class PartShare:
    """The places of one upload: all of its ``count``, or none."""

    def __init__(self, room: PartRoom, count: int) -> None:
        self._room = room
        self._count = min(count, room.places)
        self._held = False
        self._closed = False
        self._asked: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._patience = _PATIENCE_SECONDS

    async def take(self) -> None:
        """Have them; or nothing, once it is closed."""
        self.keep()
        if self._held or self._is_over():
            return
        self._patience = _PATIENCE_SECONDS
        self._asked = asked = self._room.ask(self._count)
        try:
            self._held = await asked
        except BaseException:
            self._held = asked.done() and not asked.cancelled() and asked.result()
            self._let_go()
            raise
        finally:
            self._asked = None
            self._room.serve()
        if self._is_over():
            self._let_go()

    def _is_over(self) -> bool:
        return self._closed

    def keep(self) -> None:
        """The client is not waited for any more."""
        if self._timer is not None:
            self._patience = self._timer.when() - asyncio.get_running_loop().time()
            self._timer.cancel()
            self._timer = None

    def lend(self) -> None:
        """The client is waited for: if that lasts, others have the places."""
        if self._held and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._patience), self._let_go)

    def pass_on(self) -> None:
        """A part is at the store: it is the turn of whoever waits."""
        self._patience = _PATIENCE_SECONDS
        if self._room.is_wanted:
            self._let_go()

    def close(self, _: object = None) -> None:
        """The upload is over."""
        self._closed = True
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(False)
            self._room.serve()
        self._let_go()

    def _let_go(self) -> None:
        self.keep()
        if self._held:
            self._held = False
            self._room.give_back(self._count)
