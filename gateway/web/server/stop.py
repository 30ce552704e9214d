"""How a server stops: whom it waits for, and that each response is its connection's last meanwhile.

Theory of operation. A connection is in the kernel's queue before it is accepted, and accepted
before its first request comes. Its client has found somebody who listens, and is not told that
they are about to leave: closed unread, it is reset, and its client cannot know what became of the
request. So a connection whose request has not come whole has a moment, and one whose request is
being served has all the time there is. Whatever is served meanwhile is served as ever, but with
``Connection: close`` (RFC 9112, 9.6). Connections that are idle between two requests are not waited
for: their clients have to reckon with an end at any time.

Knows connections by what they are called. Does not know HTTP.

Rule: no connection is ended under a request that came while there was time for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

MOMENT_SECONDS: Final = 2.0
"""A segment that was lost is sent again within a second."""

_TURNS: Final = 3


class Stop:
    """The stop of one server; ``told`` once it has begun."""

    def __init__(self) -> None:
        self.told = False
        self._coming = set[object]()
        self._under_way = set[object]()
        self._fewer = asyncio.Event()

    def expect(self, connection: object) -> None:
        """Its first request has not come, or a part of its next one has."""
        self._coming.add(connection)

    def begin(self, connection: object) -> None:
        """Its request has come, and is served until it is said to ``end``."""
        self._coming.discard(connection)
        self._under_way.add(connection)

    def end(self, connection: object) -> None:
        """The request is served, or the connection has ended."""
        self._coming.discard(connection)
        self._under_way.discard(connection)
        if self.told:
            self._fewer.set()

    async def settle(self, seconds: float) -> None:
        """Until nobody is waited for any more, or so many seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        for _ in range(_TURNS):  # what the kernel has is read before anybody counts as idle
            await asyncio.sleep(0)
        await self._until(
            lambda: not (self._coming or self._under_way), min(seconds, MOMENT_SECONDS)
        )
        await self._until(lambda: not self._under_way, end - loop.time())

    async def _until(self, is_so: Callable[[], bool], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not is_so():
                    self._fewer.clear()
                    await self._fewer.wait()
