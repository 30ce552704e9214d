"""What may be delivered for one user in an hour, by all gateways together.

Rule: bytes are reserved in the database before they are sent, some at a time, and never given back:
what is tried is paid for, whatever comes of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

from gateway.database.pool import Database
from gateway.messaging.rows import outbox

_AT_ONCE: Final = 256 * 1024
_MANY: Final = 1000
_LEAST_SECONDS: Final = 0.001


class Budget:
    """``most_bytes`` an hour for each user; 0 is no limit."""

    def __init__(
        self, database: Database, most_bytes: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._most = most_bytes
        self._clock = clock
        self._reserved: dict[UUID, tuple[int, float]] = {}

    async def take(self, owner: UUID, size: int) -> float:
        """Zero if ``size`` bytes may be sent for the user now; else seconds until more may be."""
        if not self._most:
            return 0.0
        left = self._left(owner)
        if left >= size:
            self._keep(owner, left - size)
            return 0.0
        return await self._reserve(owner, size)

    async def _reserve(self, owner: UUID, size: int) -> float:
        """As much as is left, some of it for those that come; else just this."""
        seconds = 0.0
        for wanted in (max(size, _AT_ONCE), size):
            granted, seconds = await outbox.reserve(self._database, owner, wanted, self._most)
            if granted:
                left = self._left(owner) + wanted - size
                self._reserved[owner] = (left, self._clock() + seconds)
                return 0.0
        return max(seconds, _LEAST_SECONDS)

    def _left(self, owner: UUID) -> int:
        left, until = self._reserved.get(owner, (0, 0.0))
        return left if self._clock() < until else 0

    def _keep(self, owner: UUID, left: int) -> None:
        self._reserved[owner] = (left, self._reserved[owner][1])
        if len(self._reserved) > _MANY:
            now = self._clock()
            self._reserved = {o: r for o, r in self._reserved.items() if r[1] > now}
