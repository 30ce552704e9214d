"""Proved credentials, remembered for a moment.

Theory of operation. A credential is kept under the ids of those whose rights it is made of: the
caller's, and that of the user whom a thing or a token belongs to. A change of rights says whose
they are, so it costs nobody else anything; one that does not say so makes all be proved again.

Rule: as for resolved reads: never older than ``seconds``, nor than the credential is
valid, never what a change made stale, and nothing at all while changes cannot be heard. Who
asks for the same at the same time shares one proof, so that a fleet that comes back all at
once asks the database once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final

from gateway.model.access import FRESH_SECONDS, Principal
from gateway.model.change import Change, RightsChanged
from gateway.traffic.cache import BoundedCache
from gateway.traffic.singleflight import SingleFlight

_NOTED_SECONDS: Final = 2 * FRESH_SECONDS
_MOST_CHANGED: Final = 4096
Prove = Callable[[str], Awaitable[Principal]]
Key = tuple[str, str]


class PrincipalCache:
    """Whose credential is whose; a ``ChangeListener``."""

    def __init__(self, *, seconds: float, entries: int) -> None:
        self._seconds = seconds
        self._all_changed_at = -math.inf
        self._changed_at: BoundedCache[str, float] = BoundedCache(None)
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

    def changed_since(self, whose: Iterable[str], at: float) -> bool:
        """Whether a change of the rights of one of these may have come since ``at``.

        By ``monotonic``, and ``FRESH_SECONDS`` ago at most.
        """
        known = (self._changed_at.find(one) for one in whose)
        latest = max((when for when in known if when is not None), default=-math.inf)
        return max(latest, self._all_changed_at) >= at

    def on_change(self, change: Change) -> None:
        """Forget those whose rights changed."""
        if isinstance(change, RightsChanged):
            self._note(change.whose)
            self._kept.forget_all(change.whose)
            self._flights.forget()

    def on_connected(self) -> None:
        """Every change is heard from now on."""
        self._note(None)
        self._kept.resume()
        self._flights.forget()

    def on_disconnected(self) -> None:
        """Changes may go unheard."""
        self._kept.suspend()
        self._flights.forget()

    def _note(self, whose: Collection[str] | None) -> None:
        """When it was; of too many at once all."""
        now = time.monotonic()
        self._changed_at.drop_expired()
        if whose is None or len(self._changed_at) + len(whose) > _MOST_CHANGED:
            self._all_changed_at = now
            return
        for one in whose:
            self._changed_at.keep(one, now, expires=now + _NOTED_SECONDS)

    async def _prove(self, key: Key, prove: Prove) -> Principal:
        began = self._kept.now()
        with self._kept.watching() as watch:
            proved = await prove(key[1])
            seconds = min(self._seconds, proved.seconds_left(time.time()))
            expires, whose = began + seconds, proved.whose
            self._kept.keep(key, proved, expires=expires, tags=whose, watch=watch)
        return proved
