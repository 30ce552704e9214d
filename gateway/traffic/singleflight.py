"""One piece of work for all who ask for the same at the same time.

Rule: nobody joins work that began before something changed; the result of such work is only
for those who had asked by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Work under way, by what it is for."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Future[T]] = {}

    async def join(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """The result of the work for ``key``, begun now unless it is under way.

        It goes on if whoever began it leaves. Raises what the work raises.
        """
        flight = self._under_way.get(key)
        if flight is None:
            flight = asyncio.ensure_future(work())
            self._under_way[key] = flight
            flight.add_done_callback(lambda done: self._land(key, done))
        return await asyncio.shield(flight)

    @contextmanager
    def leading(self: SingleFlight[None], key: Hashable) -> Iterator[None]:
        """Do the work for ``key`` in the block, in sight of those who ``follow`` it.

        For work whose result is for the one who does it, and left where others find it. Whoever
        does the same at the same time does it for nobody else.
        """
        if key in self._under_way:
            yield
            return
        flight: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way[key] = flight
        try:
            yield
        finally:
            flight.set_result(None)
            self._land(key, flight)

    async def follow(self, key: Hashable) -> bool:
        """Wait for the end, however it comes, of the work that is led; whether there was any."""
        flight = self._under_way.get(key)
        if flight is None:
            return False
        await asyncio.wait((flight,))
        return True

    def forget(self) -> None:
        """Who asks from now on starts new work."""
        self._under_way.clear()

    def _land(self, key: Hashable, flight: asyncio.Future[T]) -> None:
        if self._under_way.get(key) is flight:
            del self._under_way[key]
        if not flight.cancelled():
            flight.exception()  # everybody who asked for it may be gone
