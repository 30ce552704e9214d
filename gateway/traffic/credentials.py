"""Proved credentials, remembered for a moment.

Rule: as for resolved reads: never older than ``seconds``, nor than the credential is
valid, never what a change made stale, and nothing at all while changes cannot be heard. Who
asks for the same at the same time shares one answer, so that a fleet that comes back all at
once asks the database once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from gateway.model.access import Principal
from gateway.model.change import Change, RightsChanged
from gateway.traffic.singleflight import SingleFlight

Prove = Callable[[str], Awaitable[Principal]]
Key = tuple[str, str]


class PrincipalCache:
    """Whose credential is whose; an ``ChangeListener``."""

    def __init__(self, *, seconds: float, entries: int) -> None:
        self._seconds = seconds
        self._capacity = entries
        self._kept: OrderedDict[Key, tuple[float, Principal]] = OrderedDict()
        self._flights: SingleFlight[Principal] = SingleFlight()
        self._changes = 0
        self._hearing = False

    async def principal(self, scheme: str, value: str, prove: Prove) -> Principal:
        """The principal that ``value`` proves; ``prove`` is asked if it is not remembered."""
        key = (scheme, value)
        expires, known = self._kept.get(key, (0.0, None))
        if known is not None and expires >= asyncio.get_running_loop().time():
            return known
        return await self._flights.join(key, lambda: self._prove(key, prove))

    def on_change(self, change: Change) -> None:
        """Forget everybody if somebody's rights changed."""
        if isinstance(change, RightsChanged):
            self._forget()

    def on_connected(self) -> None:
        """Every change is heard from now on."""
        self._forget()
        self._hearing = True

    def on_disconnected(self) -> None:
        """Changes may go unheard."""
        self._hearing = False
        self._forget()

    async def _prove(self, key: Key, prove: Prove) -> Principal:
        before, began = self._changes, asyncio.get_running_loop().time()
        proved = await prove(key[1])
        if self._hearing and self._changes == before:
            seconds = min(self._seconds, proved.seconds_left(time.time()))
            self._keep(key, began + seconds, proved)
        return proved

    def _keep(self, key: Key, expires: float, principal: Principal) -> None:
        while len(self._kept) >= self._capacity:
            self._kept.popitem(last=False)
        self._kept[key] = (expires, principal)
        self._kept.move_to_end(key)

    def _forget(self) -> None:
        self._changes += 1
        self._kept.clear()
        self._flights.forget()
