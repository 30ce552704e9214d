"""Proved credentials, remembered for a moment.

Rule: as for resolved reads: never older than ``seconds``, nor than the credential is
valid, never what a change made stale, and nothing at all while changes cannot be heard. Who
asks for the same at the same time shares one proof, so that a fleet that comes back all at
once asks the database once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable

from gateway.model.access import Principal
from gateway.model.change import Change, RightsChanged
from gateway.traffic.cache import BoundedCache
from gateway.traffic.singleflight import SingleFlight

Prove = Callable[[str], Awaitable[Principal]]
Key = tuple[str, str]


class PrincipalCache:
    """Whose credential is whose; a ``ChangeListener``."""

    def __init__(self, *, seconds: float, entries: int) -> None:
        self.changed_at = -math.inf
        """When a change of rights was last heard of, or may have been missed, by ``monotonic``."""
        self._seconds = seconds
        self._kept: BoundedCache[Key, Principal] = BoundedCache(entries)
        self._kept.suspend()
        self._flights: SingleFlight[Principal] = SingleFlight()

    async def principal(self, scheme: str, value: str, prove: Prove) -> Principal:
        """The principal that ``value`` proves; ``prove`` is asked if it is not remembered."""
        key = (scheme, value)
        known = self._kept.find(key)
        if known is not None:
            return known
        return await self._flights.join(key, lambda: self._prove(key, prove))

    def on_change(self, change: Change) -> None:
        """Forget everybody if somebody's rights changed."""
        if isinstance(change, RightsChanged):
            self.changed_at = time.monotonic()
            self._kept.clear()
            self._flights.forget()

    def on_connected(self) -> None:
        """Every change is heard from now on."""
        self.changed_at = time.monotonic()
        self._kept.resume()
        self._flights.forget()

    def on_disconnected(self) -> None:
        """Changes may go unheard."""
        self._kept.suspend()
        self._flights.forget()

    async def _prove(self, key: Key, prove: Prove) -> Principal:
        began = self._kept.now()
        with self._kept.watching() as watch:
            proved = await prove(key[1])
            seconds = min(self._seconds, proved.seconds_left(time.time()))
            self._kept.keep(key, proved, expires=began + seconds, watch=watch)
        return proved
