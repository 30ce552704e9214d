"""Proved credentials, remembered for a moment.

Rule: as for resolved reads: never older than ``seconds``, nor than the credential is
valid, never what a change made stale,
and nothing at all while changes cannot be heard.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from gateway.model.access import Principal
from gateway.model.change import Change, RightsChanged

Prove = Callable[[str], Awaitable[Principal]]


class PrincipalCache:
    """Whose credential is whose; an ``Audience``."""

    def __init__(self, *, seconds: float, entries: int) -> None:
        self._seconds = seconds
        self._capacity = entries
        self._kept: OrderedDict[tuple[str, str], tuple[float, Principal]] = OrderedDict()
        self._changes = 0
        self._hearing = False

    async def principal(self, scheme: str, value: str, prove: Prove) -> Principal:
        """The principal that ``value`` proves; ``prove`` is asked if it is not remembered."""
        now = asyncio.get_running_loop().time()
        expires, known = self._kept.get((scheme, value), (0.0, None))
        if known is not None and expires >= now:
            return known
        before = self._changes
        proved = await prove(value)
        if self._hearing and self._changes == before:
            seconds = min(self._seconds, proved.seconds_left(time.time()))
            self._keep((scheme, value), now + seconds, proved)
        return proved

    def hear(self, change: Change) -> None:
        """Forget everybody if somebody's rights changed."""
        if isinstance(change, RightsChanged):
            self._forget()

    def begin(self) -> None:
        """Every change is heard from now on."""
        self._forget()
        self._hearing = True

    def lose(self) -> None:
        """Changes may go unheard."""
        self._hearing = False
        self._forget()

    def _keep(self, key: tuple[str, str], expires: float, principal: Principal) -> None:
        while len(self._kept) >= self._capacity:
            self._kept.popitem(last=False)
        self._kept[key] = (expires, principal)
        self._kept.move_to_end(key)

    def _forget(self) -> None:
        self._changes += 1
        self._kept.clear()
